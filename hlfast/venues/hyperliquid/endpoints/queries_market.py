"""Info requests about markets and the venue (layer 1 of the venue): an entry each. Protocol, section 5.2.

Times are in ms. `dex` is the name of a builder's dex; left out, the main one.
"""
# mypy: disable-error-code="empty-body"

from typing import Annotated, Any

from hlfast.venues.hyperliquid.endpoints import answers as a
from hlfast.venues.hyperliquid.endpoints.kinds import COIN, TEXT, UINT, Choice, Hex, Text, Uint
from hlfast.venues.hyperliquid.endpoints.table import query

Coin = Annotated[str, COIN]
Dex = Annotated[str, Text(0, 32)]
Ms = Annotated[int, UINT]
INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d", "3d", "1w", "1M")
Interval = Annotated[str, Choice(*INTERVALS)]
LIGHT = 2


class MarketQueries:
    async def _query(self, entry: Any, fields: dict[str, Any]) -> Any:
        raise NotImplementedError

    @query(weight=LIGHT)
    async def all_mids(self, dex: Dex | None = None) -> dict[str, str]:
        """Wire coin → mid; the last trade's price where a side of the book is empty."""

    @query(weight=LIGHT)
    async def l2_book(
        self,
        coin: Coin,
        n_sig_figs: Annotated[int, Uint(2, 5)] | None = None,
        mantissa: Annotated[int, Uint(1, 5)] | None = None,
    ) -> a.L2Book | None:
        """The book of a wire coin, 20 levels a side, or None if the venue does not know it. `mantissa` goes with 5 figures."""

    @query(per_rows=20)
    async def recent_trades(self, coin: Coin) -> list[a.RecentTrade] | None:
        """Newest first."""

    @query(per_rows=60, wrapped="req")
    async def candle_snapshot(
        self, coin: Coin, interval: Interval, start_time: Ms, end_time: Ms | None = None
    ) -> list[a.Candle]:
        """The newest 5000 at most; the last one is still forming."""

    @query()
    async def meta(self, dex: Dex | None = None) -> a.Meta:
        """The perps of a dex; a row's position is its number, delisted ones included."""

    @query()
    async def all_perp_metas(self) -> list[a.Meta]:
        """Of every dex, in the order of `perp_dexs`."""

    @query()
    async def meta_and_asset_ctxs(self, dex: Dex | None = None) -> tuple[a.Meta, list[a.PerpAssetCtx]]:
        """Perps and their contexts by position."""

    @query()
    async def perp_dexs(self) -> list[a.PerpDex | None]:
        """The first is None: the main dex."""

    @query()
    async def perp_dex_limits(self, dex: Annotated[str, Text(1, 32)]) -> a.PerpDexLimits | None: ...

    @query()
    async def perp_dex_status(self, dex: Dex) -> a.PerpDexStatus: ...

    @query()
    async def margin_table(self, id: Annotated[int, UINT], dex: Dex | None = None) -> a.MarginTable: ...

    @query()
    async def max_market_order_ntls(self) -> list[tuple[int, str]]:
        """(least maximum leverage, largest market order in USD)."""

    @query(per_rows=20)
    async def funding_history(self, coin: Coin, start_time: Ms, end_time: Ms | None = None) -> list[a.FundingRate]:
        """Hourly rates, oldest first, 500 at most: `funding_history_pages` reads on."""

    @query()
    async def predicted_fundings(self) -> list[tuple[str, list[tuple[str, a.PredictedFunding | None]]]]: ...

    @query()
    async def perps_at_open_interest_cap(self, dex: Dex | None = None) -> list[str]: ...

    @query()
    async def spot_meta(self) -> a.SpotMeta: ...

    @query()
    async def spot_meta_and_asset_ctxs(self) -> tuple[a.SpotMeta, list[a.SpotAssetCtx]]:
        """To be joined by `coin`, not by position."""

    @query()
    async def token_details(self, token_id: Annotated[str, Hex(16)]) -> a.TokenDetails: ...

    @query()
    async def aligned_quote_token_info(self, token: Annotated[int, UINT]) -> dict[str, Any] | None: ...

    @query()
    async def outcome_meta(self) -> a.OutcomeMeta: ...

    @query()
    async def settled_outcome(self, outcome: Annotated[int, UINT]) -> a.SettledOutcome | None: ...

    @query()
    async def outcome_templates(self) -> list[a.OutcomeTemplate]: ...

    @query()
    async def perp_annotation(self, coin: Coin) -> a.PerpAnnotation | None: ...

    @query()
    async def perp_categories(self) -> list[tuple[str, str]]: ...

    @query()
    async def perp_concise_annotations(self) -> list[tuple[str, dict[str, Any]]]: ...

    @query()
    async def perp_deploy_auction_status(self) -> a.AuctionStatus: ...

    @query()
    async def spot_pair_deploy_auction_status(self) -> a.AuctionStatus: ...

    @query()
    async def gossip_priority_auction_status(self) -> tuple[list[str | None], list[a.AuctionStatus]]: ...

    @query()
    async def gossip_root_ips(self) -> list[str]: ...

    @query(weight=LIGHT)
    async def exchange_status(self) -> a.ExchangeStatus:
        """`specialStatuses` is None in normal times."""

    @query()
    async def usdc_routing(self) -> a.UsdcRouting: ...

    @query()
    async def all_borrow_lend_reserve_states(self) -> list[tuple[int, a.BorrowLendReserve]]: ...

    @query()
    async def borrow_lend_reserve_state(self, token: Annotated[int, UINT]) -> a.BorrowLendReserve: ...

    @query()
    async def liquidatable(self) -> list[a.Liquidatable]: ...

    @query(per_rows=20)
    async def validator_summaries(self) -> list[a.ValidatorSummary]: ...

    @query("validatorL1Votes")
    async def validator_l1_votes(self) -> list[a.ValidatorVote]: ...

    @query()
    async def vault_summaries(self) -> list[a.VaultSummary]:
        """Vaults younger than two hours."""

    @query()
    async def spot_deploy_state(self, user: Annotated[str, TEXT]) -> dict[str, Any]: ...
