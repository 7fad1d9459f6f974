"""Account modes of the local exchange (layer 5): how an account's money in spot and in the dexs hangs together.

* `disabled` (standard): each dex's purse and spot stand alone; money moves between them by transfers.
* `unifiedAccount`: one balance an asset, which spot and all dexs with that collateral share (`Account.is_joined`).
* `portfolioMargin`: as unified here. The venue also counts some spot tokens as collateral and lends; nothing is lent here.
* dex abstraction, beside the standard mode: an order in a builder dex takes the margin that it lacks from the main dex (if
  that has the same collateral) and from the spot balance.

The venue's rule for a change with open positions or orders is not known; here it is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hlfast.sim.account import JOINED_MODES, STANDARD, Account
from hlfast.sim.execution import Ticket
from hlfast.sim.numbers import text
from hlfast.sim.refusals import DEFAULT, Refused

if TYPE_CHECKING:
    from hlfast.sim.exchange import Exchange

CODES = {"i": STANDARD, "u": "unifiedAccount", "p": "portfolioMargin"}
JOINED = "Action disabled when unified account is active"


def user_set_abstraction(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    """Of the user itself or a sub-account. A multi-sig user's action carries the short code."""
    mode = CODES.get(action["abstraction"], action["abstraction"])
    return _set(_meant(exchange, account, action["user"]), mode)


def agent_set_abstraction(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    return _set(account, CODES[action["abstraction"]])


def user_portfolio_margin(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    """Deprecated: `userSetAbstraction` says the same."""
    return _set(_meant(exchange, account, action["user"]), "portfolioMargin" if action["enabled"] else STANDARD)


def user_dex_abstraction(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    _meant(exchange, account, action["user"]).draws_for_dexs = action["enabled"]
    return DEFAULT


def agent_enable_dex_abstraction(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    """An agent may only switch on what was never set."""
    if account.draws_for_dexs is not None:
        raise Refused("Dex abstraction is already set.")
    account.draws_for_dexs = True
    return DEFAULT


def _meant(exchange: Exchange, account: Account, user: str) -> Account:
    return account if user.lower() == account.address else exchange.controlled(account, user.lower())


def _set(account: Account, mode: str) -> dict[str, Any]:
    if mode not in (STANDARD, *JOINED_MODES):
        raise Refused(f"Invalid abstraction {mode[:40]}")
    if mode == account.mode:
        return DEFAULT
    if account.open or any(position.lots for position in account.positions.values()):
        raise Refused("Cannot change abstraction with open positions or orders.")
    account.mode = mode
    for purse in account.purses.values():
        account.join(purse)
    return DEFAULT


def draw_for_dex(exchange: Exchange, account: Account, ticket: Ticket) -> None:
    """Dex abstraction: bring the margin that an order in a builder dex lacks into its purse, as far as there is any."""
    market = ticket.market
    if not (market.dex and account.draws_for_dexs) or account.is_joined or ticket.reduce_only:
        return
    book = exchange.execution.books[market.asset]
    purse, px_e8 = account.purse(market.dex), max(ticket.px_e8, book.mark_e8 if not ticket.is_buy else 0)
    ntl_e8 = market.ntl_e8(px_e8, ticket.lots)
    lacks_e8 = purse.lacks_e8(account.position(book), ticket.is_buy, ntl_e8)
    lacks_e8 += ntl_e8 // 1000 if lacks_e8 > 0 else 0  # and its fee
    collateral = purse.collateral.index
    places = [dex for dex in ("", "spot") if dex == "spot" or account.purse("").collateral.index == collateral]
    for place in places:
        drawn_e8 = min(lacks_e8, account.can_send_e8(place, collateral))
        if lacks_e8 <= 0 or drawn_e8 <= 0:
            continue
        lacks_e8 -= drawn_e8
        account.move(place, collateral, -drawn_e8)
        purse.cash_e8 += drawn_e8
        delta = {
            "type": "activateDexAbstraction",
            "dex": market.dex,
            "token": purse.collateral.name,
            "amount": text(drawn_e8, 8),
        }
        if place == "spot":  # the row names no source: what came from spot is told as a transfer
            delta = send_row(account, account, "spot", market.dex, purse.collateral.name, text(drawn_e8, 8))
        exchange.add_ledger_row(account, delta)


def send_row(
    sender: Account, receiver: Account, source: str, destination: str, token: str, amount: str, nonce: int = 0
) -> dict[str, Any]:
    """A `send` row of the ledger."""
    return {
        "type": "send",
        "user": sender.address,
        "destination": receiver.address,
        "sourceDex": source,
        "destinationDex": destination,
        "token": token,
        "amount": amount,
        "usdcValue": amount,
        "fee": "0.0",
        "nativeTokenFee": "0.0",
        "nonce": nonce,
        "feeToken": "",
    }
