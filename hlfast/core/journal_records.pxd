# What the journal's ring holds: the layout of its file, its records and its messages. Packed and little-endian; a change
# needs another magic. Each message is its fixed part, then its texts in the order in which they are read back, each with
# its length (uint32) in front.
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint16_t, uint64_t

cdef enum:
    PAGE = 4096
    RECORD = 512
    RECORDS_A_PAGE = 8
    HEAD_AT = 64             # in the page: number of the next record
    TAIL_AT = 128            # number of the oldest record that is not drained
    MESSAGE_MAX = 256 * 1024
    NO_TEXT = 0xFFFFFFFF
    REASON_MAX = 4000        # characters of a venue's text that are kept
    WARM = 128               # records ahead whose pages are kept writable
    RECOVERED = 1
    INCOMPLETE = 2

cdef enum:
    K_ORDER = 1
    K_EVENT = 2
    K_FILL = 3
    K_NONCE = 4
    K_POSITION = 5
    K_NOTE = 6

cdef packed struct RecordHead:
    int64_t number           # stored last
    uint64_t check           # of what follows, up to the payload's end
    uint16_t kind
    uint16_t part
    uint16_t parts
    uint16_t size

cdef enum:
    CHECKED_AT = 16
    PAYLOAD_AT = 24
    PAYLOAD = 488

cdef packed struct OrderPart:
    int64_t nonce
    int64_t expires_ms
    int64_t now_ns
    int64_t created_ns
    int64_t px_e8
    int64_t lots
    int64_t trigger_px_e8
    int32_t asset
    int32_t leverage
    uint8_t sz_decimals
    uint8_t is_buy
    uint8_t reduce_only
    uint8_t is_external
    uint8_t order_type
    uint8_t position_action
    uint8_t trigger_is_market
    uint8_t has_trigger

cdef packed struct EventPart:
    int64_t recv_ns
    int64_t time_ms
    int64_t oid
    int64_t nonce
    int64_t px_e8
    int64_t lots
    int64_t leg_lots
    uint8_t event
    int8_t old_state
    int8_t new_state
    uint8_t flags

cdef packed struct FillPart:
    int64_t tid
    int64_t oid
    int64_t px_e8
    int64_t lots
    int64_t fee_e8
    int64_t closed_pnl_e8
    int64_t start_lots
    int64_t time_ms
    int64_t recv_ns
    uint8_t sz_decimals
    uint8_t is_buy
    uint8_t is_taker
    uint8_t recovered

cdef packed struct NoncePart:
    int64_t nonce
    int64_t now_ns

cdef packed struct PositionPart:
    int64_t lots
    int64_t time_ms
    int64_t recv_ns
    uint8_t sz_decimals

cdef packed struct NotePart:
    int64_t recv_ns

cdef enum:
    E_CANCEL_SENT = 0
    E_MODIFY_SENT = 1
    E_STATE = 2
    E_CREATED = 3
    E_COMPLETED = 4
    E_CANCELLED = 5
    E_FAILED = 6
    E_EXPIRED = 7
    E_CANCEL_REJECTED = 8
    E_MODIFIED = 9
    E_MODIFY_REJECTED = 10
