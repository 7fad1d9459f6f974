"""Wires, hashes, signatures and numbers with the official SDK's names (layer 5), on hlfast's compiled core.

    sign_l1_action(wallet, action, vault_or_none, nonce, expires_after_or_none, is_mainnet)   # {"r", "s", "v"}

Actions are signed in the order of keys that they have: the caller decides, as there. The compiled signer, msgpack and
eth-account are loaded when first needed. Differs from the SDK: NaN and infinities are no numbers, -0.0 is "0", and
`Decimal` and text are read exactly.
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hlfast.clock import wall_clock_ms
from hlfast.compat.hyperliquid import foreign
from hlfast.compat.hyperliquid.utils.types import Cloid, Literal, NotRequired, Optional, TypedDict, Union
from hlfast.core.fixed import float_to_wire as _exact_text
from hlfast.errors import RangeError

if TYPE_CHECKING:
    from collections.abc import Callable

__getattr__ = foreign.names(
    __name__,
    Account="eth_account:Account",
    encode_typed_data="eth_account.messages:encode_typed_data",
    keccak="eth_utils:keccak",
    to_hex="eth_utils:to_hex",
    msgpack="msgpack",
    time="time",
)

# -- types --------------------------------------------------------------------------------------------------------------
Tif = Union[Literal["Alo"], Literal["Ioc"], Literal["Gtc"]]
Tpsl = Union[Literal["tp"], Literal["sl"]]
LimitOrderType = TypedDict("LimitOrderType", {"tif": Tif})
TriggerOrderType = TypedDict("TriggerOrderType", {"triggerPx": float, "isMarket": bool, "tpsl": Tpsl})
TriggerOrderTypeWire = TypedDict("TriggerOrderTypeWire", {"triggerPx": str, "isMarket": bool, "tpsl": Tpsl})
OrderType = TypedDict("OrderType", {"limit": LimitOrderType, "trigger": TriggerOrderType}, total=False)
OrderTypeWire = TypedDict("OrderTypeWire", {"limit": LimitOrderType, "trigger": TriggerOrderTypeWire}, total=False)
OrderRequest = TypedDict(
    "OrderRequest",
    {
        "coin": str,
        "is_buy": bool,
        "sz": float,
        "limit_px": float,
        "order_type": OrderType,
        "reduce_only": bool,
        "cloid": NotRequired[Optional[Cloid]],
    },
    total=False,
)
OidOrCloid = Union[int, Cloid]
ModifyRequest = TypedDict("ModifyRequest", {"oid": OidOrCloid, "order": OrderRequest}, total=False)
CancelRequest = TypedDict("CancelRequest", {"coin": str, "oid": int})
CancelByCloidRequest = TypedDict("CancelByCloidRequest", {"coin": str, "cloid": Cloid})
PriorityGrouping = TypedDict("PriorityGrouping", {"p": int})
Grouping = Union[Literal["na"], Literal["normalTpsl"], Literal["positionTpsl"], PriorityGrouping]
Order = TypedDict(
    "Order", {"asset": int, "isBuy": bool, "limitPx": float, "sz": float, "reduceOnly": bool, "cloid": Optional[Cloid]}
)
OrderWire = TypedDict(
    "OrderWire",
    {"a": int, "b": bool, "p": str, "s": str, "r": bool, "t": OrderTypeWire, "c": NotRequired[Optional[str]]},
)
ModifyWire = TypedDict("ModifyWire", {"oid": int, "order": OrderWire})
ScheduleCancelAction = TypedDict(
    "ScheduleCancelAction", {"type": Literal["scheduleCancel"], "time": NotRequired[Optional[int]]}
)


# -- fields of user-signed actions --------------------------------------------------------------------------------------
def _fields(*described):
    # type: (str) -> list[dict[str, str]]
    """`"type name"` texts as EIP-712 fields, the network's binding first."""
    pairs = [one.split() for one in ("string hyperliquidChain", *described)]
    return [{"name": name, "type": kind} for kind, name in pairs]


USD_SEND_SIGN_TYPES = _fields("string destination", "string amount", "uint64 time")
SPOT_TRANSFER_SIGN_TYPES = _fields("string destination", "string token", "string amount", "uint64 time")
WITHDRAW_SIGN_TYPES = _fields("string destination", "string amount", "uint64 time")
USD_CLASS_TRANSFER_SIGN_TYPES = _fields("string amount", "bool toPerp", "uint64 nonce")
SEND_ASSET_SIGN_TYPES = _fields(
    "string destination",
    "string sourceDex",
    "string destinationDex",
    "string token",
    "string amount",
    "string fromSubAccount",
    "uint64 nonce",
)
USER_DEX_ABSTRACTION_SIGN_TYPES = _fields("address user", "bool enabled", "uint64 nonce")
USER_SET_ABSTRACTION_SIGN_TYPES = _fields("address user", "string abstraction", "uint64 nonce")
TOKEN_DELEGATE_TYPES = _fields("address validator", "uint64 wei", "bool isUndelegate", "uint64 nonce")
CONVERT_TO_MULTI_SIG_USER_SIGN_TYPES = _fields("string signers", "uint64 nonce")
MULTI_SIG_ENVELOPE_SIGN_TYPES = _fields("bytes32 multiSigActionHash", "uint64 nonce")
_APPROVE_AGENT_TYPES = _fields("address agentAddress", "string agentName", "uint64 nonce")
_APPROVE_BUILDER_FEE_TYPES = _fields("string maxFeeRate", "address builder", "uint64 nonce")

_DOMAIN_FIELDS = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]
_NOBODY = "0x" + "0" * 40


# -- the compiled core, loaded on first use -----------------------------------------------------------------------------
class _Core:
    """Bound by the first signature: msgpack's packer, keccak, the phantom agent's digest, and the signer of a wallet."""

    packb: "Callable[[Any], bytes]"
    keccak256: "Callable[[Any], bytes]"
    agent_digest: "Callable[[bytes, bool], bytes]"
    signer_of: "Callable[[Any], Any]"
    is_loaded = False

    @classmethod
    def load(cls):
        # type: () -> None
        import msgpack  # type: ignore[import-untyped]

        from hlfast.compat.hyperliquid import wallets
        from hlfast.venues.hyperliquid import sign

        cls.packb = staticmethod(msgpack.packb)
        cls.keccak256 = staticmethod(sign.keccak256)
        cls.agent_digest = staticmethod(sign.agent_digest)
        cls.signer_of = staticmethod(wallets.signer_of)
        cls.is_loaded = True


# -- wires --------------------------------------------------------------------------------------------------------------
def order_type_to_wire(order_type: OrderType) -> OrderTypeWire:
    """The wire's `t`: a limit's inner dict as it is, a trigger with its price as text."""
    if "limit" in order_type:
        return {"limit": order_type["limit"]}
    if "trigger" in order_type:
        trigger = order_type["trigger"]
        return {
            "trigger": {
                "isMarket": trigger["isMarket"],
                "triggerPx": float_to_wire(trigger["triggerPx"]),
                "tpsl": trigger["tpsl"],
            }
        }
    raise ValueError("Invalid order type", order_type)


def order_request_to_order_wire(order: OrderRequest, asset: int) -> OrderWire:
    """One order as the venue takes it: a, b, p, s, r, t and, with a cloid, c."""
    wire: OrderWire = {
        "a": asset,
        "b": order["is_buy"],
        "p": float_to_wire(order["limit_px"]),
        "s": float_to_wire(order["sz"]),
        "r": order["reduce_only"],
        "t": order_type_to_wire(order["order_type"]),
    }
    cloid = order.get("cloid")
    if cloid is not None:
        wire["c"] = cloid.to_raw()
    return wire


def order_wires_to_order_action(order_wires: list[OrderWire], builder: Any = None, grouping: Grouping = "na") -> Any:
    """The `order` action; `builder` only if there is one."""
    action = {"type": "order", "orders": order_wires, "grouping": grouping}
    if builder:
        action["builder"] = builder
    return action


# -- hashes -------------------------------------------------------------------------------------------------------------
def address_to_bytes(address):
    # type: (str) -> bytes
    return bytes.fromhex(address[2:] if address.startswith("0x") else address)


def action_hash(action, vault_address, nonce, expires_after):
    # type: (Any, str | None, int, int | None) -> bytes
    """The 32 bytes that stand for an L1 action: keccak over its msgpack, nonce, vault and expiry."""
    if not _Core.is_loaded:
        _Core.load()
    data = _Core.packb(action) + nonce.to_bytes(8, "big")
    data += b"\x00" if vault_address is None else b"\x01" + address_to_bytes(vault_address)
    if expires_after is not None:
        data += b"\x00" + expires_after.to_bytes(8, "big")
    return _Core.keccak256(data)


def construct_phantom_agent(hash, is_mainnet):
    # type: (bytes, bool) -> dict[str, Any]
    return {"source": "a" if is_mainnet else "b", "connectionId": hash}


def l1_payload(phantom_agent):
    # type: (Any) -> dict[str, Any]
    """The full EIP-712 message of an L1 action."""
    return {
        "domain": {"chainId": 1337, "name": "Exchange", "verifyingContract": _NOBODY, "version": "1"},
        "types": {
            "Agent": [{"name": "source", "type": "string"}, {"name": "connectionId", "type": "bytes32"}],
            "EIP712Domain": [dict(field) for field in _DOMAIN_FIELDS],
        },
        "primaryType": "Agent",
        "message": phantom_agent,
    }


def user_signed_payload(primary_type, payload_types, action):
    # type: (str, Any, Any) -> dict[str, Any]
    """The full EIP-712 message of a user-signed action; its chain id is the action's `signatureChainId`."""
    return {
        "domain": {
            "name": "HyperliquidSignTransaction",
            "version": "1",
            "chainId": int(action["signatureChainId"], 16),
            "verifyingContract": _NOBODY,
        },
        "types": {primary_type: payload_types, "EIP712Domain": [dict(field) for field in _DOMAIN_FIELDS]},
        "primaryType": primary_type,
        "message": action,
    }


# -- signatures ---------------------------------------------------------------------------------------------------------
def sign_inner(wallet, data):
    # type: (Any, Any) -> Any
    """Sign a full EIP-712 message: {"r", "s", "v"}, hex without padding."""
    from hlfast.compat.hyperliquid import typed_data, wallets

    message = data.get("message") if isinstance(data, dict) else None
    kind = message.get("type") if isinstance(message, dict) else None
    return wallets.sign(wallet, typed_data.encode(data), kind)


def sign_l1_action(wallet, action, active_pool, nonce, expires_after, is_mainnet):
    # type: (Any, Any, str | None, int, int | None, bool) -> Any
    """Sign an L1 action. `active_pool`: the vault or sub-account that is acted for, or None."""
    hash = action_hash(action, active_pool, nonce, expires_after)
    if sign_inner is _sign_inner and l1_payload is _l1_payload and construct_phantom_agent is _construct:
        signer = _Core.signer_of(wallet)
        if signer is not None:  # the same digest, without its description
            kind = action.get("type") if isinstance(action, dict) else None
            return signer.sign_hash(_Core.agent_digest(hash, bool(is_mainnet)), kind)
    return sign_inner(wallet, l1_payload(construct_phantom_agent(hash, is_mainnet)))


def sign_user_signed_action(wallet, action, payload_types, primary_type, is_mainnet):
    # type: (Any, Any, Any, str, bool) -> Any
    """Sign an action as readable typed data. `signatureChainId` and `hyperliquidChain` are added to it in place."""
    action["signatureChainId"] = "0x66eee"
    action["hyperliquidChain"] = "Mainnet" if is_mainnet else "Testnet"
    return sign_inner(wallet, user_signed_payload(primary_type, payload_types, action))


_sign_inner, _l1_payload, _construct = sign_inner, l1_payload, construct_phantom_agent


def sign_usd_transfer_action(wallet, action, is_mainnet):
    # type: (Any, Any, bool) -> Any
    return sign_user_signed_action(wallet, action, USD_SEND_SIGN_TYPES, "HyperliquidTransaction:UsdSend", is_mainnet)


def sign_spot_transfer_action(wallet, action, is_mainnet):
    # type: (Any, Any, bool) -> Any
    return sign_user_signed_action(
        wallet, action, SPOT_TRANSFER_SIGN_TYPES, "HyperliquidTransaction:SpotSend", is_mainnet
    )


def sign_withdraw_from_bridge_action(wallet, action, is_mainnet):
    # type: (Any, Any, bool) -> Any
    return sign_user_signed_action(wallet, action, WITHDRAW_SIGN_TYPES, "HyperliquidTransaction:Withdraw", is_mainnet)


def sign_usd_class_transfer_action(wallet, action, is_mainnet):
    # type: (Any, Any, bool) -> Any
    return sign_user_signed_action(
        wallet, action, USD_CLASS_TRANSFER_SIGN_TYPES, "HyperliquidTransaction:UsdClassTransfer", is_mainnet
    )


def sign_send_asset_action(wallet, action, is_mainnet):
    # type: (Any, Any, bool) -> Any
    return sign_user_signed_action(
        wallet, action, SEND_ASSET_SIGN_TYPES, "HyperliquidTransaction:SendAsset", is_mainnet
    )


def sign_user_dex_abstraction_action(wallet, action, is_mainnet):
    # type: (Any, Any, bool) -> Any
    return sign_user_signed_action(
        wallet, action, USER_DEX_ABSTRACTION_SIGN_TYPES, "HyperliquidTransaction:UserDexAbstraction", is_mainnet
    )


def sign_user_set_abstraction_action(wallet, action, is_mainnet):
    # type: (Any, Any, bool) -> Any
    return sign_user_signed_action(
        wallet, action, USER_SET_ABSTRACTION_SIGN_TYPES, "HyperliquidTransaction:UserSetAbstraction", is_mainnet
    )


def sign_convert_to_multi_sig_user_action(wallet, action, is_mainnet):
    # type: (Any, Any, bool) -> Any
    return sign_user_signed_action(
        wallet, action, CONVERT_TO_MULTI_SIG_USER_SIGN_TYPES, "HyperliquidTransaction:ConvertToMultiSigUser", is_mainnet
    )


def sign_agent(wallet, action, is_mainnet):
    # type: (Any, Any, bool) -> Any
    return sign_user_signed_action(
        wallet, action, _APPROVE_AGENT_TYPES, "HyperliquidTransaction:ApproveAgent", is_mainnet
    )


def sign_approve_builder_fee(wallet, action, is_mainnet):
    # type: (Any, Any, bool) -> Any
    return sign_user_signed_action(
        wallet, action, _APPROVE_BUILDER_FEE_TYPES, "HyperliquidTransaction:ApproveBuilderFee", is_mainnet
    )


def sign_token_delegate_action(wallet, action, is_mainnet):
    # type: (Any, Any, bool) -> Any
    return sign_user_signed_action(
        wallet, action, TOKEN_DELEGATE_TYPES, "HyperliquidTransaction:TokenDelegate", is_mainnet
    )


# -- multi-sig ----------------------------------------------------------------------------------------------------------
def add_multi_sig_types(sign_types):
    # type: (Any) -> list[dict[str, str]]
    """The fields with the multi-sig user and the outer signer after `hyperliquidChain`, where there is one."""
    enriched: list[dict[str, str]] = []
    for field in sign_types:
        enriched.append(field)
        if field["name"] == "hyperliquidChain":
            enriched.append({"name": "payloadMultiSigUser", "type": "address"})
            enriched.append({"name": "outerSigner", "type": "address"})
    if len(enriched) == len(sign_types):
        import logging

        logging.getLogger("hlfast.compat").warning(
            "these fields have no hyperliquidChain, so the multi-sig user and the outer signer are not among what is signed"
        )
    return enriched


def add_multi_sig_fields(action, payload_multi_sig_user, outer_signer):
    # type: (Any, str, str) -> Any
    """A copy of `action` with both addresses, in lower case."""
    action = action.copy()
    action["payloadMultiSigUser"] = payload_multi_sig_user.lower()
    action["outerSigner"] = outer_signer.lower()
    return action


def sign_multi_sig_user_signed_action_payload(
    wallet, action, is_mainnet, sign_types, tx_type, payload_multi_sig_user, outer_signer
):
    # type: (Any, Any, bool, Any, str, str, str) -> Any
    """One authorised user's signature of a user-signed action."""
    envelope = add_multi_sig_fields(action, payload_multi_sig_user, outer_signer)
    return sign_user_signed_action(wallet, envelope, add_multi_sig_types(sign_types), tx_type, is_mainnet)


def sign_multi_sig_l1_action_payload(
    wallet, action, is_mainnet, vault_address, timestamp, expires_after, payload_multi_sig_user, outer_signer
):
    # type: (Any, Any, bool, str | None, int, int | None, str, str) -> Any
    """One authorised user's signature of an L1 action."""
    envelope = [payload_multi_sig_user.lower(), outer_signer.lower(), action]
    return sign_l1_action(wallet, envelope, vault_address, timestamp, expires_after, is_mainnet)


def sign_multi_sig_action(wallet, action, is_mainnet, vault_address, nonce, expires_after):
    # type: (Any, Any, bool, str | None, int, int | None) -> Any
    """The outer signer's signature of a whole multi-sig action."""
    untagged = action.copy()
    del untagged["type"]
    envelope = {"multiSigActionHash": action_hash(untagged, vault_address, nonce, expires_after), "nonce": nonce}
    return sign_user_signed_action(
        wallet, envelope, MULTI_SIG_ENVELOPE_SIGN_TYPES, "HyperliquidTransaction:SendMultiSig", is_mainnet
    )


# -- who signed ---------------------------------------------------------------------------------------------------------
def recover_agent_or_user_from_l1_action(action, signature, active_pool, nonce, expires_after, is_mainnet):
    # type: (Any, Any, str | None, int, int | None, bool) -> str
    """The checksummed address that signed an L1 action."""
    from hlfast.compat.hyperliquid import typed_data

    agent = construct_phantom_agent(action_hash(action, active_pool, nonce, expires_after), is_mainnet)
    return typed_data.recover(typed_data.encode(l1_payload(agent)), signature)


def recover_user_from_user_signed_action(action, signature, payload_types, primary_type, is_mainnet):
    # type: (Any, Any, Any, str, bool) -> str
    """The checksummed address that signed a user-signed action. Sets its `hyperliquidChain` in place."""
    from hlfast.compat.hyperliquid import typed_data

    action["hyperliquidChain"] = "Mainnet" if is_mainnet else "Testnet"
    return typed_data.recover(typed_data.encode(user_signed_payload(primary_type, payload_types, action)), signature)


# -- numbers ------------------------------------------------------------------------------------------------------------
_PLAIN = 1e14  # below it the compiled writer and Python's formatting say the same


def float_to_wire(x: float) -> str:
    """The venue's text of a number: at most 8 decimals, no exponent, no zeros at the end.

    Raises `ValueError` for what 8 decimals cannot hold to 1e-12, and for NaN and infinities.
    """
    if type(x) is float:
        if -_PLAIN < x < _PLAIN:
            try:
                return _exact_text(x)
            except RangeError:
                raise ValueError("float_to_wire causes rounding", x) from None
        if x != x or x in (float("inf"), float("-inf")):
            raise ValueError("float_to_wire takes finite numbers", x)
    elif isinstance(x, (str, int, Decimal)):
        return _text_of_exact(x)
    rounded = f"{x:.8f}"
    if rounded in ("nan", "inf", "-inf"):
        raise ValueError("float_to_wire takes finite numbers", x)
    if abs(float(rounded) - x) >= 1e-12:
        raise ValueError("float_to_wire causes rounding", x)
    text = f"{Decimal(rounded).normalize():f}"
    return "0" if text == "-0" else text


def _text_of_exact(x):
    # type: (str | int | Decimal) -> str
    try:
        return _exact_text(int(x) if isinstance(x, bool) else x)
    except RangeError as error:
        text = "float_to_wire causes rounding" if "decimals" in str(error) else "float_to_wire takes finite numbers"
        raise ValueError(text, x) from None


def float_to_int_for_hashing(x: float) -> int:
    return float_to_int(x, 8)


def float_to_usd_int(x: float) -> int:
    return float_to_int(x, 6)


def float_to_int(x: float, power: int) -> int:
    """`x` scaled by 10**power. Raises `ValueError` if that is 1e-3 or more away from a whole number."""
    if isinstance(x, (str, Decimal)):
        return _int_of_exact(x, power)
    scaled = x * 10**power
    if abs(round(scaled) - scaled) >= 1e-3:
        raise ValueError("float_to_int causes rounding", x)
    found: int = round(scaled)
    return found


def _int_of_exact(x, power):
    # type: (str | Decimal, int) -> int
    from hlfast.core.fixed import EXACT, number_to_decimal

    try:
        scaled = EXACT.scaleb(number_to_decimal(x), power)
    except RangeError:
        raise ValueError("float_to_int takes finite numbers", x) from None
    if scaled != scaled.to_integral_value():
        raise ValueError("float_to_int causes rounding", x)
    return int(scaled)


def get_timestamp_ms() -> int:
    """The wall clock in ms. `Exchange` makes unique nonces of it."""
    return wall_clock_ms()
