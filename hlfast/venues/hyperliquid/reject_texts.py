"""The venue's refusals (layer 2, cold): each known text with a stable code, its cause and what to do about it.

Protocol, sections 2.5 and 3.10. Texts are matched by how they begin, after the suffix ` asset=N` is cut off; the table
is the only place that knows them. A text that is not in it becomes code `venue_reject`, and is counted (`unseen`).
"""

from __future__ import annotations

import re

from hlfast.errors import VenueReject

_SUFFIX = re.compile(r" asset=\d+$")

TABLE: tuple[tuple[str, str, str, str], ...] = (
    # beginning of the text, code, cause, remedy
    ("Price must be divisible by tick size", "tick_size", "the price is off the venue's grid",
     "round it with rounding='passive' or 'nearest'"),
    ("Order must have minimum value of", "min_notional", "price times size is below the venue's minimum",
     "send a larger order, or close the whole position at once"),
    ("Insufficient margin to place order", "insufficient_margin", "free collateral does not cover the order",
     "send a smaller order, cancel others or add collateral"),
    ("Reduce only order would increase position", "reduce_only", "there is no position that this order would reduce",
     "look at the position; it may have closed already"),
    ("Post only order would have immediately matched", "post_only_crossed", "the book moved through the price",
     "quote again behind the touch"),
    ("Order could not immediately match against any resting orders", "ioc_no_match",
     "nothing rested within the limit price", "use a more aggressive price, or let the order rest"),
    ("Invalid TP/SL price", "trigger_price", "the trigger's condition is true already", "move the trigger price"),
    ("No liquidity available for market order", "no_liquidity", "the book's other side is empty", "wait, or use a limit"),
    ("Order would increase open interest while open interest is capped", "open_interest_cap",
     "the instrument is at its cap", "only orders that reduce are taken"),
    ("Order rejected due to price more aggressive than oracle while at open interest cap", "open_interest_cap",
     "the instrument is at its cap", "use a price behind the oracle"),
    ("Order would increase open interest too quickly", "open_interest_rate", "open interest grew too fast", "wait"),
    ("Insufficient spot balance", "insufficient_balance", "the spot balance does not cover the order",
     "send a smaller order or cancel others"),
    ("Price too far from oracle", "price_band", "the price is outside the venue's band", "use a price nearer to the market"),
    ("Order price too far from oracle", "price_band", "the price is outside the venue's band",
     "use a price nearer to the market"),
    ("Order price cannot be more than", "price_band", "the price is outside the venue's band",
     "use a price nearer to the market"),
    ("Order would cause position to exceed margin tier limit", "position_limit", "the leverage allows no larger position",
     "lower the leverage or the size"),
    ("Too many open orders", "too_many_orders", "the account has as many orders as it may", "cancel some"),
    ("Order was never placed, already canceled, or filled", "not_live", "the venue has no such live order",
     "nothing: its end is on the way"),
    ("TWAP was never placed, already canceled, or filled", "not_live", "the venue has no such running TWAP", "look at twap_history"),
    ("Invalid TWAP duration", "twap", "the venue takes 5 minutes to 7 days", "give a duration in between"),
    ("TWAP order value too small", "twap", "the whole is below the venue's minimum", "use a larger size"),
    ("Reduce-only TWAP order would increase position", "reduce_only", "there is no position that it would reduce",
     "look at the position; it may have closed already"),
    ("Exceeded max number of active TWAP orders", "twap", "as many TWAPs run as the account may have", "cancel one first"),
    ("Insufficient delegatable balance for priority order", "priority_fee", "the staking balance does not cover the fee",
     "send without priority"),
    ("Attempted to modify to invalid new order", "modify_invalid", "the new order would match or is of another kind",
     "cancel and place instead"),
    ("Cannot modify canceled or filled order", "not_live", "the venue has no such live order", "nothing: its end is on the way"),
    ("Error placing new order during modify", "modify_lost", "the old order was cancelled and the new one refused",
     "place a new order"),
    ("Order value too large", "order_value", "price times size is above the venue's maximum", "split the order"),
    ("Order has zero size", "size", "the size is zero", "send a size of at least one step"),
    ("Order has invalid size", "size", "the size is off the venue's grid", "round it down to the step"),
    ("Order has invalid price", "price", "the price is not one that the venue takes", "round it to the instrument's grid"),
    ("Orders are empty", "empty", "the action holds no order", "send at least one"),
    ("Reduce-only is invalid for spot trading", "reduce_only_spot", "spot has no positions", "leave reduce_only out"),
    ("Invalid TIF", "tif", "the time in force is not known", "use Gtc, Ioc or Alo"),
    ("Order action has different asset classes", "mixed_assets", "perps and spot in one action", "send them apart"),
    ("Trigger order is not reduce only", "trigger", "a trigger order must be reduce-only", "set reduce_only=True"),
    ("Trigger order has unexpected side", "trigger", "the trigger is on the wrong side", "swap the side"),
    ("Unexpected number of trigger orders", "trigger", "the grouping has another shape", "one parent, then its triggers"),
    ("Builder fee has not been approved", "builder_fee", "the account has not approved this builder", "approve it, or send no builder"),
    ("Order size cannot be larger than half of total supply", "size", "the size is not plausible", "send a smaller size"),
    ("Trading is halted", "halted", "the instrument does not trade now", "wait"),
    ("Only post-only orders allowed immediately after network upgrade", "post_only_window",
     "the venue has just been upgraded", "send Alo orders, or wait a few minutes"),
    ("Invalid nonce: duplicate nonce", "nonce_duplicate", "this nonce was used before by this key",
     "one process for each key; see nonce_manager_for"),
    ("Invalid nonce: nonce too low", "nonce_too_low", "the nonce is below the venue's window", "check this machine's clock"),
    ("Invalid nonce", "nonce", "the nonce is outside the venue's window", "check this machine's clock"),
    ("User or API Wallet", "unknown_signer", "the signature belongs to no account: the bytes differ, or the key is not approved",
     "if the named address is this key's own, approve the key as an agent; else please report the bytes"),
    ("L1 error: User or API Wallet", "unknown_signer", "the signature belongs to no account",
     "if the named address is this key's own, approve the key as an agent; else please report the bytes"),
    ("Must deposit before performing actions", "no_deposit", "the account that signed has no funds",
     "deposit, or use the key of the account that has"),
    ("Unable to recover signer", "bad_signature", "the signature is malformed", "please report the bytes"),
    ("Action already expired", "expired", "the action reached the venue after its expiry", "check the clock, or allow more time"),
    ("Signed action over weight limit", "too_many_items", "an action has more than 200 items", "split it"),
    ("Too many cumulative requests sent", "address_budget", "the account has used its requests up", "trade, or wait 10 s a request"),
    ("Invalid spot", "unknown_asset", "the venue has no such spot pair", "reload the instruments"),
    ("Invalid leverage value", "leverage", "above the instrument's maximum", "use a lower leverage"),
    ("Cross margin is not allowed for this asset", "leverage", "the instrument is isolated only", "pass cross=False"),
    ("Cannot switch leverage type with open position", "leverage", "there is a position", "close it first"),
    ("Vault not registered", "vault", "no such vault", "check the address"),
    ("Scheduled cancel time too early", "schedule_cancel", "less than 5 s ahead", "use a later time"),
    ("Cannot set scheduled cancel time until enough volume traded", "schedule_cancel", "the account may not use it yet", "trade more"),
    ("Too many scheduled cancels triggered for the day", "schedule_cancel", "the day's count is used up", "wait for the next UTC day"),
    ("Cross position does not have sufficient margin available to decrease leverage", "leverage",
     "a lower leverage needs more margin than is free", "deposit more collateral, or reduce the position"),
    ("Isolated position does not have sufficient margin available to decrease leverage", "leverage",
     "a lower leverage needs more margin than the position has", "add margin to the position, or reduce it"),
    ("Position does not use isolated margin", "isolated_margin", "the position is a cross one", "change the leverage with cross=False"),
    ("Update to isolated margin cannot be zero", "isolated_margin", "the amount is zero", "give the amount to add or remove"),
    ("Cannot update margin for empty position", "isolated_margin", "there is no position", "open one first"),
    ("Account does not have sufficient margin available for increase", "isolated_margin",
     "free collateral does not cover the amount", "add less, or add collateral"),
    ("Position does not have sufficient margin for reduction", "isolated_margin", "the position needs the margin that it has",
     "remove less, or reduce the position"),
    ("Cannot remove isolated margin for this asset", "isolated_margin", "the instrument does not allow it", "reduce the position"),
    ("Insufficient balance for withdrawal", "insufficient_balance", "the balance does not cover the amount and its fee", "withdraw less"),
    ("Insufficient balance for token transfer gas", "insufficient_balance", "the balance does not cover the gas", "add to the balance"),
    ("Insufficient balance for token transfer", "insufficient_balance", "the balance does not cover the amount", "send less"),
    ("Invalid sub-account transfer", "sub_account", "the two are not a master and its sub-account", "check both addresses"),
    ("Cannot create sub-accounts until enough volume traded", "sub_account", "the account has not traded enough", "trade more"),
    ("Referral code not registered", "referral", "no such code", "check its spelling"),
    ("Action disabled when unified account is active", "unified_account", "a unified account has one purse for all",
     "leave the transfer out: it is not needed there"),
    ("Invalid send", "invalid_send", "the venue does not take this transfer", "check token, amount and destination"),
    ("Agent can only send asset to same user or their sub-accounts", "agent_send", "an agent may not pay others",
     "sign with the master's key"),
    ("Error deploying outcome: not an outcome deployer", "outcome_deploy", "the account may not deploy outcomes",
     "use the deployer's account"),
    ("Staking link error", "staking_link", "the two accounts cannot be linked", "check both addresses and their roles"),
    ("User has pending agent removal", "agent", "an agent is being removed", "approve again in about 5 s"),
    ("Extra agent already used", "agent", "this address was an agent before", "make a new key: an agent's address is never used again"),
    ("Agent valid_until already expired", "agent", "the end is past, or more than 180 days ahead", "give a time within 180 days"),
    ("Too many extra agents for cumulative volume traded", "agent", "the account has as many agents as it may", "remove one first"),
)  # fmt: skip

STATUS: dict[str, str] = {
    "tickRejected": "Price must be divisible by tick size",
    "minTradeNtlRejected": "Order must have minimum value of",
    "perpMarginRejected": "Insufficient margin to place order",
    "reduceOnlyRejected": "Reduce only order would increase position",
    "badAloPxRejected": "Post only order would have immediately matched",
    "iocCancelRejected": "Order could not immediately match against any resting orders",
    "badTriggerPxRejected": "Invalid TP/SL price",
    "marketOrderNoLiquidityRejected": "No liquidity available for market order",
    "positionIncreaseAtOpenInterestCapRejected": "Order would increase open interest while open interest is capped",
    "positionFlipAtOpenInterestCapRejected": "Order would increase open interest while open interest is capped",
    "tooAggressiveAtOpenInterestCapRejected": "Order rejected due to price more aggressive than oracle while at open "
    "interest cap",
    "openInterestIncreaseRejected": "Order would increase open interest too quickly",
    "insufficientSpotBalanceRejected": "Insufficient spot balance",
    "oracleRejected": "Price too far from oracle",
    "perpMaxPositionRejected": "Order would cause position to exceed margin tier limit",
    "tooManyOpenOrdersRejected": "Too many open orders",
}
"""The status word of a refused order's row, and the text that its answer carries."""

unseen: dict[str, int] = {}
"""Texts that the table does not know, and how often each has come."""


def venue_reject(text: str) -> VenueReject:
    """The typed refusal for the venue's words: an answer's text, or the status word of a row."""
    plain = STATUS.get(text) or _SUFFIX.sub("", text)
    for begins, code, cause, remedy in TABLE:
        if plain.startswith(begins):
            return VenueReject(code, text, cause, remedy)
    if len(unseen) < 1000:
        unseen[plain] = unseen.get(plain, 0) + 1
    return VenueReject("venue_reject", text)
