"""WebSocket subscriptions (layer 1 of the venue): an entry each. Protocol, section 5.4.

    SUBSCRIPTIONS["userFills"].subscription({"user": "0x.."})   # what is sent
    SUBSCRIPTIONS["userFills"].row                              # the shape of `data`, a class of answers

`channel`: the name on data frames. `key`: what tells two subscriptions of one channel apart in their data, as paths; ()
where nothing does. `scanner`: hot ones are read by `scan` straight from the frame, the others reach the router's
`cold_sink`. `snapshot`: the first message holds what there is already. `every`: the longest silence of a healthy one in
seconds, 0 where silence is natural.
"""

from dataclasses import dataclass
from typing import Any

from hlfast.venues.hyperliquid.endpoints import account_answers as account
from hlfast.venues.hyperliquid.endpoints import answers as market
from hlfast.venues.hyperliquid.endpoints import stream_answers as stream
from hlfast.venues.hyperliquid.endpoints.kinds import ADDRESS, BOOL, COIN, FLAG, Choice, Field, Struct, Text, Uint
from hlfast.venues.hyperliquid.endpoints.queries_market import INTERVALS

_COIN, _USER, _DEX = Field("coin", COIN), Field("user", ADDRESS), Field("dex?", Text(0, 32))


@dataclass(frozen=True)
class Subscription:
    name: str
    body: Struct
    row: Any
    channel: str = ""
    key: tuple[str, ...] = ()
    scanner: bool = False
    snapshot: bool = False
    every: float = 0.0
    doc: str = ""

    @property
    def channels(self) -> tuple[str, ...]:
        """Where its data may arrive: a spot coin's context has a channel of its own."""
        return (
            ("activeAssetCtx", "activeSpotAssetCtx") if self.name == "activeAssetCtx" else (self.channel or self.name,)
        )

    def subscription(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The object to subscribe with. Raises `ConfigError` for fields that are unknown, missing or unfit."""
        return {"type": self.name, **self.body.read(fields, self.name)}


_ALL = (
    Subscription(
        "allMids", Struct(_DEX), stream.AllMids, key=("dex",), every=10, doc="Wire coin → mid, all each time."
    ),
    Subscription(
        "l2Book",
        Struct(_COIN, ("nSigFigs?", Uint(2, 5)), ("mantissa?", Uint(1, 5)), ("fast?", FLAG)),
        market.L2Book,
        key=("coin",),
        scanner=True,
        every=10,
        doc="The whole book each time: 20 levels about every 5 s, 5 levels about every 0.5 s with `fast`.",
    ),
    Subscription(
        "bbo", Struct(_COIN), stream.Bbo, key=("coin",), scanner=True, doc="When the best bid or offer changes."
    ),
    Subscription(
        "trades",
        Struct(_COIN),
        list[market.RecentTrade],
        key=("0.coin",),
        scanner=True,
        snapshot=True,
        doc="Of each block.",
    ),
    Subscription(
        "candle",
        Struct(_COIN, ("interval", Choice(*INTERVALS))),
        market.Candle,
        key=("s", "i"),
        doc="The candle that forms.",
    ),
    Subscription(
        "activeAssetCtx",
        Struct(_COIN),
        stream.ActiveAssetCtx,
        key=("coin",),
        every=30,
        doc="Mark, oracle, funding of a coin.",
    ),
    Subscription(
        "assetCtxs", Struct(_DEX), stream.AssetCtxs, key=("dex",), every=30, doc="Contexts of a dex, by position."
    ),
    Subscription("spotAssetCtxs", Struct(), list[market.SpotAssetCtx], every=30, doc="Contexts of all spot pairs."),
    Subscription(
        "allDexsAssetCtxs", Struct(), stream.AllDexsAssetCtxs, every=30, doc="Contexts of all dexs, by position."
    ),
    Subscription(
        "fastAssetCtxs",
        Struct(),
        stream.FastAssetCtxs,
        snapshot=True,
        doc="Contexts of all coins, then what changes: base64 of raw DEFLATE on the wire, decoded here.",
    ),
    Subscription("outcomeMetaUpdates", Struct(), stream.OutcomeMetaUpdates, doc="Outcomes made and settled."),
    Subscription("notification", Struct(_USER), stream.Notification, doc="Text for the web page."),
    Subscription(
        "orderUpdates", Struct(_USER), list[stream.OrderUpdateRow], scanner=True, doc="Rows of a block; names no user."
    ),
    Subscription(
        "userEvents", Struct(_USER), stream.UserEvents, channel="user", doc="One of several events; names no user."
    ),
    Subscription(
        "userFills",
        Struct(_USER, ("aggregateByTime?", BOOL)),
        stream.UserFills,
        key=("user",),
        scanner=True,
        snapshot=True,
        doc="Fills, oldest first.",
    ),
    Subscription(
        "userFundings", Struct(_USER), stream.UserFundings, key=("user",), snapshot=True, doc="Hourly payments."
    ),
    Subscription(
        "userNonFundingLedgerUpdates",
        Struct(_USER),
        stream.LedgerUpdates,
        key=("user",),
        snapshot=True,
        doc="Deposits, transfers and the like.",
    ),
    Subscription(
        "userHistoricalOrders",
        Struct(_USER),
        stream.HistoricalOrders,
        key=("user",),
        snapshot=True,
        doc="Order rows in full.",
    ),
    Subscription(
        "userTwapSliceFills", Struct(_USER), stream.TwapSliceFills, key=("user",), snapshot=True, doc="Fills of TWAPs."
    ),
    Subscription(
        "userTwapHistory", Struct(_USER), stream.TwapHistory, key=("user",), snapshot=True, doc="States of TWAPs."
    ),
    Subscription(
        "activeAssetData",
        Struct(_USER, _COIN),
        account.ActiveAssetData,
        key=("user", "coin"),
        doc="Room to trade in a perp.",
    ),
    Subscription(
        "clearinghouseState",
        Struct(_USER, _DEX),
        stream.ClearinghouseStates,
        key=("user", "dex"),
        every=30,
        doc="Whole state.",
    ),
    Subscription(
        "allDexsClearinghouseState",
        Struct(_USER),
        stream.AllDexsClearinghouseStates,
        key=("user",),
        every=30,
        doc="Of all dexs.",
    ),
    Subscription(
        "openOrders", Struct(_USER, _DEX), stream.OpenOrders, key=("user", "dex"), doc="The whole list each time."
    ),
    Subscription(
        "spotState", Struct(_USER, ("ignorePortfolioMargin?", BOOL)), stream.SpotStates, key=("user",), doc="Balances."
    ),
    Subscription("twapStates", Struct(_USER, _DEX), stream.TwapStates, key=("user", "dex"), doc="Running TWAPs."),
    Subscription("webData2", Struct(_USER), account.WebData2, key=("user",), doc="The web page's bundle, older form."),
    Subscription("webData3", Struct(_USER), stream.WebData3, key=("userState.user",), doc="The web page's bundle."),
)

SUBSCRIPTIONS: dict[str, Subscription] = {each.name: each for each in _ALL}
