"""Parameters of strategies: read from text and from TOML, checked, and refused with what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest

from hlfast.engine import RiskLimits, Strategy, parameter
from hlfast.engine.parameters import build, describe, read_settings, read_toml
from hlfast.engine.strategies.market_maker import MarketMaker
from hlfast.errors import ConfigError
from hlfast.types import Number


@dataclass(kw_only=True, eq=False)
class Given(Strategy):
    coins: tuple[str, ...] = ("BTC",)
    size: Number = parameter("0.001", unit="BTC", above=0)
    """Of one
    order."""
    levels: int = parameter(3, at_least=1, at_most=20)
    pause: float = 0.5
    side: Literal["buy", "sell"] = "buy"
    quiet: bool = False
    label: str = "x"
    floor: Decimal | None = None


def from_text(**values: str) -> Given:
    return build(Given, values, "--set", is_text=True)


def test_every_type_is_read_from_the_command_line() -> None:
    made = build(
        Given,
        read_settings(
            ["coins=BTC, ETH", "size=0.0100", "levels=7", "pause=2", "side=sell", "quiet=yes", "label=a=b", "floor=1.5",
             "limits.max_order_value=500", "limits.max_open_orders=4"]
        ),
        "--set",
        is_text=True,
    )  # fmt: skip
    assert made.coins == ("BTC", "ETH") and made.size == "0.0100" and made.levels == 7 and made.pause == 2.0
    assert (made.side, made.quiet, made.label, made.floor) == ("sell", True, "a=b", Decimal("1.5"))
    assert made.limits == RiskLimits(max_order_value=500, max_open_orders=4)
    assert from_text(floor="none").floor is None


def test_a_file_gives_exact_numbers_and_nested_tables(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('coins = ["ETH"]\nsize = 0.1\nquiet = true\n[limits]\nmax_position_value = 1000\n')
    made = build(Given, read_toml(path), str(path))
    assert made.size == Decimal("0.1") and made.coins == ("ETH",) and made.quiet
    assert made.limits.max_position_value == 1000


WRONG: list[tuple[dict[str, Any], bool, str]] = [
    ({"size": "abc"}, True, r"Given.size: got 'abc', expected a number \(BTC\) above 0; give for example size=0.001"),
    ({"size": "0"}, True, r"got '0', expected a number \(BTC\) above 0"),
    ({"size": "nan"}, True, "got 'nan'"),
    ({"levels": "2.5"}, True, "got '2.5', expected a whole number of at least 1 and of at most 20; give for example levels=3"),
    ({"levels": "21"}, True, "got '21'"),
    ({"levels": True}, False, "got True, expected a whole number"),
    ({"pause": "1s"}, True, "got '1s', expected a number; give for example pause=0.5"),
    ({"side": "long"}, True, "got 'long', expected one of buy, sell; give for example side=buy"),
    ({"quiet": "perhaps"}, True, "expected true or false"),
    ({"label": 5}, False, "got 5, expected text; give for example label = \"x\""),
    ({"coins": "BTC"}, False, r"got 'BTC', expected a list of texts; give for example coins = \[\"BTC\"\]"),
    ({"sise": "1"}, True, r"Given has no parameter 'sise'; did you mean size"),
    ({"zzz": "1"}, True, "its parameters are coins, "),
    ({"limits.max_order": "1"}, True, "RiskLimits has no parameter 'max_order'; did you mean max_order_value"),
    ({"limits": {"max_order_value": "x"}}, False, "RiskLimits.max_order_value: got 'x', expected a whole number"),
    ({"limits.max_order_value": "-1"}, True, "max_order_value is a whole number from 0 up"),
    ({"size.x": "1"}, True, "Given.size has no parts"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "is_text", "says"), WRONG)
def test_a_wrong_value_is_named_with_what_is_expected_and_what_to_do(
    values: dict[str, Any], is_text: bool, says: str
) -> None:
    """Style: what was given, what was expected, what to do."""
    with pytest.raises(ConfigError, match=says):
        build(Given, values, "here", is_text=is_text)


def test_the_same_bounds_hold_for_a_strategy_made_in_python() -> None:
    with pytest.raises(
        ConfigError, match=r"MarketMaker.quote_value: got -5, expected a number \(quote currency\) above 0"
    ):
        MarketMaker(quote_value=-5)
    with pytest.raises(ConfigError, match="improve_ticks: got 'x', expected a whole number"):
        MarketMaker(improve_ticks="x")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"expected a list; give for example coins=\('BTC',\)"):
        MarketMaker(coins="BTC")  # type: ignore[arg-type]


def test_a_key_given_by_mistake_is_not_shown() -> None:
    """L123."""
    with pytest.raises(ConfigError) as caught:
        from_text(levels="ab" * 32)
    assert "ab" * 32 not in str(caught.value)


def test_files_and_settings_that_cannot_be_read_say_where(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("size = = 1\n")
    with pytest.raises(ConfigError, match=r"bad.toml is not TOML: .*line 1"):
        read_toml(tmp_path / "bad.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_toml(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="--set takes NAME=VALUE, got 'size'"):
        read_settings(["size"])


def test_parameters_describe_themselves() -> None:
    rows = {name: (kind, default, text) for name, kind, default, text in describe(Given)}
    assert (
        rows["size"] == ("a number (BTC) above 0", "0.001", "Of one order.") and rows["side"][0] == "one of buy, sell"
    )
    assert rows["timer_interval"][2] == "Seconds between calls of `on_timer`."
    assert "connector" not in rows and "may_trade" not in rows


def test_a_class_that_is_no_dataclass_and_gives_parameters_is_told() -> None:
    """Must not 31: nothing that is given is ignored."""

    class Forgotten(Given):
        coins = ("ETH",)

    with pytest.raises(ConfigError, match="Forgotten gives coins and is no dataclass"):
        Forgotten()


def test_a_prefix_is_made_of_the_name_and_must_not_mean_something_else() -> None:
    assert Given().order_prefix == "given" and MarketMaker().order_prefix == "hlmm"
    for taken in ("hl", "external", "manual"):
        with pytest.raises(ConfigError, match="no strategy placed"):
            Given(order_prefix=taken)
