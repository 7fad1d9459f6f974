from libc.stdint cimport int64_t

from hlfast.core.fixed cimport int128
from hlfast.core.updates cimport TradeUpdate

cdef enum:
    # OrderState by value, in the order of the transition table's columns
    S_PENDING_CREATE = 0
    S_PENDING_SUBMIT = 1
    S_OPEN = 2
    S_PARTIALLY_FILLED = 3
    S_FILLED = 4
    S_PENDING_CANCEL = 5
    S_CANCELLED = 6
    S_FAILED = 7
    S_EXPIRED = 8

cdef enum:
    # what the table says of a change of state
    ALLOWED = 65         # 'A': applied, event
    LATE = 76            # 'L': late or repeated, counted
    ANOMALY = 88         # 'X': not applied, error event, the venue is asked

cdef int verdict(int state, int new_state) noexcept nogil
cdef bint is_finished(int state) noexcept nogil

cdef class InFlightOrder:
    # what was asked for; never changes but for a modify
    cdef readonly str client_order_id
    cdef readonly str cloid                  # "0x" + 32 hex digits, or None
    cdef readonly str coin
    cdef readonly str trading_pair
    cdef readonly int asset
    cdef readonly int sz_decimals
    cdef readonly bint is_buy
    cdef readonly bint reduce_only
    cdef readonly bint is_external           # placed elsewhere on the same account
    cdef readonly str tif                    # the venue's word: Gtc, Ioc, Alo, FrontendMarket
    cdef readonly object order_type
    cdef readonly object position_action
    cdef readonly int64_t px_e8              # limit price; of a market order its cap
    cdef readonly int64_t trigger_px_e8      # 0: not a trigger order
    cdef readonly object trigger             # hlfast.types.Trigger | None
    cdef readonly int64_t lots               # 0: not known
    cdef readonly int64_t nonce              # of the action that placed it; 0: not sent
    cdef readonly int64_t expires_after_ms   # 0: none
    cdef readonly int leverage
    cdef public str strategy                 # whose order it is; None: nobody has said
    # what has become of it
    cdef int state_
    cdef int64_t oid                         # 0: not known
    cdef list oids                           # None while there is none
    cdef readonly bint unresolved
    cdef readonly bint query_due             # the venue should be asked about it
    cdef readonly bint was_created           # OrderCreated has been emitted
    cdef readonly int64_t filled_lots
    cdef int128 quote                        # sum of px_e8 * lots
    cdef dict fees_e8
    cdef dict fees_exact
    cdef list fill_list
    cdef readonly str reason
    cdef readonly object reject              # VenueReject | None
    cdef readonly int64_t created_ns
    cdef readonly int64_t updated_ns
    cdef readonly int64_t sent_ns            # when its bytes went out; 0: never
    cdef readonly int64_t time_ms            # venue time of the newest news
    cdef readonly int64_t end_time_ms        # venue time of its end; 0: not ended, or not known
    # the effective amount and a held-back end (seed system, fill rules 7-9)
    cdef int64_t effective_lots              # what will be filled at most; -1: the whole amount
    cdef int held                            # the end that waits for fills, an OrderState; -1: none
    cdef int64_t held_lots                   # it is released when so much is filled
    cdef int64_t held_until_ns
    cdef bint end_emitted
    cdef bint is_stored                      # among the tracker's finished ones
    cdef bint cancel_refused                 # the last cancel was refused, and nothing else is known yet
    # a modify: the venue cancels the order and places another under the same cloid (its newest leg)
    cdef readonly bint modify_pending        # sent, and its outcome is not known
    cdef readonly bint modify_doubted        # ... and its answer may never come: the venue is to be asked
    cdef readonly int64_t modify_nonce       # of its action; 0: not known
    cdef int64_t leg_lots                    # size of the newest leg; 0: never modified
    cdef int64_t leg_filled                  # how much of that leg is filled
    cdef int64_t new_px_e8                   # what the pending modify asks for
    cdef int64_t new_leg_lots
    cdef bint leg_cancelled                  # the old leg's cancel has come, ahead of the modify's outcome
    cdef int64_t leg_cancel_ms
    cdef int64_t leg_cancel_lots
    cdef int64_t leg_cancel_orig
    cdef int64_t counted_lots                # what the tracker's sums of resting orders hold of it
    cdef int not_found
    cdef int64_t not_found_since_ns
    cdef object home                         # the tracker that knows how to wait; None for a copy
    cdef list waiters                        # [(what, future)], None while there are none
    cdef int add_fill(self, TradeUpdate fill, int64_t lots) except -1
    cdef int add_oid(self, int64_t oid) except -1

cdef int64_t lots_in(TradeUpdate fill, int sz_decimals) except -2

cdef InFlightOrder make_order(
    str client_order_id, str cloid, str coin, str trading_pair, int asset, int sz_decimals, bint is_buy,
    int64_t px_e8, int64_t lots, str tif, bint reduce_only, object order_type, object position_action, int64_t now_ns)
