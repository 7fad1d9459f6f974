from libc.stdint cimport int64_t

cdef enum:                # a stage
    FRAME_BOOK = 0       # frame received -> book updated
    BOOK_CALLBACK = 1    # book updated -> handlers returned
    CHECK = 2            # buy() entered -> checked and tracked
    ENCODE = 3           # tracked -> encoded
    SIGN = 4             # encoded -> signed
    WRITE = 5            # signed -> handed to the socket
    TOTAL = 6            # buy() entered -> handed to the socket
    TICK_TO_TRADE = 7    # frame received -> an order that a handler of it sent is handed to the socket
    ACK = 8              # handed to the socket -> answer read
    N_STAGES = 9

cdef int record(int stage, int64_t ns) noexcept nogil

# The frame whose handlers run now, by its receive time in epoch ns; 0 when they have returned. Gives the one before.
cdef int64_t enter_frame(int64_t recv_ns) noexcept nogil

# A frame that was acted upon, and an order that was sent: each stage is recorded, and the slow ones are kept whole.
cdef int frame_done(int64_t recv_ns, int64_t book_ns, int64_t callback_ns) noexcept nogil
cdef int order_sent(int64_t now_ns, int64_t check_ns, int64_t encode_ns, int64_t sign_ns, int64_t write_ns, int64_t total_ns) noexcept nogil
