"""Single calls, looped: numbers, frames, signatures, the tracker, events."""
