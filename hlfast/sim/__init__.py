"""A local Hyperliquid (layer 5, pure Python): `/info`, `/exchange` and `/ws` on real loopback sockets.

    async with hlfast.sim.SimExchange(port=0) as exchange:
        ...                                   # exchange.http_url, exchange.ws_url, exchange.network
    python -m hlfast.sim --port 8000          # on its own

It speaks the venue's envelopes and texts, verifies each signature from the parsed action, matches by price and time in
blocks, keeps exact money, and has background traders so that books move. The files, in the order in which data flows:

    shapes, verify, signers, keys    what a request must look like, who signed it, nonces, agents, test keys
    server                           sockets, blocks by the clock, `/sim/*`         streams   subscriptions and frames
    exchange, actions                state and blocks; what each action does        info      every query
    execution, matching, account     checks and fills; the book; money              markets   what is traded
    block, rows, truth, numbers      what a block did; wire rows; the record        traders   the background
"""

from hlfast.sim.exchange import Exchange
from hlfast.sim.keys import FUNDED_ACCOUNTS
from hlfast.sim.server import SimExchange, serve

__all__ = ["FUNDED_ACCOUNTS", "Exchange", "SimExchange", "serve"]
