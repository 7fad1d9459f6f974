"""The order-book data source (layer 3, cold; the frames themselves go from the socket to `scan`).

Owns which instruments are watched, their books and best bid/offer views, the handlers on them, and the subscriptions
that are sent again after each reconnect. One socket; the wanted set outlives it. A subscription counts as confirmed by
its acknowledgement or its first data, and is sent again until it is.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import orjson

from hlfast import clock
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.top_of_book import TopOfBook
from hlfast.core.trading_rule import TradingRule
from hlfast.core.updates import TradeUpdate
from hlfast.errors import ConfigError
from hlfast.net.session import WebSocketSession
from hlfast.types import StreamState
from hlfast.venues.hyperliquid.scan import Router

Handler = Callable[[Any], object]
Unsubscribe = Callable[[], None]

RETRY_NS = 2_000_000_000
"""A subscription without acknowledgement or data is sent again after this."""


class _Market:
    __slots__ = ("bbo", "book", "handlers", "rule", "top", "wanted")

    def __init__(self, rule: TradingRule) -> None:
        self.rule = rule
        self.book = OrderBook(rule.coin, rule.sz_decimals)
        self.bbo = Bbo(rule.coin, rule.sz_decimals)
        self.top: TopOfBook | None = None  # merged once somebody asks for it
        self.wanted: set[str] = set()
        self.handlers: dict[str, tuple[Handler, ...]] = {"l2Book": (), "bbo": (), "trades": (), "top": ()}


class MarketData:
    """Books, best bid/offer and trades of the watched instruments."""

    def __init__(self, router: Router, on_live: Callable[[], None], max_age_ms: int = 10_000) -> None:
        self.max_age_ns = max_age_ms * 1_000_000
        self.silent_books = 0
        self._router = router
        self._on_live = on_live
        self._markets: dict[str, _Market] = {}
        self._confirmed: set[tuple[str, str]] = set()
        self._sent_ns: dict[tuple[str, str], int] = {}
        self.session: WebSocketSession | None = None

    # -- what is wanted ---------------------------------------------------------------------------------------------
    def watch(self, rule: TradingRule, kinds: set[str]) -> bool:
        """Want `kinds` of an instrument; True if that asks for anything new."""
        market = self._markets.get(rule.coin)
        if market is None:
            market = self._markets[rule.coin] = _Market(rule)
            self._router.add_instrument(rule, market.book, market.bbo)
        new = kinds - market.wanted
        market.wanted |= kinds
        for kind in sorted(new):
            self._send("subscribe", kind, rule.coin)
        return bool(new)

    def unwatch(self, coin: str) -> None:
        market = self._markets.pop(coin, None)
        if market is None:
            return
        for kind in sorted(market.wanted):
            self._send("unsubscribe", kind, coin)
            self._confirmed.discard((kind, coin))
            self._sent_ns.pop((kind, coin), None)
        self._router.remove_instrument(coin)
        self.check_live()

    @property
    def coins(self) -> list[str]:
        return list(self._markets)

    def market(self, coin: str) -> _Market:
        found = self._markets.get(coin)
        if found is None:
            raise ConfigError(
                f"{coin} is not watched; call watch({coin!r}) first (watched: {', '.join(self._markets) or 'none'})"
            )
        return found

    def book_or_none(self, coin: str) -> OrderBook | None:
        found = self._markets.get(coin)
        return found.book if found is not None else None

    def top(self, coin: str) -> TopOfBook:
        """The merged view, kept from the first call on."""
        market = self.market(coin)
        if market.top is None:
            market.top = TopOfBook(coin, market.rule.sz_decimals)
            if market.book.epoch and not market.book.is_stale:
                market.top.apply_book(market.book)
            if market.bbo.recv_ns > self._sent_ns.get(("bbo", coin), clock.epoch_ns()):  # came over this connection
                market.top.apply_bbo(market.bbo)
            self._router.set_top(coin, market.top)
        return market.top

    def apply_fill(self, fill: TradeUpdate) -> None:
        """An own fill is often known before its public trade."""
        market = self._markets.get(fill.coin)
        if market is None or market.top is None or fill.sz_decimals != market.rule.sz_decimals:
            return
        if market.top.apply_fill(fill):
            self._router.tell_top(fill.coin)

    def add_handler(self, coin: str, kind: str, fn: Handler, conflate: bool = False) -> Unsubscribe:
        """Call `fn` from the frame. It must be a plain function: a coroutine here would cost a task a frame.

        `conflate`: call it once after all frames that are at hand, with the newest state.
        """
        if inspect.iscoroutinefunction(fn):
            raise ConfigError(
                f"{getattr(fn, '__qualname__', fn)!r} is a coroutine function; handlers of {kind} run inside the frame, "
                "where a task would cost more than the frame itself. Pass a plain function; start a task from it if needed"
            )
        if not callable(fn):
            raise ConfigError(f"a handler of {kind} must be callable, got {type(fn).__name__}")
        market = self.market(coin)
        if kind == "top":
            self.top(coin)
        if conflate:
            fn = _Conflated(fn, self._router)
        market.handlers[kind] = (*market.handlers[kind], fn)
        self._install(market, kind)

        def remove() -> None:
            left = list(market.handlers[kind])
            if fn in left:
                left.remove(fn)
                market.handlers[kind] = tuple(left)
                if self._markets.get(coin) is market:
                    self._install(market, kind)

        return remove

    def _install(self, market: _Market, kind: str) -> None:
        if kind == "top":
            self._router.set_top(market.rule.coin, self.top(market.rule.coin), market.handlers[kind])
            return
        setters: dict[str, Callable[[str, tuple[Handler, ...]], None]] = {
            "l2Book": self._router.set_book_handlers,
            "bbo": self._router.set_bbo_handlers,
            "trades": self._router.set_trade_handlers,
        }
        setters[kind](market.rule.coin, market.handlers[kind])

    # -- the socket -------------------------------------------------------------------------------------------------
    def on_connected(self) -> None:
        """A new connection: nothing is confirmed, every book is stale until its snapshot, all is asked for again."""
        self._confirmed.clear()
        self._sent_ns.clear()
        self.mark_stale("reconnected: waiting for a fresh snapshot")
        for coin, market in self._markets.items():
            for kind in sorted(market.wanted):
                self._send("subscribe", kind, coin)
        self.check_live()

    def mark_stale(self, reason: str) -> None:
        for market in self._markets.values():
            market.book.mark_stale(reason)
            if market.top is not None:
                market.top.mark_stale(reason)

    def on_subscription_response(self, data: dict[str, Any]) -> None:
        subscription = data.get("subscription") or {}
        key = (str(subscription.get("type", "")), str(subscription.get("coin", "")))
        if data.get("method") == "subscribe" and key[1] in self._markets:
            self._confirmed.add(key)
            self.check_live()

    def on_error(self, text: str) -> tuple[str, str] | None:
        """The (kind, coin) that a WebSocket error is about, if it names one of ours."""
        start = text.find("{")
        try:
            about = orjson.loads(text[start:]) if start >= 0 else {}
        except orjson.JSONDecodeError:
            about = {}
        subscription = about.get("subscription", about) if isinstance(about, dict) else {}
        key = (str(subscription.get("type", "")), str(subscription.get("coin", "")))
        if text.startswith("Already subscribed") and key[1] in self._markets:
            self._confirmed.add(key)
            self.check_live()
            return None
        return key if key[1] else None

    def check_live(self) -> None:
        wanted = {(kind, coin) for coin, market in self._markets.items() for kind in market.wanted}
        if wanted <= self._confirmed:
            self._on_live()

    def tick(self, now_ns: int) -> None:
        """Confirm by data, and send again what has not been confirmed."""
        session = self.session
        if session is None or session.state in (StreamState.DOWN, StreamState.CONNECTING):
            return
        changed = False
        for coin, market in self._markets.items():
            self._watch_age(market, now_ns)
            for kind in market.wanted:
                key = (kind, coin)
                if key in self._confirmed:
                    continue
                sent = self._sent_ns.get(key, 0)
                seen = market.book.recv_ns if kind == "l2Book" else market.bbo.recv_ns if kind == "bbo" else 0
                if sent and seen > sent:
                    self._confirmed.add(key)
                    changed = True
                elif now_ns - sent > RETRY_NS:
                    self._send("subscribe", kind, coin)
        if changed:
            self.check_live()

    def _watch_age(self, market: _Market, now_ns: int) -> None:
        """A book comes with a cadence, changed or not: one that is silent on a healthy socket is stale, and asked for anew.

        bbo and trades are silent by nature; what speaks for them is the connection's pong.
        """
        book = market.book
        if "l2Book" not in market.wanted or book.is_stale or not book.epoch or now_ns - book.recv_ns < self.max_age_ns:
            return
        coin = market.rule.coin
        book.mark_stale(f"no frame for {(now_ns - book.recv_ns) / 1e9:.1f} s")
        self.silent_books += 1
        self._confirmed.discard(("l2Book", coin))
        self._send("unsubscribe", "l2Book", coin)
        self._send("subscribe", "l2Book", coin)

    def _send(self, method: str, kind: str, coin: str) -> None:
        session = self.session
        if session is None or not session.is_open:
            return  # sent by on_connected
        if method == "subscribe":
            self._sent_ns[(kind, coin)] = clock.epoch_ns()
        session.send(orjson.dumps({"method": method, "subscription": {"type": kind, "coin": coin}}))


class _Conflated:
    """A handler that falls behind is not called for what is history already: the frames that a read brought update the
    view, and then it is called once. Costs a turn of the loop where there was one frame only."""

    def __init__(self, fn: Handler, router: Router) -> None:
        self._fn, self._router = fn, router
        self._is_due = False

    def __call__(self, view: Any) -> None:
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._call, view)

    def _call(self, view: Any) -> None:
        self._is_due = False
        try:
            self._fn(view)
        except Exception as error:
            if self._router.on_handler_error is not None:
                self._router.on_handler_error(self._fn, error)
