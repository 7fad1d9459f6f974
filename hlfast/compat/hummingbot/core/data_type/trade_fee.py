"""Fees: a percentage and flat amounts, added to the cost or deducted from the returns, and their worth in any token."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hlfast.compat.hummingbot.connector.utils import combine_to_hb_trading_pair, split_hb_trading_pair
from hlfast.compat.hummingbot.core.data_type.common import PositionAction, TradeType
from hlfast.compat.hummingbot.core.rate_oracle import rate_oracle

S_DECIMAL_0 = Decimal(0)

_SAME = ({"USOL", "SOL"}, {"UETH", "ETH"}, {"UBTC", "BTC"}, {"USDC", "USDC.E"})
_WRAPPED = ("ETH", "BNB", "POL", "AVAX", "ONE", "BTC")
_INTERCHANGEABLE = (*_SAME, *({token, f"W{token}"} for token in _WRAPPED))


@dataclass
class TokenAmount:
    token: str
    amount: Decimal

    def __iter__(self) -> Iterator[Any]:
        return iter((self.token, self.amount))

    def to_json(self) -> dict[str, Any]:
        return {"token": self.token, "amount": str(self.amount)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TokenAmount:
        return cls(token=data["token"], amount=Decimal(data["amount"]))


@dataclass
class TradeFeeSchema:
    """A venue's fees. Percentages are fractions (0.001 is a tenth of a percent)."""

    percent_fee_token: str | None = None
    maker_percent_fee_decimal: Decimal = S_DECIMAL_0
    taker_percent_fee_decimal: Decimal = S_DECIMAL_0
    buy_percent_fee_deducted_from_returns: bool = False
    maker_fixed_fees: list[TokenAmount] = field(default_factory=list)
    taker_fixed_fees: list[TokenAmount] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.validate_schema()

    def validate_schema(self) -> None:
        self.maker_percent_fee_decimal = Decimal(self.maker_percent_fee_decimal)
        self.taker_percent_fee_decimal = Decimal(self.taker_percent_fee_decimal)
        for fee in (*self.maker_fixed_fees, *self.taker_fixed_fees):
            fee.amount = Decimal(fee.amount)
        assert not (self.percent_fee_token is not None and self.buy_percent_fee_deducted_from_returns), (
            "a fee paid in a token of its own is added to the cost, and cannot be deducted from returns"
        )


@dataclass
class TradeFeeBase(ABC):
    """What an order or fill costs. `percent` is a fraction of the quote amount."""

    percent: Decimal = S_DECIMAL_0
    percent_token: str | None = None
    flat_fees: list[TokenAmount] = field(default_factory=list)

    @classmethod
    @abstractmethod
    def type_descriptor_for_json(cls) -> str: ...

    @property
    def fee_asset(self) -> str | None:
        first = self.flat_fees[0].token if self.flat_fees else None
        return self.percent_token or first

    @classmethod
    def new_spot_fee(
        cls,
        fee_schema: TradeFeeSchema,
        trade_type: TradeType,
        percent: Decimal = S_DECIMAL_0,
        percent_token: str | None = None,
        flat_fees: list[TokenAmount] | None = None,
    ) -> TradeFeeBase:
        is_added = trade_type is TradeType.BUY and (
            not fee_schema.buy_percent_fee_deducted_from_returns or fee_schema.percent_fee_token is not None
        )
        return _kind(is_added)(percent=percent, percent_token=percent_token, flat_fees=flat_fees or [])

    @classmethod
    def new_perpetual_fee(
        cls,
        fee_schema: TradeFeeSchema,
        position_action: PositionAction,
        percent: Decimal = S_DECIMAL_0,
        percent_token: str | None = None,
        flat_fees: list[TokenAmount] | None = None,
    ) -> TradeFeeBase:
        is_added = position_action is PositionAction.OPEN or fee_schema.percent_fee_token is not None
        return _kind(is_added)(percent=percent, percent_token=percent_token, flat_fees=flat_fees or [])

    def to_json(self) -> dict[str, Any]:
        return {
            "fee_type": self.type_descriptor_for_json(),
            "percent": str(self.percent),
            "percent_token": self.percent_token,
            "flat_fees": [fee.to_json() for fee in self.flat_fees],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TradeFeeBase:
        kinds = {kind.type_descriptor_for_json(): kind for kind in (AddedToCostTradeFee, DeductedFromReturnsTradeFee)}
        return kinds[data["fee_type"]](
            percent=Decimal(data["percent"]),
            percent_token=data["percent_token"],
            flat_fees=[TokenAmount.from_json(fee) for fee in data["flat_fees"]],
        )

    def fee_amount_in_token(
        self,
        trading_pair: str,
        price: Decimal,
        order_amount: Decimal,
        token: str,
        rate_source: Any = None,
    ) -> Decimal:
        """All parts of the fee in `token`. `rate_source.get_pair_rate(pair)` gives rates, the `RateOracle` unless given.

        Raises `ValueError` where a rate is needed and not known.
        """
        base, quote = split_hb_trading_pair(trading_pair)
        total = S_DECIMAL_0
        if self.percent != S_DECIMAL_0:
            in_quote = price * order_amount * self.percent
            if self._are_tokens_interchangeable(quote, token):
                total += in_quote
            elif self._are_tokens_interchangeable(base, token):
                total += in_quote / price
            else:
                total += in_quote * self._get_exchange_rate(combine_to_hb_trading_pair(quote, token), rate_source)
        for fee in self.flat_fees:
            if self._are_tokens_interchangeable(fee.token, token):
                total += fee.amount
            elif self._are_tokens_interchangeable(fee.token, base) and self._are_tokens_interchangeable(quote, token):
                total += fee.amount * price
            elif self._are_tokens_interchangeable(fee.token, quote) and self._are_tokens_interchangeable(base, token):
                total += fee.amount / price
            else:
                total += fee.amount * self._get_exchange_rate(combine_to_hb_trading_pair(fee.token, token), rate_source)
        return total

    def _are_tokens_interchangeable(self, first_token: str, second_token: str) -> bool:
        return first_token == second_token or any({first_token, second_token} <= same for same in _INTERCHANGEABLE)

    @staticmethod
    def _get_exchange_rate(trading_pair: str, rate_source: Any = None) -> Decimal:
        source = rate_source if rate_source is not None else rate_oracle.RateOracle.get_instance()
        rate = source.get_pair_rate(trading_pair)
        if rate is None:
            raise ValueError(
                f"Could not find the exchange rate for {trading_pair} using the rate source {source} "
                "(please verify it has been correctly configured)"
            )
        return Decimal(rate)


@dataclass
class AddedToCostTradeFee(TradeFeeBase):
    @classmethod
    def type_descriptor_for_json(cls) -> str:
        return "AddedToCost"


@dataclass
class DeductedFromReturnsTradeFee(TradeFeeBase):
    @classmethod
    def type_descriptor_for_json(cls) -> str:
        return "DeductedFromReturns"


@dataclass(frozen=True)
class MakerTakerExchangeFeeRates:
    maker: Decimal
    taker: Decimal
    maker_flat_fees: list[TokenAmount]
    taker_flat_fees: list[TokenAmount]


def _kind(is_added: bool) -> type[TradeFeeBase]:
    return AddedToCostTradeFee if is_added else DeductedFromReturnsTradeFee
