"""A local Hyperliquid (layer 5, pure Python): `/info`, `/exchange` and `/ws` on real loopback sockets.

    async with hlfast.sim.SimExchange(port=0) as exchange:
        ...                                   # exchange.http_url, exchange.ws_url, exchange.network
    python -m hlfast.sim --port 8000          # on its own

It speaks the venue's envelopes and texts, verifies each signature from the parsed action, matches by price and time in
blocks, keeps exact money, and has background traders so that books move. The files, in the order in which data flows:

    server, listener, process, admin   sockets and blocks; the port; a process of its own; `/sim/*`
    requests, weights, faults          what comes in, what it may cost, what goes wrong with it on request
    shapes, readers                    what a request must look like; the same, from the venue's table of endpoints
    multi_sig                          who may act for a multi-sig user
    verify, signers, keys              who signed it (by its own statement of every action), nonces, agents, test keys
    exchange, actions, budget          state and blocks; what each action does; what an address may ask
    account_actions, vaults, refusals  transfers, sub-accounts, builders; vaults; how an action ends
    outcomes                           sides between 0 and 1, made and merged by sets
    staking                            HYPE to validators and back
    modes                              how an account's money in spot and in the dexs hangs together
    twaps                              orders in slices
    execution, checks, matching        an order's way; why it is refused; the books
    account, purse, margin, fees       balances; positions and cash, one purse a dex; liquidation; what a fill costs
    funding, funding_rate, marks       money by the hour; the prices that it and triggers go by       triggers   stops
    universe, markets, dexs            what is traded     traders, house, replay   who else trades: drawn, by hand, recorded
    candles                            of every interval, from the trades
    block, rows, info, feeds, streams  what a block did; wire rows; queries; what subscriptions say; who listens
    links, pace                        where answers go; what time it is
    state, snapshot, truth, explain    inputs that outlive a restart; the record; why a signature names nobody
    numbers, supported                 exact decimals; what of the venue is answered
"""

from hlfast.sim.exchange import Exchange
from hlfast.sim.faults import Fault, Faults
from hlfast.sim.keys import FUNDED_ACCOUNTS
from hlfast.sim.process import serve
from hlfast.sim.server import SimExchange
from hlfast.sim.weights import Caps

__all__ = ["FUNDED_ACCOUNTS", "Caps", "Exchange", "Fault", "Faults", "SimExchange", "serve"]
