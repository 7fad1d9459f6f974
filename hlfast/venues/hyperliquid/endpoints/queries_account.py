"""Info requests about accounts (layer 1 of the venue): an entry each. Protocol, section 5.3.

`user` is the master's or sub-account's address: an agent's reads as empty. Times are in ms, bounds inclusive.
"""
# mypy: disable-error-code="empty-body"

from typing import Annotated, Any

from hlfast.venues.hyperliquid.endpoints import account_answers as a
from hlfast.venues.hyperliquid.endpoints.kinds import ADDRESS, BOOL, CLOID, TEXT, UINT, Either
from hlfast.venues.hyperliquid.endpoints.queries_market import LIGHT, Coin, Dex, Ms
from hlfast.venues.hyperliquid.endpoints.table import query

User = Annotated[str, ADDRESS]
Oid = Annotated[int | str, Either(UINT, CLOID)]


class AccountQueries:
    async def _query(self, entry: Any, fields: dict[str, Any]) -> Any:
        raise NotImplementedError

    @query(weight=LIGHT)
    async def clearinghouse_state(self, user: User, dex: Dex | None = None) -> a.ClearinghouseState:
        """Margin, positions and what may be withdrawn, of one dex."""

    @query(weight=LIGHT)
    async def spot_clearinghouse_state(self, user: User) -> a.SpotState: ...

    @query()
    async def open_orders(self, user: User, dex: Dex | None = None) -> list[a.OpenOrder]:
        """Untriggered stops show as plain reduce-only rows: see `frontend_open_orders`."""

    @query()
    async def frontend_open_orders(self, user: User, dex: Dex | None = None) -> list[a.FrontendOrder]: ...

    @query(weight=LIGHT)
    async def order_status(self, user: User, oid: Oid) -> a.OrderStatus:
        """`oid` is the venue's number or a cloid. An unknown one answers `{"status": "unknownOid"}`."""

    @query(per_rows=20)
    async def historical_orders(self, user: User) -> list[a.OrderRow]:
        """The newest 2000."""

    @query(per_rows=20)
    async def user_fills(self, user: User, aggregate_by_time: Annotated[bool, BOOL] | None = None) -> list[a.UserFill]:
        """The newest 2000 fills, newest first."""

    @query(per_rows=20)
    async def user_fills_by_time(
        self,
        user: User,
        start_time: Ms,
        end_time: Ms | None = None,
        aggregate_by_time: Annotated[bool, BOOL] | None = None,
        reversed: Annotated[bool, BOOL] | None = None,
    ) -> list[a.UserFill]:
        """Fills from `start_time` on, oldest first, at most 2000: `user_fills_pages` reads on."""

    @query(per_rows=20)
    async def user_twap_slice_fills(self, user: User) -> list[a.TwapSliceFill]: ...

    @query(per_rows=20)
    async def user_twap_slice_fills_by_time(
        self, user: User, start_time: Ms, end_time: Ms | None = None
    ) -> list[a.TwapSliceFill]: ...

    @query(per_rows=20)
    async def twap_history(self, user: User) -> list[a.TwapHistoryRow]:
        """`time` is in seconds here."""

    @query(per_rows=20)
    async def user_funding(
        self, user: User, start_time: Ms | None = None, end_time: Ms | None = None
    ) -> list[a.LedgerRow]:
        """Funding payments, + when received; 500 at most: `user_funding_pages` reads on."""

    @query(per_rows=20)
    async def user_non_funding_ledger_updates(
        self, user: User, start_time: Ms | None = None, end_time: Ms | None = None
    ) -> list[a.LedgerRow]:
        """Deposits, transfers and the like; 500 at most: `ledger_pages` reads on."""

    @query()
    async def user_rate_limit(self, user: User) -> a.RateLimit: ...

    @query()
    async def active_asset_data(self, user: User, coin: Coin) -> a.ActiveAssetData:
        """Leverage and room to trade in one perp: pairs are (long, short)."""

    @query()
    async def user_fees(self, user: User) -> a.UserFees: ...

    @query(weight=60)
    async def user_role(self, user: User) -> a.UserRole:
        """Weighs 60 of the minute's 1200."""

    @query()
    async def extra_agents(self, user: User) -> list[a.ExtraAgent]:
        """Named agents only."""

    @query()
    async def sub_accounts(self, user: User) -> list[a.SubAccount] | None: ...

    @query("subAccounts2")
    async def sub_accounts_2(self, user: User) -> list[a.SubAccount] | None:
        """As `sub_accounts`, with the state of every dex."""

    @query()
    async def portfolio(self, user: User) -> list[tuple[str, a.PortfolioPeriod]]: ...

    @query()
    async def referral(self, user: User) -> a.Referral: ...

    @query()
    async def max_builder_fee(self, user: User, builder: Annotated[str, ADDRESS]) -> int:
        """In tenths of a basis point."""

    @query()
    async def approved_builders(self, user: User) -> list[str]: ...

    @query()
    async def user_abstraction(self, user: User) -> str: ...

    @query()
    async def user_dex_abstraction(self, user: User) -> bool | None: ...

    @query()
    async def user_to_multi_sig_signers(self, user: User) -> a.MultiSigSigners | None: ...

    @query()
    async def user_vault_equities(self, user: User) -> list[a.VaultEquity]: ...

    @query()
    async def leading_vaults(self, user: User) -> list[a.LeadingVault]: ...

    @query()
    async def vault_details(self, vault_address: User, user: User | None = None) -> dict[str, Any] | None:
        """`apr`, `leaderFraction`, `maxDistributable` and `maxWithdrawable` are numbers here."""

    @query()
    async def delegations(self, user: User) -> list[a.Delegation]: ...

    @query()
    async def delegator_summary(self, user: User) -> a.DelegatorSummary: ...

    @query(per_rows=20)
    async def delegator_history(self, user: User) -> list[a.LedgerRow]: ...

    @query(per_rows=20)
    async def delegator_rewards(self, user: User) -> list[a.DelegatorReward]: ...

    @query()
    async def borrow_lend_user_state(self, user: User) -> a.BorrowLendUserState: ...

    @query()
    async def user_borrow_lend_interest(
        self, user: User, start_time: Ms, end_time: Ms | None = None
    ) -> list[a.BorrowLendInterest]: ...

    @query()
    async def web_data2(self, user: User) -> a.WebData2:
        """The web page's bundle: large, and not for trading."""

    @query()
    async def pre_transfer_check(self, user: User, source: Annotated[str, TEXT]) -> a.PreTransferCheck: ...

    @query()
    async def legal_check(self, user: User) -> a.LegalCheck: ...

    @query()
    async def is_vip(self, user: User) -> bool | None: ...
