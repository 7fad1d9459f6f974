"""What `hlfast sim` prints: each program on its start screen is run exactly as it stands there, and its order rests."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hlfast.sim import FUNDED_ACCOUNTS

from ..children import HOME, surroundings

ALICE = FUNDED_ACCOUNTS[0]
LAST_LINE = "console.log("


class Screen:
    """A running `hlfast sim` and the programs on its screen, by the client that each is for."""

    def __init__(self, text: str) -> None:
        self.url = text.split()[3]
        self.programs: dict[str, str] = {}
        for part in text.split("\n-- ")[1:]:
            name, _, program = part.partition("\n")
            self.programs[name] = program

    def orders(self) -> list[Any]:
        with urllib.request.urlopen(f"{self.url}/sim/truth?user={ALICE.address}") as answer:
            return [row for row in json.load(answer)["orders"] if row["status"] == "open"]


@pytest.fixture(scope="module")
def screen() -> Iterator[Screen]:
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", "from hlfast.cli import main; main()", "sim", "--port", "0"],
        cwd=HOME,
        env=surroundings(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(LAST_LINE):
            break
    try:
        yield Screen("".join(lines))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        process.stdout.close()


def rests_after(screen: Screen, command: list[str], folder: Path) -> None:
    """The program ends well, and the account has one more order, at the program's price."""
    before = len(screen.orders())
    ran = subprocess.run(
        command, cwd=folder, env=surroundings(), capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    orders = screen.orders()
    assert len(orders) == before + 1, ran.stdout + ran.stderr
    assert (orders[-1]["coin"], orders[-1]["px"], orders[-1]["sz"]) == ("ETH", "3000.0", "0.1")


def of(screen: Screen, start: str) -> str:
    (program,) = (text for name, text in screen.programs.items() if name.startswith(start))
    return program


@pytest.mark.parametrize("name", ["hlfast", "The official Python SDK"])
def test_a_printed_python_program_places_its_order(name: str, screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "printed.py").write_text(of(screen, name))
    rests_after(screen, [sys.executable, "printed.py"], tmp_path)


def test_the_printed_command_runs_a_program_of_the_sdk_on_hlfast(screen: Screen, tmp_path: Path) -> None:
    """The program keeps the test network's address."""
    program = of(screen, "The official Python SDK").replace(screen.url, "https://api.hyperliquid-testnet.xyz")
    (tmp_path / "bot.py").write_text(program)
    command = of(screen, "A program for the official SDK").split()
    assert command[0] == "python" and command[-1] == "bot.py"
    rests_after(screen, [sys.executable, *command[1:]], tmp_path)


@pytest.mark.long
def test_the_printed_ccxt_program_places_its_order(screen: Screen, tmp_path: Path) -> None:
    if importlib.util.find_spec("ccxt") is None:
        pytest.skip("ccxt is not installed (pip install '.[foreign]')")
    (tmp_path / "printed.py").write_text(of(screen, "ccxt"))
    rests_after(screen, [sys.executable, "printed.py"], tmp_path)


@pytest.mark.long
def test_the_printed_typescript_program_places_its_order(screen: Screen, node_folder: Path) -> None:
    (node_folder / "printed.mjs").write_text(of(screen, "The TypeScript SDK"))
    rests_after(screen, [str(node_folder / "node_modules" / ".bin" / "node"), "printed.mjs"], node_folder)
