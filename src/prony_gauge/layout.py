"""Says where each number of a gauge file stands: the one description that the writer and the reader share.

A file is made of aligned 8-byte words in the machine's byte order. Offsets are in words unless a name says bytes.

    header   64 words
    names    128 entries of (count, kind and length, 248 bytes of UTF-8)
    rows     128 rows, one an OS thread, of 32 words and a ring of the last 256 (entry_ns, exit_ns)
    meters   by kind, bounded: a label, 16 figures and a histogram of powers of two of nanoseconds
    timings  a ring of 128 requests that carried their due and sent instants, with up to 24 steps each

Every clock value is CLOCK_MONOTONIC in nanoseconds. A file appears under its final name (`<pid>.gauge`) complete, and
is locked (a POSIX record lock) while its process lives: death, and exec, let go of it.
"""

MAGIC = 0x45475541_47595250  # "PRYGAUGE", read as a little-endian word
VERSION = 3
SUFFIX = ".gauge"

# The header.
MAGIC_AT, VERSION_AT, PID_AT, PARENT_AT, SLOTS_AT, CREATED_AT, ROLE_AT, USED_AT = range(8)
# Levels of an event loop's process, and sums: how late its loop came to a timer, its threads for synchronous work.
LAGS_AT, LAG_NS_AT, LAG_MOST_AT, TOKENS_AT, TOKENS_USED_AT, TOKENS_WAITED_AT, ASGIREF_QUEUE_AT = range(8, 15)
TIMED_AT, SENT_TO_ENTRY_AT = 15, 16  # requests that carried their instants: how many, and their sum of entry - sent
HEADER_WORDS = 64

# What the process is to the app.
OTHER = 0  # never loaded the entry: a manage.py command, say, that was refused a connection
LOADED = 1  # imported the entry itself: a worker, or a master that preloads
FORKED = 2  # forked from one that had: a worker under preload, or a helper of the app's own

# The names: an entry's count is written last, so one that counts something is complete.
NAMES = 128
NAME_BYTES = 248
NAME_WORDS = 2 + NAME_BYTES // 8
NAMES_AT = HEADER_WORDS
COUNT, KIND_LENGTH, TEXT = 0, 1, 2  # kind in the upper half of its word, length in bytes in the lower
EXCEPTION, CONNECT_ERROR, REFUSED, HOOK_OFF = 1, 2, 3, 4
KINDS = 4  # the last entries, one a kind, hold what no longer found a place
OTHERS = "(others)"

# The rows.
ROWS = 128
ROWS_AT = NAMES_AT + NAMES * NAME_WORDS
BEGUN, ENDED, BUSY, LAST_ENTRY, LAST_EXIT, CONNECTS, CONNECT_NS, CONNECT_FAILED, ERRORS = range(9)
STATEMENTS, STATEMENT_NS, POOL_WAITS, POOL_NS, OUTBOUND, OUTBOUND_NS = range(9, 15)
CACHE_CALLS, CACHE_NS, CACHE_LOOKUPS, CACHE_HITS, CPU_NS, CPU_TIMED, SENT_BYTES = range(15, 22)
COUNTERS = 22
RING_AT = 32
RING = 256
ROW_WORDS = RING_AT + 2 * RING

# The meters: each kind has a stretch of its own, whose last entry holds what no longer found a place.
ROUTE, STATEMENT, HOST, CACHE = 1, 2, 3, 4
METER_CAPS = {ROUTE: 160, STATEMENT: 384, HOST: 64, CACHE: 64}
METER_FIRST = {ROUTE: 0, STATEMENT: 160, HOST: 544, CACHE: 608}
METERS = 672
METERS_AT = ROWS_AT + ROWS * ROW_WORDS
METER_TEXT, METER_BYTES = 2, 384  # the first word holds kind and length, as a name's does
FIGURES_AT, FIGURES = 50, 16
BUCKETS_AT, BUCKETS = 66, 46  # bucket b counts what took 2^(b-1) ns or more, and less than 2^b
METER_WORDS = 112
# The figures. A count is written last. All kinds have the first three, a cache its lookups, a route all.
M_COUNT, M_NS, M_MOST = 0, 1, 2
M_CPU_NS, M_STATEMENTS, M_STATEMENT_NS, M_POOL_NS, M_CONNECTS, M_CONNECT_NS = range(3, 9)
M_OUTBOUND, M_OUTBOUND_NS, M_CACHE_CALLS, M_CACHE_NS, M_LOOKUPS, M_HITS, M_BYTES = range(9, 16)

# The timings: id, due, sent, entry, exit, meter of the route, how many steps, then (what, began_ns, ended_ns) each.
# The header's TIMED_AT counts those that were written: the latest stands at (count - 1) % TIMINGS.
TIMINGS_AT = METERS_AT + METERS * METER_WORDS
TIMINGS = 128
T_ID, T_DUE, T_SENT, T_ENTRY, T_EXIT, T_ROUTE, T_STEPS = range(7)
STEPS_AT, STEPS = 8, 24
S_STATEMENT, S_POOL, S_CONNECT, S_OUTBOUND, S_CACHE = 1, 2, 3, 4, 5  # in the upper half; below, the meter's number
TIMING_WORDS = STEPS_AT + 3 * STEPS

WORDS = TIMINGS_AT + TIMINGS * TIMING_WORDS
SIZE_BYTES = WORDS * 8
