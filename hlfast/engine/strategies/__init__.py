"""Shipped strategies (layer 4), one a file. `hlfast demo` runs `market_maker`."""
