"""Random calls of every signed method, as programs make them: the method's name, its arguments, and how to look at both.

Caller(module of Exchange, wallet, ...).run(call)       # (result or exception, body that was posted, caller's arguments)
"""

from __future__ import annotations

import copy
import random
from typing import Any

META = {"universe": [{"name": name, "szDecimals": d} for name, d in (("BTC", 5), ("ETH", 4), ("OP", 1), ("kPEPE", 0))]}
SPOT_META = {
    "universe": [
        {"tokens": [1, 0], "name": "PURR/USDC", "index": 0, "isCanonical": True},
        {"tokens": [2, 0], "name": "@8", "index": 8, "isCanonical": False},
    ],
    "tokens": [
        {"name": "USDC", "szDecimals": 8, "weiDecimals": 8, "index": 0},
        {"name": "PURR", "szDecimals": 0, "weiDecimals": 5, "index": 1},
        {"name": "KORILA", "szDecimals": 2, "weiDecimals": 8, "index": 2},
    ],
}
COINS = ("BTC", "ETH", "OP", "kPEPE", "PURR/USDC", "@8", "KORILA/USDC")
MIDS = {"BTC": "65012.5", "ETH": "3500.15", "OP": "1.23456", "kPEPE": "0.012345", "PURR/USDC": "0.2", "@8": "12.3456"}
MAINNET, TESTNET = "https://api.hyperliquid.xyz", "https://api.hyperliquid-testnet.xyz"


def address(rng: random.Random) -> str:
    text = f"0x{rng.getrandbits(160):040x}"
    return text if rng.random() < 0.5 else "0x" + text[2:].upper() if rng.random() < 0.1 else text


def number(rng: random.Random) -> float:
    """A price or size, now and then one that no wire can hold."""
    kind = rng.random()
    if kind < 0.9:
        return round(rng.uniform(0, 10 ** rng.randint(0, 6)), rng.randint(0, 8))
    if kind < 0.95:
        return rng.randint(0, 10**9)
    return rng.uniform(0, 1)


def order_type(rng: random.Random) -> dict[str, Any]:
    if rng.random() < 0.7:
        return {"limit": {"tif": rng.choice(("Gtc", "Ioc", "Alo"))}}
    trigger = [("triggerPx", number(rng)), ("isMarket", rng.random() < 0.5), ("tpsl", rng.choice(("tp", "sl")))]
    rng.shuffle(trigger)
    return {"trigger": dict(trigger)} if rng.random() < 0.97 else {}


def cloid(rng: random.Random, types: Any) -> Any:
    return types.Cloid.from_int(rng.getrandbits(128))


def order(rng: random.Random, types: Any) -> dict[str, Any]:
    made = {
        "coin": rng.choice(COINS) if rng.random() < 0.99 else "NONE",
        "is_buy": rng.random() < 0.5,
        "sz": number(rng),
        "limit_px": number(rng),
        "order_type": order_type(rng),
        "reduce_only": rng.random() < 0.2,
    }
    if rng.random() < 0.5:
        made["cloid"] = cloid(rng, types) if rng.random() < 0.8 else None
    return made


def some(rng: random.Random, make: Any, most: int = 4) -> list[Any]:
    return [make() for _ in range(rng.randint(1, most))]


def builder(rng: random.Random) -> Any:
    return {"b": "0x" + f"{rng.getrandbits(160):040X}", "f": rng.randint(0, 100)} if rng.random() < 0.3 else None


def oid(rng: random.Random, types: Any) -> Any:
    return rng.getrandbits(40) if rng.random() < 0.6 else cloid(rng, types)


def _order(rng: random.Random, t: Any) -> tuple[Any, dict[str, Any]]:
    made = order(rng, t)
    named = {"reduce_only": made["reduce_only"], "cloid": made.get("cloid"), "builder": builder(rng)}
    return (made["coin"], made["is_buy"], made["sz"], made["limit_px"], made["order_type"]), named


def _modify(rng: random.Random, t: Any) -> tuple[Any, dict[str, Any]]:
    args, named = _order(rng, t)
    del named["builder"]
    return (oid(rng, t), *args), named


def amount(rng: random.Random) -> float:
    return rng.choice((2, 1.23, round(rng.uniform(0.001, 1e6), 6), rng.randint(1, 1000)))


CALLS: dict[str, Any] = {
    "order": _order,
    "modify_order": _modify,
    "bulk_orders": lambda r, t: (
        (some(r, lambda: order(r, t), 20),),
        {"builder": builder(r), "grouping": r.choice(("na", "normalTpsl", "positionTpsl", {"p": r.randint(0, 50)}))},
    ),
    "bulk_modify_orders_new": lambda r, t: ((some(r, lambda: {"oid": oid(r, t), "order": order(r, t)}),), {}),
    "cancel": lambda r, t: ((r.choice(COINS), r.getrandbits(40)), {}),
    "bulk_cancel": lambda r, t: ((some(r, lambda: {"coin": r.choice(COINS), "oid": r.getrandbits(36)}, 20),), {}),
    "cancel_by_cloid": lambda r, t: ((r.choice(COINS), cloid(r, t)), {}),
    "bulk_cancel_by_cloid": lambda r, t: ((some(r, lambda: {"coin": r.choice(COINS), "cloid": cloid(r, t)}),), {}),
    "market_open": lambda r, t: (
        (r.choice(COINS), r.random() < 0.5, number(r)),
        {"px": r.choice((None, number(r))), "slippage": r.choice((0.05, 0.01)), "cloid": cloid(r, t)},
    ),
    "market_close": lambda r, t: (
        (r.choice(("ETH", "OP", "BTC")),),
        {"sz": r.choice((None, 0.1)), "builder": builder(r)},
    ),
    "schedule_cancel": lambda r, t: ((r.choice((None, r.getrandbits(41))),), {}),
    "update_leverage": lambda r, t: ((r.randint(1, 50), r.choice(COINS)), {"is_cross": r.random() < 0.5}),
    "update_isolated_margin": lambda r, t: ((r.choice((number(r), -2.5, 1e-7)), r.choice(COINS)), {}),
    "agent_enable_dex_abstraction": lambda r, t: ((), {}),
    "agent_set_abstraction": lambda r, t: ((r.choice("ipu"),), {}),
    "noop": lambda r, t: ((r.getrandbits(41),), {}),
    "gossip_priority_bid": lambda r, t: ((r.randint(0, 1), "1.2.3.4", r.getrandbits(30)), {}),
    "set_referrer": lambda r, t: (("CODE",), {}),
    "create_sub_account": lambda r, t: (("näme",), {}),
    "sub_account_transfer": lambda r, t: ((address(r), r.random() < 0.5, r.getrandbits(40)), {}),
    "sub_account_spot_transfer": lambda r, t: ((address(r), r.random() < 0.5, "PURR:0x1", amount(r)), {}),
    "vault_usd_transfer": lambda r, t: ((address(r), r.random() < 0.5, r.getrandbits(40)), {}),
    "use_big_blocks": lambda r, t: ((r.random() < 0.5,), {}),
    "usd_transfer": lambda r, t: ((amount(r), address(r)), {}),
    "spot_transfer": lambda r, t: ((amount(r), address(r), "PURR:0x1"), {}),
    "withdraw_from_bridge": lambda r, t: ((amount(r), address(r)), {}),
    "usd_class_transfer": lambda r, t: ((amount(r), r.random() < 0.5), {}),
    "send_asset": lambda r, t: ((address(r), "", "spot", "USDC", amount(r)), {}),
    "token_delegate": lambda r, t: ((address(r).lower(), r.getrandbits(50), r.random() < 0.5), {}),
    "approve_agent": lambda r, t: ((r.choice((None, "", "bot")),), {}),
    "approve_builder_fee": lambda r, t: ((address(r).lower(), "0.001%"), {}),
    "convert_to_multi_sig_user": lambda r, t: ((some(r, lambda: address(r)), r.randint(1, 4)), {}),
    "user_dex_abstraction": lambda r, t: ((address(r), r.random() < 0.5), {}),
    "user_set_abstraction": lambda r, t: ((address(r), r.choice(("unifiedAccount", "disabled"))), {}),
    "multi_sig": lambda r, t: (
        (
            address(r),
            r.choice(
                (
                    {"type": "order", "orders": [], "grouping": "na"},
                    {"type": "userSetAbstraction", "user": address(r), "abstraction": "unifiedAccount", "nonce": 1},
                )
            ),
            [{"r": "0x1", "s": "0x2", "v": 27}],
            r.getrandbits(41),
        ),
        {},
    ),
    "spot_deploy_register_token": lambda r, t: (("T", 2, 8, r.getrandbits(40), "Full"), {}),
    "spot_deploy_user_genesis": lambda r, t: ((r.randint(0, 99), [("0xAB", "1"), ("0xcd", "2")], [(1, "3")]), {}),
    "spot_deploy_enable_freeze_privilege": lambda r, t: ((r.randint(0, 99),), {}),
    "spot_deploy_revoke_freeze_privilege": lambda r, t: ((r.randint(0, 99),), {}),
    "spot_deploy_enable_quote_token": lambda r, t: ((r.randint(0, 99),), {}),
    "spot_deploy_freeze_user": lambda r, t: ((r.randint(0, 99), "0xAB", r.random() < 0.5), {}),
    "spot_deploy_genesis": lambda r, t: ((r.randint(0, 99), "1000000", r.random() < 0.5), {}),
    "spot_deploy_register_spot": lambda r, t: ((r.randint(0, 99), 0), {}),
    "spot_deploy_register_hyperliquidity": lambda r, t: ((1, 0.5, 2.0, 10, r.choice((None, 3))), {}),
    "spot_deploy_set_deployer_trading_fee_share": lambda r, t: ((1, "10%"), {}),
    "perp_deploy_register_asset": lambda r, t: (
        (
            "test",
            r.choice((None, 100)),
            "test:ABC",
            2,
            "10.0",
            10,
            r.random() < 0.5,
            r.choice(
                (
                    None,
                    {"fullName": "Test", "collateralToken": 0, "oracleUpdater": r.choice((None, "0xABC"))},
                )
            ),
        ),
        {},
    ),
    "perp_deploy_set_oracle": lambda r, t: (("test", {"b": "1", "a": "2"}, [{"b": "3", "a": "4"}, {}], {"c": "5"}), {}),
    "c_signer_unjail_self": lambda r, t: ((), {}),
    "c_signer_jail_self": lambda r, t: ((), {}),
    "c_validator_register": lambda r, t: (("1.2.3.4", "n", "d", False, 5, "0xab", True, r.getrandbits(50)), {}),
    "c_validator_change_profile": lambda r, t: ((r.choice((None, "1.2.3.4")), None, "d", True, None, None, None), {}),
    "c_validator_unregister": lambda r, t: ((), {}),
}
LIKELY = ("order", "bulk_orders", "cancel", "bulk_cancel", "cancel_by_cloid", "modify_order", "bulk_modify_orders_new")
USER_STATE = {
    "assetPositions": [
        {"type": "oneWay", "position": {"coin": "ETH", "szi": "-1.5"}},
        {"type": "oneWay", "position": {"coin": "OP", "szi": "20.0"}},
    ]
}


def exchange_of(module: Any, wallet: Any, base_url: str, vault: str | None) -> Any:
    """An `Exchange` of either library whose requests end in `.posted`."""

    class Captured(module.Exchange):  # type: ignore[misc,name-defined]
        def post(self, url_path: str, payload: Any = None) -> Any:
            self.posted.append(copy.deepcopy((url_path, payload)))
            return {"status": "ok"}

        posted: list[Any] = []

    made = Captured(wallet, base_url, meta=META, spot_meta=SPOT_META, vault_address=vault)
    made.posted = []
    made.info.post = lambda path, payload=None: USER_STATE if payload["type"] == "clearinghouseState" else MIDS
    return made


def keys(value: Any) -> Any:
    """A value with its order of keys, which is signed."""
    if isinstance(value, dict):
        return [(key, keys(inner)) for key, inner in value.items()]
    return [keys(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def outcome(exchange: Any, name: str, args: Any, named: Any) -> Any:
    """(what came back, what was posted): exceptions by type and arguments."""
    exchange.posted.clear()
    try:
        result = getattr(exchange, name)(*args, **named)
    except Exception as error:
        return (type(error).__name__, error.args), []
    if name == "approve_agent":
        result = result[0], len(result[1])
    return result, keys(exchange.posted)
