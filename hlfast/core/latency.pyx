"""Always-on latency recorder (layer 1, hot): one log-bucket histogram per stage, in C arrays.

Buckets: 16 per power of two of nanoseconds (values below 16 ns are exact), so a percentile is read with at most 6 %
error; count, sum and maximum are exact. Recording is a shift, an add and a compare, and allocates nothing. One
process has one recorder: stages are those of `Stage` in latency.pxd.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

STAGES = ("frame_book", "book_callback", "check", "encode", "sign", "write", "total", "ack")

cdef enum:
    SUB = 16
    BUCKETS = 16 * 44    # up to 2^47 ns, about 39 hours

cdef int64_t _counts[N_STAGES][BUCKETS]
cdef int64_t _total[N_STAGES]
cdef int64_t _sum[N_STAGES]
cdef int64_t _max[N_STAGES]

cdef extern from *:
    """
    static inline int hlfast_bits(unsigned long long v) { return 63 - __builtin_clzll(v); }
    """
    int hlfast_bits(unsigned long long v) noexcept nogil


cdef inline int _bucket(int64_t ns) noexcept nogil:
    cdef int exponent
    if ns < SUB:
        return <int>ns if ns > 0 else 0
    exponent = hlfast_bits(<uint64_t>ns)
    if exponent > 46:
        return BUCKETS - 1
    return (exponent - 3) * SUB + <int>((ns >> (exponent - 4)) & (SUB - 1))


cdef inline int64_t _upper(int bucket) noexcept nogil:
    cdef int exponent
    if bucket < SUB:
        return bucket
    exponent = bucket // SUB + 3
    return ((<int64_t>(SUB + bucket % SUB) + 1) << (exponent - 4)) - 1


cdef int record(int stage, int64_t ns) noexcept nogil:
    if stage < 0 or stage >= N_STAGES:
        return -1
    if ns < 0:
        ns = 0
    _counts[stage][_bucket(ns)] += 1
    _total[stage] += 1
    _sum[stage] += ns
    if ns > _max[stage]:
        _max[stage] = ns
    return 0


cdef int64_t _percentile(int stage, double fraction) noexcept nogil:
    cdef int64_t wanted = <int64_t>(fraction * _total[stage]) + 1, seen = 0, top
    cdef int i
    if _total[stage] == 0:
        return 0
    if wanted > _total[stage]:
        wanted = _total[stage]
    for i in range(BUCKETS):
        seen += _counts[stage][i]
        if seen >= wanted:
            top = _upper(i)
            return top if top < _max[stage] else _max[stage]
    return _max[stage]


def record_stage(str stage, ns):
    """Record `ns` nanoseconds under `stage` (a name in `stages()`), for Python callers."""
    record(STAGES.index(stage), ns)


def stages():
    """The names of the stages, in the order in which an event passes them."""
    return STAGES


def summary():
    """Per stage: count, mean, p50, p90, p99, p99.9 and maximum in nanoseconds. Percentiles are upper bucket bounds."""
    cdef int i
    out = {}
    for i in range(<int>N_STAGES):
        out[STAGES[i]] = {
            "count": _total[i],
            "mean_ns": _sum[i] // _total[i] if _total[i] else 0,
            "p50_ns": _percentile(i, 0.50),
            "p90_ns": _percentile(i, 0.90),
            "p99_ns": _percentile(i, 0.99),
            "p999_ns": _percentile(i, 0.999),
            "max_ns": _max[i],
        }
    return out


def reset():
    """Forget everything recorded so far."""
    memset(_counts, 0, sizeof(_counts))
    memset(_total, 0, sizeof(_total))
    memset(_sum, 0, sizeof(_sum))
    memset(_max, 0, sizeof(_max))
