"""Actions about accounts and money (layer 1 of the venue): an entry each. Protocol, sections 2.4, 2.6.3 and 2.7.

Those with a `primary` are user-signed: only the account's own key can sign them, an agent's cannot. The connector's signer
signs none of them, nor what moves funds, unless `allow=[...]` names it. A token is `NAME:0x<token id>` as in `spot_meta`.
"""
# mypy: disable-error-code="empty-body"

import json
from typing import Annotated, Any

from hlfast.types import Number
from hlfast.venues.hyperliquid.endpoints.actions_trading import Answer
from hlfast.venues.hyperliquid.endpoints.kinds import (
    ADDRESS,
    ADDRESS_TEXT,
    BOOL,
    DEC,
    TEXT,
    UINT,
    AssetOf,
    Choice,
    Hex,
    Kind,
    List,
    Map,
    Null,
    Struct,
    Text,
    Uint,
    unfit,
)
from hlfast.venues.hyperliquid.endpoints.table import action

Amount = Annotated[Number, DEC]
Addr = Annotated[str, ADDRESS]
AddrText = Annotated[str, ADDRESS_TEXT]
Flagged = Annotated[bool, BOOL]
Dex = Annotated[str, Text(0, 32)]
Token = Annotated[str, Text(1, 80)]
Usd = Annotated[int, UINT]
"""In 1e-6 USD."""
Wei = Annotated[int, UINT]
FROM_SUB_ACCOUNT = Text(0, 42)
SIGNATURE = Struct(("r", TEXT), ("s", TEXT), ("v", Uint(27, 28)))
OUTCOME = ("outcome", UINT)
MAX_AMOUNT = Null(DEC)


class Signers(Kind):
    """Who may sign for a multi-sig user, as the JSON text that is hashed; None converts back."""

    eip = "string"
    says = "{'authorizedUsers': [1 to 10 addresses], 'threshold': n}, its JSON text, or None"

    def read(self, value: Any, where: str, asset_of: AssetOf | None = None, strict: bool = False) -> str:
        try:
            given = json.loads(value) if isinstance(value, str) else value
        except ValueError:
            raise unfit(where, value, self.says) from None
        if given is not None:
            users = List(ADDRESS, 1, 10, in_order=True)
            read = Struct(("authorizedUsers", users), ("threshold", Uint(1, 10))).read(given, where)
            if read["threshold"] > len(read["authorizedUsers"]):
                raise unfit(where, value, "a threshold of at most as many as there are users")
            given = read
        return value if isinstance(value, str) else json.dumps(given)


class AccountActions:
    _asset_of: Any = None

    async def _act(self, entry: Any, fields: dict[str, Any]) -> Any:
        raise NotImplementedError

    # -- transfers and withdrawals, user-signed ---------------------------------------------------------------------
    @action(primary="UsdSend", nonce="time", group="transfers")
    async def usd_send(self, destination: AddrText, amount: Amount) -> Answer:
        """USDC from the perpetuals' cash to another account."""

    @action(primary="SpotSend", nonce="time", group="transfers")
    async def spot_send(self, destination: AddrText, token: Token, amount: Amount) -> Answer: ...

    @action("withdraw3", primary="Withdraw", nonce="time", group="transfers")
    async def withdraw(self, destination: AddrText, amount: Amount) -> Answer:
        """USDC to an address on the bridge's chain; the venue keeps 1 USDC."""

    @action(primary="UsdClassTransfer", group="transfers")
    async def usd_class_transfer(self, amount: Annotated[str, TEXT], to_perp: Flagged) -> Answer:
        """Between spot and perpetuals' cash. `amount` may end in " subaccount:0x..."."""

    @action(primary="SendAsset", group="transfers")
    async def send_asset(
        self,
        destination: AddrText,
        source_dex: Dex,
        destination_dex: Dex,
        token: Token,
        amount: Amount,
        from_sub_account: Annotated[str, FROM_SUB_ACCOUNT] = "",
    ) -> Answer:
        """Between dexs and accounts: "" is the main perp dex, "spot" is spot."""

    @action(primary="SendToEvmWithData", group="transfers")
    async def send_to_evm_with_data(
        self,
        token: Token,
        amount: Amount,
        source_dex: Dex,
        destination_recipient: Annotated[str, TEXT],
        address_encoding: Annotated[str, Choice("hex", "base58")],
        destination_chain_id: Annotated[int, Uint(bits=32)],
        gas_limit: Annotated[int, UINT],
        data: Annotated[str, Hex(eip="bytes")] = "0x",
    ) -> Answer: ...

    # -- approvals, user-signed -------------------------------------------------------------------------------------
    @action(primary="ApproveAgent", group="agents")
    async def approve_agent(self, agent_address: Addr, agent_name: Annotated[str, Text(0, 64)] = "") -> Answer:
        """Let another key trade for the account. `agent_name` may end in " valid_until <ms>"; the zero address removes."""

    @action(primary="ApproveBuilderFee", group="builders")
    async def approve_builder_fee(self, max_fee_rate: Annotated[str, Text(2, 16)], builder: Addr) -> Answer:
        """`max_fee_rate` like "0.001%"."""

    # -- staking, user-signed ---------------------------------------------------------------------------------------
    @action(primary="TokenDelegate", group="staking")
    async def token_delegate(self, validator: Addr, wei: Wei, is_undelegate: Flagged) -> Answer:
        """`wei` of HYPE is 1e-8."""

    @action(primary="CDeposit", group="staking")
    async def c_deposit(self, wei: Wei) -> Answer:
        """HYPE from spot to staking."""

    @action(primary="CWithdraw", group="staking")
    async def c_withdraw(self, wei: Wei) -> Answer:
        """HYPE from staking to spot, after the venue's week."""

    @action(primary="LinkStakingUser", group="staking")
    async def link_staking_user(self, user: Addr, is_finalize: Flagged) -> Answer: ...

    @action(primary="StakingLinkDisableTradingUser", group="staking")
    async def staking_link_disable_trading_user(self, trading_user: Addr) -> Answer: ...

    # -- abstraction modes and multi-sig, user-signed ---------------------------------------------------------------
    @action(primary="UserDexAbstraction", group="abstraction")
    async def user_dex_abstraction(self, user: Addr, enabled: Flagged) -> Answer:
        """Deprecated by the venue: see `user_set_abstraction`."""

    @action(primary="UserSetAbstraction", group="abstraction")
    async def user_set_abstraction(
        self, user: Addr, abstraction: Annotated[str, Choice("disabled", "unifiedAccount", "portfolioMargin")]
    ) -> Answer: ...

    @action(primary="UserPortfolioMargin", group="abstraction")
    async def user_portfolio_margin(self, user: Addr, enabled: Flagged) -> Answer: ...

    @action(primary="ConvertToMultiSigUser", group="multi-sig")
    async def convert_to_multi_sig_user(self, signers: Annotated[dict[str, Any] | str | None, Signers()]) -> Answer:
        """`signers`: `{"authorizedUsers": [...], "threshold": n}`, or None to convert back."""

    @action(group="multi-sig")
    async def multi_sig(
        self,
        signature_chain_id: Annotated[str, Text(3, 18)],
        signatures: Annotated[list[dict[str, Any]], List(SIGNATURE, 1, 10)],
        payload: Annotated[
            dict[str, Any], Struct(("multiSigUser", ADDRESS), ("outerSigner", ADDRESS), ("action", Map()))
        ],
    ) -> Answer:
        """The signed inner action of a multi-sig user: see `hlfast.venues.hyperliquid.multi_sig`, and `send_multi_sig`."""

    # -- sub-accounts -----------------------------------------------------------------------------------------------
    @action(group="sub-accounts")
    async def create_sub_account(self, name: Annotated[str, Text(1, 16)]) -> Answer:
        """The answer's data is the new address."""

    @action(group="sub-accounts")
    async def sub_account_modify(self, sub_account_user: Addr, name: Annotated[str, Text(1, 16)]) -> Answer: ...

    @action(group="sub-accounts")
    async def sub_account_transfer(self, sub_account_user: Addr, is_deposit: Flagged, usd: Usd) -> Answer:
        """`usd` in 1e-6 USD."""

    @action(group="sub-accounts")
    async def sub_account_spot_transfer(
        self, sub_account_user: Addr, is_deposit: Flagged, token: Token, amount: Amount
    ) -> Answer: ...

    @action(nonce="nonce", group="transfers")
    async def agent_send_asset(
        self,
        destination: Addr,
        source_dex: Dex,
        destination_dex: Dex,
        token: Token,
        amount: Amount,
        from_sub_account: Annotated[str, FROM_SUB_ACCOUNT] = "",
    ) -> Answer:
        """As `send_asset`, for agents: between the master's own accounts only."""

    @action(group="abstraction")
    async def agent_set_abstraction(self, abstraction: Annotated[str, Choice("i", "u", "p")]) -> Answer:
        """i: disabled, u: unified account, p: portfolio margin."""

    @action(group="abstraction")
    async def agent_enable_dex_abstraction(self) -> Answer: ...

    # -- vaults -----------------------------------------------------------------------------------------------------
    @action(nonce="nonce", group="vaults")
    async def create_vault(
        self,
        name: Annotated[str, Text(3, 50)],
        description: Annotated[str, Text(10, 250)],
        initial_usd: Annotated[int, Uint(100_000_000)],
    ) -> Answer:
        """`initial_usd` in 1e-6 USD, at least 100 USD. The answer's data is the new address."""

    @action(group="vaults")
    async def vault_modify(
        self,
        vault_address: Addr,
        allow_deposits: Annotated[bool | None, Null(BOOL)],
        always_close_on_withdraw: Annotated[bool | None, Null(BOOL)],
    ) -> Answer:
        """None leaves a setting as it is."""

    @action(vault=True, group="vaults")
    async def vault_transfer(self, vault_address: Addr, is_deposit: Flagged, usd: Usd) -> Answer: ...

    @action(group="vaults")
    async def vault_distribute(self, vault_address: Addr, usd: Usd) -> Answer:
        """0 closes the vault."""

    # -- settings and rewards ---------------------------------------------------------------------------------------
    @action(group="settings")
    async def set_referrer(self, code: Annotated[str, Text(1, 20)]) -> Answer: ...

    @action(group="settings")
    async def register_referrer(self, code: Annotated[str, Text(1, 20)]) -> Answer: ...

    @action(group="settings")
    async def set_display_name(self, display_name: Annotated[str, Text(0, 20)]) -> Answer: ...

    @action(group="settings")
    async def claim_rewards(self) -> Answer: ...

    @action(group="settings")
    async def spot_user(self, toggle_spot_dusting: Annotated[dict[str, bool], Struct(("optOut", BOOL))]) -> Answer: ...

    @action(group="settings")
    async def evm_user_modify(self, using_big_blocks: Flagged) -> Answer: ...

    # -- lending, outcomes, read priority ---------------------------------------------------------------------------
    @action(vault=True, group="lending")
    async def borrow_lend(
        self,
        operation: Annotated[str, Choice("supply", "withdraw", "repay", "borrow")],
        token: Annotated[int, Uint(bits=32)],
        amount: Annotated[Number | None, MAX_AMOUNT],
    ) -> Answer:
        """`amount` None: all of it."""

    @action(vault=True, one_of=True, group="outcomes")
    async def user_outcome(
        self,
        *,
        split_outcome: Annotated[dict[str, Any], Struct(OUTCOME, ("amount", DEC))] | None = None,
        merge_outcome: Annotated[dict[str, Any], Struct(OUTCOME, ("amount", MAX_AMOUNT))] | None = None,
        merge_question: Annotated[dict[str, Any], Struct(("question", UINT), ("amount", MAX_AMOUNT))] | None = None,
        negate_outcome: Annotated[dict[str, Any], Struct(("question", UINT), OUTCOME, ("amount", DEC))] | None = None,
    ) -> Answer:
        """Exactly one of them; an amount of None is all of it."""

    @action("hip3LiquidatorTransfer", group="deployers")
    async def hip3_liquidator_transfer(
        self, dex: Annotated[str, Text(1, 32)], ntl: Annotated[int, UINT], is_deposit: Flagged
    ) -> Answer:
        """`ntl` in 1e-6 USD, a multiple of 1000 USD."""

    @action(group="settings")
    async def gossip_priority_bid(
        self, slot_id: Annotated[int, Uint(0, 1)], ip: Annotated[str, Text(7, 45)], max_gas: Wei
    ) -> Answer: ...
