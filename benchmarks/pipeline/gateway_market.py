"""Market data through the gateway: 100 instruments at ten times the venue's rates, to a reader that keeps up.

Frames come over a socket from a process of their own, as for `universe`; books and trades leave with their derived values by
ZeroMQ to a reader in a third process, which parses each and checks every number. The delay is from the frame's receipt
to the reader having its message: publisher, ZeroMQ, the reader's wake-up. One message lost is an error, not a row.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from time import process_time_ns
from typing import Any

import hlfast
from benchmarks.measure import frozen, summarise
from benchmarks.registry import Effort, Measured, Mismatch, Role, at_most, pipeline
from benchmarks.scale.receiver import Receiver
from benchmarks.scale.sender import schedule
from benchmarks.scale.universe_of import instruments
from benchmarks.tick_to_trade.harness import Child

TIMES, INSTRUMENTS = 10.0, 100
SUBSCRIBED_SECONDS = 0.5


class Feed(Receiver):
    """The receiver's router as the connector that a publisher asks for handlers."""

    def watch(self, coin: str, **_: bool) -> None: ...

    def on(self, event_class: type, fn: Callable[[Any], object]) -> Callable[[], None]:
        return lambda: None

    def on_book(self, coin: str, fn: Callable[[Any], object]) -> Callable[[], None]:
        self._router.set_book_handlers(coin, (self._heard, fn))
        return lambda: None

    def on_trade(self, coin: str, fn: Callable[[Any], object]) -> Callable[[], None]:
        self._router.set_trade_handlers(coin, (self._heard, fn))
        return lambda: None


@pipeline(
    "gateway_market",
    f"{INSTRUMENTS} instruments at {TIMES:g} × the venue's rates, frame → reader in another process",
    at_most(1_000_000, "ns"),
    area="scale",
)
def gateway_market(effort: Effort) -> list[Measured]:
    if find_spec("zmq") is None:
        return []
    return hlfast.run(measure(10.0 if effort.ticks > 1_000 else 1.0), gc="leave")


async def measure(seconds: float) -> list[Measured]:
    from hlfast.core.trading_rule import TradingRule
    from hlfast.engine.gateway_market_data import MarketDataPublisher
    from hlfast.engine.gateway_settings import Feed as FeedSettings
    from hlfast.engine.gateway_sockets import Sockets, endpoints_of, load_zmq

    source, universe = instruments()
    markets = universe[:INSTRUMENTS]
    frames = len(schedule(markets, TIMES, seconds))
    rules = {market.coin: TradingRule(market.coin, sz_decimals=market.sz_decimals) for market in markets}
    with tempfile.TemporaryDirectory() as folder:
        sockets = Sockets(endpoints_of("ipc", Path(folder) / "s", {}, "127.0.0.1", 5556))
        noblock = load_zmq().NOBLOCK
        published = [0]

        def sender(name: str) -> Callable[[list[bytes]], None]:
            socket = sockets.sockets[name]

            def send(parts: list[bytes]) -> None:
                published[0] += 1
                socket.send_multipart(parts, noblock)

            return send

        try:
            ends = (sockets.endpoints["trades"], sockets.endpoints["books"])
            async with Feed(markets) as feed:
                with Child("benchmarks.pipeline.gateway_market", *ends) as reader:
                    reader.hear()
                    publisher = MarketDataPublisher(feed, sender("trades"), sender("books"))  # type: ignore[arg-type]
                    publisher.start((FeedSettings(tuple(rules)),), rules.__getitem__)
                    await asyncio.sleep(SUBSCRIBED_SECONDS)
                    with frozen():
                        feed.sender.say(f"universe {TIMES} {seconds} {INSTRUMENTS}")
                        await asyncio.sleep(0)
                        busy = process_time_ns()
                        await feed.take(frames)
                        busy = process_time_ns() - busy
                    await asyncio.sleep(SUBSCRIBED_SECONDS)
                    reader.say(str(published[0]))
                    told = json.loads(await asyncio.get_running_loop().run_in_executor(None, reader.hear))
        finally:
            sockets.detach()
            sockets.abandon()
    if told["gaps"] or len(told["delays"]) != published[0]:
        raise Mismatch(f"{published[0]} messages were published, {len(told['delays'])} arrived, {told['gaps']} gaps")
    who = f"hlfast, {len(markets)} perps ({source}), {frames / seconds:,.0f} frames/s, {published[0] / seconds:,.0f} messages/s"
    return [
        summarise(who, Role.HLFAST, told["delays"]),
        Measured("the gateway's time on its core, a frame", Role.STAGE, busy / frames, count=frames),
    ]


def read(trades: str, books: str) -> None:
    """The reader's process: parses all, checks the numbers of each topic, tells the delays once it is asked."""
    import zmq

    from hlfast import clock

    context = zmq.Context()
    socket = context.socket(zmq.SUB)
    socket.subscribe(b"")
    socket.connect(trades)
    socket.connect(books)
    print("ready", flush=True)
    poller = zmq.Poller()
    poller.register(socket, zmq.POLLIN)
    poller.register(sys.stdin, zmq.POLLIN)
    last: dict[bytes, int] = {}
    delays: list[int] = []
    gaps, wanted = 0, -1
    while len(delays) != wanted:
        ready = dict(poller.poll(5_000))
        if socket in ready:
            topic, payload = socket.recv_multipart()
            now = clock.epoch_ns()
            message = json.loads(payload)
            gaps += message["seq"] != last.get(topic, 0) + 1
            last[topic] = message["seq"]
            delays.append(now - message["receipt_timestamp_ns"])
        elif sys.stdin.fileno() in ready:
            wanted = int(sys.stdin.readline())
            poller.unregister(sys.stdin)
        elif wanted >= 0:
            break  # what has not come by now was lost
    print(json.dumps({"gaps": gaps, "delays": delays}), flush=True)


if __name__ == "__main__":
    read(sys.argv[1], sys.argv[2])
