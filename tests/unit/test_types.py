"""The words that every layer shares: names as text, classes of orders, frozen records."""

import pickle

import pytest

from hlfast import types
from hlfast.types import OrderParams, OrderState, OrderType

MEMBERS = {
    "ConnectorType": "SPOT DERIVATIVE_PERPETUAL DERIVATIVE_FUTURES AMM_DEX ORDERBOOK_DEX",
    "OrderType": "LIMIT MARKET LIMIT_MAKER STOP_LIMIT STOP_MARKET",
    "TradeType": "BUY SELL",
    "PositionAction": "NIL OPEN CLOSE",
    "PositionSide": "LONG SHORT BOTH",
    "PositionMode": "ONE_WAY HEDGE",
    "OrderState": "PENDING_CREATE PENDING_SUBMIT OPEN PARTIALLY_FILLED FILLED PENDING_CANCEL CANCELLED FAILED EXPIRED",
    "EventType": (
        "ORDER_CREATED ORDER_UPDATE ORDER_PARTIALLY_FILLED ORDER_FILLED ORDER_COMPLETED ORDER_CANCELLED ORDER_EXPIRED "
        "ORDER_FAILED ORDER_MODIFIED"
    ),
    "StreamState": "DOWN CONNECTING SUBSCRIBING SYNCING LIVE",
}


@pytest.mark.parametrize("name", MEMBERS)
def test_every_member_reads_as_its_own_name_and_other_values_raise(name):
    """Behaviours 1 and 13."""
    enum = getattr(types, name)
    assert [str(member) for member in enum] == MEMBERS[name].split()
    assert [f"{member}" for member in enum] == MEMBERS[name].split()
    for wrong in ("NOPE", 99, None):
        with pytest.raises(ValueError):
            enum(wrong)


def test_order_types_are_limit_like_or_market_like_and_never_both():
    """Behaviour 2."""
    assert {t.name for t in OrderType if t.is_limit_type} == {"LIMIT", "LIMIT_MAKER", "STOP_LIMIT"}
    assert {t.name for t in OrderType if t.is_market_type} == {"MARKET", "STOP_MARKET"}


def test_four_states_are_final():
    """Behaviour 15."""
    assert [s.name for s in OrderState if s.is_done] == ["FILLED", "CANCELLED", "FAILED", "EXPIRED"]


def test_order_params_are_frozen_and_know_no_other_field():
    """Must not 31: a setting must not be accepted and ignored."""
    params = OrderParams("BTC", "0.1", "50000")
    assert (params.reduce_only, params.rounding, params.trigger) == (False, "refuse", None)
    with pytest.raises(AttributeError, match="not writable"):
        params.size = "1"  # type: ignore[misc]
    with pytest.raises(TypeError, match="does not change"):
        params.__init__("ETH", "1")  # type: ignore[misc]
    changed = params.replace(size="0.2")
    assert (changed.size, params.size) == ("0.2", "0.1")
    assert changed != params and params == OrderParams("BTC", "0.1", "50000") and hash(params) == hash(params.replace())
    assert (
        pickle.loads(pickle.dumps(changed))
        == changed
        == eval(repr(changed).replace("<PositionAction.NIL: 'NIL'>", "None"))
    )
    with pytest.raises(TypeError):
        params.replace(time_inforce="Gtc")
    with pytest.raises(TypeError, match="time_inforce"):
        OrderParams("BTC", "0.1", "50000", time_inforce="Gtc")
