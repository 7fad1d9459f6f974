"""Hummingbot's own order tracker, from an installation or from a checkout; None where neither is at hand.

    HLFAST_HUMMINGBOT_CHECKOUT=/path/to/hummingbot python -m benchmarks --only hummingbot_update

The tracker and what it needs are Python, apart from `limit_order`, which a checkout may not have compiled: no benchmark
touches it, so an empty class stands in. Its other imports (aiohttp, async_timeout, cachetools, hexbytes, pandas, ujson)
must be installed. Hummingbot's connectors are not beside ours: they run inside its whole installation only.
"""

from __future__ import annotations

import logging
import os
import sys
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

CHECKOUT = "HLFAST_HUMMINGBOT_CHECKOUT"
_LIMIT_ORDER = "hummingbot.core.data_type.limit_order"


@cache
def vocabulary() -> Any | None:
    """The names of its tracker and records, with `version`; None without a Hummingbot whose modules can be imported."""
    where = os.environ.get(CHECKOUT)
    if where:
        sys.path.insert(0, where)
    # Importing Hummingbot changes logging for everybody; what is measured beside it shall not notice.
    before = logging.getLogRecordFactory(), logging.getLoggerClass()
    try:
        if find_spec("hummingbot") is None:
            return None
        if find_spec(_LIMIT_ORDER) is None:
            stand_in = ModuleType(_LIMIT_ORDER)
            stand_in.LimitOrder = type("LimitOrder", (), {})  # type: ignore[attr-defined]
            sys.modules[_LIMIT_ORDER] = stand_in
        names: dict[str, Any] = {}
        for module in ("connector.client_order_tracker", "core.data_type.in_flight_order", "core.data_type.trade_fee",
                       "core.data_type.common"):  # fmt: skip
            names.update(vars(import_module(f"hummingbot.{module}")))
    except ImportError as error:
        print(f"Hummingbot's tracker is not compared: {error}", file=sys.stderr)
        return None
    finally:
        logging.setLogRecordFactory(before[0])
        logging.setLoggerClass(before[1])
        if where:
            sys.path.remove(where)
    return SimpleNamespace(**names, version=_version(where))


def _version(where: str | None) -> str:
    file = Path(where or ".") / "hummingbot" / "VERSION"
    return file.read_text().strip() if file.is_file() else metadata.version("hummingbot")
