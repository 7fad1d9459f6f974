"""Sockets (layer 2): the one picows listener, the WebSocket session, HTTP. Knows no venue.

picows is compiled against by class layout, and its layouts change between minor versions: so its version is checked
here, before `listener` is loaded and its types are bound. A version outside the range is a `BuildMismatch`.
"""

from __future__ import annotations

from picows.version import __version__ as PICOWS_VERSION

from hlfast.errors import BuildMismatch

PICOWS_RANGE = ((2, 3, 1), (2, 4, 0))
"""First version that hlfast was built for, and the first one that it was not."""


def check_picows(version: str) -> None:
    """Raise `BuildMismatch` unless `version` ("2.3.1") lies in `PICOWS_RANGE`."""
    parts = tuple(int(digits) for part in version.split(".")[:3] if (digits := "".join(filter(str.isdigit, part))))
    first, beyond = PICOWS_RANGE
    if not first <= parts < beyond:
        raise BuildMismatch(
            f"picows {version} is installed, and hlfast was built for >=2.3.1,<2.4 (its class layouts differ); "
            "run: pip install 'picows>=2.3.1,<2.4'"
        )


check_picows(PICOWS_VERSION)
