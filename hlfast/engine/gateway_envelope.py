"""A client's message as far as it can be read without its fields (layer 4, cold): bytes → `Envelope`, or why not.

No input raises anything but `Refused`, and none is silent: the id, the action and the tags are kept as far as they were
readable, for the answer.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from hlfast.engine.gateway_reasons import canonical_of

MESSAGE_MAX = 64 * 1024
ID_MAX = 128
NUMBER_MAX = 64
"""Characters of a number."""

_ID = re.compile(r"[!-~]{1,128}\Z")
_SEEN_ID = re.compile(rb'"cl_id"\s*:\s*"([!-~]{1,128}?)"')


class Refused(Exception):
    """A message that is answered with a rejected report. `raw`: a gateway code; `canonical` as the table says."""

    def __init__(self, raw: str, text: str, canonical: str | None = None) -> None:
        super().__init__(text)
        self.raw, self.text = raw, text
        self.canonical = canonical_of(raw) if canonical is None else canonical


@dataclass
class Envelope:
    """What every report about the message needs, as far as it could be read."""

    cl_id: str = ""
    action: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    digest: bytes = b""
    """Of every key and value but `ts_ns` and `tags`."""
    is_readable: bool = False
    body: dict[str, Any] = field(default_factory=dict)


class NotANumber:
    """NaN and infinities: a field error where they stand, not a syntax error of the whole message."""

    def __init__(self, text: str) -> None:
        self.text = text


def _integer(text: str) -> Any:
    return int(text) if len(text) <= NUMBER_MAX else NotANumber(f"{text[:20]}... ({len(text)} digits)")


def _decimal(text: str) -> Any:
    return Decimal(text) if len(text) <= NUMBER_MAX else NotANumber(f"{text[:20]}... ({len(text)} characters)")


_quoted = json.encoder.encode_basestring
_decoder = json.JSONDecoder(parse_float=_decimal, parse_int=_integer, parse_constant=NotANumber)


def envelope_of(frames: list[bytes]) -> tuple[Envelope, Refused | None]:
    """The envelope, and what refuses the message before its fields are looked at."""
    envelope = Envelope()
    payload = frames[-1] if frames else b""
    seen = _SEEN_ID.search(payload, 0, MESSAGE_MAX)
    if seen is not None:
        envelope.cl_id = seen[1].decode()
    if len(frames) != 1:
        return envelope, Refused("bad_message", f"a message is one frame, got {len(frames)}")
    if len(payload) > MESSAGE_MAX:
        return envelope, Refused("bad_message", f"a message has at most {MESSAGE_MAX} bytes, got {len(payload)}")
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as error:
        return envelope, Refused("bad_json", f"bad UTF-8 at byte {error.start}")
    try:
        body = _decoder.decode(text)
        if "\\u" in text:
            json.dumps(body, ensure_ascii=False, default=_shown).encode()  # halves of surrogate pairs
    except json.JSONDecodeError as error:
        return envelope, Refused("bad_json", f"bad JSON at byte {len(text[: error.pos].encode())}")
    except UnicodeEncodeError:
        envelope.cl_id = ""
        return envelope, Refused("bad_json", "half of a surrogate pair stands in a text")
    except (RecursionError, ValueError, InvalidOperation) as error:
        return envelope, Refused("bad_json", f"bad JSON: {type(error).__name__}")
    if not isinstance(body, dict):
        return envelope, Refused("bad_json", f"the message must be an object, got {kind_of(body)}")
    envelope.body, envelope.is_readable = body, True
    try:
        envelope.tags = _echo(body.get("tags"))
        envelope.digest = _digest(body)
    except RecursionError:
        return envelope, Refused("bad_json", "bad JSON: nested too deeply")
    action = body.get("action")
    if isinstance(action, str) and action.lower() in ("place", "cancel", "replace", "resend"):
        envelope.action = action.lower()
    cl_id = body.get("cl_id")
    if cl_id is None or cl_id == "":
        envelope.cl_id = ""
        return envelope, Refused("missing_cl_id", "cl_id is required")
    envelope.cl_id = cl_id if isinstance(cl_id, str) else ""
    if not isinstance(cl_id, str) or not _ID.match(cl_id):
        return envelope, Refused(
            "bad_field", f"cl_id must be 1 to {ID_MAX} printable ASCII characters without spaces, got {brief(cl_id)}"
        )
    version = body.get("version")
    if version is not None and (isinstance(version, bool) or version not in (1, "1")):
        return envelope, Refused("unsupported_version", f"version must be 1, got {brief(version)}")
    if action is None or action == "":
        return envelope, Refused("missing_action", "action is required: place, cancel, replace or resend")
    if envelope.action is None:
        return envelope, Refused(
            "invalid_action", f"action must be place, cancel, replace or resend, got {brief(action)}"
        )
    return envelope, None


def _shown(value: Any) -> str:
    return value.text if isinstance(value, NotANumber) else str(value)


def compact(value: Any) -> str:
    """The JSON text of a value, without spaces; numbers as they were written."""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, (int, Decimal)):
        return str(value)
    if isinstance(value, NotANumber):
        return value.text
    if isinstance(value, list):
        return "[" + ",".join(map(compact, value)) + "]"
    return "{" + ",".join(f"{_quoted(key)}:{compact(one)}" for key, one in value.items()) + "}"


def _echo(tags: Any) -> dict[str, str]:
    """Tags as they are echoed: texts unchanged, everything else as its JSON text; null is absent."""
    if not isinstance(tags, dict):
        return {}
    return {key: one if isinstance(one, str) else compact(one) for key, one in tags.items() if one is not None}


def _digest(body: dict[str, Any]) -> bytes:
    content = {key: value for key, value in body.items() if key not in ("ts_ns", "tags")}
    return hashlib.blake2b(_canonical.encode(content).encode(), digest_size=16).digest()


def _marked(value: Any) -> list[str]:
    """A number as it was written, apart from the text that looks the same."""
    return ["number", _shown(value)]


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_marked)


def kind_of(value: Any) -> str:
    if isinstance(value, NotANumber):
        return "not a finite number"
    names = {dict: "an object", list: "an array", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def brief(value: Any) -> str:
    text = compact(value)
    return text if len(text) <= 80 else text[:77] + "..."
