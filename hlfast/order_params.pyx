"""OrderParams: one order's fields, for `place([...])` (layer 0, hot: a batch makes 39 of them and reads each field).

Part of `hlfast.types`, which hands it out; compiled because a frozen dataclass costs a microsecond to make and as much to
read. Nothing is checked here: the order path checks what it is given, and names the order of the batch that is wrong.
"""

FIELDS = (
    "coin", "size", "price", "side", "tif", "reduce_only", "trigger", "rounding", "client_order_id", "cloid", "order_type",
    "position_action", "expires_after_ms",
)

cdef object _nil = None


cdef object _no_action():
    """PositionAction.NIL; `hlfast.types` imports this module, so it is not there yet when this one is loaded."""
    global _nil
    if _nil is None:
        from hlfast.types import PositionAction

        _nil = PositionAction.NIL
    return _nil


cdef class OrderParams:
    """One order's fields, as `buy()` and `sell()` take them by keyword; for `place([...])` and `buy(OrderParams(...))`.

    Immutable; `replace(**changes)` gives a changed copy. `side` is needed by `place` only. `expires_after_ms`: from now,
    after which the venue refuses it; 0 for none, None for the setting's default. Every field is used or refused, never
    ignored.
    """

    def __init__(
        self, coin, size, price=None, side=None, tif=None, bint reduce_only=False, trigger=None, rounding="refuse",
        client_order_id=None, cloid=None, order_type=None, position_action=None, expires_after_ms=None,
    ):
        if self.coin is not None:
            raise TypeError("an OrderParams does not change; use replace(...)")
        self.coin = coin
        self.size = size
        self.price = price
        self.side = side
        self.tif = tif
        self.reduce_only = reduce_only
        self.trigger = trigger
        self.rounding = rounding
        self.client_order_id = client_order_id
        self.cloid = cloid
        self.order_type = order_type
        self.position_action = _no_action() if position_action is None else position_action
        self.expires_after_ms = expires_after_ms

    def replace(self, **changes):
        """A copy with these fields changed."""
        return type(self)(**{**dict(zip(FIELDS, _values(self))), **changes})

    def __repr__(self):
        return f"OrderParams({', '.join(f'{name}={value!r}' for name, value in zip(FIELDS, _values(self)))})"

    def __eq__(self, other):
        if not isinstance(other, OrderParams):
            return NotImplemented
        return _values(self) == _values(<OrderParams>other)

    def __hash__(self):
        return hash(_values(self))

    def __reduce__(self):
        return type(self), _values(self)


cdef tuple _values(OrderParams p):
    return (
        p.coin, p.size, p.price, p.side, p.tif, p.reduce_only, p.trigger, p.rounding, p.client_order_id, p.cloid, p.order_type,
        p.position_action, p.expires_after_ms,
    )
