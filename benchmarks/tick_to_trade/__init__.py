"""Tick to trade: a book leaves the exchange, and the signed order that answers it has arrived there.

    exchange       the far end, in a process of its own: ticks out, arrivals stamped, orders verified
    answers        what it says to queries and orders
    authority      a certificate authority of the run's own, for TLS that is verified
    clients        one trader for each way to trade, each in a process of its own
    harness        runs them in turn, and makes the rows

Every trader does the same: reads a tick (l2Book, as the venue sends it), takes the best bid as its price, and sends a
signed post-only order to buy there. The next tick follows after its answer and a pause. The exchange polls while it waits, so
that its own wake-up is in no figure.
"""
