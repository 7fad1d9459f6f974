"""`hlfast sim` (layer 5): the local exchange in this process, and what a newcomer needs to connect to it."""

from __future__ import annotations

from typing import Any

import click

FLOWS = ("noise", "trend", "makers", "takers", "none")


@click.command()
@click.option("--port", type=click.IntRange(0, 65_535), default=8000, show_default=True, help="0: any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The loopback address to listen on.")
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Let --host be any address. Whoever reaches it can trade with the public keys and read everything.",
)
@click.option(
    "--block-ms",
    type=click.IntRange(0, 60_000),
    default=70,
    show_default=True,
    help="Length of a block; 0: orders execute at once.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=7, show_default=True, help="Of the background traders and the faults."
)
@click.option("--no-traders", is_flag=True, help="Leave the books empty.")
@click.option(
    "--flow", type=click.Choice(FLOWS), default="noise", show_default=True, help="How the background traders behave."
)
@click.option(
    "--universe",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    help="A recorded answer of meta or spotMeta (or ...AndAssetCtxs): trade its markets. May be given twice.",
)
@click.option(
    "--replay",
    type=click.Path(exists=True, dir_okay=False),
    help="A recorded file of l2Book frames: its books are the market.",
)
@click.option("--account", "accounts", multiple=True, metavar="ADDRESS", help="Fund this address too. May be repeated.")
@click.option(
    "--limits",
    default="off",
    show_default=True,
    metavar="off|real|FACTOR",
    help="Weights and WebSocket caps per IP: the venue's, or a share of them (0.1: a tenth). Beyond them: 429.",
)
@click.option(
    "--address-limits",
    default="off",
    show_default=True,
    metavar="off|real|FACTOR",
    help="The budget of requests per address: 10,000 and one for each USDC traded.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0, 1_000, min_open=True),
    default=1.0,
    show_default=True,
    help="How many times as fast time passes: blocks, delays, limits, funding.",
)
@click.option("--virtual", is_flag=True, help='Time stands still but for POST /sim/step {"blocks": n}: runs repeat.')
@click.option(
    "--record", is_flag=True, help="Keep the last 100,000 frames sent, and every order's states, for /sim/truth."
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False),
    help="Keep the exchange in this file: stopped or killed, it goes on with the same orders and money.",
)
@click.option(
    "--log",
    "log_requests",
    is_flag=True,
    help="Print each request with its verdict (on standard error); a bad signature is explained.",
)
@click.option(
    "--supported", "list_supported", is_flag=True, help="List what of the venue the local exchange answers, and end."
)
@click.option("--faults", "list_faults", is_flag=True, help="List what can be made to go wrong, and how, and end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line when ready, nothing else.")
def sim(
    *,
    list_faults: bool,
    list_supported: bool,
    log_requests: bool,
    address_limits: str,
    virtual: bool,
    no_traders: bool,
    **given: Any,
) -> None:
    """Run the local exchange until Ctrl-C.

    A Hyperliquid on this machine alone: /info, /exchange and /ws over real sockets, matching in blocks, background
    traders. It funds public test keys, which it prints: never send anything of value to them anywhere else.

    \b
    Examples:
      hlfast sim                                on port 8000, where hlfast.connect("simulator") looks
      hlfast sim --port 3001                    where the official SDK's LOCAL_API_URL points
      hlfast sim --block-ms 0 --no-traders      empty books, orders execute at once
      hlfast sim --log                          see what arrives, and why a signature is refused
      hlfast sim --state desk.state             orders and money outlive the process
      hlfast sim --limits real                  429 and the WebSocket caps, as on the venue

    \b
    While it runs, under http://127.0.0.1:8000:
      GET  /sim/truth?user=0x..                 what really happened
      POST /sim/faucet {"user":"0x..","usdc":1000}
      POST /sim/faults {"kind":"lost_answer","channel":"order"}      GET: how often each hit; DELETE: disarm
      POST /sim/cut {"refuse_seconds":5}        POST /sim/drill      POST /sim/explain <a signed request>
      POST /sim/change {"change":"set_mark","arguments":["BTC","65000"]}
    """
    if list_faults:
        click.echo(fault_table())
        return
    if list_supported:
        click.echo(supported())
        return
    import hlfast

    engine: dict[str, Any] = {"flow": given.pop("flow")}
    universe, replay = given.pop("universe"), given.pop("replay")
    if universe:
        engine["universe"] = list(universe)
    if replay:
        engine["replay"] = replay
    if address_limits != "off":
        engine["address_limits"] = address_limits
    if log_requests:
        given |= {"log": lambda line: click.echo(line, err=True), "log_requests": True}
    hlfast.run(sim_command(traders=not no_traders, engine=engine, pace="virtual" if virtual else "real", **given))


async def sim_command(*, port: int, block_ms: int, seed: int, traders: bool, as_json: bool, **options: Any) -> None:
    """Run until SIGINT or SIGTERM; further options are those of `SimExchange`. Raises `ConfigError`."""
    import orjson

    from hlfast.sim import serve

    def on_ready(line: str) -> None:
        click.echo(line if as_json else welcome(orjson.loads(line), seed=seed, block_ms=block_ms))

    await serve(port=port, block_ms=block_ms, seed=seed, traders=traders, json=True, out=on_ready, **options)


def supported() -> str:
    """Requests, actions and subscriptions that are answered, then those of the venue that are not: as an unknown type is."""
    from hlfast.sim.supported import SUPPORTED
    from hlfast.venues.hyperliquid.endpoints import ACTIONS, QUERIES

    lines = []
    for what, table in (("info requests", QUERIES), ("actions", ACTIONS)):
        found = SUPPORTED[what]
        lines += [f"{what}: {len(found)} of {len(table)}", f"    {', '.join(sorted(found))}"]
        lines += ["  answered as an unknown type:", f"    {', '.join(sorted(set(table) - found)) or 'none'}"]
    lines += [
        f"subscriptions: {len(SUPPORTED['subscriptions'])}",
        f"    {', '.join(sorted(SUPPORTED['subscriptions']))}",
    ]
    return "\n".join(lines)


def fault_table() -> str:
    """Every kind of fault: where it can strike, its options with their defaults, and what it does."""
    from hlfast.sim.faults import KINDS

    lines = [
        "Faults, armed by `exchange.faults.arm(kind, ...)` or POST /sim/faults. All take where (text in the message),"
    ]
    lines += [
        "user, channel (order, cancel, orderStatus, orderUpdates, l2Book ...), after, times, probability, at.",
        "",
    ]
    for name, kind in KINDS.items():
        options = "".join(f" {option}={value!r}" for option, value in kind.options.items())
        lines += [f"{name}{options}", f"    {kind.doc}", f"    at {', '.join(kind.points)}"]
    return "\n".join(lines)


def welcome(ready: dict[str, Any], *, seed: int, block_ms: int) -> str:
    """What to print for a person, from the exchange's ready line."""
    from hlfast.cli.sim_clients import shown

    url = ready["http_url"]
    accounts = "\n".join(f"  {a['name']}  {a['address']}  {a['key']}" for a in ready["accounts"])
    return f"""Local exchange on {url} (seed {seed}, blocks of {block_ms} ms). Ctrl-C ends it.

Funded accounts, 1,000,000 USDC perp and 100,000 USDC spot each.
THESE KEYS ARE PUBLIC: anybody can take what is sent to them on a real network. Never use them there.
{accounts}

Point a client at it. Each program is whole, and its order rests:

{shown(url, ready["ws_url"], ready["accounts"][0])}"""
