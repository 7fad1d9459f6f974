"""A process killed at any moment, and at each point that has a name: the next start knows the truth."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hlfast
from hlfast.core import crash_points
from hlfast.errors import ConfigError
from hlfast.sim import FUNDED_ACCOUNTS

from .killed import Nursery, assert_all_is_found, environment, start

ACCOUNT = FUNDED_ACCOUNTS[0].address
ORDER_POINTS = ("after_ring", "mid_write", "after_write", "before_parse")


@pytest.mark.parametrize("hit", [1, 17])
@pytest.mark.parametrize("point", crash_points.POINTS)
async def test_each_named_crash_point_is_hit_and_leaves_nothing_unknown(
    open_exchange: Any, tmp_path: Path, point: str, hit: int
) -> None:
    """G1, G7, G9: killed after the ring, in the write, before the answer, before its parse, around the journal's commit."""
    exchange = await open_exchange(traders=True, seed=hit)
    child = await start(exchange, tmp_path / "journal", hit, HLFAST_CRASH_AT=f"{point}:{hit}")
    _, told = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == -signal.SIGKILL
    assert told.decode().splitlines()[-1] == f"hlfast: died at the crash point {point}, hit {hit}"
    await asyncio.sleep(0.1)
    found = await assert_all_is_found(exchange, tmp_path / "journal")
    print(f"{point}:{hit} {found}")
    if hit == 1 and point in ORDER_POINTS:  # the one order of that moment: sent or not, and known either way
        assert found.never_there == (0 if point in ("after_write", "before_parse") else 1)
    elif hit > 1:
        assert found.orders > 1


def killed_at(rng: random.Random) -> tuple[str, float]:
    """Half of the kills at a named point and one of its hits, half at a moment, from the first one after the start."""
    if rng.random() < 0.5:
        return f"{rng.choice(crash_points.POINTS)}:{rng.randint(1, 40)}", 5.0
    return "", rng.uniform(0.05, 1.2)


async def killed_again_and_again(open_exchange: Any, tmp_path: Path, kills: int, seed: int) -> None:
    """Ten restarts on each journal, each killed. Prints what the row of the README needs."""
    rng = random.Random(seed)
    found, at_points, exchange = [], 0, None
    async with Nursery() as nursery:
        for kill in range(kills):
            if kill % 10 == 0:
                if exchange is not None:
                    await exchange.stop()
                exchange = await open_exchange(traders=True, seed=seed * 1000 + kill)
            folder = tmp_path / f"{kill // 10}"
            point, after = killed_at(rng)
            print(f"seed {seed}, kill {kill}: {point or f'after {after:.3f} s'}")
            hit = await nursery.kill(exchange, folder, seed * 1000 + kill, point=point, after=after)
            at_points += hit
            await asyncio.sleep(0.05)
            found.append(await assert_all_is_found(exchange, folder))
    slow = sorted(f.ready_s for f in found)
    settled = sorted(f.settled_s for f in found)
    print(
        f"kills {kills}, at named points {at_points}; live orders taken up {sum(f.live for f in found)}, "
        f"intents that never arrived {sum(f.never_there for f in found)}; "
        f"ready p50 {slow[len(slow) // 2]:.2f} s, max {slow[-1]:.2f} s; settled max {settled[-1]:.2f} s"
    )
    assert at_points > kills // 4 and sum(f.live for f in found) > kills


async def test_a_process_killed_at_random_points_leaves_nothing_unknown(open_exchange: Any, tmp_path: Path) -> None:
    """G1, G7, G10, G15, behaviour 130; kill -9: every live order is own again, no fill lost or doubled, restart after restart."""
    await killed_again_and_again(open_exchange, tmp_path, 12, seed=1)


@pytest.mark.long
async def test_a_process_killed_at_1000_random_points(open_exchange: Any, tmp_path: Path) -> None:
    """G1, G7, G10, G15, the row kill -9 in full."""
    await killed_again_and_again(open_exchange, tmp_path, 1000, seed=2)


def test_a_crash_point_without_a_name_is_refused() -> None:
    for wrong in ("nowhere", "mid_write:x", "mid_write:0", ":1"):
        with pytest.raises(ConfigError):
            crash_points.arm_from(wrong)
    assert not crash_points.is_armed()
    done = subprocess.run(
        [sys.executable, "-c", "import hlfast.core.crash_points"],
        env=environment(HLFAST_CRASH_AT="mid_writ"),
        cwd=Path(hlfast.__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1 and "a crash point is one of after_ring, mid_write" in done.stderr


def test_nothing_is_armed_without_being_asked_for() -> None:
    """Reaching a point costs a branch and kills nobody; disarmed, the same."""
    crash_points.before_commit()
    crash_points.arm("before_commit", 2)
    crash_points.before_commit()
    assert crash_points.is_armed()
    crash_points.arm(None)
    crash_points.before_commit()
    assert not crash_points.is_armed()
