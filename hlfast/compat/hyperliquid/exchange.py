"""`Exchange`: every signed action of the official SDK (layer 5).

    exchange = Exchange(wallet, base_url); exchange.order("ETH", True, 0.2, 1100, {"limit": {"tif": "Gtc"}})

Calls return what the venue answered; a refusal is an answer. Differs from the SDK: nonces are unique over threads and
instances; what is posted carries the vault that was signed; the caller's dicts are left alone; a lost answer is raised
as an outcome that is not known. Names that this module binds are looked up at each call, so that a program may put its
own in their place.
"""

import json
import logging
from typing import TYPE_CHECKING

from hlfast.compat.hyperliquid import endpoints, foreign, live_prices, nonces
from hlfast.compat.hyperliquid.api import API
from hlfast.compat.hyperliquid.info import DEX_ASSETS, DEX_STEP, SPOT_ASSETS, Info
from hlfast.compat.hyperliquid.utils.constants import MAINNET_API_URL  # noqa: F401  a name of the SDK's
from hlfast.compat.hyperliquid.utils.signing import (
    CancelByCloidRequest,
    CancelRequest,
    Grouping,
    ModifyRequest,
    OidOrCloid,
    OrderRequest,
    OrderType,
    OrderWire,
    ScheduleCancelAction,
    float_to_usd_int,
    get_timestamp_ms,
    order_request_to_order_wire,
    order_wires_to_order_action,
    sign_agent,
    sign_approve_builder_fee,
    sign_convert_to_multi_sig_user_action,
    sign_l1_action,
    sign_multi_sig_action,
    sign_send_asset_action,
    sign_spot_transfer_action,
    sign_token_delegate_action,
    sign_usd_class_transfer_action,
    sign_usd_transfer_action,
    sign_user_dex_abstraction_action,
    sign_user_set_abstraction_action,
    sign_withdraw_from_bridge_action,
)
from hlfast.compat.hyperliquid.utils.types import (
    Abstraction,
    AgentAbstraction,
    Any,
    BuilderInfo,
    Cloid,
    Dict,
    List,
    Meta,
    Optional,
    PerpDexSchemaInput,
    SpotMeta,
    Tuple,
)

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__getattr__ = foreign.names(
    __name__,
    eth_account="eth_account",
    LocalAccount="eth_account.signers.local:LocalAccount",
    secrets="secrets",  # loads OpenSSL's hashes
)

_system_clock = get_timestamp_ms
_log = logging.getLogger("hlfast.compat")

USER_SET_ABSTRACTION_WIRE_VALUES = {"disabled": "i", "unifiedAccount": "u", "portfolioMargin": "p"}

WITHOUT_VAULT = frozenset(
    (
        "setReferrer",
        "createSubAccount",
        "subAccountTransfer",
        "subAccountSpotTransfer",
        "vaultTransfer",
        "evmUserModify",
        "spotDeploy",
        "perpDeploy",
        "CSignerAction",
        "CValidatorAction",
    )
)
"""L1 actions that are hashed without a vault, and so posted without one."""
USER_SIGNED = frozenset(
    (
        "usdSend",
        "spotSend",
        "withdraw3",
        "usdClassTransfer",
        "sendAsset",
        "tokenDelegate",
        "approveAgent",
        "approveBuilderFee",
        "convertToMultiSigUser",
        "userDexAbstraction",
        "userSetAbstraction",
    )
)
"""Actions signed as readable text: they have neither a vault nor an expiry."""


class _MultiSigAction(dict[str, Any]):
    """A multi-sig action that remembers the vault it was hashed with."""

    vault_address: Optional[str] = None


def _get_dex(coin: str) -> str:
    """The builder dex in a coin's name; "" for the main one."""
    return coin.split(":")[0] if ":" in coin else ""


def _multi_sig_payload_action(inner_action):
    # type: (Any) -> Any
    """The inner action as it goes into a multi-sig payload: an abstraction by its wire letter, in a copy."""
    if inner_action.get("type") != "userSetAbstraction":
        return inner_action
    letter = USER_SET_ABSTRACTION_WIRE_VALUES.get(inner_action.get("abstraction"))
    return inner_action if letter is None else {**inner_action, "abstraction": letter}


def _amount_text(amount):
    # type: (Any) -> str
    """`str(amount)`, but never with an exponent. Raises `ValueError` for NaN and infinities."""
    text = str(amount)
    if isinstance(amount, float) and (amount != amount or amount in (float("inf"), float("-inf"))):
        raise ValueError("an amount is a finite number", amount)
    if "e" in text or "E" in text:
        from decimal import Decimal, InvalidOperation

        try:
            return f"{Decimal(text):f}"
        except InvalidOperation:
            return text
    return text


def _check_range(coin, asset):
    # type: (str, Any) -> Any
    """`asset`, if an id of its kind can belong to `coin`. Raises `ValueError`: nothing is signed for another market."""
    if ":" in coin:
        is_right = asset >= DEX_ASSETS + DEX_STEP
    elif coin.startswith("@") or "/" in coin:
        is_right = SPOT_ASSETS <= asset < DEX_ASSETS
    elif coin.startswith(("#", "+")):
        is_right = asset >= DEX_ASSETS
    else:
        is_right = 0 <= asset < SPOT_ASSETS
    if not is_right:
        raise ValueError(
            f"{coin!r} cannot have the asset id {asset}: metadata and names do not agree; nothing was signed"
        )
    return asset


class Exchange(API):
    """Actions of one account. `wallet` signs; `account_address`: whose positions, where the wallet is an agent's;
    `vault_address`: act for a vault or sub-account."""

    # Default slippage of market orders: 5 %
    DEFAULT_SLIPPAGE = 0.05

    def __init__(
        self,
        wallet: "LocalAccount",
        base_url: Optional[str] = None,
        meta: Optional[Meta] = None,
        vault_address: Optional[str] = None,
        account_address: Optional[str] = None,
        spot_meta: Optional[SpotMeta] = None,
        perp_dexs: Optional[List[str]] = None,
        timeout: Optional[float] = None,
    ):
        super().__init__(base_url, timeout)
        self.wallet = wallet
        self.vault_address = vault_address
        self.account_address = account_address
        self.info = Info(base_url, True, meta, spot_meta, perp_dexs, timeout)
        self.expires_after: Optional[int] = None

    # -- what every action goes through -----------------------------------------------------------------------------
    def _post_action(self, action, signature, nonce):
        # type: (Any, Any, int) -> Any
        """Post a signed action with the vault that its type is hashed with."""
        kind = action["type"]
        if kind in WITHOUT_VAULT or kind in USER_SIGNED:
            vault = None
        elif type(action) is _MultiSigAction:
            vault = action.vault_address
        else:
            vault = self.vault_address
        return self.post(
            "/exchange",
            {
                "action": action,
                "nonce": nonce,
                "signature": signature,
                "vaultAddress": vault,
                "expiresAfter": self.expires_after,
            },
        )

    def _next_nonce(self):
        # type: () -> int
        is_shared = not endpoints.is_local(self.base_url)
        return nonces.next_nonce(self.wallet.address, get_timestamp_ms, _system_clock, is_shared)

    def _post_l1(self, action, vault):
        # type: (Any, Optional[str]) -> Any
        """Sign an L1 action for `vault` and post it."""
        nonce = self._next_nonce()
        is_mainnet = endpoints.is_mainnet(self.base_url)
        signature = sign_l1_action(self.wallet, action, vault, nonce, self.expires_after, is_mainnet)
        return self._post_action(action, signature, nonce)

    def _user_nonce(self):
        # type: () -> int
        """The nonce of a user-signed action. Raises `ValueError` with an expiry set: the venue would refuse it."""
        if self.expires_after is not None:
            raise ValueError(
                "transfers, approvals and other user-signed actions cannot expire, and the venue refuses them with "
                "expiresAfter: call set_expires_after(None) first"
            )
        return self._next_nonce()

    def _asset(self, name):
        # type: (str) -> int
        info = self.info
        asset = info.name_to_asset(name)
        return _check_range(info.name_to_coin[name], asset)  # type: ignore[no-any-return]

    def _slippage_price(
        self,
        name: str,
        is_buy: bool,
        slippage: float,
        px: Optional[float] = None,
    ) -> float:
        """The price of a market order: `px` or the mid, moved by `slippage`, on the market's grid."""
        info = self.info
        if name not in info.name_to_coin:
            info.name_to_asset(name)  # asks for new metadata, or raises
        coin = info.name_to_coin[name]
        if not px:
            dex = _get_dex(coin)
            px = live_prices.mid(self.base_url, coin, dex)
            if px is None:
                px = float(info.all_mids(dex)[coin])
        asset = info.coin_to_asset[coin]
        decimals = 8 if SPOT_ASSETS <= asset < DEX_ASSETS else 6
        px *= (1 + slippage) if is_buy else (1 - slippage)
        return round(float(f"{px:.5g}"), decimals - info.asset_to_sz_decimals[asset])

    def set_expires_after(self, expires_after: Optional[int]) -> None:
        """Later L1 actions expire at this time in ms; None: never. User-signed actions cannot expire."""
        self.expires_after = expires_after

    # -- orders -----------------------------------------------------------------------------------------------------
    def order(
        self,
        name: str,
        is_buy: bool,
        sz: float,
        limit_px: float,
        order_type: OrderType,
        reduce_only: bool = False,
        cloid: Optional[Cloid] = None,
        builder: Optional[BuilderInfo] = None,
    ) -> Any:
        """Place one order. The venue's verdict is in `["response"]["data"]["statuses"][0]`."""
        order: OrderRequest = {
            "coin": name,
            "is_buy": is_buy,
            "sz": sz,
            "limit_px": limit_px,
            "order_type": order_type,
            "reduce_only": reduce_only,
        }
        if cloid:
            order["cloid"] = cloid
        return self.bulk_orders([order], builder)

    def bulk_orders(
        self, order_requests: List[OrderRequest], builder: Optional[BuilderInfo] = None, grouping: Grouping = "na"
    ) -> Any:
        """Place several orders in one action; one status each, in their order."""
        wires: List[OrderWire] = [
            order_request_to_order_wire(order, self._asset(order["coin"])) for order in order_requests
        ]
        if endpoints.defaults.auto_cloid:
            _name_orders(wires)
        if builder:
            builder = {**builder, "b": builder["b"].lower()}
        return self._post_l1(order_wires_to_order_action(wires, builder, grouping), self.vault_address)

    def modify_order(
        self,
        oid: OidOrCloid,
        name: str,
        is_buy: bool,
        sz: float,
        limit_px: float,
        order_type: OrderType,
        reduce_only: bool = False,
        cloid: Optional[Cloid] = None,
    ) -> Any:
        """Replace an order, named by oid or cloid. The new one keeps a cloid only if it is given again."""
        modify: ModifyRequest = {
            "oid": oid,
            "order": {
                "coin": name,
                "is_buy": is_buy,
                "sz": sz,
                "limit_px": limit_px,
                "order_type": order_type,
                "reduce_only": reduce_only,
                "cloid": cloid,
            },
        }
        return self.bulk_modify_orders_new([modify])

    def bulk_modify_orders_new(self, modify_requests: List[ModifyRequest]) -> Any:
        """Replace several orders in one action."""
        modifies = []
        for modify in modify_requests:
            oid: Any = modify["oid"]
            order = modify["order"]
            wire = order_request_to_order_wire(order, self._asset(order["coin"]))
            modifies.append({"oid": oid.to_raw() if hasattr(oid, "to_raw") else oid, "order": wire})
        return self._post_l1({"type": "batchModify", "modifies": modifies}, self.vault_address)

    def market_open(
        self,
        name: str,
        is_buy: bool,
        sz: float,
        px: Optional[float] = None,
        slippage: float = DEFAULT_SLIPPAGE,
        cloid: Optional[Cloid] = None,
        builder: Optional[BuilderInfo] = None,
    ) -> Any:
        """An immediate-or-cancel order at the mid (or `px`) and `slippage`."""
        px = self._slippage_price(name, is_buy, slippage, px)
        return self.order(
            name, is_buy, sz, px, order_type={"limit": {"tif": "Ioc"}}, reduce_only=False, cloid=cloid, builder=builder
        )

    def market_close(
        self,
        coin: str,
        sz: Optional[float] = None,
        px: Optional[float] = None,
        slippage: float = DEFAULT_SLIPPAGE,
        cloid: Optional[Cloid] = None,
        builder: Optional[BuilderInfo] = None,
    ) -> Any:
        """Close a position, or `sz` of it, at market. None if the account has none in `coin`."""
        address = self.vault_address or self.account_address or self.wallet.address
        for entry in self.info.user_state(address, _get_dex(coin))["assetPositions"]:
            position = entry["position"]
            if position["coin"] != coin:
                continue
            held = float(position["szi"])
            is_buy = held < 0
            px = self._slippage_price(coin, is_buy, slippage, px)
            return self.order(
                coin,
                is_buy,
                sz or abs(held),
                px,
                order_type={"limit": {"tif": "Ioc"}},
                reduce_only=True,
                cloid=cloid,
                builder=builder,
            )
        return None

    def cancel(self, name: str, oid: int) -> Any:
        """Cancel one order by the venue's id."""
        return self.bulk_cancel([{"coin": name, "oid": oid}])

    def cancel_by_cloid(self, name: str, cloid: Cloid) -> Any:
        """Cancel one order by the client's id."""
        return self.bulk_cancel_by_cloid([{"coin": name, "cloid": cloid}])

    def bulk_cancel(self, cancel_requests: List[CancelRequest]) -> Any:
        """Cancel several orders; one status each, in their order."""
        cancels = [{"a": self._asset(cancel["coin"]), "o": cancel["oid"]} for cancel in cancel_requests]
        return self._post_l1({"type": "cancel", "cancels": cancels}, self.vault_address)

    def bulk_cancel_by_cloid(self, cancel_requests: List[CancelByCloidRequest]) -> Any:
        """Cancel several orders by their client ids."""
        cancels = [
            {"asset": self._asset(cancel["coin"]), "cloid": cancel["cloid"].to_raw()} for cancel in cancel_requests
        ]
        return self._post_l1({"type": "cancelByCloid", "cancels": cancels}, self.vault_address)

    def schedule_cancel(self, time: Optional[int]) -> Any:
        """Have the venue cancel everything at `time` (ms, 5 s or more from now, ten times a day); None takes it back."""
        action: ScheduleCancelAction = {"type": "scheduleCancel"}
        if time is not None:
            action["time"] = time
        return self._post_l1(action, self.vault_address)

    def update_leverage(self, leverage: int, name: str, is_cross: bool = True) -> Any:
        """Set a market's leverage, and its margin to cross or isolated."""
        asset = self._asset(name)
        return self._post_l1(
            {"type": "updateLeverage", "asset": asset, "isCross": is_cross, "leverage": leverage}, self.vault_address
        )

    def update_isolated_margin(self, amount: float, name: str) -> Any:
        """Add margin in USD to an isolated position; a negative amount takes it out."""
        micros = float_to_usd_int(amount)
        action = {"type": "updateIsolatedMargin", "asset": self._asset(name), "isBuy": True, "ntli": micros}
        return self._post_l1(action, self.vault_address)

    def agent_enable_dex_abstraction(self) -> Any:
        """Turn dex abstraction on, as an agent."""
        return self._post_l1({"type": "agentEnableDexAbstraction"}, self.vault_address)

    def agent_set_abstraction(self, abstraction: AgentAbstraction) -> Any:
        """Set the account's abstraction by its letter, as an agent."""
        return self._post_l1({"type": "agentSetAbstraction", "abstraction": abstraction}, self.vault_address)

    def noop(self, nonce):
        # type: (int) -> Any
        """Use up `nonce`: an action that was signed with it and has not arrived never will."""
        action = {"type": "noop"}
        is_mainnet = endpoints.is_mainnet(self.base_url)
        signature = sign_l1_action(self.wallet, action, self.vault_address, nonce, self.expires_after, is_mainnet)
        return self._post_action(action, signature, nonce)

    def gossip_priority_bid(self, slot_id, ip, max_gas):
        # type: (int, str, int) -> Any
        """Bid for a place in the node's gossip."""
        action = {"type": "gossipPriorityBid", "slotId": slot_id, "ip": ip, "maxGas": max_gas}
        return self._post_l1(action, self.vault_address)

    # -- the account ------------------------------------------------------------------------------------------------
    def set_referrer(self, code: str) -> Any:
        """Name who referred this account."""
        return self._post_l1({"type": "setReferrer", "code": code}, None)

    def create_sub_account(self, name: str) -> Any:
        """Open a sub-account; its address is the answer's data."""
        return self._post_l1({"type": "createSubAccount", "name": name}, None)

    def sub_account_transfer(self, sub_account_user: str, is_deposit: bool, usd: int) -> Any:
        """Move `usd` (in 1e-6 USD) into or out of a sub-account."""
        action = {"type": "subAccountTransfer", "subAccountUser": sub_account_user, "isDeposit": is_deposit, "usd": usd}
        return self._post_l1(action, None)

    def sub_account_spot_transfer(self, sub_account_user: str, is_deposit: bool, token: str, amount: float) -> Any:
        """Move a token into or out of a sub-account."""
        action = {
            "type": "subAccountSpotTransfer",
            "subAccountUser": sub_account_user,
            "isDeposit": is_deposit,
            "token": token,
            "amount": _amount_text(amount),
        }
        return self._post_l1(action, None)

    def vault_usd_transfer(self, vault_address: str, is_deposit: bool, usd: int) -> Any:
        """Move `usd` (in 1e-6 USD) into or out of a vault."""
        action = {"type": "vaultTransfer", "vaultAddress": vault_address, "isDeposit": is_deposit, "usd": usd}
        return self._post_l1(action, None)

    def use_big_blocks(self, enable: bool) -> Any:
        """Send this account's EVM transactions to big blocks."""
        return self._post_l1({"type": "evmUserModify", "usingBigBlocks": enable}, None)

    # -- user-signed ------------------------------------------------------------------------------------------------
    def usd_transfer(self, amount: float, destination: str) -> Any:
        """Send USDC to another account."""
        nonce = self._user_nonce()
        action = {"destination": destination, "amount": _amount_text(amount), "time": nonce, "type": "usdSend"}
        signature = sign_usd_transfer_action(self.wallet, action, endpoints.is_mainnet(self.base_url))
        return self._post_action(action, signature, nonce)

    def spot_transfer(self, amount: float, destination: str, token: str) -> Any:
        """Send a token (`NAME:0x<id>`) to another account."""
        nonce = self._user_nonce()
        action = {
            "destination": destination,
            "amount": _amount_text(amount),
            "token": token,
            "time": nonce,
            "type": "spotSend",
        }
        signature = sign_spot_transfer_action(self.wallet, action, endpoints.is_mainnet(self.base_url))
        return self._post_action(action, signature, nonce)

    def withdraw_from_bridge(self, amount: float, destination: str) -> Any:
        """Withdraw USDC to an address on Arbitrum."""
        nonce = self._user_nonce()
        action = {"destination": destination, "amount": _amount_text(amount), "time": nonce, "type": "withdraw3"}
        signature = sign_withdraw_from_bridge_action(self.wallet, action, endpoints.is_mainnet(self.base_url))
        return self._post_action(action, signature, nonce)

    def usd_class_transfer(self, amount: float, to_perp: bool) -> Any:
        """Move USDC between spot and perp."""
        nonce = self._user_nonce()
        text = _amount_text(amount)
        if self.vault_address:
            text += f" subaccount:{self.vault_address}"
        action = {"type": "usdClassTransfer", "amount": text, "toPerp": to_perp, "nonce": nonce}
        signature = sign_usd_class_transfer_action(self.wallet, action, endpoints.is_mainnet(self.base_url))
        return self._post_action(action, signature, nonce)

    def send_asset(self, destination: str, source_dex: str, destination_dex: str, token: str, amount: float) -> Any:
        """Move a token between dexs and accounts. "" is the main dex, "spot" is spot."""
        nonce = self._user_nonce()
        action = {
            "type": "sendAsset",
            "destination": destination,
            "sourceDex": source_dex,
            "destinationDex": destination_dex,
            "token": token,
            "amount": _amount_text(amount),
            "fromSubAccount": self.vault_address if self.vault_address else "",
            "nonce": nonce,
        }
        signature = sign_send_asset_action(self.wallet, action, endpoints.is_mainnet(self.base_url))
        return self._post_action(action, signature, nonce)

    def token_delegate(self, validator: str, wei: int, is_undelegate: bool) -> Any:
        """Stake with a validator, or end that."""
        nonce = self._user_nonce()
        action = {
            "validator": validator,
            "wei": wei,
            "isUndelegate": is_undelegate,
            "nonce": nonce,
            "type": "tokenDelegate",
        }
        signature = sign_token_delegate_action(self.wallet, action, endpoints.is_mainnet(self.base_url))
        return self._post_action(action, signature, nonce)

    def approve_agent(self, name: Optional[str] = None) -> Tuple[Any, str]:
        """Let a new key trade for this account. Returns the answer and the key, whatever the answer is."""
        from hlfast.compat.hyperliquid import exchange as here
        from hlfast.compat.hyperliquid.typed_data import checksummed
        from hlfast.venues.hyperliquid.sign import Signer

        nonce = self._user_nonce()
        agent_key = "0x" + here.secrets.token_hex(32)
        address = checksummed(bytes.fromhex(Signer(agent_key).address[2:]))
        action = {"type": "approveAgent", "agentAddress": address, "agentName": name or "", "nonce": nonce}
        signature = sign_agent(self.wallet, action, endpoints.is_mainnet(self.base_url))
        if name is None:
            del action["agentName"]
        return self._post_action(action, signature, nonce), agent_key

    def approve_builder_fee(self, builder: str, max_fee_rate: str) -> Any:
        """Allow a builder a fee up to `max_fee_rate`, such as "0.001%"."""
        nonce = self._user_nonce()
        action = {"maxFeeRate": max_fee_rate, "builder": builder, "nonce": nonce, "type": "approveBuilderFee"}
        signature = sign_approve_builder_fee(self.wallet, action, endpoints.is_mainnet(self.base_url))
        return self._post_action(action, signature, nonce)

    def convert_to_multi_sig_user(self, authorized_users: List[str], threshold: int) -> Any:
        """Have several users sign for this account."""
        nonce = self._user_nonce()
        signers = json.dumps({"authorizedUsers": sorted(authorized_users), "threshold": threshold})
        action = {"type": "convertToMultiSigUser", "signers": signers, "nonce": nonce}
        signature = sign_convert_to_multi_sig_user_action(self.wallet, action, endpoints.is_mainnet(self.base_url))
        return self._post_action(action, signature, nonce)

    def user_dex_abstraction(self, user: str, enabled: bool) -> Any:
        """Turn dex abstraction on or off."""
        nonce = self._user_nonce()
        action = {"type": "userDexAbstraction", "user": user.lower(), "enabled": enabled, "nonce": nonce}
        signature = sign_user_dex_abstraction_action(self.wallet, action, endpoints.is_mainnet(self.base_url))
        return self._post_action(action, signature, nonce)

    def user_set_abstraction(self, user: str, abstraction: Abstraction) -> Any:
        """Set the account's abstraction."""
        nonce = self._user_nonce()
        action = {"type": "userSetAbstraction", "user": user.lower(), "abstraction": abstraction, "nonce": nonce}
        signature = sign_user_set_abstraction_action(self.wallet, action, endpoints.is_mainnet(self.base_url))
        return self._post_action(action, signature, nonce)

    # -- multi-sig --------------------------------------------------------------------------------------------------
    def multi_sig(self, multi_sig_user, inner_action, signatures, nonce, vault_address=None):
        # type: (str, Any, Any, int, Optional[str]) -> Any
        """Send `inner_action`, signed by the authorised users, for a multi-sig account."""
        action = _MultiSigAction(
            type="multiSig",
            signatureChainId="0x66eee",
            signatures=signatures,
            payload={
                "multiSigUser": multi_sig_user.lower(),
                "outerSigner": self.wallet.address.lower(),
                "action": _multi_sig_payload_action(inner_action),
            },
        )
        action.vault_address = vault_address
        is_mainnet = endpoints.is_mainnet(self.base_url)
        signature = sign_multi_sig_action(self.wallet, action, is_mainnet, vault_address, nonce, self.expires_after)
        return self._post_action(action, signature, nonce)

    # -- deploying --------------------------------------------------------------------------------------------------
    def spot_deploy_register_token(
        self, token_name: str, sz_decimals: int, wei_decimals: int, max_gas: int, full_name: str
    ) -> Any:
        """Register a token."""
        register = {
            "spec": {"name": token_name, "szDecimals": sz_decimals, "weiDecimals": wei_decimals},
            "maxGas": max_gas,
            "fullName": full_name,
        }
        return self._post_l1({"type": "spotDeploy", "registerToken2": register}, None)

    def spot_deploy_user_genesis(
        self, token: int, user_and_wei: List[Tuple[str, str]], existing_token_and_wei: List[Tuple[int, str]]
    ) -> Any:
        """Who is given how much of a new token."""
        genesis = {
            "token": token,
            "userAndWei": [(user.lower(), wei) for (user, wei) in user_and_wei],
            "existingTokenAndWei": existing_token_and_wei,
        }
        return self._post_l1({"type": "spotDeploy", "userGenesis": genesis}, None)

    def spot_deploy_enable_freeze_privilege(self, token: int) -> Any:
        """Keep the right to freeze users of a token."""
        return self.spot_deploy_token_action_inner("enableFreezePrivilege", token)

    def spot_deploy_freeze_user(self, token: int, user: str, freeze: bool) -> Any:
        """Freeze or release a user of a token."""
        return self._post_l1(
            {"type": "spotDeploy", "freezeUser": {"token": token, "user": user.lower(), "freeze": freeze}}, None
        )

    def spot_deploy_revoke_freeze_privilege(self, token: int) -> Any:
        """Give up the right to freeze users of a token."""
        return self.spot_deploy_token_action_inner("revokeFreezePrivilege", token)

    def spot_deploy_enable_quote_token(self, token: int) -> Any:
        """Let a token be a quote."""
        return self.spot_deploy_token_action_inner("enableQuoteToken", token)

    def spot_deploy_token_action_inner(self, variant: str, token: int) -> Any:
        """A deployer's action that names a token alone."""
        return self._post_l1({"type": "spotDeploy", variant: {"token": token}}, None)

    def spot_deploy_genesis(self, token: int, max_supply: str, no_hyperliquidity: bool) -> Any:
        """Create a token's supply."""
        genesis: Dict[str, Any] = {"token": token, "maxSupply": max_supply}
        if no_hyperliquidity:
            genesis["noHyperliquidity"] = True
        return self._post_l1({"type": "spotDeploy", "genesis": genesis}, None)

    def spot_deploy_register_spot(self, base_token: int, quote_token: int) -> Any:
        """Register a pair."""
        return self._post_l1({"type": "spotDeploy", "registerSpot": {"tokens": [base_token, quote_token]}}, None)

    def spot_deploy_register_hyperliquidity(
        self, spot: int, start_px: float, order_sz: float, n_orders: int, n_seeded_levels: Optional[int]
    ) -> Any:
        """Start the venue's own liquidity in a pair."""
        register: Dict[str, Any] = {
            "spot": spot,
            "startPx": str(start_px),
            "orderSz": str(order_sz),
            "nOrders": n_orders,
        }
        if n_seeded_levels is not None:
            register["nSeededLevels"] = n_seeded_levels
        return self._post_l1({"type": "spotDeploy", "registerHyperliquidity": register}, None)

    def spot_deploy_set_deployer_trading_fee_share(self, token: int, share: str) -> Any:
        """Set the deployer's part of trading fees."""
        return self._post_l1(
            {"type": "spotDeploy", "setDeployerTradingFeeShare": {"token": token, "share": share}}, None
        )

    def perp_deploy_register_asset(
        self,
        dex: str,
        max_gas: Optional[int],
        coin: str,
        sz_decimals: int,
        oracle_px: str,
        margin_table_id: int,
        only_isolated: bool,
        schema: Optional[PerpDexSchemaInput],
    ) -> Any:
        """Register a perp on a builder dex; `schema` describes a new dex."""
        described = None
        if schema is not None:
            updater = schema["oracleUpdater"]
            described = {
                "fullName": schema["fullName"],
                "collateralToken": schema["collateralToken"],
                "oracleUpdater": updater.lower() if updater is not None else None,
            }
        register = {
            "maxGas": max_gas,
            "assetRequest": {
                "coin": coin,
                "szDecimals": sz_decimals,
                "oraclePx": oracle_px,
                "marginTableId": margin_table_id,
                "onlyIsolated": only_isolated,
            },
            "dex": dex,
            "schema": described,
        }
        return self._post_l1({"type": "perpDeploy", "registerAsset": register}, None)

    def perp_deploy_set_oracle(
        self,
        dex: str,
        oracle_pxs: Dict[str, str],
        all_mark_pxs: List[Dict[str, str]],
        external_perp_pxs: Dict[str, str],
    ) -> Any:
        """Set the prices of a builder dex; each map goes as sorted pairs."""
        prices = {
            "dex": dex,
            "oraclePxs": sorted(oracle_pxs.items()),
            "markPxs": [sorted(mark_pxs.items()) for mark_pxs in all_mark_pxs],
            "externalPerpPxs": sorted(external_perp_pxs.items()),
        }
        return self._post_l1({"type": "perpDeploy", "setOracle": prices}, None)

    # -- validators -------------------------------------------------------------------------------------------------
    def c_signer_unjail_self(self) -> Any:
        """Take the own validator out of jail."""
        return self.c_signer_inner("unjailSelf")

    def c_signer_jail_self(self) -> Any:
        """Put the own validator into jail."""
        return self.c_signer_inner("jailSelf")

    def c_signer_inner(self, variant: str) -> Any:
        """A validator signer's action without content."""
        return self._post_l1({"type": "CSignerAction", variant: None}, None)

    def c_validator_register(
        self,
        node_ip: str,
        name: str,
        description: str,
        delegations_disabled: bool,
        commission_bps: int,
        signer: str,
        unjailed: bool,
        initial_wei: int,
    ) -> Any:
        """Register a validator."""
        register = {
            "profile": {
                "node_ip": {"Ip": node_ip},
                "name": name,
                "description": description,
                "delegations_disabled": delegations_disabled,
                "commission_bps": commission_bps,
                "signer": signer,
            },
            "unjailed": unjailed,
            "initial_wei": initial_wei,
        }
        return self._post_l1({"type": "CValidatorAction", "register": register}, None)

    def c_validator_change_profile(
        self,
        node_ip: Optional[str],
        name: Optional[str],
        description: Optional[str],
        unjailed: bool,
        disable_delegations: Optional[bool],
        commission_bps: Optional[int],
        signer: Optional[str],
    ) -> Any:
        """Change a validator's profile; None leaves a field as it is."""
        change = {
            "node_ip": None if node_ip is None else {"Ip": node_ip},
            "name": name,
            "description": description,
            "unjailed": unjailed,
            "disable_delegations": disable_delegations,
            "commission_bps": commission_bps,
            "signer": signer,
        }
        return self._post_l1({"type": "CValidatorAction", "changeProfile": change}, None)

    def c_validator_unregister(self) -> Any:
        """End a validator."""
        return self._post_l1({"type": "CValidatorAction", "unregister": None}, None)


def _name_orders(wires):
    # type: (List[OrderWire]) -> None
    """Give every order without a cloid one (`configure(auto_cloid=True)`)."""
    global _cloids
    if _cloids is None:
        from hlfast.core.order_ids import Cloids

        _cloids = Cloids()
    for wire in wires:
        if wire.get("c") is None:
            wire["c"] = _cloids.next()


_cloids: Any = None
