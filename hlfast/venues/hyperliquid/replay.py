"""ReplayConnector: recorded frames behind `ConnectorBase`, and paper orders on them (layer 3, cold).

    connector = ReplayConnector(["hyperliquid_mainnet_20261125T011500.123Z.gz"])

    async def main():
        async with connector as hl, StrategyRunner(hl, MyStrategy()):
            await hl.finished()

    connector.run(main(), speed=0)                    # 1: recorded time, N: N times as fast, 0: no waiting

Frames go through the `Router` and `MarketData` of the live connector into the same books and handlers, and `hlfast.clock`
is at each frame's receive time. Orders go to no venue: `core/paper_matcher` states how they fill, `name` ends in `_paper`, and
reasons begin with "paper". `latency_ms` passes before an order, a change or a cancel arrives. A silence of `GAP_NS` makes the books
stale until their next frame. Instruments come from the recording's session file, else sizes are counted out of the frames.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import orjson

from hlfast import clock
from hlfast.core import events as ev
from hlfast.core.bus import EventBus
from hlfast.core.connector_base import ConnectorBase, Unsubscribe
from hlfast.core.frame_file import FrameFile
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.ledger import Ledger
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.order_ids import ClientOrderIds, Cloids
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.core.paper_matcher import PaperMatcher, displayed
from hlfast.core.position import Position, PositionBook
from hlfast.core.top_of_book import TopOfBook
from hlfast.core.trading_rule import TradingRule
from hlfast.core.updates import Trade, TradeUpdate
from hlfast.errors import ConfigError, NotReady, OrderDenied
from hlfast.net.replay_loop import ReplayLoop
from hlfast.types import ConnectorType, Number, OrderParams, OrderType, PositionAction, TradeType, Trigger
from hlfast.venues.hyperliquid.market_data import MarketData
from hlfast.venues.hyperliquid.metadata import Metadata
from hlfast.venues.hyperliquid.recorder import SESSION_SUFFIX
from hlfast.venues.hyperliquid.scan import Router

log = logging.getLogger("hlfast")
T = TypeVar("T")

GAP_NS = 10_000_000_000
"""As long as the live connector takes for a silent book."""
BOOK_PREFIX = b'{"channel":"l2Book"'
TICK_SECONDS = 0.1
MARKET_SLIPPAGE = 50  # basis points, as the live connector's default
TIFS = {"gtc": "Gtc", "alo": "Alo", "ioc": "Ioc", "frontendmarket": "Ioc"}


class ReplayConnector(ConnectorBase):
    """Plays `files` once, ordered by their first frames. Raises `ConfigError` if nothing in them can be played."""

    asks_order_gate = True

    def __init__(
        self,
        files: Sequence[str | Path],
        *,
        latency_ms: float = 0.0,
        taker_fee_bps: Number = "4.5",
        maker_fee_bps: Number = "1.5",
    ) -> None:
        if latency_ms < 0:
            raise ConfigError(f"latency_ms is 0 or more, got {latency_ms}")
        opened = [(next(iter(file), (0, b""))[0], file) for file in map(FrameFile, files)]
        self._playable = sorted((found for found in opened if found[0]), key=lambda found: found[0])
        self._files = [file for _, file in opened]
        if not self._playable:
            raise ConfigError(
                f"no frame to replay in {', '.join(map(str, files)) or 'no files'}: a line is TIME_NS FRAME"
            )
        self.first_ns = self._playable[0][0]
        self.gaps = self.unreadable_frames = self.handler_errors = 0
        self.metadata, self.rules_from, self.dropped_by_recorder = self._instruments()
        self.bus = EventBus()
        self.bus.on_error = self._on_handler_error
        self.tracker = ClientOrderTracker(self.bus)
        self.position_book = PositionBook(self.bus)
        self.own_ledger = Ledger()
        self.own_ledger.start(Decimal(0), {}, {})
        self.tracker.book = self._book
        self.tracker.decimals_of = lambda coin: self.metadata.size_decimals(coin).decimals
        self.router = Router()
        self.router.error_sink = self._on_unreadable
        self.router.on_handler_error = self._on_handler_error
        self.market = MarketData(self.router, lambda: None)
        self.matcher = PaperMatcher(
            self.tracker,
            self._held_lots,
            taker_fee_bps=Decimal(str(taker_fee_bps)),
            maker_fee_bps=Decimal(str(maker_fee_bps)),
        )
        self.ids, self.cloids = ClientOrderIds("paper"), Cloids()
        self._latency = latency_ms / 1e3
        self._coins: list[str] | None = None
        self._last_ns = 0
        self._played = 0
        self._started = self._up = self._over = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiters: set[asyncio.Future[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    # -- what is played ---------------------------------------------------------------------------------------------
    def run(self, work: Coroutine[Any, Any, T], speed: float = 0.0) -> T:
        """Run `work`, which uses this connector, in the recording's time; see `ReplayLoop` for `speed`."""
        return ReplayLoop(self.first_ns, speed).run(work)

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        """Of all files, in order; of files that overlap, merged by time."""
        if len(self._playable) == 1:
            return iter(self._playable[0][1])
        return heapq.merge(*(file for _, file in self._playable), key=lambda found: found[0])  # ties: the first file's

    def _deliver(self, frame: bytes, recv_ns: int) -> None:
        if self._last_ns and recv_ns - self._last_ns >= GAP_NS:
            self.gaps += 1
            self.market.mark_stale(f"no frame for {(recv_ns - self._last_ns) / 1e9:.1f} s in the recording")
        self._last_ns = recv_ns
        self._played += 1
        self.router.feed(frame, recv_ns)
        if self._waiters:
            self._wake()

    def _ended(self) -> None:
        self._over = True
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _until(self, is_so: Callable[[], bool]) -> None:
        while not is_so() and not self._over:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    @property
    def recorded_coins(self) -> list[str]:
        """Instruments of which the recording holds books, by their first frames. Reads the files once."""
        if self._coins is None:
            found: dict[str, None] = {}
            for _, file in self._playable:
                for _, frame in FrameFile(file.path):  # another pass: the figures are of the play
                    if frame.startswith(BOOK_PREFIX):
                        with contextlib.suppress(ValueError, TypeError, KeyError):
                            found.setdefault(str(orjson.loads(frame)["data"]["coin"]))
            self._coins = [coin for coin in found if coin in self.metadata.rules]
        return list(self._coins)

    async def finished(self) -> None:
        """Return when every frame has been played."""
        await self._until(lambda: False)

    def _instruments(self) -> tuple[Metadata, str, int]:
        """The rules, where they are from, and how many frames the recorder says it dropped."""
        newest: dict[Path, dict[str, Any]] = {}
        for first_ns, file in self._playable:
            found: tuple[int, Path, dict[str, Any]] | None = None
            for path in sorted(file.path.parent.glob(f"*{SESSION_SUFFIX}")):
                try:
                    session = orjson.loads(path.read_bytes())
                    started_ns = int(session["started_ns"])
                except (OSError, ValueError, TypeError, KeyError):
                    log.warning("replay: the session file %s cannot be read", path)
                    continue
                same_source = path.name.split("_2", 1)[0] == file.path.name.split("_2", 1)[0]
                if same_source and (found[0] if found else 0) <= started_ns <= first_ns:
                    found = started_ns, path, session
            if found is not None:
                newest[found[1]] = found[2]
        if newest:
            path, session = list(newest.items())[-1]
            dropped = sum(int(said.get("dropped", 0)) for said in newest.values())
            return Metadata.from_json(session.get("meta"), session.get("spotMeta")), str(path), dropped
        return Metadata(self._counted_rules(), {}, []), "counted out of the frames' sizes: no session file", 0

    def _counted_rules(self) -> list[TradingRule]:
        """As many decimals as the longest size of a coin has: enough to read every frame, a guess for placing orders."""
        decimals: dict[str, int] = {}
        for _, file in self._playable:
            for _, frame in FrameFile(file.path):  # another pass: the figures are of the play
                try:
                    for coin, size in _sizes(orjson.loads(frame)):
                        decimals[coin] = max(decimals.get(coin, 0), len(size.partition(".")[2].rstrip("0")))
                except (ValueError, TypeError, KeyError, AttributeError):
                    continue
        return [
            TradingRule(coin, sz_decimals=n, asset=at, is_perpetual=not coin.startswith("@") and "/" not in coin)
            for at, (coin, n) in enumerate(sorted(decimals.items()))
        ]

    def report(self) -> dict[str, Any]:
        """What was played, what was wrong with it, and what the paper orders came to."""
        return {
            "frames": self._played,
            "first_ns": self.first_ns,
            "last_ns": self._last_ns,
            "files": [file.report() for file in self._files],
            "gaps": self.gaps,
            "unreadable_frames": self.unreadable_frames,
            "handler_errors": self.handler_errors,
            "dropped_by_recorder": self.dropped_by_recorder,
            "instruments": self.rules_from,
            "paper_fills": self.matcher.fills,
            "positions": {coin: str(size) for coin, size in sorted(self.own_ledger.positions.items())},
            "cash": str(self.own_ledger.cash),
            "fees": {token: str(fee) for token, fee in self.own_ledger.fees.items()},
        }

    # -- identity and life ------------------------------------------------------------------------------------------
    @property
    def name(self) -> str:
        return "hyperliquid_replay_paper"

    @property
    def domain(self) -> str:
        return self.name

    @property
    def connector_type(self) -> ConnectorType:
        return ConnectorType.DERIVATIVE_PERPETUAL

    async def initialize(self) -> None:
        """The instruments are there since the constructor."""

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, ReplayLoop):
            raise ConfigError("a replay makes its own time: run it with `connector.run(main())`")
        if self._up:
            return
        self.bus.task_factory = self._spawn
        self.tracker.waiter_factory = loop.create_future
        self.tracker.timer_factory = loop.call_later
        self.tracker.waker = lambda future, value: None if future.done() else future.set_result(value)
        self._up = True
        if not self._started:
            self._started = True
            loop.play(self._frames(), self._deliver, self._ended)
        self._tick()

    async def disconnect(self) -> None:
        self._up = False
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        self.tracker.release_waiters()

    def _tick(self) -> None:
        """The tracker's own time limits, ten times a second of the recording."""
        self.tracker.tick(clock.epoch_ns())
        if not self._over:
            self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)

        def done(ended: asyncio.Task[Any]) -> None:
            self._tasks.discard(ended)
            if not ended.cancelled() and (error := ended.exception()) is not None:
                self._on_handler_error(work, error)

        task.add_done_callback(done)
        return task

    async def wait_ready(self, timeout: float | None = None) -> None:
        """`timeout` is not needed: the recording ends. Raises `NotReady` if it ends before the books are there."""
        await self._until(lambda: self.ready)
        if not self.ready:
            raise NotReady(f"the recording is over, and these were never all fresh: {', '.join(self.market.coins)}")

    @property
    def is_connected(self) -> bool:
        return self._up

    @property
    def ready(self) -> bool:
        wanted = [self.market.market(coin) for coin in self.market.coins]
        return self._up and all(
            (market.book.epoch > 0 and not market.book.is_stale) or "l2Book" not in market.wanted for market in wanted
        )

    @property
    def status(self) -> dict[str, Any]:
        return {"ready": self.ready, "over": self._over, "watched": self.market.coins, "counters": self.counters}

    @property
    def counters(self) -> dict[str, int]:
        return {
            **{f"market_{name}": count for name, count in self.router.counters.items()},
            **{f"tracker_{name}": count for name, count in self.tracker.counters.items()},
            "scan_errors": self.unreadable_frames,
            "handler_errors": self.handler_errors,
        }

    def _on_unreadable(self, kind: str, detail: str, excerpt: bytes) -> None:
        self.unreadable_frames += 1
        self.bus.emit(ev.ConnectorError(code=kind, text=detail, recv_ns=clock.epoch_ns()))

    def _on_handler_error(self, fn: Any, error: BaseException) -> None:
        self.handler_errors += 1
        if self.handler_errors & (self.handler_errors - 1) == 0:
            log.error("replay: a handler raised, %d times by now: %r", self.handler_errors, fn, exc_info=error)

    # -- market data ------------------------------------------------------------------------------------------------
    def watch(self, coin: str, *, book: bool = True, bbo: bool = True, trades: bool = False) -> None:
        rule = self.resolve(coin)
        is_new = rule.coin not in self.market.coins
        kinds = {kind for kind, on in (("l2Book", book), ("bbo", bbo), ("trades", trades)) if on}
        self.market.watch(rule, kinds)
        if (
            is_new
        ):  # ahead of every other handler: an order that a frame fills is filled before a strategy sees the frame
            market = self.market.market(rule.coin)

            def match(_: Any) -> None:
                self.matcher.on_market(market.book, market.bbo)

            self.market.add_handler(rule.coin, "l2Book", match)
            self.market.add_handler(rule.coin, "bbo", match)

    def unwatch(self, coin: str) -> None:
        self.market.unwatch(self.resolve(coin).coin)

    def book(self, coin: str) -> OrderBook:
        return self.market.market(self.resolve(coin).coin).book

    def bbo(self, coin: str) -> Bbo:
        return self.market.market(self.resolve(coin).coin).bbo

    def top(self, coin: str) -> TopOfBook:
        return self.market.top(self.resolve(coin).coin)

    def on_book(self, coin: str, fn: Callable[[OrderBook], object], *, conflate: bool = False) -> Unsubscribe:
        return self.market.add_handler(self.resolve(coin).coin, "l2Book", fn, conflate)

    def on_bbo(self, coin: str, fn: Callable[[Bbo], object], *, conflate: bool = False) -> Unsubscribe:
        return self.market.add_handler(self.resolve(coin).coin, "bbo", fn, conflate)

    def on_top(self, coin: str, fn: Callable[[TopOfBook], object], *, conflate: bool = False) -> Unsubscribe:
        return self.market.add_handler(self.resolve(coin).coin, "top", fn, conflate)

    def on_trade(self, coin: str, fn: Callable[[Trade], object]) -> Unsubscribe:
        return self.market.add_handler(self.resolve(coin).coin, "trades", fn)

    @property
    def trading_rules(self) -> Mapping[str, TradingRule]:
        return self.metadata.rules

    def resolve(self, coin: str) -> TradingRule:
        return self.metadata.resolve(coin)

    # -- paper orders -----------------------------------------------------------------------------------------------
    def buy(
        self, coin: str | OrderParams, size: Number | None = None, price: Number | None = None, **options: Any
    ) -> InFlightOrder:
        return self._submit(self._order(TradeType.BUY, coin, size, price, **options))

    def sell(
        self, coin: str | OrderParams, size: Number | None = None, price: Number | None = None, **options: Any
    ) -> InFlightOrder:
        return self._submit(self._order(TradeType.SELL, coin, size, price, **options))

    def place(self, orders: Sequence[OrderParams], *, grouping: str | None = None) -> list[InFlightOrder]:
        if grouping not in (None, "na"):
            raise ConfigError(f"the paper matcher knows no linked triggers; leave grouping out, got {grouping!r}")
        made = [self._order(params.side, params) for params in orders if params.side is not None]
        if len(made) != len(orders):
            raise ConfigError("side is needed: TradeType.BUY or TradeType.SELL")
        return [self._submit(order) for order in made]

    def _order(
        self,
        side: TradeType,
        coin: str | OrderParams,
        size: Number | None = None,
        price: Number | None = None,
        *,
        tif: str | None = None,
        reduce_only: bool = False,
        trigger: Trigger | None = None,
        rounding: str = "refuse",
        client_order_id: str | None = None,
        cloid: str | None = None,
        order_type: OrderType | None = None,
        position_action: PositionAction | None = PositionAction.NIL,
        expires_after_ms: int | None = None,
    ) -> InFlightOrder:
        """Checked as the live connector does; nothing is tracked yet."""
        if isinstance(coin, OrderParams):
            p = coin
            coin, size, price, tif, reduce_only, trigger = p.coin, p.size, p.price, p.tif, p.reduce_only, p.trigger
            rounding, client_order_id, cloid, order_type = p.rounding, p.client_order_id, p.cloid, p.order_type
            position_action = p.position_action
        if not self._up:
            raise NotReady("the replay is not connected")
        rule = self.resolve(coin)
        if size is None:
            raise ConfigError(f"{rule.coin}: size is needed")
        if trigger is not None or order_type in (OrderType.STOP_LIMIT, OrderType.STOP_MARKET):
            raise OrderDenied("paper orders have no triggers")
        if order_type is None:
            order_type = OrderType.MARKET if price is None else OrderType.LIMIT
        is_market = order_type is OrderType.MARKET
        if price is None and not is_market:
            raise ConfigError(f"{rule.coin}: a {order_type} order needs a price")
        default = "Ioc" if is_market else "Alo" if order_type is OrderType.LIMIT_MAKER else "Gtc"
        named = TIFS.get((tif or default).lower())
        if named is None or (is_market and named != "Ioc") or (order_type is OrderType.LIMIT_MAKER and named != "Alo"):
            raise ConfigError(f"{rule.coin}: tif {tif!r} does not go with a {order_type} order; one of Gtc, Alo, Ioc")
        if price is None:
            price, rounding_of_price = self._market_cap(rule, side), "nearest"
        else:
            rounding_of_price = rounding
        px_e8, lots = rule.price_e8(price, side, rounding_of_price), rule.lots(size, rounding)
        exact_price, exact_size = Decimal(px_e8).scaleb(-8), Decimal(lots).scaleb(-rule.sz_decimals)
        closes = reduce_only or position_action is PositionAction.CLOSE
        spared = closes or (named == "Ioc" and side is TradeType.SELL)
        if fault := rule.validate_order(exact_price, exact_size, reduce_only=spared):
            raise OrderDenied(f"{rule.coin}: {fault}")
        if client_order_id is not None and self.tracker.get_order(client_order_id) is not None:
            raise ConfigError(f"client_order_id {client_order_id!r} is in use already; every order needs its own")
        order = InFlightOrder(
            client_order_id=client_order_id or self.ids.next(),
            coin=rule.coin,
            trade_type=side,
            amount=exact_size,
            price=exact_price,
            cloid=cloid or self.cloids.next(),
            trading_pair=rule.trading_pair,
            asset=rule.asset,
            sz_decimals=rule.sz_decimals,
            tif=named,
            reduce_only=closes,
            order_type=order_type,
            position_action=position_action or PositionAction.NIL,
        )
        if self.order_gate is not None:
            self.order_gate(order)
        return order

    def _market_cap(self, rule: TradingRule, side: TradeType) -> Decimal:
        market = self.market.market(rule.coin)
        is_buy = side is TradeType.BUY
        opposite = displayed(market.book, market.bbo, not is_buy)
        if not opposite:
            raise NotReady(f"{rule.coin}: a market order needs a fresh book, and there is none")
        return (
            Decimal(opposite[0][0]).scaleb(-8) * (10_000 + (MARKET_SLIPPAGE if is_buy else -MARKET_SLIPPAGE)) / 10_000
        )

    def _submit(self, order: InFlightOrder) -> InFlightOrder:
        market = self.market.market(order.coin)  # raises for a coin that is not watched
        self.tracker.start_tracking(order)
        self.tracker.mark_submitted(order)
        self._later(lambda: self.matcher.arrive(order, market.book, market.bbo))
        return order

    def _later(self, fn: Callable[[], None]) -> None:
        """Arrival: after the latency; never inside the caller, whose own state is not settled yet."""
        asyncio.get_running_loop().call_later(self._latency, fn)

    def modify(
        self,
        order: InFlightOrder | str | int,
        *,
        price: Number | None = None,
        size: Number | None = None,
        rounding: str = "refuse",
    ) -> bool:
        found = self._find(order)
        if found is None:
            return False
        rule = self.resolve(found.coin)
        px_e8 = found.px_e8 if price is None else rule.price_e8(price, found.trade_type, rounding)
        lots = found.lots if size is None else rule.lots(size, rounding)
        if lots <= found.filled_lots:
            raise OrderDenied(f"{found.coin}: {found.filled_amount} are filled already; the new size has to be larger")
        if self.order_gate is not None and not found.is_done:
            self.order_gate(_changed(found, px_e8, lots - found.filled_lots))
        if not self.tracker.request_modify(found, px_e8, lots - found.filled_lots):
            return False
        market = self.market.market(found.coin)
        self._later(lambda: self.matcher.change(found, px_e8, market.book, market.bbo))
        return True

    def _find(self, order: InFlightOrder | str | int) -> InFlightOrder | None:
        if isinstance(order, InFlightOrder):
            return order
        if isinstance(order, int):
            return self.tracker.get_order_by_exchange_id(order)
        return self.get_order(order) or self.tracker.get_order_by_cloid(order)

    def cancel(self, order: InFlightOrder | str | int) -> bool:
        found = self._find(order)
        if found is None or not self.tracker.request_cancel(found):
            return False
        self._later(lambda: self.matcher.cancel(found))
        return True

    def cancel_all(self, coin: str | None = None) -> int:
        wire = None if coin is None else self.resolve(coin).coin
        return sum(self.cancel(order) for order in self.orders if wire in (None, order.coin))

    def generate_client_order_id(self) -> str:
        return self.ids.next()

    # -- account ----------------------------------------------------------------------------------------------------
    def _book(self, fill: TradeUpdate) -> ev.PositionUpdate | None:
        self.own_ledger.book_fill(fill)
        return self.position_book.book(fill)

    def _held_lots(self, coin: str) -> int:
        position = self.position_book.positions.get(coin)
        return position.signed_lots if position is not None else 0

    @property
    def positions(self) -> Mapping[str, Position]:
        return self.position_book.positions

    @property
    def balances(self) -> Mapping[str, Any]:
        return {}

    @property
    def ledger(self) -> dict[str, Any]:
        figures = self.own_ledger.figures()
        figures["realized_pnl"] = sum((p.realized_pnl for p in self.positions.values()), Decimal(0))
        return figures


def _changed(order: InFlightOrder, px_e8: int, leg_lots: int) -> InFlightOrder:
    """What a modify asks for, as an order of its own that is never tracked."""
    return InFlightOrder(
        client_order_id=order.client_order_id,
        coin=order.coin,
        trade_type=order.trade_type,
        amount=Decimal(leg_lots).scaleb(-order.sz_decimals),
        price=Decimal(px_e8).scaleb(-8),
        sz_decimals=order.sz_decimals,
        tif=order.tif,
        reduce_only=order.reduce_only,
    )


def _sizes(frame: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(coin, size text) of every level and trade of a frame."""
    channel, data = frame["channel"], frame["data"]
    if channel == "l2Book":
        yield from ((data["coin"], level["sz"]) for side in data["levels"] for level in side)
    elif channel == "bbo":
        yield from ((data["coin"], level["sz"]) for level in data["bbo"] if level)
    elif channel == "trades":
        yield from ((trade["coin"], trade["sz"]) for trade in data)
