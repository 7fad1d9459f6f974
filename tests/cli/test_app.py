"""The command line: what it teaches, what it refuses, and how its processes begin and end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

import hlfast
from hlfast.cli.app import cli
from hlfast.cli.child import ROOT
from hlfast.config import SIMULATOR_TEST_KEY

# As the console script does it: the installed package, whatever the current directory holds.
IMPORT = f"import sys; sys.path.insert(0, {ROOT!r}); from hlfast.cli import main"
COMMAND = [sys.executable, "-c", f"{IMPORT}; main()"]


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=40, check=False, cwd=cwd)


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command as a process that is ended whatever happens."""
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    watchdog = threading.Timer(60.0, process.kill)
    watchdog.start()
    try:
        yield process
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


def read_until(process: subprocess.Popen[str], text: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"ended without {text!r}: {lines}")


def one_line(stderr: str) -> str:
    """The only line of an error: no traceback, nothing else."""
    lines = stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("Error: "), stderr
    return lines[0]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


# -- what it teaches ------------------------------------------------------------------------------------------------
def test_help_teaches_the_two_minute_path() -> None:
    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    for expected in ("hlfast demo --seconds 30", "hlfast sim", "hlfast.connect(", "No account and no key", "build"):
        assert expected in result.output


@pytest.mark.parametrize("command", ["demo", "sim", "build"])
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(cli, [command, "--help"])
    assert result.exit_code == 0 and "--json" in result.output


def test_help_needs_nothing_heavy() -> None:
    """Given the installed command, when help is asked for, then neither rich nor aiohttp nor the connector is loaded."""
    code = (
        f"{IMPORT}\n"
        "sys.argv[1:] = ['--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = [m for m in ('rich', 'aiohttp', 'uvloop', 'orjson', 'hlfast.sim', 'hlfast.core') if m in sys.modules]\n"
        "print('heavy:', heavy)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip().endswith("heavy: []")


def test_version_and_build_are_told() -> None:
    """Behaviour of `hlfast.build_info()`: as text and as JSON."""
    assert CliRunner().invoke(cli, ["--version"]).output.split()[-1] == hlfast.__version__
    assert json.loads(CliRunner().invoke(cli, ["build", "--json"]).output) == hlfast.build_info()
    text = CliRunner().invoke(cli, ["build"]).output
    assert hlfast.build_info()["cython"] in text and "hlfast.core.order_book" in text


# -- what it refuses ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sim", "--port", "70000"], "70000"),
        (["sim", "--port", "abc"], "abc"),
        (["demo", "--seconds", "0"], "--seconds"),
        (["demo", "--block-ms", "-1"], "--block-ms"),
        (["demo", "--seconds", "5", "--outage", "5"], "needs --seconds 11 or more"),
        (["demo", "--exchange", "nonsense"], "http://127.0.0.1:8000"),
        (["demo", "--exchange", "http://api.hyperliquid.xyz"], "not on this machine"),
        (["demo", "--nope"], "--nope"),
        (["dmo"], "dmo"),
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert said in result.stderr and "Traceback" not in result.stderr


def test_a_dead_exchange_is_one_line_with_a_remedy() -> None:
    """Bad input: exchange down."""
    port = free_port()
    done = run("demo", "--seconds", "5", "--exchange", f"http://127.0.0.1:{port}", "--json")
    assert done.returncode == 1 and done.stdout == ""
    assert f"`hlfast sim --port {port}`" in one_line(done.stderr)


def test_a_server_that_is_no_exchange_is_told() -> None:
    """Given something else on the port, then its answer is shown, and the question whether it is an exchange."""
    import http.server

    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        done = run("demo", "--seconds", "5", "--exchange", f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 1 and "answered 501" in one_line(done.stderr)


def test_a_port_in_use_is_one_line_with_a_remedy() -> None:
    """Bad input: port in use."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        done = run("sim", "--port", str(sock.getsockname()[1]))
    assert done.returncode == 1 and "is in use" in one_line(done.stderr)


# -- its processes --------------------------------------------------------------------------------------------------
def test_demo_json_prints_the_summary_and_nothing_else(tmp_path: Path) -> None:
    """Issue 2, done when: exit code 0, zero differences, fills, latencies by stage. The exchange has its own process,

    and that imports our package even where the current directory holds another one (a source tree, for example).
    """
    (tmp_path / "hlfast").mkdir()
    (tmp_path / "hlfast" / "__init__.py").write_text("raise ImportError('the wrong hlfast')")
    done = run("demo", "--seconds", "3", "--json", "--no-ui", "--seed", "11", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["differences"] == [] and summary["seed"] == 11 and summary["fills"] > 0
    assert set(summary) >= {
        *("seconds", "orders", "cancels", "rejects", "volume", "realized_pnl", "unrealized_pnl", "fees", "positions"),
        *("latency", "reconnects", "events", "fallbacks", "unresolved"),
    }
    assert set(summary["latency"]["sign"]) >= {"p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns", "count"}
    assert summary["fallbacks"] == 0
    assert done.stderr == ""
    assert SIMULATOR_TEST_KEY[2:] not in done.stdout


def test_an_interrupt_ends_the_demo_with_its_summary() -> None:
    """C7: given a demo without an end, when interrupted, then orders are cancelled, figures compared, no process left."""
    with started("demo", "--seconds", "100", "--no-ui") as demo:
        port = int(re.findall(r"127\.0\.0\.1:(\d+)", "".join(read_until(demo, "market LIVE")))[0])
        demo.send_signal(signal.SIGINT)
        out, err = demo.communicate(timeout=30)
    assert demo.returncode == 0, err
    assert "agree with the exchange's own record" in out and "stopping" in out
    assert not is_listening(port)


def test_a_killed_demo_takes_its_exchange_with_it() -> None:
    """Given kill -9, when the demo is gone, then its exchange ends by itself."""
    with started("demo", "--seconds", "100", "--no-ui") as demo:
        port = int(re.findall(r"127\.0\.0\.1:(\d+)", "".join(read_until(demo, "market LIVE")))[0])
        assert is_listening(port)
        os.kill(demo.pid, signal.SIGKILL)
    gone = threading.Event()
    for _ in range(100):
        if not is_listening(port):
            return
        gone.wait(0.05)
    raise AssertionError(f"the exchange on port {port} is still there 5 s after the demo was killed")


def is_listening(port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(1.0)
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_sim_prints_its_address_its_public_keys_and_how_to_connect() -> None:
    """Issue 2, item 4: funded public test keys are printed at the start, with the warning that they are public."""
    with started("sim", "--port", "0", "--no-traders") as sim:
        lines = "".join(read_until(sim, "await order.accepted()"))
        assert SIMULATOR_TEST_KEY in lines and "PUBLIC" in lines
        port = int(re.findall(r"http://127\.0\.0\.1:(\d+)", lines)[0])
        assert f"hlfast.connect(hlfast.Network('http://127.0.0.1:{port}', 'ws://127.0.0.1:{port}/ws', False))" in lines
        assert is_listening(port)
        sim.send_signal(signal.SIGTERM)
        _, err = sim.communicate(timeout=20)
    assert sim.returncode == 0 and err == ""


def test_sim_json_prints_one_ready_line() -> None:
    with started("sim", "--port", "0", "--json", "--block-ms", "0") as sim:
        (line,) = read_until(sim, "ready")
        ready = json.loads(line)
        assert ready["event"] == "ready" and ready["http_url"] == f"http://127.0.0.1:{ready['port']}"
        sim.send_signal(signal.SIGINT)
        out, _ = sim.communicate(timeout=20)
    assert sim.returncode == 0 and out == ""
