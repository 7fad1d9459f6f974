"""The gateway's closed vocabulary (layer 4, cold): its own codes, the venue's refusals, the ends of accepted orders.

A report carries one of eleven canonical codes and, as `raw_code`, the gateway's own code or the venue's status word.
The venue's words are matched by how they begin, never searched for loose words (docs/gateway.md). A code that is not
listed counts as `venue_reject` and is counted in `unlisted`.
"""

from __future__ import annotations

import re

STATUSES = ("accepted", "rejected", "canceled", "replaced")
CANONICAL = (
    "ok",
    "invalid_params",
    "risk_blocked",
    "venue_reject",
    "insufficient_balance",
    "post_only_violation",
    "min_size",
    "price_out_of_bounds",
    "rate_limited",
    "network_error",
    "expired",
)

GATEWAY_CODES: dict[str, str] = {
    code: canonical
    for canonical, codes in {
        "invalid_params": "bad_json bad_message missing_cl_id bad_field unsupported_version missing_action "
        "invalid_action missing_parameters missing_price missing_stop_price missing_cancel_id missing_replace_id "
        "unsupported_type unsupported_tif unsupported_product invalid_size invalid_reduce_only invalid_bracket "
        "unknown_symbol cl_id_reused parameter_error",
        "venue_reject": "unknown_venue unknown_order exchange_rejected cancel_rejected modify_rejected close_rejected",
        "network_error": "exchange_error processing_error timeout transport_error not_connected account_stream_stale "
        "catalogue_not_ready no_reference_price",
        "rate_limited": "too_many_requests no_slot",
        "expired": "ttl_expired too_old",
        "risk_blocked": "risk_violation kill_switch",
        "insufficient_balance": "balance_insufficient",
        "post_only_violation": "post_only_reject",
        "min_size": "size_too_small",
        "price_out_of_bounds": "price_too_far",
    }.items()
    for code in codes.split()
}

RETRIED = frozenset({"network_error", "rate_limited", "expired"})
"""After a rejection with one of these the same message is a new attempt."""

_WORDS: dict[str, str] = {
    word.lower(): canonical
    for canonical, words in {
        "price_out_of_bounds": "tickRejected oracleRejected badTriggerPxRejected",
        "min_size": "minTradeNtlRejected minTradeSpotNtlRejected",
        "post_only_violation": "badAloPxRejected",
        "insufficient_balance": "perpMarginRejected insufficientSpotBalanceRejected",
        "risk_blocked": "perpMaxPositionRejected",
        "invalid_params": "reduceOnlyRejected",
    }.items()
    for word in words.split()
}
"""Status words of a refusal; every other `...Rejected` is `venue_reject`."""

_TEXTS: tuple[tuple[str, str, str], ...] = (
    # how the text begins, canonical code, the status word that says the same ("" where there is none)
    ("Price must be divisible by tick size", "price_out_of_bounds", "tickRejected"),
    ("Price too far from oracle", "price_out_of_bounds", "oracleRejected"),
    ("Order price too far from oracle", "price_out_of_bounds", "oracleRejected"),
    ("Invalid TP/SL price", "price_out_of_bounds", "badTriggerPxRejected"),
    ("Order price cannot be more than", "price_out_of_bounds", ""),
    ("Order must have minimum value of", "min_size", "minTradeNtlRejected"),
    ("Post only order would have immediately matched", "post_only_violation", "badAloPxRejected"),
    ("Insufficient margin to place order", "insufficient_balance", "perpMarginRejected"),
    ("Insufficient spot balance", "insufficient_balance", "insufficientSpotBalanceRejected"),
    ("Insufficient delegatable balance", "insufficient_balance", ""),
    ("Order would cause position to exceed margin tier limit", "risk_blocked", "perpMaxPositionRejected"),
    ("Order value too large", "risk_blocked", ""),
    ("Order size cannot be larger than half", "risk_blocked", ""),
    ("Reduce only order would increase position", "invalid_params", "reduceOnlyRejected"),
    ("Reduce-only is invalid for spot", "invalid_params", "reduceOnlyRejected"),
    ("Order has zero size", "invalid_params", ""),
    ("Order has invalid size", "invalid_params", ""),
    ("Order has invalid price", "invalid_params", ""),
    ("Orders are empty", "invalid_params", ""),
    ("Invalid TIF", "invalid_params", ""),
    ("Invalid spot", "invalid_params", ""),
    ("Order action has different asset classes", "invalid_params", ""),
    ("Trigger order is not reduce only", "invalid_params", ""),
    ("Trigger order has unexpected side", "invalid_params", ""),
    ("Unexpected number of trigger orders", "invalid_params", ""),
    ("Signed action over weight limit", "invalid_params", ""),
    ("Order could not immediately match", "venue_reject", "iocCancelRejected"),
    ("No liquidity available for market order", "venue_reject", "marketOrderNoLiquidityRejected"),
    ("Too many open orders", "venue_reject", "tooManyOpenOrdersRejected"),
    ("Too many cumulative requests sent", "rate_limited", "too_many_requests"),
    ("too many pending post requests", "rate_limited", "too_many_requests"),
    ("Action already expired", "expired", "ttl_expired"),
    ("Invalid nonce: nonce too low", "network_error", "exchange_error"),
    # ours: the tracker's words for orders that never got there
    ("not sent:", "network_error", "transport_error"),
    ("its nonce was burnt", "network_error", "transport_error"),
    ("proven absent", "network_error", "transport_error"),
    ("the venue shows the order as it was", "network_error", "transport_error"),
)
_LOST_IN_MODIFY = re.compile(r"^Error placing new order during modify: ?")
_ASSET = re.compile(r" asset=\d+$")

_CANCELS: dict[str, str] = {
    "canceled": "ok",
    "siblingFilledCanceled": "ok",
    "reduceOnlyCanceled": "ok",
    "scheduledCancel": "ok",
    "ioc_remainder": "ok",
    "reduced": "ok",
    "marginCanceled": "insufficient_balance",
    "liquidatedCanceled": "risk_blocked",
    "openInterestCapCanceled": "risk_blocked",
    "perpMaxPositionCanceled": "risk_blocked",
}

unlisted: dict[str, int] = {}
"""Codes and texts that no table knows, and how often each has come."""


def canonical_of(raw: str) -> str:
    """The canonical code of a gateway code; codes are compared without case."""
    found = GATEWAY_CODES.get(raw.lower())
    return found if found is not None else _unlisted(raw)


def refusal_of(text: str) -> tuple[str, str]:
    """(canonical code, raw code) of the venue's refusal: a status word, or the text of an answer."""
    word = _WORDS.get(text.lower())
    if word is not None:
        return word, text
    if text.endswith("Rejected") and " " not in text:
        return "venue_reject", text
    plain = _ASSET.sub("", _LOST_IN_MODIFY.sub("", text))
    for begins, canonical, raw in _TEXTS:
        if plain.startswith(begins):
            return canonical, raw or "exchange_rejected"
    if not text.startswith(
        ("Trading is halted", "Only post-only orders", "Builder fee", "Attempted to modify", "Cannot")
    ):
        _unlisted(plain)
    return "venue_reject", "exchange_rejected"


def words_of(text: str) -> str:
    """For people: a status word (a row that was ahead of its answer) together with the text that it stands for."""
    found = next((begins for begins, _, raw in _TEXTS if raw == text), "")
    return f"{found} ({text})" if found else text


def end_of(word: str) -> tuple[str, str]:
    """(canonical code, raw code) of the end of an order that was accepted."""
    found = _CANCELS.get(word)
    if found is not None:
        return found, word
    if not word or word.startswith(("cancelled before", "proven absent")):
        return "ok", "canceled"
    if word.endswith(("Canceled", "Cancel")) and " " not in word:
        return "venue_reject", word
    return refusal_of(word)


def _unlisted(raw: str) -> str:
    if len(unlisted) < 1000:
        unlisted[raw] = unlisted.get(raw, 0) + 1
    return "venue_reject"
