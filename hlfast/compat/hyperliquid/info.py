"""`Info`: every query of the official SDK, name resolution, and subscriptions (layer 5).

    info = Info(skip_ws=True); info.user_state("0x..."); info.l2_snapshot("BTC")

Queries return the venue's parsed answer. Differs from the SDK: the WebSocket starts when the metadata is in; a market
that does not parse is skipped with a warning; an unknown name asks for new metadata once before it is a `KeyError`;
`subscribe` leaves the caller's dict alone.
"""

import logging
import threading

from hlfast.clock import monotonic_ns
from hlfast.compat.hyperliquid.api import API
from hlfast.compat.hyperliquid.utils.types import (
    Any,
    Callable,
    Cloid,
    List,
    Meta,
    Optional,
    SpotMeta,
    SpotMetaAndAssetCtxs,
    Subscription,
    cast,
)
from hlfast.compat.hyperliquid.websocket_manager import WebsocketManager

SPOT_ASSETS, DEX_ASSETS, DEX_STEP = 10_000, 100_000, 10_000
REFRESH_SECONDS = 10
"""Metadata is asked for again at most once in this time."""
_COIN_STREAMS = ("l2Book", "trades", "candle", "bbo", "activeAssetCtx")
_log = logging.getLogger("hlfast.compat")


class Info(API):
    """Queries to `base_url`. `perp_dexs`: the dexs to load, "" being the main one; None loads that alone."""

    def __init__(
        self,
        base_url: Optional[str] = None,
        skip_ws: Optional[bool] = False,
        meta: Optional[Meta] = None,
        spot_meta: Optional[SpotMeta] = None,
        perp_dexs: Optional[List[str]] = None,
        timeout: Optional[float] = None,
    ):
        super().__init__(base_url, timeout)
        self.ws_manager: Optional[WebsocketManager] = None
        self.coin_to_asset: dict[str, int] = {}
        self.name_to_coin: dict[str, str] = {}
        self.asset_to_sz_decimals: dict[int, int] = {}
        self._fetched_spot, self._fetched_dexs = spot_meta is None, set[str]()
        self._refreshed_ns: Optional[int] = None
        self._refreshing = threading.Lock()

        self._add_spot_meta(self.spot_meta() if spot_meta is None else spot_meta)
        self._offsets = {"": 0}
        if perp_dexs is None:
            perp_dexs = [""]
        else:
            self._offsets.update(self._dex_offsets())
        for dex in perp_dexs:
            offset = self._offsets[dex]
            if dex == "" and meta is not None:
                self.set_perp_meta(meta, 0)
            else:
                self.set_perp_meta(self.meta(dex=dex), offset)
                self._fetched_dexs.add(dex)

        if not skip_ws:
            self.ws_manager = WebsocketManager(self.base_url)
            self.ws_manager.start()

    # -- metadata ---------------------------------------------------------------------------------------------------
    def _add_spot_meta(self, spot_meta):
        # type: (Any) -> None
        tokens = {
            token["index"]: token for token in spot_meta["tokens"] if isinstance(token, dict) and "index" in token
        }
        for row in spot_meta["universe"]:
            try:
                coin, asset = row["name"], SPOT_ASSETS + row["index"]
                base, quote = (tokens[index] for index in row["tokens"])
                decimals, name = base["szDecimals"], f"{base['name']}/{quote['name']}"
            except (KeyError, TypeError, ValueError) as error:
                _skipped("spot", row, error)
                continue
            self.coin_to_asset[coin] = asset
            self.name_to_coin[coin] = coin
            self.asset_to_sz_decimals[asset] = decimals
            self.name_to_coin.setdefault(name, coin)

    def _dex_offsets(self):
        # type: () -> dict[str, int]
        """The first asset id of each builder dex, by its place in the venue's list."""
        found = {}
        for place, dex in enumerate(self.perp_dexs()):
            if place == 0:
                continue
            try:
                found[dex["name"]] = DEX_ASSETS + place * DEX_STEP
            except (KeyError, TypeError) as error:
                _skipped("dex", dex, error)
        return found

    def set_perp_meta(self, meta: Meta, offset: int) -> Any:
        """Take in the markets of one dex, whose asset ids begin at `offset`."""
        for index, row in enumerate(meta["universe"]):
            try:
                coin, decimals = row["name"], row["szDecimals"]
            except (KeyError, TypeError) as error:
                _skipped("perp", row, error)
                continue
            self.coin_to_asset[coin] = offset + index
            self.name_to_coin[coin] = coin
            self.asset_to_sz_decimals[offset + index] = decimals

    def _refresh(self, name):
        # type: (str) -> bool
        """Ask for the metadata that could hold `name`, if it was we who fetched it. True if anything was asked for."""
        dex = name.split(":")[0] if isinstance(name, str) and ":" in name else ""
        is_spot = isinstance(name, str) and ("/" in name or name.startswith("@"))
        if not (self._fetched_spot if is_spot else dex in self._fetched_dexs):
            return False
        with self._refreshing:
            now_ns = monotonic_ns()
            if self._refreshed_ns is not None and now_ns - self._refreshed_ns < REFRESH_SECONDS * 1_000_000_000:
                return False
            self._refreshed_ns = now_ns
        if is_spot:
            self._add_spot_meta(self.spot_meta())
        else:
            self.set_perp_meta(self.meta(dex=dex), self._offsets[dex])
        return True

    def _coin(self, name):
        # type: (str) -> str
        """The wire name of `name`. Raises `KeyError`."""
        coin = self.name_to_coin.get(name)
        if coin is None and self._refresh(name):
            coin = self.name_to_coin.get(name)
        if coin is None:
            raise KeyError(name)
        return coin

    def name_to_asset(self, name: str) -> int:
        """The asset id of `name`. Raises `KeyError` for a name that the venue does not know."""
        coin = self.name_to_coin.get(name)
        return self.coin_to_asset[self._coin(name) if coin is None else coin]

    # -- subscriptions ----------------------------------------------------------------------------------------------
    def disconnect_websocket(self):
        # type: () -> None
        """End the WebSocket, for good."""
        if self.ws_manager is None:
            raise RuntimeError("Cannot call disconnect_websocket since skip_ws was used")
        self.ws_manager.stop()

    def _remap_coin_subscription(self, subscription: Subscription) -> None:
        if subscription["type"] in _COIN_STREAMS:
            named = cast(Any, subscription)
            named["coin"] = self._coin(named["coin"])

    def subscribe(self, subscription: Subscription, callback: Callable[[Any], None]) -> int:
        """Call `callback` with every frame of `subscription`, on the manager's thread. Returns the subscription's id."""
        subscription = cast(Subscription, dict(subscription))
        self._remap_coin_subscription(subscription)
        if self.ws_manager is None:
            raise RuntimeError("Cannot call subscribe since skip_ws was used")
        return self.ws_manager.subscribe(subscription, callback)

    def unsubscribe(self, subscription: Subscription, subscription_id: int) -> bool:
        """End one callback. True if the id was active."""
        subscription = cast(Subscription, dict(subscription))
        self._remap_coin_subscription(subscription)
        if self.ws_manager is None:
            raise RuntimeError("Cannot call unsubscribe since skip_ws was used")
        return self.ws_manager.unsubscribe(subscription, subscription_id)

    # -- markets ----------------------------------------------------------------------------------------------------
    def all_mids(self, dex: str = "") -> Any:
        """Mid prices by coin, as text."""
        return self.post("/info", {"type": "allMids", "dex": dex})

    def meta(self, dex: str = "") -> Meta:
        """The perps of a dex: {"universe": [{"name", "szDecimals", ...}], ...}."""
        return cast(Meta, self.post("/info", {"type": "meta", "dex": dex}))

    def meta_and_asset_ctxs(self) -> Any:
        """[meta, contexts], the contexts in the order of the universe."""
        return self.post("/info", {"type": "metaAndAssetCtxs"})

    def perp_dexs(self) -> Any:
        """Every perp dex; the first entry is None and stands for the main one."""
        return self.post("/info", {"type": "perpDexs"})

    def spot_meta(self) -> SpotMeta:
        """Spot pairs and tokens."""
        return cast(SpotMeta, self.post("/info", {"type": "spotMeta"}))

    def spot_meta_and_asset_ctxs(self) -> SpotMetaAndAssetCtxs:
        """[spot meta, contexts]; join them by `coin`."""
        return cast(SpotMetaAndAssetCtxs, self.post("/info", {"type": "spotMetaAndAssetCtxs"}))

    def funding_history(self, name: str, startTime: int, endTime: Optional[int] = None) -> Any:
        """Funding rates of a coin; times in ms."""
        query = {"type": "fundingHistory", "coin": self._coin(name), "startTime": startTime}
        return self.post("/info", query if endTime is None else {**query, "endTime": endTime})

    def l2_snapshot(self, name: str) -> Any:
        """The book: {"coin", "levels": [bids, asks], "time"}."""
        return self.post("/info", {"type": "l2Book", "coin": self._coin(name)})

    def candles_snapshot(self, name: str, interval: str, startTime: int, endTime: int) -> Any:
        """Candles of an interval such as "1m"; times in ms."""
        query = {"coin": self._coin(name), "interval": interval, "startTime": startTime, "endTime": endTime}
        return self.post("/info", {"type": "candleSnapshot", "req": query})

    def query_perp_deploy_auction_status(self) -> Any:
        """The gas auction for new perps."""
        return self.post("/info", {"type": "perpDeployAuctionStatus"})

    def query_spot_deploy_auction_status(self, user: str) -> Any:
        """The gas auction for new tokens, and the user's part in it."""
        return self.post("/info", {"type": "spotDeployState", "user": user})

    # -- accounts ---------------------------------------------------------------------------------------------------
    def user_state(self, address: str, dex: str = "") -> Any:
        """Perp positions and margin of an account."""
        return self.post("/info", {"type": "clearinghouseState", "user": address, "dex": dex})

    def spot_user_state(self, address: str) -> Any:
        """Token balances of an account."""
        return self.post("/info", {"type": "spotClearinghouseState", "user": address})

    def open_orders(self, address: str, dex: str = "") -> Any:
        """Resting orders."""
        return self.post("/info", {"type": "openOrders", "user": address, "dex": dex})

    def frontend_open_orders(self, address: str, dex: str = "") -> Any:
        """Resting orders with triggers and types."""
        return self.post("/info", {"type": "frontendOpenOrders", "user": address, "dex": dex})

    def user_fills(self, address: str) -> Any:
        """The latest fills, newest first."""
        return self.post("/info", {"type": "userFills", "user": address})

    def user_fills_by_time(
        self, address: str, start_time: int, end_time: Optional[int] = None, aggregate_by_time: Optional[bool] = False
    ) -> Any:
        """Fills between two times in ms, oldest first. `aggregate_by_time`: those of one crossing order as one."""
        return self.post(
            "/info",
            {
                "type": "userFillsByTime",
                "user": address,
                "startTime": start_time,
                "endTime": end_time,
                "aggregateByTime": aggregate_by_time,
            },
        )

    def user_funding_history(self, user: str, startTime: int, endTime: Optional[int] = None) -> Any:
        """Funding paid and received; times in ms."""
        query = {"type": "userFunding", "user": user, "startTime": startTime}
        return self.post("/info", query if endTime is None else {**query, "endTime": endTime})

    def user_fees(self, address: str) -> Any:
        """Fee rates and the volume that they follow from."""
        return self.post("/info", {"type": "userFees", "user": address})

    def user_staking_summary(self, address: str) -> Any:
        """Staked and unstaking amounts."""
        return self.post("/info", {"type": "delegatorSummary", "user": address})

    def user_staking_delegations(self, address: str) -> Any:
        """Stakes by validator."""
        return self.post("/info", {"type": "delegations", "user": address})

    def user_staking_rewards(self, address: str) -> Any:
        """Rewards received."""
        return self.post("/info", {"type": "delegatorRewards", "user": address})

    def delegator_history(self, user: str) -> Any:
        """All that was staked and unstaked."""
        return self.post("/info", {"type": "delegatorHistory", "user": user})

    def query_order_by_oid(self, user: str, oid: int) -> Any:
        """One order and its status, by the venue's id."""
        return self.post("/info", {"type": "orderStatus", "user": user, "oid": oid})

    def query_order_by_cloid(self, user: str, cloid: Cloid) -> Any:
        """One order and its status, by the client's id."""
        return self.post("/info", {"type": "orderStatus", "user": user, "oid": cloid.to_raw()})

    def query_referral_state(self, user: str) -> Any:
        """Who referred the account, and whom it referred."""
        return self.post("/info", {"type": "referral", "user": user})

    def query_sub_accounts(self, user: str) -> Any:
        """Sub-accounts; None if there is none."""
        return self.post("/info", {"type": "subAccounts", "user": user})

    def query_user_to_multi_sig_signers(self, multi_sig_user: str) -> Any:
        """Who signs for a multi-sig account; None for another one."""
        return self.post("/info", {"type": "userToMultiSigSigners", "user": multi_sig_user})

    def query_user_dex_abstraction_state(self, user: str) -> Any:
        """Whether the account uses dex abstraction."""
        return self.post("/info", {"type": "userDexAbstraction", "user": user})

    def query_user_abstraction_state(self, user: str) -> Any:
        """The account's kind of abstraction."""
        return self.post("/info", {"type": "userAbstraction", "user": user})

    def historical_orders(self, user: str) -> Any:
        """The latest orders with their status, at most 2000."""
        return self.post("/info", {"type": "historicalOrders", "user": user})

    def user_non_funding_ledger_updates(self, user: str, startTime: int, endTime: Optional[int] = None) -> Any:
        """Deposits, withdrawals, transfers and liquidations; times in ms."""
        return self.post(
            "/info",
            {"type": "userNonFundingLedgerUpdates", "user": user, "startTime": startTime, "endTime": endTime},
        )

    def portfolio(self, user: str) -> Any:
        """Account value, result and volume by period."""
        return self.post("/info", {"type": "portfolio", "user": user})

    def user_twap_slice_fills(self, user: str) -> Any:
        """The latest fills of TWAP orders."""
        return self.post("/info", {"type": "userTwapSliceFills", "user": user})

    def user_vault_equities(self, user: str) -> Any:
        """What the account holds of vaults."""
        return self.post("/info", {"type": "userVaultEquities", "user": user})

    def user_role(self, user: str) -> Any:
        """Whether an address is an account, an agent, a vault, a sub-account or nothing."""
        return self.post("/info", {"type": "userRole", "user": user})

    def user_rate_limit(self, user: str) -> Any:
        """Requests used and allowed."""
        return self.post("/info", {"type": "userRateLimit", "user": user})

    def extra_agents(self, user: str) -> Any:
        """Named agents: [{"name", "address", "validUntil"}]."""
        return self.post("/info", {"type": "extraAgents", "user": user})


def _skipped(kind: str, row: Any, error: Exception) -> None:
    named = row.get("name") if isinstance(row, dict) else row
    _log.warning("a %s market that cannot be read is left out: %r (%s: %s)", kind, named, type(error).__name__, error)
