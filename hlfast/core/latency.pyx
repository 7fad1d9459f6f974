"""Always-on latency recorder (layer 1, hot): one log-bucket histogram per stage, in C arrays, and the worst events whole.

    hl.latency.text()           a table for people          hl.latency.summary(), as_json()     for programs
    hl.latency.prometheus()     for a scraper               hl.latency.worst(10)                the slowest, stage by stage

Buckets: 16 per power of two of nanoseconds (values below 16 ns are exact), so a percentile is read with at most 6 %
error; count, sum and maximum are exact. Recording is a shift, an add and a compare, and allocates nothing. One
process has one recorder: stages are those of latency.pxd. A frame's event is ranked by the time from its
receipt until its handlers returned, an order's by the time of its call, or since the frame that it answers.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

import json
from operator import itemgetter

STAGES = ("frame_book", "book_callback", "check", "encode", "sign", "write", "total", "tick_to_trade", "ack")

cdef enum:
    SUB = 16
    BUCKETS = 16 * 44    # up to 2^47 ns, about 39 hours
    KEPT = 100           # events of each kind
    FRAME = 0
    ORDER = 1

ctypedef struct Event:
    int64_t at_ns
    int64_t whole_ns
    int64_t stage_ns[N_STAGES]               # -1: not passed

cdef Event _worst[2][KEPT]
cdef int _order[2][KEPT]
cdef int _kept[2]
cdef int64_t _least[2]                       # what an event has to exceed to be kept
cdef int64_t _frame_ns = 0

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


cdef int64_t enter_frame(int64_t recv_ns) noexcept nogil:
    global _frame_ns
    cdef int64_t before = _frame_ns
    _frame_ns = recv_ns
    return before


cdef Event* _place_for(int kind, int64_t whole_ns) noexcept nogil:
    """Where to keep a slow event: a free place, or that of the fastest one kept. Brings `_least` up to date.

    `_order` is a heap of places, the fastest event first: a process that falls behind has ever slower events, and must
    not search all that are kept for each of them.
    """
    cdef int i, child, at
    if _kept[kind] < KEPT:
        i = at = _kept[kind]
        _kept[kind] += 1
        while i > 0 and _worst[kind][_order[kind][(i - 1) // 2]].whole_ns > whole_ns:
            _order[kind][i] = _order[kind][(i - 1) // 2]
            i = (i - 1) // 2
    else:
        i = 0
        at = _order[kind][0]
        while 2 * i + 1 < KEPT:
            child = 2 * i + 1
            if child + 1 < KEPT and _worst[kind][_order[kind][child + 1]].whole_ns < _worst[kind][_order[kind][child]].whole_ns:
                child += 1
            if _worst[kind][_order[kind][child]].whole_ns >= whole_ns:
                break
            _order[kind][i] = _order[kind][child]
            i = child
    _order[kind][i] = at
    _worst[kind][at].whole_ns = whole_ns
    if _kept[kind] == KEPT:
        _least[kind] = _worst[kind][_order[kind][0]].whole_ns
    memset(_worst[kind][at].stage_ns, 0xFF, sizeof(_worst[kind][at].stage_ns))
    return &_worst[kind][at]


cdef int frame_done(int64_t recv_ns, int64_t book_ns, int64_t callback_ns) noexcept nogil:
    """`callback_ns` below 0: nobody listens."""
    cdef Event* event
    cdef int64_t whole_ns = book_ns + (callback_ns if callback_ns > 0 else 0)
    record(FRAME_BOOK, book_ns)
    if callback_ns >= 0:
        record(BOOK_CALLBACK, callback_ns)
    if whole_ns > _least[FRAME]:
        event = _place_for(FRAME, whole_ns)
        event.at_ns = recv_ns
        event.stage_ns[FRAME_BOOK] = book_ns
        event.stage_ns[BOOK_CALLBACK] = callback_ns
    return 0


cdef int order_sent(int64_t now_ns, int64_t check_ns, int64_t encode_ns, int64_t sign_ns, int64_t write_ns, int64_t total_ns) noexcept nogil:
    cdef Event* event
    cdef int64_t since_ns = now_ns - _frame_ns if _frame_ns > 0 else -1
    cdef int64_t whole_ns = total_ns if since_ns < total_ns else since_ns
    record(CHECK, check_ns)
    record(ENCODE, encode_ns)
    record(SIGN, sign_ns)
    record(WRITE, write_ns)
    record(TOTAL, total_ns)
    if since_ns >= 0:
        record(TICK_TO_TRADE, since_ns)
    if whole_ns > _least[ORDER]:
        event = _place_for(ORDER, whole_ns)
        event.at_ns = now_ns
        event.stage_ns[CHECK] = check_ns
        event.stage_ns[ENCODE] = encode_ns
        event.stage_ns[SIGN] = sign_ns
        event.stage_ns[WRITE] = write_ns
        event.stage_ns[TOTAL] = total_ns
        event.stage_ns[TICK_TO_TRADE] = since_ns
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
    memset(_kept, 0, sizeof(_kept))
    _least[FRAME] = _least[ORDER] = -1


def worst(n=100):
    """The slowest events since the start or `reset()`, at most 100 of each kind, the slowest first.

    Each has `kind` ("frame" or "order"), `at_ns` (epoch: a frame's receipt, an order's write), `whole_ns`, and the ns of
    each stage that it passed.
    """
    cdef int kind, i, stage
    found = []
    for kind in range(2):
        for i in range(_kept[kind]):
            event = {"kind": "order" if kind == ORDER else "frame", "at_ns": _worst[kind][i].at_ns, "whole_ns": _worst[kind][i].whole_ns}
            for stage in range(<int>N_STAGES):
                if _worst[kind][i].stage_ns[stage] >= 0:
                    event[STAGES[stage]] = _worst[kind][i].stage_ns[stage]
            found.append(event)
    return sorted(found, key=itemgetter("whole_ns"), reverse=True)[:n]


def as_json(int indent=0):
    """`summary()` and `worst()` as JSON text: `{"stages": {...}, "worst": [...]}`."""
    return json.dumps({"stages": summary(), "worst": worst()}, indent=indent or None)


def text():
    """`summary()` as a table for people."""
    rows = [("stage", "count", "mean", "p50", "p90", "p99", "p99.9", "max")]
    for stage, told in summary().items():
        if told["count"]:
            rows.append((stage, str(told["count"]), *[_shown(told[key]) for key in (
                "mean_ns", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")]))
    widths = [max(len(row[i]) for row in rows) for i in range(8)]
    return "\n".join(
        "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))) for row in rows)


def _shown(ns):
    for size, name in ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")):
        if ns >= size:
            return f"{ns / size:.3g} {name}"
    return f"{ns} ns"


def prometheus():
    """Every stage as a histogram in Prometheus' text format, in seconds; bucket bounds are powers of two of 64 ns."""
    cdef int stage, i, exponent
    cdef int64_t seen
    lines = [
        "# HELP hlfast_stage_seconds Time that a stage of the way from a frame to an order's bytes took.",
        "# TYPE hlfast_stage_seconds histogram",
    ]
    for stage in range(<int>N_STAGES):
        seen = 0
        i = 0
        for exponent in range(6, 35):
            while i < BUCKETS and _upper(i) < <int64_t>1 << exponent:
                seen += _counts[stage][i]
                i += 1
            lines.append(f'hlfast_stage_seconds_bucket{{stage="{STAGES[stage]}",le="{2.0 ** exponent / 1e9:.9g}"}} {seen}')
        lines.append(f'hlfast_stage_seconds_bucket{{stage="{STAGES[stage]}",le="+Inf"}} {_total[stage]}')
        lines.append(f'hlfast_stage_seconds_sum{{stage="{STAGES[stage]}"}} {_sum[stage] / 1e9:.9f}')
        lines.append(f'hlfast_stage_seconds_count{{stage="{STAGES[stage]}"}} {_total[stage]}')
    return "\n".join(lines) + "\n"


_least[FRAME] = _least[ORDER] = -1
