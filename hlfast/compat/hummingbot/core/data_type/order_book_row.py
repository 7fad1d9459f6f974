"""Rows of a book: floats inside a book, Decimals for a connector's caller."""

from collections import namedtuple

OrderBookRow = namedtuple("OrderBookRow", ("price", "amount", "update_id"))
ClientOrderBookRow = namedtuple("ClientOrderBookRow", ("price", "amount", "update_id"))
