"""The venue as one table (layer 1 of the venue, cold): every info request, exchange action and subscription, once.

    QUERIES["l2Book"].weight, ACTIONS["order"].struct.names, SUBSCRIPTIONS["bbo"].channel

An entry is a typed method (see `table`). To add one: write its method in the module of its group. The client has it at
once (`hl.info`, `hl.actions`, `hl.streams`), its fields are hashed in the order of its parameters, `hlfast coverage`
shows it, and the tests hold it against the protocol's reference and against the exchange's own reading of it.
"""

from hlfast.venues.hyperliquid.endpoints.actions_account import AccountActions
from hlfast.venues.hyperliquid.endpoints.actions_deploy import DeployActions
from hlfast.venues.hyperliquid.endpoints.actions_trading import TradingActions
from hlfast.venues.hyperliquid.endpoints.queries_account import AccountQueries
from hlfast.venues.hyperliquid.endpoints.queries_market import MarketQueries
from hlfast.venues.hyperliquid.endpoints.subscriptions import SUBSCRIPTIONS as SUBSCRIPTIONS
from hlfast.venues.hyperliquid.endpoints.table import Action, Query, entries_of

QUERIES: dict[str, Query] = entries_of(MarketQueries, AccountQueries)
ACTIONS: dict[str, Action] = entries_of(TradingActions, AccountActions, DeployActions)
