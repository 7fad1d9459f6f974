"""Actions of deployers and validators (layer 1 of the venue): an entry each. Protocol, section 2.6.4.

Each takes exactly one of its variants. Lists of pairs are put in ascending order, as the venue hashes them.
"""
# mypy: disable-error-code="empty-body"

from typing import Annotated, Any

from hlfast.types import Number
from hlfast.venues.hyperliquid.endpoints.actions_trading import Answer
from hlfast.venues.hyperliquid.endpoints.kinds import (
    ADDRESS,
    BOOL,
    COIN,
    DEC,
    FLAG,
    TEXT,
    U32,
    UINT,
    Choice,
    Either,
    Int,
    Kind,
    List,
    Map,
    Null,
    Row,
    Struct,
    Text,
    Unit,
)
from hlfast.venues.hyperliquid.endpoints.table import action

Variant = dict[str, Any]
TOKEN = ("token", U32)
ONE_TOKEN = Struct(TOKEN)
DEX = ("dex", Text(1, 32))
MODE = Choice("strictIsolated", "noCross", "normal")
IP = Struct(("Ip", TEXT))
SCHEMA = Null(Struct(("fullName", TEXT), ("collateralToken", U32), ("oracleUpdater", Null(ADDRESS))))
PRICES = List(Row(COIN, DEC), in_order=True)


def _by_coin(kind: Kind) -> List:
    return List(Row(COIN, kind), in_order=True)


def _asset_request(last: tuple[str, Kind]) -> Struct:
    request = Struct(("coin", COIN), ("szDecimals", U32), ("oraclePx", DEC), ("marginTableId", U32), last)
    return Struct(("maxGas", Null(UINT)), ("assetRequest", request), DEX, ("schema", SCHEMA))


SPEC = Struct(("name", TEXT), ("szDecimals", U32), ("weiDecimals", U32))
GENESIS_USERS = List(Row(ADDRESS, DEC), in_order=True)
KEYWORDS = ("keywordToValue", Map())
SCALE = ("deployerFeeScale?", DEC)
NAMED_INSTANCE = Struct(("id", TEXT), KEYWORDS)
SETTLED = Struct(
    ("outcome", UINT),
    ("settleFraction", DEC),
    ("details", TEXT),
    ("nameAndDescription?", Null(Map())),
    ("sideNames?", Null(List(TEXT))),
)
OUTCOME = Struct(
    ("registerStandaloneOutcomeFromTemplate", Struct(("id", TEXT), KEYWORDS, SCALE)),
    (
        "registerQuestionFromTemplate",
        Struct(
            ("questionTemplateInstance", Struct(("id", TEXT), KEYWORDS, SCALE)),
            ("namedOutcomeTemplateInstances", List(NAMED_INSTANCE)),
        ),
    ),
    (
        "registerAndAssociateNamedOutcomeFromTemplate",
        Struct(("question", UINT), ("namedOutcomeTemplateInstance", NAMED_INSTANCE)),
    ),
    ("settleOutcome", SETTLED),
    (
        "settleQuestion2",
        Struct(("question", UINT), ("outcomeSettlements", List(SETTLED)), ("nameAndDescription?", Null(Map()))),
    ),
    one_of=True,
)
TIERS = List(Struct(("lowerBound", UINT), ("maxLeverage", U32)), 1, 3)
PROFILE = Struct(
    ("node_ip", IP),
    ("name", TEXT),
    ("description", TEXT),
    ("delegations_disabled", BOOL),
    ("commission_bps", U32),
    ("signer", ADDRESS),
)
CHANGE = Struct(
    ("node_ip", Null(IP)),
    ("name", Null(TEXT)),
    ("description", Null(TEXT)),
    ("unjailed", BOOL),
    ("disable_delegations", Null(BOOL)),
    ("commission_bps", Null(U32)),
    ("signer", Null(ADDRESS)),
)


class DeployActions:
    _asset_of: Any = None

    async def _act(self, entry: Any, fields: dict[str, Any]) -> Any:
        raise NotImplementedError

    @action(one_of=True, group="deployers")
    async def spot_deploy(
        self,
        *,
        register_token2: Annotated[Variant, Struct(("spec", SPEC), ("maxGas", UINT), ("fullName?", TEXT))]
        | None = None,
        user_genesis: Annotated[
            Variant,
            Struct(
                TOKEN,
                ("userAndWei", GENESIS_USERS),
                ("existingTokenAndWei", List(Row(U32, DEC), in_order=True)),
                ("blacklistUsers?", List(Row(ADDRESS, BOOL), in_order=True)),
            ),
        ]
        | None = None,
        genesis: Annotated[Variant, Struct(TOKEN, ("maxSupply", DEC), ("noHyperliquidity?", FLAG))] | None = None,
        register_spot: Annotated[Variant, Struct(("tokens", Row(U32, U32)))] | None = None,
        register_hyperliquidity: Annotated[
            Variant,
            Struct(("spot", U32), ("startPx", DEC), ("orderSz", DEC), ("nOrders", U32), ("nSeededLevels?", U32)),
        ]
        | None = None,
        set_deployer_trading_fee_share: Annotated[Variant, Struct(TOKEN, ("share", TEXT))] | None = None,
        enable_quote_token: Annotated[Variant, ONE_TOKEN] | None = None,
        disable_quote_token: Annotated[Variant, ONE_TOKEN] | None = None,
        enable_freeze_privilege: Annotated[Variant, ONE_TOKEN] | None = None,
        freeze_user: Annotated[Variant, Struct(TOKEN, ("user", ADDRESS), ("freeze", BOOL))] | None = None,
        revoke_freeze_privilege: Annotated[Variant, ONE_TOKEN] | None = None,
        request_evm_contract: Annotated[Variant, Struct(TOKEN, ("address", ADDRESS), ("evmExtraWeiDecimals", Int()))]
        | None = None,
        outcome: Annotated[Variant, OUTCOME] | None = None,
    ) -> Answer:
        """Tokens, spot pairs and outcomes of a deployer."""

    @action(one_of=True, group="deployers")
    async def activate_outcome_deployer(
        self,
        *,
        activate: Annotated[Variant, Struct(("venueName", TEXT))] | None = None,
        deactivate: Annotated[bool, Unit()] | None = None,
    ) -> Answer: ...

    @action(group="deployers")
    async def finalize_evm_contract(
        self,
        token: Annotated[int, U32],
        input: Annotated[
            Any, Either(Choice("firstStorageSlot", "customStorageSlot"), Struct(("create", Struct(("nonce", UINT)))))
        ],
    ) -> Answer: ...

    @action(one_of=True, group="deployers")
    async def perp_deploy(
        self,
        *,
        register_asset2: Annotated[Variant, _asset_request(("marginMode", MODE))] | None = None,
        register_asset: Annotated[Variant, _asset_request(("onlyIsolated", BOOL))] | None = None,
        set_oracle: Annotated[
            Variant,
            Struct(DEX, ("oraclePxs", PRICES), ("markPxs", List(PRICES)), ("externalPerpPxs", PRICES)),
        ]
        | None = None,
        set_funding_multipliers: Annotated[list[Any], _by_coin(DEC)] | None = None,
        set_funding_interest_rates: Annotated[list[Any], _by_coin(TEXT)] | None = None,
        halt_trading: Annotated[Variant, Struct(("coin", COIN), ("isHalted", BOOL))] | None = None,
        set_margin_table_ids: Annotated[list[Any], _by_coin(U32)] | None = None,
        insert_margin_table: Annotated[
            Variant, Struct(DEX, ("marginTable", Struct(("description", TEXT), ("marginTiers", TIERS))))
        ]
        | None = None,
        set_fee_recipient: Annotated[Variant, Struct(DEX, ("feeRecipient", ADDRESS))] | None = None,
        set_open_interest_caps: Annotated[list[Any], _by_coin(UINT)] | None = None,
        set_sub_deployers: Annotated[
            Variant,
            Struct(DEX, ("subDeployers", List(Struct(("variant", TEXT), ("user", ADDRESS), ("allowed", BOOL))))),
        ]
        | None = None,
        set_margin_modes: Annotated[list[Any], _by_coin(MODE)] | None = None,
        set_deployer_fees: Annotated[list[Any], List(Row(COIN, Struct(("scale", DEC), ("growthMode", BOOL))))]
        | None = None,
        set_fee_scale: Annotated[Variant, Struct(DEX, ("scale", DEC))] | None = None,
        set_growth_modes: Annotated[list[Any], _by_coin(BOOL)] | None = None,
        set_perp_annotation: Annotated[
            Variant,
            Struct(
                ("coin", COIN),
                ("category", TEXT),
                ("description", TEXT),
                ("displayName", Null(TEXT)),
                ("keywords", List(TEXT)),
            ),
        ]
        | None = None,
        disable_dex: Annotated[str, Text(1, 32)] | None = None,
    ) -> Answer:
        """A builder's perp dex (HIP-3). Oracle prices at most every 2.5 s."""

    @action("CSignerAction", one_of=True, group="validators")
    async def c_signer_action(
        self,
        *,
        jail_self: Annotated[bool, Unit()] | None = None,
        unjail_self: Annotated[bool, Unit()] | None = None,
    ) -> Answer: ...

    @action("CValidatorAction", one_of=True, group="validators")
    async def c_validator_action(
        self,
        *,
        change_profile: Annotated[Variant, CHANGE] | None = None,
        register: Annotated[Variant, Struct(("profile", PROFILE), ("unjailed", BOOL), ("initial_wei", UINT))]
        | None = None,
        unregister: Annotated[bool, Unit()] | None = None,
    ) -> Answer: ...

    @action("validatorL1Stream", group="validators")
    async def validator_l1_stream(self, risk_free_rate: Annotated[Number, DEC]) -> Answer: ...

    @action(group="deployers")
    async def authorize_aqav2_role(
        self, token: Annotated[int, U32], role: Annotated[str, Choice("technical", "treasury")]
    ) -> Answer: ...
