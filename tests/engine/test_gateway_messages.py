"""Every message is answered with the canonical reason: what is malformed, unknown, of a wrong type, too large or too old."""

from __future__ import annotations

import hashlib
import json
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlfast import clock
from hlfast.core.events import OrderEvent
from hlfast.engine import gateway_messages as read
from hlfast.engine.gateway_envelope import Refused, envelope_of
from hlfast.engine.gateway_events import OrderEventPublisher
from hlfast.engine.gateway_memory import Memory
from hlfast.engine.gateway_orders import DeskSettings, OrderDesk
from hlfast.engine.gateway_reasons import CANONICAL, GATEWAY_CODES, STATUSES, canonical_of, end_of, refusal_of
from hlfast.engine.gateway_reports import Reports
from hlfast.engine.gateway_symbols import SymbolTable
from hlfast.engine.gateway_text import Stream, flagged

zmq = pytest.importorskip("zmq", reason="the gateway needs pyzmq")


class Wire:
    """An order desk on the connector without a venue; `told` are its exec.report messages, `lines` their bytes."""

    def __init__(self, connector: Any) -> None:
        self.connector = connector
        self.lines: list[bytes] = []
        send = lambda frames: self.lines.append(frames[1])  # noqa: E731
        stream = Stream("exec.report", "1790300000000000000", send)
        other = Stream("exec.fill", "1790300000000000000", lambda frames: None)
        self.events: list[list[bytes]] = []

        class Socket:
            def send_multipart(_, frames: list[bytes], flags: int = 0) -> None:
                self.events.append(frames)

        publisher = OrderEventPublisher(object(), "", "orders.hyperliquid", socket=Socket())
        reports = Reports(stream, other, Stream("exec.status", "1", lambda frames: None), "hyperliquid")
        self.desk = OrderDesk(connector, reports, publisher, Memory(), DeskSettings(), lambda fn: fn())
        self.desk.news.attach()

    @property
    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    def ask(self, message: Any, **more: Any) -> list[dict[str, Any]]:
        before = len(self.lines)
        frames = (
            message
            if isinstance(message, list)
            else [message if isinstance(message, bytes) else json.dumps(message).encode()]
        )
        self.desk.on_message(frames, **more)
        return self.told[before:]


@pytest.fixture
def wire(connector: Any) -> Wire:
    return Wire(connector)


def order(**changes: Any) -> dict[str, Any]:
    """A good message; `details__price=None` takes a key of the details away, others replace."""
    details = {"symbol": "BTC", "side": "buy", "order_type": "limit", "size": "0.001", "price": "60000"}
    body: dict[str, Any] = {
        "version": 1,
        "cl_id": "id",
        "action": "place",
        "venue": "hyperliquid",
        "product_type": "perpetual",
    }
    for key, value in changes.items():
        where, name = (details, key[9:]) if key.startswith("details__") else (body, key)
        if value is None:
            where.pop(name, None)
        else:
            where[name] = value
    body.setdefault("details", details)
    return body


REFUSED = [
    (b"{", "bad_json"),
    (b"\xff\xfe", "bad_json"),
    (b"", "bad_json"),
    (b"[1]", "bad_json"),
    (b'"text"', "bad_json"),
    (b'{"cl_id":"\\ud800"}', "bad_json"),
    (b"[" * 60_000, "bad_json"),
    (b'{"a":' * 12_000, "bad_json"),
    ([b"{}", b"{}"], "bad_message"),
    ([], "bad_message"),
    (b'{"cl_id":"big","x":"' + b"x" * 70_000 + b'"}', "bad_message"),
    (order(cl_id=None), "missing_cl_id"),
    (order(cl_id=7), "bad_field"),
    (order(cl_id="with space"), "bad_field"),
    (order(cl_id="é"), "bad_field"),
    (order(version=2), "unsupported_version"),
    (order(version=True), "unsupported_version"),
    (order(action=None), "missing_action"),
    (order(action="buy"), "invalid_action"),
    (order(action=["place"]), "invalid_action"),
    (order(venue="binance"), "unknown_venue"),
    (order(venue=None), "unknown_venue"),
    (order(venue=5), "bad_field"),
    (order(product_type="option"), "unsupported_product"),
    (order(details=[1]), "bad_field"),
    (order(details={}), "missing_parameters"),
    (order(details__symbol="DOGE-NONE"), "unknown_symbol"),
    (order(details__symbol=None), "missing_parameters"),
    (order(details__symbol=5), "bad_field"),
    (order(details__side="long"), "bad_field"),
    (order(details__order_type="iceberg"), "unsupported_type"),
    (order(details__time_in_force="FOK"), "unsupported_tif"),
    (order(details__time_in_force="POST_ONLY_SLIDE"), "unsupported_tif"),
    (order(details__price=None), "missing_price"),
    (order(details__price="0"), "missing_price"),
    (order(details__price="1,5"), "bad_field"),
    (order(details__price="0x10"), "bad_field"),
    (order(details__price="-1"), "bad_field"),
    (order(details__price="nan"), "bad_field"),
    (order(details__price=float("nan")), "bad_field"),
    (order(details__price=float("inf")), "bad_field"),
    (order(details__price=True), "bad_field"),
    (order(details__price="1e9999"), "bad_field"),
    (order(details__price="9" * 40), "bad_field"),
    (b'{"version":1,"cl_id":"id","action":"place","venue":"hyperliquid","details":{"symbol":"BTC","side":"buy",'
     b'"order_type":"limit","size":"1","price":1e999999999}}', "bad_field"),
    (order(details__size="0"), "invalid_size"),
    (order(details__size="1 BTC"), "bad_field"),
    (order(details__size="0.0000001"), "size_too_small"),
    (order(details__size="0.0001"), "size_too_small"),
    (order(details__stop_price="1"), "bad_field"),
    (order(details__order_type="stop"), "missing_stop_price"),
    (order(details__reduce_only="perhaps"), "bad_field"),
    (order(details__params={"a": {"b": 1}}), "bad_field"),
    (order(details__params={"ttl_ms": "soon"}), "bad_field"),
    (order(details__params={"bracket.tp.px": "70000"}), "bad_field"),
    (order(details__params={"bracket.mode": "bundle"}), "invalid_bracket"),
    (order(details__params={"bracket.mode": "bundle", "bracket.tp.px": "50000"}), "invalid_bracket"),
    (order(details__params={"bracket.mode": "bundle", "bracket.tp.size": "1"}), "bad_field"),
    (order(tags={"k" * 65: "v"}), "bad_field"),
    (order(tags={"k": "v" * 257}), "bad_field"),
    (order(tags={str(n): "v" for n in range(33)}), "bad_field"),
    (order(tags="text"), "bad_field"),
    (order(ts_ns=1), "bad_field"),
    (order(ts_ns="yesterday"), "bad_field"),
    (order(action="cancel"), "missing_cancel_id"),
    (order(action="cancel", details={"cancel": {"cl_id_to_cancel": "a"}, "cl_id_to_cancel": "b"}), "bad_field"),
    (order(action="cancel", details={"cancel": {"exchange_order_id": "abc"}}), "bad_field"),
    (order(action="replace"), "missing_replace_id"),
    (order(action="replace", details={"cl_id_to_replace": "a"}), "missing_parameters"),
    (order(action="replace", details={"cl_id_to_replace": "a", "new_price": "x"}), "bad_field"),
    (order(action="resend"), "missing_parameters"),
    (order(action="resend", details={"topic": "exec.status", "from_seq": 1, "to_seq": 1}), "bad_field"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "raw"), REFUSED, ids=[f"{at}-{raw}" for at, (_, raw) in enumerate(REFUSED)])
def test_what_cannot_be_done_is_rejected_with_its_code(wire, message, raw):
    """Contract 3, 5.2: never silence, never a crash, and nothing is sent."""
    (report,) = wire.ask(message)
    assert (report["status"], report["raw_code"], report["reason_code"]) == ("rejected", raw, GATEWAY_CODES[raw])
    assert (
        report["reason_text"] and report["run_id"] and report["seq"] == 1 and report["tags"]["venue"] == "hyperliquid"
    )
    if not report["cl_id"]:
        frames = (
            message
            if isinstance(message, list)
            else [message if isinstance(message, bytes) else json.dumps(message).encode()]
        )
        assert report["frame_sha256"] == hashlib.sha256(b"".join(frames)).hexdigest()
    assert wire.connector.sent == [] and wire.connector.tracker.active_orders == []


def test_the_contracts_bad_frame_has_the_examples_bytes(wire):
    """Contract 4, second example: unreadable JSON, told so that the sender can match it."""
    frame = b'{"version":1,"action":"place","venue":"hy'
    wire.ask(frame)
    ts_ns = wire.told[0]["ts_ns"]
    assert wire.lines[0].decode() == (
        '{"version":1,"cl_id":"","status":"rejected","reason_code":"invalid_params","reason_text":"bad JSON at byte 38",'
        f'"raw_code":"bad_json","frame_sha256":"{hashlib.sha256(frame).hexdigest()}","ts_ns":{ts_ns},'
        '"run_id":"1790300000000000000","seq":1,"tags":{"venue":"hyperliquid"}}'
    )


def test_a_client_that_may_only_read_is_told_so(wire):
    (report,) = wire.ask(order(), may_trade=False)
    assert (report["reason_code"], report["raw_code"]) == ("risk_blocked", "risk_violation") and not wire.connector.sent


def test_without_a_connection_nothing_is_queued(wire):
    """Contract 3 (G15): refused at once."""
    wire.connector.is_up = False
    (report,) = wire.ask(order())
    assert (report["reason_code"], report["raw_code"]) == ("network_error", "not_connected")
    wire.connector.is_up = True
    assert wire.ask(order()) == [] and len(wire.connector.sent) == 1  # the same again is a new attempt


@pytest.mark.parametrize(
    "spelling",
    [
        {"details": {"cancel": {"cl_id_to_cancel": "T"}}},
        {"details": {"cl_id_to_cancel": "T", "symbol": "BTC"}, "venue": "bybit"},
        {"details": {"params": {"cl_id_to_cancel": "T"}}},
        {"details": {"params": {"cancel_cl_id_to_cancel": "T"}}},
        {"details": {}, "tags": {"cl_id_to_cancel": "T"}},
        {"tags": {"cancel_cl_id_to_cancel": "T"}},
        {"details": {"exchange_order_id": "1001"}},
        {"details": {"params": {"cancel_exchange_order_id": "1001"}}},
        {"tags": {"exchange_order_id": "1001"}},
        {"details": {"cancel": {}, "cl_id_to_cancel": "T"}},
    ],
)
def test_every_spelling_of_a_cancel_is_read(wire, spelling):
    """Contract 2.7."""
    wire.ask(order(cl_id="T"))
    wire.connector.ack(wire.connector.sent[0])
    wire.ask({"version": 1, "cl_id": "c", "action": "CANCEL", "venue": "hyperliquid", **spelling})
    assert wire.connector.cancels == wire.connector.sent


@pytest.mark.parametrize(
    "details",
    [
        {"replace": {"cl_id_to_replace": "T", "new_price": "5", "new_size": "6"}},
        {"cl_id_to_replace": "T", "new_price": "5", "new_size": 6},
        {"params": {"cl_id_to_replace": "T", "replace_new_price": "5", "replace_new_size": "6"}},
        {"params": {"replace_cl_id_to_replace": "T"}, "price": 5, "size": 6},
        {"replace": {"cl_id_to_replace": "T", "new_price": "5", "new_size": "6"}, "price": "7"},
    ],
)
def test_every_spelling_of_a_replace_is_read(details):
    """Contract 2.7: `price` and `size` are a mere fallback."""
    envelope, refused = envelope_of([json.dumps({"cl_id": "r", "action": "replace", "details": details}).encode()])
    assert refused is None
    asked = read.read_replace(envelope, clock.epoch_ns())
    assert (asked.target, asked.price, asked.size) == ("T", Decimal(5), Decimal(6))


TIFS = [
    (None, "Gtc", "Ioc"), ("GTC", "Gtc", "Ioc"), ("gtc", "Gtc", "Ioc"), ("IOC", "Ioc", "Ioc"), ("PO", "Alo", None),
    ("POST_ONLY", "Alo", None), ("postonly", "Alo", None), ("Alo", "Alo", None), ("FOK", None, None), ("GTX", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("given_tif", "limit", "market"), TIFS)
def test_each_time_in_force(given_tif, limit, market):
    """Contract 2.3."""
    for kind, wanted in (("limit", limit), ("market", market)):
        envelope, _ = envelope_of(
            [json.dumps(order(details__time_in_force=given_tif, details__order_type=kind)).encode()]
        )
        if wanted is None:
            with pytest.raises(Refused) as caught:
                read.read_place(envelope, clock.epoch_ns())
            assert caught.value.raw == "unsupported_tif"
        else:
            assert read.read_place(envelope, clock.epoch_ns()).tif == wanted


TRIGGERS = [
    ({"role": "tp"}, {}, "buy", "tp"), ({"role": "Take_Profit"}, {}, "buy", "tp"), ({"role": "stoploss"}, {}, "buy", "sl"),
    ({"role": "entry"}, {}, "buy", "sl"), ({}, {"orderFilter": "TakeProfit"}, "sell", "tp"),
    ({}, {"orderFilter": "StopOrder"}, "sell", "sl"), ({"stop_trigger": "above"}, {}, "buy", "sl"),
    ({"stop_trigger": "below"}, {}, "buy", "tp"), ({"stop_trigger": "below"}, {}, "sell", "sl"),
    ({"stop_trigger": "above"}, {}, "sell", "tp"), ({}, {"triggerDirection": 1}, "buy", "sl"),
    ({}, {"triggerDirection": "2"}, "buy", "tp"), ({}, {}, "buy", "sl"),
    ({"role": "tp"}, {"triggerDirection": 1}, "buy", None), ({}, {"triggerPrice": "5"}, "buy", None),
]  # fmt: skip


@pytest.mark.parametrize(("tags", "params", "side", "kind"), TRIGGERS)
def test_each_source_of_a_triggers_kind(tags, params, side, kind):
    """Contract 2.5: sources that disagree are refused."""
    message = order(
        tags=tags, details__params=params, details__side=side, details__order_type="stop", details__stop_price="7"
    )
    envelope, _ = envelope_of([json.dumps(message).encode()])
    if kind is None:
        with pytest.raises(Refused) as caught:
            read.read_place(envelope, clock.epoch_ns())
        assert caught.value.raw == "bad_field"
    else:
        assert read.read_place(envelope, clock.epoch_ns()).trigger_kind == kind


@pytest.mark.parametrize(
    ("given", "action"),
    [
        ("place", "place"), ("PLACE", "place"), ("Cancel", "cancel"), ("rePLACE", "replace"), ("RESEND", "resend"),
        ("placed", None), ("pläce", None), ("", None), (" place", None), (7, None), (None, None), (["place"], None), ({}, None),
    ],
)  # fmt: skip
def test_an_action_is_read_in_any_case_and_nothing_else_is_one(given, action):
    """Behaviour 116: `invalid_action`, or `missing_action` where there is none."""
    message = {"version": 1, "cl_id": "a", "action": given}
    envelope, refused = envelope_of([json.dumps(message).encode()])
    assert envelope.action == action
    if action is None:
        wanted = "missing_action" if given in (None, "") else "invalid_action"
        assert refused is not None and (refused.raw, refused.canonical) == (wanted, "invalid_params")
    else:
        assert refused is None


def test_numbers_are_exact():
    """Contract 0: never through binary floating point."""
    text = b'{"cl_id":"n","action":"place","details":{"symbol":"BTC","side":"buy","order_type":"limit","size":0.1,"price":"1e-3"}}'
    envelope, _ = envelope_of([text])
    asked = read.read_place(envelope, clock.epoch_ns())
    assert (asked.size, asked.price) == (Decimal("0.1"), Decimal("0.001"))


def test_tags_are_echoed_unchanged_and_other_values_as_their_json_text():
    """Contract 4.2."""
    text = b'{"cl_id":"n","action":"place","tags":{"a":"x\\u00e9","b":1,"c":1.50,"d":true,"e":null,"f":{"g":[1,"h"]}}}'
    envelope, _ = envelope_of([text])
    assert envelope.tags == {"a": "xé", "b": "1", "c": "1.50", "d": "true", "f": '{"g":[1,"h"]}'}


def test_content_is_everything_but_time_and_tags():
    """Contract 8."""
    of = lambda **more: envelope_of([json.dumps(order(**more)).encode()])[0].digest  # noqa: E731
    assert of() == of(ts_ns=5, tags={"a": "b"}) != of(details__price="60001") != of(details__price=60000)


@pytest.mark.parametrize("code", sorted(GATEWAY_CODES))
def test_each_gateway_code_is_canonical(code):
    """Contract 5.1, 5.2; behaviour 117."""
    assert canonical_of(code.upper()) in CANONICAL and STATUSES == ("accepted", "rejected", "canceled", "replaced")


VENUE_WORDS = [
    ("Price must be divisible by tick size. asset=0", "price_out_of_bounds"),
    ("oracleRejected", "price_out_of_bounds"),
    ("Invalid TP/SL price. asset=0", "price_out_of_bounds"),
    ("Order must have minimum value of $10. asset=1", "min_size"),
    ("minTradeNtlRejected", "min_size"),
    ("badAloPxRejected", "post_only_violation"),
    ("Insufficient margin to place order. asset=0", "insufficient_balance"),
    ("perpMaxPositionRejected", "risk_blocked"),
    ("Order value too large. Max is 1.", "risk_blocked"),
    ("reduceOnlyRejected", "invalid_params"),
    ("Order has zero size.", "invalid_params"),
    ("Order could not immediately match against any resting orders. asset=0", "venue_reject"),
    ("tooManyOpenOrdersRejected", "venue_reject"),
    ("somethingNewRejected", "venue_reject"),
    ("Trading is halted.", "venue_reject"),
    ("Too many cumulative requests sent (5 > 4)", "rate_limited"),
    ("Action already expired", "expired"),
    ("Invalid nonce: nonce too low", "network_error"),
    ("Error placing new order during modify: Order has zero size.", "invalid_params"),
    ("a text that nobody knows: timeout balance", "venue_reject"),
]


@pytest.mark.parametrize(("text", "code"), VENUE_WORDS)
def test_each_refusal_of_the_venue(text, code):
    """Contract 5.3, behaviour 117: by how it begins, never by loose words."""
    assert refusal_of(text)[0] == code


ENDS = [
    ("canceled", "ok"), ("siblingFilledCanceled", "ok"), ("reduceOnlyCanceled", "ok"), ("scheduledCancel", "ok"),
    ("ioc_remainder", "ok"), ("marginCanceled", "insufficient_balance"), ("liquidatedCanceled", "risk_blocked"),
    ("openInterestCapCanceled", "risk_blocked"), ("selfTradeCanceled", "venue_reject"), ("brandNewCanceled", "venue_reject"),
    ("perpMarginRejected", "insufficient_balance"), ("", "ok"),
]  # fmt: skip


@pytest.mark.parametrize(("word", "code"), ENDS)
def test_each_end_of_an_accepted_order(word, code):
    """Contract 5.4; behaviour 117."""
    assert end_of(word)[0] == code


def rules() -> SymbolTable:
    from hlfast.core.trading_rule import TradingRule

    perp = [
        TradingRule(c, sz_decimals=3, asset=n, trading_pair=f"{c}-USD")
        for n, c in enumerate(("BTC", "kPEPE", "xyz:NVDA", "HYPE"))
    ]
    spot = [
        TradingRule("@107", sz_decimals=2, asset=10107, trading_pair="HYPE/USDC", is_perpetual=False),
        TradingRule("PURR/USDC", sz_decimals=0, asset=10000, trading_pair="PURR/USDC", is_perpetual=False),
        TradingRule("@5", sz_decimals=0, asset=10005, trading_pair="X/USDC", is_perpetual=False),
        TradingRule("@6", sz_decimals=0, asset=10006, trading_pair="X/USDC", is_perpetual=False),
    ]
    return SymbolTable([*perp, *spot])


SYMBOLS = [
    ("BTC", None, "BTC"), ("btc", None, "BTC"), ("kPEPE", "perpetual", "kPEPE"), ("KPEPE", None, "kPEPE"),
    ("xyz:NVDA", None, "xyz:NVDA"), ("BTC-USDC-PERP", None, "BTC"), ("BTC-USDT-PERP", "perpetual", "BTC"),
    ("BTC-USD-PERP", None, "BTC"), ("BTC-PERP", None, "BTC"), ("BTC/USDC:USDC", None, "BTC"), ("BTC/USDT:USDT", None, "BTC"),
    ("BTC-USD", None, "BTC"), ("BTCUSDT", None, "BTC"), ("BTCUSDT", "perpetual", "BTC"), ("HYPE/USDC", "perpetual", "HYPE"),
    ("HYPE/USDC", None, "@107"), ("HYPE/USDC", "spot", "@107"), ("HYPE-USDC", "spot", "@107"), ("HYPE-USDC", None, "HYPE"),
    ("@107", None, "@107"), ("@107", "perpetual", None), ("BTC-USDC-PERP", "spot", None), ("HYPE/USDT", "spot", None),
    ("X/USDC", "spot", None), ("ETH", None, None), ("BTCX", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "product", "coin"), SYMBOLS)
def test_each_form_of_a_symbol(name, product, coin):
    """Contract 2.4, behaviour 118: a table look-up, no suffix arithmetic (G18)."""
    from hlfast.errors import ConfigError

    if coin is None:
        with pytest.raises(ConfigError):
            rules().resolve(name, product)
    else:
        assert rules().resolve(name, product).coin == coin


def test_canonical_names():
    """Contract 2.4."""
    table = rules()
    assert [table.canonical(c) for c in ("BTC", "xyz:NVDA", "@107", "@5")] == [
        "BTC-USDC-PERP", "xyz:NVDA-USDC-PERP", "HYPE-USDC", "@5",
    ]  # fmt: skip


def test_a_flag_is_put_once_and_never_found_in_a_tag():
    message = b'{"a":1,"tags":{"x":"y,\\"duplicate\\":true"}}'
    once = flagged(message, "duplicate")
    assert once == message[:-1] + b',"duplicate":true}' and flagged(once, "duplicate") == once
    assert json.loads(flagged(once, "late"))["late"] is True


# -- whatever comes -----------------------------------------------------------------------------------------------------
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["buy", "limit", "BTC", "1", "0.5", "stop"]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=8,
)  # fmt: skip
DETAILS = st.dictionaries(
    st.sampled_from(["symbol", "side", "order_type", "size", "price", "stop_price", "time_in_force", "reduce_only", "params",
                     "cancel", "replace", "cl_id_to_cancel", "new_price", "topic", "from_seq", "to_seq"]),
    VALUES, max_size=8,
)  # fmt: skip
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "version": VALUES | st.just(1),
        "cl_id": st.sampled_from(["a", "b", "c", ""]) | VALUES,
        "action": st.sampled_from(["place", "cancel", "replace", "resend"]) | VALUES,
        "venue": st.just("hyperliquid") | VALUES,
        "product_type": VALUES,
        "ts_ns": VALUES,
        "details": DETAILS | VALUES,
        "tags": VALUES,
    },
)
FRAMES = st.lists(st.binary(max_size=60), max_size=3) | BODIES.map(lambda body: [json.dumps(body).encode()])


def answered(wire: Wire, frames: list[bytes]) -> None:
    before, sent = len(wire.lines), len(wire.connector.sent)
    wire.desk.on_message(frames)
    told = [json.loads(line) for line in wire.lines[before:]]
    placed = len(wire.connector.sent) > sent
    if placed:  # the fake venue is silent: the answer is due when it speaks
        wire.connector.ack(wire.connector.sent[-1])
        told = [json.loads(line) for line in wire.lines[before:]]
    assert told, frames
    for report in told:
        assert report["status"] in STATUSES and report["reason_code"] in CANONICAL
        assert report["raw_code"] != "processing_error", (frames, report)


@pytest.fixture(scope="module")
def lasting(request: pytest.FixtureRequest) -> Wire:
    return Wire(request.getfixturevalue("quiet_connector"))


@settings(max_examples=400, deadline=None)
@given(frames=FRAMES)
def test_any_message_has_an_answer(lasting, frames):
    """Contract 15: nothing is silent, nothing crashes, and no answer is an internal error."""
    answered(lasting, frames)


@pytest.mark.parametrize("frames", [10_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_a_stream_of_random_frames_has_as_many_answers(lasting, frames):
    """Contract 15: cut, flipped and repeated pieces of good messages."""
    draw = random.Random(7)
    good = [json.dumps(message).encode() for message, _ in REFUSED if isinstance(message, dict)]
    for _ in range(frames):
        frame = bytearray(draw.choice(good))
        for _ in range(draw.randrange(4)):
            at = draw.randrange(len(frame))
            frame[at] = draw.randrange(256)
        answered(lasting, [bytes(frame[: draw.randrange(1, len(frame) + 1)])])


def test_the_desk_hears_every_class_of_order_event():
    """A new event class must be thought about here."""
    assert {cls.__name__ for cls in OrderEvent.__subclasses__()} == {
        "OrderCreated", "OrderStateChanged", "OrderFilled", "OrderCompleted", "OrderCancelled", "OrderFailed", "OrderExpired",
        "OrderCancelRejected", "OrderModified", "OrderModifyRejected",
    }  # fmt: skip
