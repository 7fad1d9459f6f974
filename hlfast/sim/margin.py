"""Liquidation on the local exchange (layer 5): what happens when a position's equity falls below its maintenance.

After each new mark: a cross account, or an isolated position, below maintenance loses its open orders in those markets
(`liquidatedCanceled`), then a market order goes to the book, the largest position first, within 10 % of the mark: for the
whole position, or for a fifth of one over 100,000 USDC; for 30 s after such a fifth all are for whole positions. The rest
goes on in the next blocks. Below 2/3 of maintenance the liquidator takes positions at mark, with all the margin that is
left. Neither pays a fee. Each dex is looked at by itself, and a joined account's purses of one collateral together.

Simpler than the venue: there is no auto-deleveraging; what an account lacks below zero is the liquidator's loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hlfast.sim.account import Account
from hlfast.sim.execution import Ticket
from hlfast.sim.numbers import E8, text
from hlfast.sim.purse import PerpPosition, Purse

if TYPE_CHECKING:
    from hlfast.sim.exchange import Exchange

LIQUIDATOR = "0x" + "51b0".rjust(40, "0")
REACH_PERCENT = 10
LARGE_E8 = 100_000 * E8
COOL_DOWN_MS = 30_000


class Liquidator:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._execution = exchange.execution
        self._lid = 0

    @property
    def account(self) -> Account:
        """The backstop's own; opened when it is first needed."""
        found = self._exchange.accounts.get(LIQUIDATOR)
        return self._exchange.open_account(LIQUIDATOR, 0, 0, is_house=True) if found is None else found

    def on_block(self) -> None:
        for account in list(self._exchange.accounts.values()):
            if account.address == LIQUIDATOR or not account.positions:
                continue
            held = [position for position in account.positions.values() if position.lots]
            if not held:
                continue
            for purses in _joined(account):
                cross = [p for purse in purses for p in purse.positions.values() if p.lots and p.is_cross]
                if cross:
                    self._check(account, cross, purses)
            for position in held:
                if not position.is_cross and position.lots:
                    self._check(account, [position], [account.purse_of(position)])

    def _check(self, account: Account, positions: list[PerpPosition], purses: list[Purse]) -> None:
        is_cross = positions[0].is_cross
        equity_e8 = _equity_e8(account, positions, purses)
        maintenance_e8 = sum(position.maintenance_e8 for position in positions)
        if equity_e8 >= maintenance_e8:
            return
        method = "backstop" if 3 * equity_e8 < 2 * maintenance_e8 else "market"
        self._tell(account, positions, equity_e8, is_cross)
        markets = {position.book.market.asset for position in positions}
        dexs = {purse.dex for purse in purses}
        for order in list(account.open.values()):
            held = account.positions.get(order.market.asset)
            of_cross = is_cross and held is not None and held.is_cross and order.market.dex in dexs
            affected = order.market.asset in markets or of_cross
            if order.oid in account.open and affected:  # one that ends with its parent is gone already
                self._execution.cancel(order, "liquidatedCanceled")
        for position in sorted(positions, key=lambda position: -abs(position.value_e8)):
            if method == "market":
                self._sell(account, position)
                left = [p for p in positions if p.lots]
                if _equity_e8(account, left or positions, purses) >= sum(p.maintenance_e8 for p in left):
                    return
            else:
                self._execution.take_over(self.account, account, position)
        if method == "backstop" and is_cross:
            self._take_money(account, purses)

    def _take_money(self, account: Account, purses: list[Purse]) -> None:
        """What margin is left goes with the positions."""
        backstop = self.account
        for purse in purses:
            backstop.purse(purse.dex).cash_e8 += purse.cash_e8
            purse.cash_e8 = 0
        if account.is_joined:
            balance = account.balance(purses[0].collateral.index)
            backstop.purse(purses[0].dex).cash_e8 += balance.free_wei
            balance.total_wei -= balance.free_wei

    def _sell(self, account: Account, position: PerpPosition) -> None:
        """A market order that may end with a rest: a fifth of a large position first, all of it while that is fresh."""
        book, is_buy, lots = position.book, position.lots < 0, abs(position.lots)
        px_e8 = book.mark_e8 * (100 + (REACH_PERCENT if is_buy else -REACH_PERCENT)) // 100
        px_e8 -= px_e8 % book.market.tick_e8(px_e8)
        if book.touch(is_buy, px_e8) is None:
            return
        now_ms = self._execution.block.time_ms
        if abs(position.value_e8) > LARGE_E8 and now_ms > account.part_liquidated_ms + COOL_DOWN_MS:
            account.part_liquidated_ms = now_ms
            lots = -(-lots // 5)
        ticket = Ticket(book.market, is_buy, px_e8, lots, "LiquidationMarket", True)
        self._execution.liquidate(account, position, ticket)

    def _tell(self, account: Account, positions: list[PerpPosition], equity_e8: int, is_cross: bool) -> None:
        """Once a liquidation: one that goes on over blocks is told once."""
        block = self._execution.block
        if account.is_house or account.liquidation_ms >= block.time_ms - 30_000:
            account.liquidation_ms = block.time_ms
            return
        account.liquidation_ms = block.time_ms
        self._lid += 1
        ntl = text(sum(abs(position.value_e8) for position in positions), 8)
        delta: dict[str, Any] = {
            "type": "liquidation",
            "liquidatedNtlPos": ntl,
            "accountValue": text(equity_e8, 8),
            "leverageType": "Cross" if is_cross else "Isolated",
            "liquidatedPositions": [
                {"coin": p.book.market.coin, "szi": p.book.market.sz_text(p.lots)} for p in positions
            ],
        }
        account.ledger.append({"time": block.time_ms, "hash": "0x" + "0" * 64, "delta": delta})
        block.add_liquidation(
            account,
            {
                "lid": self._lid,
                "liquidator": LIQUIDATOR,
                "liquidated_user": account.address,
                "liquidated_ntl_pos": ntl,
                "liquidated_account_value": text(equity_e8, 8),
            },
        )


def _joined(account: Account) -> list[list[Purse]]:
    """The purses that stand behind each other."""
    purses = list(account.purses.values())
    if not account.is_joined:
        return [[purse] for purse in purses]
    return [account.joined_purses(purse.collateral) for purse in {p.collateral.index: p for p in purses}.values()]


def _equity_e8(account: Account, positions: list[PerpPosition], purses: list[Purse]) -> int:
    """What stands behind these positions: all cross ones of some purses, or an isolated one."""
    if not positions[0].is_cross:
        return positions[0].equity_e8
    own_e8 = sum(purse.value_e8 for purse in purses)
    return own_e8 + (account.balance(purses[0].collateral.index).total_wei if account.is_joined else 0)
