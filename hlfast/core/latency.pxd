from libc.stdint cimport int64_t

cdef int record(int stage, int64_t ns) noexcept nogil

cdef enum Stage:
    FRAME_BOOK = 0       # frame read -> book updated
    BOOK_CALLBACK = 1    # book updated -> handlers returned
    CHECK = 2            # buy() entered -> checked and tracked
    ENCODE = 3           # tracked -> encoded
    SIGN = 4             # encoded -> signed
    WRITE = 5            # signed -> handed to the socket
    TOTAL = 6            # buy() entered -> handed to the socket
    ACK = 7              # handed to the socket -> answer read
    N_STAGES = 8
