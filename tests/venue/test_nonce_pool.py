"""Prepared nonces: every signature is right, no nonce is used twice, and whatever the pool cannot do RFC 6979 does.

Signatures are verified by coincurve's Python API. The edges are injected in a debug build, which also shows the memory.
"""

from __future__ import annotations

import copy
import ctypes
import gc
import logging
import os
import pickle
import random
import resource
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from coincurve import PrivateKey, PublicKey

import hlfast
from hlfast import Signer, clock
from hlfast.errors import ConfigError
from hlfast.venues.hyperliquid import nonce_pool, sign

KEY = "c0ffee" + "5a" * 29
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
ORDER = {
    "type": "order",
    "orders": [{"a": 1, "b": True, "p": "100", "s": "100", "r": False, "t": {"limit": {"tif": "Gtc"}}}],
    "grouping": "na",
}
DEBUG = hlfast.build_info()["debug"]
debug_build = pytest.mark.skipif(not DEBUG, reason="edges are injected in a build with HLFAST_DEBUG=1")

Signature = dict[str, Any]


@pytest.fixture(autouse=True)
def has_pools(request: pytest.FixtureRequest) -> None:
    if not Path("/proc/self/task").is_dir():
        pytest.skip("prepared nonces need a system that wipes memory in a forked child (Linux)")


@pytest.fixture
def make() -> Iterator[Callable[..., Signer]]:
    """`make(size)`: a signer whose pool is full; closed with the test."""
    made: list[Signer] = []

    def signer(size: int, key: str = KEY) -> Signer:
        one = Signer(key, nonce_pool=size)
        made.append(one)
        assert one.pool is not None and one.pool.wait_full(30), one.pool
        return one

    yield signer
    for one in made:
        one.close()


def digest_of(nonce: int, action: Any = ORDER) -> bytes:
    return sign.agent_digest(sign.action_hash(action, nonce), True)


def raw(signature: Signature) -> bytes:
    return (
        int(signature["r"], 16).to_bytes(32, "big")
        + int(signature["s"], 16).to_bytes(32, "big")
        + bytes([signature["v"] - 27])
    )


def assert_good(signature: Signature, nonce: int, key: str = KEY) -> None:
    """It is low, and recovers to the key's own public key."""
    assert 0 < int(signature["s"], 16) <= N // 2
    assert_recovers(raw(signature), digest_of(nonce), key)


def assert_recovers(signature65: bytes, digest: bytes, key: str = KEY) -> None:
    found = PublicKey.from_signature_and_message(signature65, digest, hasher=None)
    assert found == PrivateKey(bytes.fromhex(key)).public_key


def by_rfc6979(nonce: int, key: str = KEY) -> bytes:
    return PrivateKey(bytes.fromhex(key)).sign_recoverable(digest_of(nonce), hasher=None)


def until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    ends = threading.Event()
    for _ in range(int(seconds / 0.005)):
        if condition():
            return True
        ends.wait(0.005)
    return condition()


def pool_threads() -> int:
    """How many there are, when those of forgotten signers have gone."""
    gc.collect()
    found = 0
    for task in Path("/proc/self/task").iterdir():
        try:
            found += (task / "comm").read_text().strip() == "hlfast-nonces"
        except OSError:  # it has just ended
            continue
    return found


def counted(pool: nonce_pool.NoncePool) -> int:
    return pool.used + sum(pool.fallbacks.values())


# -- every signature ----------------------------------------------------------------------------------------------------
def test_every_signature_recovers_is_low_and_is_verified_in_the_background(make):
    """L81; architecture 9."""
    # Given a full pool, when it signs as often as it has nonces,
    signer = make(512)
    made = [signer.sign_l1_action(ORDER, nonce) for nonce in range(512)]
    # then each signature is the key's, low, made with a prepared nonce, and has been verified soon after.
    for nonce, signature in enumerate(made):
        assert_good(signature, nonce)
    pool = signer.pool
    assert pool.used == 512 and sum(pool.fallbacks.values()) == 0
    assert until(lambda: pool.verified == 512 and pool.left == 512)
    assert (pool.mismatches, pool.error, pool.state) == (0, None, "on")
    # And none of them is what RFC 6979 gives.
    assert not any(raw(signature) == by_rfc6979(nonce) for nonce, signature in enumerate(made))


def sign_many(signer: Signer, start: int, count: int, out: list[Signature]) -> None:
    """As fast as the pool has them, in portions of a few hundred."""
    for nonce in range(start, start + count):
        if nonce % 250 == 0:
            until(lambda: signer.pool.left > 1200)
        out.append(signer.sign_l1_action(ORDER, nonce))


def chi_squared(values: list[int], bins: int) -> float:
    expected = len(values) / bins
    counts = [0] * bins
    for value in values:
        counts[value] += 1
    return sum((n - expected) ** 2 / expected for n in counts)


@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_no_nonce_is_used_twice_over_threads_and_forks(make, count):
    """Architecture 9: parent and children, four threads each time. And r is spread as chance would have it."""
    signer = make(4096)
    made: list[list[Signature]] = [[] for _ in range(4)]
    theirs: list[int] = []
    portion = count // 16
    for turn in range(4):
        start = turn * 4 * portion
        threads = [
            threading.Thread(target=sign_many, args=(signer, start + i * portion, portion, out))
            for i, out in enumerate(made)
        ]
        for thread in threads:
            thread.start()
        # A child is forked in the midst of it, and signs other actions.
        theirs += in_child(lambda: [signer.sign_l1_action(ORDER, 10**12 + start + i)["r"] for i in range(50)])  # noqa: B023
        for thread in threads:
            thread.join()
    ours = [signature for out in made for signature in out]
    assert len(ours) == 16 * portion
    numbers = [int(signature["r"], 16) for signature in ours]
    assert len({*numbers, *(int(r, 16) for r in theirs)}) == len(ours) + len(theirs)
    for at in random.Random(3).sample(range(len(ours)), min(2_000, count)):
        thread, (turn, n) = at // (4 * portion), divmod(at % (4 * portion), portion)
        assert_good(ours[at], (turn * 4 + thread) * portion + n)
    pool = signer.pool
    assert pool.used > 0.9 * len(ours), pool.fallbacks
    assert counted(pool) == len(ours)
    assert until(lambda: pool.verified == pool.used, 120)
    assert pool.mismatches == 0
    # 255 degrees of freedom: one time in 2 * 10^9 it is above 420, and this looks at two.
    assert chi_squared([n >> 248 for n in numbers], 256) < 420
    assert chi_squared([n & 255 for n in numbers], 256) < 420


def in_child(work: Callable[[], list[str]], fork: Callable[[], int] = os.fork) -> list[str]:
    """What `work` gives in a forked child."""
    reading, writing = os.pipe()
    child = fork()
    if child == 0:
        try:
            said = "\n".join(work())
        except BaseException:
            said = "raised\n" + traceback.format_exc()
        os.write(writing, said.encode() or b"\n")
        os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as file:
        lines = file.read().split("\n")
    _, status = os.waitpid(child, 0)
    assert status == 0 and lines[0] != "raised", lines
    return lines


@pytest.mark.parametrize("how", ["os.fork", "the C library's fork, which tells Python nothing"])
def test_a_fork_takes_no_nonce_with_it(make, how):
    # Given a full pool,
    signer = make(64)
    pool = signer.pool

    def work() -> list[str]:
        made = [signer.sign_l1_action(ORDER, 100 + i) for i in range(20)]
        same = [raw(one) == by_rfc6979(100 + i) for i, one in enumerate(made)]
        zero = [not any(nonce_pool._debug_memory(pool)[0][256:])] if DEBUG else [True]
        again = in_child(lambda: [pool.state])
        pool.start()
        said = [str(pool.state), *again, str(pool.left), str(pool.used), str(pool.fallbacks["forked"])]
        signer.close()  # waits for no thread
        return [*said, str(all(same)), str(all(zero))]

    # when the process forks, then the child has none of them, whatever told it of the fork, and neither have its own
    # children: it signs by RFC 6979.
    libc = ctypes.PyDLL(None)
    said = in_child(work, os.fork if how == "os.fork" else lambda: int(libc.fork()))
    off = "off: this process was forked from the signer's"
    assert said == [off, off, "0", "0", "20", "True", "True"]
    # And the parent goes on as before.
    assert_good(signer.sign_l1_action(ORDER, 7), 7)
    assert (pool.used, pool.state) == (1, "on")


def test_a_child_makes_a_pool_of_its_own(make):
    signer = make(16)

    def work() -> list[str]:
        own = Signer(KEY, nonce_pool=16)
        own.pool.wait_full(30)
        made = [own.sign_l1_action(ORDER, i)["r"] for i in range(10)]
        return [*made, str(own.pool.used), str(signer.pool.used)]

    said = in_child(work)
    assert said[-2:] == ["10", "0"]
    ours = {signer.sign_l1_action(ORDER, i)["r"] for i in range(10)}
    assert not ours & set(said)


def memory_wiped_on_fork() -> tuple[int, list[set[str]]]:
    """kB of this process that a fork wipes (wf), and the flags of each such mapping: proc(5), smaps and VmFlags."""
    size, sizes, flags = 0, 0, []
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, *values = line.split()
        if name == "Size:":
            size = int(values[0])
        elif name == "VmFlags:" and "wf" in values:
            sizes += size
            flags.append(set(values))
    return sizes, flags


def test_the_memory_is_wiped_on_fork_left_out_of_dumps_and_locked(make):
    """dd: not in core dumps; lo: locked, where the limit allows it."""
    gc.collect()
    before, _ = memory_wiped_on_fork()
    signer = make(1024)
    size, mappings = memory_wiped_on_fork()
    assert size >= before + 1024 * SLOT // 1024
    assert all("dd" in flags and "sh" not in flags for flags in mappings)
    sanitized = hlfast.build_info()["sanitize"]  # AddressSanitizer ignores mlock
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] >= 1 << 20 and not sanitized:
        assert all("lo" in flags for flags in mappings)
    signer.close()
    assert memory_wiped_on_fork()[0] == before


# -- what the pool cannot do --------------------------------------------------------------------------------------------
def test_an_exhausted_pool_falls_back_to_rfc_6979(make):
    signer = make(1)
    made = [signer.sign_l1_action(ORDER, nonce) for nonce in range(2_000)]
    pool = signer.pool
    assert pool.fallbacks["empty"] > 0 and pool.used > 0
    assert counted(pool) == 2_000
    by_rfc = sum(raw(signature) == by_rfc6979(nonce) for nonce, signature in enumerate(made))
    assert by_rfc == pool.fallbacks["empty"]
    for nonce, signature in enumerate(made):
        assert_good(signature, nonce)


def test_a_step_of_the_clocks_empties_the_pool(make):
    # Given a full pool, when the wall clock steps against the monotonic one (here: both are frozen at one time),
    signer = make(256)
    pool = signer.pool
    before = set(triples(pool)) if DEBUG else set()
    try:
        clock.set_virtual(1_700_000_000 * 10**9)
        made = [signer.sign_l1_action(ORDER, nonce) for nonce in range(300)]
        # then what was prepared before is discarded,
        assert until(lambda: pool.emptied >= 1 and pool.discarded >= 256)
        assert not before & {raw(signature)[:32] for signature in made}
        for nonce, signature in enumerate(made):
            assert_good(signature, nonce)
        # and the pool is filled anew.
        assert pool.wait_full(30)
        assert_good(signer.sign_l1_action(ORDER, 999), 999)
    finally:
        clock.set_virtual(None)
    assert counted(pool) == 301
    assert until(lambda: pool.emptied >= 2)


def test_a_stopped_pool_signs_by_rfc_6979_until_it_is_started(make):
    signer = make(32)
    pool, before = signer.pool, pool_threads()
    assert signer.sign_l1_action(ORDER, 1)
    pool.stop()
    pool.stop()
    assert (pool.state, pool.left, pool.verified, pool_threads()) == ("off: stopped", 0, 1, before - 1)
    assert raw(signer.sign_l1_action(ORDER, 2)) == by_rfc6979(2)
    assert pool.fallbacks["stopped"] == 1
    pool.start()
    pool.start()
    assert pool.wait_full(30) and pool_threads() == before
    assert_good(signer.sign_l1_action(ORDER, 3), 3)
    assert (pool.used, pool.state) == (2, "on")


def test_user_signed_actions_are_signed_by_rfc_6979(make):
    """They are never urgent, and move funds."""
    transfer = {"type": "usdSend", "destination": "0x" + "12" * 20, "amount": "1", "time": 1_700_000_000_000}
    signer = make(8)
    assert signer.sign_user_action(transfer) == Signer(KEY).sign_user_action(transfer)
    assert counted(signer.pool) == 0


@pytest.mark.parametrize("size", [-1, True, 1.5, "8", None, nonce_pool.MAX_SIZE + 1])
def test_what_is_no_size_is_refused(size):
    with pytest.raises(ConfigError, match="nonce_pool is how many"):
        Signer(KEY, nonce_pool=size)


def test_without_a_pool_nothing_is_prepared():
    before = pool_threads()
    signer = Signer(KEY)
    assert signer.pool is None and pool_threads() == before
    assert raw(signer.sign_l1_action(ORDER, 5)) == by_rfc6979(5)


# -- life ---------------------------------------------------------------------------------------------------------------
def mappings() -> int:
    return len(Path("/proc/self/maps").read_text().splitlines())


def test_a_signer_that_refers_to_itself_is_collected_with_its_pool():
    before = pool_threads()
    signer = Signer(KEY, nonce_pool=16)
    signer.pool.on_disabled = lambda text, signer=signer: print(signer, text)
    assert signer.pool.wait_full(30) and pool_threads() == before + 1
    del signer
    gc.collect()
    assert pool_threads() == before


def test_nothing_is_left_behind_by_closed_and_by_forgotten_signers():
    def once(close: bool) -> None:
        signer = Signer(KEY, nonce_pool=64)
        assert signer.sign_l1_action(ORDER, 1)
        if close:
            signer.close()
            signer.close()
            assert signer.pool.state == "off: stopped" and signer.pool.left == 0
            signer.pool.start()

    for close in (True, False):
        once(close)
    gc.collect()
    threads, descriptors, mapped = pool_threads(), len(os.listdir("/proc/self/fd")), mappings()
    for turn in range(60):
        once(turn % 2 == 0)
    gc.collect()
    assert pool_threads() == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert mappings() <= mapped + 10


def test_threads_that_sign_while_it_is_closed_get_a_signature_or_the_reason(make):
    for turn in range(20):
        signer = make(64)
        outcomes: list[object] = []

        def work(signer: Signer = signer, outcomes: list[object] = outcomes) -> None:
            for nonce in range(100_000):
                try:
                    made = signer.sign_l1_action(ORDER, nonce)
                except ConfigError as error:
                    outcomes.append(str(error))
                    return
                if nonce % 500 == 0:
                    assert_good(made, nonce)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        until(lambda: signer.pool.used > 3 * turn)  # noqa: B023
        signer.close()
        for thread in threads:
            thread.join()
        assert outcomes == ["this signer is closed; make a new one"] * 3


def test_a_process_that_ends_with_a_pool_ends_well(tmp_path):
    """The thread is stopped before libsecp256k1's context goes."""
    import subprocess
    import sys

    code = (
        "import sys, hlfast\n"
        "s = hlfast.Signer('11' * 32, nonce_pool=4096)\n"
        "sys.keep = s\n"
        "s.sign_l1_action({'type': 'noop'}, 1)\n"
    )
    where = {**os.environ, "PYTHONPATH": str(Path(hlfast.__file__).parents[1])}
    for _ in range(5):
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=where)
        assert (ran.returncode, ran.stderr) == (0, "")


# -- secrets ------------------------------------------------------------------------------------------------------------
def test_neither_key_nor_nonce_is_shown_pickled_or_copied(make):
    """Behaviour 53; L122."""
    signer = make(8)
    pool = signer.pool
    secrets = [KEY, KEY[6:30]]
    if DEBUG:
        secrets += [inverse.hex() for inverse in triples(pool).values()]
    texts = [repr(signer), repr(pool), str(pool), str(dir(pool)), str(pool.fallbacks), pool.state]
    for holder in (signer, pool):
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="never pickled or copied") as caught:
                attempt(holder)
            texts.append("".join(traceback.format_exception(caught.value)))
    with pytest.raises(ConfigError, match="made by its signer") as refused:
        nonce_pool.NoncePool()
    texts.append("".join(traceback.format_exception(refused.value)))
    empty = nonce_pool.NoncePool.__new__(nonce_pool.NoncePool)
    empty.start()
    assert (empty.state, empty.size, empty.left) == ("off: stopped", 0, 0)
    signer.close()
    with pytest.raises(ConfigError, match="closed") as closed:
        signer.sign_l1_action(ORDER, 1)
    texts += ["".join(traceback.format_exception(closed.value)), repr(pool)]
    assert not any(secret in text.lower() for text in texts for secret in secrets)
    assert not hasattr(pool, "__dict__")


@pytest.mark.skipif(DEBUG, reason="the hooks are there in a debug build")
def test_a_release_build_has_no_hooks():
    assert not [name for module in (nonce_pool, sign) for name in vars(module) if name.startswith("_debug")]


# -- in a debug build: the memory, and each edge ------------------------------------------------------------------------
SLOT = 192
"""era 8, state 4, recovery id 4, 1/k 32, r 32, then digest and signature."""


def triples(pool: nonce_pool.NoncePool) -> dict[bytes, bytes]:
    """r → 1/k of what is prepared, read from the memory of a pool that is full and at rest."""
    memory = nonce_pool._debug_memory(pool)[0]
    head = (len(memory) - pool.size * SLOT) // 64 * 64
    found = {}
    for start in range(0, head + 64, 64):  # where the slots begin depends on the page size
        rows = [memory[at : at + SLOT] for at in range(start, start + pool.size * SLOT, SLOT)]
        if all(row[8] == 1 and row[12] < 2 and any(row[16:48]) and any(row[48:80]) for row in rows):
            found = {row[48:80]: row[16:48] for row in rows}
            break
    assert len(found) == pool.size
    return found


@debug_build
def test_a_triple_is_wiped_before_it_is_used_and_k_is_never_kept(make):
    # Given what a pool has prepared,
    signer = make(32)
    prepared = triples(signer.pool)
    before = nonce_pool._debug_memory(signer.pool)[0]
    made = raw(signer.sign_l1_action(ORDER, 42))
    inverse = prepared[made[:32]]
    # (which is 1/k of the signature: s = 1/k (z + r d) mod n)
    z, r, s = int.from_bytes(digest_of(42), "big"), int.from_bytes(made[:32], "big"), int.from_bytes(made[32:64], "big")
    plain = int.from_bytes(inverse, "big") * (z + r * int(KEY, 16)) % N
    assert s == min(plain, N - plain)
    # then 1/k has gone from memory as soon as it was used, and k was never left there.
    k = pow(int.from_bytes(inverse, "big"), -1, N)
    assert inverse in before and inverse not in nonce_pool._debug_memory(signer.pool)[0]
    for number in (k, N - k):
        assert number.to_bytes(32, "big") not in before
    assert not any(pow(int.from_bytes(i, "big"), -1, N).to_bytes(32, "big") in before for i in prepared.values())


@debug_build
def test_threads_without_the_gil_take_no_triple_twice(make):
    """Four threads take from the same pool at the same moment, while it is filled."""
    signer = make(4096)
    pool = signer.pool
    made: list[bytes] = []
    start = threading.Barrier(4)

    def work(first: int) -> None:
        for turn in range(4):
            assert pool.wait_full(60)
            start.wait()
            made.append(sign._debug_sign_many(signer, first + 10_000 * turn, 2_000))
            start.wait()

    threads = [threading.Thread(target=work, args=(10**6 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = [part[at : at + 32] for part in made for at in range(0, len(part), 65)]
    assert len(set(numbers)) == len(numbers) == pool.used >= 4 * 4096
    # Of two that had claimed one triple, the second might have found it wiped.
    assert pool.fallbacks == {**dict.fromkeys(pool.fallbacks, 0), "empty": 4 * 4 * 2_000 - len(numbers)}
    assert until(lambda: pool.verified == len(numbers))
    assert pool.mismatches == 0


@debug_build
def test_stopping_wipes_the_triples_and_closing_all(make):
    signer = make(32)
    prepared = triples(signer.pool)
    signer.sign_l1_action(ORDER, 1)
    signer.pool.stop()
    memory, address, size = nonce_pool._debug_memory(signer.pool)
    assert not any(inverse in memory for inverse in prepared.values())
    assert bytes.fromhex(KEY) in memory, "it can be started again"
    try:
        nonce_pool._debug_switch(keep_mapping=True)
        signer.close()
    finally:
        nonce_pool._debug_switch()
    assert not any(nonce_pool._debug_at(address, size))


@debug_build
@pytest.mark.parametrize("edge", ["recid_high", "mul_r_fails", "add_z_fails", "mul_inverse_fails"])
def test_an_edge_while_signing_discards_the_triple_and_signs_by_rfc_6979(make, edge):
    signer = make(32)
    pool, prepared = signer.pool, triples(signer.pool)
    nonce_pool._debug_inject(pool, edge)
    made = raw(signer.sign_l1_action(ORDER, 1))
    assert nonce_pool._debug_hits(pool) == 1
    assert made == by_rfc6979(1)
    assert (pool.used, pool.discarded, pool.fallbacks["edge"]) == (0, 1, 1)
    # The triple is gone, the next ones serve.
    assert until(lambda: pool.left == 32)
    assert len(set(prepared) - set(triples(pool))) == 1
    assert_good(signer.sign_l1_action(ORDER, 2), 2)
    assert (pool.used, pool.state) == (1, "on")


@debug_build
@pytest.mark.parametrize("edge", ["no_entropy", "nonce_out_of_range", "x_above_order", "wrong_inverse"])
def test_an_edge_while_preparing_gives_no_triple(make, edge):
    signer = make(32)
    pool = signer.pool
    nonce_pool._debug_inject(pool, edge)
    made = [signer.sign_l1_action(ORDER, nonce) for nonce in range(32)]
    assert until(lambda: nonce_pool._debug_hits(pool) == 1 and pool.left == 32)
    made += [signer.sign_l1_action(ORDER, nonce) for nonce in range(32, 64)]
    for nonce, signature in enumerate(made):
        assert_good(signature, nonce)
    assert pool.discarded == 1 and pool.mismatches == 0
    assert until(lambda: pool.verified == pool.used)


@debug_build
@pytest.mark.parametrize(
    "number", [0, 1, N - 1, N, N + 1, N + 2**64, 2**256 - 1, 2**255], ids=lambda n: f"{n:#x}"[:12] + f"{n % 2**16:x}"
)
def test_digests_at_the_edges_are_reduced_mod_n(make, number):
    """tweak_add refuses a number at or above n; a digest may be one."""
    signer, digest = make(4), number.to_bytes(32, "big")
    made = sign._debug_sign_digest(signer, digest)
    assert signer.pool.used == 1
    assert_recovers(made, digest)
    assert int.from_bytes(made[32:64], "big") <= N // 2
    assert until(lambda: signer.pool.verified == 1)


@debug_build
def test_a_signature_that_does_not_verify_ends_the_pool_loudly(make, caplog):
    signer = make(32)
    pool, told = signer.pool, []
    pool.on_disabled = told.append
    before = triples(pool)
    nonce_pool._debug_inject(pool, "wrong_signature")
    with caplog.at_level(logging.CRITICAL):
        signer.sign_l1_action(ORDER, 1)
        assert until(lambda: bool(told))
    # Said by an error, a call, a line of log and a count,
    assert "not this key's" in pool.error and told == [pool.error]
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]
    assert (pool.mismatches, pool.state, pool.left) == (1, "off: a signature did not verify", 0)
    # nothing that was prepared is there any more, and everything is signed by RFC 6979, for good.
    memory = nonce_pool._debug_memory(pool)[0]
    assert not any(inverse in memory for inverse in before.values())
    pool.start()
    assert [raw(signer.sign_l1_action(ORDER, n)) for n in range(50)] == [by_rfc6979(n) for n in range(50)]
    assert pool.fallbacks["mismatch"] == 50 and len(told) == 1


@debug_build
def test_a_mismatch_that_is_found_while_stopping_is_told_too(make):
    signer = make(8)
    nonce_pool._debug_inject(signer.pool, "wrong_signature")
    signer.sign_l1_action(ORDER, 1)
    signer.pool.stop()
    assert signer.pool.mismatches == 1 and signer.pool.error


@debug_build
def test_where_a_fork_would_not_wipe_it_the_pool_stays_off_and_says_so():
    try:
        nonce_pool._debug_switch(no_advice=True)
        with pytest.warns(RuntimeWarning, match="stay off"):
            signer = Signer(KEY, nonce_pool=16)
    finally:
        nonce_pool._debug_switch()
    pool = signer.pool
    assert pool.state == "off: this system cannot wipe memory in a forked child"
    assert raw(signer.sign_l1_action(ORDER, 1)) == by_rfc6979(1)
    pool.start()
    assert (pool.fallbacks["unavailable"], pool.left, pool.wait_full(0.01)) == (1, 0, False)
    signer.close()
    assert pool.state == "off: this system cannot wipe memory in a forked child"
