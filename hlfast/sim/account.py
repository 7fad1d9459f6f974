"""One account of the local exchange (layer 5): cash, positions, spot balances, fees, and what its orders reserve.

All amounts are integers: USDC by 1e8, tokens in wei, sizes in lots. Nothing is ever created here: a trade moves
amounts between two accounts and the fee box (`Exchange.assert_conserved` checks it after each block in the tests).

Perp cash and positions lie in purses, one a dex (`purse`); `positions` has those of all. An account's `mode` is the venue's
abstraction: in a joined one (`JOINED_MODES`) spot and all dexs share one balance an asset.

History is bounded: `trim` drops the oldest finished orders, fills and rows beyond `history`, and counts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hlfast.sim.fees import FeeRates, Volumes
from hlfast.sim.markets import TOKENS, USD, Market, Token
from hlfast.sim.matching import Book, Order
from hlfast.sim.purse import PerpPosition, Purse

if TYPE_CHECKING:
    from hlfast.sim.multi_sig import Signers

HISTORY = 10_000
STANDARD = "disabled"
JOINED_MODES = ("unifiedAccount", "portfolioMargin")
_BUILT_IN_TOKENS = {token.index: token for token in TOKENS}


class SpotBalance:
    """One token of one account, in wei. `hold` is what resting orders reserve; `entry_ntl_e8` what it cost."""

    __slots__ = ("entry_ntl_e8", "hold_wei", "token", "total_wei")

    def __init__(self, token: Token) -> None:
        self.token = token
        self.total_wei = 0
        self.hold_wei = 0
        self.entry_ntl_e8 = 0

    @property
    def free_wei(self) -> int:
        return self.total_wei - self.hold_wei


class Account:
    """`is_house` marks the background traders: they have balances, but nobody asks for their history."""

    def __init__(
        self,
        address: str,
        *,
        is_house: bool = False,
        master: Account | None = None,
        tokens: Mapping[int, Token] = _BUILT_IN_TOKENS,
        history: int = HISTORY,
        collaterals: Mapping[str, Token] | None = None,
    ) -> None:
        """`collaterals`: what each dex's perps are settled in, by its name; None for the main one alone."""
        self.address = address
        self.is_house = is_house
        self.master = master
        self.leader: Account | None = None
        """Who trades for it, if it is a vault."""
        self.name = ""
        self.builders: dict[str, int] = {}
        """The highest fee approved for each builder, in tenths of a basis point."""
        self.signers: Signers | None = None
        """Who acts for it, if it is a multi-sig user."""
        self.referred_by: tuple[str, str] | None = None
        self.referred_at = (0, 0)
        """When, and what volume there was by then."""
        self.history = history
        self._tokens = tokens
        self._collaterals = collaterals or {"": tokens[USD]}
        self.mode = STANDARD
        self.draws_for_dexs: bool | None = None
        """Dex abstraction: margin that an order in a builder dex lacks is taken from elsewhere."""
        self.purses: dict[str, Purse] = {}
        self._main = self.purse("")
        self.positions: dict[int, PerpPosition] = {}
        self.spot: dict[int, SpotBalance] = {}
        self.fees_wei: dict[str, int] = {}
        self.volume_e8 = 0
        self.fee_rates: FeeRates = FeeRates(Volumes() if master is None else master.fee_rates.volumes)
        self.open: dict[int, Order] = {}
        self.reduce_only: dict[int, Order] = {}
        self.bound: dict[int, Order] = {}
        self.orders: dict[int, Order] = {}
        self.by_cloid: dict[str, Order] = {}
        self.fills: list[dict[str, Any]] = []
        self.ledger: list[dict[str, Any]] = []
        self.fundings: list[dict[str, Any]] = []
        self.funding_e8 = 0
        """Sum of all payments, also of those whose rows are dropped; negative: paid."""
        self.twap_history: list[dict[str, Any]] = []
        self.twap_fills: list[dict[str, Any]] = []
        self.nonces: dict[str, list[int]] = {}
        self.dropped = {"orders": 0, "fills": 0, "ledger": 0, "fundings": 0, "nonces": 0, "twaps": 0}
        self.requests_used = self.requests_reserved = 0
        self.dripped_ms = 0
        self.liquidation_ms = self.part_liquidated_ms = -(1 << 62)
        self.cancel_at_ms: int | None = None
        self.scheduled_cancels: dict[int, int] = {}
        self.balance(USD)

    def __repr__(self) -> str:
        return f"<Account {self.address}>"

    def position(self, book: Book) -> PerpPosition:
        found = self.positions.get(book.market.asset)
        if found is None:
            found = self.positions[book.market.asset] = PerpPosition(book)
            self.purse(book.market.dex).positions[book.market.asset] = found
        return found

    def purse_of(self, position: PerpPosition) -> Purse:
        return self.purse(position.book.market.dex)

    def balance(self, token_index: int) -> SpotBalance:
        found = self.spot.get(token_index)
        if found is None:
            found = self.spot[token_index] = SpotBalance(self._tokens[token_index])
        return found

    # -- margin ----------------------------------------------------------------------------------------------------

    def purse(self, dex: str) -> Purse:
        """The perp account in a dex; made when it is first needed."""
        found = self.purses.get(dex)
        if found is None:
            found = self.purses[dex] = Purse(self, dex, self._collaterals[dex])
        return found

    @property
    def cash_e8(self) -> int:
        """Of the main dex, as the figures that follow."""
        return self._main.cash_e8

    @cash_e8.setter
    def cash_e8(self, e8: int) -> None:
        self._main.cash_e8 = e8
        self.join(self._main)

    @property
    def value_e8(self) -> int:
        return self._main.value_e8

    @property
    def raw_usd_e8(self) -> int:
        return self._main.raw_usd_e8

    @property
    def required_e8(self) -> int:
        return self._main.required_e8

    @property
    def withdrawable_e8(self) -> int:
        return self._main.withdrawable_e8

    # -- joined money ----------------------------------------------------------------------------------------------

    @property
    def is_joined(self) -> bool:
        """One balance an asset, which spot and all dexs with that collateral share."""
        return self.mode in JOINED_MODES

    def joined_purses(self, collateral: Token) -> list[Purse]:
        return [purse for purse in self.purses.values() if purse.collateral.index == collateral.index]

    def joined_spare_e8(self, collateral: Token) -> int:
        """What a joined account has beyond what orders hold and positions need."""
        purses = self.joined_purses(collateral)
        return self.balance(collateral.index).free_wei + sum(p.value_e8 - p.required_e8 for p in purses)

    def join(self, purse: Purse) -> None:
        """In a joined account realised money lies in the spot balance."""
        if self.is_joined:
            realised_e8 = purse.realised_e8
            self.balance(purse.collateral.index).total_wei += realised_e8
            purse.cash_e8 -= realised_e8

    def free_wei(self, token_index: int) -> int:
        """What of a token may be spent or sent: not what orders hold, nor what a joined account's positions need."""
        balance = self.balance(token_index)
        if not self.is_joined:
            return balance.free_wei
        return min(balance.free_wei, self.joined_spare_e8(balance.token))

    def can_send_e8(self, dex: str, token_index: int) -> int:
        """What may leave the purse of a dex; "spot" is the spot balance."""
        if dex == "spot" or self.is_joined:
            return max(0, self.free_wei(token_index))
        return self.purse(dex).withdrawable_e8

    def move(self, dex: str, token_index: int, wei: int) -> None:
        """Add (or take, if negative) money of a purse."""
        if dex == "spot" or self.is_joined:
            self.balance(token_index).total_wei += wei
        else:
            self.purse(dex).cash_e8 += wei

    def reserve(self, order: Order, book: Book, lots: int) -> None:
        """Reserve margin or balance for `lots` of a resting order; negative `lots` give it back."""
        market = order.market
        ntl_e8 = market.ntl_e8(order.px_e8, lots)
        if market.is_spot:
            if order.is_buy:
                self.balance(market.quote.index).hold_wei += ntl_e8
            else:
                self.balance(market.base.index).hold_wei += market.base_wei(lots)
        elif not order.reduce_only:
            position = self.position(book)
            if order.is_buy:
                position.bid_ntl_e8 += ntl_e8
            else:
                position.ask_ntl_e8 += ntl_e8

    def pay_fee(self, token_name: str, wei: int) -> None:
        self.fees_wei[token_name] = self.fees_wei.get(token_name, 0) + wei

    # -- orders ----------------------------------------------------------------------------------------------------

    def seat(self, order: Order) -> None:
        """The order is open now: in the book, or waiting."""
        self.open[order.oid] = order
        if order.waits:
            if order.is_position_bound:
                self.bound[order.oid] = order
        elif order.reduce_only:
            self.reduce_only[order.oid] = order

    def unseat(self, order: Order) -> None:
        del self.open[order.oid]
        self.reduce_only.pop(order.oid, None)
        self.bound.pop(order.oid, None)

    def resting_reduce_only(self, market: Market) -> list[Order]:
        """Newest first."""
        return [order for order in reversed(self.reduce_only.values()) if order.market is market]

    def named(self, cloid: str) -> Order | None:
        """The open order of this cloid (the newest if a client gave it twice), else the last one that had it."""
        order = self.by_cloid.get(cloid)
        if order is None or order.oid in self.open:
            return order
        return next((other for other in reversed(self.open.values()) if other.cloid == cloid), order)

    # -- history ---------------------------------------------------------------------------------------------------

    def trim(self) -> None:
        """Drop the oldest of what is over the limit, an eighth at a time; open orders stay."""
        most = self.history + self.history // 8
        if len(self.orders) > most:
            ended = [order for order in self.orders.values() if order.oid not in self.open]
            for order in ended[: len(self.orders) - self.history]:
                del self.orders[order.oid]
                self.dropped["orders"] += 1
                if order.cloid is not None and self.by_cloid.get(order.cloid) is order:
                    del self.by_cloid[order.cloid]
        kept: tuple[tuple[str, list[Any]], ...] = (
            ("fills", self.fills),
            ("ledger", self.ledger),
            ("fundings", self.fundings),
            ("twaps", self.twap_history),
            ("twaps", self.twap_fills),
            *(("nonces", nonces) for nonces in self.nonces.values()),
        )
        for name, listed in kept:
            over = len(listed) - self.history
            if len(listed) > most:
                del listed[:over]
                self.dropped[name] += over
