from hlfast.core.frame_sink import FrameSink

class FrameTap(FrameSink):
    next_sink: FrameSink | None
    max_bytes: int
    frames: int
    dropped: int
    dropped_bytes: int
    reflowed: int
    skipped: int
    last_ns: int
    def __init__(self, next_sink: FrameSink | None = None, max_bytes: int = ...) -> None: ...
    @property
    def pending_bytes(self) -> int: ...
    def take(self) -> bytearray: ...
    def done(self) -> None: ...
