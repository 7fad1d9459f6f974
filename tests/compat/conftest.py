"""The official SDK as an oracle, what every test of the drop-in leaves behind clean, and a local exchange in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest

from hlfast.compat.hyperliquid import endpoints, switch
from hlfast.sim import SimExchange

OURS = "hlfast.compat.hyperliquid"


@pytest.fixture
def sdk() -> Callable[[str], Any]:
    """`sdk("utils.signing")`: a module of the installed official SDK; skips where it is absent."""
    pytest.importorskip("hyperliquid", reason="the official SDK is not installed: there is nothing to compare with")
    return lambda name: import_module(f"hyperliquid.{name}")


@pytest.fixture
def ours() -> Callable[[str], Any]:
    return lambda name: import_module(f"{OURS}.{name}")


@pytest.fixture(autouse=True)
def _as_it_was(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HLFAST_STATE", str(tmp_path / "state"))
    monkeypatch.delenv(endpoints.ROUTE_VARIABLE, raising=False)
    nonces, posts = (import_module(f"{OURS}.{name}") for name in ("nonces", "posts"))
    yield
    posts.close()
    switch.uninstall()
    endpoints.configure()
    endpoints.clear_routes()
    endpoints._registered.clear()
    endpoints._told.clear()
    endpoints._forget()
    nonces._files.clear()


class Venue:
    """A local exchange on a thread of its own, for synchronous clients. `call(fn, ...)` runs on its loop."""

    def __init__(self, **options: Any) -> None:
        self._options = {"port": 0, "block_ms": 10, "traders": False, "book_interval_ms": 0, **options}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._ready.wait(20)

    async def _run(self) -> None:
        self.loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        async with SimExchange(**self._options) as self.sim:
            self.url = self.sim.http_url
            self._ready.set()
            await self._over.wait()

    def call(self, fn: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        async def run() -> Any:
            return fn(*arguments, **named)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(20)

    def run(self, work: Any) -> Any:
        """Run a coroutine on the exchange's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def stop(self) -> None:
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._over.set)
            self._thread.join(20)


@pytest.fixture
def open_venue() -> Iterator[Callable[..., Venue]]:
    running: list[Venue] = []

    def start(**options: Any) -> Venue:
        running.append(Venue(**options))
        return running[-1]

    yield start
    for venue in running:
        venue.stop()


@pytest.fixture
def venue(open_venue: Callable[..., Venue]) -> Venue:
    return open_venue()


def eventually(check: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait until `check()` is true and return it; fail with its last value after `seconds`."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.01)):
        found = check()
        if found:
            return found
        pause.wait(0.01)
    raise AssertionError(f"not true within {seconds} s: {check()!r}")


@pytest.fixture(name="eventually")
def _eventually() -> Any:
    return eventually
