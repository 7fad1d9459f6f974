"""EngineFace: identity, life, market data, rules, balances and fees of a `HyperliquidConnector`, in Hummingbot's words."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from hlfast.compat.hummingbot.connector.constants import s_decimal_0, s_decimal_NaN
from hlfast.compat.hummingbot.connector.exchange_base import ExchangeBase
from hlfast.compat.hummingbot.connector.trading_rule import TradingRule
from hlfast.compat.hummingbot.core.data_type.common import OrderType, TradeType
from hlfast.compat.hummingbot.core.data_type.order_book import LiveOrderBook, OrderBook
from hlfast.compat.hummingbot.core.data_type.trade_fee import TradeFeeBase, TradeFeeSchema
from hlfast.compat.hummingbot.core.event.events import AccountEvent, BalanceUpdateEvent, OrderBookTradeEvent
from hlfast.compat.hummingbot.core.network_iterator import NetworkStatus
from hlfast.compat.hummingbot.core.utils.estimate_fee import HYPERLIQUID_FEES
from hlfast.core import events as ev
from hlfast.core.trading_rule import TradingRule as CoreRule
from hlfast.core.updates import Trade
from hlfast.errors import ConfigError, NotReady, UnknownOutcome
from hlfast.venues.hyperliquid.connector import HyperliquidConnector
from hlfast.venues.hyperliquid.streams import StreamEvent


class _PairMap(dict[str, str]):
    """The venue's symbols to pairs, and back in `inverse`."""

    @property
    def inverse(self) -> dict[str, str]:
        return {pair: symbol for symbol, pair in self.items()}


class EngineFace(ExchangeBase):
    """`engine` is the connector underneath, for all that has no word here. One event loop owns both."""

    connector_name = "hyperliquid"
    is_perpetual = False
    _offers_dexs = False

    def __init__(
        self,
        engine: HyperliquidConnector,
        domain: str,
        trading_pairs: Sequence[str] | None = None,
        trading_required: bool = True,
        balance_asset_limit: Any = None,
        rate_limits_share_pct: Decimal = Decimal("100"),
    ) -> None:
        self._domain = domain
        super().__init__(balance_asset_limit, rate_limits_share_pct)
        self.engine = engine
        self._trading_pairs = list(trading_pairs or [])
        self._trading_required = trading_required
        self._books: dict[str, LiveOrderBook] = {}
        self._pairs: _PairMap = _PairMap()
        self._coins: dict[str, str] = {}
        self._rules: dict[str, TradingRule] = {}
        self._fee_schema = HYPERLIQUID_FEES[self.connector_name]
        self._removers: list[Any] = []
        self._is_started = False
        self._states: dict[str, Any] = {}

    # -- identity ---------------------------------------------------------------------------------------------------
    @property
    def name(self) -> str:
        return self._domain

    @property
    def domain(self) -> str:
        return self._domain

    @property
    def trading_pairs(self) -> list[str]:
        return list(self._trading_pairs)

    @property
    def current_timestamp(self) -> float:
        """The wall clock in seconds."""
        return self._time()

    @property
    def budget_checker(self) -> Any:
        raise NotImplementedError(
            "budget checks are not offered here: the venue's margin rules decide; look at get_available_balance()"
        )

    # -- life cycle -------------------------------------------------------------------------------------------------
    async def start_network(self) -> None:
        """Load the instruments and open the streams; `ready` tells when the account is reconciled and the books fresh.

        Raises `ConfigError` for a trading pair that the venue does not have.
        """
        if self._is_started:
            return
        self._is_started = True
        engine = self.engine
        try:
            await engine.initialize()
            await self._load_dexs(self._trading_pairs)
            self._load_rules()
            for pair in self._trading_pairs:
                self._coin(pair)
            self._before_connect()
            self._removers.append(engine.on(ev.BalanceUpdate, self._on_balance))
            await engine.connect()
            for pair in self._trading_pairs:
                self._watch(pair)
            if self._trading_required:
                for stream in ("clearinghouseState", "spotState"):
                    self._removers.append(engine.streams.on(stream, self._on_state))
        except BaseException:
            await self.stop_network()
            raise
        engine.spawn(self._read_fees())

    async def stop_network(self) -> None:
        """Final: sockets closed, no task left. Orders stay at the venue unless the settings say otherwise."""
        try:
            await self.engine.disconnect()
        finally:
            for remove in self._removers:
                remove()
            self._removers.clear()
            self._is_started = False

    async def check_network(self) -> NetworkStatus:
        if not self._is_started:
            return NetworkStatus.STOPPED
        return NetworkStatus.CONNECTED if self.engine.is_connected else NetworkStatus.NOT_CONNECTED

    async def wait_ready(self, timeout: float | None = None) -> None:
        """Ours: return when the engine is ready, else `NotReady` that says what is missing."""
        await self.engine.wait_ready(timeout)

    def tick(self, timestamp: float) -> None:
        """May be called by a clock; nothing depends on it."""

    @property
    def ready(self) -> bool:
        return all(self.status_dict.values())

    @property
    def status_dict(self) -> dict[str, bool]:
        engine = self.engine
        return {
            "symbols_mapping_initialized": bool(self._pairs),
            "order_books_initialized": bool(self._trading_pairs == list(self._books))
            and all(not book.core.is_stale and book.core.epoch for book in self._books.values()),
            "account_balance": not self._trading_required or bool(engine.balances),
            "trading_rule_initialized": bool(self._rules),
            "user_stream_initialized": engine.ready if self._trading_required else True,
        }

    def _load_rules(self) -> None:
        for coin, rule in self.engine.trading_rules.items():
            if rule.is_perpetual is self.is_perpetual and rule.is_trading_enabled:
                pair = self._pair_of(rule)
                if pair not in self._rules:
                    self._pairs[coin], self._coins[pair] = pair, coin
                    self._rules[pair] = TradingRule.from_core(rule, pair)

    def _pair_of(self, rule: CoreRule) -> str:
        pair = rule.trading_pair.replace("/", "-")
        return pair.upper() if ":" in pair else pair

    async def _load_dexs(self, pairs: list[str]) -> None:
        """The builder dexs of the pairs, whose names are upper case here. Raises `ConfigError` for one that is not there."""
        if not self._offers_dexs:
            return
        for dex in sorted({pair.partition(":")[0].lower() for pair in pairs if isinstance(pair, str) and ":" in pair}):
            if dex not in self.engine.markets.dexs:
                await self.engine.load_dex(dex)

    def _coin(self, trading_pair: str) -> str:
        """The venue's symbol of a pair, or `ConfigError`."""
        if not isinstance(trading_pair, str):
            raise ConfigError(f"a trading pair is text such as BTC-USD, got {trading_pair!r}")
        coin = self._coins.get(trading_pair)
        if coin is None:
            if not self._rules:
                raise NotReady("instruments are not loaded; await start_network() first")
            raise ConfigError(f"{self.name} has no trading pair {trading_pair!r}; {self._hint(trading_pair)}")
        return coin

    def _hint(self, trading_pair: str) -> str:
        """What to do about a pair that is not there: the same letters, or the same base, under another name."""
        dex, is_of_dex, _ = trading_pair.partition(":")
        if is_of_dex and not self._offers_dexs:
            return "pairs of builder dexs are perpetuals, and need enable_hip3_markets=True"
        if is_of_dex:
            there = [pair for pair in self._rules if pair.startswith(f"{dex.upper()}:")]
            if there:
                return f"that dex has {', '.join(there[:10])}"
            return "a builder dex's pairs are loaded with trading_pairs=[...] or add_trading_pair(...)"
        asked = trading_pair.casefold()
        base = asked.partition("-")[0]
        same = [pair for pair in self._rules if _letters(pair) == _letters(trading_pair)]
        near = same or [pair for pair in self._rules if pair.casefold().partition("-")[0] == base]
        if near:
            return f"did you mean {' or '.join(near[:3])}? Pairs are case-sensitive, perpetuals are in USD"
        return "see trading_rules for the pairs"

    def _core_rule(self, trading_pair: str) -> CoreRule:
        return self.engine.trading_rules[self._coin(trading_pair)]

    def _before_connect(self) -> None:
        """What the engine has to know, and who has to hear it, before it connects. The instruments are loaded."""

    # -- market data ------------------------------------------------------------------------------------------------
    def _watch(self, trading_pair: str) -> None:
        coin = self._coin(trading_pair)
        self.engine.watch(coin, trades=True, context=self.is_perpetual)
        book = self._books[trading_pair] = LiveOrderBook(self.engine.book(coin))

        def on_trade(trade: Trade) -> None:
            kind = TradeType.BUY if trade.is_buy else TradeType.SELL
            book.apply_trade(
                OrderBookTradeEvent(trading_pair, trade.time_ms / 1000, kind, trade.price, trade.amount, str(trade.tid))
            )

        self.engine.on_trade(coin, on_trade)

    @property
    def order_books(self) -> Mapping[str, OrderBook]:
        return self._books

    async def add_trading_pair(self, trading_pair: str) -> bool:
        """Add all streams of a pair and wait for its book, at most 10 s. A pair that is not known may have been listed since
        the start: the venue's list is read again, once a minute at most.

        Raises `ConfigError` for a pair that the venue does not have.
        """
        await self._look_for(trading_pair)
        self._coin(trading_pair)
        if trading_pair not in self._trading_pairs:
            self._trading_pairs.append(trading_pair)
            self._watch(trading_pair)
        try:
            await self.engine.wait_ready(10)
        except NotReady as error:
            self.logger().warning(f"{trading_pair} has been added and has no fresh book yet: {error}")
            return False
        return True

    async def _look_for(self, trading_pair: str) -> None:
        markets = self.engine.markets
        if self._rules and trading_pair not in self._coins:
            await self._load_dexs([trading_pair])
            self._load_rules()
        if self._rules and trading_pair not in self._coins and markets.may_look():
            with contextlib.suppress(NotReady, UnknownOutcome):
                await markets.load()
                self._load_rules()

    async def remove_trading_pair(self, trading_pair: str) -> bool:
        if trading_pair not in self._trading_pairs:
            return False
        self.engine.unwatch(self._coin(trading_pair))
        self._trading_pairs.remove(trading_pair)
        del self._books[trading_pair]
        return True

    async def get_last_traded_prices(self, trading_pairs: list[str]) -> dict[str, float]:
        """The newest trade's price of each pair that has been seen, else its mid."""
        mids: dict[str, str] = {}
        prices: dict[str, float] = {}
        for pair in trading_pairs:
            book = self._books.get(pair)
            price = book.last_trade_price if book is not None else float("nan")
            if price != price:
                mids = mids or await self.engine.info.all_mids()
                price = float(mids.get(self._coin(pair), "nan"))
            prices[pair] = price
        return prices

    # -- symbols and rules ------------------------------------------------------------------------------------------
    async def all_trading_pairs(self) -> list[str]:
        return list(self._rules)

    async def trading_pair_symbol_map(self) -> _PairMap:
        return _PairMap(self._pairs)

    async def exchange_symbol_associated_to_pair(self, trading_pair: str) -> str:
        return self._coins[trading_pair]

    async def trading_pair_associated_to_exchange_symbol(self, symbol: str) -> str:
        return self._pairs[symbol]

    @property
    def trading_rules(self) -> dict[str, TradingRule]:
        return self._rules

    def quantize_order_price(self, trading_pair: str, price: Decimal) -> Decimal:
        """The nearest valid price; a valid one is left as it is. Orders round to the safe side instead."""
        return self._core_rule(trading_pair).quantize_price(price)

    def quantize_order_amount(self, trading_pair: str, amount: Decimal) -> Decimal:
        return self._core_rule(trading_pair).quantize_size(amount)

    def get_order_price_quantum(self, trading_pair: str, price: Decimal) -> Decimal:
        return self._core_rule(trading_pair).tick_at(price)

    def get_order_size_quantum(self, trading_pair: str, order_size: Decimal) -> Decimal:
        return Decimal(1).scaleb(-self._core_rule(trading_pair).sz_decimals)

    # -- account ----------------------------------------------------------------------------------------------------
    def get_balance(self, currency: str) -> Decimal:
        return self.get_all_balances().get(currency, s_decimal_0)

    def get_available_balance(self, currency: str) -> Decimal:
        return self.available_balances.get(currency, s_decimal_0)

    def get_all_balances(self) -> dict[str, Decimal]:
        return {coin: Decimal(row["total"]) for coin, row in self.engine.balances.items() if "total" in row}

    @property
    def available_balances(self) -> dict[str, Decimal]:
        return {
            coin: Decimal(row["total"]) - Decimal(row["hold"])
            for coin, row in self.engine.balances.items()
            if "total" in row
        }

    def _on_state(self, event: StreamEvent) -> None:
        """The account's perp or spot state, pushed by the venue: at once on a change, where the audit comes every 30 s."""
        self._states[event.name] = event.data[event.name]
        if len(self._states) == 2:
            self.engine.set_balances(self._states["clearinghouseState"], self._states["spotState"])

    def _on_balance(self, event: ev.BalanceUpdate) -> None:
        free = self.available_balances
        for asset, total in self.get_all_balances().items():
            self.trigger_event(
                AccountEvent.BalanceEvent, BalanceUpdateEvent(self.current_timestamp, asset, total, free[asset])
            )

    # -- fees -------------------------------------------------------------------------------------------------------
    async def _read_fees(self) -> None:
        """The account's own rates; until they are known, the venue's lowest tier."""
        try:
            rates = await self.engine.info.request("userFees", user=self.engine.account)
            self._fee_schema = self._schema_of(rates)
        except (NotReady, UnknownOutcome, asyncio.TimeoutError, KeyError, ArithmeticError) as error:
            self.logger().warning(f"The account's fee rates could not be read, the lowest tier is assumed: {error!r}")

    def _schema_of(self, rates: dict[str, Any]) -> TradeFeeSchema:
        return TradeFeeSchema(
            maker_percent_fee_decimal=Decimal(rates["userSpotAddRate"]),
            taker_percent_fee_decimal=Decimal(rates["userSpotCrossRate"]),
        )

    def trade_fee_schema(self) -> TradeFeeSchema:
        return self._fee_schema

    def estimate_fee_pct(self, is_maker: bool) -> Decimal:
        schema = self._fee_schema
        return schema.maker_percent_fee_decimal if is_maker else schema.taker_percent_fee_decimal

    def get_fee(
        self,
        base_currency: str,
        quote_currency: str,
        order_type: OrderType,
        order_side: TradeType,
        amount: Decimal,
        price: Decimal = s_decimal_NaN,
        is_maker: bool | None = None,
    ) -> TradeFeeBase:
        maker = order_type is OrderType.LIMIT_MAKER if is_maker is None else is_maker
        return TradeFeeBase.new_spot_fee(self._fee_schema, order_side, self.estimate_fee_pct(maker))


def _letters(trading_pair: str) -> str:
    return "".join(letter for letter in trading_pair.casefold() if letter.isalnum())
