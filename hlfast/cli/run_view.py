"""The summary of `hlfast run` (layer 5), as a pure function of its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from hlfast.cli.demo_view import latency_table, plain_table, signed, strategies_table

if TYPE_CHECKING:
    from hlfast.cli.run import RunResult

MANY = 30


def run_summary(result: RunResult) -> RenderableType:
    """What the run came to, for a person."""
    said = result.as_json()
    head = (
        f"hlfast run: {result.seconds:.1f} s on {result.network}, account {result.account}, ended by: {result.ended_by}"
    )
    facts = (
        f"orders {said['orders']:,}  cancels {said['cancels']:,}  rejects {said['rejects']:,}  fills {said['fills']:,}"
    )
    holdings = plain_table("", "account", *said["strategies"], "before", "unattributed")
    for row in said["holdings"]:
        shares = [row["strategies"].get(name, row["manual"]) for name in said["strategies"]]
        holdings.add_row(
            row["coin"], *(signed(size) for size in (row["account"], *shares, row["before"], row["unattributed"]))
        )
    parts: list[RenderableType] = [Text(head, style="bold"), Text(facts), Text(), strategies_table(said["strategies"])]
    if said["holdings"]:
        parts += [Text(), holdings]
    if result.replay is not None:
        parts += [Text(), Text(f"PAPER orders over {result.replay['frames']} frames; digest {result.replay['digest']}")]
    else:
        parts += [Text(), latency_table(result.latency)]
        if not result.health.get("ok", True):
            parts += [Text("health: " + "; ".join(result.health["why"]), style="yellow")]
    return Group(*parts, Text(), *_verdict(result))


def _verdict(result: RunResult) -> list[Text]:
    lines = [Text(f"✗ {order} may still rest at the venue", style="bold red") for order in result.orders_left[:MANY]]
    if result.others_resting:
        some = ", ".join(result.others_resting[:MANY])
        lines.append(
            Text(f"! {len(result.others_resting)} orders rest that no strategy placed: {some}", style="yellow")
        )
    if result.differences:
        lines.append(Text(f"✗ {len(result.differences)} differences to the venue's account", style="bold red"))
        lines += [Text(f"  {difference}", style="red") for difference in result.differences[:MANY]]
    elif result.holdings or not result.interrupted:
        lines.append(Text("✓ the strategies' positions add up to the account", style="bold green"))
    return lines
