"""The recorder's percentiles against sorted samples."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlfast import clock
from hlfast.core import latency
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.trading_rule import TradingRule
from hlfast.venues.hyperliquid.scan import Router


@pytest.fixture(autouse=True)
def clean():
    latency.reset()
    yield
    latency.reset()


def test_percentiles_are_within_a_bucket_of_the_sorted_samples():
    rng = random.Random(3)
    samples = [int(rng.lognormvariate(9, 2)) for _ in range(20_000)]
    for ns in samples:
        latency.record_stage("sign", ns)
    got, samples = latency.summary()["sign"], sorted(samples)
    assert got["count"] == 20_000 and got["max_ns"] == samples[-1]
    assert got["mean_ns"] == sum(samples) // len(samples)
    for key, fraction in (("p50_ns", 0.5), ("p90_ns", 0.9), ("p99_ns", 0.99), ("p999_ns", 0.999)):
        true = samples[int(fraction * len(samples))]
        assert true <= got[key] <= true * 17 // 16 + 1


@given(st.integers(-5, 2**62))
def test_any_value_is_recorded_and_none_is_out_of_bounds(ns):
    latency.reset()
    latency.record_stage("ack", ns)
    got = latency.summary()["ack"]
    assert (got["count"] == 1 and got["max_ns"] == max(ns, 0) == got["p50_ns"]) or ns > 2**46


def test_an_unknown_stage_is_refused():
    with pytest.raises(ValueError):
        latency.record_stage("nope", 1)


def test_the_report_is_a_table_json_and_prometheus_text():
    for ns in (100, 2_000, 3_000_000, 10**12):
        latency.record_stage("sign", ns)
    latency.record_stage("ack", 5)
    table = latency.text().splitlines()
    assert table[0].split() == ["stage", "count", "mean", "p50", "p90", "p99", "p99.9", "max"]
    assert [line.split()[0] for line in table[1:]] == ["sign", "ack"] and "1e+03 s" in table[1]
    told = json.loads(latency.as_json())
    assert told["stages"] == latency.summary() and told["worst"] == []
    lines = latency.prometheus().splitlines()
    buckets = [line for line in lines if 'bucket{stage="sign"' in line]
    counts = [int(line.rsplit(" ", 1)[1]) for line in buckets]
    assert counts == sorted(counts) and counts[-1] == 4 and counts[-2] == 3  # cumulative; the last is +Inf
    below = {
        float(line.split('le="')[1].split('"')[0]): count for line, count in zip(buckets[:-1], counts, strict=False)
    }
    assert below[128e-9] == 1 and below[2_048e-9] == 2 and below[min(b for b in below if b > 3.3e-3)] == 3
    assert 'hlfast_stage_seconds_count{stage="sign"} 4' in lines
    assert 'hlfast_stage_seconds_sum{stage="sign"} 1000.003002100' in lines


def test_the_hundred_slowest_events_are_kept_whole():
    """Given frames whose handlers take longer and longer, the hundred slowest are there, the slowest first."""
    book = {"channel": "l2Book", "data": {"coin": "BTC", "time": 0, "levels": [[{"px": "1", "sz": "1", "n": 1}], []]}}
    router = Router()
    pauses = list(range(300))
    random.Random(5).shuffle(pauses)
    taken = []

    def handler(view):
        until = clock.monotonic_ns() + 20_000 * pauses[len(taken)]
        while clock.monotonic_ns() < until:
            pass
        taken.append(clock.epoch_ns())

    rule = TradingRule("BTC", sz_decimals=5, asset=0)
    router.add_instrument(rule, OrderBook("BTC", 5), Bbo("BTC", 5))
    router.set_book_handlers("BTC", [handler])
    for n in range(300):
        book["data"]["time"] = n + 1
        router.feed(json.dumps(book, separators=(",", ":")).encode(), clock.epoch_ns())
    worst = latency.worst()
    assert len(taken) == 300 and len(worst) == 100
    assert [event["whole_ns"] for event in worst] == sorted((event["whole_ns"] for event in worst), reverse=True)
    assert worst[0]["kind"] == "frame" and worst[0]["book_callback"] >= 20_000 * 299
    assert worst[0]["whole_ns"] == worst[0]["frame_book"] + worst[0]["book_callback"]
    assert latency.worst(3) == worst[:3]
    latency.reset()
    assert latency.worst() == []
