"""ExchangeBase: a connector with order books, whose prices and volumes are answered as Decimals.

A subclass gives `order_books`. A book that is stale answers as an empty one does: NaN, and a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from hlfast.compat.hummingbot.connector.connector_base import ConnectorBase
from hlfast.compat.hummingbot.connector.constants import s_decimal_NaN
from hlfast.compat.hummingbot.core.data_type.common import OrderType, PriceType
from hlfast.compat.hummingbot.core.data_type.order_book import LiveOrderBook, OrderBook
from hlfast.compat.hummingbot.core.data_type.order_book_query_result import (
    ClientOrderBookQueryResult,
    OrderBookQueryResult,
)
from hlfast.compat.hummingbot.core.data_type.order_book_row import ClientOrderBookRow


class ExchangeBase(ConnectorBase):
    @property
    def order_books(self) -> Mapping[str, OrderBook]:
        raise NotImplementedError

    def get_order_book(self, trading_pair: str) -> OrderBook:
        book = self.order_books.get(trading_pair)
        if book is None:
            raise ValueError(f"No order book exists for '{trading_pair}'.")
        return book

    # -- prices -----------------------------------------------------------------------------------------------------
    def get_price(self, trading_pair: str, is_buy: bool) -> Decimal:
        """The best ask for a buy, the best bid for a sell, exactly; NaN with a warning without one, or if it is stale."""
        best = _best(self.get_order_book(trading_pair), is_buy)
        if best is None:
            self.logger().warning(f"{'Ask' if is_buy else 'Bid'} orderbook for {trading_pair} is empty.")
            return s_decimal_NaN
        return best

    def get_mid_price(self, trading_pair: str) -> Decimal:
        return (self.get_price(trading_pair, True) + self.get_price(trading_pair, False)) / 2

    def get_price_by_type(self, trading_pair: str, price_type: PriceType) -> Decimal:
        if price_type is PriceType.BestBid:
            return self.get_price(trading_pair, False)
        if price_type is PriceType.BestAsk:
            return self.get_price(trading_pair, True)
        if price_type is PriceType.MidPrice:
            return self.get_mid_price(trading_pair)
        if price_type is PriceType.LastTrade:
            return Decimal(str(self.get_order_book(trading_pair).last_trade_price))
        return s_decimal_NaN

    def order_book_bid_entries(self, trading_pair: str) -> Iterator[ClientOrderBookRow]:
        return (_row(row) for row in self.get_order_book(trading_pair).bid_entries())

    def order_book_ask_entries(self, trading_pair: str) -> Iterator[ClientOrderBookRow]:
        return (_row(row) for row in self.get_order_book(trading_pair).ask_entries())

    def get_vwap_for_volume(self, trading_pair: str, is_buy: bool, volume: Decimal) -> ClientOrderBookQueryResult:
        return _result(self.get_order_book(trading_pair).get_vwap_for_volume(is_buy, float(volume)))

    def get_price_for_volume(self, trading_pair: str, is_buy: bool, volume: Decimal) -> ClientOrderBookQueryResult:
        return _result(self.get_order_book(trading_pair).get_price_for_volume(is_buy, float(volume)))

    def get_price_for_quote_volume(
        self, trading_pair: str, is_buy: bool, volume: Decimal
    ) -> ClientOrderBookQueryResult:
        return _result(self.get_order_book(trading_pair).get_price_for_quote_volume(is_buy, float(volume)))

    def get_volume_for_price(self, trading_pair: str, is_buy: bool, price: Decimal) -> ClientOrderBookQueryResult:
        return _result(self.get_order_book(trading_pair).get_volume_for_price(is_buy, float(price)))

    def get_quote_volume_for_price(self, trading_pair: str, is_buy: bool, price: Decimal) -> ClientOrderBookQueryResult:
        return _result(self.get_order_book(trading_pair).get_quote_volume_for_price(is_buy, float(price)))

    def get_quote_volume_for_base_amount(
        self, trading_pair: str, is_buy: bool, base_amount: Decimal
    ) -> ClientOrderBookQueryResult:
        return _result(self.get_order_book(trading_pair).get_quote_volume_for_base_amount(is_buy, float(base_amount)))

    async def get_quote_price(self, trading_pair: str, is_buy: bool, amount: Decimal) -> Decimal:
        """The average price of taking `amount`; NaN where the book is too thin."""
        return Decimal(self.get_vwap_for_volume(trading_pair, is_buy, amount).result_price)

    async def get_order_price(self, trading_pair: str, is_buy: bool, amount: Decimal) -> Decimal:
        """The worst price that taking `amount` reaches."""
        return Decimal(self.get_price_for_volume(trading_pair, is_buy, amount).result_price)

    # -- orders -----------------------------------------------------------------------------------------------------
    def buy(
        self,
        trading_pair: str,
        amount: Decimal,
        order_type: OrderType = OrderType.LIMIT,
        price: Decimal = s_decimal_NaN,
        **kwargs: Any,
    ) -> str:
        raise NotImplementedError

    def sell(
        self,
        trading_pair: str,
        amount: Decimal,
        order_type: OrderType = OrderType.LIMIT,
        price: Decimal = s_decimal_NaN,
        **kwargs: Any,
    ) -> str:
        raise NotImplementedError

    def cancel(self, trading_pair: str, client_order_id: str) -> str:
        raise NotImplementedError

    def get_maker_order_type(self) -> OrderType:
        return OrderType.LIMIT

    def get_taker_order_type(self) -> OrderType:
        return OrderType.MARKET


def _best(book: OrderBook, is_buy: bool) -> Decimal | None:
    if isinstance(book, LiveOrderBook):
        if book.core.is_stale:
            return None
        return book.core.best_ask if is_buy else book.core.best_bid
    try:
        return Decimal(str(book.get_price(is_buy)))
    except OSError:
        return None


def _row(row: Any) -> ClientOrderBookRow:
    return ClientOrderBookRow(Decimal(repr(row.price)), Decimal(repr(row.amount)), row.update_id)


def _result(found: OrderBookQueryResult) -> ClientOrderBookQueryResult:
    return ClientOrderBookQueryResult(*(Decimal(repr(float(value))) for value in found))
