"""Several strategies on one connector: whose fill, whose money, whose limit; and their sum against the account."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hlfast import clock
from hlfast.config import RiskLimits
from hlfast.core.events import FundingPayment, OrderEvent, OrderFilled, PositionUpdate
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.updates import OrderUpdate, TradeUpdate
from hlfast.engine import Strategy, StrategyGroup, StrategyRunner
from hlfast.engine.journal import Journal
from hlfast.engine.strategy import cloid_tag
from hlfast.engine.strategy_account import StrategyAccount
from hlfast.engine.strategy_books import PastFill, PastFunding, StrategyBooks
from hlfast.errors import ConfigError, OrderDenied, OrdersLeft
from hlfast.types import OrderParams, OrderState, TradeType


@dataclass(kw_only=True, eq=False)
class Quiet(Strategy):
    """Trades when the test says so, and keeps what it hears."""

    coins: tuple[str, ...] = ("BTC", "ETH")
    heard: list[Any] = field(default_factory=list)

    def on_fill(self, event: OrderFilled) -> None:
        self.heard.append(("fill", event.fill.amount))

    def on_position(self, event: PositionUpdate) -> None:
        self.heard.append(("position", event.coin, event.position.signed_size))

    def on_funding(self, event: FundingPayment) -> None:
        self.heard.append(("funding", event.amount))


def two(**limits: int) -> tuple[Quiet, Quiet]:
    return Quiet(order_prefix="a", limits=RiskLimits(**limits)), Quiet(order_prefix="b")


def filled(connector: Any, order: InFlightOrder, size: str | None = None) -> None:
    if not order.was_created:
        connector.ack(order)
    connector.fill(order, size or str(order.amount))


async def test_each_fill_is_its_strategys_and_opposite_positions_stay_apart(connector: Any) -> None:
    """Given a long and a short of the same size, then the account is flat, and each has its own position and PnL."""
    a, b = two()
    connector.quote("BTC", [("65990", "1")], [("66010", "1")])
    async with StrategyGroup(connector, [a, b]) as group:
        filled(connector, a.buy("BTC", "0.01", "65000"))
        filled(connector, b.sell("BTC", "0.01", "67000"))
        figures = group.figures()
        assert a.position_lots("BTC") == 1000 and b.position_lots("BTC") == -1000
        assert connector.positions["BTC"].is_flat
        assert figures["a"]["unrealized_pnl"] == figures["b"]["unrealized_pnl"] == 10
        assert figures["a"]["fees"] == {"USDC": Decimal("0.01")} and figures["a"]["net_pnl"] == Decimal("9.99")
        (row,) = await group.verify(0)
        assert row.strategies == {"a": Decimal("0.01"), "b": Decimal("-0.01")} and row.unattributed == 0
        # when the long one closes, what it realises is by its own entry, whatever the venue says of the account's
        filled(connector, a.sell("BTC", "0.01", "66000"))
        assert group.figures()["a"]["realized_pnl"] == 10 and group.figures()["b"]["realized_pnl"] == 0


async def test_the_venues_word_of_what_a_fill_closed_is_not_taken_for_one_of_several(connector: Any) -> None:
    """The account's closedPnl is of the sum: a strategy's own entry decides."""
    books = StrategyBooks(connector, list(two()))
    for buy, price, start, closed in ((True, 100, 0, 0), (False, 110, 1, 10)):
        fill = TradeUpdate(
            coin="BTC", tid=price, price=price, amount=1, sz_decimals=5, is_buy=buy, start_position=start, closed_pnl=closed
        )  # fmt: skip
        books.owner("a-1-1" if buy else "b-1-1", None).book_fill(fill)
    assert books.accounts["a"].realized_pnl == 0 and books.accounts["b"].realized_pnl == 0
    assert books.accounts["b"].size("BTC") == -1


async def test_what_nobody_placed_is_manual_and_what_no_fill_explains_is_told(connector: Any) -> None:
    """Given a position from before, an order by hand and a position that the venue made up, then each is named."""
    connector.position_book.start("ETH", 4, "2", "3000")
    a, b = two()
    async with StrategyGroup(connector, [a, b]) as group:
        filled(connector, a.buy("BTC", "0.01", "65000"))
        filled(connector, connector.buy("BTC", "0.02", "65000", client_order_id="hl-1-1"))
        rows = {row.coin: row for row in await group.verify(0)}
        assert (rows["BTC"].manual, rows["BTC"].unattributed) == (Decimal("0.02"), 0)
        assert (rows["ETH"].before, rows["ETH"].unattributed) == (2, 0)
        assert group.figures()["manual"]["fills"] == 1
        connector.position_book.reset("BTC", 5, "0.5", "65000")
        rows = {row.coin: row for row in await group.verify(0)}
        assert rows["BTC"].unattributed == Decimal("0.47") and "unattributed 0.47" in str(rows["BTC"])


async def test_hooks_hear_the_own_position_after_the_own_fill_and_the_own_share_of_funding(connector: Any) -> None:
    """Behaviour 135, of one strategy's share."""
    a, b = two()
    async with StrategyGroup(connector, [a, b]):
        filled(connector, a.buy("BTC", "0.03", "65000"))
        filled(connector, b.sell("BTC", "0.01", "65000"))
        connector.bus.emit(FundingPayment("BTC", Decimal("-0.2"), "0.0001", clock.wall_clock_ms() + 1000))
    assert a.heard == [
        ("fill", Decimal("0.03")), ("position", "BTC", Decimal("0.03")), ("funding", Decimal("-0.3"))
    ]  # fmt: skip
    assert b.heard == [
        ("fill", Decimal("0.01")), ("position", "BTC", Decimal("-0.01")), ("funding", Decimal("0.1"))
    ]  # fmt: skip


async def test_funding_is_shared_by_what_was_held_at_its_time(connector: Any) -> None:
    """Given a payment that is heard of after a later fill, then the later fill does not count; the rest is manual."""
    a, b = two()
    async with StrategyGroup(connector, [a, b]) as group:
        filled(connector, a.buy("BTC", "0.01", "65000"))
        at = connector._time_ms
        connector._time_ms += 1000
        filled(connector, b.buy("BTC", "0.05", "65000"))
        connector.bus.emit(FundingPayment("BTC", Decimal("-0.33333333"), "0", at + 1))
        assert group.figures()["a"]["funding"] == Decimal("-0.33333333") and group.figures()["b"]["funding"] == 0
        # three equal holders, an amount that does not divide
        filled(connector, connector.buy("BTC", "0.05", "65000", client_order_id="hl-1-1"))
        connector.bus.emit(FundingPayment("BTC", Decimal("0.1"), "0", at + 5000))
        figures = group.figures()
        assert sum(figures[name]["funding"] for name in ("a", "b", "manual")) == Decimal("0.1") - Decimal("0.33333333")


async def test_any_mix_of_fills_adds_up_to_the_account(connector: Any) -> None:
    """Given 300 random fills of two strategies and by hand, then sizes, fees and total PnL add up to the account's."""
    draw = random.Random(5)
    a, b = two()
    async with StrategyGroup(connector, [a, b]) as group:
        cash = Decimal(0)
        for n in range(300):
            price, size = str(draw.randint(64000, 66000)), f"{draw.randint(1, 50)}e-4"
            who = draw.choice([a, b, None])
            side = draw.choice(["buy", "sell"])
            if who is None:
                order = getattr(connector, side)("BTC", size, price, client_order_id=f"hl-{n}-1")
            else:
                order = getattr(who, side)("BTC", size, price)
            filled(connector, order)
            cash += (-1 if side == "buy" else 1) * Decimal(price) * Decimal(size)
        (row,) = await group.verify(0)
        assert row.unattributed == 0
        connector.quote("BTC", [("64990", "1")], [("65010", "1")])
        figures = group.figures()
        total = sum(f["realized_pnl"] + f["unrealized_pnl"] for f in figures.values())
        assert abs(total - (cash + row.account * 65000)) < Decimal("1e-30")
        assert sum(f["fees"]["USDC"] for f in figures.values()) == Decimal("3.00")


# -- limits -------------------------------------------------------------------------------------------------------------
async def test_a_limit_counts_what_is_reserved_at_send_and_booked_at_fill(connector: Any) -> None:
    """Issue 8.2: reserved at send, booked at fill, free again at the end; of the own orders only."""
    a, b = two(max_position_value=2000)
    connector.cancels_by_itself = False
    group = StrategyGroup(connector, [a, b])
    await group.start()
    account = group.books.accounts["a"]
    first = a.buy("BTC", "0.02", "65000")  # 1300 of 2000, not even acknowledged
    assert account.reserved_lots("BTC", True) == 2000
    with pytest.raises(OrderDenied, match="strategy 'a': BTC: with this order the position could be worth 2600"):
        a.buy("BTC", "0.02", "65000")
    assert b.buy("BTC", "1", "65000") in connector.sent  # another's limit is not its own
    a.sell("BTC", "0.02", "66000")  # the other side has its own room
    filled(connector, first, "0.01")
    assert (account.reserved_lots("BTC", True), account.positions["BTC"].signed_lots) == (1000, 1000)
    with pytest.raises(OrderDenied, match="worth 2600"):
        a.buy("BTC", "0.02", "65000")
    connector.end(first)
    assert account.reserved_lots("BTC", True) == 0
    a.buy("BTC", "0.02", "65000")  # 0.01 held and 0.02 ordered: 1950
    connector.cancels_by_itself = True
    assert await group.stop() == []


async def test_a_refused_order_reserves_nothing(connector: Any) -> None:
    """Given a batch of which the second is over the limit, or a connector that refuses, then nothing stays reserved."""
    a, b = two(max_order_value=1000)
    async with StrategyGroup(connector, [a, b]) as group:
        with pytest.raises(OrderDenied, match="max_order_value 1000"):
            a.buy("BTC", "0.02", "65000")
        connector.deny = OrderDenied("the account's limit")
        with pytest.raises(OrderDenied, match="the account"):
            a.buy("BTC", "0.01", "65000")
        connector.deny = None
        connector.fail_sends = True
        assert a.buy("BTC", "0.01", "65000").is_done
        assert group.books.accounts["a"].reserved_lots("BTC", True) == 0


async def test_limits_are_checked_while_news_are_told(connector: Any) -> None:
    """Given a fill whose handler orders more at once, then the fill is in the position already."""
    denied: list[str] = []

    @dataclass(kw_only=True, eq=False)
    class Greedy(Strategy):
        def on_fill(self, event: OrderFilled) -> None:
            try:
                self.buy("BTC", "0.02", "65000")
            except OrderDenied as error:
                denied.append(str(error))

    greedy = Greedy(coins=("BTC",), limits=RiskLimits(max_position_value=2000))
    async with StrategyGroup(connector, [greedy]):
        filled(connector, greedy.buy("BTC", "0.02", "65000"))
    assert len(denied) == 1 and "2600" in denied[0]


async def test_a_change_is_checked_with_the_others(connector: Any) -> None:
    """Given a modify that grows an order, then it reserves the larger of the two until it is decided."""
    account = StrategyAccount("a", RiskLimits(max_position_value=2000))
    order = InFlightOrder(
        client_order_id="a-1", coin="BTC", trade_type=TradeType.BUY, amount="0.01", price=65000, sz_decimals=5
    )
    larger = InFlightOrder(
        client_order_id="a-1", coin="BTC", trade_type=TradeType.BUY, amount="0.03", price=65000, sz_decimals=5
    )
    another = InFlightOrder(
        client_order_id="a-2", coin="BTC", trade_type=TradeType.BUY, amount="0.02", price=65000, sz_decimals=5
    )
    account.reserve(order, None)
    account.reserve(larger, None)
    assert account.reserved_lots("BTC", True) == 3000
    with pytest.raises(OrderDenied):
        account.reserve(another, None)
    account.forget_change("a-1")
    assert account.reserved_lots("BTC", True) == 1000
    account.forget(["a-1"])
    account.reserve(another, None)


async def test_limits_without_a_group_are_refused_and_a_connector_has_one_group(connector: Any) -> None:
    """Must not 31: a setting must not be accepted and ignored."""
    with pytest.raises(ConfigError, match="StrategyGroup"):
        StrategyRunner(connector, Quiet(limits=RiskLimits(max_order_value=5)))
    with pytest.raises(ConfigError, match="2 strategies have the order_prefix 'quiet'"):
        StrategyGroup(connector, [Quiet(), Quiet()])
    limited = [Quiet(order_prefix=name, limits=RiskLimits(max_order_value=5)) for name in "ab"]
    async with StrategyGroup(connector, limited[:1]):
        with pytest.raises(ConfigError, match="one group"):
            await StrategyGroup(connector, limited[1:]).start()
    assert connector.order_gate is None
    connector.asks_order_gate = False
    with pytest.raises(ConfigError, match="limits of strategies cannot be kept"):
        await StrategyGroup(connector, limited[:1]).start()


# -- starting and stopping ----------------------------------------------------------------------------------------------
async def test_nothing_is_left_registered_after_the_stop(connector: Any) -> None:
    """C7."""
    a, b = two(max_order_value=1000)
    async with StrategyGroup(connector, [a, b]):
        pass
    assert not any(connector.bus.has(cls) for cls in (OrderFilled, OrderEvent, FundingPayment, PositionUpdate))
    assert connector.order_gate is None and not any(connector.handlers.values())


async def test_leave_leaves_and_cancel_says_what_could_not_be_cancelled(connector: Any) -> None:
    a, b = two()
    async with StrategyGroup(connector, [a, b], on_stop="leave"):
        order = a.buy("BTC", "0.01", "65000")
    assert not order.is_done and not connector.cancels
    a, b = two()
    with pytest.raises(OrdersLeft) as caught:
        async with StrategyGroup(connector, [a, b], stop_timeout=0.05):
            left = b.buy("BTC", "0.01", "65000")
    # the order of the earlier run is a's as well: it is asked to go, and named
    assert {o.client_order_id for o in caught.value.orders} == {order.client_order_id, left.client_order_id}


async def test_one_that_cannot_start_stops_the_others(connector: Any) -> None:
    @dataclass(kw_only=True, eq=False)
    class Broken(Strategy):
        def on_start(self) -> None:
            raise RuntimeError("no")

    a, _ = two()
    connector.cancels_by_itself = True
    with pytest.raises(RuntimeError, match="no"):
        await StrategyGroup(connector, [a, Broken(coins=("BTC",))]).start()
    assert not a.may_trade and not connector.bus.has(OrderFilled)


# -- over a restart -----------------------------------------------------------------------------------------------------
async def test_an_order_of_an_earlier_run_is_known_by_its_cloid_alone(connector: Any) -> None:
    """Given no journal, when an order of the run before is adopted and filled late, then it is its strategy's."""
    a, b = two()
    cloid = "0x" + cloid_tag("a") + "0" * 23 + "1"
    connector.tracker.process_order_update(
        OrderUpdate(
            cloid=cloid, exchange_order_id=77, coin="BTC", new_state=OrderState.OPEN, status="open", side="B",
            px_e8=65000 * 10**8, orig_lots=1000, lots=1000, time_ms=1,
        )
    )  # fmt: skip
    connector.tracker.decimals_of = lambda coin: 5
    connector.cancels_by_itself = True
    async with StrategyGroup(connector, [a, b]) as group:
        (order,) = a.orders
        assert order.is_external and b.orders == []
        fill = TradeUpdate(
            coin="BTC", tid=5, exchange_order_id=77, cloid=cloid, price=65000, amount="0.01", sz_decimals=5, is_buy=True
        )
        connector.tracker.process_trade_update(fill)
        assert a.position_lots("BTC") == 1000 and group.figures()["a"]["fills"] == 1
        assert ("fill", Decimal("0.01")) in a.heard


@pytest.fixture
def open_journal(tmp_path: Path) -> Iterator[Callable[[], Journal]]:
    opened: list[Journal] = []

    def start() -> Journal:
        if opened:
            opened[-1].stop()
        opened.append(Journal(tmp_path / "j", network="simulator", account="0x1"))
        return opened[-1]

    yield start
    opened[-1].stop()


async def test_the_books_go_on_where_the_journal_ends(connector: Any, open_journal: Callable[[], Journal]) -> None:
    """G13: given fills and funding of a run, when the next one takes up its journal, then the figures are the same."""
    journal = open_journal()
    detach = journal.attach(connector.bus)
    a, b = two()
    group = StrategyGroup(connector, [a, b])
    async with group:
        for order in (a.buy("BTC", "0.03", "65000"), b.sell("BTC", "0.01", "66000"), a.sell("BTC", "0.01", "67000")):
            filled(connector, order)
        connector.bus.emit(FundingPayment("BTC", Decimal("-0.3"), "0.0001", clock.wall_clock_ms() + 1000))
        filled(connector, connector.buy("ETH", "1", "3000", client_order_id="hl-1-1"))
        before = group.figures()
    detach()
    # when
    again = StrategyGroup(connector, list(two()))
    again.take_up(open_journal())
    # then
    assert again.figures() == before
    assert before["a"]["funding"] == Decimal("-0.6") and before["b"]["funding"] == Decimal("0.3")
    with pytest.raises(ConfigError, match="before the connector is connected"):
        again.take_up(open_journal())
    again.books.detach()


async def test_history_is_booked_in_the_order_in_which_it_was_heard(connector: Any) -> None:
    """A late fill of a strategy's ended order counts, and a payment goes to who held at its time."""
    books = StrategyBooks(connector, list(two()))

    def fill(name: str, tid: int, size: str, time_ms: int, cloid: str | None = None) -> PastFill:
        made = TradeUpdate(
            coin="BTC", tid=tid, price=65000, amount=size, sz_decimals=5, is_buy=True, time_ms=time_ms, cloid=cloid
        )
        return PastFill(name, cloid, made)

    books.take_up(
        [
            fill("a-1-1", 1, "0.01", 10),
            fill("b-1-1", 2, "0.01", 30),
            PastFunding("BTC", Decimal("-0.1"), 20),
            fill("external-9", 3, "0.02", 40, "0x" + cloid_tag("b") + "0" * 24),
            fill("external-10", 4, "0.04", 50),
        ]
    )
    assert {name: account.size("BTC") for name, account in books.accounts.items()} == {
        "a": Decimal("0.01"),
        "b": Decimal("0.03"),
    }
    assert books.manual.size("BTC") == Decimal("0.04")
    assert books.accounts["a"].funding == Decimal("-0.1") and books.accounts["b"].funding == 0


async def test_place_names_every_order_and_forgets_a_refused_batch(connector: Any) -> None:
    a, b = two(max_order_value=1000)
    connector.cancels_by_itself = True
    async with StrategyGroup(connector, [a, b]) as group:
        with pytest.raises(OrderDenied):
            a.place([OrderParams("BTC", "1", "65000", TradeType.BUY)])
        (order,) = a.place([OrderParams("BTC", "0.001", "65000", TradeType.BUY)])
        assert order.cloid is not None and order.cloid[2:10] == cloid_tag("a")
        assert group.books.accounts["a"].reserved_lots("BTC", True) == 100
