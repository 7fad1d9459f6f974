"""Several accounts in one process: two users, a sub-account and a vault, each by a connector of its own."""

from __future__ import annotations

from typing import Any

import pytest

from hlfast.engine.audit import differences
from hlfast.errors import ConfigError
from hlfast.sim import FUNDED_ACCOUNTS
from hlfast.types import OrderState


async def test_accounts_in_one_process_are_kept_apart(exchange: Any, trader: Any, eventually: Any) -> None:
    """L70, L75: given a master, its sub-account and its vault (one key), and another user, then each trades for itself: orders,
    fills, cash and positions are its own on both sides, and all nonces of the one key are different."""
    exchange.change("set_mark", "BTC", "50000")
    exchange.change("rest", "BTC", "sell", "50010", "20")
    allowed = ["createSubAccount", "subAccountTransfer", "createVault"]
    master = await trader(0, allow=allowed)
    sub = (await master.actions.create_sub_account("desk"))["data"]
    await master.actions.sub_account_transfer(sub, True, 50_000_000_000)
    vault = (await master.actions.create_vault("A vault", "Made for this test", 20_000_000_000))["data"]
    of_sub = await trader(0, vault=sub)
    of_vault = await trader(0, vault=vault)
    other = await trader(1)
    desks = {"master": master, "sub": of_sub, "vault": of_vault, "other": other}
    before = {name: exchange.truth(hl.account) for name, hl in desks.items()}
    sizes = {"master": "0.01", "sub": "0.02", "vault": "0.03", "other": "0.04"}
    taken = {name: desks[name].buy("BTC", size, "50010", tif="Ioc") for name, size in sizes.items()}
    resting = {name: hl.buy("BTC", "0.005", "49000", tif="Alo") for name, hl in desks.items()}
    for name, hl in desks.items():
        assert await taken[name].done() is OrderState.FILLED and await resting[name].accepted()
        assert str(hl.positions["BTC"].signed_size) == sizes[name]
        assert [order.client_order_id for order in hl.orders] == [resting[name].client_order_id]
        assert exchange.truth(hl.account)["positions"]["BTC"]["szi"] == sizes[name]
    assert of_sub.modify(resting["sub"], price="49500")
    await eventually(lambda: resting["sub"].price == 49_500)
    assert master.cancel(resting["master"]) and await resting["master"].done() is OrderState.CANCELLED
    assert len(of_sub.orders) == len(of_vault.orders) == len(other.orders) == 1
    for name, hl in desks.items():
        hl.cancel_all()
        await resting[name].done()
        assert await hl.recovery.audit() == [] or name == "master"
        if name != "master":  # whose transfers of before are in its first state
            assert differences(hl.ledger, exchange.truth(hl.account), before[name]) == []
    nonces = [
        n for record in exchange.truth()["users"].values() for n in record["nonces"].get(master.signer.address, [])
    ]
    assert len(nonces) == len(set(nonces)) > 10


async def test_an_account_that_is_not_ones_own_is_refused_by_the_venue(exchange: Any, trader: Any) -> None:
    """L75: a vault that the key does not control: the venue's refusal ends the order, and nothing is traded for the master."""
    stranger = FUNDED_ACCOUNTS[3].address
    hl = await trader(0, vault=stranger)
    order = hl.buy("BTC", "0.01", "40000", tif="Alo")
    assert await order.accepted() is False and "does not exist" in order.reject.text
    assert exchange.truth(FUNDED_ACCOUNTS[0].address)["orders"] == [] == exchange.truth(stranger)["orders"]
    with pytest.raises(ConfigError, match="vault is an address"):
        await trader(0, vault="not an address")
