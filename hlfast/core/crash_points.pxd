from libc.stdint cimport int64_t

cdef enum Point:
    NOWHERE = 0
    AFTER_RING = 1       # the intent is in the ring and signed, and none of its bytes has left
    MID_WRITE = 2        # half of the frame's bytes are in the socket
    AFTER_WRITE = 3      # all of them are, and no answer has come
    BEFORE_PARSE = 4     # the answer's bytes have been read, and nothing has been made of them
    BEFORE_COMMIT = 5    # records of the ring are in the database's transaction, which is open
    AFTER_COMMIT = 6     # they are in the database, and still in the ring
    N_POINTS = 7

cdef int armed           # where this process is to die; NOWHERE unless a test says otherwise

# Count a hit of the armed point; the wanted one kills this process. 0, as everything here.
cdef int reached(int point) noexcept nogil

# At a place in the code: one load and one predictable branch where nothing is armed.
cdef inline int at(int point) noexcept nogil:
    if armed == point:
        return reached(point)
    return 0

# In front of the write of `text` as one WebSocket text message to the plain socket `fd`: the wanted hit of MID_WRITE
# writes the first half of the frame's bytes, and dies.
cdef int reached_mid_write(int fd, const unsigned char* text, int64_t n) noexcept nogil

# As `at(BEFORE_PARSE)`, for frames that answer an action item by item; others are not counted.
cdef int reached_before_parse(const char* data, int64_t n) noexcept nogil
