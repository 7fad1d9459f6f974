"""Staking through the connector: what goes into staking leaves the spot balance, and the audit knows why."""

from __future__ import annotations

from typing import Any

from hlfast.sim.staking import VALIDATORS

WEI = 10**8


async def test_hype_is_staked_delegated_and_told(exchange: Any, trader: Any) -> None:
    """G17: given a deposit and a delegation, then queries tell of both, and the audit books the transfer: no mismatch."""
    exchange.change("grant", "0x14791697260e4c9a71f18484c9f997b308e59325", 150, 500 * WEI)
    hl = await trader(0, allow=["cDeposit", "cWithdraw", "tokenDelegate"])
    validator = VALIDATORS[0][0]
    await hl.actions.c_deposit(200 * WEI)
    await hl.actions.token_delegate(validator, 150 * WEI, False)
    await hl.actions.c_withdraw(20 * WEI)
    found = await hl.info.delegator_summary(hl.account)
    assert (found["delegated"], found["undelegated"], found["totalPendingWithdrawal"]) == ("150.0", "30.0", "20.0")
    assert [row["amount"] for row in await hl.info.delegations(hl.account)] == ["150.0"]
    assert len(await hl.info.delegator_history(hl.account)) == 3 and await hl.info.delegator_rewards(hl.account) == []
    assert [row["name"] for row in await hl.info.validator_summaries()] == [name for _, name in VALIDATORS]
    assert await hl.recovery.audit() == []
    assert hl.ledger["spot"]["HYPE"] == 300 and hl.totals["HYPE"].free == 300
