"""The `/info` queries of the local exchange (layer 5): one function a query.

    Info(exchange).answer({"type": "l2Book", "coin": "BTC"})

An unknown type or a parameter of the wrong shape raises `Malformed` (HTTP 422, plain text); `BadQuery` is HTTP 500 with
body `null`. An unknown user reads as an empty account, an unknown coin's book as null. To add a
query: a method and a line in ANSWERS; its parameters are those of its entry in the venue's table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from hlfast.sim import outcomes, rows, staking, vaults
from hlfast.sim.account import STANDARD, Account
from hlfast.sim.fees import DAY_MS, REBATES, TIERS
from hlfast.sim.markets import MAX_MARKET_NTL_E8, Market
from hlfast.sim.matching import Book, Order
from hlfast.sim.numbers import text
from hlfast.sim.readers import reader
from hlfast.sim.shapes import Malformed
from hlfast.venues.hyperliquid.endpoints import QUERIES

if TYPE_CHECKING:
    from hlfast.sim.exchange import Exchange

MAX_ROWS = 2000
MAX_ITEMS = 500


class BadQuery(Exception):
    """A query of the right shape that makes no sense: HTTP 500, body `null`."""


class Info:
    """Answers from committed state."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def answer(self, body: Any) -> Any:
        """The bare JSON value for one query. Raises `Malformed` or `BadQuery`."""
        kind = body.get("type") if type(body) is dict else None
        function = ANSWERS.get(kind) if type(kind) is str else None
        if type(kind) is not str or function is None:
            raise Malformed(f"unknown info type {kind!r}")
        wrapped = QUERIES[kind].wrapped
        query = _SHAPES[kind](body.get(wrapped) if wrapped else body)
        if query.get("dex") and kind != "perpDexLimits":  # which answers null for one that is not here
            self.known_dex(query)
        return function(self, query)

    def known_dex(self, query: dict[str, Any]) -> str:
        """The dex that a query names; "" is the main one. Raises `BadQuery` for one that is not here."""
        dex: str = query.get("dex") or ""
        if dex and dex not in self.exchange.universe.dexs:
            raise BadQuery(f"no dex {dex!r}: there are {', '.join(self.exchange.universe.dexs) or 'none'}")
        return dex

    def _account(self, query: dict[str, Any]) -> Account | None:
        return self.exchange.accounts.get(query["user"])

    def _books(self, markets: tuple[Market, ...]) -> list[Book]:
        return [self.exchange.execution.books[market.asset] for market in markets]

    # -- markets ---------------------------------------------------------------------------------------------------

    def meta(self, query: dict[str, Any]) -> Any:
        return self.exchange.universe.metas[query.get("dex") or ""]

    def all_perp_metas(self, query: dict[str, Any]) -> Any:
        return list(self.exchange.universe.metas.values())

    def spot_meta(self, query: dict[str, Any]) -> Any:
        return self.exchange.universe.spot_meta

    def meta_and_contexts(self, query: dict[str, Any]) -> Any:
        universe, dex = self.exchange.universe, query.get("dex") or ""
        return [universe.metas[dex], [rows.perp_context(book) for book in self._books(universe.perps_of(dex))]]

    def spot_meta_and_contexts(self, query: dict[str, Any]) -> Any:
        universe = self.exchange.universe
        return [universe.spot_meta, [rows.spot_context(book) for book in self._books(universe.spots)]]

    def perp_dexs(self, query: dict[str, Any]) -> Any:
        return [None, *(dex.row for dex in self.exchange.universe.dexs.values())]

    def margin_table(self, query: dict[str, Any]) -> Any:
        return self.exchange.universe.margin_table(query["id"])

    def max_market_order_ntls(self, query: dict[str, Any]) -> Any:
        return [[leverage, text(ntl_e8, 8)] for leverage, ntl_e8 in MAX_MARKET_NTL_E8]

    def all_mids(self, query: dict[str, Any]) -> Any:
        mids, dex = {}, query.get("dex") or ""
        for book in self.exchange.execution.books.values():
            if book.market.dex != dex:
                continue
            mid = book.mid_e8
            mids[book.market.coin] = book.market.px_text(book.last_px_e8 if mid is None else mid)
        return mids

    def l2_book(self, query: dict[str, Any]) -> Any:
        figures, mantissa = book_rounding(query)
        book = self.exchange.execution.by_coin.get(query["coin"])
        return None if book is None else rows.l2_book(book, self.exchange.time_ms, 20, figures, mantissa)

    def candle_snapshot(self, query: dict[str, Any]) -> Any:
        """Those that a range of time touches; the newest that are kept."""
        book, interval = self.exchange.execution.by_coin.get(query["coin"]), query["interval"]
        if book is None:
            raise BadQuery(f"no coin {query['coin']!r}")
        start, end = query["startTime"], query.get("endTime") or 1 << 63
        found = (each for each in book.candles.of(interval) if each.end_ms >= start and each.start_ms <= end)
        return [rows.candle(book, interval, each) for each in found]

    def recent_trades(self, query: dict[str, Any]) -> Any:
        book = self.exchange.execution.by_coin.get(query["coin"])
        return None if book is None else list(reversed(book.trades))

    def funding_history(self, query: dict[str, Any]) -> Any:
        book = self.exchange.execution.by_coin.get(query["coin"])
        return None if book is None else _within(book.fundings, query)[:MAX_ITEMS]

    def predicted_fundings(self, query: dict[str, Any]) -> Any:
        next_ms = self.exchange.funding.next_hour_ms
        return [
            [
                book.market.coin,
                [["HlPerp", {"fundingRate": text(book.funding_rate_e10, 10), "nextFundingTime": next_ms}]],
            ]
            for book in self._books(self.exchange.universe.perps)
            if not book.market.is_delisted
        ]

    def perps_at_cap(self, query: dict[str, Any]) -> Any:
        books = self._books(self.exchange.universe.perps_of(query.get("dex") or ""))
        return [book.market.coin for book in books if book.is_at_cap]

    def exchange_status(self, query: dict[str, Any]) -> Any:
        is_post_only = self.exchange.time_ms < self.exchange.post_only_until_ms
        return {"time": self.exchange.time_ms, "specialStatuses": "Post-only orders only" if is_post_only else None}

    def nothing(self, query: dict[str, Any]) -> Any:
        """What does not happen here (annotations, templates): an empty list, truthfully."""
        return []

    # -- accounts --------------------------------------------------------------------------------------------------

    def clearinghouse_state(self, query: dict[str, Any]) -> Any:
        return rows.clearinghouse_state(self._account(query), self.exchange.time_ms, query.get("dex") or "")

    def states_by_dex(self, query: dict[str, Any]) -> list[Any]:
        """[dex, state] of each dex, the main one first."""
        account, now_ms = self._account(query), self.exchange.time_ms
        return [[dex, rows.clearinghouse_state(account, now_ms, dex)] for dex in self.exchange.universe.metas]

    def spot_clearinghouse_state(self, query: dict[str, Any]) -> Any:
        return rows.spot_state(self._account(query))

    def open_orders(self, query: dict[str, Any]) -> Any:
        return [rows.open_order_row(order) for order in self._open_orders(query)]

    def _open_orders(self, query: dict[str, Any]) -> list[Order]:
        """Of one dex; spot orders are with the main one."""
        account, dex = self._account(query), query.get("dex") or ""
        return [order for order in account.open.values() if order.market.dex == dex] if account else []

    def frontend_open_orders(self, query: dict[str, Any]) -> Any:
        return [rows.frontend_row(order, order.lots) for order in self._open_orders(query)]

    def order_status(self, query: dict[str, Any]) -> Any:
        account, which = self._account(query), query["oid"]
        order = None
        if account is not None:
            order = account.orders.get(which) if isinstance(which, int) else account.named(which)
        if order is None or not order.status:
            return {"status": "unknownOid"}
        return {"status": "order", "order": rows.status_row(order)}

    def historical_orders(self, query: dict[str, Any]) -> Any:
        account = self._account(query)
        newest = list(account.orders.values())[-MAX_ROWS:] if account else []
        return [rows.status_row(order) for order in reversed(newest)]

    def user_fills(self, query: dict[str, Any]) -> Any:
        account = self._account(query)
        fills = account.fills if account else []
        return (rows.aggregated(fills) if query.get("aggregateByTime") else fills)[: -MAX_ROWS - 1 : -1]

    def user_fills_by_time(self, query: dict[str, Any]) -> Any:
        fills = _between(self._account(query), "fills", query)
        if query.get("aggregateByTime"):
            fills = rows.aggregated(fills)
        return fills[: -MAX_ROWS - 1 : -1] if query.get("reversed") else fills[:MAX_ROWS]

    def ledger_updates(self, query: dict[str, Any]) -> Any:
        return _between(self._account(query), "ledger", query)[:MAX_ITEMS]

    def user_role(self, query: dict[str, Any]) -> Any:
        agent = self.exchange.agents.get(query["user"])
        if agent is not None:
            return {"role": "agent", "data": {"user": agent.master}}
        account = self._account(query)
        if account is None:
            return {"role": "missing"}
        if account.leader is not None:
            return {"role": "vault"}
        if account.master is not None:
            return {"role": "subAccount", "data": {"master": account.master.address}}
        return {"role": "user"}

    def user_rate_limit(self, query: dict[str, Any]) -> Any:
        account = self._account(query) or Account(query["user"])
        spare = account.requests_reserved - account.requests_used
        return {
            "cumVlm": text(account.volume_e8, 8),
            "nRequestsUsed": max(0, -spare),
            "nRequestsCap": self.exchange.budget.cap(account),
            "nRequestsSurplus": max(0, spare),
        }

    def user_fees(self, query: dict[str, Any]) -> Any:
        account = self._account(query) or Account(query["user"])
        day, rates = self.exchange.time_ms // DAY_MS, account.fee_rates
        shown = [text(rate, 8) for rate in rates.shown(day)]
        volumes = sorted(rates.volumes.days.items())
        return {
            "dailyUserVlm": [
                {
                    "date": _date(when),
                    "userCross": text(traded[0] + traded[2], 8),
                    "userAdd": text(traded[1] + traded[3], 8),
                    "exchange": "0.0",
                }
                for when, traded in volumes
            ],
            "feeSchedule": {
                **_rates(TIERS[0][1]),
                "tiers": {
                    "vip": [{"ntlCutoff": text(floor, 0), **_rates(tier)} for floor, tier in TIERS[1:]],
                    "mm": [{"makerFractionCutoff": cutoff, "add": text(rate, 8)} for cutoff, rate in REBATES],
                },
                "referralDiscount": "0.04",
                "stakingDiscountTiers": [{"bpsOfMaxSupply": "0.0", "discount": "0.0"}],
            },
            "userCrossRate": shown[0],
            "userAddRate": shown[1],
            "userSpotCrossRate": shown[2],
            "userSpotAddRate": shown[3],
            "activeReferralDiscount": text(rates.terms.referral_discount, 2),
            "trial": None,
            "feeTrialEscrow": "0.0",
            "nextTrialAvailableTimestamp": None,
            "stakingLink": None,
            "activeStakingDiscount": {"bpsOfMaxSupply": "0.0", "discount": text(rates.terms.staking_discount, 2)},
        }

    def user_funding(self, query: dict[str, Any]) -> Any:
        return _between(self._account(query), "fundings", query)[:MAX_ITEMS]

    def active_asset_data(self, query: dict[str, Any]) -> Any:
        book = self.exchange.execution.by_coin.get(query["coin"])
        if book is None or book.market.is_spot:
            raise BadQuery(f"no perp {query['coin']!r}")
        return rows.active_asset_data(self._account(query) or Account(query["user"]), book)

    def extra_agents(self, query: dict[str, Any]) -> Any:
        return [
            {"name": agent.name, "address": agent.address, "validUntil": agent.valid_until_ms}
            for agent in self.exchange.agents.of(query["user"])
            if agent.name
        ]

    def sub_accounts(self, query: dict[str, Any]) -> Any:
        owned = [a for a in self.exchange.accounts.values() if a.master and a.master.address == query["user"]]
        now_ms = self.exchange.time_ms
        return [
            {
                "name": account.name or f"sub-{index}",
                "subAccountUser": account.address,
                "master": query["user"],
                "clearinghouseState": rows.clearinghouse_state(account, now_ms),
                "spotState": rows.spot_state(account),
            }
            for index, account in enumerate(owned)
        ] or None

    def abstraction(self, query: dict[str, Any]) -> Any:
        account = self._account(query)
        if account is None or account.mode != STANDARD:
            return STANDARD if account is None else account.mode
        return "dexAbstraction" if account.draws_for_dexs else STANDARD

    def max_builder_fee(self, query: dict[str, Any]) -> Any:
        account = self._account(query)
        return account.builders.get(query["builder"], 0) if account else 0

    def approved_builders(self, query: dict[str, Any]) -> Any:
        account = self._account(query)
        return list(account.builders) if account else []

    def sub_accounts_2(self, query: dict[str, Any]) -> Any:
        rows_ = self.sub_accounts(query)
        return rows_ and [
            {
                **{name: value for name, value in row.items() if name != "clearinghouseState"},
                "dexToClearinghouseState": self.states_by_dex({"user": row["subAccountUser"]}),
                "abstraction": self.abstraction({"user": row["subAccountUser"]}),
            }
            for row in rows_
        ]

    def multi_sig_signers(self, query: dict[str, Any]) -> Any:
        account = self._account(query)
        return account.signers.row if account and account.signers else None

    def twap_history(self, query: dict[str, Any]) -> Any:
        account = self._account(query)
        return account.twap_history[: -MAX_ROWS - 1 : -1] if account else []

    def twap_fills(self, query: dict[str, Any]) -> Any:
        account = self._account(query)
        return account.twap_fills[: -MAX_ROWS - 1 : -1] if account else []

    def twap_fills_by_time(self, query: dict[str, Any]) -> Any:
        account = self._account(query)
        start, end = query["startTime"], query.get("endTime") or 1 << 63
        rows_ = account.twap_fills if account else []
        return [row for row in rows_ if start <= row["fill"]["time"] <= end][:MAX_ROWS]

    def dex_abstraction(self, query: dict[str, Any]) -> Any:
        account = self._account(query)
        return None if account is None else account.draws_for_dexs

    def delegator_summary(self, query: dict[str, Any]) -> Any:
        return staking.summary(self.exchange, query["user"])

    def delegations(self, query: dict[str, Any]) -> Any:
        return staking.delegations(self.exchange, query["user"])

    def delegator_history(self, query: dict[str, Any]) -> Any:
        stake = self.exchange.staking.stakes.get(query["user"])
        return stake.history[: -MAX_ROWS - 1 : -1] if stake else []

    def delegator_rewards(self, query: dict[str, Any]) -> Any:
        stake = self.exchange.staking.stakes.get(query["user"])
        return stake.rewards[: -MAX_ROWS - 1 : -1] if stake else []

    def validator_summaries(self, query: dict[str, Any]) -> Any:
        return staking.validators(self.exchange)

    def user_vault_equities(self, query: dict[str, Any]) -> Any:
        return [
            {"vaultAddress": address, "equity": text(vault.equity_e8(query["user"]), 8), "lockedUntilTimestamp": 0}
            for address, vault in self.exchange.vaults.items()
            if query["user"] in vault.shares
        ]

    def leading_vaults(self, query: dict[str, Any]) -> Any:
        return [
            {"address": address, "name": vault.name}
            for address, vault in self.exchange.vaults.items()
            if vault.leader.address == query["user"]
        ]

    def vault_details(self, query: dict[str, Any]) -> Any:
        return vaults.details(self.exchange, query)

    def referral(self, query: dict[str, Any]) -> Any:
        account = self._account(query) or Account(query["user"])
        by = account.referred_by
        code = next((code for code, owner in self.exchange.referrers.items() if owner is account), None)
        referred = [
            {
                "cumVlm": text(each.volume_e8 - each.referred_at[1], 8),
                "cumRewardedFeesSinceReferred": "0.0",
                "cumFeesRewardedToReferrer": "0.0",
                "timeJoined": each.referred_at[0],
                "user": each.address,
                "tokenToState": [],
            }
            for each in self.exchange.accounts.values()
            if each.referred_by is not None and each.referred_by[0] == account.address
        ]
        data = {"code": code, "nReferrals": len(referred), "referralStates": referred}
        ready = {"stage": "ready", "data": data}
        return {
            "referredBy": None if by is None else {"referrer": by[0], "code": by[1]},
            "cumVlm": text(account.volume_e8, 8),
            "unclaimedRewards": "0.0",
            "claimedRewards": "0.0",
            "builderRewards": "0.0",
            "tokenToState": [],
            "referrerState": {"stage": "needToCreateCode"} if code is None else ready,
            "rewardHistory": [],
        }

    def pre_transfer_check(self, query: dict[str, Any]) -> Any:
        account = self._account(query)
        exists = account is not None
        sent = exists and any(account.nonces.values()) if account else False
        return {"fee": "0.0", "isSanctioned": False, "userExists": exists, "userHasSentTx": sent}

    def token_details(self, query: dict[str, Any]) -> Any:
        tokens = self.exchange.universe.tokens.values()
        token = next((each for each in tokens if each.token_id == query["tokenId"]), None)
        if token is None:
            raise BadQuery(f"no token {query['tokenId']!r}")
        books = self.exchange.execution.books.values()
        book = next((each for each in books if each.market.is_spot and each.market.base is token), None)
        mid_e8 = None if book is None else book.mid_e8
        mark = "1.0" if book is None else book.market.px_text(book.mark_e8)
        supply = text(
            sum(a.spot[token.index].total_wei for a in self.exchange.accounts.values() if token.index in a.spot),
            token.wei_decimals,
        )
        return {
            "name": token.name,
            "maxSupply": supply,
            "totalSupply": supply,
            "circulatingSupply": supply,
            "szDecimals": token.sz_decimals,
            "weiDecimals": token.wei_decimals,
            "midPx": mark if book is None or mid_e8 is None else book.market.px_text(mid_e8),
            "markPx": mark,
            "prevDayPx": mark,
            "genesis": None,
            "deployer": None,
            "deployGas": None,
            "deployTime": None,
            "seededUsdc": "0.0",
            "nonCirculatingUserBalances": [],
            "futureEmissions": "0.0",
        }

    def perp_dex_limits(self, query: dict[str, Any]) -> Any:
        dex = self.exchange.universe.dexs.get(query["dex"])
        return None if dex is None else dex.limits

    def perp_dex_status(self, query: dict[str, Any]) -> Any:
        dex = query.get("dex") or ""
        accounts = [a for a in self.exchange.accounts.values() if not a.is_house and dex in a.purses]
        return {"totalNetDeposit": text(sum(a.purses[dex].raw_usd_e8 for a in accounts), 8)}

    def outcome_meta(self, query: dict[str, Any]) -> Any:
        return outcomes.meta(self.exchange)

    def settled_outcome(self, query: dict[str, Any]) -> Any:
        return outcomes.settled(self.exchange, query["outcome"])


def book_rounding(query: dict[str, Any]) -> tuple[int | None, int]:
    """(nSigFigs, mantissa) of a book query; mantissa goes with 5 figures only. Raises `BadQuery`."""
    figures, mantissa = query.get("nSigFigs"), query.get("mantissa")
    if figures is not None and not 2 <= figures <= 5:
        raise BadQuery("nSigFigs must be 2 to 5")
    if mantissa is not None and (figures != 5 or mantissa not in (1, 2, 5)):
        raise BadQuery("mantissa must be 1, 2 or 5, and goes with nSigFigs 5 only")
    return figures, mantissa or 1


def _between(account: Account | None, what: str, query: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows with startTime <= time <= endTime, oldest first."""
    return _within(getattr(account, what) if account is not None else [], query)


def _within(found: Iterable[dict[str, Any]], query: dict[str, Any]) -> list[dict[str, Any]]:
    start, end = query.get("startTime") or 0, query.get("endTime") or 1 << 63
    return [row for row in found if start <= row["time"] <= end]


def _rates(rates: tuple[int, int, int, int]) -> dict[str, str]:
    return dict(zip(("cross", "add", "spotCross", "spotAdd"), (text(rate, 8) for rate in rates), strict=True))


def _date(day: int) -> str:
    """The UTC day of this number since 1970."""
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


ANSWERS: dict[str, Callable[[Info, dict[str, Any]], Any]] = {
    "meta": Info.meta,
    "allPerpMetas": Info.all_perp_metas,
    "spotMeta": Info.spot_meta,
    "metaAndAssetCtxs": Info.meta_and_contexts,
    "spotMetaAndAssetCtxs": Info.spot_meta_and_contexts,
    "perpDexs": Info.perp_dexs,
    "marginTable": Info.margin_table,
    "maxMarketOrderNtls": Info.max_market_order_ntls,
    "allMids": Info.all_mids,
    "l2Book": Info.l2_book,
    "recentTrades": Info.recent_trades,
    "candleSnapshot": Info.candle_snapshot,
    "fundingHistory": Info.funding_history,
    "predictedFundings": Info.predicted_fundings,
    "activeAssetData": Info.active_asset_data,
    "exchangeStatus": Info.exchange_status,
    "perpsAtOpenInterestCap": Info.perps_at_cap,
    "clearinghouseState": Info.clearinghouse_state,
    "spotClearinghouseState": Info.spot_clearinghouse_state,
    "openOrders": Info.open_orders,
    "frontendOpenOrders": Info.frontend_open_orders,
    "orderStatus": Info.order_status,
    "historicalOrders": Info.historical_orders,
    "userFills": Info.user_fills,
    "userFillsByTime": Info.user_fills_by_time,
    "userNonFundingLedgerUpdates": Info.ledger_updates,
    "userFunding": Info.user_funding,
    "userTwapSliceFills": Info.twap_fills,
    "twapHistory": Info.twap_history,
    "userVaultEquities": Info.user_vault_equities,
    "delegations": Info.delegations,
    "userRole": Info.user_role,
    "userRateLimit": Info.user_rate_limit,
    "userFees": Info.user_fees,
    "extraAgents": Info.extra_agents,
    "subAccounts": Info.sub_accounts,
    "userAbstraction": Info.abstraction,
    "maxBuilderFee": Info.max_builder_fee,
    "approvedBuilders": Info.approved_builders,
    "subAccounts2": Info.sub_accounts_2,
    "userToMultiSigSigners": Info.multi_sig_signers,
    "userDexAbstraction": Info.dex_abstraction,
    "userTwapSliceFillsByTime": Info.twap_fills_by_time,
    "delegatorSummary": Info.delegator_summary,
    "delegatorHistory": Info.delegator_history,
    "delegatorRewards": Info.delegator_rewards,
    "validatorSummaries": Info.validator_summaries,
    "leadingVaults": Info.leading_vaults,
    "vaultDetails": Info.vault_details,
    "vaultSummaries": Info.nothing,
    "referral": Info.referral,
    "preTransferCheck": Info.pre_transfer_check,
    "tokenDetails": Info.token_details,
    "perpDexLimits": Info.perp_dex_limits,
    "perpDexStatus": Info.perp_dex_status,
    "outcomeMeta": Info.outcome_meta,
    "settledOutcome": Info.settled_outcome,
    "outcomeTemplates": Info.nothing,
    "perpCategories": Info.nothing,
    "perpConciseAnnotations": Info.nothing,
}
"""What is answered here; what a query may hold stands in its entry of the venue's table."""

_SHAPES = {name: reader(QUERIES[name].body) for name in ANSWERS}
