"""`hlfast orders`, `fills`, `report` and `push` with PostgreSQL: word for word what they say of the SQLite file."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hlfast import clock
from hlfast.cli.app import cli
from hlfast.engine.journal import Journal

from ..children import HOME, surroundings
from ..engine.test_journal import as_version_1
from ..postgres_server import PostgresServer, programs
from .test_report import ACCOUNT, write

if programs() is None:
    pytest.skip("no PostgreSQL server here (Debian: apt-get install postgresql)", allow_module_level=True)
pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install 'hlfast[postgres]'")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    folder = Path(tempfile.mkdtemp(prefix="hlpg", dir="/tmp"))
    try:
        running = PostgresServer(folder)
        running.start()
        try:
            yield running
        finally:
            running.discard()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("pushed") / "j"
    try:
        write(folder)
        yield str(folder)
    finally:
        clock.set_virtual(None)


@pytest.fixture(scope="module")
def dsn(server: PostgresServer, at: str) -> str:
    made = server.dsn()
    result = run("push", "--journal", at, "--postgres", made)
    assert result.exit_code == 0 and re.match(r"\d+ rows are new in postgresql://trader@/d1", result.stdout), (
        result.stderr
    )
    return made


def test_pushing_again_finds_nothing_new(at: str, dsn: str) -> None:
    assert run("push", "--journal", at, "--postgres", dsn).stdout.startswith("0 rows are new")


@pytest.mark.parametrize(
    "command",
    [
        ["orders"], ["orders", "--limit", "0"], ["orders", "--coin", "BTC"], ["orders", "--state", "filled", "--state", "live"],
        ["orders", "--state", "failed", "--csv"], ["orders", "--json"], ["fills"], ["fills", "--json"], ["fills", "--csv"],
        ["fills", "--order", "hl-1", "--json"], ["fills", "--order", "1001", "--json"], ["fills", "--order", "777", "--json"],
        ["fills", "--order", "99999999999999999999999", "--json"], ["fills", "--limit", "2"],
        ["fills", "--since", "1790000002000", "--json"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_the_commands_say_the_same_of_both(command: list[str], at: str, dsn: str) -> None:
    here, there = run(*command, "--journal", at), run(*command, "--postgres", dsn)
    assert here.exit_code == there.exit_code == 0, (here.stderr, there.stderr)
    assert there.stdout == here.stdout and (here.stdout or "--csv" in command)


@pytest.mark.parametrize("more", [[], ["--coin", "BTC"], ["--since", "1790000002000"]], ids=["all", "coin", "since"])
def test_the_report_is_the_same_from_both(more: list[str], at: str, dsn: str, tmp_path: Path) -> None:
    """Every figure, and the page but for the name of its source."""
    here, there = (
        json.loads(run("report", *source, *more, "--json").stdout)
        for source in (["--journal", at], ["--postgres", dsn])
    )
    assert there.pop("journal").startswith("postgresql://trader@/d1") and here.pop("journal") == at
    assert there == here and here["totals"]["fills"]
    pages = []
    for name, source in (("a", ["--journal", at]), ("b", ["--postgres", dsn])):
        run("report", *source, *more, "--out", str(tmp_path / name))
        pages.append(re.sub("Source: .*? Amounts", "", (tmp_path / name).read_text(encoding="utf-8")))
    assert pages[0] == pages[1]


def test_several_journals_in_one_database_are_told_apart(server: PostgresServer, at: str, tmp_path: Path) -> None:
    made = server.dsn()
    assert (
        "has none: a connector with Settings(postgres=...) or `hlfast push`" in run("orders", "--postgres", made).stderr
    )
    for account in (ACCOUNT, "0x00000000000000000000000000000000000000cd"):
        Journal(tmp_path / account, network="simulator", account=account).stop()
        assert run("push", "--journal", str(tmp_path / account), "--postgres", made).exit_code == 0
    result = run("orders", "--postgres", made)
    assert (
        result.exit_code == 1 and "there are 2 journals like that" in result.stderr and "--account 0x" in result.stderr
    )
    number = re.findall(r"--journal (\d+)", result.stderr)[0]
    for chosen in (["--account", ACCOUNT], ["--journal", number]):
        assert run("orders", "--postgres", made, *chosen).stdout == "no orders match\n"
    result = run("fills", "--postgres", made, "--account", "0xffff")
    assert result.exit_code == 1 and "there is no such journal" in result.stderr


def test_a_journal_of_an_earlier_version_is_read_as_it_is_and_pushed(
    server: PostgresServer, at: str, tmp_path: Path
) -> None:
    """Reading changes nothing in it; pushing brings it up to date."""
    folder = Path(shutil.copytree(at, tmp_path / "old"))
    as_version_1(folder)
    then = (folder / "journal.sqlite").read_bytes()
    for command in ("orders", "fills"):
        assert run(command, "--limit", "0", "--journal", str(folder)).exit_code == 0
    assert json.loads(run("report", "--json", "--journal", str(folder)).stdout)["totals"]["fills"] == 6
    assert (folder / "journal.sqlite").read_bytes() == then
    result = run("push", "--journal", str(folder), "--postgres", server.dsn())
    assert result.exit_code == 0 and "rows are new" in result.stdout, result.stderr


def test_a_server_that_cannot_be_reached_is_told_without_the_password(at: str, server: PostgresServer) -> None:
    dsn = f"postgresql://trader:c4n4ry@/d1?host={server.folder}/nowhere"
    for command in (["orders"], ["report"], ["push", "--journal", at]):
        result = run(*command, "--postgres", dsn)
        assert result.exit_code == 1 and "no connection to postgresql://trader:***@/d1" in result.stderr, command
        assert "c4n4ry" not in result.output and "Traceback" not in result.output


def test_push_follows_until_it_is_told_to_end(server: PostgresServer, at: str) -> None:
    """In a process of its own, ended by SIGINT; everything is in by then."""
    made = server.dsn()
    command = [
        sys.executable,
        "-c",
        "from hlfast.cli import main; main()",
        "push",
        "--follow",
        "--journal",
        at,
        "--postgres",
        made,
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HOME, env=surroundings()
    ) as child:
        assert child.stdout is not None and child.stdout.readline().startswith(f"following {at} into postgresql://")
        threading.Event().wait(0.2)
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=60)
    assert (child.returncode, errors) == (0, "")
    assert run("push", "--journal", at, "--postgres", made).stdout.startswith("0 rows are new")


def test_two_strategies_run_into_the_database_and_are_reported_by_name(server: PostgresServer, tmp_path: Path) -> None:
    """Issue 8.1 and 8.3: from `hlfast run` on a local exchange of its own to `hlfast report` of the database."""
    made = server.dsn()
    command = ["run", "quick=market_maker", "slow=market_maker", "--set", "slow.timer_interval=1", "--seconds", "6"]
    command += ["--network", "simulator", "--journal", str(tmp_path / "j"), "--postgres", made, "--json"]
    done = subprocess.run(
        [sys.executable, "-c", "from hlfast.cli import main; main()", *command],
        capture_output=True, text=True, cwd=HOME, env=surroundings(HLFAST_STATE=str(tmp_path / "state")), timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    told = run("report", "--postgres", made, "--json")
    assert told.exit_code == 0, told.output
    report = json.loads(told.stdout)
    by_name = {row["strategy"]: row for row in report["strategies"]}
    assert set(by_name) == {"quick", "slow"} == set(said["strategies"])
    for name, figures in said["strategies"].items():
        assert by_name[name]["fills"] == figures["fills"] > 0, name
