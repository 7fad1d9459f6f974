"""Frames as the venue sends them, made up from a seed: compact, in its key order, with its digits.

Books of 20 and of 5 levels a side, with BTC's digits (prices in the ten thousands, 5 size decimals) and kPEPE's (prices
of five figures behind the point, whole sizes); bbo, trades, order rows and fills beside them. Every frame of a pool
carries the same block time, so that a pool may be read again and again. Numbers are whole multiples of the
instrument's steps until they become text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

BLOCK_MS = 1_790_358_575_700
USER = "0x61fb9e7583dc92cc76eb52f93d88addaa0f02265"


def number(value: int, decimals: int) -> str:
    """`value` / 10**decimals as the venue writes it: no trailing zeros, but one decimal at least."""
    whole, part = divmod(value, 10**decimals)
    return f"{whole}.{str(part).rjust(decimals, '0').rstrip('0') if part and decimals else '0'}"


@dataclass(frozen=True)
class Market:
    """`mid` in ticks of 10**-px_decimals; sizes up to `most` in units of 10**-sz_decimals."""

    coin: str
    sz_decimals: int
    px_decimals: int
    mid: int
    most: int

    def px(self, ticks: int) -> str:
        return number(ticks, self.px_decimals)

    def sz(self, random: Random) -> str:
        return number(random.randint(1, self.most), self.sz_decimals)


BTC = Market("BTC", 5, 0, 83_767, 1_200_000)
ETH = Market("ETH", 4, 1, 20_801, 900_000)
HYPE = Market("HYPE", 2, 3, 23_757, 90_000)
KPEPE = Market("kPEPE", 0, 6, 13_456, 9_000_000)
OTHERS = tuple(Market(f"COIN{i}", 1, 4, 15_000 + 37 * i, 70_000) for i in range(16))
MARKETS = (BTC, ETH, HYPE, KPEPE, *OTHERS)


class Feed:
    """Frames from one seed."""

    def __init__(self, seed: int = 7) -> None:
        self._random = Random(seed)
        self._oid = 315_452_584_853

    def _levels(self, market: Market, ticks: int, step: int, levels: int) -> str:
        rows = []
        for _ in range(levels):
            count = min(self._random.randint(1, 99), self._random.randint(1, 99))
            rows.append(f'{{"px":"{market.px(ticks)}","sz":"{market.sz(self._random)}","n":{count}}}')
            ticks += step * (1 if self._random.random() < 0.8 else 2)
        return ",".join(rows)

    def _best_bid(self, market: Market) -> int:
        return market.mid + self._random.randint(-40, 40)

    def book(self, market: Market, levels: int = 20) -> bytes:
        bid = self._best_bid(market)
        fast = ',"fast":true' if levels == 5 else ""
        return (
            f'{{"channel":"l2Book","data":{{"coin":"{market.coin}","time":{BLOCK_MS},"levels":'
            f"[[{self._levels(market, bid, -1, levels)}],[{self._levels(market, bid + 1, 1, levels)}]]{fast}}}}}"
        ).encode()

    def bbo(self, market: Market) -> bytes:
        bid = self._best_bid(market)
        return (
            f'{{"channel":"bbo","data":{{"coin":"{market.coin}","time":{BLOCK_MS},"bbo":'
            f"[{self._levels(market, bid, -1, 1)},{self._levels(market, bid + 1, 1, 1)}]}}}}"
        ).encode()

    def trades(self, market: Market, rows: int) -> bytes:
        return f'{{"channel":"trades","data":[{",".join(self._trade(market) for _ in range(rows))}]}}'.encode()

    def _trade(self, market: Market) -> str:
        random = self._random
        return (
            f'{{"coin":"{market.coin}","side":"{random.choice("AB")}","px":"{market.px(self._best_bid(market))}",'
            f'"sz":"{market.sz(random)}","time":{BLOCK_MS},"hash":"0x{random.getrandbits(256):064x}",'
            f'"tid":{random.getrandbits(50)},"users":["0x{random.getrandbits(160):040x}","0x{random.getrandbits(160):040x}"]}}'
        )

    def cloid(self) -> str:
        return f"0x{self._random.getrandbits(127) + 1:032x}"

    def order_updates(self, market: Market) -> bytes:
        """A taker that was filled at once: its `open` and its `filled` row in one frame."""
        self._oid += self._random.randint(1, 50)
        px, size, cloid = market.px(self._best_bid(market)), market.sz(self._random), self.cloid()

        def row(left: str, status: str) -> str:
            return (
                f'{{"order":{{"coin":"{market.coin}","side":"B","limitPx":"{px}","sz":"{left}","oid":{self._oid},'
                f'"timestamp":{BLOCK_MS},"origSz":"{size}","cloid":"{cloid}"}},"status":"{status}",'
                f'"statusTimestamp":{BLOCK_MS}}}'
            )

        return f'{{"channel":"orderUpdates","data":[{row(size, "open")},{row("0.0", "filled")}]}}'.encode()

    def user_fills(self, market: Market) -> bytes:
        self._oid += self._random.randint(1, 50)
        random = self._random
        return (
            f'{{"channel":"userFills","data":{{"user":"{USER}","fills":[{{"coin":"{market.coin}",'
            f'"px":"{market.px(self._best_bid(market))}","sz":"{market.sz(random)}","side":"A","time":{BLOCK_MS},'
            f'"startPosition":"{market.sz(random)}","dir":"Close Long","closedPnl":"-0.13",'
            f'"hash":"0x{random.getrandbits(256):064x}","oid":{self._oid},"crossed":true,"fee":"0.00893",'
            f'"tid":{random.getrandbits(50)},"cloid":"{self.cloid()}","feeToken":"USDC","twapId":null}}]}}}}'
        ).encode()

    def traffic(self, frames: int) -> Iterator[bytes]:
        """What a market maker's sockets carry: mostly best prices and trades, some books, a few rows of its own."""
        kinds, weights = ("bbo", "trades", "fast book", "book", "orders", "fills"), (50, 22, 12, 4, 8, 4)
        for kind in self._random.choices(kinds, weights, k=frames):
            market = self._random.choice(MARKETS)
            if kind == "bbo":
                yield self.bbo(market)
            elif kind == "trades":
                yield self.trades(market, self._random.choice((1, 1, 1, 2, 4)))
            elif kind == "fast book":
                yield self.book(market, 5)
            elif kind == "book":
                yield self.book(market)
            elif kind == "orders":
                yield self.order_updates(market)
            else:
                yield self.user_fills(market)
