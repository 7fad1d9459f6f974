"""The venue's refusals: each text of the protocol has a code of its own, a cause and a remedy, and is told by its whole text."""

from __future__ import annotations

import pytest

from hlfast.venues.hyperliquid import reject_texts
from hlfast.venues.hyperliquid.reject_texts import STATUS, TABLE, venue_reject

# Protocol, sections 2.5, 3.7 and 3.10, as they stand there, with the code that a caller branches on.
TEXTS = [
    ("Price must be divisible by tick size. asset=3", "tick_size"),
    ("Order must have minimum value of $10. asset=3", "min_notional"),
    ("Order must have minimum value of 10 USDC. asset=10107", "min_notional"),
    ("Insufficient margin to place order. asset=3", "insufficient_margin"),
    ("Reduce only order would increase position. asset=3", "reduce_only"),
    ("Post only order would have immediately matched, bbo was 0.9 @ 1.1. asset=3", "post_only_crossed"),
    ("Post only order would have immediately matched, bbo was 0.9@1.1. asset=3", "post_only_crossed"),
    ("Order could not immediately match against any resting orders. asset=3", "ioc_no_match"),
    ("Invalid TP/SL price. asset=3", "trigger_price"),
    ("No liquidity available for market order. asset=3", "no_liquidity"),
    ("Order would increase open interest while open interest is capped asset=3", "open_interest_cap"),
    ("Order rejected due to price more aggressive than oracle while at open interest cap asset=3", "open_interest_cap"),
    ("Order would increase open interest too quickly asset=3", "open_interest_rate"),
    ("Insufficient spot balance asset=10107", "insufficient_balance"),
    ("Price too far from oracle asset=3", "price_band"),
    ("Order price too far from oracle asset=3", "price_band"),
    ("Order would cause position to exceed margin tier limit at current leverage asset=3", "position_limit"),
    ("Too many open orders asset=3", "too_many_orders"),
    ("Order was never placed, already canceled, or filled. asset=3", "not_live"),
    ("TWAP was never placed, already canceled, or filled.", "not_live"),
    ("Invalid TWAP duration: 1 min(s)", "twap"),
    ("TWAP order value too small. Min is $1200, which is $10 per minute.", "twap"),
    ("Reduce-only TWAP order would increase position.", "reduce_only"),
    ("Exceeded max number of active TWAP orders.", "twap"),
    ("Insufficient delegatable balance for priority order", "priority_fee"),
    ("Attempted to modify to invalid new order", "modify_invalid"),
    ("Cannot modify canceled or filled order", "not_live"),
    ("Order price cannot be more than 95% away from the reference price", "price_band"),
    ("Order value too large. Max is $5000000.", "order_value"),
    ("Order has zero size.", "size"),
    ("Order has invalid size.", "size"),
    ("Order has invalid price.", "price"),
    ("Orders are empty.", "empty"),
    ("Reduce-only is invalid for spot trading.", "reduce_only_spot"),
    ("Invalid TIF", "tif"),
    ("Order action has different asset classes", "mixed_assets"),
    ("Trigger order is not reduce only.", "trigger"),
    ("Trigger order has unexpected side.", "trigger"),
    ("Unexpected number of trigger orders", "trigger"),
    ("Builder fee has not been approved", "builder_fee"),
    ("Order size cannot be larger than half of total supply", "size"),
    ("Trading is halted.", "halted"),
    ("Only post-only orders allowed immediately after network upgrade", "post_only_window"),
    ("Invalid nonce: duplicate nonce 1785000600000", "nonce_duplicate"),
    ("Invalid nonce: nonce too low 1 < 1785000600000", "nonce_too_low"),
    ("Action already expired", "expired"),
    ("User or API Wallet 0x14791697260e4c9a71f18484c9f997b308e59325 does not exist.", "unknown_signer"),
    ("L1 error: User or API Wallet 0x14791697260e4c9a71f18484c9f997b308e59325 does not exist.", "unknown_signer"),
    ("Must deposit before performing actions. User: 0x14791697260e4c9a71f18484c9f997b308e59325", "no_deposit"),
    ("Unable to recover signer.", "bad_signature"),
    ("Invalid spot", "unknown_asset"),
    ("Signed action over weight limit of 200.", "too_many_items"),
    (
        "Too many cumulative requests sent (97460 > 97456) for cumulative volume traded $87457.46. "
        "Place taker orders to free up 1 request per USDC traded.",
        "address_budget",
    ),
    ("Invalid leverage value", "leverage"),
    ("Cross margin is not allowed for this asset.", "leverage"),
    ("Cannot switch leverage type with open position.", "leverage"),
    (
        "Cross position does not have sufficient margin available to decrease leverage. "
        "To decrease leverage, deposit more collateral.",
        "leverage",
    ),
    (
        "Isolated position does not have sufficient margin available to decrease leverage. "
        "To decrease leverage, add margin to the position.",
        "leverage",
    ),
    ("Position does not use isolated margin.", "isolated_margin"),
    ("Update to isolated margin cannot be zero.", "isolated_margin"),
    ("Cannot update margin for empty position.", "isolated_margin"),
    ("Account does not have sufficient margin available for increase.", "isolated_margin"),
    ("Position does not have sufficient margin for reduction.", "isolated_margin"),
    (
        "Cannot remove isolated margin for this asset. To remove margin, reduce the position.",
        "isolated_margin",
    ),
    ("Insufficient balance for withdrawal.", "insufficient_balance"),
    ("Insufficient balance for token transfer.", "insufficient_balance"),
    ("Insufficient balance for token transfer gas.", "insufficient_balance"),
    ("Invalid sub-account transfer from 0x1 to 0x2", "sub_account"),
    (
        "Cannot create sub-accounts until enough volume traded. Required: $100000. Traded: $12066.75.",
        "sub_account",
    ),
    ("Vault not registered: 0x1234567890123456789012345678901234567890", "vault"),
    ("Referral code not registered", "referral"),
    ("Action disabled when unified account is active", "unified_account"),
    ("Invalid send", "invalid_send"),
    ("Agent can only send asset to same user or their sub-accounts.", "agent_send"),
    ("Error deploying outcome: not an outcome deployer", "outcome_deploy"),
    ("Staking link error", "staking_link"),
    ("User has pending agent removal", "agent"),
    ("Extra agent already used.", "agent"),
    ("Agent valid_until already expired.", "agent"),
    ("Too many extra agents for cumulative volume traded. Current limit is 3", "agent"),
]


@pytest.mark.parametrize(("text", "code"), TEXTS, ids=[text[:50] for text, _ in TEXTS])
def test_each_text_of_the_protocol_has_its_code_cause_and_remedy(text: str, code: str) -> None:
    """L44, L128: the venue's words stay as they came."""
    reject = venue_reject(text)
    assert (reject.code, reject.text) == (code, text)
    assert reject.cause and reject.remedy and reject.cause != reject.remedy


@pytest.mark.parametrize("word", STATUS)
def test_each_status_word_of_a_refused_order_means_what_its_text_means(word: str) -> None:
    """L44: a row has the word alone; both lead to one code."""
    reject = venue_reject(word)
    assert reject.code == venue_reject(STATUS[word]).code != "venue_reject" and reject.text == word


@pytest.mark.parametrize("text", ["order", "Some order was odd", "Internal error: order book", "was never placed", ""])
def test_a_word_of_a_text_is_no_reason(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """L44, L128: what only looks like a known text is unknown, handed on as it is, and counted."""
    monkeypatch.setattr(reject_texts, "unseen", {})
    for times in (1, 2):
        reject = venue_reject(text)
        assert (reject.code, reject.text) == ("venue_reject", text)
        assert reject_texts.unseen == {text: times}


def test_no_row_of_the_table_hides_a_later_one() -> None:
    """L44: texts are told by how they begin, so a short one before a longer one would take its place."""
    beginnings = [row[0] for row in TABLE]
    for at, begins in enumerate(beginnings):
        assert [later for later in beginnings[at + 1 :] if later.startswith(begins)] == []
