"""Trading actions (layer 1 of the venue): an entry each, fields in the order in which they are hashed.

Protocol, sections 2.6.1, 2.6.2 and 3. An `asset` is a market's name or its id; prices and sizes are text or numbers. Orders
sent from here are placed as they stand: no rounding, no pre-trade checks, no tracking. `hl.buy` and `hl.place` do all that.
"""
# mypy: disable-error-code="empty-body"

from typing import Annotated, Any, TypedDict

from hlfast.types import Number
from hlfast.venues.hyperliquid.endpoints.kinds import (
    ADDRESS,
    ASSET,
    BOOL,
    CLOID,
    DEC,
    FLAG,
    INT,
    UINT,
    Choice,
    Either,
    List,
    Null,
    Struct,
    Uint,
)
from hlfast.venues.hyperliquid.endpoints.table import At, action

Answer = dict[str, Any]
"""The venue's `response`: `type` and, where there is any, `data`."""

MAX_ITEMS = 200
LIMIT = Struct(("tif", Choice("Gtc", "Ioc", "Alo", "FrontendMarket")))
TRIGGER = Struct(("isMarket", BOOL), ("triggerPx", DEC), ("tpsl", Choice("tp", "sl")))
ORDER = Struct(
    ("a", ASSET),
    ("b", BOOL),
    ("p", DEC),
    ("s", DEC),
    ("r", BOOL),
    ("t", Struct(("limit", LIMIT), ("trigger", TRIGGER), one_of=True)),
    ("c?", CLOID),
)
OID = Either(UINT, CLOID)
GROUPING = Either(Choice("na", "normalTpsl", "positionTpsl"), Struct(("p", Uint(0, 100_000_000))))
BUILDER = Struct(("b", ADDRESS), ("f", Uint(0, 1000)))
TWAP = Struct(("a", ASSET), ("b", BOOL), ("s", DEC), ("r", BOOL), ("m", Uint(1, 10_080)), ("t", BOOL))
TWAP_DETAILS = Struct(("t", Null(Struct(("p", DEC), ("a", BOOL)))), ("s", Null(DEC)))

AssetId = Annotated[str | int, ASSET]


class _OrderWire(TypedDict):
    a: str | int
    b: bool
    p: Number
    s: Number
    r: bool
    t: dict[str, Any]


class OrderWire(_OrderWire, total=False):
    """An order as the venue takes it: asset, is buy, price, size, reduce only, kind, cloid."""

    c: str


Orders = Annotated[list[OrderWire], List(ORDER, 1, MAX_ITEMS)]
Fast = Annotated[bool, FLAG, At("f")]
AlwaysPlace = Annotated[bool, FLAG, At("a")]


class TradingActions:
    _asset_of: Any = None

    async def _act(self, entry: Any, fields: dict[str, Any]) -> Any:
        raise NotImplementedError

    @action(vault=True, places=True, group="trading")
    async def order(
        self,
        orders: Orders,
        grouping: Annotated[str | dict[str, int], GROUPING] = "na",
        builder: Annotated[dict[str, Any], BUILDER] | None = None,
    ) -> Answer:
        """Orders as they stand. `grouping`: "na"; "normalTpsl" (a parent and its take-profit and stop-loss); "positionTpsl"
        (for the whole position); or `{"p": n}`, a priority fee of n / 1e8. `builder`: `{"b": address, "f": tenths of a bp}`.
        """

    @action(vault=True, group="trading")
    async def cancel(
        self,
        cancels: Annotated[list[dict[str, Any]], List(Struct(("a", ASSET), ("o", UINT)), 1, MAX_ITEMS)],
        fast: Fast | None = None,
    ) -> Answer:
        """By asset and oid. `fast` is refused for orders that wait for a trigger."""

    @action(vault=True, group="trading")
    async def cancel_by_cloid(
        self,
        cancels: Annotated[list[dict[str, Any]], List(Struct(("asset", ASSET), ("cloid", CLOID)), 1, MAX_ITEMS)],
        fast: Fast | None = None,
    ) -> Answer: ...

    @action(vault=True, places=True, group="trading")
    async def modify(
        self,
        oid: Annotated[int | str, OID],
        order: Annotated[OrderWire, ORDER],
        always_place: AlwaysPlace | None = None,
    ) -> Answer:
        """The new oid is not in the answer: `batch_modify` has it. `always_place` places even if the old order is gone."""

    @action(vault=True, places=True, group="trading")
    async def batch_modify(
        self,
        modifies: Annotated[list[dict[str, Any]], List(Struct(("oid", OID), ("order", ORDER)), 1, MAX_ITEMS)],
        always_place: AlwaysPlace | None = None,
    ) -> Answer: ...

    @action(vault=True, group="trading")
    async def schedule_cancel(self, time: Annotated[int, UINT] | None = None) -> Answer:
        """Arm the dead man's switch for `time` (ms, at least 5 s ahead), or clear it with None."""

    @action(vault=True, places=True, group="trading")
    async def twap_order(
        self,
        twap: Annotated[dict[str, Any], TWAP],
        details: Annotated[dict[str, Any], TWAP_DETAILS] | None = None,
    ) -> Answer:
        """`twap`: a (asset), b (is buy), s (size), r (reduce only), m (minutes), t (randomise). `details`: t (start trigger) and s (stop)."""

    @action(vault=True, group="trading")
    async def twap_cancel(
        self, asset: Annotated[str | int, ASSET, At("a")], twap_id: Annotated[int, UINT, At("t")]
    ) -> Answer: ...

    @action(vault=True, group="trading")
    async def noop(self) -> Answer:
        """Burn a nonce and nothing else."""

    @action(group="trading")
    async def reserve_request_weight(
        self, weight: Annotated[int, UINT], destination: Annotated[str, ADDRESS] | None = None
    ) -> Answer:
        """Buy requests beyond the account's budget, at 0.0005 USDC each."""

    # -- leverage and margin ----------------------------------------------------------------------------------------
    @action(vault=True, group="margin", order=("asset", "isCross", "leverage"))
    async def update_leverage(
        self,
        asset: AssetId,
        leverage: Annotated[int, Uint(1, 1000)],
        cross: Annotated[bool, BOOL, At("isCross")] = True,
    ) -> Answer:
        """Set the leverage of an instrument, 1 up to its maximum."""

    @action(vault=True, group="margin", order=("asset", "isBuy", "ntli"))
    async def update_isolated_margin(
        self, asset: AssetId, ntli: Annotated[int, INT], is_buy: Annotated[bool, BOOL] = True
    ) -> Answer:
        """`ntli` in 1e-6 USD; negative takes out. `is_buy` has no effect."""

    @action(vault=True, group="margin")
    async def top_up_isolated_only_margin(self, asset: AssetId, leverage: Annotated[Number, DEC]) -> Answer: ...
