"""Actions about accounts and money (local exchange, layer 5): transfers, agents, sub-accounts, builders, referrers.

Handlers as in `actions`, whose table lists them. Nothing is made or lost but by `withdraw3`, which takes money off the
exchange. Where the venue asks for traded volume or a waiting time first (sub-accounts, withdrawals), nothing is asked here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hlfast.sim import modes
from hlfast.sim.account import Account
from hlfast.sim.markets import USD, USDC, Token
from hlfast.sim.numbers import scaled, text
from hlfast.sim.refusals import DEFAULT, Refused
from hlfast.sim.shapes import Malformed, address, dec
from hlfast.sim.vaults import new_address

if TYPE_CHECKING:
    from hlfast.sim.exchange import Exchange

WITHDRAWAL_FEE_E8 = 10**8
MAX_SUB_ACCOUNTS = 10
MAX_BUILDERS = 10
ACTIVATION_E8 = 10**8
"""What the sender pays on top of the first transfer to an address that has no account yet: one of the quote token."""


def usd_class_transfer(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    amount, _, sub_account = action["amount"].partition(" subaccount:")
    if sub_account:
        account = _sub_account(exchange, account, sub_account)
    if account.is_joined:
        raise Refused(modes.JOINED)
    usd_e8 = _amount(amount, 6) * 100
    spot = account.balance(USD)
    if action["toPerp"]:
        if spot.free_wei < usd_e8:
            raise Refused("Insufficient balance for token transfer.")
        account.cash_e8, spot.total_wei = account.cash_e8 + usd_e8, spot.total_wei - usd_e8
    else:
        if account.withdrawable_e8 < usd_e8:
            raise Refused("Insufficient balance for withdrawal.")
        account.cash_e8, spot.total_wei = account.cash_e8 - usd_e8, spot.total_wei + usd_e8
    usdc = text(usd_e8, 8)
    exchange.add_ledger_row(account, {"type": "accountClassTransfer", "usdc": usdc, "toPerp": action["toPerp"]})
    return DEFAULT


def usd_send(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    usd_e8, fee_e8 = _amount(action["amount"], 6) * 100, _activation_e8(exchange, action)
    if account.withdrawable_e8 < usd_e8 + fee_e8:
        raise Refused("Insufficient balance for withdrawal.")
    account.cash_e8 -= fee_e8
    _move_usd(exchange, account, _receiver(exchange, action), usd_e8, "internalTransfer", fee_e8)
    return DEFAULT


def _move_usd(
    exchange: Exchange, sender: Account, receiver: Account, usd_e8: int, kind: str, paid_fee_e8: int = 0
) -> None:
    if sender.withdrawable_e8 < usd_e8:
        raise Refused("Insufficient balance for withdrawal.")
    sender.cash_e8 -= usd_e8
    receiver.cash_e8 += usd_e8
    delta = {"type": kind, "usdc": text(usd_e8, 8), "user": sender.address, "destination": receiver.address}
    if kind == "internalTransfer":
        delta["fee"] = text(paid_fee_e8, 8)
    for party in (sender, receiver):
        exchange.add_ledger_row(party, delta)


def spot_send(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    token = _token(exchange, action["token"])
    wei, fee_e8 = _amount(action["amount"], token.wei_decimals), _activation_e8(exchange, action)
    purse = account.balance(USD)
    if account.free_wei(USD) < fee_e8 + wei * (token.index == USD) or account.free_wei(token.index) < wei:
        raise Refused("Insufficient balance for token transfer.")
    purse.total_wei -= fee_e8
    _move_token(exchange, account, _receiver(exchange, action), token, wei, fee_e8)
    return DEFAULT


def _move_token(
    exchange: Exchange, sender: Account, receiver: Account, token: Token, wei: int, paid_fee_e8: int = 0
) -> None:
    sending, receiving = sender.balance(token.index), receiver.balance(token.index)
    if sender.free_wei(token.index) < wei:
        raise Refused("Insufficient balance for token transfer.")
    sending.total_wei -= wei
    receiving.total_wei += wei
    delta = {
        "type": "spotTransfer",
        "token": token.name,
        "amount": text(wei, token.wei_decimals),
        "usdcValue": text(exchange.usdc_value_e8(token, wei), 8),
        "user": sender.address,
        "destination": receiver.address,
        "fee": text(paid_fee_e8, 8),
        "nativeTokenFee": "0.0",
        "nonce": None,
        "feeToken": USDC.name if paid_fee_e8 else "",
    }
    for party in (sender, receiver):
        exchange.add_ledger_row(party, delta)


def send_asset(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    """Between purses of one account or two: "" is the main perp dex, "spot" the spot balance, else a builder dex. A dex takes
    its collateral only, in 6 decimals. What opening the receiver's account costs is taken from where the money comes from
    if that is USDC, else from the spot balance."""
    sender = account if not action["fromSubAccount"] else _sub_account(exchange, account, action["fromSubAccount"])
    fee_e8 = _activation_e8(exchange, action)
    source, destination = action["sourceDex"], action["destinationDex"]
    if sender.is_joined and action["destination"].lower() == sender.address:
        raise Refused(modes.JOINED)
    name, token = action["token"], None
    for place in (source, destination):
        if place == "spot":
            continue
        collateral = exchange.universe.collaterals.get(place)
        if collateral is None:
            raise Refused(f"Invalid dex {place[:40]}")
        if name not in (collateral.name, collateral.wire_name):
            raise Refused("Invalid send")
        token = collateral
    if token is None:
        wei = _amount(action["amount"], (token := USDC if name == USDC.name else _token(exchange, name)).wei_decimals)
    else:
        wei = _amount(action["amount"], 6) * 10 ** (token.wei_decimals - 6)
    is_usdc = token.index == USD
    fee_from = source if is_usdc else "spot"
    taken = wei + fee_e8 if is_usdc else wei
    if sender.can_send_e8(source, token.index) < taken or (fee_e8 and sender.can_send_e8(fee_from, USD) < fee_e8):
        raise Refused(f"Insufficient balance for {'token transfer' if source == 'spot' else 'withdrawal'}.")
    sender.move(fee_from, USD, -fee_e8)
    sender.move(source, token.index, -wei)
    receiver = _receiver(exchange, action)
    receiver.move(destination, token.index, wei)
    amount = text(wei, token.wei_decimals)
    delta = modes.send_row(sender, receiver, source, destination, token.name, amount, action["nonce"])
    delta["usdcValue"] = text(exchange.usdc_value_e8(token, wei), 8)
    delta["fee"], delta["feeToken"] = text(fee_e8, 8), USDC.name if fee_e8 else ""
    for party in {sender.address: sender, receiver.address: receiver}.values():
        exchange.add_ledger_row(party, delta)
    return DEFAULT


def agent_send_asset(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    receiver = exchange.accounts.get(action["destination"].lower())
    if receiver is not account and (receiver is None or receiver.master is not account):
        raise Refused("Agent can only send asset to same user or their sub-accounts.")
    return send_asset(exchange, account, action)


def withdraw(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    """USDC leaves the exchange; 1 USDC of it is the fee."""
    usd_e8 = _amount(action["amount"], 6) * 100
    if usd_e8 <= WITHDRAWAL_FEE_E8 or account.withdrawable_e8 < usd_e8:
        raise Refused("Insufficient balance for withdrawal.")
    account.cash_e8 -= usd_e8
    exchange.execution.fees_wei[USDC.name] += WITHDRAWAL_FEE_E8
    exchange.take_out(USDC.name, usd_e8 - WITHDRAWAL_FEE_E8)
    delta = {
        "type": "withdraw",
        "usdc": text(usd_e8 - WITHDRAWAL_FEE_E8, 8),
        "nonce": action["time"],
        "fee": text(WITHDRAWAL_FEE_E8, 8),
    }
    exchange.add_ledger_row(account, delta)
    return DEFAULT


def approve_agent(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    agent = action["agentAddress"]
    if agent in exchange.accounts:
        raise Refused("Extra agent already used.")
    refusal = exchange.agents.approve(account.address, agent, action["agentName"], exchange.time_ms)
    if refusal is not None:
        raise Refused(refusal)
    return DEFAULT


def approve_builder_fee(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    """`maxFeeRate` "0.001%" is one tenth of a basis point; "0%" takes the approval back.

    An address that was never heard of here is taken for a builder of the venue and gets an empty account: clients that
    approve their maker's address before the first order trade unchanged.
    """
    rate = action["maxFeeRate"]
    try:
        tenths = scaled(dec(rate[:-1]), 3) if rate.endswith("%") else None
    except Malformed:
        tenths = None
    if tenths is None or not 0 <= tenths <= 1000:
        raise Refused("Invalid builder fee rate.")
    builder = action["builder"].lower()
    if not tenths:
        account.builders.pop(builder, None)
    elif builder not in account.builders and len(account.builders) >= MAX_BUILDERS:
        raise Refused("Too many approved builders.")
    else:
        account.builders[builder] = tenths
        if builder not in exchange.accounts:
            exchange.open_account(builder, 0, 0)
    return DEFAULT


def create_sub_account(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    owned = [each for each in exchange.accounts.values() if each.master is account]
    if len(owned) >= MAX_SUB_ACCOUNTS:
        raise Refused("Too many sub-accounts.")
    made = exchange.open_account(new_address(exchange, account, "sub"), 0, 0, master=account)
    made.name = action["name"]
    return {"type": "createSubAccount", "data": made.address}


def sub_account_modify(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    _sub_account(exchange, account, action["subAccountUser"]).name = action["name"]
    return DEFAULT


def _sub_account(exchange: Exchange, account: Account, which: str) -> Account:
    found = exchange.accounts.get(which.lower())
    if found is None or found.master is not account:
        raise Refused(f"Sub-account {which[:42]} is not registered to {account.address}")
    return found


def _pair(exchange: Exchange, account: Account, action: dict[str, Any]) -> tuple[Account, Account]:
    """Who sends and who receives, of a master and its sub-account."""
    sub_account = exchange.accounts.get(action["subAccountUser"])
    if sub_account is None or sub_account.master is not account:
        names = (account.address, action["subAccountUser"])[:: 1 if action["isDeposit"] else -1]
        raise Refused(f"Invalid sub-account transfer from {names[0]} to {names[1]}")
    return (account, sub_account) if action["isDeposit"] else (sub_account, account)


def sub_account_transfer(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    sender, receiver = _pair(exchange, account, action)
    if not action["usd"]:
        raise Refused("Invalid send")
    _move_usd(exchange, sender, receiver, action["usd"] * 100, "subAccountTransfer")
    return DEFAULT


def sub_account_spot_transfer(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    sender, receiver = _pair(exchange, account, action)
    token = _token(exchange, action["token"])
    _move_token(exchange, sender, receiver, token, _amount(action["amount"], token.wei_decimals))
    return DEFAULT


def register_referrer(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    if exchange.referrers.get(action["code"], account) is not account:
        raise Refused("Referral code already registered.")
    exchange.referrers[action["code"]] = account
    return DEFAULT


def set_referrer(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    referrer = exchange.referrers.get(action["code"])
    if referrer is None or referrer is account:
        raise Refused("Referral code not registered")
    account.referred_by = (referrer.address, action["code"])
    account.referred_at = (exchange.time_ms, account.volume_e8)
    return DEFAULT


def set_display_name(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    account.name = action["displayName"]
    return DEFAULT


def _token(exchange: Exchange, name: str) -> Token:
    token = exchange.universe.by_wire_name.get(name)
    if token is None:
        raise Refused(f"Unknown token {name[:80]}: expected NAME:0x<token id>, as in spotMeta")
    return token


def _amount(number: str, decimals: int) -> int:
    try:
        amount = scaled(dec(number), decimals)
    except Malformed:
        amount = None
    if amount is None or amount <= 0:
        raise Refused("Invalid send")
    return amount


def _activation_e8(exchange: Exchange, action: dict[str, Any]) -> int:
    try:
        return 0 if address(action["destination"]) in exchange.accounts else ACTIVATION_E8
    except Malformed:
        raise Refused("Invalid send") from None


def _receiver(exchange: Exchange, action: dict[str, Any]) -> Account:
    """Who is sent to; the first transfer to an address opens its account, and its fee, taken before, is booked."""
    receiver = exchange.accounts.get(action["destination"].lower())
    if receiver is None:
        receiver = exchange.open_account(action["destination"], 0, 0)
        exchange.execution.fees_wei[USDC.name] += ACTIVATION_E8
    return receiver
