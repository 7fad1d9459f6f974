"""The end of an order: one, after its fills, whatever comes in whatever order; bounded waits; proven absence."""

import itertools
from decimal import Decimal

import pytest

from hlfast.core import events as ev
from hlfast.types import OrderState

S = OrderState


# -- the one end, in every order of arrival -----------------------------------------------------------------------------
def doubled(news: tuple) -> tuple:
    return tuple(x for each in news for x in (each, each))


def replayed(news: tuple) -> tuple:
    return news + news


REPEATS = pytest.mark.parametrize("repeat", [tuple, doubled, replayed])


@REPEATS
def test_a_filled_order_completes_once_after_its_fills_in_every_order_of_arrival(Desk, repeat):
    """Behaviours 122 and 123, G2, G3, G5, L30, L53, L121: 120 orders of answer, open row, two fills and filled row."""
    for order in itertools.permutations(range(5)):
        desk = Desk()
        o = desk.order()
        news = (
            "ack",
            Desk.row(o, S.OPEN, left=1000),
            Desk.fill(o, "0.4", 1),
            Desk.fill(o, "0.6", 2, time_ms=12),
            Desk.row(o, S.FILLED, left=0, time_ms=12),
        )
        desk.apply(o, *repeat(tuple(news[i] for i in order)))
        desk.check_ended(o, Decimal(1))
        assert o.state is S.FILLED and desk.count("anomalies") == desk.count("fills_late") == 0
        assert [e.incomplete for e in desk.log if isinstance(e, ev.OrderCompleted)] == [False]
        assert [e.is_partial for e in desk.log if isinstance(e, ev.OrderFilled)] == [True, False]


@REPEATS
def test_a_cancelled_order_ends_once_after_its_fill_in_every_order_of_arrival(Desk, repeat):
    """G2, G4, G5, L29, L30: 24 orders of answer, open row, fill and canceled row."""
    for order in itertools.permutations(range(4)):
        desk = Desk()
        o = desk.order()
        news = (
            "ack",
            Desk.row(o, S.OPEN, left=1000),
            Desk.fill(o, "0.4", 1),
            Desk.row(o, S.CANCELLED, left=600, time_ms=12),
        )
        desk.apply(o, *repeat(tuple(news[i] for i in order)))
        desk.check_ended(o, Decimal("0.4"))
        assert o.state is S.CANCELLED and desk.count("anomalies") == desk.count("fills_late") == 0
        assert [e.incomplete for e in desk.log if isinstance(e, ev.OrderCancelled)] == [False]


@REPEATS
@pytest.mark.parametrize("with_cancel_request", [False, True])
def test_contradicting_rows_still_give_one_end_and_exact_sizes(Desk, repeat, with_cancel_request):
    """G5, G6, L29: 720 orders of answer, open row, two fills, filled row and canceled row."""
    for order in itertools.permutations(range(6)):
        desk = Desk()
        o = desk.order()
        if with_cancel_request:
            desk.tracker.request_cancel(o)
        news = (
            "ack", Desk.row(o, S.OPEN, left=1000), Desk.fill(o, "0.4", 1), Desk.fill(o, "0.6", 2), Desk.row(o, S.FILLED, left=0),
            Desk.row(o, S.CANCELLED, left=600),
        )  # fmt: skip
        desk.apply(o, *repeat(tuple(news[i] for i in order)))
        desk.tracker.tick(1 + Desk.HOLD_NS)
        desk.check_ended(o, Decimal(1))


@REPEATS
@pytest.mark.parametrize("total", [300, 1000])
def test_an_ioc_ends_by_its_answer_and_fills_in_every_order_of_arrival(Desk, repeat, total):
    """Fill rule 9: the venue sends no cancel row for the remainder; its last row says filled."""
    for order in itertools.permutations(range(5)):
        desk = Desk()
        o = desk.order(tif="Ioc")
        sizes = (Decimal("0.1"), Decimal(total).scaleb(-3) - Decimal("0.1"))
        news = (
            ("due", total),
            Desk.row(o, S.OPEN, left=1000),
            Desk.fill(o, sizes[0], 1),
            Desk.fill(o, sizes[1], 2),
            Desk.row(o, S.FILLED, left=0, time_ms=11),
        )
        desk.apply(o, *repeat(tuple(news[i] for i in order)))
        desk.check_ended(o, sum(sizes))
        assert desk.count("anomalies") == desk.count("incomplete_ends") == desk.count("fills_late") == 0
        if total == 1000:
            assert o.state is S.FILLED and desk.kinds().count("OrderCompleted") == 1
        else:
            assert o.state is S.CANCELLED and o.effective_amount == Decimal("0.3")
            assert [e.reason for e in desk.log if isinstance(e, ev.OrderCancelled)] == ["ioc_remainder"]


@REPEATS
def test_a_shrunk_reduce_only_order_ends_reduced_in_every_order_of_arrival(Desk, repeat):
    """Fill rule 9: the row's size is what will be filled; 120 orders of answer, open row, two fills and filled row."""
    for order in itertools.permutations(range(5)):
        desk = Desk()
        o = desk.order(reduce_only=True)
        news = (
            "ack",
            Desk.row(o, S.OPEN, left=400),
            Desk.fill(o, "0.1", 1),
            Desk.fill(o, "0.3", 2),
            Desk.row(o, S.FILLED, left=0, time_ms=11),
        )
        desk.apply(o, *repeat(tuple(news[i] for i in order)))
        if order.index(1) < min(order.index(2), order.index(3)):  # the size was known before the first fill
            assert o.is_done and desk.count("incomplete_ends") == 0
        desk.tracker.tick(1 + Desk.HOLD_NS)
        desk.check_ended(o, Decimal("0.4"))
        assert [e.reason for e in desk.log if isinstance(e, ev.OrderCancelled)] == ["reduced"]
        assert desk.count("anomalies") == desk.count("fills_late") == 0


def test_a_reduce_only_order_that_was_not_shrunk_completes(Desk):
    """Fill rule 9."""
    desk = Desk()
    o = desk.order(reduce_only=True)
    desk.apply(o, "ack", Desk.row(o, S.OPEN, left=1000), Desk.fill(o, 1, 1), Desk.row(o, S.FILLED, left=0, time_ms=11))
    assert o.state is S.FILLED and desk.kinds()[-1] == "OrderCompleted" and desk.count("anomalies") == 0


@pytest.mark.parametrize(
    ("tif", "hint_only"), [("Gtc", True), ("Alo", True), ("Ioc", False), ("FrontendMarket", False)]
)
def test_a_filled_answer_is_the_whole_for_an_ioc_and_a_hint_for_what_rests(Desk, tif, hint_only):
    """Section 5, step 2: a Gtc remainder stays open."""
    desk = Desk()
    o = desk.order(tif=tif)
    desk.apply(o, ("due", 400), Desk.fill(o, "0.4", 1))
    assert o.state is (S.PARTIALLY_FILLED if hint_only else S.CANCELLED)


# -- ends that wait for their fills -----------------------------------------------------------------------------------
def test_a_completion_waits_for_its_fills(Desk):
    """G3, L53: the filled row comes 4 s before the fills."""
    desk = Desk()
    o = desk.order()
    desk.tracker.process_order_update(Desk.row(o, S.FILLED, left=0))
    desk.tracker.tick(1 + Desk.HOLD_NS - 1)
    assert o.state is S.FILLED and not desk.ends()
    assert desk.tracker.active_order_count == 0
    desk.tracker.process_trade_update(Desk.fill(o, 1, 1))
    assert desk.kinds()[-2:] == ["OrderFilled", "OrderCompleted"] and not desk.log[-1].incomplete
    assert not desk.log[-2].is_late


@pytest.mark.parametrize("filled", ["0", "0.4"])
def test_a_completion_without_its_fills_is_bounded_and_says_so(Desk, filled):
    """G3, L53: it waits `hold_ms`, blocks nothing else, and the venue is asked."""
    desk = Desk(hold_ms=2_000)
    o, other = desk.order(), desk.order()
    desk.apply(o, Desk.row(o, S.FILLED, left=0), Desk.row(o, S.FILLED, left=0, recv_ns=1_900_000_000))
    if filled != "0":
        desk.tracker.process_trade_update(Desk.fill(o, filled, 1))
    desk.tracker.process_trade_update(Desk.fill(other, 1, 2, oid=5))
    assert other.is_done and desk.kinds().count("OrderCompleted") == 1
    desk.tracker.tick(2_000_000_001)
    assert desk.log[-1].order is o and desk.log[-1].incomplete and o.query_due
    assert desk.count("incomplete_ends") == 1
    desk.tracker.process_trade_update(Desk.fill(o, 1 - Decimal(filled), 3))
    assert desk.log[-1].is_late and o.filled_amount == 1 and desk.count("anomalies") == 0
    desk.tracker.tick(10**15)
    assert desk.kinds().count("OrderCompleted") == 2 and desk.count("incomplete_ends") == 1


def test_a_cancel_waits_until_the_filled_size_agrees_with_the_venues_row(Desk):
    """G4."""
    desk = Desk()
    o = desk.order()
    desk.apply(o, "ack", Desk.row(o, S.CANCELLED, left=600, reason="marginCanceled"), Desk.fill(o, "0.1", 1))
    assert o.state is S.CANCELLED and "OrderCancelled" not in desk.kinds()
    desk.tracker.process_trade_update(Desk.fill(o, "0.3", 2))
    assert desk.kinds()[-2:] == ["OrderFilled", "OrderCancelled"]
    assert (desk.log[-1].reason, desk.log[-1].incomplete) == ("marginCanceled", False)


def test_a_cancel_whose_fills_do_not_come_is_told_incomplete(Desk):
    """G4."""
    desk = Desk()
    o = desk.order()
    desk.apply(o, "ack", Desk.row(o, S.CANCELLED, left=600))
    desk.tracker.tick(Desk.HOLD_NS)
    assert "OrderCancelled" not in desk.kinds()
    desk.tracker.tick(1 + Desk.HOLD_NS)
    assert desk.log[-1].incomplete and desk.kinds().count("OrderCancelled") == 1


def test_the_wait_of_an_ioc_is_not_made_longer_by_repeated_words(Desk):
    """G3."""
    desk = Desk()
    o = desk.order(tif="Ioc")
    for seconds in range(5):
        desk.tracker.process_order_update(Desk.row(o, S.FILLED, left=0, recv_ns=1 + seconds * 10**9))
    desk.tracker.process_trade_update(Desk.fill(o, "0.3", 1))
    assert o.state is S.PARTIALLY_FILLED and not o.is_done
    desk.tracker.tick(1 + Desk.HOLD_NS)
    assert (o.state, desk.log[-1].reason, desk.log[-1].incomplete) == (S.CANCELLED, "ioc_remainder", True)


@pytest.mark.parametrize(("total", "end"), [(1000, "OrderCompleted"), (300, "OrderCancelled")])
def test_an_ioc_whose_fills_do_not_come_ends_as_its_answer_said_and_incomplete(Desk, total, end):
    """Fill rules 7 and 9, G3."""
    desk = Desk()
    o = desk.order(tif="Ioc")
    desk.apply(o, ("due", total), Desk.fill(o, "0.1", 1))
    desk.tracker.tick(1 + Desk.HOLD_NS)
    assert desk.ends() == [end] and desk.log[-1].incomplete and o.query_due and o.filled_amount == Decimal("0.1")


def test_an_end_leaves_no_wait_behind(Desk):
    """G5."""
    desk = Desk()
    o = desk.order(tif="Ioc")
    desk.apply(o, Desk.row(o, S.FILLED, left=0), Desk.row(o, S.CANCELLED, left=1000))
    desk.tracker.tick(10**12)
    assert desk.kinds().count("OrderCancelled") == 1 and desk.count("incomplete_ends") == 0 and not o.query_due


def test_a_cancelled_leg_that_a_modify_replaced_is_no_end(Desk):
    """G16, L48: the old leg's cancel is hidden; a fill may promote the new one."""
    new = Desk.OID + 1
    news_of = {
        "cancel old": lambda o: Desk.row(o, S.CANCELLED, left=1000),
        "open new": lambda o: Desk.row(o, S.OPEN, left=1000, oid=new),
        "fill new": lambda o: Desk.fill(o, "0.4", 1, oid=new),
    }
    for order in itertools.permutations(news_of):
        if order[0] == "cancel old":
            continue  # without word of the new leg the cancel is the end; the connector knows that it asked to modify
        desk = Desk()
        o = desk.order()
        desk.apply(o, "ack", *(news_of[name](o) for name in order))
        assert o.state is S.PARTIALLY_FILLED and o.exchange_order_ids == (Desk.OID, new)
        desk.tracker.process_order_update(Desk.row(o, S.CANCELLED, left=600, oid=new))
        desk.check_ended(o, Decimal("0.4"))


def test_an_ended_order_is_not_modified_by_a_later_leg(Desk):
    """G5, G16: terminal states absorb; what comes after is counted or alarms."""
    for late in ("row", "fill"):
        desk = Desk()
        o = desk.order()
        desk.apply(o, "ack")
        assert desk.tracker.request_modify(o, 99 * 10**8, 500)
        desk.apply(o, Desk.fill(o, 1, 1))
        if late == "row":
            desk.apply(o, Desk.row(o, S.OPEN, left=500, of=500, oid=Desk.OID + 1, px_e8=99 * 10**8))
        else:
            desk.apply(o, Desk.fill(o, "0.2", 2, oid=Desk.OID + 1))
        assert (o.amount, o.price, o.state) == (1, 100, S.FILLED) and "OrderModified" not in desk.kinds()
        assert desk.ends() == ["OrderCompleted"] and desk.count("anomalies") == (late == "fill")


def test_the_cancel_of_a_leg_whose_modify_failed_waits_for_its_fills(Desk):
    """G4."""
    desk = Desk()
    o = desk.order()
    desk.apply(o, "ack")
    assert desk.tracker.request_modify(o, 99 * 10**8, 500)
    desk.apply(o, Desk.row(o, S.CANCELLED, left=700))
    desk.tracker.modify_refused(o, "Error placing new order during modify", True)
    desk.apply(o, Desk.fill(o, "0.3", 1))
    assert desk.ends() == ["OrderCancelled"] and desk.kinds()[-1] == "OrderCancelled" and desk.count("fills_late") == 0


# -- cancels, doubts, absence -----------------------------------------------------------------------------------------
def test_a_refused_cancel_of_a_filled_order_is_one_event_and_changes_nothing(Desk):
    """L31."""
    desk = Desk()
    o = desk.order()
    desk.tracker.request_cancel(o)
    desk.tracker.process_trade_update(Desk.fill(o, 1, 1))
    desk.log.clear()
    desk.tracker.cancel_refused(o, "already filled")
    assert desk.kinds() == ["OrderCancelRejected"] and desk.log[0].reason == "already filled"
    assert o.state is S.FILLED and not desk.tracker.request_cancel(o)


def test_a_second_cancel_after_a_refused_one_is_under_way_again(Desk):
    """Table note 6: the refusal of the first says nothing about the second."""
    desk = Desk()
    o = desk.order()
    desk.tracker.request_cancel(o)
    desk.tracker.cancel_refused(o, "never placed")
    desk.tracker.request_cancel(o)
    desk.apply(o, "ack", Desk.row(o, S.OPEN), Desk.fill(o, "0.4", 1))
    assert o.state is S.PENDING_CANCEL and o.was_created
    desk.tracker.cancel_refused(o, "no")
    assert o.state is S.PARTIALLY_FILLED


def test_a_partial_fill_counts_while_a_cancel_is_under_way(Desk):
    """Table note 6."""
    desk = Desk()
    o = desk.order()
    desk.apply(o, "ack")
    assert desk.tracker.request_cancel(o) and desk.tracker.request_cancel(o)
    desk.tracker.process_trade_update(Desk.fill(o, "0.4", 1))
    assert (o.state, o.filled_amount) == (S.PENDING_CANCEL, Decimal("0.4"))
    desk.tracker.cancel_refused(o, "no")
    assert o.state is S.PARTIALLY_FILLED and o.query_due


def test_an_unknown_outcome_is_a_flag_beside_the_state_until_news_come(Desk):
    """G8, behaviour 125: a timeout is not a failure."""
    for proof in ("ack", "row", "filled word", "fill"):
        desk = Desk()
        o = desk.order()
        desk.tracker.mark_unresolved(o)
        assert (o.state, o.unresolved, o.query_due) == (S.PENDING_SUBMIT, True, True)
        assert not desk.ends()
        news = {
            "ack": "ack",
            "row": Desk.row(o, S.OPEN),
            "filled word": Desk.row(o, S.FILLED, left=0),
            "fill": Desk.fill(o, "0.4", 1),
        }
        desk.apply(o, news[proof])
        assert not o.unresolved, proof


@pytest.mark.parametrize("acknowledged", [False, True])
def test_absence_is_proven_by_three_answers_over_a_second_and_nothing_less(Desk, at, acknowledged):
    """G9, L28."""
    desk = Desk()
    o = desk.order()
    if acknowledged:
        desk.tracker.acknowledge(o, Desk.OID)
    for seconds in (0, 0.4, 0.8, 0.999):
        at(seconds)
        desk.tracker.process_order_not_found("hl-1", True)
    assert not o.is_done
    at(1)
    assert desk.tracker.process_order_not_found("hl-1", True) == 5
    assert o.state is (S.CANCELLED if acknowledged else S.FAILED) and "absent" in o.reason
    assert desk.log[-1].recovered and type(desk.log[-1]).__name__ == (
        "OrderCancelled" if acknowledged else "OrderFailed"
    )
    assert desk.tracker.process_order_not_found("hl-1", True) == 0 == desk.tracker.process_order_not_found("x", True)


def test_a_burnt_nonce_is_the_proof_by_itself_unless_the_venue_has_had_the_order(Desk, at):
    """G9: what took its nonce shows that it never came, and never will."""
    desk = Desk()
    o, had = desk.order(), desk.order()
    desk.tracker.acknowledge(had, Desk.OID)
    desk.tracker.process_order_not_found(o.client_order_id, True, True)
    desk.tracker.process_order_not_found(had.client_order_id, True, True)
    assert o.state is S.FAILED and "absent" in o.reason and desk.log[-1].recovered
    assert had.state is S.OPEN, "a contradiction: asked again"


def test_unknown_answers_without_proof_never_end_an_order(Desk, at):
    """L25, L28, G9: one negative answer proves nothing, nor do a hundred."""
    desk = Desk()
    o = desk.order()
    for n in range(100):
        at(n)
        assert desk.tracker.process_order_not_found("hl-1") == n + 1
    assert o.state is S.PENDING_SUBMIT and not desk.ends()


@pytest.mark.parametrize("news", ["ack", "row", "fill"])
def test_any_other_news_resets_the_count_of_unknown_answers(Desk, at, news):
    """L25, G9."""
    desk = Desk()
    o = desk.order()
    for seconds in (0, 5):
        at(seconds)
        desk.tracker.process_order_not_found("hl-1", True)
    desk.apply(o, {"ack": "ack", "row": Desk.row(o, S.OPEN), "fill": Desk.fill(o, "0.4", 1)}[news])
    at(10)
    assert desk.tracker.process_order_not_found("hl-1", True) == 1 and not o.is_done


def test_a_late_answer_changes_no_finished_order(Desk):
    """Behaviour 124, G5."""
    for end in (lambda o: Desk.row(o, S.CANCELLED), lambda o: Desk.fill(o, 1, 1)):
        desk = Desk()
        o = desk.order()
        desk.apply(o, end(o), "ack", ("due", 1000))
        assert desk.count("anomalies") == 0 and len(desk.ends()) == 1
