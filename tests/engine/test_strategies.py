"""The shipped strategies: on a local exchange by its own record, over recordings with the same result each time, and what they
do not do: trade on prices that are stale, old or of different times."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

import hlfast
from hlfast import clock
from hlfast.cli.run import RunOptions, run_replay
from hlfast.core.events import (
    FundingPayment,
    OrderCancelled,
    OrderCreated,
    OrderFilled,
    PositionUpdate,
    Recovered,
    StreamStatus,
)
from hlfast.core.updates import Trade
from hlfast.engine import RiskLimits, Strategy, StrategyGroup, StrategyRunner
from hlfast.engine.strategies.lead_lag import LeadLag, Prices
from hlfast.engine.strategies.market_maker import MarketMaker
from hlfast.engine.strategies.momentum import Flow, Momentum
from hlfast.errors import ConfigError, OrderDenied
from hlfast.sim import SimExchange
from hlfast.types import OrderParams, TradeType
from hlfast.venues.hyperliquid.recorder import Recorder

NS = 1_795_569_900_000_000_000
MS = 1_000_000


# -- on a local exchange --------------------------------------------------------------------------------------------------
class Market:
    """A local exchange whose books the test makes, and one strategy on it."""

    def __init__(self, exchange: SimExchange, hl: Any, group: StrategyGroup) -> None:
        self.exchange, self.hl, self.group = exchange, hl, group
        self.turn = 0

    def book(self, coin: str, bid: float, spread: float, size: str = "5") -> None:
        """Both sides at a new price. A size that changes each time makes a frame of each."""
        self.turn += 1
        far = [(bid - 10 * spread, f"1.{self.turn % 10}"), (bid + 11 * spread, f"1.{self.turn % 10}")]
        self.exchange.engine.house.set_book(
            coin, bids=[(str(bid), size), (str(far[0][0]), far[0][1])], asks=[(str(bid + spread), size), (str(far[1][0]), far[1][1])]
        )  # fmt: skip

    def truth(self) -> dict[str, Any]:
        return self.exchange.truth(self.hl.account)

    async def until(
        self, check: Callable[[], Any], each: Callable[[], Any] = lambda: None, seconds: float = 20.0
    ) -> Any:
        """Wait until `check` holds, with `each` before each look."""
        deadline_ns = clock.monotonic_ns() + int(seconds * 1e9)
        while not (found := check()):
            assert clock.monotonic_ns() < deadline_ns, f"not so within {seconds} s: {self.truth()['orders']}"
            each()
            await asyncio.sleep(0.03)
        return found

    def agrees(self, strategy: Strategy) -> None:
        """The strategy's own figures are the exchange's: fills, fees, and what was realised."""
        figures, truth = self.group.figures()[strategy.order_prefix], self.truth()
        assert figures["fills"] == len(truth["fills"])
        assert figures["fees"].get("USDC", 0) == Decimal(truth["fees"].get("USDC", "0"))
        realized = sum(Decimal(row["closedPnl"]) for row in truth["fills"])
        assert abs(figures["realized_pnl"] - realized) < Decimal("0.00001") * max(1, len(truth["fills"]))
        held = {row["coin"]: row["size"] for row in figures["positions"] if row["size"]}
        assert held == {coin: Decimal(row["szi"]) for coin, row in truth["positions"].items()}


async def on_exchange(strategy: Strategy, work: Callable[[Market], Awaitable[None]], **options: Any) -> Market:
    async with SimExchange(
        **{"port": 0, "block_ms": 20, "traders": False, "book_interval_ms": 0, **options}
    ) as exchange:
        exchange.engine.house.set_book("BTC", bids=[("64990", "5")], asks=[("65000", "5")])
        exchange.engine.house.set_book("ETH", bids=[("3499", "50")], asks=[("3500", "50")])
        hl = hlfast.connect(exchange.network)
        group = StrategyGroup(hl, [strategy])
        market = Market(exchange, hl, group)
        async with hl:
            async with group:
                await work(market)
            assert not any(row.unattributed for row in await group.verify())
            market.agrees(strategy)
            assert [row for row in market.truth()["orders"] if row["status"] == "open"] == []
        return market


async def test_momentum_goes_with_one_sided_trades_and_leaves_after_its_time() -> None:
    """Given buyers who lift the price, then it buys at the touch, and sells all of it after `hold`."""
    strategy = Momentum(
        window=5.0, min_trades=4, min_move_bps=1, trade_value=650, hold=0.5, max_data_age=5.0, cooldown=60
    )
    price = [64990]

    async def work(market: Market) -> None:
        def lift() -> None:
            price[0] += 20
            market.book("BTC", price[0], 10)
            market.exchange.engine.house.take("BTC", "buy", "0.1")

        await market.until(lambda: market.truth()["fills"], lift)
        first = market.truth()["fills"][0]
        assert (first["side"], first["crossed"]) == ("B", True)
        await market.until(
            lambda: sum(row["side"] == "A" for row in market.truth()["fills"]) and not market.truth()["positions"],
            lambda: market.book("BTC", price[0], 10),
        )

    market = await on_exchange(strategy, work)
    fills = market.truth()["fills"]
    bought = sum(Decimal(row["sz"]) for row in fills if row["side"] == "B")
    assert bought == sum(Decimal(row["sz"]) for row in fills if row["side"] == "A")
    assert Decimal(640) < bought * 65000 < Decimal(660)
    assert strategy.markets["BTC"].entries == 1  # the cooldown holds


async def test_momentum_leaves_trades_on_both_sides_alone() -> None:
    strategy = Momentum(window=5.0, min_trades=4, min_move_bps=0, imbalance=0.9, max_data_age=5.0)

    async def work(market: Market) -> None:
        sides = ["buy", "sell"]

        def both() -> None:
            sides.reverse()
            market.book("BTC", 64990, 10)
            market.exchange.engine.house.take("BTC", sides[0], "0.1")

        await market.until(lambda: len(strategy.flows["BTC"].trades) > 20, both)

    market = await on_exchange(strategy, work)
    assert market.truth()["orders"] == []


async def test_lead_lag_takes_the_follower_when_the_leader_has_moved() -> None:
    """Given BTC 20 bps up and ETH not yet, then it buys ETH; given ETH has caught up, then it sells it again."""
    strategy = LeadLag(threshold_bps=10, lookback_ms=300, hold=30, max_data_age=5.0, cooldown=60, trade_value=700)
    btc, eth = [64990.0], [3499.0]

    async def work(market: Market) -> None:
        def quote() -> None:
            market.book("BTC", btc[0], 10)
            market.book("ETH", eth[0], 1, "50")

        await market.until(lambda: strategy.gap_bps() is not None, quote)
        btc[0] = 65120.0
        await market.until(lambda: market.truth()["positions"].get("ETH"), quote)
        assert Decimal(market.truth()["positions"]["ETH"]["szi"]) == Decimal("0.1999")  # 700 at the limit
        assert {row["coin"] for row in market.truth()["orders"]} == {"ETH"}
        eth[0] = 3510.0
        await market.until(lambda: not market.truth()["positions"], quote)

    market = await on_exchange(strategy, work)
    assert [row["side"] for row in market.truth()["fills"]] == ["B", "A"]
    assert Decimal(market.truth()["fills"][1]["closedPnl"]) > 1  # from 3500 to 3510


async def test_lead_lag_does_not_trade_on_a_follower_that_stands_still() -> None:
    """Issue 8.1: given ETH's stream silent while BTC moves 20 bps, then the two are of different times, and nothing is sent."""
    strategy = LeadLag(threshold_bps=5, lookback_ms=300, max_skew_ms=100, max_data_age=5.0)
    btc = [64990.0]

    async def work(market: Market) -> None:
        def quote() -> None:
            market.book("BTC", btc[0], 10)
            market.book("ETH", 3499, 1, "50")

        await market.until(lambda: strategy.gap_bps() is not None, quote)
        # the other's frames are kept back: as if its part of the feed hung
        market.exchange.frame_filter = lambda user, channel, text: '"ETH"' not in text
        skewed = strategy.skewed
        btc[0] = 65120.0
        await market.until(lambda: strategy.skewed > skewed + 20, quote)

    market = await on_exchange(strategy, work)
    assert market.truth()["orders"] == []


async def test_what_is_held_is_closed_at_the_stop_also_if_its_order_was_under_way() -> None:
    """Given a stop just after an order was sent, then its fill is waited for and taken back."""
    strategy = Momentum(max_data_age=5.0, hold=60, trade_value=650)

    async def work(market: Market) -> None:
        assert strategy.begin(strategy.markets["BTC"], True)

    market = await on_exchange(strategy, work, block_ms=80)
    assert [row["side"] for row in market.truth()["fills"]] == ["B", "A"] and not market.truth()["positions"]


async def test_the_market_maker_stays_within_its_limit_and_leaves_nothing_resting() -> None:
    """Given the background traders, when it quotes for a while, then its position never passes its limit, by the record."""
    strategy = MarketMaker(coins=("BTC",), quote_value=500, max_position_value=1500)

    async def work(market: Market) -> None:
        await market.until(lambda: len(market.truth()["fills"]) >= 8, seconds=60)

    market = await on_exchange(strategy, work, traders=True, seed=3, block_ms=50)
    held = Decimal(0)
    for row in market.truth()["fills"]:
        held += Decimal(row["sz"]) if row["side"] == "B" else -Decimal(row["sz"])
        assert abs(held) * Decimal(row["px"]) <= Decimal(1500) * Decimal("1.001")
        assert not row["crossed"]


async def test_three_strategies_on_one_connector_add_up_to_the_account() -> None:
    """All three at once on BTC and ETH, with traders, then the sum is the venue's account, fill for fill."""
    strategies = [
        MarketMaker(coins=("BTC", "ETH"), quote_value=300, max_position_value=900),
        Momentum(imbalance=0.2, min_trades=2, min_move_bps=0, hold=0.3, cooldown=0.1),
        LeadLag(threshold_bps="0.2", lookback_ms=200, hold=0.3, cooldown=0.1),
    ]
    async with SimExchange(port=0, block_ms=40, seed=11, book_interval_ms=0) as exchange:
        hl = hlfast.connect(exchange.network)
        group = StrategyGroup(hl, strategies)
        async with hl:
            async with group:
                for _ in range(1200):
                    await asyncio.sleep(0.05)
                    if all(figures["fills"] >= 2 for figures in group.figures().values()):
                        break
            rows = await group.verify()
            figures, truth = group.figures(), exchange.truth(hl.account)
    assert set(figures) == {"hlmm", "hlmom", "hllag"} and all(each["fills"] >= 2 for each in figures.values()), figures
    assert not any(row.unattributed or row.manual or row.before for row in rows)
    assert sum(each["fills"] for each in figures.values()) == len(truth["fills"])
    assert sum(each["fees"]["USDC"] for each in figures.values()) == Decimal(truth["fees"]["USDC"])
    held = {row.coin: row.account for row in rows if row.account}
    assert held == {coin: Decimal(row["szi"]) for coin, row in truth["positions"].items()}


@dataclass(kw_only=True, eq=False)
class Hand(Strategy):
    """Trades when the test says so."""

    coins: tuple[str, ...] = ("BTC",)


async def test_limits_hold_on_the_way_to_the_exchange_for_new_and_changed_orders() -> None:
    """Given a position limit, then what would pass it is refused before anything is sent: alone, in a batch, by a modify."""
    strategy = Hand(limits=RiskLimits(max_position_value=1300))

    async def work(market: Market) -> None:
        order = strategy.buy("BTC", "0.01", "60000", tif="Alo")
        assert await order.accepted()
        with pytest.raises(
            OrderDenied, match=r"strategy 'hand': BTC: with this order the position could be worth 1800"
        ):
            strategy.modify(order, size="0.03")
        assert strategy.modify(order, size="0.02")
        with pytest.raises(OrderDenied, match="worth 1860"):  # the larger one counts while it is not decided
            strategy.buy("BTC", "0.01", "62000", tif="Alo")
        await market.until(lambda: order.amount == Decimal("0.02"))
        with pytest.raises(OrderDenied, match="order 1 of 2"):
            strategy.place(
                [
                    OrderParams("BTC", "0.001", "70000", TradeType.SELL),
                    OrderParams("BTC", "0.01", "60000", TradeType.BUY),
                ]
            )
        assert market.group.books.accounts["hand"].reserved_lots("BTC", False) == 0
        strategy.cancel(order)
        await order.done()
        taken = strategy.buy("BTC", "0.02", "65000", tif="Ioc")
        await taken.done()
        with pytest.raises(OrderDenied, match="worth"):
            strategy.buy("BTC", "0.01", "65000", tif="Ioc")
        await strategy.sell("BTC", "0.02", "64990", tif="Ioc").done()

    market = await on_exchange(strategy, work)
    assert {row["coin"] for row in market.truth()["orders"]} == {"BTC"} and len(market.truth()["fills"]) == 2


async def test_funding_of_the_exchange_is_shared_out_to_the_last_cent() -> None:
    """Given a long and a short of different sizes, when the exchange pays funding, then their shares are its payment."""
    long, short = Hand(order_prefix="long"), Hand(order_prefix="short")
    async with SimExchange(port=0, block_ms=20, traders=False, book_interval_ms=0) as exchange:
        exchange.engine.house.set_book("BTC", bids=[("64990", "5")], asks=[("65000", "5")])
        hl = hlfast.connect(exchange.network)
        group = StrategyGroup(hl, [long, short])
        async with hl, group:
            await long.buy("BTC", "0.03", "65000", tif="Ioc").done()
            await short.sell("BTC", "0.01", "64990", tif="Ioc").done()
            await asyncio.sleep(0.2)
            exchange.engine.funding._next_hour_ms = exchange.engine.time_ms
            for _ in range(1000):
                await asyncio.sleep(0.02)
                if group.figures()["long"]["funding"]:
                    break
            (paid,) = exchange.truth(hl.account)["fundings"]
            amount = Decimal(paid["delta"]["usdc"])
            figures = group.figures()
            shares = [figures[name]["funding"] for name in ("long", "short")]
            assert amount and abs(shares[0] - amount * 3 / 2) < Decimal("1e-7") and shares[0] * shares[1] < 0
            rest = figures.get("manual", {"funding": Decimal(0)})["funding"]
            assert sum(shares) + rest == amount and abs(rest) < Decimal("1e-7")
            assert hl.ledger["funding"] == amount


async def test_the_sum_is_the_account_after_an_outage_with_fills() -> None:
    """G13, C3: given cuts while all three trade, then every fill found after them is its strategy's, by the exchange's record."""
    strategies = [
        MarketMaker(coins=("BTC", "ETH"), quote_value=300, max_position_value=900),
        Momentum(imbalance=0.2, min_trades=2, min_move_bps=0, hold=0.3, cooldown=0.1),
        LeadLag(threshold_bps="0.2", lookback_ms=200, hold=0.3, cooldown=0.1),
    ]
    async with SimExchange(port=0, block_ms=40, seed=13, book_interval_ms=0) as exchange:
        hl = hlfast.connect(exchange.network, settings=hlfast.Settings(backoff_min=0.05, backoff_max=0.2))
        group = StrategyGroup(hl, strategies)
        async with hl:
            async with group:
                for cut in range(1, 4):
                    for _ in range(600):
                        await asyncio.sleep(0.02)
                        if hl.ready and len(exchange.truth(hl.account)["fills"]) >= 4 * cut:
                            break
                    await exchange.cut(0.3)
                await hl.wait_ready(30)
                await asyncio.sleep(1.5)
            rows = await group.verify(20)
            figures, truth = group.figures(), exchange.truth(hl.account)
    assert truth["fills"] and sum(each["fills"] for each in figures.values()) == len(truth["fills"])
    assert not any(row.unattributed or row.manual or row.before for row in rows), rows
    assert sum(each["fees"].get("USDC", 0) for each in figures.values()) == Decimal(truth["fees"]["USDC"])
    held = {row.coin: row.account for row in rows if row.account}
    assert held == {coin: Decimal(row["szi"]) for coin, row in truth["positions"].items()}


@pytest.mark.parametrize(
    "hook", ["", "on_book", "on_bbo", "on_trade", "on_order", "on_fill", "on_position", "on_funding"]
)
async def test_only_what_is_overridden_is_subscribed_and_called(hook: str) -> None:
    """Issue 8.1: given one overridden hook, then the socket carries what that one needs, and the connector calls nothing else."""
    heard: list[str] = []
    members = {hook: lambda self, what: heard.append(hook)} if hook else {}
    strategy = type("OneHook", (Strategy,), members)(coins=("BTC",), order_prefix="one")
    events = (OrderCreated, OrderFilled, OrderCancelled, PositionUpdate, FundingPayment, StreamStatus, Recovered)
    async with SimExchange(port=0, block_ms=20, traders=False, book_interval_ms=0) as exchange:
        exchange.engine.house.set_book("BTC", bids=[("64990", "5")], asks=[("65000", "5")])
        hl = hlfast.connect(exchange.network)
        async with hl:
            before = {cls for cls in events if hl.bus.has(cls)}
            async with StrategyRunner(hl, strategy):
                market = hl.market.market("BTC")
                assert market.wanted == {"l2Book", "bbo"} | ({"trades"} if hook == "on_trade" else set())
                calls = {cls for cls in events if hl.bus.has(cls)} - before
                wanted = {
                    "on_order": {OrderCreated, OrderFilled, OrderCancelled}, "on_fill": {OrderFilled},
                    "on_position": {PositionUpdate}, "on_funding": {FundingPayment},
                }  # fmt: skip
                assert calls == wanted.get(hook, set())
                order = strategy.buy("BTC", "0.001", "65000", tif="Ioc")
                exchange.engine.house.take("BTC", "buy", "0.01")
                await order.done()
                for _ in range(500):
                    await asyncio.sleep(0.01)
                    if heard or hook in ("", "on_funding"):
                        break
            assert {cls for cls in events if hl.bus.has(cls)} == before
    assert set(heard) == ({hook} if hook not in ("", "on_funding") else set())


async def test_hooks_that_raise_or_block_or_cancel_take_nothing_from_the_others() -> None:
    """Behaviour 131: given a strategy that raises in every hook, one that blocks and one that cancels within a hook, then the
    fourth hears all that is its own, and the sum is the account."""

    @dataclass(kw_only=True, eq=False)
    class Raiser(Hand):
        def on_book(self, book: Any) -> None:
            raise RuntimeError("book")

        def on_fill(self, event: Any) -> None:
            raise RuntimeError("fill")

        def on_position(self, event: Any) -> None:
            raise RuntimeError("position")

    @dataclass(kw_only=True, eq=False)
    class Blocker(Hand):
        def on_fill(self, event: Any) -> None:
            until_ns = clock.monotonic_ns() + 100_000_000
            while clock.monotonic_ns() < until_ns:
                pass

    @dataclass(kw_only=True, eq=False)
    class Canceller(Hand):
        def on_order(self, event: Any) -> None:
            if isinstance(event, OrderCreated) and event.order.tif == "Alo":
                self.cancel(event.order)

    @dataclass(kw_only=True, eq=False)
    class Listener(Hand):
        def __post_init__(self) -> None:
            super().__post_init__()
            self.told: list[str] = []

        def on_order(self, event: Any) -> None:
            self.told.append(type(event).__name__)

        def on_position(self, event: Any) -> None:
            self.told.append(type(event).__name__)

    strategies = [Raiser(), Blocker(), Canceller(), Listener()]
    async with SimExchange(port=0, block_ms=20, traders=False, book_interval_ms=0) as exchange:
        exchange.engine.house.set_book("BTC", bids=[("64990", "5")], asks=[("65000", "5")])
        hl = hlfast.connect(exchange.network)
        group = StrategyGroup(hl, strategies)
        async with hl, group:
            resting = strategies[2].buy("BTC", "0.001", "60000", tif="Alo")
            orders = [strategy.buy("BTC", "0.001", "65000", tif="Ioc") for strategy in strategies]
            for order in [resting, *orders]:
                await order.done()
            rows = await group.verify(10)
            assert [figures["fills"] for figures in group.figures().values()] == [1, 1, 1, 1]
            assert [row.unattributed for row in rows] == [0] and rows[0].account == Decimal("0.004")
            assert resting.state.name == "CANCELLED" and hl.bus.handler_errors >= 1
    told = [name for name in strategies[3].told if name != "OrderStateChanged"]  # type: ignore[attr-defined]
    assert told == ["OrderCreated", "OrderFilled", "PositionUpdate", "OrderCompleted"]


async def test_a_connector_takes_one_group_after_another_and_nothing_piles_up() -> None:
    """Behaviour 132: given groups that are started and stopped under traffic, then tasks and handlers are as at the first."""
    async with SimExchange(port=0, block_ms=20, seed=3, book_interval_ms=0) as exchange:
        hl = hlfast.connect(exchange.network)
        counts = []
        async with hl:
            for _ in range(5):
                async with StrategyGroup(hl, [MarketMaker(coins=("BTC",)), Momentum(), LeadLag()]):
                    await asyncio.sleep(0.15)
                assert hl.orders == []
                markets = [hl.market.market(coin) for coin in ("BTC", "ETH")]
                handlers = sum(len(fns) for market in markets for fns in market.handlers.values())
                timers = sum(task.get_name() == "hlfast-strategy-timer" for task in asyncio.all_tasks())
                counts.append((handlers, timers, hl.bus.has(OrderFilled), hl.bus.has(FundingPayment)))
        assert counts == [(0, 0, False, False)] * 5


# -- over a recording -----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some seconds of BTC and ETH with trades, from a local exchange."""
    folder = tmp_path_factory.mktemp("recording")

    async def make() -> None:
        async with SimExchange(port=0, seed=5, block_ms=50) as exchange:
            recorder = Recorder(exchange.network, ["BTC", "ETH"], folder, trades=True)
            await recorder.start()
            for _ in range(1200):
                await asyncio.sleep(0.05)
                if recorder.tap.frames > 300:
                    break
            await recorder.stop()

    asyncio.run(make())
    (path,) = folder.glob("*.gz")
    return path


MADE: dict[str, Callable[[], Strategy]] = {
    "market_maker": lambda: MarketMaker(coins=("BTC", "ETH")),
    "momentum": lambda: Momentum(imbalance=0.2, min_trades=2, min_move_bps=0, hold=0.3, cooldown=0.1),
    "lead_lag": lambda: LeadLag(threshold_bps="0.2", lookback_ms=100, hold=0.3, cooldown=0.1),
}


@pytest.mark.parametrize("names", [*([name] for name in MADE), list(MADE)], ids=lambda names: "+".join(names))
def test_a_replay_gives_the_same_result_each_time(recording: Path, names: list[str]) -> None:
    """Issue 8.1."""
    results = [run_replay([MADE[name]() for name in names], [recording], RunOptions()).as_json() for _ in range(2)]
    assert results[0] == results[1]
    assert results[0]["orders"] >= len(names) and results[0]["replay"]["handler_errors"] == 0
    assert results[0]["differences"] == [] and results[0]["orders_left"] == []


def test_limits_hold_over_a_recording_too(recording: Path) -> None:
    """Issue 8.1: the same file, the same limits."""
    strategy = Momentum(
        imbalance=0.1, min_trades=1, min_move_bps=0, hold=0.2, cooldown=0, limits=RiskLimits(max_order_value=100)
    )
    result = run_replay([strategy], [recording], RunOptions())
    assert result.strategies["hlmom"]["refused"] > 0 and result.totals["orders"] == 0


def line(ms: int, channel: str, data: Any) -> bytes:
    return b"%d %s\n" % (NS + ms * MS, orjson.dumps({"channel": channel, "data": data}))


def book_line(ms: int, coin: str, bid: str, ask: str, size: str = "9.00001") -> bytes:
    levels = [[{"px": px, "sz": size, "n": 1}] for px in (bid, ask)]
    return line(ms, "l2Book", {"coin": coin, "time": NS // MS + ms, "levels": levels})


def trade_line(ms: int, tid: int, side: str, px: str, sz: str = "0.10001") -> bytes:
    row = {"coin": "BTC", "side": side, "px": px, "sz": sz, "time": NS // MS + ms, "hash": "0x0", "tid": tid}
    return line(ms, "trades", [row | {"users": ["0x" + "1" * 40, "0x" + "2" * 40]}])


def frames_file(tmp_path: Path, *lines: bytes) -> Path:
    path = tmp_path / "x_20261125T011500.000Z.gz"
    path.write_bytes(gzip.compress(b"".join(lines)))
    return path


def test_momentum_over_a_made_recording_takes_and_closes_at_known_prices(tmp_path: Path) -> None:
    """Five buys from 60000 to 60040; bought at the ask of that moment, sold at the bid 1 s later: to the cent."""
    lines = [book_line(0, "BTC", "59990", "60000")]
    for n in range(5):
        lines += [
            book_line(100 * n + 50, "BTC", str(59990 + 10 * n), str(60000 + 10 * n)),
            trade_line(100 * n + 60, n + 1, "B", str(60000 + 10 * n)),
        ]
    lines += [book_line(500 + 100 * n, "BTC", "60060", "60070") for n in range(30)]
    strategy = Momentum(window=2.0, min_trades=5, min_move_bps=5, trade_value=6000, hold=1.0, cooldown=60)
    result = run_replay([strategy], [frames_file(tmp_path, *lines)], RunOptions())
    figures = result.strategies["hlmom"]
    # 6000 / 60070 (the limit: 5 bps through the ask of 60040) = 0.09988, bought at 60040, sold at 60060
    assert figures["fills"] == 2 and figures["positions"][0]["size"] == 0
    assert figures["realized_pnl"] == Decimal("0.09988") * 20
    assert figures["fees"]["USDC"] == (Decimal("0.09988") * (60040 + 60060) * Decimal("0.00045")).quantize(
        Decimal("1e-6")
    )


def test_lead_lag_over_a_made_recording_goes_with_the_leader_both_ways(tmp_path: Path) -> None:
    """BTC falls 20 bps while ETH stands: sold at the bid; ETH follows: bought back at the ask."""
    lines = []
    for n in range(60):
        btc = 60000 if n < 20 else 59880
        eth = 3000 if n < 30 else 2994
        lines += [
            book_line(50 * n, "BTC", str(btc - 5), str(btc + 5)),
            book_line(50 * n + 1, "ETH", str(eth - 1), str(eth + 1)),
        ]
    strategy = LeadLag(threshold_bps=10, lookback_ms=500, trade_value=3000, hold=60, cooldown=60, stop_bps=500)
    result = run_replay([strategy], [frames_file(tmp_path, *lines)], RunOptions())
    figures = result.strategies["hllag"]
    assert figures["fills"] == 2 and figures["positions"][0]["size"] == 0 and figures["positions"][0]["coin"] == "ETH"
    size = figures["volume"] / (2999 + 2995)
    assert figures["realized_pnl"] == size * 4 and Decimal("0.99") < size < Decimal("1.01")


# -- what is not to be traded on --------------------------------------------------------------------------------------------
def mids(connector: Any, btc: float, eth: float) -> None:
    connector.quote("BTC", [(str(btc - 5), "1")], [(str(btc + 5), "1")])
    connector.quote("ETH", [(str(eth - 1), "9")], [(str(eth + 1), "9")])


@pytest.fixture
async def lag(connector: Any) -> Any:
    """Running on a connector whose clock goes 70 ms with each quote, with a full window of quiet prices."""
    strategy = LeadLag(threshold_bps=10, lookback_ms=280, max_skew_ms=100, timer_interval=60, trade_value=3000)
    mids(connector, 60000, 3000)
    runner = StrategyRunner(connector, strategy)
    await runner.start()
    for _ in range(5):
        mids(connector, 60000, 3000)
    assert strategy.gap_bps() == 0
    yield strategy
    connector.is_up = True
    connector.cancels_by_itself = True
    strategy.flatten = False
    await runner.stop(2)


def lead(connector: Any) -> None:
    """A move of the leader that is worth a trade."""
    mids(connector, 60120, 3000)


async def test_the_gap_of_aligned_prices_is_traded(connector: Any, lag: LeadLag) -> None:
    lead(connector)
    (order,) = connector.sent
    assert order.coin == "ETH" and order.is_buy and order.tif == "Ioc"
    assert Decimal(3001) <= order.price <= Decimal("3002.6")


async def test_prices_of_different_times_are_not_compared(connector: Any, lag: LeadLag) -> None:
    """Given the leader 70 ms ahead, then its new price does not count yet; 140 ms ahead, then nothing is compared; given the
    follower's price of that time, then it is looked at."""
    connector.quote("BTC", [("60115", "1")], [("60125", "1")])
    assert lag.gap_bps() == 0 and connector.sent == []
    connector.quote("BTC", [("60116", "1")], [("60126", "1")])
    assert lag.gap_bps() is None and lag.skewed >= 1 and connector.sent == []
    connector.quote("ETH", [("2999", "9")], [("3001", "9")])
    assert len(connector.sent) == 1


async def test_a_stale_book_an_old_price_and_a_lost_account_trade_nothing(connector: Any, lag: LeadLag) -> None:
    """L18."""
    connector.books["BTC"].mark_stale("silent")
    connector.bbos["ETH"].time_ms += 1
    lag.on_bbo(connector.bbos["ETH"])
    assert not lag.may_begin(lag.leader) and connector.sent == []
    connector.is_up = False
    lead(connector)
    assert connector.sent == []
    connector.is_up = True
    lag.max_data_age = 1e-9
    lead(connector)
    assert connector.sent == []


async def test_after_a_gap_nothing_is_compared_with_before(connector: Any, lag: LeadLag) -> None:
    """Given a move while the stream was down, then it is no lead: both windows fill anew."""
    for event in (
        StreamStatus("market", "DOWN", "cut"),
        Recovered(gap_ns=1, fills=0, orders=0, consistent=True),
    ):
        connector.bus.emit(event)
        lead(connector)
        assert lag.gap_bps() is None and connector.sent == []
        for _ in range(6):
            lead(connector)
        assert lag.gap_bps() == 0 and connector.sent == []


async def test_trades_of_long_ago_that_a_subscription_begins_with_are_no_flow(connector: Any) -> None:
    """Given a burst of buys a minute older than the book, then nothing; given the same burst now, then it goes along."""
    strategy = Momentum(min_trades=3, min_move_bps=0, timer_interval=60, flatten=False)
    connector.quote("BTC", [("64990", "1")], [("65000", "1")])
    runner = StrategyRunner(connector, strategy)
    await runner.start()
    for age_ms, sent in ((60_000, 0), (0, 1)):
        for n in range(3):
            time_ms = connector.bbos["BTC"].time_ms - age_ms
            trade = Trade(
                coin="BTC", price=65000 + n, amount=1, sz_decimals=5, is_buy=True, tid=age_ms + n, time_ms=time_ms
            )
            for handler in connector.handlers["trade", "BTC"]:
                handler(trade)
        assert len(connector.sent) == sent
    connector.cancels_by_itself = True
    await runner.stop(2)


def test_a_hole_in_the_prices_starts_them_anew() -> None:
    prices = Prices(span_ms=300, max_hole_ms=1000)
    for time_ms, price in ((0, 10), (100, 11), (100, 12), (50, 99)):
        prices.add(time_ms, price)
    assert (prices.at(99), prices.at(100), prices.at(-1), prices.newest_ms) == (10, 12, 0, 100)
    prices.add(1200, 20)
    assert prices.at(1199) == 0 and prices.at(1200) == 20
    for time_ms in range(1300, 5000, 100):
        prices.add(time_ms, time_ms)
    assert len(prices.samples) == 4 and prices.at(4900 - 300) == 4600


def test_a_flow_counts_its_window_and_forgets_own_trades() -> None:
    flow = Flow(1000)

    def trade(time_ms: int, tid: int, size: int, px: int, is_buy: bool) -> Trade:
        return Trade(coin="BTC", price=px, amount=size, sz_decimals=0, is_buy=is_buy, tid=tid, time_ms=time_ms)

    for made in (trade(0, 1, 3, 100, True), trade(500, 2, 1, 101, False), trade(900, 3, 4, 102, True)):
        flow.add(made)
    assert (flow.bought, flow.sold, flow.imbalance) == (7, 1, 0.75) and flow.move_bps == 200
    flow.drop(3)
    assert (flow.bought, flow.sold) == (3, 1)
    flow.add(trade(1200, 4, 1, 103, True))
    assert (flow.bought, flow.sold, len(flow.trades)) == (1, 1, 2)
    flow.add(trade(100, 5, 9, 90, True))  # older than the window: gone at once, once it is first
    flow.expire(3000)
    assert (flow.bought, flow.sold, flow.imbalance, flow.move_bps) == (0, 0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: LeadLag(coins=("BTC",)), "expected two: the one that leads"),
        (lambda: LeadLag(coins=("BTC", "BTC")), "same instrument"),
        (lambda: Momentum(trade_value=5), "expected at least BTC's minimum of 10"),
        (lambda: Momentum(imbalance=1.5), "of at most 1|above 0 and of at most 1"),
    ],
)
async def test_what_cannot_work_is_refused_before_it_starts(
    connector: Any, make: Callable[[], Strategy], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        await StrategyRunner(connector, make()).start()
