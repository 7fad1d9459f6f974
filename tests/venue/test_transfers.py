"""Rows of the account's ledger as amounts of its purses."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hlfast.venues.hyperliquid.transfers import PERP, flows

ME, OTHER = "0x" + "ab" * 20, "0x" + "cd" * 20
OUT, IN = {"user": ME, "destination": OTHER}, {"user": OTHER, "destination": ME.upper().replace("0X", "0x")}


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        ({"type": "deposit", "usdc": "100.0"}, {PERP: "100"}),
        ({"type": "withdraw", "usdc": "10", "nonce": 1, "fee": "1.0"}, {PERP: "-11"}),
        ({"type": "accountClassTransfer", "usdc": "5", "toPerp": True}, {PERP: "5", "USDC": "-5"}),
        ({"type": "accountClassTransfer", "usdc": "5", "toPerp": False}, {PERP: "-5", "USDC": "5"}),
        ({"type": "internalTransfer", "usdc": "5", "fee": "1", **OUT}, {PERP: "-6"}),
        ({"type": "internalTransfer", "usdc": "5", "fee": "1", **IN}, {PERP: "5"}),
        ({"type": "subAccountTransfer", "usdc": "5", **OUT}, {PERP: "-5"}),
        ({"type": "spotTransfer", "token": "PURR", "amount": "3", "fee": "0.5", "feeToken": "", **OUT}, {"PURR": "-3", "USDC": "-0.5"}),
        ({"type": "spotTransfer", "token": "USDC", "amount": "3", "fee": "0.5", "feeToken": "USDC", **OUT}, {"USDC": "-3.5"}),
        ({"type": "spotTransfer", "token": "PURR", "amount": "3", "fee": "0.5", **IN}, {"PURR": "3"}),
        (
            {"type": "send", "token": "USDC", "amount": "3", "sourceDex": "", "destinationDex": "spot", "user": ME, "destination": ME},
            {PERP: "-3", "USDC": "3"},
        ),
        ({"type": "send", "token": "USDC", "amount": "3", "sourceDex": "xyz", "destinationDex": "", **IN}, {PERP: "3"}),
        ({"type": "vaultDeposit", "vault": OTHER, "usdc": "7"}, {PERP: "-7"}),
        ({"type": "vaultWithdraw", "user": ME, "netWithdrawnUsd": "6.5"}, {PERP: "6.5"}),
        ({"type": "cStakingTransfer", "token": "HYPE", "amount": "2", "isDeposit": True}, {"HYPE": "-2"}),
        ({"type": "rewardsClaim", "token": "USDC", "amount": "2"}, {"USDC": "2"}),
    ],
)  # fmt: skip
def test_a_row_moves_the_purses_that_it_says(delta, expected):
    assert flows(delta, ME) == {purse: Decimal(amount) for purse, amount in expected.items()}


@pytest.mark.parametrize(
    "delta", [{"type": "somethingNew", "usdc": "1"}, {}, {"type": "liquidation", "accountValue": "1"}]
)
def test_a_kind_without_money_in_these_purses_moves_nothing(delta):
    """G19: an unknown kind stops nothing; what it moved shows as a difference of the audit."""
    assert flows(delta, ME) == {}
