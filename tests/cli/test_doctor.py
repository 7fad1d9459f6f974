"""`hlfast doctor`: every finding that it can come to, against the local exchange and against nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import hlfast
from hlfast import clock
from hlfast.cli import doctor as looking
from hlfast.cli.app import cli
from hlfast.cli.doctor import BAD, GOOD, WARNING, Finding, examine
from hlfast.config import SIMULATOR_TEST_KEY, simulator
from hlfast.sim import SimExchange

AGENT_KEY = "0x" + "7a" * 32
DAY_MS = 86_400_000


@pytest.fixture
async def exchange() -> AsyncIterator[SimExchange]:
    async with SimExchange(port=0, block_ms=0, traders=False) as running:
        yield running


def of(found: list[Finding], what: str) -> Finding:
    (one,) = [finding for finding in found if finding.what == what]
    return one


async def approve(exchange: SimExchange, name: str) -> str:
    """Make `AGENT_KEY` an agent of the first funded account, whose address is returned."""
    async with hlfast.connect(exchange.network, allow=["approveAgent"]) as hl:
        await hl.actions.approve_agent(hlfast.Signer(AGENT_KEY).address, name)
        return hl.account


async def test_a_healthy_exchange_is_good_from_end_to_end(exchange: SimExchange) -> None:
    told: list[Finding] = []
    found = await examine(exchange.network, tell=told.append)
    assert told == found
    assert {finding.what for finding in found} >= {
        "build",
        "machine",
        "state folder",
        "HTTP",
        "clock",
        "mode",
        "WebSocket",
    }
    assert [finding for finding in found if finding.status == BAD] == []
    assert "ms there and back" in of(found, "WebSocket").seen and of(found, "mode").seen == "normal"


async def test_a_master_key_is_warned_of(exchange: SimExchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets: whoever trades with a master key can lose everything to whoever reads it."""
    monkeypatch.setenv("A_KEY", SIMULATOR_TEST_KEY)
    found = await examine(exchange.network, key="env:A_KEY")
    role = of(found, "role")
    assert role.status == WARNING and "withdraw" in role.seen and "agent" in role.advice
    assert of(found, "state").status == GOOD and of(found, "budget").status == GOOD
    assert SIMULATOR_TEST_KEY[2:] not in str(found)


async def test_an_agent_is_named_with_its_master_and_its_end(
    exchange: SimExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", AGENT_KEY)
    soon = clock.wall_clock_ms() + 3 * DAY_MS
    master = await approve(exchange, f"bot valid_until {soon}")
    found = await examine(exchange.network, key="env:A_KEY", account=master)
    assert of(found, "role").status == GOOD and master in of(found, "role").seen
    assert of(found, "expiry").status == WARNING and "days left" in of(found, "expiry").seen
    assert master in of(found, "state").seen
    # without the account, or with the agent's own address, orders would go nowhere
    assert of(await examine(exchange.network, key="env:A_KEY"), "account").status == WARNING
    own = hlfast.Signer(AGENT_KEY).address
    wrong = of(await examine(exchange.network, key="env:A_KEY", account=own), "account")
    assert wrong.status == BAD and master in wrong.advice


async def test_an_agent_that_ends_late_is_good(exchange: SimExchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", AGENT_KEY)
    master = await approve(exchange, f"bot valid_until {clock.wall_clock_ms() + 90 * DAY_MS}")
    assert of(await examine(exchange.network, key="env:A_KEY", account=master), "expiry").status == GOOD


async def test_a_key_that_the_venue_does_not_know_is_bad(
    exchange: SimExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", AGENT_KEY)
    found = await examine(exchange.network, key="env:A_KEY")
    assert of(found, "role").status == BAD and "approve" in of(found, "role").advice


async def test_a_clock_that_is_off_is_told_with_its_direction(
    exchange: SimExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = clock.wall_clock_ms
    for off_ms, status, word in ((3_000, WARNING, "ahead of"), (-60_000, BAD, "behind")):
        with monkeypatch.context() as patch:
            patch.setattr(looking.clock, "wall_clock_ms", lambda off_ms=off_ms: own() + off_ms)
            told = of(await examine(exchange.network), "clock")
        assert told.status == status and word in told.seen and "NTP" in told.advice


async def test_a_special_status_of_the_venue_is_told(exchange: SimExchange) -> None:
    exchange.faults.arm("post_only")
    assert of(await examine(exchange.network), "mode").status == WARNING


async def test_a_state_folder_that_others_may_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HLFAST_STATE", str(tmp_path))
    tmp_path.chmod(0o755)
    assert looking.state_folder().status == WARNING and "chmod 700" in looking.state_folder().advice
    tmp_path.chmod(0o700)
    assert looking.state_folder().status == GOOD


def test_nothing_there_is_one_clear_finding_and_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", AGENT_KEY)
    done = CliRunner().invoke(cli, ["doctor", "--network", simulator(1).http_url, "--key", "env:A_KEY", "--json"])
    body = json.loads(done.stdout)
    assert done.exit_code == 1 and body["bad"] == 1
    assert [one["what"] for one in body["findings"] if one["status"] == BAD] == ["HTTP"]
    assert "hlfast sim" in done.stdout and AGENT_KEY[2:] not in done.output


def test_a_key_in_plain_sight_is_refused_without_showing_it() -> None:
    done = CliRunner().invoke(cli, ["doctor", "--key", AGENT_KEY])
    assert done.exit_code == 2 and AGENT_KEY[2:] not in done.output and "env:NAME" in done.output


@pytest.mark.parametrize(
    ("name", "told"),
    [("nowhere", "mainnet"), ("http://192.0.2.1:8000", "not on this machine"), ("ftp://127.0.0.1", "127.0.0.1:8000")],
)
def test_a_network_that_is_none_is_refused(name: str, told: str) -> None:
    done = CliRunner().invoke(cli, ["doctor", "--network", name])
    assert done.exit_code == 1 and told in done.output
