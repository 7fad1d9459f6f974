"""The gateway end to end on the local exchange: places, cancels, replaces, fills, brackets, repeats, and their answers."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from hlfast import clock
from hlfast.engine.gateway_settings import GatewaySettings


async def test_an_order_is_accepted_when_the_venue_has_it_and_its_fills_follow(open_desk):
    """Contract 4, 7 (G1, G2): accepted, then each fill once with what is left; full execution has no report."""
    desk = await open_desk()

    desk.place("mm-1", size="0.01", price="64000", time_in_force="PO", tags={"strategy": "mm", "n": 1, "on": True})
    report = await desk.report("mm-1")
    assert (report["status"], report["reason_code"], report["action"]) == ("accepted", "ok", "place")
    (resting,) = desk.open_orders()
    assert report["exchange_order_id"] == str(resting.oid)
    assert report["details"] == {
        "symbol": "BTC-USDC-PERP", "side": "buy", "order_type": "limit", "time_in_force": "PO", "price": Decimal("64000.0"),
        "size": Decimal("0.01"), "filled_size": Decimal("0.0"), "remaining_size": Decimal("0.01"),
    }  # fmt: skip
    assert report["tags"] == {"strategy": "mm", "n": "1", "on": "true", "venue": "hyperliquid"}

    desk.exchange.engine.house.set_book("BTC", bids=[], asks=[])
    desk.exchange.engine.house.rest("BTC", "sell", "63990", "0.004")
    await desk.until(lambda: desk.fills("mm-1"))
    desk.exchange.engine.house.rest("BTC", "sell", "63990", "0.006")
    await desk.until(lambda: len(desk.fills("mm-1")) == 2)
    first, second = desk.fills("mm-1")
    assert (first["size"], first["leaves_size"], first["cum_size"]) == (
        Decimal("0.004"),
        Decimal("0.006"),
        Decimal("0.004"),
    )
    assert (second["leaves_size"], second["cum_size"]) == (Decimal("0.0"), Decimal("0.01"))
    assert first["liquidity"] == "maker" and first["side"] == "buy" and first["fee_currency"] == "USDC"
    assert first["tags"] == {
        "strategy": "mm", "n": "1", "on": "true", "intent_id": "mm-1", "role": "entry", "execution_type": "live",
        "venue": "hyperliquid",
    }  # fmt: skip
    await desk.quiet()
    assert len(desk.reports("mm-1")) == 1
    assert [e["data"]["order_state"] for e in desk.events("partial_fill", "mm-1")] == ["PARTIALLY_FILLED"]
    assert desk.events("filled", "mm-1")[0]["trade"]["trade_id"] == second["exec_id"]


async def test_a_refusal_of_the_venue_has_its_canonical_code_and_its_words(open_desk):
    """Contract 5.3: a post-only order that would match."""
    desk = await open_desk()
    desk.place("cross", price="65020", time_in_force="POST_ONLY")
    report = await desk.report("cross")
    assert (report["status"], report["reason_code"], report["raw_code"]) == (
        "rejected",
        "post_only_violation",
        "badAloPxRejected",
    )
    assert report["reason_text"].startswith("Post only order would have immediately matched")
    (failed,) = await desk.until(lambda: desk.events("failed", "cross"))
    assert failed["failure_reason"].startswith("post_only_violation: Post only order")


async def test_a_market_order_takes_within_its_cap_and_its_rest_is_cancelled(open_desk):
    """Contract 2.3, 5.4: Ioc at the opposite best plus the slippage; the remainder is `ioc_remainder`, after its fills."""
    desk = await open_desk()
    desk.gateway.connector.watch("BTC")
    await desk.gateway.connector.wait_ready(10)
    desk.place("take", size="1.5", price=None, order_type="market")
    end = await desk.report("take", 2)
    accepted = desk.reports("take")[0]
    assert accepted["status"] == "accepted"
    assert (end["status"], end["reason_code"], end["raw_code"]) == ("canceled", "ok", "ioc_remainder")
    assert end["details"]["filled_size"] == Decimal("1.0") == sum(f["size"] for f in desk.fills("take"))
    assert {f["liquidity"] for f in desk.fills("take")} == {"taker"}


async def test_a_market_order_without_a_fresh_book_is_rejected(open_desk):
    """Contract 2.3."""
    desk = await open_desk()
    desk.place("blind", price=None, order_type="market")
    report = await desk.report("blind")
    assert (report["status"], report["reason_code"], report["raw_code"]) == (
        "rejected",
        "network_error",
        "no_reference_price",
    )


async def test_values_off_the_grid_are_fitted_never_to_the_senders_disadvantage(open_desk):
    """Contract 2.2."""
    desk = await open_desk()
    desk.place("fit-buy", size="0.0010009", price="60000.7")
    desk.place("fit-sell", side="sell", size="0.0010009", price="70000.2")
    buy, sell = await desk.report("fit-buy"), await desk.report("fit-sell")
    assert buy["adjusted"] is True and buy["details"]["price"] == 60000 and buy["details"]["size"] == Decimal("0.001")
    assert sell["adjusted"] is True and sell["details"]["price"] == 70001
    desk.place("strict", price="60000.7", params={"quantize": "strict"})
    refused = await desk.report("strict")
    assert refused["status"] == "rejected" and "60000" in refused["reason_text"]
    desk.place("dust", size="0.000001")
    assert ((await desk.report("dust"))["reason_code"]) == "min_size"


async def test_a_cancel_is_answered_and_its_target_reported_once(open_desk):
    """Contract 6, cancel: live, already done, unknown."""
    desk = await open_desk()
    desk.place("a", tags={"strategy": "x"})
    await desk.report("a")
    desk.send(
        {
            "version": 1,
            "cl_id": "c-1",
            "action": "cancel",
            "venue": "bybit",
            "details": {"cl_id_to_cancel": "a"},
            "tags": {"t": "1"},
        }
    )
    assert (await desk.report("c-1"))["status"] == "accepted"
    assert desk.reports("c-1")[0]["tags"] == {"t": "1", "venue": "hyperliquid"}
    end = desk.reports("a")[1]
    assert end["status"] == "canceled" and "action" not in end and end["tags"]["strategy"] == "x"
    desk.cancel("c-2", "a")
    assert (await desk.report("c-2"))["raw_code"] == "already_done"
    desk.cancel("c-3", "nobody")
    assert (await desk.report("c-3"))["raw_code"] == "unknown_order"
    gone = await desk.report("nobody")
    assert (gone["status"], gone["raw_code"]) == ("canceled", "unknown_order")
    await desk.quiet()
    assert len(desk.reports("a")) == 2 and not desk.open_orders()


async def test_a_filled_order_is_never_called_cancelled(open_desk):
    """Contract 6 (G3)."""
    desk = await open_desk()
    desk.place("ioc", size="0.01", price="65010", time_in_force="IOC")
    await desk.until(lambda: desk.fills("ioc"))
    desk.cancel("late", "ioc")
    assert (await desk.report("late"))["raw_code"] == "already_filled"
    await desk.quiet()
    assert [r["status"] for r in desk.reports("ioc")] == ["accepted"]


async def test_a_cancel_by_the_venues_id_alone_is_enough(open_desk):
    """Contract 2.7."""
    desk = await open_desk()
    desk.place("by-oid")
    oid = int((await desk.report("by-oid"))["exchange_order_id"])
    desk.send(
        {"cl_id": "c", "action": "cancel", "venue": "hyperliquid", "details": {"cancel": {"exchange_order_id": oid}}}
    )
    assert (await desk.report("c"))["status"] == "accepted"
    assert (await desk.report("by-oid", 2))["status"] == "canceled"


async def test_a_replace_keeps_the_id_and_gets_a_new_number(open_desk):
    """Contract 6, replace: done, repeated, unknown, and a cancel by the old number."""
    desk = await open_desk()
    desk.place("r", size="0.01", price="60000")
    old = (await desk.report("r"))["exchange_order_id"]
    desk.replace("rep-1", "r", new_price="61000", new_size="0.02")
    assert (await desk.report("rep-1"))["status"] == "accepted"
    told = desk.reports("r")[1]
    assert (
        told["status"] == "replaced" and told["exchange_order_id"] != old and told["reason_text"] == f"replaced {old}"
    )
    assert told["details"]["price"] == 61000 and told["details"]["size"] == Decimal("0.02")
    (resting,) = desk.open_orders()
    assert str(resting.oid) == told["exchange_order_id"]
    desk.replace("rep-1", "r", new_price="61000", new_size="0.02")
    again = await desk.report("rep-1", 2)
    assert again["duplicate"] is True and again["status"] == "accepted"
    desk.replace("rep-2", "nobody", new_price="1")
    assert (await desk.report("rep-2"))["raw_code"] == "unknown_order"
    desk.send({"cl_id": "c", "action": "cancel", "venue": "hyperliquid", "details": {"exchange_order_id": old}})
    await desk.report("c")
    await desk.until(lambda: not desk.open_orders())
    desk.replace("rep-3", "r", new_price="62000")
    assert (await desk.report("rep-3"))["raw_code"] == "unknown_order"


async def test_a_repeat_is_answered_again_and_never_sent_again(open_desk):
    """Contract 8: the whole table of places."""
    desk = await open_desk()
    desk.place("once", ts_ns=clock.epoch_ns(), tags={"a": "1"})
    await desk.report("once")
    desk.place("once", ts_ns=clock.epoch_ns(), tags={"other": "2"})
    again = await desk.report("once", 2)
    assert again["duplicate"] is True and again["status"] == "accepted" and again["tags"]["a"] == "1"
    assert again["seq"] > desk.reports("once")[0]["seq"]
    desk.place("once", price="59000")
    reused, last = await desk.report("once", 3), await desk.report("once", 4)
    assert (reused["raw_code"], reused["duplicate"]) == ("cl_id_reused", True)
    assert last["status"] == "accepted" and last["duplicate"] is True
    assert len(desk.open_orders()) == 1

    desk.place("bad", time_in_force="FOK")
    desk.place("bad", time_in_force="FOK")
    assert (await desk.report("bad", 2))["duplicate"] is True
    desk.place("bad", price="60000")  # other content after a rejection: a new order
    assert (await desk.report("bad", 3))["status"] == "accepted"

    old = clock.epoch_ns() - 6_000_000_000
    desk.place("slow", ts_ns=old)
    assert (await desk.report("slow"))["raw_code"] == "too_old"
    desk.place("slow", ts_ns=clock.epoch_ns())  # the same after "expired": a new attempt
    assert (await desk.report("slow", 2))["status"] == "accepted"
    desk.cancel("c-once", "once")
    await desk.report("once", 5)
    desk.place("once", ts_ns=clock.epoch_ns())  # finished: not placed again
    ended = await desk.report("once", 6)
    assert ended["status"] == "canceled" and ended["duplicate"] is True
    assert len(desk.open_orders()) == 2


async def test_an_id_of_32_hex_digits_is_the_cloid(open_desk):
    """Contract 8."""
    desk = await open_desk()
    cl_id = "0x" + "aB" * 16
    desk.place(cl_id)
    await desk.report(cl_id)
    (resting,) = desk.open_orders()
    assert resting.cloid == cl_id.lower()


async def test_a_long_id_is_kept_in_full(open_desk):
    """Contract 0: 128 bytes, never cut."""
    desk = await open_desk()
    desk.place("x" * 128)
    assert (await desk.report("x" * 128))["status"] == "accepted"
    desk.place("y" * 129)
    assert (await desk.report("y" * 129))["raw_code"] == "bad_field"


async def test_a_ttl_that_is_over_is_refused_and_one_that_is_not_travels_with_the_order(open_desk):
    """Contract 2.2, 3: no command is executed after its deadline."""
    desk = await open_desk()
    desk.place("dead", ts_ns=clock.epoch_ns() - 1_000_000_000, params={"ttl_ms": 500})
    report = await desk.report("dead")
    assert (report["reason_code"], report["raw_code"]) == ("expired", "ttl_expired")
    desk.place("alive", ts_ns=clock.epoch_ns(), params={"ttl_ms": 60_000})
    assert (await desk.report("alive"))["status"] == "accepted"
    assert desk.gateway.connector.orders[0].expires_after_ms > clock.wall_clock_ms()


async def test_triggers_wait_and_a_take_profit_is_sent_as_one(open_desk):
    """Contract 2.5."""
    desk = await open_desk()
    desk.place("open", size="0.01", price="65010", time_in_force="IOC")
    await desk.until(lambda: desk.fills("open"))
    desk.place("sl", side="sell", size="0.01", price=None, order_type="stop", stop_price="60000", reduce_only=True)
    desk.place(
        "tp",
        side="sell",
        size="0.01",
        price="70100",
        order_type="stop_limit",
        stop_price="70000",
        reduce_only="true",
        tags={"role": "takeprofit"},
    )
    for cl_id in ("sl", "tp"):
        assert (await desk.report(cl_id))["status"] == "accepted", desk.reports(cl_id)
    assert {o.trigger.tpsl: o.trigger.is_market for o in desk.open_orders()} == {"sl": True, "tp": False}
    desk.place("torn", side="sell", order_type="stop", stop_price="60000", tags={"role": "tp", "stop_trigger": "below"})
    assert (await desk.report("torn"))["raw_code"] == "bad_field"


async def test_a_bracket_travels_in_one_action_and_each_leg_is_reported(open_desk):
    """Contract 2.6: entry, tp, sl; a cancelled parent takes its children with it."""
    desk = await open_desk()
    desk.place(
        "brk", size="0.01", price="64000", time_in_force="PO", tags={"strategy": "swing"},
        params={
            "bracket.mode": "bundle", "bracket.oco": "true", "bracket.tp.type": "stop_limit", "bracket.tp.px": "66000",
            "bracket.tp.limit_px": "65990", "bracket.sl.type": "stop", "bracket.sl.px": "63000",
        },
    )  # fmt: skip
    for cl_id in ("brk", "brk::tp", "brk::sl"):
        report = await desk.report(cl_id)
        assert report["status"] == "accepted", report
    tags = {"strategy": "swing", "role": "tp", "intent_id": "brk", "venue": "hyperliquid"}
    assert desk.reports("brk::tp")[0]["tags"] == tags
    desk.cancel("c", "brk")
    for cl_id in ("brk", "brk::tp", "brk::sl"):
        end = await desk.report(cl_id, 2)
        assert end["status"] == "canceled", end
    assert not desk.open_orders()


async def test_unlinked_children_travel_along_and_stay_when_the_entry_goes(open_desk):
    """Contract 2.6: `bracket.oco` false: grouping `na`, still one signed action, a post-only entry included."""
    desk = await open_desk()
    desk.place("open", size="0.01", price="65010", time_in_force="IOC")
    await desk.until(lambda: desk.fills("open"))
    before = desk.exchange.engine.actions_seen
    params = {"bracket.mode": "bundle", "bracket.oco": "no", "bracket.sl.px": "63000", "bracket.size": "0.01"}
    desk.place("u", size="0.02", price="64000", time_in_force="PO", params=params)
    assert (await desk.report("u"))["status"] == (await desk.report("u::sl"))["status"] == "accepted"
    assert desk.exchange.engine.actions_seen == before + 1
    assert desk.reports("u::sl")[0]["details"]["size"] == Decimal("0.01")
    desk.cancel("c", "u")
    await desk.report("u", 2)
    await desk.quiet()
    assert len(desk.reports("u::sl")) == 1 and len(desk.open_orders()) == 1


async def test_a_bracket_whose_entry_is_refused_rejects_all_legs(open_desk):
    """Contract 2.6: a batch-wide refusal."""
    desk = await open_desk()
    desk.place(
        "b", size="0.01", price="65020", time_in_force="PO", params={"bracket.mode": "bundle", "bracket.tp.px": "66000"}
    )
    assert (await desk.report("b"))["status"] == "rejected"
    assert (await desk.report("b::tp"))["status"] == "rejected", desk.reports("b::tp")


async def test_what_was_missed_can_be_asked_for_again(open_desk):
    """Contract 2.8."""
    desk = await open_desk()
    for n in range(3):
        desk.place(f"o{n}")
    await desk.report("o2")
    before = desk.reports()
    first, last = before[0]["seq"], before[-1]["seq"]
    desk.send(
        {
            "version": 1,
            "cl_id": "rs-1",
            "action": "resend",
            "details": {"topic": "exec.report", "from_seq": first, "to_seq": last},
        }
    )
    assert (await desk.report("rs-1"))["status"] == "accepted"
    again = await desk.until(
        lambda: (
            [r for r in desk.reports() if r.get("duplicate")][2:] and [r for r in desk.reports() if r.get("duplicate")]
        )
    )
    assert [{**r, "duplicate": None} for r in again] == [{**r, "duplicate": None} for r in before]
    desk.send(
        {
            "version": 1,
            "cl_id": "rs-2",
            "action": "resend",
            "details": {"topic": "exec.report", "from_seq": 1, "to_seq": 10_000},
        }
    )
    refused = await desk.report("rs-2")
    assert (refused["status"], refused["raw_code"]) == ("rejected", "bad_field")


async def test_numbers_count_without_gaps_and_time_never_steps_back(open_desk):
    """Contract 0, 4.1, 9."""
    desk = await open_desk()
    for n in range(20):
        desk.place(f"n{n}", time_in_force="GTC" if n % 2 else "nonsense")
    await desk.until(lambda: len(desk.reports()) >= 20)
    seqs = [r["seq"] for r in desk.reports()]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    times = [r["ts_ns"] for r in desk.reports()]
    assert times == sorted(times)
    status = await desk.until(lambda: [s for s in desk.of("exec.status") if s["report_seq"] == seqs[-1]])
    assert status[0]["state"] == "live" and status[0]["open_orders"] == 10


async def test_an_order_that_another_program_placed_is_told_as_external(open_desk):
    """Contract 4.1, 7: its id is the venue's, its fills carry no intent."""
    import hlfast
    from hlfast.sim import FUNDED_ACCOUNTS

    desk = await open_desk()
    other = hlfast.connect(desk.exchange.network, key=FUNDED_ACCOUNTS[0].key)
    from hlfast.venues.hyperliquid.signer_lock import SignerLock

    class NoLock:
        def keep(self) -> None: ...
        def release(self) -> None: ...

    take = SignerLock.take
    SignerLock.take = classmethod(lambda cls, *a, **k: NoLock())  # type: ignore[assignment,method-assign]
    try:
        async with other:
            placed = other.buy("BTC", "0.01", "64000")
            assert await placed.accepted()
            oid = str(placed.exchange_order_id)
            assert (await desk.report(oid))["tags"]["execution_type"] == "external"
            desk.exchange.engine.house.take("BTC", "sell", "1.005")
            (fill,) = await desk.until(lambda: desk.fills(oid))
            assert fill["tags"] == {"execution_type": "external", "venue": "hyperliquid"} and "leaves_size" not in fill
    finally:
        SignerLock.take = take  # type: ignore[method-assign]


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
async def test_both_transports_carry_the_same(open_desk, transport):
    """Contract 1."""
    endpoints = (
        {}
        if transport == "ipc"
        else dict.fromkeys(("orders", "reports", "events", "trades", "books"), "tcp://127.0.0.1:*")
    )
    desk = await open_desk(GatewaySettings(transport=transport, endpoints=endpoints))
    desk.place("t")
    assert (await desk.report("t"))["status"] == "accepted"
    assert all(at.startswith(transport) for at in desk.gateway.endpoints.values())


async def test_the_contracts_example_order_gets_the_stated_answer_byte_for_byte(open_desk):
    """Contract 2, 4, 15: the example's bytes in; out, the example's bytes but for clock, run, number and the venue's id."""
    desk = await open_desk()
    now = clock.epoch_ns()
    example = (
        b'{"version":1,"cl_id":"mm-42-17","action":"place","venue_type":"dex","venue":"hyperliquid","product_type":'
        b'"perpetual","ts_ns":%d,"details":{"symbol":"BTC-USDC-PERP","side":"buy","order_type":"limit","time_in_force":'
        b'"PO","price":"63750","size":"0.012","reduce_only":false,"params":{"ttl_ms":2000}},"tags":{"strategy":"mm",'
        b'"intent_id":"mm-42"}}' % now
    )
    desk.send(example)
    report = await desk.report("mm-42-17")
    (raw,) = [payload for topic, payload in desk.raw if topic == "exec.report" and b"mm-42-17" in payload]
    assert raw.decode() == (
        '{"version":1,"cl_id":"mm-42-17","action":"place","status":"accepted","exchange_order_id":"'
        + report["exchange_order_id"]
        + '","reason_code":"ok","reason_text":"resting","raw_code":"resting","ts_ns":'
        + str(report["ts_ns"])
        + (f',"venue_ts_ns":{report["venue_ts_ns"]}' if "venue_ts_ns" in report else "")
        + f',"run_id":"{desk.gateway.run_id}","seq":{report["seq"]}'
        + ',"details":{"symbol":"BTC-USDC-PERP","side":"buy","order_type":"limit","time_in_force":"PO","price":63750.0,'
        '"size":0.012,"filled_size":0.0,"remaining_size":0.012},"tags":{"strategy":"mm","intent_id":"mm-42",'
        '"venue":"hyperliquid"}}'
    )
    desk.send(
        b'{"version":1,"cl_id":"cx-1","action":"cancel","venue":"hyperliquid","details":{"cancel":{"cl_id_to_cancel":"mm-42-17"}}}'
    )
    await desk.report("cx-1")
    end = desk.reports("mm-42-17")[1]
    raw = next(p for t, p in desk.raw if t == "exec.report" and b'"canceled"' in p)
    assert json.dumps(end["details"], default=float) and raw.endswith(
        b'"details":{"symbol":"BTC-USDC-PERP","side":"buy","price":63750.0,"size":0.012,"filled_size":0.0,"remaining_size":'
        b'0.012},"tags":{"strategy":"mm","intent_id":"mm-42","venue":"hyperliquid"}}'
    )
