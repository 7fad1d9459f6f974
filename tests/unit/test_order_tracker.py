"""ClientOrderTracker: finding orders, booking fills once, orders placed elsewhere, callbacks and threads."""

import functools
import random
import sys
import threading
from decimal import Decimal

import pytest

from hlfast.core import events as ev
from hlfast.core.updates import OrderUpdate, TradeUpdate
from hlfast.errors import ConfigError
from hlfast.types import EventType, OrderState

S = OrderState


# -- finding ----------------------------------------------------------------------------------------------------------
class CountingKey(int):
    """An id that counts how often it is compared."""

    compared = 0

    def __eq__(self, other):
        CountingKey.compared += 1
        return int(self) == other

    def __hash__(self):
        return hash(int(self))


def test_an_order_among_20_000_is_found_by_each_of_its_ids_without_a_scan(Desk):
    """Behaviour 19."""
    desk = Desk()
    orders = [desk.order(submitted=False) for _ in range(20_000)]
    for n, o in enumerate(orders):
        desk.tracker.acknowledge(o, 10**12 + n)
    for n in random.Random(1).sample(range(20_000), 500):
        assert desk.tracker.get_order_by_exchange_id(10**12 + n) is orders[n]
        assert desk.tracker.get_order(f"hl-{n + 1}") is desk.tracker.get_order_by_cloid(Desk.cloid(n + 1)) is orders[n]
    CountingKey.compared = 0
    assert desk.tracker.get_order_by_exchange_id(CountingKey(10**12 + 19_999)) is orders[-1]
    assert desk.tracker.get_order_by_exchange_id(CountingKey(5)) is None
    assert CountingKey.compared < 20
    assert desk.tracker.get_order("hl-0") is desk.tracker.get_order_by_cloid("0x00") is None


def test_the_active_count_follows_and_stopping_twice_is_harmless(Desk):
    """Behaviour 17."""
    desk = Desk()
    o = desk.order()
    counts = [desk.tracker.active_order_count]
    for _ in range(2):
        desk.tracker.stop_tracking(o.client_order_id)
        counts.append(desk.tracker.active_order_count)
    assert counts == [1, 0, 0] and desk.tracker.get_order("hl-1") is o
    desk.tracker.stop_tracking("never heard of")


@pytest.mark.parametrize("same", ["client_order_id", "cloid"])
def test_starting_a_known_id_raises_and_changes_nothing(Desk, same):
    """Behaviour 17, G1."""
    desk = Desk()
    first = desk.order()
    with pytest.raises(ConfigError, match="tracked already"):
        desk.order(**{same: getattr(first, same)})
    assert desk.tracker.active_orders == [first]
    assert desk.tracker.get_order("hl-2") is None and desk.tracker.get_order_by_cloid(Desk.cloid(2)) is None


def test_an_unknown_id_gives_none(Desk):
    """Behaviour 18."""
    desk = Desk()
    o = desk.order()
    assert desk.tracker.get_order(o.client_order_id) is o
    assert [
        desk.tracker.get_order("x"),
        desk.tracker.get_order_by_cloid("x"),
        desk.tracker.get_order_by_exchange_id(1),
    ] == [None] * 3


def test_fillable_orders_are_those_known_to_rest(Desk):
    """Behaviour 21."""
    desk = Desk()
    rests, partly, full, sent = (desk.order() for _ in range(4))
    for n, o in enumerate((rests, partly, full)):
        desk.tracker.acknowledge(o, n + 1)
    desk.tracker.process_trade_update(Desk.fill(partly, "0.4", 1, oid=2))
    desk.tracker.process_trade_update(Desk.fill(full, 1, 2, oid=3))
    assert sent.state is S.PENDING_SUBMIT
    assert desk.tracker.all_fillable_orders == {"hl-1": rests, "hl-2": partly}
    assert desk.tracker.all_fillable_orders_by_exchange_id == {1: rests, 2: partly}
    desk.tracker.all_fillable_orders.clear()
    assert len(desk.tracker.all_fillable_orders) == 2 and desk.tracker.active_orders == [rests, partly, sent]


def test_a_finished_order_is_found_until_the_stores_limits(Desk):
    """Behaviour 22."""
    desk = Desk(max_finished=3, retention_s=60)
    living, *ending = (desk.order() for _ in range(6))
    for n, o in enumerate(ending):
        desk.tracker.process_trade_update(Desk.fill(o, 1, n, oid=n + 1, recv_ns=10**9))
    assert desk.tracker.active_order_count == 1
    found = [desk.tracker.get_order(o.client_order_id) for o in ending]
    assert found == [None, None, *ending[2:]]
    assert [desk.tracker.get_order_by_cloid(o.cloid) for o in ending] == found
    assert [desk.tracker.get_order_by_exchange_id(n + 1) for n in range(5)] == found
    assert desk.kinds().count("OrderCompleted") == 5  # nothing was forgotten before it was told
    desk.tracker.tick(10**9 + 59 * 10**9)
    assert desk.tracker.get_order(ending[-1].client_order_id) is ending[-1]
    desk.tracker.tick(10**9 + 60 * 10**9)
    assert desk.tracker.get_order(ending[-1].client_order_id) is None
    assert desk.tracker.get_order(living.client_order_id) is living


def test_without_cleanup_a_finished_order_waits_for_stop_tracking(Desk):
    """Behaviour 22."""
    desk = Desk(max_finished=0)
    desk.tracker.set_auto_cleanup(False)
    o = desk.order()
    desk.tracker.process_trade_update(Desk.fill(o, 1, 1))
    assert desk.tracker.active_order_count == 0 and desk.tracker.get_order("hl-1") is o
    desk.tracker.stop_tracking("hl-1")
    assert desk.tracker.get_order("hl-1") is None


# -- fills ------------------------------------------------------------------------------------------------------------
def test_a_fill_is_booked_once_by_coin_trade_order_and_time(Desk):
    """Behaviour 121, G7, L51: a trade id alone is not unique."""
    desk = Desk()
    o = desk.order(amount=10)
    one = Desk.fill(o, 1, 5)
    assert [desk.tracker.process_trade_update(f) for f in (one, one, Desk.fill(o, 1, 5))] == [True, False, False]
    others = [
        Desk.fill(o, 1, 6),
        Desk.fill(o, 1, 5, time_ms=12),
        Desk.fill(o, 1, 5, oid=Desk.OID + 1),
        Desk.fill(o, 1, 5, coin="ETH"),
    ]
    assert all(desk.tracker.process_trade_update(f) for f in others)
    assert o.filled_amount == 5 and desk.count("fills_repeated") == 2 and desk.count("fills") == 5
    assert desk.kinds().count("OrderFilled") == 5


def test_twenty_thousand_fills_with_repeats_in_any_order_sum_exactly(Desk):
    """G7, L51."""
    rng = random.Random(11)
    desk = Desk()
    o = desk.order(amount=10**6)
    fills = [
        Desk.fill(o, Decimal(rng.randint(1, 5000)).scaleb(-3), n, price=rng.randint(1, 10**6)) for n in range(20_000)
    ]
    news = fills + rng.sample(fills, 1000)
    rng.shuffle(news)
    for each in news:
        desk.tracker.process_trade_update(each)
    assert o.filled_amount == sum(f.amount for f in fills)
    assert o.quote_amount == sum(f.amount * f.price for f in fills)
    assert desk.count("fills_repeated") == 1000


def test_coins_compare_exactly(Desk):
    """L52: kPEPE is not KPEPE."""
    desk = Desk()
    o = desk.order(coin="kPEPE")
    assert desk.tracker.process_trade_update(Desk.fill(o, "0.5", 1))
    assert desk.tracker.process_trade_update(Desk.fill(o, "0.5", 1, coin="KPEPE"))
    assert o.state is S.FILLED


def test_a_fill_above_the_amount_is_counted_and_reported(Desk):
    """Section 2, fill rule 6."""
    desk = Desk()
    o = desk.order()
    desk.tracker.process_trade_update(Desk.fill(o, "1.2", 1))
    assert (o.state, o.filled_amount, o.remaining_amount, o.query_due) == (S.FILLED, Decimal("1.2"), 0, True)
    assert desk.count("anomalies") == 1 and "more than was ordered" in next(
        e.text for e in desk.log if isinstance(e, ev.ConnectorError)
    )
    assert desk.kinds().count("OrderCompleted") == 1


def test_equality_is_exact_and_there_is_no_tolerance(Desk):
    """Section 2, fill rule 4; must not 16."""
    desk = Desk()
    o = desk.order(amount="1000000")
    desk.tracker.process_trade_update(Desk.fill(o, "999999.999", 1))
    assert o.state is S.PARTIALLY_FILLED
    desk.tracker.process_trade_update(Desk.fill(o, "0.001", 2))
    assert o.state is S.FILLED


def test_an_amount_of_0_means_unknown_and_never_completes_by_itself(Desk):
    """Section 2, fill rule 5."""
    desk = Desk()
    o = desk.order(amount=0)
    desk.tracker.process_trade_update(Desk.fill(o, 5, 1))
    assert (o.state, o.remaining_amount) == (S.PARTIALLY_FILLED, 0)
    desk.tracker.process_order_update(Desk.row(o, S.FILLED))
    assert o.state is S.FILLED and desk.kinds()[-1] == "OrderCompleted"


@pytest.mark.parametrize(("size", "last"), [("0.4", "OrderFilled"), ("1", "ConnectorError")])
def test_a_fill_after_a_refusal_is_booked_late_and_alarms(Desk, size, last):
    """G8: failed meant that the venue does not have it; whoever is told so must hear that it was wrong."""
    desk = Desk()
    o = desk.order()
    desk.tracker.reject(o, "no")
    desk.tracker.process_trade_update(Desk.fill(o, size, 1))
    late = next(e for e in desk.log if isinstance(e, ev.OrderFilled))
    assert late.is_late and o.filled_amount == Decimal(size) and o.state is S.FAILED
    assert desk.count("anomalies") == 1 and o.query_due and desk.count("fills_late") == 1
    assert len(desk.ends()) == 1


def test_all_filled_yet_cancelled_is_counted_and_alarms_also_while_the_end_waits(Desk):
    """Table note 8."""
    for left in (0, None):
        desk = Desk()
        o = desk.order()
        desk.tracker.acknowledge(o, Desk.OID)
        desk.tracker.process_order_update(Desk.row(o, S.CANCELLED, left=left, time_ms=20))
        desk.tracker.process_trade_update(Desk.fill(o, 1, 1))
        assert (o.state, o.filled_amount, desk.count("anomalies")) == (S.CANCELLED, 1, 1)
        assert desk.ends() == ["OrderCancelled"]


def test_a_size_off_the_lot_grid_is_kept_as_text_and_moves_no_lots(Desk):
    """Architecture 2.3: dust."""
    desk = Desk()
    o = desk.order()
    desk.tracker.process_trade_update(Desk.fill(o, "0.0000123", 1, fee="0.000000001"))
    assert (o.filled_amount, o.fills[0].amount) == (0, Decimal("0.0000123"))
    assert o.fees == {"USDC": Decimal("0.000000001")} and o.state is S.PARTIALLY_FILLED


def test_a_fill_in_finer_decimals_is_booked_in_the_orders_lots(Desk):
    """L54: one unit per field."""
    desk = Desk()
    o = desk.order()
    desk.tracker.process_trade_update(Desk.fill(o, "0.4", 1, sz_decimals=8))
    assert (o.filled_amount, o.state, o.quote_amount) == (Decimal("0.4"), S.PARTIALLY_FILLED, 40)


# -- orders placed elsewhere ------------------------------------------------------------------------------------------
def external_row(state: int, **fields) -> OrderUpdate:
    given = {
        "coin": "ETH",
        "exchange_order_id": 900,
        "status": "a row",
        "side": "A",
        "px_e8": 2000 * 10**8,
        "recv_ns": 1,
    }
    return OrderUpdate(**{**given, "new_state": state, "lots": 50, "orig_lots": 50, "time_ms": 10, **fields})


def test_an_order_placed_elsewhere_is_reported_and_never_counted_as_ours(Desk):
    """Section 2: an unknown id is reported as external, not lost."""
    desk = Desk()
    desk.tracker.decimals_of = {"ETH": 2}.__getitem__
    o = desk.tracker.process_order_update(external_row(S.OPEN))
    assert (o.is_external, o.side, o.amount, o.price, o.state) == (True, "A", Decimal("0.5"), 2000, S.OPEN)
    assert desk.tracker.external_orders == [o] and desk.tracker.get_order_by_exchange_id(900) is o
    assert desk.tracker.active_orders == [] and desk.tracker.active_order_count == 0 == len(
        desk.tracker.all_fillable_orders
    )
    assert desk.kinds() == ["OrderCreated", "OrderStateChanged"] and desk.count("external") == 1
    desk.tracker.process_trade_update(
        TradeUpdate(coin="ETH", tid=1, exchange_order_id=900, price=2000, amount="0.5", sz_decimals=2, is_buy=False)
    )
    assert o.state is S.FILLED and desk.tracker.external_orders == [] and desk.kinds()[-1] == "OrderCompleted"


def test_a_fill_of_an_order_placed_elsewhere_is_booked_in_its_own_decimals(Desk):
    """L51, L54: whatever the lookup of decimals does."""
    for lookup in (None, {}.__getitem__):
        desk = Desk()
        desk.tracker.decimals_of = lookup
        news = TradeUpdate(
            coin="X", tid=1, exchange_order_id=99, price=2, amount="2.5", sz_decimals=1, is_buy=True, time_ms=1
        )
        assert desk.tracker.process_trade_update(news) and not desk.tracker.process_trade_update(news)
        o = desk.tracker.get_order_by_exchange_id(99)
        assert (o.filled_amount, o.quote_amount, o.is_external, o.state) == (
            Decimal("2.5"),
            5,
            True,
            S.PARTIALLY_FILLED,
        )


def test_fills_that_name_no_order_are_all_booked(Desk):
    """G7: nothing is lost for want of an id."""
    desk = Desk()
    for tid in (1, 2, 3):
        assert desk.tracker.process_trade_update(
            TradeUpdate(coin="X", tid=tid, price=1, amount=1, is_buy=True, time_ms=1)
        )
    assert desk.count("fills") == 3 == desk.kinds().count("OrderFilled")


def test_an_answer_about_an_order_nobody_knows_is_not_taken_for_an_order(Desk):
    desk = Desk()
    assert desk.tracker.process_order_update(OrderUpdate(client_order_id="hl-9", new_state=S.OPEN)) is None
    assert desk.tracker.external_orders == []


def test_a_trigger_that_fires_is_told_as_a_change_without_a_new_state(Desk):
    """The venue's word `triggered`: the order goes on; after its end the word changes and tells nothing."""
    desk = Desk()
    o = desk.order()
    desk.tracker.process_order_update(Desk.row(o, S.OPEN, status="open"))
    desk.log.clear()
    desk.tracker.process_order_update(Desk.row(o, S.OPEN, status="triggered"))
    (event,) = desk.log
    assert type(event).__name__ == "OrderStateChanged" and event.old_state is event.new_state is S.OPEN
    desk.tracker.process_order_update(Desk.row(o, S.CANCELLED, status="canceled"))
    desk.log.clear()
    desk.tracker.process_order_update(Desk.row(o, S.OPEN, status="triggered"))
    assert "OrderStateChanged" not in desk.kinds() and o.state is S.CANCELLED


# -- callbacks --------------------------------------------------------------------------------------------------------
def test_one_update_gives_one_order_update_outside_the_lock(Desk):
    """Behaviour 24, must not 8: another thread gets in while the callback runs."""
    desk = Desk()
    o = desk.order()
    seen = []

    def callback(kind, copy, trade):
        worker = threading.Thread(target=desk.order, kwargs={"submitted": False})
        worker.start()
        worker.join(5)
        seen.append(
            (kind, copy.client_order_id, copy.state, trade, desk.tracker.get_order("hl-1") is o, worker.is_alive())
        )

    desk.tracker.set_event_callback(callback)
    desk.tracker.process_order_update(Desk.row(o, S.OPEN))
    desk.tracker.set_event_callback(None)
    updates = [s for s in seen if s[:2] == (EventType.ORDER_UPDATE, "hl-1")]
    assert updates == [(EventType.ORDER_UPDATE, "hl-1", S.OPEN, None, True, False)]


def test_the_callback_gets_the_plans_names_in_order_a_copy_and_the_fill(Desk):
    """Section 1: created, fills, then one end."""
    desk = Desk()
    told = []
    desk.tracker.set_event_callback(lambda kind, copy, trade: told.append((kind.name, copy, trade)))
    o = desk.order()
    desk.apply(o, "ack", Desk.fill(o, "0.4", 1), Desk.fill(o, "0.6", 2))
    names = [name for name, _, _ in told if name != "ORDER_UPDATE"]
    assert names == ["ORDER_CREATED", "ORDER_PARTIALLY_FILLED", "ORDER_FILLED", "ORDER_COMPLETED"]
    assert [t.amount for _, _, t in told if t is not None] == [Decimal("0.4"), Decimal("0.6")]
    assert all(copy is not o and copy.client_order_id == "hl-1" for _, copy, _ in told)
    with pytest.raises(ConfigError, match="callable"):
        desk.tracker.set_event_callback("print")


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_callback_that_raises_breaks_nothing(Desk, position):
    """Behaviour 131, G12, L120: in each position among three."""
    desk = Desk()
    heard: list = []
    reported: list = []
    desk.tracker.bus.on_error = lambda fn, error: reported.append(str(error))

    def bad(event):
        raise RuntimeError("mine")

    for n in range(3):
        desk.tracker.bus.on(ev.OrderFilled, bad if n == position else heard.append)
    desk.tracker.set_event_callback(lambda *_: 1 / 0)
    o = desk.order()
    desk.log.clear()
    reported.clear()
    assert desk.tracker.process_trade_update(Desk.fill(o, 1, 1))
    assert len(heard) == 2 and o.state is S.FILLED and desk.kinds()[-1] == "OrderCompleted"
    assert reported.count("mine") == 1 and reported.count("division by zero") == 4


def test_events_keep_their_order_when_a_handler_calls_back(Desk):
    """Behaviour 131, G11: a handler that cancels in created sees open first, then pending cancel."""
    desk = Desk()
    desk.tracker.bus.on(ev.OrderCreated, lambda event: desk.tracker.request_cancel(event.order))
    o = desk.order()
    desk.log.clear()
    desk.tracker.acknowledge(o, Desk.OID)
    assert desk.kinds() == ["OrderCreated", "OrderStateChanged", "OrderStateChanged"]
    assert [e.new_state for e in desk.log[1:]] == [S.OPEN, S.PENDING_CANCEL]


def test_events_keep_their_order_when_another_thread_brings_news_meanwhile(Desk):
    """G11: the end is told after what came before it, whoever tells."""
    desk = Desk()
    o = desk.order()
    desk.log.clear()

    def slow(event):
        other = threading.Thread(target=desk.tracker.process_trade_update, args=(Desk.fill(o, 1, 1),))
        other.start()
        other.join(1)

    desk.tracker.bus.on(ev.OrderCreated, slow)
    desk.tracker.acknowledge(o, Desk.OID)
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(0.2)
    check_order = ["OrderCreated", "OrderStateChanged", "OrderFilled", "OrderStateChanged", "OrderCompleted"]
    assert desk.kinds() == check_order


def test_a_handler_may_remove_itself_and_place_the_next_order(Desk):
    """Behaviour 131."""
    desk = Desk()
    placed = []

    def once(event):
        remove()
        placed.append(desk.order())

    remove = desk.tracker.bus.on(ev.OrderCompleted, once)
    for o in (desk.order(), desk.order()):
        desk.tracker.process_trade_update(Desk.fill(o, 1, int(o.cloid, 16)))
    assert len(placed) == 1 and desk.tracker.active_orders == placed


def test_an_interrupt_out_of_a_handler_loses_no_event(Desk):
    """G12: KeyboardInterrupt is let through; what it cut short is told with the next news."""
    desk = Desk()
    o, other = desk.order(), desk.order()
    desk.log.clear()

    def stop(event):
        remove()
        raise KeyboardInterrupt

    remove = desk.tracker.bus.on(ev.OrderCreated, stop)
    with pytest.raises(KeyboardInterrupt):
        desk.tracker.process_trade_update(Desk.fill(o, 1, 1))
    desk.tracker.acknowledge(other, 5)
    told = [type(e).__name__ for e in desk.log if e.order is o]
    assert told == ["OrderCreated", "OrderFilled", "OrderStateChanged", "OrderCompleted"]


# -- threads ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def switching():
    """Let threads switch as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def run_all(*jobs) -> None:
    """Run every job in its own thread, at the same time; raise what any of them raised."""
    errors: list = []
    start = threading.Barrier(len(jobs))

    def guarded(job):
        try:
            start.wait(10)
            job()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == [] and not any(thread.is_alive() for thread in threads)


def test_ten_threads_place_a_thousand_orders_while_ten_read(Desk, switching):
    """Behaviour 23: no lost update, no exception, and each order's events in their order."""
    desk = Desk()
    lock, running = threading.Lock(), [10]

    def writer(n: int):
        for k in range(100):
            number = n * 100 + k + 1
            o = Desk.untracked(number)
            desk.tracker.start_tracking(o)
            desk.tracker.mark_submitted(o)
            desk.tracker.acknowledge(o, number)
            for half in (1, 2):
                desk.tracker.process_trade_update(Desk.fill(o, "0.5", 2 * number + half, oid=number))
        with lock:
            running[0] -= 1

    def reader(n: int):
        while running[0]:
            for o in desk.tracker.active_orders:
                assert o.filled_amount <= 1 and not o.is_external
            assert len(desk.tracker.all_fillable_orders) <= 10 >= len(desk.tracker.all_fillable_orders_by_exchange_id)
            found = desk.tracker.get_order_by_exchange_id(n * 100 + 50)
            assert found is None or found.client_order_id == f"hl-{n * 100 + 50}"
            assert 0 <= desk.tracker.active_order_count <= 10 and desk.tracker.counters["anomalies"] == 0

    run_all(*(functools.partial(job, n) for job in (writer, reader) for n in range(10)))
    assert desk.tracker.active_order_count == 0 and desk.count("fills") == 2000
    told: dict[str, list[str]] = {}
    for event in desk.log:
        if not isinstance(event, ev.OrderStateChanged):
            told.setdefault(event.client_order_id, []).append(type(event).__name__)
    assert set(told) == {f"hl-{n + 1}" for n in range(1000)}
    assert all(v == ["OrderCreated", "OrderFilled", "OrderFilled", "OrderCompleted"] for v in told.values())
    assert all(desk.tracker.get_order(i).state is S.FILLED for i in told)


def test_the_same_fills_from_eight_threads_are_booked_once(Desk, switching):
    """G7: none lost, none double."""
    desk = Desk()
    o = desk.order(amount=10**6)
    fills = [Desk.fill(o, Decimal(n).scaleb(-3), n) for n in range(1, 1001)]
    booked: list[int] = []

    def deliver(seed: int):
        mine = random.Random(seed).sample(fills, len(fills))
        booked.append(sum(desk.tracker.process_trade_update(f) for f in mine))

    run_all(*(functools.partial(deliver, seed) for seed in range(8)))
    assert sum(booked) == 1000 == desk.kinds().count("OrderFilled")
    assert desk.count("fills") == 1000 and desk.count("fills_repeated") == 7000
    assert o.filled_amount == sum(f.amount for f in fills)


def test_contending_ends_from_many_threads_give_one_end(Desk, switching):
    """G5."""
    for seed in range(30):
        desk = Desk()
        o = desk.order()
        news = [
            "ack",
            Desk.row(o, S.OPEN, left=1000),
            Desk.fill(o, "0.4", 1),
            Desk.fill(o, "0.6", 2),
            Desk.row(o, S.FILLED, left=0),
            Desk.row(o, S.CANCELLED, left=600),
        ]
        random.Random(seed).shuffle(news)
        run_all(*(functools.partial(desk.apply, o, each) for each in news))
        desk.tracker.tick(1 + Desk.HOLD_NS)
        desk.check_ended(o, Decimal(1))
