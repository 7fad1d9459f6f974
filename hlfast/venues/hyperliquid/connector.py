"""HyperliquidConnector (layer 3): wires sources, tracker, signer and order entry together and owns their life cycle.

    async with hlfast.connect("simulator") as hl:
        hl.watch("BTC")
        order = hl.buy("BTC", "0.001", "60000", tif="Alo")       # tracked, signed and written when this returns
        await order.accepted()

Two sockets: market data, and the account (its streams, orders and queries). Orders are refused while the account's
stream is not LIVE. One event loop owns a connector; constructing one starts nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson

from hlfast import clock
from hlfast.config import SIMULATOR_TEST_KEY, Network, Settings, shown
from hlfast.config import network as network_of
from hlfast.core import events as ev
from hlfast.core.bus import EventBus
from hlfast.core.connector_base import ConnectorBase, JournalBook, Service, Unsubscribe, VenueOrder
from hlfast.core.frame_sink import FrameSink
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.ledger import Ledger
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.core.position import Position, PositionBook
from hlfast.core.top_of_book import TopOfBook
from hlfast.core.trading_rule import TradingRule
from hlfast.core.updates import OrderUpdate, Trade, TradeUpdate
from hlfast.errors import ConfigError, HlfastError, NotReady, OrdersLeft, UnknownOutcome
from hlfast.main_loop import gap_is_over, start_up_is_over
from hlfast.net.backoff import Backoff
from hlfast.net.frame_tap import FrameTap
from hlfast.net.http import HttpClient
from hlfast.net.session import ConnectionBudget, WebSocketSession
from hlfast.types import (
    ConnectorType,
    Number,
    OrderParams,
    OrderState,
    OrderType,
    PositionAction,
    StreamState,
    Trigger,
    VenueMode,
)
from hlfast.venues.hyperliquid.action_sender import ActionSender
from hlfast.venues.hyperliquid.actions import Actions
from hlfast.venues.hyperliquid.dex_accounts import DexAccounts, dex_of
from hlfast.venues.hyperliquid.info import Info
from hlfast.venues.hyperliquid.keys import load_key
from hlfast.venues.hyperliquid.limits import Limits
from hlfast.venues.hyperliquid.market_data import MarketData
from hlfast.venues.hyperliquid.markets import Markets
from hlfast.venues.hyperliquid.metadata import Metadata, OutcomeSide
from hlfast.venues.hyperliquid.metadata_store import MetadataStore
from hlfast.venues.hyperliquid.nonce import nonce_manager_for
from hlfast.venues.hyperliquid.order_entry import OrderEntry
from hlfast.venues.hyperliquid.purses import Purse, purses_of, totals
from hlfast.venues.hyperliquid.recovery import LOOK_AGAIN_SECONDS, Recovery
from hlfast.venues.hyperliquid.reject_texts import venue_reject
from hlfast.venues.hyperliquid.scan import Router
from hlfast.venues.hyperliquid.sign import Signer
from hlfast.venues.hyperliquid.signer_lock import SignerLock
from hlfast.venues.hyperliquid.streams import Streams
from hlfast.venues.hyperliquid.user_stream import UserStream
from hlfast.venues.hyperliquid.venue_watch import VenueWatch

log = logging.getLogger("hlfast")

TRADING_ACTIONS = (
    "order",
    "cancel",
    "cancelByCloid",
    "modify",
    "batchModify",
    "scheduleCancel",
    "updateLeverage",
    "updateIsolatedMargin",
    "topUpIsolatedOnlyMargin",
    "noop",
)
"""What the connector's own signer signs unless `allow=` says otherwise: nothing that moves funds."""

HOUSEKEEPING_SECONDS = 0.1
METADATA_AGAIN_NS = 5_000_000_000
"""How often the venue is asked for its lists while a copy from disk is in use."""

_CLOID = re.compile(r"0x[0-9a-fA-F]{32}\Z")
GATEWAY_TROUBLE = re.compile(r"upgrade refused: .*\b50[0234]\b")
"""A connection that the venue's gateway refused with a 5xx."""


class HyperliquidConnector(ConnectorBase):
    asks_order_gate = True

    def __init__(
        self,
        network: str | Network,
        *,
        key: str | bytes | Signer | None = None,
        account: str | None = None,
        vault: str | None = None,
        settings: Settings | None = None,
        allow: Sequence[str] | None = None,
        password: str | Callable[[], str] | None = None,
    ) -> None:
        self.network = network_of(network)
        self.settings = settings or Settings()
        if isinstance(key, Signer):
            if self.settings.nonce_pool:
                raise ConfigError(
                    "Settings(nonce_pool=N) is for a key; a signer has its own: Signer(key, nonce_pool=N)"
                )
            self.signer, self._own_pool = key, None
        else:
            self.signer = _signer(key, self.network, allow, password, self.settings.nonce_pool)
            self._own_pool = self.signer.pool
        self.vault = _address(vault, "vault") if vault is not None else None
        self.account = self.vault or (_address(account, "account") if account is not None else self.signer.address)
        self.bus = EventBus()
        self.tracker = ClientOrderTracker(self.bus, hold_ms=self.settings.hold_ms)
        self.info = Info(self._ask)
        enforced = self.settings.enforce_budgets
        self.limits = Limits(enforced=not self.network.is_loopback if enforced is None else enforced)
        self.metadata: Metadata | None = None
        self.role_is_checked = False
        self._metadata_due_ns = 0
        keeps = self.settings.metadata_cache
        store = MetadataStore(self.network) if (not self.network.is_loopback if keeps is None else keeps) else None
        self.markets = Markets(self._ask, self.limits, self.tell, self._adopt_metadata, store)
        # What `recovery` beside this module reads and feeds; not for users.
        self.recovery = Recovery(self)
        self.dex_accounts = DexAccounts(self)
        self.own_ledger = Ledger()
        self.position_book = PositionBook(self.bus)
        self._balances: dict[str, Any] = {}
        self._purses: tuple[Purse, ...] = ()
        self._synchronising: asyncio.Task[None] | None = None
        self._housekeeping: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ready_waiters: set[asyncio.Future[None]] = set()
        self._down_since_ns = 0
        self._closing = False
        self._reporting = False
        self._gap_from: tuple[int, int] | None = None
        self._lock: SignerLock | None = None
        self._journal: JournalBook | None = None
        self._leave_journal: Unsubscribe | None = None
        self._services: list[Service] = []
        self._dead_man_seconds = 0.0
        self._dead_man_due_ns = 0
        self._audit_due_ns = 0
        self._last_tick_error = ""
        self._handler_errors: dict[str, int] = {}
        self._funding_seen: set[tuple[int, str]] = set()
        self._counts = {"venue_errors": 0, "scan_errors": 0}

        self._market_router = Router()
        self._account_router = Router()
        self.market = MarketData(self._market_router, self._on_market_live, self.settings.book_max_age_ms)
        self.stream = UserStream(self.account, self._on_order_update, self._on_fill)
        self._wire_router(self._market_router, self.market.on_subscription_response)
        self._wire_router(self._account_router, self.stream.on_subscription_response)
        self._account_router.order_sink = self.stream.order_sink
        self._account_router.fill_sink = self.stream.fill_sink
        self._account_router.rule_for = self.rule_for
        self._http = HttpClient(self.network.http_url, allow_insecure=self.network.allow_insecure)
        self._budget = ConnectionBudget()
        self._market_session = self._session("market", self._market_router, self._on_market_connected)
        self._account_session = self._session("account", self._account_router, self._on_account_connected)
        self.streams = Streams(self._session, self.account, self._wire_coin, self.tell, self._on_handler_error)
        self.market.session, self.stream.session = self._market_session, self._account_session
        self.entry = OrderEntry(
            signer=self.signer,
            nonces=nonce_manager_for(self.signer.address),
            tracker=self.tracker,
            limits=self.limits,
            settings=self.settings,
            is_mainnet=self.network.is_mainnet,
            vault=self.vault,
            resolve=self._tradable,
            book_of=self.market.book_or_none,
            positions=self.position_book,
        )
        self.actions = Actions(
            ActionSender(self.entry, self.signer, self.limits).send,
            self._asset_of,
            self.signer.address,
            self.network.is_mainnet,
        )
        self.venue = VenueWatch(lambda: self._ask({"type": "exchangeStatus"}), self._on_venue_mode, self.spawn)
        self.entry.on_post_only = self.venue.note_post_only
        self.bus.on_error = self._on_handler_error
        self.tracker.decimals_of = self._decimals_of
        self.tracker.book = self._book
        self._account_router.post_sink = self.entry.on_reply

    # -- identity ---------------------------------------------------------------------------------------------------
    @property
    def name(self) -> str:
        return "hyperliquid_perpetual"

    @property
    def domain(self) -> str:
        return self.name if self.network.is_mainnet else f"{self.name}_testnet"

    @property
    def connector_type(self) -> ConnectorType:
        return ConnectorType.DERIVATIVE_PERPETUAL

    def __repr__(self) -> str:
        return f"<HyperliquidConnector {self.network.name} account={self.account} account_stream={self._account_session.state}>"

    # -- life cycle -------------------------------------------------------------------------------------------------
    async def initialize(self) -> None:
        """Load the instruments and check the account. Raises `NotReady` if the venue cannot be reached, and there is no copy
        of its lists on disk."""
        _, role = await asyncio.gather(self.markets.load_at_start(), self._ask_role())
        if not isinstance(role, NotReady):
            self.check_role(role)
        elif self.markets.from_disk_ms is None:
            raise role  # else it is checked before the account goes live

    async def _ask_role(self) -> Any:
        try:
            return await self._query_http({"type": "userRole", "user": self.account})
        except NotReady as error:
            return error

    def _adopt_metadata(self, metadata: Metadata) -> None:
        old = self.metadata
        known = set(old.skipped) if old is not None else set()
        for coin in self.market.coins if old is not None else ():
            before, now = old.rules.get(coin) if old else None, metadata.rules.get(coin)
            if before and (now is None or (now.asset, now.sz_decimals) != (before.asset, before.sz_decimals)):
                self.market.unwatch(coin)  # its book is scaled by what was wrong
        self.metadata = metadata
        self.offer_rules()
        for skipped in metadata.skipped:
            if skipped not in known:
                log.warning("instrument skipped: %s", skipped)

    def offer_rules(self) -> None:
        """What orders are looked up in first. Of a dex that is not taken up there are none, so that `_tradable` is asked."""
        rules = self._meta().rules
        started = self.dex_accounts.started
        self.entry.rules = {coin: rule for coin, rule in rules.items() if ":" not in coin or dex_of(coin) in started}

    async def load_dex(self, name: str) -> list[TradingRule]:
        """Load the perps of a builder dex (HIP-3), whose names are then known: "dex:COIN", and take up the account there:
        from then on they are traded, recovered and audited as others."""
        rules = await self.markets.load_dex(name)
        if self.own_ledger.started:
            await self.dex_accounts.start(name)
        return rules

    async def load_outcomes(self) -> Mapping[str, OutcomeSide]:
        """Load the outcome markets (HIP-4): their sides by wire coin."""
        return (await self.markets.load_outcomes()).outcomes

    async def lookup(self, coin: str) -> TradingRule:
        """As `resolve`, but reads the venue's lists once more, within the budget, for a name that is not known."""
        return await self.markets.lookup(coin)

    def check_role(self, role: Any) -> None:
        """An agent has no orders or positions of its own: subscribing to it would show nothing, silently."""
        self.role_is_checked = True
        kind = role.get("role") if isinstance(role, dict) else None
        if kind == "agent":
            master = (role.get("data") or {}).get("user", "its master")
            raise ConfigError(
                f"{self.account} is an agent (API wallet) of {master}; orders and positions belong to the master: "
                f"pass account={master!r}"
            )
        if kind == "missing":
            log.warning(
                "the venue does not know the account %s yet: it has to be funded before it can trade", self.account
            )

    async def connect(self) -> None:
        if self.metadata is None:
            await self.initialize()
        if self._housekeeping is not None:
            return
        self._open_journal()
        await self._load_needed_dexs()
        if self._lock is None:
            self._lock = SignerLock.take(self.network, self.signer.address)
        loop = asyncio.get_running_loop()
        thread = threading.get_ident()

        def wake(future: asyncio.Future[Any], value: Any) -> None:
            if threading.get_ident() != thread:
                loop.call_soon_threadsafe(wake, future, value)
            elif not future.done():
                future.set_result(value)

        self.bus.task_factory = self.spawn
        self.tracker.waiter_factory = loop.create_future
        self.tracker.timer_factory = loop.call_later
        self.tracker.waker = wake
        self._account_session.start()
        self._market_session.start()
        self.streams.start()
        self._housekeeping = loop.create_task(self._keep_house(), name="hlfast-housekeeping")
        for service in self._services:
            await service.start()
        await self._warm_pool(loop)

    async def _load_needed_dexs(self) -> None:
        """Those of `Settings.dexs`, and those in which an earlier run has left orders."""
        left = {dex_of(order.coin) for order in self.orders} - {""}
        for name in sorted({*self.settings.dexs, *left} - set(self.markets.dexs)):
            try:
                await self.markets.load_dex(name)
            except ConfigError as error:
                if name in self.settings.dexs:
                    raise
                self.tell(
                    "dex_gone", f"an earlier run left orders in dex {name!r}: {error}; each is asked about by its id"
                )

    async def _warm_pool(self, loop: asyncio.AbstractEventLoop) -> None:
        """Until the nonces are prepared (some ms, a second at most). What ends their use is told as an event."""
        pool = self.signer.pool
        if pool is None:
            return
        if self._own_pool is not None:

            def tell(text: str) -> None:  # in the main thread, whose loop this need not be
                with contextlib.suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(self.tell, "prepared_nonces_off", text)

            self._own_pool.on_disabled = tell
            self._own_pool.start()
        for _ in range(200):
            if pool.state != "on" or pool.left == pool.size:
                break
            await asyncio.sleep(0.005)
        if pool.state not in ("on", "off: stopped"):
            self.tell("prepared_nonces_off", f"prepared nonces are {pool.state}; signing by RFC 6979")

    def use_journal(self, journal: JournalBook) -> None:
        """Keep every intent, outcome and fill in `journal`, and take up from there what an earlier run left. Before connect()."""
        if self._housekeeping is not None:
            raise ConfigError(
                "a journal is given before connect(), not after: what was sent meanwhile would be missing"
            )
        self._journal = journal
        journal.sample(self, self.settings.equity_interval)
        if self.settings.postgres is not None:
            journal.replicate(self.settings.postgres)

    def serve(self, service: Service) -> None:
        """Start `service` with connect() and stop it with disconnect(). Before connect()."""
        self._services.append(service)

    @property
    def journal(self) -> JournalBook | None:
        return self._journal

    def _open_journal(self) -> None:
        journal = self._journal
        if journal is None:
            return
        if self._leave_journal is None:
            found = journal.recover()
            found.restore(self.tracker)
            self.recovery.take_up(found.last_fill_ms)
            for signer, nonce in found.nonces.items():
                nonce_manager_for(signer).fast_forward(nonce)
            self._leave_journal = journal.attach(self.bus)
            self.entry.ring = journal.ring
        journal.start()

    async def disconnect(self) -> None:
        left: list[InFlightOrder] = []
        why = f"not ended {self.settings.stop_timeout:g} s after their cancel"
        checks = self.entry.checks
        was_killed = checks.killed
        try:
            if self.settings.on_stop == "cancel" and self._housekeeping is not None:
                if not was_killed:
                    checks.kill("the connector is closing")  # a handler must not place what nobody will cancel
                left = self.orders
                left = await self.end_orders(left, self.settings.stop_timeout)
        except asyncio.CancelledError:
            left, why = [order for order in left if not order.is_done], "the wait for their ends was interrupted"
            if not left:
                raise
        finally:
            await self._close()
            if not was_killed:
                checks.resume()
        if left:
            raise OrdersLeft(left, why)

    async def _close(self) -> None:
        self._closing = True
        try:
            for service in self._services:
                await service.stop()
            await self._market_session.stop()
            await self.streams.stop()
            await self._account_session.stop()
            own = [task for task in (self._housekeeping, self._synchronising) if task is not None]
            while left := [
                task for task in {*own, *self._tasks} if not task.done() and task is not asyncio.current_task()
            ]:
                for task in left:
                    task.cancel()
                await asyncio.wait(left, timeout=1.0)
                own = []
            self._housekeeping = self._synchronising = None
        finally:
            self._closing = False
        self.tracker.release_waiters()
        self.entry.connection_lost("the connector was closed")
        await self._http.close()
        if self._own_pool is not None:
            self._own_pool.stop()
            self._own_pool.on_disabled = None
        if self._journal is not None:
            self._journal.stop()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    async def __aenter__(self) -> HyperliquidConnector:
        await super().__aenter__()
        start_up_is_over()
        return self

    async def wait_ready(self, timeout: float | None = None) -> None:
        limit = self.settings.ready_timeout if timeout is None else timeout
        deadline = clock.monotonic_ns() + int(limit * 1e9)
        while not self.ready:
            if clock.monotonic_ns() > deadline:
                raise NotReady(f"not ready after {limit:g} s: {self._why_not_ready()}; {self._state_text()}")
            waiter = asyncio.get_running_loop().create_future()
            self._ready_waiters.add(waiter)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(waiter, 0.05)
            self._ready_waiters.discard(waiter)

    @property
    def venue_mode(self) -> VenueMode:
        """What the venue as a whole takes at the moment; each change is a `StreamStatus` of the stream "venue"."""
        return self.venue.mode

    @property
    def is_connected(self) -> bool:
        return bool(self._account_session.state is StreamState.LIVE)

    @property
    def ready(self) -> bool:
        return not self._why_not_ready()

    def _why_not_ready(self) -> str:
        if self.metadata is None:
            return "instruments not loaded"
        if not self.is_connected:
            return "the account's stream is not live"
        if self.market.coins:
            if self._market_session.state is not StreamState.LIVE:
                return "the market data stream is not live"
            for coin in self.market.coins:
                market = self.market.market(coin)
                if "l2Book" in market.wanted and (market.book.is_stale or not market.book.epoch):
                    return f"no fresh book for {coin}"
        return ""

    def _state_text(self) -> str:
        return f"market {self._market_session.state}, account {self._account_session.state}"

    @property
    def status(self) -> dict[str, Any]:
        return {
            "venue_mode": str(self.venue.mode),
            "network": self.network.name,
            "account": self.account,
            "account_mode": self.account_mode,
            "dexs": list(self.dex_accounts.started),
            "metadata_from_disk_ms": self.markets.from_disk_ms,
            "ready": self.ready,
            "why_not_ready": self._why_not_ready(),
            "market": str(self._market_session.state),
            "account_stream": str(self._account_session.state),
            "stream_age_ms": {"market": self._market_session.age_ms, "account": self._account_session.age_ms},
            "watched": self.market.coins,
            "live_orders": self.tracker.active_order_count,
            "unresolved": [order.client_order_id for order in self.orders if order.unresolved],
            "limits": self.limits.report(clock.monotonic_ns() // 1_000_000),
            "journal": self._journal.status if self._journal is not None else None,
            "counters": self.counters,
        }

    @property
    def counters(self) -> dict[str, int]:
        return {
            **self._counts,
            **{f"market_{k}": v for k, v in self._market_router.counters.items()},
            **{f"account_{k}": v for k, v in self._account_router.counters.items()},
            **{f"tracker_{k}": v for k, v in self.tracker.counters.items()},
            "silent_books": self.market.silent_books,
            "market_connections": self._market_session.connections,
            "account_connections": self._account_session.connections,
            **self._pool_counters(),
        }

    def _pool_counters(self) -> dict[str, int]:
        pool = self.signer.pool
        if pool is None:
            return {}
        return {
            "prepared_nonces_left": pool.left,
            "prepared_nonces_used": pool.used,
            "prepared_nonces_mismatches": pool.mismatches,
            **{f"prepared_nonces_fallback_{reason}": count for reason, count in pool.fallbacks.items()},
        }

    # -- market data ------------------------------------------------------------------------------------------------
    def watch(
        self, coin: str, *, book: bool = True, bbo: bool = True, trades: bool = False, context: bool = False
    ) -> None:
        """Subscribe to an instrument's streams. `context`: mark, oracle and funding of a perp, as `AssetContext` events."""
        rule = self.resolve(coin)
        wanted = (("l2Book", book), ("bbo", bbo), ("trades", trades), ("activeAssetCtx", context))
        kinds = {kind for kind, on in wanted if on}
        if not kinds:
            raise ConfigError(f"watch({coin!r}) asks for nothing; switch on book, bbo, trades or context")
        if context and not rule.is_perpetual:
            raise ConfigError(f"{coin!r} is a spot pair: it has no mark, oracle or funding")
        if self.market.watch(rule, kinds) and self._market_session.state is StreamState.LIVE:
            self._market_session.set_state(StreamState.SUBSCRIBING, f"subscribing to {rule.coin}")

    def unwatch(self, coin: str) -> None:
        self.market.unwatch(self.resolve(coin).coin)

    def book(self, coin: str) -> OrderBook:
        return self.market.market(self.resolve(coin).coin).book

    def bbo(self, coin: str) -> Bbo:
        return self.market.market(self.resolve(coin).coin).bbo

    def top(self, coin: str) -> TopOfBook:
        return self.market.top(self.resolve(coin).coin)

    def on_book(self, coin: str, fn: Callable[[OrderBook], object], *, conflate: bool = False) -> Unsubscribe:
        return self.market.add_handler(self.resolve(coin).coin, "l2Book", fn, conflate)

    def on_bbo(self, coin: str, fn: Callable[[Bbo], object], *, conflate: bool = False) -> Unsubscribe:
        return self.market.add_handler(self.resolve(coin).coin, "bbo", fn, conflate)

    def on_top(self, coin: str, fn: Callable[[TopOfBook], object], *, conflate: bool = False) -> Unsubscribe:
        return self.market.add_handler(self.resolve(coin).coin, "top", fn, conflate)

    def on_trade(self, coin: str, fn: Callable[[Trade], object]) -> Unsubscribe:
        return self.market.add_handler(self.resolve(coin).coin, "trades", fn)

    def tap_market_data(self, tap: FrameTap) -> None:
        """Have `tap` copy every frame of the market data socket, from its next connection on. Best before connect()."""
        self._market_session.add_tap(tap)

    # -- rules ------------------------------------------------------------------------------------------------------
    @property
    def trading_rules(self) -> Mapping[str, TradingRule]:
        return self._meta().rules

    def resolve(self, coin: str) -> TradingRule:
        return self._meta().resolve(coin)

    def _wire_coin(self, coin: str) -> str:
        """The venue's name of a market that is known; another text as it is."""
        with contextlib.suppress(ConfigError):
            return str(self._meta().resolve(coin).coin)
        return coin

    def _asset_of(self, market: str | int) -> int:
        return self._meta().asset_of(market)

    def _tradable(self, coin: str) -> TradingRule:
        """For `buy` and `sell`: only where the account's state is known, so that what they do can be audited."""
        try:
            rule = self._meta().resolve(coin)
        except ConfigError as error:
            if self._housekeeping is not None and (self.markets.may_load(dex_of(str(coin))) or self.markets.may_look()):
                self.spawn(self._look_for(coin))
                raise ConfigError(f"{error}. The venue's list is being read again: try once more in a moment") from None
            raise
        self.dex_accounts.check(rule.coin)
        return rule

    async def _look_for(self, coin: str) -> None:
        with contextlib.suppress(HlfastError):
            dex = dex_of(coin)
            await (self.load_dex(dex) if dex else self.markets.load())

    def rule_for(self, coin: str) -> TradingRule | None:
        return self.metadata.rules.get(coin) if self.metadata else None

    def _meta(self) -> Metadata:
        if self.metadata is None:
            raise NotReady("instruments are not loaded; use `async with connect(...)` or await initialize() first")
        return self.metadata

    # -- orders -----------------------------------------------------------------------------------------------------
    def buy(
        self,
        coin: str | OrderParams,
        size: Number | None = None,
        price: Number | None = None,
        *,
        tif: str | None = None,
        reduce_only: bool = False,
        trigger: Trigger | None = None,
        rounding: str = "refuse",
        client_order_id: str | None = None,
        cloid: str | None = None,
        order_type: OrderType | None = None,
        position_action: PositionAction = PositionAction.NIL,
        expires_after_ms: int | None = None,
    ) -> InFlightOrder:
        """Place a buy order: checked, tracked, signed and written to the socket when this returns.

        Without a price it is a market order: Ioc, capped at the best ask plus `market_slippage_bps`. `rounding`:
        "refuse" (an off-grid number raises and names the nearest valid ones), "passive" (down for a buy) or "nearest".
        `expires_after_ms`: from now; 0 for none, None for the setting's default. Raises `ConfigError`, `RangeError`,
        `OrderDenied` or `NotReady`, all before anything is tracked or sent; the venue's verdict is an event, never an
        exception.
        """
        return self.entry.submit(
            coin,
            True,
            size,
            price,
            tif=tif,
            reduce_only=reduce_only,
            trigger=trigger,
            rounding=rounding,
            client_order_id=client_order_id,
            cloid=cloid,
            order_type=order_type,
            position_action=position_action,
            expires_after_ms=expires_after_ms,
        )

    def sell(
        self,
        coin: str | OrderParams,
        size: Number | None = None,
        price: Number | None = None,
        *,
        tif: str | None = None,
        reduce_only: bool = False,
        trigger: Trigger | None = None,
        rounding: str = "refuse",
        client_order_id: str | None = None,
        cloid: str | None = None,
        order_type: OrderType | None = None,
        position_action: PositionAction = PositionAction.NIL,
        expires_after_ms: int | None = None,
    ) -> InFlightOrder:
        """Place a sell order; as `buy`, with "passive" rounding up and a market order capped below the best bid."""
        return self.entry.submit(
            coin,
            False,
            size,
            price,
            tif=tif,
            reduce_only=reduce_only,
            trigger=trigger,
            rounding=rounding,
            client_order_id=client_order_id,
            cloid=cloid,
            order_type=order_type,
            position_action=position_action,
            expires_after_ms=expires_after_ms,
        )

    def place(self, orders: Sequence[OrderParams], *, grouping: str | None = None) -> list[InFlightOrder]:
        """Several orders in one signed action. All are checked before any is tracked; an error names the index.

        Post-only orders beside others go ahead in an action of their own; with a `grouping` all stay together: "na", or
        "normalTpsl" for an entry and its closing triggers, which the venue links.
        """
        return self.entry.place(orders, grouping)

    def modify(
        self,
        order: InFlightOrder | str | int,
        *,
        price: Number | None = None,
        size: Number | None = None,
        rounding: str = "refuse",
    ) -> bool:
        """Ask for another price or total size (`size`: the filled part included) of a resting order.

        True: the request was sent, and `OrderModified` or `OrderModifyRejected` follows. False: the order is unknown, does
        not rest, or is being changed already.
        """
        return self.entry.modify(order, price=price, size=size, rounding=rounding)

    def cancel(self, order: InFlightOrder | str | int) -> bool:
        """True: a cancel request was handed to the socket. False: the order is unknown or has ended."""
        return self.entry.cancel(order)

    def set_order_gate(self, gate: Callable[[InFlightOrder], object] | None) -> None:
        super().set_order_gate(gate)
        self.entry.checks.gate = gate

    def cancel_many(self, orders: Sequence[InFlightOrder]) -> int:
        return self.entry.cancel_many(orders)

    def cancel_all(self, coin: str | None = None) -> int:
        """Ask for the cancel of every own live order (of `coin`); returns how many were asked for."""
        return self.entry.cancel_all(self.resolve(coin).coin if coin is not None else None)

    async def cancel_inflight(self, order: InFlightOrder | str | int) -> bool:
        """Kill an order whose fate is not known by burning its nonce: whichever reaches the venue first wins.

        True: it can never execute, and ends as FAILED. False: its action was admitted, so a plain cancel was asked for
        instead. Raises `NotReady` or `UnknownOutcome` as queries do.
        """
        found = self.entry.order_of(order)
        if found is None or found.is_done or not found.nonce:
            return False
        if not found.was_created and await self.recovery.burn(found.nonce):
            self.tracker.reject(found, "its nonce was burnt before the venue had it")
            return True
        self.cancel(found)
        return False

    def kill(self, reason: str = "kill()") -> int:
        """The kill switch: refuse every new order and modify, and ask for the cancel of all that rests on the account.

        Returns how many were asked for. Without a connection they are asked for as soon as the account is live again.
        """
        self.entry.checks.kill(reason)
        if self.entry.batcher is not None:
            self.entry.batcher.discard(reason)
        self.tell("killed", f"the kill switch is on: {reason}")
        try:
            return self.entry.cancel_many([*self.orders, *self.tracker.external_orders])
        except NotReady as error:
            self.tell(
                "kill_waits",
                f"nothing could be cancelled: {error}; all is cancelled as soon as the account is live again",
            )
            return 0

    def resume(self) -> None:
        """Switch the kill switch off: orders are taken again."""
        self.entry.checks.resume()

    async def arm_dead_mans_switch(self, seconds: float) -> None:
        """Have the venue cancel everything if this process falls silent for `seconds` (at least 6; 0 disarms).

        The venue's deadline is moved on from this process's own event loop, three times in each period, so a loop that
        hangs counts as silence. Raises `VenueReject` where the account may not use it.
        """
        if seconds and seconds < 6:
            raise ConfigError(
                f"the venue takes a deadline of at least 5 s ahead when it arrives: give 6 or more, got {seconds}"
            )
        await self.actions.schedule_cancel(clock.wall_clock_ms() + int(seconds * 1000) if seconds else None)
        self._dead_man_seconds = seconds
        self._dead_man_due_ns = clock.monotonic_ns() + int(seconds * 1e9 / 3)

    async def _move_dead_mans_deadline(self) -> None:
        try:
            await self.actions.schedule_cancel(clock.wall_clock_ms() + int(self._dead_man_seconds * 1000))
        except (HlfastError, asyncio.TimeoutError) as error:
            self.tell("dead_mans_switch", f"its deadline could not be moved: {error}")

    async def look_up_order(self, handle: int | str) -> VenueOrder | None:
        if isinstance(handle, str) and not _CLOID.match(handle):
            return None  # the venue knows orders by its number and by their cloid
        answer = await self.info.order_status(self.account, handle)
        if answer.get("status") != "order":
            return None
        found, row = answer["order"], answer["order"]["order"]
        return VenueOrder(
            coin=row["coin"],
            exchange_order_id=row["oid"],
            cloid=row.get("cloid"),
            is_buy=row["side"] == "B",
            price=Decimal(row["limitPx"]),
            size=Decimal(row["origSz"]),
            remaining=Decimal(row["sz"]),
            status=found["status"],
            time_ms=found["statusTimestamp"],
        )

    def generate_client_order_id(self) -> str:
        return self.entry.ids.next()

    # -- account ----------------------------------------------------------------------------------------------------
    @property
    def positions(self) -> Mapping[str, Position]:
        return self.position_book.positions

    async def account_positions(self) -> dict[str, Decimal]:
        """The main dex's by the venue's word; those of builder dexs by own fills. Raises `NotReady` without an answer."""
        state = await self.info.clearinghouse_state(self.account)
        told = {row["position"]["coin"]: Decimal(row["position"]["szi"]) for row in state["assetPositions"]}
        return told | {coin: size for coin, size in (await super().account_positions()).items() if ":" in coin}

    @property
    def balances(self) -> Mapping[str, Any]:
        return self._balances

    @property
    def account_mode(self) -> str:
        """The venue's abstraction of the account: "disabled" (standard), "unifiedAccount", "portfolioMargin" or others."""
        return self.recovery.mode

    @property
    def purses(self) -> tuple[Purse, ...]:
        """Where the account's money lies, as the venue said last: spot, the main dex and the builder dexs that are loaded
        (or one balance a token in a joined account), each with its token, total and what is free of it."""
        return self._purses

    @property
    def totals(self) -> Mapping[str, Purse]:
        """`purses` summed by token: what is locked in one place is not missing here."""
        return totals(self._purses)

    async def all_purses(self) -> tuple[Purse, ...]:
        """As `purses`, read now, and of every dex that the venue has: 2 of the minute's weight a dex."""
        perp, spot, listed, metas = await asyncio.gather(
            self.info.clearinghouse_state(self.account),
            self.info.spot_clearinghouse_state(self.account),
            self.info.perp_dexs(),
            self.info.all_perp_metas(),
        )
        names = [row["name"] for row in listed if row is not None]
        states = await asyncio.gather(*(self.info.clearinghouse_state(self.account, name) for name in names))
        tokens = {token["index"]: token["name"] for token in (await self.info.spot_meta())["tokens"]}
        collaterals = {"": self._collaterals()[""]}
        for name, meta in zip(names, metas[1:], strict=False):
            collaterals[name] = tokens.get(meta.get("collateralToken", 0), "unknown")
        return purses_of(
            await self.info.user_abstraction(self.account),
            perp,
            spot,
            dict(zip(names, states, strict=True)),
            collaterals,
        )

    def _collaterals(self) -> dict[str, str]:
        found = {"": "USDC"}
        for rule in self._meta().rules.values():
            if rule.is_perpetual:
                found.setdefault(dex_of(rule.coin), rule.collateral)
        return found

    @property
    def ledger(self) -> dict[str, Any]:
        figures = self.own_ledger.figures()
        figures["realized_pnl"] = sum((p.realized_pnl for p in self.positions.values()), Decimal(0))
        return figures

    @property
    def sums(self) -> dict[str, Any]:
        return self.own_ledger.sums()

    # -- what the sockets say ---------------------------------------------------------------------------------------
    def _session(self, name: str, router: FrameSink, on_connected: Callable[[], None]) -> WebSocketSession:
        def on_state(state: StreamState, reason: str) -> None:
            self._on_stream_state(name, state, reason)

        return WebSocketSession(
            self.network.ws_url,
            router,
            name=name,
            ping_interval=self.settings.ping_interval,
            pong_timeout=self.settings.pong_timeout,
            backoff=Backoff(self.settings.backoff_min, self.settings.backoff_max),
            on_state=on_state,
            on_connected=on_connected,
            connection_budget=self._budget,
            allow_insecure=self.network.allow_insecure,
        )

    def _wire_router(self, router: Router, on_ack: Callable[[dict[str, Any]], None]) -> None:
        def cold(channel: str, data: Any, recv_ns: int) -> None:
            if channel == "subscriptionResponse":
                on_ack(data)
            elif channel == "pong":
                (self._market_session if router is self._market_router else self._account_session).note_pong()
            elif channel == "error":
                self._on_venue_error(str(data))
            elif channel == "user":
                self._on_user_event(data)
            elif channel == "activeAssetCtx":
                self._on_asset_context(data, recv_ns)

        router.cold_sink = cold
        router.error_sink = self._on_scan_error
        router.on_handler_error = self._on_handler_error

    def _on_stream_state(self, name: str, state: StreamState, reason: str) -> None:
        if state in (StreamState.DOWN, StreamState.CONNECTING):
            if name == "market":
                self.market.mark_stale(f"market data {state}: {reason}")
            elif name == "account":
                self._on_account_down(reason)
            if GATEWAY_TROUBLE.search(reason):
                self.venue.note_unavailable(reason)
        self.bus.emit(ev.StreamStatus(stream=name, state=str(state), reason=reason, recv_ns=clock.epoch_ns()))

    def _on_venue_mode(self, mode: VenueMode, reason: str) -> None:
        log.warning("the venue is %s: %s", mode, reason)
        self.bus.emit(ev.StreamStatus(stream="venue", state=str(mode), reason=reason, recv_ns=clock.epoch_ns()))

    def _on_account_down(self, reason: str) -> None:
        self.stream.hold()
        self._down_since_ns = self._down_since_ns or clock.epoch_ns()
        if self._synchronising is not None:
            self._synchronising.cancel()
            self._synchronising = None
        self.entry.connection_lost(reason)

    def _on_market_connected(self) -> None:
        self.market.on_connected()

    def _on_market_live(self) -> None:
        if self._market_session.state in (StreamState.SUBSCRIBING, StreamState.SYNCING):
            self._market_session.set_state(StreamState.LIVE, "subscribed")

    def _on_account_connected(self) -> None:
        listener = self._account_session.listener
        assert listener is not None
        self.entry.attach(listener)
        self.stream.on_connected(self._on_account_subscribed)

    def _on_account_subscribed(self) -> None:
        if self._closing:
            return
        self._account_session.set_state(StreamState.SYNCING, "reading the account's state")
        self._synchronising = asyncio.get_running_loop().create_task(self._synchronise(), name="hlfast-synchronise")

    async def _synchronise(self) -> None:
        """Agree with the venue, then let news and orders through. Tried until it succeeds or the connection ends."""
        if self._gap_from is None:
            self._gap_from = self.recovery.recovered_fills, self.recovery.recovered_orders
        self.spawn(self.venue.look())  # an upgrade drops all sockets: what comes after one may be a post-only window
        while True:
            try:
                await self.recovery.synchronise()
                break
            except ConfigError as error:  # asking again would not help
                log.error("the account cannot go live: %s", error)
                self.tell("account_refused", str(error))
                return
            except Exception as error:  # whatever the venue answered: an account that stays in SYNCING is of no use
                text = f"reading the account's state failed, trying again: {type(error).__name__}: {error}"
                log.warning(text)
                self.tell("sync_failed", text)
                await asyncio.sleep(0.5)
        self.stream.release()
        if self._account_session.connections == 1:
            self.entry.warm_up()
        else:
            gap_is_over()
        self.entry.go_live()
        self._account_session.set_state(StreamState.LIVE, "synchronised")
        if self.entry.checks.killed:
            with contextlib.suppress(NotReady):
                self.entry.cancel_many([*self.orders, *self.tracker.external_orders])
        gap_ns = clock.epoch_ns() - self._down_since_ns if self._down_since_ns else 0
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
        try:
            await self.recovery.look_again()
        except Exception as error:
            self.tell("second_look_failed", f"{type(error).__name__}: {error}; the audit follows")
        (fills, orders), self._gap_from = self._gap_from, None
        self._down_since_ns = 0
        if gap_ns and self._account_session.connections > 1:
            self._tell_recovered(gap_ns, self.recovery.recovered_fills - fills, self.recovery.recovered_orders - orders)

    def _tell_recovered(self, gap_ns: int, fills: int, orders: int) -> None:
        unsettled = len(self.tracker.orders_to_ask_about)
        self.bus.emit(
            ev.Recovered(
                gap_ns=gap_ns,
                fills=fills,
                orders=orders,
                consistent=not unsettled,
                detail=f"{fills} fills and {orders} changes of orders found; {unsettled} orders still to be settled",
                recv_ns=clock.epoch_ns(),
            )
        )

    def _on_order_update(self, update: OrderUpdate) -> None:
        refused = update.new_state == OrderState.FAILED
        self.tracker.process_order_update(update, venue_reject(update.status) if refused else None)

    def _on_fill(self, fill: TradeUpdate, is_snapshot: bool) -> None:
        baseline_ms = self.dex_accounts.baseline_ms(fill.coin) or 0
        if fill.time_ms <= baseline_ms and self.tracker.get_order_by_exchange_id(fill.oid) is None:
            return  # older than the account's first state, which contains it
        self.tracker.process_trade_update(fill)
        if not is_snapshot:
            self.market.apply_fill(fill)

    def _book(self, fill: TradeUpdate) -> ev.PositionUpdate | None:
        """Cash, fees and position move with every new fill, before its events are told."""
        self.recovery.last_fill_ms = max(self.recovery.last_fill_ms, fill.time_ms)
        if fill.time_ms <= self.recovery.baseline_ms:
            return None  # of an order of an earlier run: the account's first state contains it
        self.limits.trade(float(fill.quote_amount))
        if ":" in fill.coin:
            return self.dex_accounts.book(fill)
        if fill.coin.startswith("#"):  # a side of an outcome is a token of that number
            side = self._meta().outcomes.get(fill.coin)
            self.own_ledger.book_fill(fill, base=f"+{fill.coin[1:]}", quote=side.quote if side else "USDC")
            return None
        rule = self.rule_for(fill.coin)
        if rule is not None and not rule.is_perpetual:
            base, quote = self._meta().tokens_of(fill.coin)
            self.own_ledger.book_fill(fill, base=base, quote=quote)
            return None
        self.own_ledger.book_fill(fill)
        return self.position_book.book(fill)

    def _decimals_of(self, coin: str) -> int:
        rule = self.rule_for(coin)
        return rule.sz_decimals if rule is not None else 8

    def _on_user_event(self, data: dict[str, Any]) -> None:
        funding = data.get("funding")
        if funding:
            self.book_funding(funding)

    def _on_asset_context(self, data: dict[str, Any], recv_ns: int) -> None:
        context = data["ctx"]
        self.bus.emit(
            ev.AssetContext(
                coin=data["coin"],
                mark_price=Decimal(context["markPx"]),
                oracle_price=Decimal(context["oraclePx"]),
                funding_rate=Decimal(context["funding"]),
                open_interest=Decimal(context["openInterest"]),
                recv_ns=recv_ns,
            )
        )

    def book_funding(self, row: dict[str, Any]) -> bool:
        """Book a funding payment once, and tell of it; `row`: time, coin, usdc, fundingRate."""
        key = int(row["time"]), str(row["coin"])
        baseline_ms = self.dex_accounts.baseline_ms(key[1])
        if key in self._funding_seen or baseline_ms is None or key[0] <= baseline_ms:
            return False
        self._funding_seen.add(key)
        amount = Decimal(row["usdc"])
        self.own_ledger.book_funding(amount, dex_of(key[1]))
        self.position_book.apply_funding(key[1], amount)
        self.bus.emit(
            ev.FundingPayment(
                coin=key[1], amount=amount, rate=row.get("fundingRate", ""), time_ms=key[0], recv_ns=clock.epoch_ns()
            )
        )
        return True

    def _on_venue_error(self, text: str) -> None:
        self._counts["venue_errors"] += 1
        self.market.on_error(text)
        self.stream.on_error(text)
        self.tell("venue_error", text)

    def _on_scan_error(self, kind: str, detail: str, excerpt: bytes) -> None:
        self._counts["scan_errors"] += 1
        self.tell(kind, detail)

    def _on_handler_error(self, fn: Any, error: BaseException) -> None:
        name = f"{getattr(fn, '__qualname__', fn)!s} raised {type(error).__name__}"
        text = f"{name}: {error}"
        times = self._handler_errors.get(name, 0) + 1
        if times > 1 or len(self._handler_errors) < 1000:
            self._handler_errors[name] = times
        if times == 1:
            log.error("handler failed: %s", text, exc_info=error)
        elif times & (times - 1) == 0:  # 2, 4, 8 ...: one that raises on every frame must not drown the log
            log.error("handler failed again, %d times by now: %s", times, text)
        if self._reporting:
            return  # the handler of this very error failed: said in the log, and that is all
        self._reporting = True
        try:
            self.tell("handler_error", text)
            if self.settings.on_handler_error == "stop" and not self.entry.checks.killed:
                self.kill(text)
        finally:
            self._reporting = False

    def feed_account(self, frame: bytes) -> None:
        """Hand the venue's record to the account's scanners as if its stream had told it."""
        self._account_router.feed(frame, clock.epoch_ns())

    def set_balances(self, perp: dict[str, Any], spot: dict[str, Any]) -> None:
        """Take the venue's balances, and tell of a change."""
        balances: dict[str, Any] = {r["coin"]: {"total": r["total"], "hold": r["hold"]} for r in spot["balances"]}
        summary = perp["marginSummary"]
        balances["perp"] = {"account_value": summary["accountValue"], "withdrawable": perp["withdrawable"]}
        for dex, state in self.dex_accounts.states.items():
            worth = state["marginSummary"]["accountValue"]
            balances[f"perp {dex}"] = {"account_value": worth, "withdrawable": state["withdrawable"]}
        self._purses = purses_of(self.recovery.mode, perp, spot, self.dex_accounts.states, self._collaterals())
        if balances == self._balances:
            return
        self._balances = balances
        available, total = Decimal(perp["withdrawable"]), Decimal(summary["accountValue"])
        if self.recovery.cash_kept_by_venue:  # the state of the perps says nothing about a joined account's money
            joined = self.totals.get("USDC", Purse("all", "USDC", Decimal(0), Decimal(0)))
            available, total = joined.free, joined.total
        self.bus.emit(
            ev.BalanceUpdate(
                asset="USDC",
                available=available,
                total=total,
                time_ms=int(perp["time"]),
                recv_ns=clock.epoch_ns(),
            )
        )

    def tell(self, code: str, text: str) -> None:
        """A `ConnectorError` event."""
        self.bus.emit(ev.ConnectorError(code=code, text=text, recv_ns=clock.epoch_ns()))

    # -- queries and other actions ----------------------------------------------------------------------------------
    async def _ask(self, payload: dict[str, Any]) -> Any:
        if self._account_session.is_open:
            return await self.entry.ask(payload)
        return await self._query_http(payload)

    async def _query_http(self, payload: dict[str, Any]) -> Any:
        kind = payload.get("type")
        try:
            status, body = await self._http.post_json("/info", payload)
        except UnknownOutcome as error:  # a query changes nothing: no answer is all that there is to it
            raise NotReady(f"the query {kind!r} was not answered: {error}") from error
        if status >= 500:
            self.venue.note_unavailable(f"HTTP {status} to the query {kind!r}")
        if status != 200:
            raise NotReady(f"the venue answered {status} to the query {kind!r}: {body[:200]!r}")
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            raise NotReady(f"the venue's answer to the query {kind!r} is not JSON: {body[:200]!r}") from None

    # -- housekeeping -----------------------------------------------------------------------------------------------
    def spawn(self, coro: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(coro)
        self._tasks.add(task)

        def done(ended: asyncio.Task[Any]) -> None:
            self._tasks.discard(ended)
            if not ended.cancelled() and (error := ended.exception()) is not None:
                self._on_handler_error(coro, error)

        task.add_done_callback(done)
        return task

    async def _keep_house(self) -> None:
        self._audit_due_ns = clock.monotonic_ns() + int(self.settings.audit_interval * 1e9)
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            try:
                self._tick()
            except Exception as error:
                text = f"{type(error).__name__}: {error}"
                if text != self._last_tick_error:  # ten times a second would drown everything else
                    self.tell("housekeeping_failed", text)
                self._last_tick_error = text

    def _tick(self) -> None:
        now_ns, mono_ns = clock.epoch_ns(), clock.monotonic_ns()
        self.tracker.tick(now_ns)
        self.market.tick(now_ns)
        self.stream.tick(now_ns)
        self.streams.tick(now_ns)
        self.entry.tick(now_ns)
        self.venue.tick(mono_ns)
        if self.markets.from_disk_ms is not None and mono_ns > self._metadata_due_ns:
            self._metadata_due_ns = mono_ns + METADATA_AGAIN_NS
            self.spawn(self._confirm_metadata())
        if self._lock is not None:
            self._lock.keep()
        if not self.is_connected:
            return
        if self.entry.checks.killed and (live := self.get_open_orders()):
            self.entry.cancel_many(live)  # what the kill switch's cancels had overtaken
        self.recovery.ask_about_due_orders(mono_ns)
        if self._dead_man_seconds and mono_ns > self._dead_man_due_ns:
            self._dead_man_due_ns = mono_ns + int(self._dead_man_seconds * 1e9 / 3)
            self.spawn(self._move_dead_mans_deadline())
        if mono_ns > self._audit_due_ns:
            self._audit_due_ns = mono_ns + int(self.settings.audit_interval * 1e9)
            self.spawn(self._audit())

    async def _confirm_metadata(self) -> None:
        """The lists in use are a copy from disk: ask the venue again."""
        with contextlib.suppress(NotReady, UnknownOutcome, asyncio.TimeoutError):
            await self.markets.load()
            if self.markets.from_disk_ms is None:
                self.tell(
                    "metadata_confirmed",
                    "the venue's lists of instruments were read: the copy from disk is no longer used",
                )

    async def _audit(self) -> None:
        try:
            await self.recovery.audit()
        except (NotReady, UnknownOutcome, asyncio.TimeoutError) as error:
            log.info("the audit was cut short: %s", error)
        except Exception as error:  # the venue's answer had another shape
            self.tell("audit_failed", f"{type(error).__name__}: {error}")


def _address(text: str, what: str) -> str:
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise ConfigError(f"{what} is an address, 0x and 40 hex digits, got {shown(text)}")
    return text.lower()


def _signer(
    key: str | bytes | None,
    network: Network,
    allow: Sequence[str] | None,
    password: str | Callable[[], str] | None,
    nonce_pool: int,
) -> Signer:
    if key is None:
        if not network.is_loopback:
            raise ConfigError(
                f"network {network.name!r} needs a key: pass key='env:NAME', a file with mode 0600 or a keystore "
                "(an agent wallet's key is enough, and cannot withdraw)"
            )
        key = SIMULATOR_TEST_KEY
    return Signer(
        load_key(key, password=password),
        nonce_pool=nonce_pool,
        allow=TRADING_ACTIONS if allow is None else (*TRADING_ACTIONS, *allow),
    )
