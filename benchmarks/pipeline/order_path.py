"""Intent to signed bytes in the socket, one call at a time, in bursts with the answers read in between.

hlfast's rows end with the bytes in a real socket; a peer's end with its bytes ready, its socket is left out. The same
orders with the same cloid and nonce must give the same action and the same signature on every side before anything is
timed. Stages come from the connector's own recorder (bucket bounds, up to 6 % high).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson
from coincurve import PublicKey

import hlfast
from benchmarks.kernels.signing import KEY, intents
from benchmarks.measure import frozen, same, summarise, timed
from benchmarks.peers import async_hyperliquid, ccxt, is_installed, plain, sdk
from benchmarks.peers.floors import BARE_SIGN, bare_sign
from benchmarks.peers.plain import Intent
from benchmarks.pipeline.sink import OrderDesk
from benchmarks.registry import Effort, Measured, Role, at_most, pipeline, times_faster, times_floor
from hlfast import OrderParams, clock
from hlfast.config import SIMULATOR_TEST_KEY
from hlfast.core import latency
from hlfast.types import TradeType
from hlfast.venues.hyperliquid.sign import action_hash, agent_digest

BURST = 20
READY = "bytes ready (check + encode + sign)"
STAGES = ("check", "encode", "sign", "write", "total")
DIGEST = bytes(range(32))


def peers() -> dict[str, tuple[Callable[..., bytes], int]]:
    """Name → (request(intents[, nonce]), how many of hlfast's samples come to one of it)."""
    signer = plain.OrderSigner(KEY, plain.keccak())
    requests: dict[str, tuple[Callable[..., bytes], int]] = {
        "msgpack + keccak + coincurve + orjson": (
            lambda wanted, nonce=None: signer.request(wanted, clock.wall_clock_ms() if nonce is None else nonce),
            1,
        )
    }
    if sdk.is_installed():
        orders = sdk.Orders(SIMULATOR_TEST_KEY, [("BTC", 5)])
        requests[sdk.NAME] = (orders.request, 2)
        requests[sdk.DEFAULT_INSTALL] = (sdk.natively(orders.request), 40)
    if is_installed(async_hyperliquid.DISTRIBUTION):
        requests[async_hyperliquid.NAME] = (async_hyperliquid.Orders(SIMULATOR_TEST_KEY).request, 2)
    if is_installed(ccxt.DISTRIBUTION):
        requests[ccxt.NAME] = (ccxt.Orders(SIMULATOR_TEST_KEY).request, 4)
    return requests


def payload_of(body: bytes) -> dict[str, Any]:
    """Action, nonce and signature of a request over HTTP or over the WebSocket."""
    message: dict[str, Any] = orjson.loads(body)
    inner: dict[str, Any] = message["request"]["payload"] if "request" in message else message
    signature = inner["signature"]
    numbers = {"r": int(signature["r"], 16), "s": int(signature["s"], 16), "v": signature["v"]}
    # The SDK leaves leading zeros out; what is null may be left out too.
    return {"vaultAddress": None, "expiresAfter": None, **inner, "signature": numbers}


def with_signer(payload: dict[str, Any]) -> dict[str, Any]:
    """`payload` with the key that its signature recovers to in the place of the signature."""
    hashed = action_hash(payload["action"], payload["nonce"], payload["vaultAddress"], payload.get("expiresAfter"))
    signature = payload["signature"]
    raw = b"".join(signature[name].to_bytes(32, "big") for name in ("r", "s")) + bytes([signature["v"] - 27])
    key = PublicKey.from_signature_and_message(raw, agent_digest(hashed, True), hasher=None)
    return {**payload, "signature": key.format()}


async def compare(name: str, desk: OrderDesk, wanted: Sequence[Intent]) -> None:
    """What the far end has just read, against every peer's request for the same.

    Signatures with prepared nonces are compared by the key that they recover to.
    """
    alike = with_signer if desk.entry.signer.pool else lambda payload: payload
    read = payload_of(desk.received())
    named = [replace(one, cloid=row["c"]) for one, row in zip(wanted, read["action"]["orders"], strict=True)]
    for who, (request, _) in peers().items():
        same(name, who, [alike(payload_of(request(named, read["nonce"])))], "hlfast", [alike(read)])


def stages() -> list[Measured]:
    """The connector's own record since it was last reset."""
    told = latency.summary()
    rows = [
        Measured(
            stage,
            Role.STAGE,
            float(told[stage]["p50_ns"]),
            percentiles={
                "p50": float(told[stage]["p50_ns"]),
                "p90": float(told[stage]["p90_ns"]),
                "p99": float(told[stage]["p99_ns"]),
                "p99.9": float(told[stage]["p999_ns"]),
                "max": float(told[stage]["max_ns"]),
            },
            count=told[stage]["count"],
        )
        for stage in STAGES
    ]
    ready = sum(row.value for row in rows[:3])
    return [*rows, Measured(READY, Role.STAGE, ready, percentiles={"p50": ready}, count=rows[0].count)]


async def sampled(
    name: str,
    call_of: Callable[[OrderDesk, Sequence[Intent]], Callable[[], object]],
    batches: Sequence[Sequence[Intent]],
    samples: int,
    nonce_pool: int = 0,
) -> list[Measured]:
    """Compare some batches on all sides, then time `samples` of them, hlfast and the peers in turn.

    `call_of(desk, batch)` is the call that sends `batch`; making it is not timed.
    """
    others = peers()
    sign = bare_sign(KEY)
    ours: list[int] = []
    floor: list[int] = []
    theirs: dict[str, list[int]] = {who: [] for who in others}
    async with OrderDesk(nonce_pool) as desk:
        for batch in batches[:BURST]:  # warms everything up, and shows that all sides say the same
            call_of(desk, batch)()
            await desk.settle()
            await compare(name, desk, batch)
        with frozen():
            latency.reset()
            for start in range(0, samples, BURST):
                if desk.entry.signer.pool:
                    desk.entry.signer.pool.wait_full()
                burst = [batches[at % len(batches)] for at in range(start, start + BURST)]
                for call in [call_of(desk, batch) for batch in burst]:
                    took, _ = timed(call)
                    ours.append(took)
                await desk.settle()
                for who, (request, rarely) in others.items():
                    for at, batch in enumerate(burst, start):
                        if at % rarely == 0:
                            took, _ = timed(request, batch)
                            theirs[who].append(took)
                for _ in burst:
                    took, _ = timed(sign, DIGEST)
                    floor.append(took)
    return [
        summarise("hlfast", Role.HLFAST, ours),
        *stages(),
        *(summarise(who, Role.PEER, taken) for who, taken in theirs.items()),
        summarise(BARE_SIGN, Role.FLOOR, floor),
    ]


def submit(desk: OrderDesk, batch: Sequence[Intent]) -> Callable[[], object]:
    (one,) = batch
    return lambda: desk.entry.submit(one.coin, one.is_buy, one.sz, one.px, tif=one.tif)


@pipeline(
    "order_to_socket",
    "one order: call → bytes in the socket",
    at_most(40_000),
    times_floor(1.3, who=READY),
    times_faster(1),
)
def order_to_socket(effort: Effort) -> list[Measured]:
    batches = [[one] for one in intents(200)]
    return hlfast.run(sampled("order_to_socket", submit, batches, effort.orders))


@pipeline(
    "order_to_socket_prepared",
    "the same with prepared nonces: call → bytes in the socket",
    at_most(5_000, who=READY),
    times_faster(1),
)
def order_to_socket_prepared(effort: Effort) -> list[Measured]:
    batches = [[one] for one in intents(200)]
    return hlfast.run(sampled("order_to_socket_prepared", submit, batches, effort.orders, nonce_pool=256))


BATCH = 39
"""The most orders for one unit of request weight."""


def params(batch: Sequence[Intent]) -> list[OrderParams]:
    return [
        OrderParams(one.coin, one.sz, one.px, TradeType.BUY if one.is_buy else TradeType.SELL, one.tif) for one in batch
    ]


def place(desk: OrderDesk, batch: Sequence[Intent]) -> Callable[[], object]:
    orders = params(batch)
    return lambda: desk.entry.place(orders)


@pipeline("batch_of_39", "39 orders in one action: call → bytes in the socket", times_floor(1, BATCH * 400))
def batch_of_39(effort: Effort) -> list[Measured]:
    batches = [intents(BATCH, seed) for seed in range(BURST)]
    rows = hlfast.run(sampled("batch_of_39", place, batches, max(BURST, effort.orders // 10)))
    making = [timed(params, batch)[0] for batch in batches]
    return [*rows, summarise("making 39 OrderParams, before", Role.STAGE, making)]
