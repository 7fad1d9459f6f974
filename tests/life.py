"""One connector and one exchange in made time, told what to do step by step: a script reads as what happened.

    with Life() as life:
        order = life.place(Wish("buy", -1, "0.003"))
        life.fault("lost_answer")
        life.modify(0, step=1)
        life.wait(600)
        life.settle()            # faults end, all settles by itself, and everything agrees with the exchange's record

After each step `check` says what no fault excuses. Prices are steps from 50000: the house quotes at -3 and +3.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from decimal import Decimal
from types import TracebackType
from typing import Any, NamedTuple

import hlfast
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.errors import HlfastError
from hlfast.net.backoff import Backoff
from hlfast.sim import SimExchange
from hlfast.types import OrderParams, TradeType, Trigger
from hlfast.venues.hyperliquid.connector import HyperliquidConnector

from .chaos import FAULTS, QUICK
from .judge import Judge
from .virtual_time import VirtualTime

COIN = "BTC"
MID, STEP = 50_000, 10
PRICES = (-9, -2, -1, 0, 1, 2, 3, 9)
SIZES = ("0.001", "0.003", "0.02", "900")
"""The second level of the house has 1, and the account has no margin for 900."""
SETTLE_MS = 60_000
"""The venue's limit of new connections a minute may be used up when the faults end."""


class Wish(NamedTuple):
    """An order: `step` times 10 from 50000, towards the other side for a positive one."""

    side: str
    step: int
    size: str
    tif: str = "Gtc"
    reduce_only: bool = False
    expires_ms: int | None = None
    trigger: int | None = None
    """Waits until the mark has gone so many steps against its side."""

    @property
    def price(self) -> Decimal:
        return Decimal(MID + (STEP if self.side == "buy" else -STEP) * self.step)

    def params(self) -> OrderParams:
        is_buy = self.side == "buy"
        trigger = None
        if self.trigger is not None:
            away = STEP * self.trigger if is_buy else -STEP * self.trigger
            trigger = Trigger(MID + away, is_market=self.tif == "Ioc")
        return OrderParams(
            COIN,
            self.size,
            self.price,
            TradeType.BUY if is_buy else TradeType.SELL,
            tif="Gtc" if trigger is not None and self.tif == "Alo" else self.tif,
            reduce_only=self.reduce_only,
            trigger=trigger,
            expires_after_ms=self.expires_ms,
        )


class Life:
    """Everything that may happen. What is refused locally is refused: no step raises for that."""

    def __init__(self, seed: int = 0) -> None:
        self.time = VirtualTime(seed)
        self.exchange: SimExchange
        self.hl: HyperliquidConnector
        self.judge: Judge
        self._armed: list[Any] = []
        self._modifies: Counter[str] = Counter()
        self._other: HyperliquidConnector | None = None
        try:
            self.time.run(self._open(seed))
        except BaseException:
            self.time.close()
            raise

    async def _open(self, seed: int) -> None:
        self.exchange = SimExchange(port=0, block_ms=40, seed=seed, traders=False, book_interval_ms=400)
        await self.exchange.start()
        self.exchange.change("set_mark", COIN, MID)
        self.house_quotes()
        self.hl = hlfast.connect(self.exchange.network, settings=QUICK)
        for session in (self.hl._account_session, self.hl._market_session):
            session._backoff = Backoff(QUICK.backoff_min, QUICK.backoff_max, seed=seed)
        await self.hl.__aenter__()
        self.judge = Judge(self.hl, self.exchange)
        self.hl.watch(COIN)
        await self.hl.wait_ready(5)

    # -- steps ------------------------------------------------------------------------------------------------------
    def place(self, wish: Wish) -> InFlightOrder | None:
        return next(iter(self._place([wish.params()])), None)

    def batch(self, *wishes: Wish) -> list[InFlightOrder]:
        return self._place([wish.params() for wish in wishes])

    def _place(self, wanted: list[OrderParams]) -> list[InFlightOrder]:
        orders: list[InFlightOrder] = []

        async def act() -> None:
            with contextlib.suppress(HlfastError):
                orders.extend(self.hl.place(wanted))

        self.time.run(act())
        self.judge.own_all(orders)
        return orders

    def modify(self, pick: int, step: int | None = None, size: str | None = None) -> None:
        async def act(order: InFlightOrder) -> None:
            price = None if step is None else Wish("buy" if order.is_buy else "sell", step, "0").price
            self._modifies[order.client_order_id] += self.hl.modify(order, price=price, size=size)

        self._with_one(pick, act)

    def cancel(self, pick: int) -> None:
        async def act(order: InFlightOrder) -> None:
            self.hl.cancel(order)

        self._with_one(pick, act)

    def cancel_inflight(self, pick: int) -> None:
        async def act(order: InFlightOrder) -> None:
            async def try_it() -> None:
                with contextlib.suppress(HlfastError):
                    await self.hl.cancel_inflight(order)

            self.hl.spawn(try_it())

        self._with_one(pick, act)

    def _with_one(self, pick: int, act: Any) -> None:
        """Of the orders that have not ended, counted from the newest."""
        live = self.hl.orders[::-1]

        async def run() -> None:
            with contextlib.suppress(HlfastError):
                await act(live[pick % len(live)])

        if live:
            self.time.run(run())

    def cancel_all(self) -> None:
        async def act() -> None:
            with contextlib.suppress(HlfastError):
                self.hl.cancel_all()

        self.time.run(act())

    def others_trade(self, side: str, size: str) -> None:
        """Somebody takes what rests nearer than the house."""
        self.exchange.change("take", COIN, side, size, MID + (STEP if side == "buy" else -STEP) * 2)

    def elsewhere(self, wish: Wish) -> None:
        """The same account orders from somewhere else: it is not ours to judge, but its fills are the account's."""

        async def act() -> None:
            if self._other is None:
                self._other = hlfast.connect(self.exchange.network, settings=QUICK)
                with contextlib.suppress(HlfastError):
                    await self._other.__aenter__()
            with contextlib.suppress(HlfastError):
                self._other.place([wish.params()])

        self.time.run(act())

    def mark_moves(self, step: int) -> None:
        """Triggers go by it."""
        self.exchange.change("set_mark", COIN, MID + STEP * step)

    def restart(self) -> None:
        """The connector's connections are closed and opened anew; it keeps what it knows."""

        async def act() -> None:
            await self.hl.disconnect()
            await self.hl.connect()

        self.time.run(act())

    def house_quotes(self) -> None:
        near, far = 3 * STEP, 5 * STEP
        self.exchange.change(
            "set_book",
            COIN,
            [(MID - near, "0.002"), (MID - far, "1")],
            [(MID + near, "0.002"), (MID + far, "1")],
        )

    def fault(self, kind: str, after: int = 0, **options: Any) -> Any:
        """`kind`: a row of `chaos.FAULTS`; `options` as for `exchange.faults.arm`."""
        fault = self.exchange.faults.arm(kind.split()[0], after=after, **{**FAULTS[kind], **options})
        self._armed.append(fault)
        return fault

    def faults_end(self) -> None:
        for fault in self._armed:
            fault.disarm()
        self._armed.clear()

    def cut(self, refuse_seconds: float = 0.0) -> None:
        self.time.run(self.exchange.cut(refuse_seconds))

    def wait(self, ms: int) -> None:
        self.time.run(asyncio.sleep(ms / 1e3))

    def settle(self) -> None:
        """The faults end; in bounded time the connector is sure of everything, and right."""
        self.faults_end()
        self.wait(2_500)  # what nobody doubts is found by the audit
        waited = 2_500
        while left := self.judge.unsettled():
            assert waited < SETTLE_MS, f"not settled after {waited} ms without a fault: {left}"
            self.wait(100)
            waited += 100
        self.wait(2_500)
        differences = self.judge.unsettled() + self.judge.settled() + self._modifies_unanswered()
        assert not differences, differences

    def _modifies_unanswered(self) -> list[str]:
        """Each modify took effect or was refused, once; only the end of its order leaves one without a word."""
        found = []
        for order in self.judge.orders:
            told = self.judge.told.get(order.client_order_id, [])
            answers = told.count("OrderModified") + told.count("OrderModifyRejected")
            asked = self._modifies[order.client_order_id]
            if answers > asked or (answers < asked and not order.is_done):
                found.append(f"{order!r}: {asked} modifies were sent, and {answers} answered: {told}")
        return found

    def check(self) -> None:
        differences = self.judge.at_once()
        assert not differences, differences

    # -- the end ----------------------------------------------------------------------------------------------------
    def end(self) -> None:
        """Settled, then everything cancelled, and settled again: each order has its one end."""
        try:
            self.settle()
            self.check()
            self.cancel_all()
            self.settle()
            left = [order for order in self.judge.orders if not order.is_done]
            assert not left, f"cancelled, and not ended: {left}"
            self.exchange.engine.assert_conserved()
        finally:
            self.close()

    def close(self) -> None:
        try:
            if self._other is not None:
                self.time.run(self._other.disconnect())
            self.time.run(self.hl.disconnect())
            self.time.run(self.exchange.stop())
        finally:
            self.time.close()

    def __enter__(self) -> Life:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.end()
        else:
            self.close()
