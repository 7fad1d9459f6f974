"""NodeFeed against a server whose truth is known, and which loses, doubles, reorders, spoils and cuts what it sends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from hlfast.core.trading_rule import TradingRule
from hlfast.errors import ConfigError, NotReady
from hlfast.net.backoff import Backoff
from hlfast.types import StreamState
from hlfast.venues.hyperliquid.node_feed import NodeFeed

from .frames import COIN
from .model import USERS, assert_equal
from .node import Node

RULE = TradingRule(COIN, sz_decimals=0)


async def until(condition: Callable[[], object], what: str = "", seconds: float = 15.0) -> None:
    for _ in range(int(seconds / 0.005)):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"did not come about within {seconds:g} s: {what or condition}")


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    node = Node(5)
    await node.start()
    yield node
    await node.stop()


@pytest.fixture
async def feed(node: Node) -> AsyncIterator[NodeFeed]:
    feed = NodeFeed(node.url, RULE, backoff=Backoff(0.01, 0.05), resync_backoff=Backoff(0.01, 0.05))
    yield feed
    await feed.stop()


async def in_step(feed: NodeFeed, node: Node) -> None:
    """The book is of the server's newest block, and equal to its truth."""
    await until(lambda: not feed.book.is_stale and feed.book.height == node.stream.height, f"{feed}")
    assert_equal(feed.book, node.stream.model)


async def test_it_follows_the_server_and_agrees_with_its_aggregated_book(node: Node, feed: NodeFeed) -> None:
    # Given a feed that is in step,
    heights: list[int] = []
    remove = feed.on_block(lambda book: heights.append(book.height))
    assert feed.state is StreamState.DOWN and feed.book.is_stale
    feed.start()
    await feed.wait_live()
    # when blocks come,
    for _ in range(60):
        await node.block()
    # then the book is the server's, every handler heard every block, and the aggregated book agreed each time.
    await in_step(feed, node)
    assert heights == list(range(heights[0], node.stream.height + 1))
    await until(lambda: feed.counters["l2_compared"] == 12)
    assert feed.counters["l2_different"] == 0 and feed.counters["fallbacks"] == 0
    assert node.asked[0] == {"method": "subscribe", "subscription": {"type": "l2Book", "coin": COIN, "nLevels": None}}
    # Own orders are found by what one knows of them.
    oid = next(oid for oid, order in node.stream.model.orders.items() if order["cloid"])
    order = node.stream.model.orders[oid]
    assert feed.book.position_of_cloid(order["cloid"], order["user"]).oid == oid
    own = {oid for oid, order in node.stream.model.orders.items() if order["user"] == USERS[3]}
    assert {place.oid for place in feed.book.positions_of_user(USERS[3])} == own
    remove()
    await node.block()
    await in_step(feed, node)
    assert heights[-1] == node.stream.height - 1


@pytest.mark.parametrize("fault", ["gap", "reorder", "wrong", "cut"])
async def test_after_each_fault_it_is_stale_and_comes_back_by_itself(node: Node, feed: NodeFeed, fault: str) -> None:
    """C1, C2: and nothing stale is ever called good meanwhile."""
    feed.start()
    await feed.wait_live()
    states: list[bool] = []
    feed.on_block(lambda book: states.append(book.is_stale))
    for _ in range(3):
        await node.block()
        await in_step(feed, node)
        snapshots = node.snapshots
        # When a fault hits,
        node.fault = fault
        await node.block()
        if fault == "cut":
            await until(lambda: feed.book.is_stale)
        else:
            await node.block()
            if fault == "reorder":
                await node.block()
        # then a new snapshot is taken, and the book is the truth again.
        await until(lambda before=snapshots: node.snapshots > before)
        await node.block()
        await in_step(feed, node)
        await feed.wait_live()
    assert node.hits[fault] == 3 and not any(states)
    assert feed.counters["connections"] == (4 if fault == "cut" else 1)


async def test_a_doubled_block_is_taken_once(node: Node, feed: NodeFeed) -> None:
    feed.start()
    await feed.wait_live()
    for _ in range(5):
        node.fault = "duplicate"
        await node.block()
    await in_step(feed, node)
    assert feed.counters["duplicates"] == 5 and node.snapshots == 1 and node.hits["duplicate"] == 5


async def test_whatever_mix_of_faults_it_ends_equal_to_the_truth(node: Node, feed: NodeFeed) -> None:
    # Given a server that spoils one block in ten, and checks on the book whenever it claims to be good,
    chance = random.Random(3)
    feed.start()
    await feed.wait_live()

    def honest(book: Any) -> None:
        if book.height == node.stream.height:
            assert [level[2] for level in book.raw_levels(5)[0]] == [
                n for _, _, n in node.stream.model.levels(True)[:5]
            ]

    feed.on_block(honest)
    for _ in range(400):
        if chance.random() < 0.1:
            node.fault = chance.choice(["gap", "duplicate", "reorder", "wrong", "cut"])
        await node.block(5)
        await asyncio.sleep(chance.choice((0, 0, 0.001, 0.005)))
    # when it has calmed down,
    for _ in range(3):
        await node.block()
        await asyncio.sleep(0.02)
    await until(lambda: feed.state is StreamState.LIVE)
    await node.block()
    # then the book is the server's, and each fault did hit.
    await in_step(feed, node)
    assert feed.counters["handler_errors"] == 0 and feed.book.self_check() == ""
    assert set(node.hits) == {"gap", "duplicate", "reorder", "wrong", "cut"}
    assert feed.counters["gaps"] > 0 and feed.counters["diverged"] > 0


async def test_a_server_that_is_not_ready_or_does_not_answer_is_asked_again(node: Node) -> None:
    """C3, C4."""
    node.is_ready = False
    feed = NodeFeed(node.url, RULE, snapshot_timeout=0.1, resync_backoff=Backoff(0.01, 0.02), l2_depth=0)
    feed.start()
    await until(lambda: feed.server_errors.get("Order book not ready for streaming (waiting for snapshot)", 0) > 2)
    with pytest.raises(NotReady, match="no order-by-order book of BTC"):
        await feed.wait_live(0.01)
    node.answers_subscriptions = False
    asked = len(node.asked)
    await until(lambda: len(node.asked) > asked + 3)
    node.is_ready = node.answers_subscriptions = True
    await feed.wait_live()
    assert all(request["subscription"]["type"] == "l4Book" for request in node.asked if "subscription" in request)
    await feed.stop()
    assert feed.book.is_stale and feed.state is StreamState.DOWN


async def test_a_silent_server_is_left_and_a_ping_that_it_does_not_know_does_no_harm(node: Node) -> None:
    """C2: the server's stream is never silent."""
    feed = NodeFeed(node.url, RULE, stall_timeout=0.3, backoff=Backoff(0.01, 0.02))
    feed.start()
    await feed.wait_live()
    await until(lambda: feed.session.connections > 1)
    assert "stalled" in " ".join(feed.session.closes)
    assert feed.server_errors.keys() == {"Error parsing JSON into valid websocket request"}
    await feed.stop()


async def test_a_server_that_goes_away_is_waited_for(node: Node, feed: NodeFeed) -> None:
    """C1: the server ends itself when its own book diverges."""
    feed.start()
    await feed.wait_live()
    await node.stop()
    await until(lambda: feed.book.is_stale and feed.session.state is not StreamState.LIVE)
    for _ in range(5):
        await node.block()
    await node.start()
    await feed.wait_live()
    await in_step(feed, node)


async def test_a_large_snapshot_is_taken(node: Node) -> None:
    """More than the 16 MB that other sockets accept in one message."""
    node.stream = type(node.stream)(9, live=50_000, width=500)
    feed = NodeFeed(node.url, RULE)
    feed.start()
    await feed.wait_live(60)
    await node.block()
    await until(lambda: feed.book.height == node.stream.height)
    assert len(feed.book) == len(node.stream.model.orders) > 49_000
    await feed.stop()


async def test_options_and_handlers_are_checked() -> None:
    with pytest.raises(ConfigError, match="l2_depth"):
        NodeFeed("ws://127.0.0.1:1/ws", RULE, l2_depth=101)
    with pytest.raises(ConfigError, match="not encrypted"):
        NodeFeed("ws://192.0.2.1:8000/ws", RULE)
    with pytest.raises(ConfigError, match="plain function"):
        NodeFeed("ws://127.0.0.1:1/ws", RULE).on_block(asyncio.sleep)
