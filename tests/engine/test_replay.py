"""What a replay promises: the same callbacks in every run and at every speed, paper orders by a stated rule, damage told."""

from __future__ import annotations

import asyncio
import gzip
import shutil
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from hlfast import clock
from hlfast.cli.app import cli
from hlfast.core import events as ev
from hlfast.core.frame_file import FrameFile
from hlfast.engine import Strategy, StrategyRunner
from hlfast.engine.callback_digest import CallbackDigest
from hlfast.errors import ConfigError, NotReady, OrderDenied
from hlfast.sim import SimExchange
from hlfast.types import OrderState
from hlfast.venues.hyperliquid.recorder import Recorder
from hlfast.venues.hyperliquid.replay import ReplayConnector

NS = 1_795_569_900_000_000_000
MS = 1_000_000
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "my_strategy.py"


def book(bid, ask, size="1", coin="BTC", ms=0):
    far = {"sz": "0.00001", "n": 1}  # without a session file, the decimals of sizes are counted
    levels = [
        [{"px": bid, "sz": size, "n": 1}, {"px": "1", **far}],
        [{"px": ask, "sz": size, "n": 1}, {"px": "9999", **far}],
    ]
    return orjson.dumps({"channel": "l2Book", "data": {"coin": coin, "time": NS // MS + ms, "levels": levels}})


def line(ms, frame):
    return b"%d %s\n" % (NS + ms * MS, frame)


def books(*steps, size="1.0"):
    """Lines of BTC books, (ms, bid, ask) each."""
    return b"".join(line(ms, book(bid, ask, size, ms=ms)) for ms, bid, ask in steps)


def frames_file(tmp_path, data, name="x_20261125T011500.000Z.gz"):
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Two seconds of BTC and ETH from a local exchange, in one file with its session."""
    folder = tmp_path_factory.mktemp("recording")

    async def make():
        async with SimExchange(port=0, seed=5) as exchange:
            recorder = Recorder(exchange.network, ["BTC", "ETH"], folder, trades=True)
            await recorder.start()
            for _ in range(600):
                await asyncio.sleep(0.05)
                if recorder.tap.frames > 120:
                    break
            await recorder.stop()

    asyncio.run(make())
    (path,) = folder.glob("*.gz")
    return path


@dataclass(kw_only=True, eq=False)
class Quoter(Strategy):
    """Joins the best bid, moves with it, and hears of it all; with a timer."""

    coins: tuple[str, ...] = ("BTC",)
    timer_interval: float = 0.1
    heard: list = field(default_factory=list)

    def on_bbo(self, bbo):
        if bbo.bid_px is None:
            return
        if not self.orders:
            self.buy("BTC", "0.01", bbo.bid_px, tif="Alo")
        for order in self.orders:
            if order.price != bbo.bid_px:
                self.cancel(order)

    def on_order(self, event):
        self.heard.append((type(event).__name__, str(event.order.price), event.recv_ns))

    def on_timer(self, now_ns):
        self.heard.append(("timer", now_ns))


def play(files, strategy=None, speed=0.0, **options):
    connector = ReplayConnector(files, **options)
    digest = CallbackDigest()

    async def main():
        async with connector:
            for coin in connector.recorded_coins:
                connector.watch(coin, trades=True)
            digest.attach(connector, connector.recorded_coins)
            if strategy is None:
                await connector.finished()
            else:
                async with StrategyRunner(connector, strategy):
                    await connector.finished()

    connector.run(main(), speed)
    return digest, connector


def trade(files, work, **options):
    """Run `await work(connector)` on a connector that watches BTC; returns its order events."""
    connector = ReplayConnector(files, **options)
    events = []

    async def main():
        async with connector:
            connector.watch("BTC")
            connector.on(ev.OrderEvent, events.append)
            await connector.wait_ready()
            await work(connector)
            await connector.finished()

    connector.run(main())
    return connector, [type(event).__name__ for event in events if not isinstance(event, ev.OrderStateChanged)]


# -- the same results each time -------------------------------------------------------------------------------------
def test_two_runs_and_recorded_time_tell_the_same_story(recording):
    stories = []
    for speed in (0.0, 0.0, 5.0, 1.0):
        strategy = Quoter()
        digest, connector = play([recording], strategy, speed)
        stories.append((digest.hexdigest(), digest.count, strategy.heard, connector.report()["cash"]))
    assert stories[0] == stories[1] == stories[2] == stories[3]
    assert stories[0][1]["book"] > 3 and stories[0][1]["bbo"] > 10 and stories[0][1]["OrderCreated"] >= 1
    assert any(kind == "timer" for kind, *_ in stories[0][2])


def test_another_story_has_another_digest(recording, tmp_path):
    changed = tmp_path / recording.name
    lines = gzip.decompress(recording.read_bytes()).split(b"\n")
    dropped = next(at for at, text in enumerate(lines) if b'"channel":"bbo"' in text)
    changed.write_bytes(gzip.compress(b"\n".join(lines[:dropped] + lines[dropped + 1 :])))
    shutil.copy(next(recording.parent.glob("*.session.json")), tmp_path)
    assert play([recording])[0].hexdigest() != play([changed])[0].hexdigest()


def test_the_clock_is_the_recordings_in_every_callback_and_real_again_afterwards(recording):
    connector = ReplayConnector([recording])
    seen = []

    async def main():
        async with connector:
            connector.watch("BTC")
            connector.on_book("BTC", lambda book: seen.append((book.recv_ns, clock.epoch_ns(), clock.wall_clock_ms())))
            await connector.finished()

    connector.run(main())
    assert seen and all(recv == now and recv // MS == wall for recv, now, wall in seen)
    assert clock.epoch_ns() > 0 and clock.epoch_ns() != seen[-1][1]


def test_replayed_books_equal_the_frames(recording):
    """The same scanners: the book at each callback is its frame."""
    wanted = [
        (frame["data"]["time"], frame["data"]["levels"][0][0]["px"])
        for _, raw in FrameFile(recording)
        if (frame := orjson.loads(raw))["channel"] == "l2Book" and frame["data"]["coin"] == "ETH"
    ]
    connector = ReplayConnector([recording])
    seen = []

    async def main():
        async with connector:
            connector.watch("ETH")
            connector.on_book("ETH", lambda book: seen.append((book.time_ms, book.best_bid)))
            await connector.finished()

    connector.run(main())
    assert [(time, Decimal(px)) for time, px in wanted] == seen and seen


def test_files_are_played_in_the_order_of_their_first_frames(tmp_path):
    first = frames_file(tmp_path, books((0, "100", "101"), (10, "102", "103")), "b.gz")
    second = frames_file(tmp_path, books((20, "104", "105")), "a.txt")
    digest, connector = play([second, first])
    assert digest.count == {"book": 3} and connector.report()["last_ns"] == NS + 20 * MS


def test_the_strategy_file_of_the_examples_runs_unchanged(recording):
    said = [
        CliRunner().invoke(cli, ["replay", str(recording), "--strategy", f"{EXAMPLE}:Bidder", "--json"])
        for _ in range(2)
    ]
    assert [result.exit_code for result in said] == [0, 0], said[0].output
    report = orjson.loads(said[0].stdout)
    assert said[0].stdout == said[1].stdout
    assert report["callbacks"]["OrderCreated"] >= 1 and report["files"][0]["clean"]


# -- paper orders ---------------------------------------------------------------------------------------------------
def test_a_taking_order_takes_what_is_displayed_within_its_limit_and_ioc_cancels_the_rest(tmp_path):
    path = frames_file(tmp_path, books((0, "100", "101"), (10, "100", "101")))
    held = {}

    async def work(hl):
        held["order"] = hl.buy("BTC", "1.5", "101", tif="Ioc")
        await held["order"].done()

    connector, told = trade([path], work)
    order = held["order"]
    assert (order.state, order.filled_amount, order.average_fill_price) == (OrderState.CANCELLED, 1, 101)
    assert told == ["OrderCreated", "OrderFilled", "OrderCancelled"]
    assert connector.ledger["cash"] == Decimal("-101") - Decimal("101") * Decimal("0.00045")


def test_a_resting_order_fills_at_its_price_when_the_touch_reaches_it(tmp_path):
    path = frames_file(tmp_path, books((0, "100", "102"), (10, "100", "102"), (20, "99", "101"), (30, "98", "100")))
    held = {}

    async def work(hl):
        held["order"] = hl.buy("BTC", "0.5", "101", tif="Alo")

    _, told = trade([path], work)
    order = held["order"]
    assert order.state is OrderState.FILLED and order.average_fill_price == 101
    assert order.fills[0].recv_ns == NS + 20 * MS and not order.fills[0].is_taker
    assert told == ["OrderCreated", "OrderFilled", "OrderCompleted"]


def test_one_frame_fills_no_more_than_it_displays(tmp_path):
    path = frames_file(tmp_path, books((0, "100", "102"), (10, "99", "101")))
    held = {}

    async def work(hl):
        held["orders"] = [hl.buy("BTC", "0.7", "101"), hl.buy("BTC", "0.7", "101")]

    trade([path], work)
    assert [order.filled_amount for order in held["orders"]] == [Decimal("0.7"), Decimal("0.3")]


def test_post_only_that_would_take_fails_and_a_cancel_ends(tmp_path):
    path = frames_file(tmp_path, books((0, "100", "101"), (10, "100", "101")))
    held = {}

    async def work(hl):
        held["refused"] = hl.buy("BTC", "1", "101", tif="Alo")
        held["rests"] = hl.buy("BTC", "1", "99")
        await held["rests"].accepted()
        assert hl.cancel(held["rests"])
        await held["rests"].done()

    trade([path], work)
    assert held["refused"].state is OrderState.FAILED and held["refused"].reason.startswith("paper")
    assert held["rests"].state is OrderState.CANCELLED


def test_a_modify_moves_a_resting_order(tmp_path):
    """G16."""
    path = frames_file(tmp_path, books((0, "100", "103"), (50, "100", "102")))
    held = {}

    async def work(hl):
        order = held["order"] = hl.buy("BTC", "1", "99")
        await order.accepted()
        assert hl.modify(order, price="102")

    _, told = trade([path], work)
    assert told == ["OrderCreated", "OrderModified", "OrderFilled", "OrderCompleted"]
    assert held["order"].average_fill_price == 102


def test_latency_passes_before_an_order_arrives(tmp_path):
    path = frames_file(tmp_path, books((0, "100", "101"), (10, "100", "110"), (40, "100", "110")))
    held = {}

    async def work(hl):
        held["order"] = hl.buy("BTC", "1", "101", tif="Ioc")

    trade([path], work, latency_ms=20)
    assert held["order"].state is OrderState.FAILED and held["order"].filled_amount == 0


def test_reduce_only_never_opens(tmp_path):
    path = frames_file(tmp_path, books((0, "100", "101"), (10, "100", "101")))
    held = {}

    async def work(hl):
        await hl.buy("BTC", "0.4", "101", tif="Ioc").done()
        held["order"] = hl.sell("BTC", "1", "100", tif="Gtc", reduce_only=True)
        await held["order"].done()

    connector, _ = trade([path], work)
    assert held["order"].filled_amount == Decimal("0.4") and held["order"].state is OrderState.CANCELLED
    assert connector.report()["positions"] == {}


def test_what_is_known_to_be_wrong_is_raised_and_nothing_is_tracked(tmp_path):
    """G20."""
    path = frames_file(tmp_path, books((0, "100", "101"), (10, "100", "101")))

    async def work(hl):
        with pytest.raises(OrderDenied):
            hl.buy("BTC", "0.0000001", "100")
        with pytest.raises(ConfigError):
            hl.buy("NOPE", "1", "100")
        with pytest.raises(ConfigError):
            hl.buy("BTC", "1", "100", tif="Never")
        assert hl.orders == []

    connector, told = trade([path], work)
    assert told == [] and connector.name.endswith("paper")


# -- damage ---------------------------------------------------------------------------------------------------------
GOOD = books((0, "100", "101"), (10, "100", "102"), (20, "100", "103"))


def played(path):
    digest, connector = play([path])
    (said,) = connector.report()["files"]
    return digest.count["book"], said


def test_a_clean_file_is_said_to_be_clean(tmp_path):
    count, said = played(frames_file(tmp_path, GOOD))
    assert count == 3 and said["clean"]


def test_a_cut_last_line_is_left_out_and_told(tmp_path):
    count, said = played(frames_file(tmp_path, GOOD[:-20]))
    assert count == 2 and said["cut_last_line"] and not said["clean"]


def test_a_last_line_that_lacks_its_newline_only_is_played(tmp_path):
    count, said = played(frames_file(tmp_path, GOOD[:-1]))
    assert count == 3 and said["clean"]


def test_a_gzip_tail_that_is_cut_or_corrupt_costs_the_tail_only(tmp_path):
    whole = books(*((n, "100", str(101 + n % 50)) for n in range(3000)))
    packed = gzip.compress(whole)
    cut = tmp_path / "cut.gz"
    cut.write_bytes(packed[: len(packed) // 2])
    count, said = played(cut)
    assert 500 < count < 3000 and "ends too early" in said["damage"]
    corrupt = tmp_path / "corrupt.gz"
    corrupt.write_bytes(packed[: len(packed) * 3 // 4] + b"\xff" * (len(packed) // 4))
    count, said = played(corrupt)
    assert 500 < count < 3000 and said["damage"]
    tail = tmp_path / "tail.gz"
    tail.write_bytes(packed + b"not gzip")
    count, said = played(tail)
    assert count == 3000 and "followed by something else" in said["damage"]


def test_a_file_cut_at_any_byte_never_raises(tmp_path):
    packed = gzip.compress(GOOD)
    path = tmp_path / "cut.gz"
    for at in range(len(packed)):
        path.write_bytes(packed[:at])
        file = FrameFile(path)
        assert len(list(file)) <= 3 and (at == 0 or not file.is_clean)


def test_empty_and_unreadable_lines_are_passed_over_and_counted(tmp_path):
    rows = GOOD.splitlines(keepends=True)
    data = rows[0] + b"\n" + b"no time here\n" + b"1795569900 {}\n" + rows[1] + b"   \n" + rows[2]
    count, said = played(frames_file(tmp_path, data))
    assert count == 3
    assert (said["empty_lines"], said["bad_lines"], said["first_bad_line"], said["lines"]) == (2, 2, 3, 7)


def test_a_frame_that_cannot_be_read_is_counted_and_the_rest_is_played(tmp_path):
    """G19."""
    data = (
        line(0, book("100", "101")) + line(5, b'{"channel":"l2Book","data":{"coin":"BTC"}}') + books((10, "100", "102"))
    )
    digest, connector = play([frames_file(tmp_path, data)])
    assert digest.count["book"] == 2 and connector.report()["unreadable_frames"] == 1


def test_lines_out_of_time_order_are_played_in_their_order_and_time_never_steps_back(tmp_path):
    data = books((20, "100", "101"), (5, "100", "102"), (30, "100", "103"))
    path = frames_file(tmp_path, data)
    times = [ns - NS for ns, _ in FrameFile(path)]
    assert times == [20 * MS, 20 * MS, 30 * MS]
    _, connector = play([path])
    (said,) = connector.report()["files"]
    assert (said["out_of_order"], said["first_out_of_order_line"], said["largest_step_back_ns"]) == (1, 2, 15 * MS)


def test_a_gap_makes_the_books_stale_until_their_next_frame(tmp_path):
    """C2."""
    other = line(30_000, book("10", "11", coin="ETH"))
    path = frames_file(tmp_path, books((0, "100", "101")) + line(1, book("10", "11", coin="ETH")) + other)
    connector = ReplayConnector([path])

    async def main():
        async with connector:
            connector.watch("BTC")
            connector.watch("ETH")
            await connector.finished()

    connector.run(main())
    assert connector.book("BTC").is_stale and not connector.book("ETH").is_stale and connector.gaps == 1


def test_nothing_to_play_and_books_that_never_come_are_plain_errors(tmp_path):
    with pytest.raises(ConfigError, match="no frame to replay"):
        ReplayConnector([frames_file(tmp_path, b"\n\n")])
    path = frames_file(
        tmp_path, books((0, "100", "101")) + line(1, b'{"channel":"trades","data":[{"coin":"ETH","sz":"1"}]}')
    )
    connector = ReplayConnector([path])

    async def main():
        async with connector:
            connector.watch("ETH")
            await connector.wait_ready()

    with pytest.raises(NotReady, match="recording is over"):
        connector.run(main())


def test_the_command_lists_the_damage(tmp_path):
    path = frames_file(tmp_path, GOOD[:-20] + b"")
    result = CliRunner().invoke(cli, ["replay", str(path)])
    assert result.exit_code == 0 and "the last line is cut" in result.output and "digest " in result.output
    assert CliRunner().invoke(cli, ["replay", str(path), "--speed", "0"]).exit_code == 2
    assert CliRunner().invoke(cli, ["replay", str(path), "--strategy", "nowhere.py:X"]).exit_code == 1
