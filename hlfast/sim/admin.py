"""The paths under `/sim/` (local exchange, layer 5): what tests and tools in other processes ask of the exchange itself.

    GET /sim/accounts                       funded public test keys
    GET /sim/truth[?user=0x..]              what really happened (`hlfast.sim.truth`)
    POST /sim/faucet {"user":"0x..","usdc":1000}
    POST /sim/change {"change":"set_mark","arguments":["BTC","65000"]}      see `SimExchange.change`
    POST /sim/cut {"refuse_seconds":5}      reset every WebSocket and refuse connections for that long
    POST /sim/drill {"down_seconds":2,"post_only_seconds":10}
    GET, POST, DELETE /sim/faults[?id=n]    report; arm one, the body being the arguments of `arm`; disarm
    POST /sim/explain <a signed request>    who signed it, over which bytes, and the likely mistake
    POST /sim/step {"blocks":1}             with virtual time

Errors are 422 with the reason as plain text.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson
from aiohttp import web

from hlfast.errors import ConfigError
from hlfast.sim.faults import KINDS
from hlfast.sim.keys import FUNDED_ACCOUNTS
from hlfast.sim.shapes import Malformed, address

if TYPE_CHECKING:
    from hlfast.sim.server import SimExchange

MAX_USDC = 1_000_000_000
MAX_SECONDS = 3600
MAX_STEPS = 100_000
Handler: TypeAlias = "Callable[[SimExchange, web.Request], Awaitable[web.Response]]"


async def read_json(request: web.Request) -> Any:
    """The body as JSON; 415 for another content type, 400 for what is not JSON."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="Expected request with `Content-Type: application/json`")
    try:
        return orjson.loads(await request.read())
    except ValueError:
        raise web.HTTPBadRequest(text="Failed to parse the request body as JSON") from None


def json_response(value: Any) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")


def funded_accounts() -> list[dict[str, str]]:
    """Name, key and address of each public test account."""
    return [{"name": a.name, "key": a.key, "address": a.address} for a in FUNDED_ACCOUNTS]


def refusal(text: str) -> web.HTTPUnprocessableEntity:
    return web.HTTPUnprocessableEntity(text=text)


async def _fields(request: web.Request, **fields: tuple[float, float, float]) -> dict[str, Any]:
    """The numbers of a body: name=(default, least, most)."""
    body = await read_json(request) if request.can_read_body else {}
    if not isinstance(body, dict) or body.keys() - fields.keys():
        raise refusal(f"expected an object with {', '.join(fields)}")
    found = {}
    for name, (default, least, most) in fields.items():
        value = body.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise refusal(f'expected {{"{name}": <{least:g} to {most:g}>}}, got {value!r}')
        found[name] = value
    return found


async def accounts(exchange: SimExchange, request: web.Request) -> web.Response:
    return json_response(funded_accounts())


async def truth(exchange: SimExchange, request: web.Request) -> web.Response:
    return json_response(exchange.truth(request.query.get("user")))


async def faucet(exchange: SimExchange, request: web.Request) -> web.Response:
    body = await read_json(request)
    try:
        user = address(body.get("user")) if isinstance(body, dict) else None
    except Malformed:
        user = None
    usdc = body.get("usdc", 1_000) if isinstance(body, dict) else None
    if user is None or type(usdc) is not int or not 0 < usdc <= MAX_USDC:
        raise refusal(f'expected {{"user": "0x<40 hex digits>", "usdc": <1 to {MAX_USDC}>}}')
    try:
        exchange.faucet(user, usdc)
    except ValueError as error:
        raise refusal(str(error)) from None
    return json_response({"user": user, "usdc": usdc})


async def change(exchange: SimExchange, request: web.Request) -> web.Response:
    body = await read_json(request)
    if not isinstance(body, dict) or not isinstance(body.get("change"), str):
        raise refusal('expected {"change": <name>, "arguments": [...]}')
    arguments = body.get("arguments", [])
    try:
        exchange.change(body["change"], *(arguments if isinstance(arguments, list) else [arguments]))
    except (ConfigError, LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise refusal(f"{body['change']} cannot take {arguments!r}: {error}") from None
    return json_response({"change": body["change"], "arguments": arguments})


async def cut(exchange: SimExchange, request: web.Request) -> web.Response:
    seconds = (await _fields(request, refuse_seconds=(0, 0, MAX_SECONDS)))["refuse_seconds"]
    return json_response({"cut": await exchange.cut(seconds), "refuse_seconds": seconds})


async def drill(exchange: SimExchange, request: web.Request) -> web.Response:
    asked = await _fields(request, down_seconds=(2, 0, MAX_SECONDS), post_only_seconds=(10, 0, MAX_SECONDS))
    return json_response({"cut": await exchange.drill(**asked), **asked})


async def faults(exchange: SimExchange, request: web.Request) -> web.Response:
    return json_response(exchange.faults.report())


async def arm(exchange: SimExchange, request: web.Request) -> web.Response:
    body = await read_json(request)
    if not isinstance(body, dict) or not isinstance(body.get("kind"), str):
        raise refusal(f'expected {{"kind": <one of {", ".join(KINDS)}>, ...}}')
    for name, kinds in _ARGUMENTS.items():
        if body.get(name) is not None and (isinstance(body[name], bool) or not isinstance(body[name], kinds)):
            raise refusal(f"{name} must be {kinds[0].__name__}, got {body[name]!r}")
    try:
        fault = exchange.faults.arm(body.pop("kind"), **body)
    except ConfigError as error:
        raise refusal(str(error)) from None
    return json_response(fault.report())


_ARGUMENTS: dict[str, tuple[type, ...]] = {
    "where": (str,),
    "user": (str,),
    "channel": (str,),
    "at": (str,),
    "times": (int,),
    "after": (int,),
    "probability": (float, int),
}


async def disarm(exchange: SimExchange, request: web.Request) -> web.Response:
    number = request.query.get("id")
    report = exchange.faults.report()
    if number is None:
        exchange.faults.clear()
        return json_response(report)
    fault = exchange.faults.get(int(number)) if number.isascii() and number.isdigit() else None
    if fault is None:
        raise refusal(f"there is no fault {number!r}; GET /sim/faults lists them")
    fault.disarm()
    return json_response(fault.report())


async def explain(exchange: SimExchange, request: web.Request) -> web.Response:
    try:
        return json_response(exchange.explain(await read_json(request)))
    except Malformed as error:
        raise refusal(f"this is no signed request: {error}") from None


async def step(exchange: SimExchange, request: web.Request) -> web.Response:
    blocks = (await _fields(request, blocks=(1, 1, MAX_STEPS)))["blocks"]
    try:
        await exchange.step(int(blocks))
    except ConfigError as error:
        raise refusal(str(error)) from None
    return json_response({"block": exchange.engine.block_number, "time": exchange.engine.time_ms})


ADMIN: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/sim/accounts", accounts),
    ("GET", "/sim/truth", truth),
    ("POST", "/sim/faucet", faucet),
    ("POST", "/sim/change", change),
    ("POST", "/sim/cut", cut),
    ("POST", "/sim/drill", drill),
    ("GET", "/sim/faults", faults),
    ("POST", "/sim/faults", arm),
    ("DELETE", "/sim/faults", disarm),
    ("POST", "/sim/explain", explain),
    ("POST", "/sim/step", step),
)
"""Method, path, handler."""
