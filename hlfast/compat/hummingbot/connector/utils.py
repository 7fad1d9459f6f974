"""Pairs and ids: `BASE-QUOTE` and the client order ids of Hummingbot."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from hlfast import clock

_PAIR = re.compile(r"([^\s-]+)-([^\s-]+)")


class TradeFillOrderDetails(NamedTuple):
    market: str
    exchange_trade_id: str
    symbol: str


def split_hb_trading_pair(trading_pair: str) -> tuple[str, str]:
    """(base, quote). `ValueError` for what is no pair."""
    base, quote = trading_pair.split("-")
    return base, quote


def combine_to_hb_trading_pair(base: str, quote: str) -> str:
    return f"{base}-{quote}"


def validate_trading_pair(trading_pair: str) -> bool:
    return _PAIR.fullmatch(trading_pair) is not None


def get_new_client_order_id(
    is_buy: bool, trading_pair: str, hbot_order_id_prefix: str = "", max_id_len: int | None = None
) -> str:
    """An id that tells side and pair: prefix, B or S, ends of both names, and 16 hex digits that differ. The standalone
    connectors use the venue's cloid form instead."""
    base, quote = split_hb_trading_pair(trading_pair)
    side = "B" if is_buy else "S"
    symbols = f"{base[0]}{base[-1]}{quote[0]}{quote[-1]}"
    unique = f"{clock.epoch_ns() // 1000:x}{os.urandom(6).hex()}"
    order_id = f"{hbot_order_id_prefix}{side}{symbols}{unique}"
    return order_id if max_id_len is None else f"{hbot_order_id_prefix}{side}{symbols}{unique[::-1]}"[:max_id_len]
