"""What a book's queries answer: floats from a book, Decimals from a connector."""

from collections import namedtuple

OrderBookQueryResult = namedtuple(
    "OrderBookQueryResult", ("query_price", "query_volume", "result_price", "result_volume")
)
ClientOrderBookQueryResult = namedtuple(
    "ClientOrderBookQueryResult", ("query_price", "query_volume", "result_price", "result_volume")
)
