"""The recorder's percentiles against sorted samples."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlfast.core import latency


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
