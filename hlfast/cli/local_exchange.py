"""The demo's exchange in a process of its own (layer 5, cold), and the client of its record.

The child is `python -m hlfast.sim --port 0 --json ...`, in its own session, so that a Ctrl-C ends the demo first and
the exchange after the last figures have been compared. It ends with this process whatever happens: its standard input
is a pipe from here, and a child that finds it closed (even by kill -9) ends itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import runpy
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson

from hlfast.cli.child import python_module
from hlfast.config import Network
from hlfast.errors import ConfigError, NotReady

START_SECONDS = 20.0
END_SECONDS = 3.0


class LocalExchange:
    """`async with LocalExchange(seed=7, block_ms=70) as exchange: exchange.http_url`."""

    def __init__(self, *, seed: int, block_ms: int) -> None:
        self.arguments = ["--port", "0", "--json", "--seed", str(seed), "--block-ms", str(block_ms)]
        self.http_url = ""
        self._process: asyncio.subprocess.Process | None = None
        self._drain: asyncio.Task[None] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed in __aexit__)

    async def __aenter__(self) -> LocalExchange:
        self._process = await asyncio.create_subprocess_exec(
            *python_module("hlfast.cli.local_exchange", *self.arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )
        try:
            ready = await asyncio.wait_for(self._ready_line(), START_SECONDS)
        except asyncio.TimeoutError:
            words = self._last_words()
            await self._end()
            raise NotReady(f"the local exchange did not start within {START_SECONDS:g} s: {words}") from None
        except BaseException:
            await self._end()
            raise
        self.http_url = str(ready["http_url"])
        self._drain = asyncio.get_running_loop().create_task(self._read_on(), name="hlfast-exchange-output")
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._end()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def died(self) -> str:
        """Waits until the process ends by itself; returns how."""
        assert self._process is not None
        code = await self._process.wait()
        return f"the exchange's process ended with code {code}: {self._last_words()}"

    async def _ready_line(self) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None
        async for line in self._process.stdout:
            with contextlib.suppress(orjson.JSONDecodeError):
                message = orjson.loads(line)
                if isinstance(message, dict) and message.get("event") == "ready":
                    return message
        code = await self._process.wait()
        raise NotReady(f"the local exchange did not start, it ended with code {code}: {self._last_words()}")

    async def _read_on(self) -> None:
        """A full pipe would stop the exchange."""
        assert self._process is not None and self._process.stdout is not None
        while await self._process.stdout.read(65536):
            pass

    async def _end(self) -> None:
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            for stop in (process.terminate, process.kill):
                with contextlib.suppress(ProcessLookupError):
                    stop()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(process.wait(), END_SECONDS)
                    break
        if self._drain is not None:
            self._drain.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._drain
        self._errors.close()
        if process.stdin is not None:
            process.stdin.close()

    def _last_words(self) -> str:
        if self._errors.closed:
            return "no output"
        self._errors.seek(0)
        lines = [line for line in self._errors.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else "no output"


def network_at(url: str) -> Network:
    """The local exchange at an http:// address. Raises `ConfigError` for anything but one on this machine."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
        raise ConfigError(f"an exchange's address looks like http://127.0.0.1:8000, got {url!r}")
    base = f"http://{parts.netloc}"
    network = Network(http_url=base, ws_url=f"ws://{parts.netloc}/ws", is_mainnet=False, name="simulator")
    if not network.is_loopback:
        raise ConfigError(f"{url!r} is not on this machine; the demo trades on a local exchange only")
    return network


class ExchangeRecord:
    """The exchange's own record over HTTP: the other side of the audit. Use with `async with`."""

    def __init__(self, network: Network) -> None:
        self.url = network.http_url

    async def __aenter__(self) -> ExchangeRecord:
        import aiohttp

        # A connection for each request: after a cut none must be found dead.
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=5.0), connector=aiohttp.TCPConnector(force_close=True)
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._session.close()

    async def truth(self, account: str) -> dict[str, Any]:
        """What the exchange itself holds of `account`. Raises `NotReady`."""
        record: dict[str, Any] = orjson.loads(await self._request("GET", f"/sim/truth?user={account}"))
        return record

    async def cut(self, refuse_seconds: float) -> None:
        """Have every socket cut, and new connections refused for so long."""
        await self._request("POST", "/sim/cut", {"refuse_seconds": refuse_seconds})

    async def _request(self, method: str, path: str, payload: Any = None) -> bytes:
        import aiohttp

        try:
            async with self._session.request(method, self.url + path, json=payload) as answer:
                body = await answer.read()
                if answer.status == 200:
                    return body
                raise NotReady(
                    f"{self.url}{path} answered {answer.status}; is it an exchange started with `hlfast sim`?"
                )
        except (aiohttp.ClientError, asyncio.TimeoutError, ConnectionError) as error:
            raise NotReady(
                f"cannot reach the exchange at {self.url} ({type(error).__name__}); start one with "
                f"`hlfast sim --port {urlsplit(self.url).port or 8000}`, or leave --exchange out and the demo starts its own"
            ) from error


def _end_with_parent() -> None:
    while os.read(0, 4096):  # not sys.stdin: its lock would be held at the interpreter's end
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def run_as_child(arguments: Sequence[str]) -> None:
    """`python -m hlfast.sim ARGUMENTS` in this process, until standard input is closed."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv = ["hlfast.sim", *arguments]
    runpy.run_module("hlfast.sim", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    run_as_child(sys.argv[1:])
