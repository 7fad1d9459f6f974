"""The instruments of a whole exchange: the recorded ones where a recording is at hand, else made up with its shapes.

A recording is `fixtures/venue/http_info_metaAndAssetCtxs.jsonl` in the folder that HLFAST_SHARED names.
"""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.wire import BTC, ETH, HYPE, KPEPE, Market

MADE_UP = 190


def instruments() -> tuple[str, list[Market]]:
    """(where they come from, all perpetuals with a price)."""
    named = os.environ.get("HLFAST_SHARED")
    recording = Path(named) / "fixtures/venue/http_info_metaAndAssetCtxs.jsonl" if named else None
    if recording is not None and recording.is_file():
        found = max((_recorded(json.loads(line)) for line in recording.read_text().splitlines()), key=len)
        if len(found) > 100:
            return "recorded", found
    return "made up", made_up()


def _recorded(row: dict[str, Any]) -> list[Market]:
    answer = row.get("response")
    if not isinstance(answer, list) or len(answer) != 2:
        return []
    meta, contexts = answer
    markets = []
    for listed, context in zip(meta["universe"], contexts, strict=False):
        price = Decimal(context.get("markPx") or 0)
        if price > 0 and not listed.get("isDelisted"):
            markets.append(_market(listed["name"], int(listed["szDecimals"]), price))
    return markets


def _market(coin: str, sz_decimals: int, price: Decimal) -> Market:
    """Prices of five significant figures and at most 6 - sz_decimals decimals; sizes of up to about 50,000 dollars."""
    px_decimals = max(0, min(6 - sz_decimals, 4 - price.adjusted()))
    mid = max(200, int(price * 10**px_decimals))
    most = max(10, int(50_000 / price * 10**sz_decimals))
    return Market(coin, sz_decimals, px_decimals, mid, most)


def made_up() -> list[Market]:
    random = Random(11)
    rest = []
    for at in range(MADE_UP - 4):
        price = Decimal(repr(round(10 ** random.uniform(-2.5, 3), 6)))
        rest.append(_market(f"{'k' if at % 29 == 0 else ''}COIN{at}", random.choice((0, 0, 0, 1, 1, 2)), price))
    return [BTC, ETH, HYPE, KPEPE, *rest]
