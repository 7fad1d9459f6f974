"""The WebSocket feeds of the local exchange (layer 5): what each subscription says first, and on which blocks.

A *feed* is one normalised subscription with everybody who listens to it; `streams.Hub` keeps them and sends their frames.
To add one: a class with `first` and `on_block`, and a line in FEEDS; what a subscription may hold is its entry in the
venue's table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hlfast.sim import rows
from hlfast.sim.account import Account
from hlfast.sim.block import Block
from hlfast.sim.info import book_rounding
from hlfast.sim.links import Link
from hlfast.sim.readers import reader
from hlfast.venues.hyperliquid.endpoints import SUBSCRIPTIONS

if TYPE_CHECKING:
    from hlfast.sim.streams import Hub

FULL_DEPTH, FAST_DEPTH = 20, 5
RECENT_TRADES = 10
CONTEXT_INTERVAL_MS = 1_000


class Feed:
    """One normalised subscription. `user` is set for user feeds."""

    def __init__(self, hub: Hub, subscription: dict[str, Any]) -> None:
        self.hub = hub
        self.exchange = hub.exchange
        self.subscription = subscription
        self.channel: str = subscription["type"]
        self.user: str | None = subscription.get("user")
        self.coin: str = subscription.get("coin", "")
        self.dex: str = subscription.get("dex") or ""
        self.listeners: dict[Link, None] = {}
        self.interval_ms = CONTEXT_INTERVAL_MS
        self._last_ms = self.exchange.time_ms

    def first(self) -> Any:
        """The data of the frame that follows the acknowledgement; None for none."""
        return None

    def on_block(self, block: Block) -> Any:
        """The data of this block's frame; None for none."""
        raise TypeError(f"{type(self).__name__} says nothing on a block")

    def is_due(self, block: Block) -> bool:
        """Whether `interval_ms` has passed since this said so last, or since the first listener came."""
        if block.time_ms < self._last_ms + self.interval_ms:
            return False
        self._last_ms = block.time_ms
        return True


class L2BookFeed(Feed):
    """A whole snapshot on a block at least `book_interval_ms` after the one before, changed or not."""

    def __init__(self, hub: Hub, subscription: dict[str, Any]) -> None:
        super().__init__(hub, subscription)
        self.interval_ms = hub.book_interval_ms

    def first(self) -> Any:
        book = self.exchange.execution.by_coin[self.coin]
        fast = self.subscription.get("fast", False)
        figures, mantissa = book_rounding(self.subscription)
        data = rows.l2_book(book, self.exchange.time_ms, FAST_DEPTH if fast else FULL_DEPTH, figures, mantissa)
        return {**data, "fast": True} if fast else data

    def on_block(self, block: Block) -> Any:
        return self.first() if self.is_due(block) else None


class BboFeed(Feed):
    """Only when the best bid or ask, a size or a count has changed on a block."""

    _version = -1
    _bbo: Any = None

    def first(self) -> Any:
        book = self.exchange.execution.by_coin[self.coin]
        self._version, self._bbo = book.version, book.bbo()
        return {"coin": self.coin, "time": self.exchange.time_ms, "bbo": self._bbo}

    def on_block(self, block: Block) -> Any:
        book = self.exchange.execution.by_coin[self.coin]
        if book.version == self._version:
            return None
        before = self._bbo
        data = self.first()
        return None if self._bbo == before else data


class TradesFeed(Feed):
    def first(self) -> Any:
        return list(self.exchange.execution.by_coin[self.coin].trades)[-RECENT_TRADES:] or None

    def on_block(self, block: Block) -> Any:
        return block.trades.get(self.coin)


class CandleFeed(Feed):
    """The candle that is forming: at first, and on each block with a trade. A trade in a new one ends the one before."""

    def first(self) -> Any:
        book, interval = self.exchange.execution.by_coin[self.coin], self.subscription["interval"]
        candles = book.candles.of(interval)
        return rows.candle(book, interval, candles[-1]) if candles else None

    def on_block(self, block: Block) -> Any:
        return self.first() if self.coin in block.trades else None


class AllMidsFeed(Feed):
    def first(self) -> Any:
        named = {"dex": self.dex} if self.dex else {}
        return {"mids": self.hub.info.all_mids(self.subscription), **named}

    def on_block(self, block: Block) -> Any:
        return self.first() if self.is_due(block) else None


class AssetContextFeed(Feed):
    """Spot coins speak on a channel of their own."""

    def __init__(self, hub: Hub, subscription: dict[str, Any]) -> None:
        super().__init__(hub, subscription)
        self._book = self.exchange.execution.by_coin[self.coin]
        if self._book.market.is_spot:
            self.channel = "activeSpotAssetCtx"

    def first(self) -> Any:
        context = rows.spot_context if self._book.market.is_spot else rows.perp_context
        return {"coin": self.coin, "ctx": context(self._book)}

    def on_block(self, block: Block) -> Any:
        return self.first() if self.is_due(block) else None


class OrderUpdatesFeed(Feed):
    """All rows of a block in one frame; it does not name its user, and there is no snapshot."""

    def on_block(self, block: Block) -> Any:
        return block.order_rows.get(self.user or "")


class UserEventsFeed(Feed):
    """Channel `user`: fills, cancels that the user did not ask for, funding, liquidations; it does not name its user."""

    def __init__(self, hub: Hub, subscription: dict[str, Any]) -> None:
        super().__init__(hub, subscription)
        self.channel = "user"

    def on_block(self, block: Block) -> Any:
        user = self.user or ""
        events: list[dict[str, Any]] = [
            {name: found[user]}
            for name, found in (
                ("fills", block.fills),
                ("nonUserCancel", block.non_user_cancels),
                ("twapHistory", block.twap_rows),
                ("twapSliceFills", block.twap_fills),
            )
            if user in found
        ]
        for name, by_user in (("funding", block.fundings), ("liquidation", block.liquidations)):
            events.extend({name: row} for row in by_user.get(user, ()))
        return Several(events)


class UserFillsFeed(Feed):
    """The snapshot is oldest first and says isSnapshot; later frames leave that key out."""

    def first(self) -> Any:
        account = self.exchange.accounts.get(self.user or "")
        return {"isSnapshot": True, "user": self.user, "fills": self._shown(account.fills if account else [])[-2000:]}

    def on_block(self, block: Block) -> Any:
        fills = block.fills.get(self.user or "")
        return None if fills is None else {"user": self.user, "fills": self._shown(fills)}

    def _shown(self, fills: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return rows.aggregated(fills) if self.subscription["aggregateByTime"] else fills


class UserFundingsFeed(Feed):
    def first(self) -> Any:
        account = self.exchange.accounts.get(self.user or "")
        fundings = [] if account is None else rows.user_fundings(account)
        return {"isSnapshot": True, "user": self.user, "fundings": fundings}

    def on_block(self, block: Block) -> Any:
        fundings = block.fundings.get(self.user or "")
        return None if fundings is None else {"user": self.user, "fundings": fundings}


class ActiveAssetDataFeed(Feed):
    """Leverage and room to trade of one user in one perp: periodically, and on blocks that changed something."""

    def __init__(self, hub: Hub, subscription: dict[str, Any]) -> None:
        super().__init__(hub, subscription)
        self.first()  # raises `BadQuery` for a spot pair

    def first(self) -> Any:
        return self.hub.info.active_asset_data(self.subscription)

    def on_block(self, block: Block) -> Any:
        due = self.is_due(block)
        return self.first() if due or self.user in block.touched else None


class OpenOrdersFeed(Feed):
    def first(self) -> Any:
        return {"dex": self.dex, "user": self.user, "orders": self.hub.info.frontend_open_orders(self.subscription)}

    def on_block(self, block: Block) -> Any:
        return self.first() if self.user in block.touched else None


class ClearinghouseStateFeed(Feed):
    """Full state, periodically and on blocks that changed something."""

    def first(self) -> Any:
        state = self.hub.info.clearinghouse_state(self.subscription)
        return {"dex": self.dex, "user": self.user, "clearinghouseState": state}

    def on_block(self, block: Block) -> Any:
        due = self.is_due(block)
        return self.first() if due or self.user in block.touched else None


class SpotStateFeed(Feed):
    def first(self) -> Any:
        return {"user": self.user, "spotState": self.hub.info.spot_clearinghouse_state(self.subscription)}

    def on_block(self, block: Block) -> Any:
        return self.first() if self.user in block.touched else None


class PeriodicFeed(Feed):
    """The answer of a query, about every second."""

    def on_block(self, block: Block) -> Any:
        return self.first() if self.is_due(block) else None


class AssetContextsFeed(PeriodicFeed):
    def first(self) -> Any:
        return {"dex": self.dex, "ctxs": self.hub.info.meta_and_contexts(self.subscription)[1]}


class SpotContextsFeed(PeriodicFeed):
    def first(self) -> Any:
        return self.hub.info.spot_meta_and_contexts({})[1]


class AllDexsContextsFeed(PeriodicFeed):
    def first(self) -> Any:
        dexs = self.exchange.universe.metas
        return {"ctxs": [[dex, self.hub.info.meta_and_contexts({"dex": dex})[1]] for dex in dexs]}


class AllDexsStateFeed(Feed):
    def first(self) -> Any:
        return {"user": self.user, "clearinghouseStates": self.hub.info.states_by_dex(self.subscription)}

    def on_block(self, block: Block) -> Any:
        due = self.is_due(block)
        return self.first() if due or self.user in block.touched else None


class LedgerFeed(Feed):
    """The snapshot, then the rows that have come since."""

    def __init__(self, hub: Hub, subscription: dict[str, Any]) -> None:
        super().__init__(hub, subscription)
        self._told = self._written()

    @property
    def _account(self) -> Account | None:
        return self.exchange.accounts.get(self.user or "")

    def _written(self) -> int:
        account = self._account
        return 0 if account is None else len(account.ledger) + account.dropped["ledger"]

    def first(self) -> Any:
        account = self._account
        updates = [] if account is None else list(account.ledger)
        return {"isSnapshot": True, "user": self.user, "nonFundingLedgerUpdates": updates}

    def on_block(self, block: Block) -> Any:
        new, self._told = self._written() - self._told, self._written()
        account = self._account
        if account is None or new <= 0:
            return None
        return {"user": self.user, "nonFundingLedgerUpdates": account.ledger[-new:]}


class HistoricalOrdersFeed(Feed):
    """Every row of a block, with the order in full."""

    def first(self) -> Any:
        history = self.hub.info.historical_orders(self.subscription)
        return {"isSnapshot": True, "user": self.user, "orderHistory": history}

    def on_block(self, block: Block) -> Any:
        told, account = block.order_rows.get(self.user or ""), self.exchange.accounts.get(self.user or "")
        if not told or account is None:
            return None
        history = []
        for row in told:
            order = account.orders[row["order"]["oid"]]
            full = {**rows.frontend_row(order, order.lots), "sz": row["order"]["sz"]}
            history.append({"order": full, "status": row["status"], "statusTimestamp": row["statusTimestamp"]})
        return {"user": self.user, "orderHistory": history}


class TwapHistoryFeed(Feed):
    def first(self) -> Any:
        account = self.exchange.accounts.get(self.user or "")
        return {"isSnapshot": True, "user": self.user, "history": list(account.twap_history) if account else []}

    def on_block(self, block: Block) -> Any:
        rows_ = block.twap_rows.get(self.user or "")
        return None if rows_ is None else {"user": self.user, "history": rows_}


class TwapFillsFeed(Feed):
    def first(self) -> Any:
        account = self.exchange.accounts.get(self.user or "")
        return {"isSnapshot": True, "user": self.user, "twapSliceFills": account.twap_fills[-2000:] if account else []}

    def on_block(self, block: Block) -> Any:
        fills = block.twap_fills.get(self.user or "")
        return None if fills is None else {"user": self.user, "twapSliceFills": fills}


class TwapStatesFeed(Feed):
    """What runs in a dex: the whole list whenever something of the user changed."""

    def first(self) -> Any:
        states = [[twap.number, twap.state] for twap in self.exchange.twaps.of(self.user or "", self.dex)]
        return {"dex": self.dex, "user": self.user, "states": states}

    def on_block(self, block: Block) -> Any:
        return self.first() if self.user in block.touched else None


class OutcomeUpdatesFeed(Feed):
    """What was settled in a block."""

    def on_block(self, block: Block) -> Any:
        return {"updates": block.outcome_updates} if block.outcome_updates else None


class Several(list[Any]):
    """Data of more than one frame."""


Normalise = Callable[[dict[str, Any]], dict[str, Any]]


def _book_form(read: dict[str, Any]) -> dict[str, Any]:
    """Optional parameters appear in the acknowledgement, as null; `fast` only if it was asked for."""
    book_rounding(read)
    return {"coin": read["coin"], "nSigFigs": None, "mantissa": None, **read}


def _fills_form(read: dict[str, Any]) -> dict[str, Any]:
    return {"user": read["user"], "aggregateByTime": read.get("aggregateByTime", False)}


def _dex_form(read: dict[str, Any]) -> dict[str, Any]:
    return {**read, "dex": read.get("dex") or ""}


FEEDS: dict[str, type[Feed]] = {
    "l2Book": L2BookFeed,
    "bbo": BboFeed,
    "trades": TradesFeed,
    "candle": CandleFeed,
    "outcomeMetaUpdates": OutcomeUpdatesFeed,
    "allMids": AllMidsFeed,
    "activeAssetCtx": AssetContextFeed,
    "assetCtxs": AssetContextsFeed,
    "spotAssetCtxs": SpotContextsFeed,
    "allDexsAssetCtxs": AllDexsContextsFeed,
    "orderUpdates": OrderUpdatesFeed,
    "userEvents": UserEventsFeed,
    "userFills": UserFillsFeed,
    "userFundings": UserFundingsFeed,
    "userNonFundingLedgerUpdates": LedgerFeed,
    "userHistoricalOrders": HistoricalOrdersFeed,
    "userTwapHistory": TwapHistoryFeed,
    "userTwapSliceFills": TwapFillsFeed,
    "twapStates": TwapStatesFeed,
    "openOrders": OpenOrdersFeed,
    "clearinghouseState": ClearinghouseStateFeed,
    "allDexsClearinghouseState": AllDexsStateFeed,
    "spotState": SpotStateFeed,
    "activeAssetData": ActiveAssetDataFeed,
}
_FORMS: dict[str, Normalise] = {
    "l2Book": _book_form,
    "userFills": _fills_form,
    "twapStates": _dex_form,
    "openOrders": _dex_form,
    "clearinghouseState": _dex_form,
}
_READERS = {name: reader(SUBSCRIPTIONS[name].body) for name in FEEDS}


def normalised(name: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """A subscription as its acknowledgement shows it. Raises `Malformed` or `BadQuery`."""
    read = _READERS[name](wanted)
    form = _FORMS.get(name)
    return {"type": name, **(read if form is None else form(read))}
