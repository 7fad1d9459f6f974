from libc.stdint cimport int64_t

cdef class OrderUpdate:
    cdef readonly object client_order_id     # str | None
    cdef readonly object cloid               # str | None, "0x" + 32 lower-case hex digits
    cdef readonly int64_t oid                # 0: not known
    cdef readonly str coin
    cdef readonly int new_state              # OrderState, or -1: not known (status text kept)
    cdef readonly str status                 # the venue's own word, "" if this did not come from a status row
    cdef readonly str side                   # "B", "A" or ""
    cdef readonly int64_t px_e8              # limit price, 0: not known
    cdef readonly int64_t lots               # remaining size of the row, -1: not known
    cdef readonly int64_t orig_lots          # original size of the row, -1: not known
    cdef readonly int64_t time_ms            # venue time of the status
    cdef readonly int64_t recv_ns
    cdef readonly str reason
    cdef readonly bint recovered

cdef class TradeUpdate:
    cdef readonly str coin
    cdef readonly int64_t tid
    cdef readonly int64_t oid
    cdef readonly object cloid               # str | None
    cdef readonly int64_t px_e8
    cdef readonly int64_t lots               # -1: off the lot grid, see size_text
    cdef readonly str size_text              # "" unless the size is off the lot grid (dust)
    cdef readonly int sz_decimals
    cdef readonly bint is_buy
    cdef readonly bint is_taker              # the venue's `crossed`
    cdef readonly int64_t fee_e8             # negative: rebate
    cdef readonly object fee_exact           # Decimal | None: set when the fee has more than 8 decimals
    cdef readonly str fee_token
    cdef readonly int64_t closed_pnl_e8      # the venue's closedPnl (without fees), 0 if not known
    cdef readonly int64_t start_lots         # startPosition in lots (signed); INT64_MIN: not known
    cdef readonly str direction              # the venue's `dir`, free text
    cdef readonly int64_t time_ms
    cdef readonly int64_t recv_ns
    cdef readonly bint recovered

cdef class Trade:
    cdef readonly str coin
    cdef readonly int64_t px_e8
    cdef readonly int64_t lots
    cdef readonly int sz_decimals
    cdef readonly bint is_buy                # the aggressor's side
    cdef readonly int64_t tid
    cdef readonly int64_t time_ms
    cdef readonly int64_t recv_ns
    cdef readonly str buyer
    cdef readonly str seller

# Factories for scanners: every field, positionally, in the order of the attributes above.
cdef OrderUpdate make_order_update(
    object client_order_id, object cloid, int64_t oid, str coin, int new_state, str status, str side, int64_t px_e8,
    int64_t lots, int64_t orig_lots, int64_t time_ms, int64_t recv_ns, str reason, bint recovered)

cdef TradeUpdate make_trade_update(
    str coin, int64_t tid, int64_t oid, object cloid, int64_t px_e8, int64_t lots, str size_text, int sz_decimals,
    bint is_buy, bint is_taker, int64_t fee_e8, object fee_exact, str fee_token, int64_t closed_pnl_e8,
    int64_t start_lots, str direction, int64_t time_ms, int64_t recv_ns, bint recovered)

cdef Trade make_trade(
    str coin, int64_t px_e8, int64_t lots, int sz_decimals, bint is_buy, int64_t tid, int64_t time_ms, int64_t recv_ns,
    str buyer, str seller)
