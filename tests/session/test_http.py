"""HTTP requests over real sockets: answers as they are, refusals that say what to do, nothing sent twice."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import hlfast
from hlfast.errors import ConfigError, NotReady, UnknownOutcome
from hlfast.net.http import HttpClient

PACKAGE_PARENT = Path(hlfast.__file__).parents[1]
"""Child processes start where the tested package lies: a tree that is not compiled would hide it."""


class Server:
    """Answers /info with what it got; the other paths misbehave."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, bytes, str]] = []
        self.connections: set[Any] = set()
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append((request.path, body, request.headers["Content-Type"]))
        self.connections.add(request.transport)
        if request.path == "/slow":
            await asyncio.sleep(30)
        if request.path == "/drop":
            assert request.transport is not None
            request.transport.abort()
        if request.path == "/cut":
            answer = web.StreamResponse(headers={"Content-Length": "1000"})
            await answer.prepare(request)
            await answer.write(b"the first bytes")
            assert request.transport is not None
            request.transport.abort()
            return answer
        if request.path == "/moved":
            raise web.HTTPTemporaryRedirect("/info")
        return web.Response(body=body, status=500 if request.path == "/broken" else 200)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    app = web.Application()
    app.router.add_post("/{path}", found.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


async def test_a_request_is_json_and_the_answer_comes_as_it_is(server: Server) -> None:
    """Status and body untouched; one connection serves them all."""
    http = HttpClient(server.url + "/")
    assert await http.post_json("/info", {"type": "meta"}) == (200, b'{"type":"meta"}')
    assert await http.post_json("/broken", {"a": [1, None]}) == (500, b'{"a":[1,null]}')
    assert await http.post_json("/info", b'{"signed": "bytes"}') == (200, b'{"signed": "bytes"}')
    assert {kind for _, _, kind in server.requests} == {"application/json"}
    assert len(server.connections) == 1
    await http.close()
    await http.close()


async def test_a_client_opens_its_session_when_it_is_used_and_again_after_a_close(server: Server) -> None:
    """C7: nothing is open before, nothing after; `close` is not the end of the client."""
    http = HttpClient(server.url)
    assert http._session is None
    await http.post_json("/info", {})
    await http.close()
    assert http._session is None
    assert (await http.post_json("/info", {}))[0] == 200
    await http.close()


async def test_an_exchange_that_is_not_running_is_not_ready_and_the_error_says_how_to_start_one() -> None:
    """Bad input: exchange down. What, where, what to do."""
    probe = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = probe.sockets[0].getsockname()[1]
    probe.close()
    await probe.wait_closed()
    http = HttpClient(f"http://127.0.0.1:{port}")
    with pytest.raises(NotReady, match=f"cannot reach http://127.0.0.1:{port}/info: .*Start one with `hlfast sim`"):
        await http.post_json("/info", {"type": "meta"})
    await http.close()


async def test_a_host_that_does_not_exist_is_not_ready() -> None:
    http = HttpClient("https://no-such-host.invalid")
    with pytest.raises(NotReady, match="check the network and the address"):
        await http.post_json("/info", {})
    await http.close()


@pytest.mark.parametrize(
    ("path", "told"), [("/slow", "no answer .* within 0.3 s"), ("/drop", "ask before"), ("/cut", "ask")]
)
async def test_a_request_that_may_have_been_received_has_an_unknown_outcome_and_is_sent_once(
    server: Server, path: str, told: str
) -> None:
    """G8, G14: no answer is not a failure, and nothing is repeated, on a warm connection either."""
    http = HttpClient(server.url, timeout=0.3)
    await http.post_json("/info", {})
    with pytest.raises(UnknownOutcome, match=told):
        await http.post_json(path, {"n": 1})
    assert [where for where, _, _ in server.requests] == ["/info", path]
    await http.close()


async def test_a_redirect_is_not_followed(server: Server) -> None:
    """A signed request goes to the host that was named, or nowhere."""
    http = HttpClient(server.url)
    assert (await http.post_json("/moved", {}))[0] == 307
    assert len(server.requests) == 1
    await http.close()


@pytest.mark.parametrize("url", ["http://example.com", "http://192.168.1.2:3001"])
def test_plain_http_is_for_this_machine_unless_switched_on_by_name(url: str) -> None:
    """Secrets: plain http:// beyond loopback only with allow_insecure=True."""
    with pytest.raises(ConfigError, match="allow_insecure=True"):
        HttpClient(url)
    assert HttpClient(url, allow_insecure=True).base_url == url
    with pytest.raises(ConfigError, match="https://host"):
        HttpClient("ftp://example.com")


def test_aiohttp_is_imported_by_the_first_request_only() -> None:
    """A connector that is up over its WebSocket does not pay for it."""
    code = (
        "import sys; from hlfast.net.http import HttpClient; HttpClient('https://a.b'); print('aiohttp' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=PACKAGE_PARENT
    )
    assert done.stdout.strip() == "False"
