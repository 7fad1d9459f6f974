"""What a client may write, read strictly (layer 4, cold): `Envelope` → `Place`, `Cancel`, `Replace`, `Resend`, or `Refused`.

Numbers are exact decimals: never binary floating point, never "absent" because they cannot be read. A field of the
wrong type, over its length, or given twice with two values refuses the message and is named. Nothing here knows of a
venue or a socket; no input raises anything but `Refused`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hlfast.engine.gateway_envelope import ID_MAX, NUMBER_MAX, Envelope, Refused, brief, compact, kind_of

TAGS_MAX, KEY_MAX, VALUE_MAX = 32, 64, 256
SPAN = 30
"""Powers of ten that a number may lie away from 1."""
DAY_NS = 86_400_000_000_000
AHEAD_NS = 60_000_000_000

_NUMBER = re.compile(r"\+?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?\Z", re.ASCII)
KINDS = {
    "limit": ("limit", False),
    "market": ("market", False),
    "stop": ("stop", True),
    "stop_market": ("stop", True),
    "stop_limit": ("stop_limit", True),
}
TIFS = {"gtc": "Gtc", "ioc": "Ioc", "po": "Alo", "post_only": "Alo", "postonly": "Alo", "alo": "Alo"}
_ROLES = {
    **dict.fromkeys(("tp", "takeprofit", "take_profit"), "tp"),
    **dict.fromkeys(("sl", "stop", "stoploss", "stop_loss"), "sl"),
}
_TRUE, _FALSE = ("1", "true", "yes"), ("0", "false", "no")
_BRACKET = frozenset(
    f"bracket.{name}"
    for name in [
        "mode",
        "size",
        "reduce_only",
        "oco",
        "tp.type",
        "tp.px",
        "tp.limit_px",
        "sl.type",
        "sl.px",
        "sl.limit_px",
    ]
)
_KNOWN_PARAMS = _BRACKET | {
    "orderFilter", "triggerDirection", "triggerPrice", "ttl_ms", "quantize",
    "cl_id_to_cancel", "cancel_cl_id_to_cancel", "cancel_exchange_order_id", "cl_id_to_replace",
    "replace_cl_id_to_replace", "replace_new_price", "replace_new_size",
}  # fmt: skip


@dataclass
class Leg:
    """A child of a bracket."""

    role: str
    is_limit: bool
    trigger: Decimal
    limit: Decimal | None


@dataclass
class Bracket:
    size: Decimal | None
    reduce_only: bool
    oco: bool
    legs: list[Leg]


@dataclass
class Place:
    symbol: str
    product: str | None
    venue: str
    is_buy: bool
    kind: str
    """"limit", "market", "stop" (a trigger-market order) or "stop_limit"."""
    type_given: str
    tif: str
    tif_given: str
    price: Decimal | None
    size: Decimal
    stop_price: Decimal | None
    trigger_kind: str
    reduce_only: bool
    ttl_ms: int
    is_strict: bool | None
    bracket: Bracket | None
    ts_ns: int
    unknown_params: int


@dataclass
class Cancel:
    venue: str
    target: str | None
    oid: int | None
    symbol: str | None
    product: str | None


@dataclass
class Replace:
    venue: str
    target: str
    price: Decimal | None
    size: Decimal | None
    ts_ns: int


@dataclass
class Resend:
    topic: str
    first: int
    last: int


# -- single fields ------------------------------------------------------------------------------------------------------
def _bad(name: str, wanted: str, value: Any) -> Refused:
    return Refused("bad_field", f"{name} must be {wanted}, got {brief(value)}")


def _text(name: str, value: Any) -> str | None:
    if value is None or value == {} or value == "":
        return None
    if not isinstance(value, str) or len(value.encode()) > VALUE_MAX:
        raise _bad(name, f"text of at most {VALUE_MAX} bytes", value)
    return value


def _number(name: str, value: Any) -> Decimal | None:
    """A decimal from a number or a text; None if absent. Negative, huge, or anything else is a field error."""
    if value is None or value == {}:
        return None
    if isinstance(value, str):
        if len(value) > NUMBER_MAX or not _NUMBER.match(value):
            raise _bad(name, "a decimal number", value)
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise _bad(name, "a number", value)
    number = Decimal(value)
    if number < 0 or (number and not -SPAN <= number.adjusted() <= SPAN):
        raise _bad(name, "a number from 0 up of a sensible size", value)
    return number


def _whole(name: str, value: Any, high: int) -> int | None:
    number = _number(name, value)
    if number is None:
        return None
    if number != number.to_integral_value() or number > high:
        raise _bad(name, f"a whole number up to {high}", value)
    return int(number)


def _flag(name: str, value: Any) -> bool | None:
    if value is None or value == {}:
        return None
    if isinstance(value, bool):
        return value
    text = value.lower() if isinstance(value, str) else str(value) if isinstance(value, int) else ""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise _bad(name, "true or false", value)


def _object(name: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _bad(name, "an object", value)
    return value


def _map(name: str, value: Any, *, is_flat: bool) -> dict[str, Any]:
    """Tags or params: their number and lengths within the limits."""
    given = _object(name, value)
    if len(given) > TAGS_MAX:
        raise Refused("bad_field", f"{name} has {len(given)} entries; at most {TAGS_MAX} are taken")
    for key, one in given.items():
        if len(key.encode()) > KEY_MAX:
            raise Refused("bad_field", f"{name}: the key {key[:20]!r}... has more than {KEY_MAX} bytes")
        if is_flat and isinstance(one, (dict, list)):
            raise Refused("bad_field", f"{name}.{key} must be a plain value, got {kind_of(one)}")
        if len((one if isinstance(one, str) else compact(one)).encode()) > VALUE_MAX:
            raise Refused("bad_field", f"{name}.{key} has more than {VALUE_MAX} bytes")
    return given


def _one(name: str, places: list[tuple[str, Any]], read: Any) -> Any:
    """The one value of several places; two different ones are a field error."""
    found, at = None, ""
    for place, value in places:
        one = read(place, value)
        if one is None:
            continue
        if found is not None and one != found:
            raise Refused("bad_field", f"{name}: {at} says {brief(found)}, {place} says {brief(one)}")
        found, at = one, place
    return found


class _Fields:
    """The parts of a message, with what all actions share."""

    def __init__(self, envelope: Envelope, now_ns: int) -> None:
        body = envelope.body
        self.tags = _map("tags", body.get("tags"), is_flat=False)
        self.details = _object("details", body.get("details"))
        self.params = _map("details.params", self.details.get("params"), is_flat=True)
        self.ts_ns = _whole("ts_ns", body.get("ts_ns"), 2**64 - 1) or 0
        if self.ts_ns and not now_ns - DAY_NS <= self.ts_ns <= now_ns + AHEAD_NS:
            raise Refused("bad_field", f"ts_ns {self.ts_ns} is more than a day old or 60 s ahead of {now_ns}")
        self.venue = (_text("venue", body.get("venue")) or "").lower()
        self.product = self._product(body)

    @staticmethod
    def _product(body: dict[str, Any]) -> str | None:
        given = _text("product_type", body.get("product_type"))
        return None if given is None else given.lower()

    def at(self, *paths: str) -> list[tuple[str, Any]]:
        """(path, value) of paths such as `details.cancel.cl_id_to_cancel`, `tags.role`."""
        found = []
        for path in paths:
            first, _, rest = path.partition(".")
            value: Any = {"details": self.details, "tags": self.tags, "params": self.params}[first]
            while rest and isinstance(value, dict):
                if rest in value:
                    value, rest = value[rest], ""
                else:
                    name, _, rest = rest.partition(".")
                    value = value.get(name)
            found.append((path, None if rest else value))
        return found


# -- actions ------------------------------------------------------------------------------------------------------------
def read_place(envelope: Envelope, now_ns: int) -> Place:
    f = _Fields(envelope, now_ns)
    d, p = f.details, f.params
    if not d:
        raise Refused("missing_parameters", "details with symbol, side, order_type and size are required")
    missing = [name for name in ("symbol", "side", "order_type", "size") if d.get(name) in (None, "", {})]
    kinds = {"symbol": _text, "side": _text, "order_type": _text, "time_in_force": _text}
    texts = {name: read(f"details.{name}", d.get(name)) for name, read in kinds.items()}
    price = _number("details.price", d.get("price"))
    size = _number("details.size", d.get("size"))
    stop = _number("details.stop_price", d.get("stop_price"))
    triggered = _number("details.params.triggerPrice", p.get("triggerPrice"))
    reduce_only = bool(_flag("details.reduce_only", d.get("reduce_only")))
    ttl_ms = _whole("details.params.ttl_ms", p.get("ttl_ms"), 86_400_000) or 0
    quantize = _text("details.params.quantize", p.get("quantize"))
    if quantize is not None and quantize.lower() not in ("adjust", "strict"):
        raise _bad("details.params.quantize", "adjust or strict", quantize)
    for key in p:
        if key.startswith("bracket.") and key not in _BRACKET:
            raise Refused("bad_field", f"details.params.{key} is not known")
    if missing:
        raise Refused("missing_parameters", f"details.{missing[0]} is required")
    side = str(texts["side"]).lower()
    if side not in ("buy", "sell"):
        raise _bad("details.side", "buy or sell", texts["side"])
    given_type = str(texts["order_type"]).lower()
    if given_type not in KINDS:
        raise Refused("unsupported_type", f"order_type must be one of {', '.join(KINDS)}, got {brief(given_type)}")
    kind, is_trigger = KINDS[given_type]
    assert size is not None
    if size == 0:
        raise Refused("invalid_size", "details.size must be above 0")
    if triggered:
        if stop and stop != triggered:
            raise Refused("bad_field", f"stop_price says {stop}, params.triggerPrice says {triggered}")
        stop = triggered
    if not is_trigger and stop:
        raise Refused("bad_field", f"details.stop_price is for stop orders; a {given_type} order has none")
    if kind in ("limit", "stop_limit") and not price:
        raise Refused("missing_price", f"a {given_type} order needs details.price above 0")
    if is_trigger and not stop:
        raise Refused("missing_stop_price", f"a {given_type} order needs details.stop_price above 0")
    is_buy = side == "buy"
    return Place(
        symbol=str(texts["symbol"]),
        product=f.product,
        venue=f.venue,
        is_buy=is_buy,
        kind=kind,
        type_given=given_type,
        tif=_tif(texts["time_in_force"], kind),
        tif_given=texts["time_in_force"] or "",
        price=price or None,
        size=size,
        stop_price=stop if is_trigger else None,
        trigger_kind=_trigger_kind(f, is_buy) if is_trigger else "",
        reduce_only=reduce_only,
        ttl_ms=ttl_ms,
        is_strict=None if quantize is None else quantize.lower() == "strict",
        bracket=_bracket(f, is_buy, kind, price, size),
        ts_ns=f.ts_ns,
        unknown_params=sum(key not in _KNOWN_PARAMS for key in p),
    )


def _tif(given: str | None, kind: str) -> str:
    if given is None:
        return "Ioc" if kind == "market" else "Gtc"
    tif = TIFS.get(given.lower())
    if tif is None:
        raise Refused("unsupported_tif", f"time_in_force must be GTC, IOC or PO, got {brief(given)}")
    if kind == "market":
        if tif == "Alo":
            raise Refused("unsupported_tif", "a market order cannot be post-only")
        return "Ioc"
    return tif


def _trigger_kind(f: _Fields, is_buy: bool) -> str:
    """Take-profit or stop-loss; sources that disagree are a field error."""

    def of_direction(is_up: bool) -> str:
        return "sl" if is_up == is_buy else "tp"

    said: dict[str, str] = {}
    role = f.tags.get("role")
    if isinstance(role, str) and role.lower() in _ROLES:
        said["tags.role"] = _ROLES[role.lower()]
    order_filter = f.params.get("orderFilter")
    if order_filter is not None:
        found = {"takeprofit": "tp", "tp": "tp", "stoporder": "sl"}.get(str(order_filter).lower())
        if found is None:
            raise _bad("details.params.orderFilter", "TakeProfit or StopOrder", order_filter)
        said["params.orderFilter"] = found
    above = f.tags.get("stop_trigger")
    if above is not None:
        if not isinstance(above, str) or above.lower() not in ("above", "below"):
            raise _bad("tags.stop_trigger", "above or below", above)
        said["tags.stop_trigger"] = of_direction(above.lower() == "above")
    direction = f.params.get("triggerDirection")
    if direction is not None:
        if str(direction) not in ("1", "2") or isinstance(direction, bool):
            raise _bad("details.params.triggerDirection", "1 (rising) or 2 (falling)", direction)
        said["params.triggerDirection"] = of_direction(str(direction) == "1")
    if len(set(said.values())) > 1:
        raise Refused("bad_field", "the trigger's kind: " + ", ".join(f"{at} says {kind}" for at, kind in said.items()))
    return next(iter(said.values()), "sl")


def _bracket(f: _Fields, is_buy: bool, kind: str, price: Decimal | None, size: Decimal) -> Bracket | None:
    p = {key[8:]: value for key, value in f.params.items() if key.startswith("bracket.") and value is not None}
    if not p:
        return None
    if p.get("mode") is None:
        raise Refused("bad_field", "bracket.mode is required beside other bracket.* keys")
    if str(p["mode"]).lower() != "bundle":
        raise Refused("invalid_bracket", f"bracket.mode must be bundle, got {brief(p['mode'])}")
    if kind not in ("limit", "market"):
        raise Refused("invalid_bracket", "the entry of a bracket is a limit or market order")
    own = _number("bracket.size", p.get("size"))
    if own is not None and not 0 < own <= size:
        raise Refused("invalid_bracket", f"bracket.size must be above 0 and at most the entry's {size}, got {own}")
    legs = []
    for role in ("tp", "sl"):
        if not any(key.startswith(f"{role}.") for key in p):
            continue
        given = _text(f"bracket.{role}.type", p.get(f"{role}.type")) or "stop"
        if given.lower() not in ("stop", "stop_limit", "limit"):
            raise Refused("invalid_bracket", f"bracket.{role}.type must be stop or stop_limit, got {brief(given)}")
        trigger = _number(f"bracket.{role}.px", p.get(f"{role}.px"))
        if not trigger:
            raise Refused("invalid_bracket", f"bracket.{role}.px is required above 0")
        limit = _number(f"bracket.{role}.limit_px", p.get(f"{role}.limit_px"))
        legs.append(Leg(role, given.lower() != "stop", trigger, limit or None))
        if (price and (trigger > price) != (is_buy == (role == "tp"))) or trigger == price:
            where = "above" if is_buy == (role == "tp") else "below"
            raise Refused(
                "invalid_bracket", f"bracket.{role}.px must be {where} the entry's price {price}, got {trigger}"
            )
    if not legs:
        raise Refused("invalid_bracket", "a bracket needs bracket.tp.px or bracket.sl.px")
    if f.product == "spot":
        raise Refused("invalid_bracket", "brackets are for perpetuals")
    reduce_only = _flag("bracket.reduce_only", p.get("reduce_only"))
    oco = _flag("bracket.oco", p.get("oco"))
    return Bracket(own, reduce_only is not False, oco is not False, legs)


def _identity(name: str, value: Any) -> str | None:
    if value is None or value == "" or value == {}:
        return None
    if not isinstance(value, str) or len(value) > ID_MAX:
        raise _bad(name, f"text of at most {ID_MAX} bytes", value)
    return value


def _oid(name: str, value: Any) -> int | None:
    if value is None or value == "" or value == {}:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    raise _bad(name, "the venue's id, digits", value)


def read_cancel(envelope: Envelope, now_ns: int) -> Cancel:
    f = _Fields(envelope, now_ns)
    target = _one(
        "cl_id_to_cancel",
        f.at(
            "details.cancel.cl_id_to_cancel",
            "details.cl_id_to_cancel",
            "params.cl_id_to_cancel",
            "params.cancel_cl_id_to_cancel",
            "tags.cl_id_to_cancel",
            "tags.cancel_cl_id_to_cancel",
        ),
        _identity,
    )
    oid = _one(
        "exchange_order_id",
        f.at(
            "details.cancel.exchange_order_id",
            "details.exchange_order_id",
            "params.cancel_exchange_order_id",
            "tags.cancel_exchange_order_id",
            "tags.exchange_order_id",
        ),
        _oid,
    )
    symbol = _text("details.symbol", f.details.get("symbol"))
    if target is None and oid is None:
        raise Refused("missing_cancel_id", "details.cancel.cl_id_to_cancel or exchange_order_id is required")
    return Cancel(f.venue, target, oid, symbol, f.product)


def read_replace(envelope: Envelope, now_ns: int) -> Replace:
    f = _Fields(envelope, now_ns)
    target = _one(
        "cl_id_to_replace",
        f.at(
            "details.replace.cl_id_to_replace",
            "details.cl_id_to_replace",
            "params.cl_id_to_replace",
            "tags.cl_id_to_replace",
            "params.replace_cl_id_to_replace",
            "tags.replace_cl_id_to_replace",
        ),
        _identity,
    )
    values = {}
    for name in ("price", "size"):
        places = f.at(
            f"details.replace.new_{name}",
            f"details.new_{name}",
            f"params.replace_new_{name}",
            f"tags.replace_new_{name}",
        )
        found = _one(f"new_{name}", places, _number)
        if found is None:
            found = _number(f"details.{name}", f.details.get(name))
        values[name] = found or None
    if target is None:
        raise Refused("missing_replace_id", "details.replace.cl_id_to_replace is required")
    if values["price"] is None and values["size"] is None:
        raise Refused("missing_parameters", "a replace needs details.replace.new_price or new_size above 0")
    return Replace(f.venue, target, values["price"], values["size"], f.ts_ns)


def read_resend(envelope: Envelope, now_ns: int) -> Resend:
    f = _Fields(envelope, now_ns)
    topic = _text("details.topic", f.details.get("topic"))
    first = _whole("details.from_seq", f.details.get("from_seq"), 2**63)
    last = _whole("details.to_seq", f.details.get("to_seq"), 2**63)
    if topic is None or first is None or last is None:
        raise Refused("missing_parameters", "a resend needs details.topic, from_seq and to_seq")
    if topic not in ("exec.report", "exec.fill"):
        raise _bad("details.topic", "exec.report or exec.fill", topic)
    if not 1 <= first <= last:
        raise Refused("bad_field", f"from_seq and to_seq must be 1 ≤ from ≤ to, got {first} and {last}")
    return Resend(topic, first, last)
