"""Shadow mode (layer 5): the official SDK runs beside the drop-in and every difference is told.

    HLFAST_SHADOW=1 python bot.py            # or shadow.enable() before the program's first call

For those who want proof before they move. All that does not touch the network runs twice, on copies of the same
arguments: wires, hashes, signatures, recovery, numbers, identifiers, cloids and the prices of market orders. The
drop-in's result is used. A difference is logged as a WARNING that names the function (never a signature or a key),
counted in `report()` and kept by name. Differences that are meant (NaN, -0, `Decimal`, exponents, builder dexs' grids)
are not told. Costs what the SDK costs; needs it installed.
"""

from __future__ import annotations

import copy
import functools
import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

OURS = "hlfast.compat.hyperliquid"
VARIABLE = "HLFAST_SHADOW"
log = logging.getLogger("hlfast.compat")

SIGNING = (
    "order_type_to_wire",
    "order_request_to_order_wire",
    "order_wires_to_order_action",
    "address_to_bytes",
    "action_hash",
    "construct_phantom_agent",
    "l1_payload",
    "user_signed_payload",
    "sign_inner",
    "sign_l1_action",
    "sign_user_signed_action",
    "sign_usd_transfer_action",
    "sign_spot_transfer_action",
    "sign_withdraw_from_bridge_action",
    "sign_usd_class_transfer_action",
    "sign_send_asset_action",
    "sign_user_dex_abstraction_action",
    "sign_user_set_abstraction_action",
    "sign_convert_to_multi_sig_user_action",
    "sign_agent",
    "sign_approve_builder_fee",
    "sign_token_delegate_action",
    "sign_multi_sig_action",
    "sign_multi_sig_l1_action_payload",
    "sign_multi_sig_user_signed_action_payload",
    "add_multi_sig_types",
    "add_multi_sig_fields",
    "recover_agent_or_user_from_l1_action",
    "recover_user_from_user_signed_action",
    "float_to_wire",
    "float_to_int",
    "float_to_int_for_hashing",
    "float_to_usd_int",
)
STREAMS = ("subscription_to_identifier", "ws_msg_to_identifier")

calls: Counter[str] = Counter()
differences: Counter[str] = Counter()
_put_back: list[tuple[Any, str, Any]] = []
_inside = threading.local()


def original(name: str) -> ModuleType:
    """A module of the installed SDK. Raises `ImportError` without it.

    Where the program has not imported it, or the drop-in stands under its name, it is loaded apart from `sys.modules`:
    `install()` is still possible.
    """
    there = sys.modules.get("hyperliquid")
    if there is not None and not there.__name__.startswith(OURS):
        return import_module(f"hyperliquid.{name}")
    with _loading:
        if name not in _originals:
            ours = {k: v for k, v in sys.modules.items() if k.split(".")[0] == "hyperliquid"}
            for key in ours:
                del sys.modules[key]
            try:
                sys.modules.update(_package)
                _originals[name] = import_module(f"hyperliquid.{name}")
                _package.update((k, v) for k, v in sys.modules.items() if k.split(".")[0] == "hyperliquid")
            finally:
                for key in [k for k in sys.modules if k.split(".")[0] == "hyperliquid"]:
                    del sys.modules[key]
                sys.modules.update(ours)
        return _originals[name]


_originals: dict[str, ModuleType] = {}
_package: dict[str, ModuleType] = {}
_loading = threading.RLock()


def report() -> dict[str, Any]:
    """How often what ran on both sides, and how often they did not agree, by name."""
    return {"calls": dict(calls), "differences": dict(differences)}


def enable() -> bool:
    """Run the original beside everything from now on. False, with a warning, if the SDK is not installed."""
    if _put_back:
        return True
    try:
        theirs, their_streams, their_exchange = (
            original(n) for n in ("utils.signing", "websocket_manager", "exchange")
        )
        their_types = original("utils.types")
    except ImportError as error:
        log.warning("%s is set, but the official SDK cannot be imported (%s): nothing is compared", VARIABLE, error)
        return False
    signing, streams, exchange = (
        import_module(f"{OURS}.{n}") for n in ("utils.signing", "websocket_manager", "exchange")
    )
    for name in SIGNING:
        _wrap(signing, name, getattr(theirs, name), (exchange,))
    for name in STREAMS:
        _wrap(streams, name, getattr(their_streams, name), ())
    types = import_module(f"{OURS}.utils.types")
    _set(types.Cloid, "_validate", _beside_cloid(types.Cloid._validate, their_types.Cloid))
    _set(
        exchange.Exchange, "_slippage_price", _beside_price(exchange.Exchange._slippage_price, their_exchange.Exchange)
    )
    return True


def disable() -> None:
    """Take the original out again."""
    while _put_back:
        owner, name, own = _put_back.pop()
        setattr(owner, name, own)


def _set(owner: Any, name: str, value: Any) -> None:
    _put_back.append((owner, name, getattr(owner, name)))
    setattr(owner, name, value)


def _wrap(module: ModuleType, name: str, theirs: Callable[..., Any], users: tuple[ModuleType, ...]) -> None:
    own = getattr(module, name)
    beside = _beside(name, own, theirs)
    for owner in (module, *users):
        if getattr(owner, name, None) is own:
            _set(owner, name, beside)


def _copy_of(value: Any) -> Any:
    """A copy for the other side; what cannot be copied, such as a wallet, is shared."""
    if isinstance(value, dict):
        return {k: _copy_of(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(_copy_of(v) for v in value)
    return value if hasattr(value, "sign_message") or hasattr(value, "to_raw") else copy.copy(value)


def _result(call: Callable[..., Any], args: Any, named: Any) -> tuple[Any, BaseException | None]:
    try:
        return call(*args, **named), None
    except Exception as error:
        return None, error


def _beside(name: str, own: Callable[..., Any], theirs: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(own)
    def both(*args: Any, **named: Any) -> Any:
        if getattr(_inside, "depth", 0):  # the original's own calls, and ours, are part of one comparison
            return own(*args, **named)
        if name.startswith("sign_") and args and not hasattr(args[0], "sign_message"):
            return own(*args, **named)  # hlfast's own signer, which the original does not know
        copied_args, copied_named = _copy_of(args), _copy_of(named)
        _inside.depth = 1
        try:
            mine, my_error = _result(own, args, named)
            expected, their_error = _result(theirs, copied_args, copied_named)
        finally:
            _inside.depth = 0
        calls[name] += 1
        if not _agree(mine, my_error, expected, their_error) or (
            my_error is None and [_plain(a) for a in args] != [_plain(a) for a in copied_args]
        ):
            _tell(name)
        if my_error is not None:
            raise my_error
        return mine

    return both


def _plain(value: Any) -> Any:
    return list(value.items()) if isinstance(value, dict) else None


def _agree(mine: Any, my_error: Any, theirs: Any, their_error: Any) -> bool:
    if my_error is None and their_error is None:
        return bool(mine == theirs) or (mine == "0" and theirs == "-0")
    if my_error is None:
        # we read Decimal and text exactly, and know more streams
        return isinstance(their_error, (TypeError, ValueError)) and "rounding" not in str(their_error)
    if their_error is None:
        return "finite" in str(my_error)
    return type(my_error).__name__ == type(their_error).__name__ or "finite" in str(my_error)


def _tell(name: str) -> None:
    differences[name] += 1
    log.warning("shadow: %s does not give what the official SDK gives (%d so far)", name, differences[name])


def _beside_cloid(own: Callable[..., Any], theirs: Any) -> Callable[..., Any]:
    @functools.wraps(own)
    def both(self: Any) -> None:
        _, expected = _result(theirs, (self._raw_cloid,), {})
        _, error = _result(own, (self,), {})
        calls["Cloid"] += 1
        if (error is None) != (expected is None) and str(error) != "cloid is not a hex string":
            _tell("Cloid")
        if error is not None:
            raise error

    return both


def _beside_price(own: Callable[..., Any], theirs: Any) -> Callable[..., Any]:
    @functools.wraps(own)
    def both(self: Any, name: str, is_buy: bool, slippage: float, px: float | None = None) -> Any:
        mine = own(self, name, is_buy, slippage, px)
        asset = self.info.coin_to_asset[self.info.name_to_coin[name]]
        if px and asset < 100_000:  # without a price both would have to ask the venue
            expected, error = _result(theirs._slippage_price, (self, name, is_buy, slippage, px), {})
            calls["_slippage_price"] += 1
            if error is not None or expected != mine:
                _tell("_slippage_price")
        return mine

    return both
