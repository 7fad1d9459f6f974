"""Liquidation on the local exchange (layer 5): what happens when a position's equity falls below its maintenance.

After each new mark: a cross account, or an isolated position, below maintenance loses its open orders in those markets
(`liquidatedCanceled`), then a market order for the whole position goes to the book, the largest first, within 10 % of
the mark; the rest of it goes on in the next blocks. Below 2/3 of maintenance the liquidator takes positions at mark,
with all the margin that is left. Neither pays a fee.

Simpler than the venue: positions over 100,000 USDC are not sold in fifths with a cool-down, and there is no
auto-deleveraging: what an account lacks below zero is the liquidator's loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hlfast.sim.account import Account, PerpPosition
from hlfast.sim.execution import Ticket
from hlfast.sim.numbers import text

if TYPE_CHECKING:
    from hlfast.sim.exchange import Exchange

LIQUIDATOR = "0x" + "51b0".rjust(40, "0")
REACH_PERCENT = 10


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
            cross = [position for position in held if position.is_cross]
            if cross:
                self._check(account, cross, account.value_e8)
            for position in held:
                if not position.is_cross:
                    self._check(account, [position], position.equity_e8)

    def _check(self, account: Account, positions: list[PerpPosition], equity_e8: int) -> None:
        maintenance_e8 = sum(position.maintenance_e8 for position in positions)
        if equity_e8 >= maintenance_e8:
            return
        is_cross = positions[0].is_cross
        method = "backstop" if 3 * equity_e8 < 2 * maintenance_e8 else "market"
        self._tell(account, positions, equity_e8, is_cross)
        markets = {position.book.market.asset for position in positions}
        for order in list(account.open.values()):
            held = account.positions.get(order.market.asset)
            affected = order.market.asset in markets or (is_cross and held is not None and held.is_cross)
            if order.oid in account.open and affected:  # one that ends with its parent is gone already
                self._execution.cancel(order, "liquidatedCanceled")
        for position in sorted(positions, key=lambda position: -abs(position.value_e8)):
            if method == "market":
                self._sell(account, position)
                equity_e8 = account.value_e8 if is_cross else position.equity_e8
                if equity_e8 >= sum(p.maintenance_e8 for p in positions if p.lots):
                    return
            else:
                self._execution.take_over(self.account, account, position)
        if method == "backstop" and is_cross:
            self.account.cash_e8 += account.cash_e8
            account.cash_e8 = 0

    def _sell(self, account: Account, position: PerpPosition) -> None:
        """A market order that may end with a rest."""
        book, is_buy = position.book, position.lots < 0
        px_e8 = book.mark_e8 * (100 + (REACH_PERCENT if is_buy else -REACH_PERCENT)) // 100
        px_e8 -= px_e8 % book.market.tick_e8(px_e8)
        if book.touch(is_buy, px_e8) is None:
            return
        ticket = Ticket(book.market, is_buy, px_e8, abs(position.lots), "LiquidationMarket", True)
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
