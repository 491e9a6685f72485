"""Says where each number of a gauge file stands: the one description that the writer and the reader share.

A file is made of aligned 8-byte words in the machine's byte order. Offsets are in words unless a name says bytes.

    header   64 words
    names    128 entries of (count, kind and length, 248 bytes of UTF-8)
    labels   by kind, bounded: the routes, statements, hosts and cache commands that records name by number
    ring     the records of the last requests, with their steps: what a reader adds up, so that the app need not

Every clock value is CLOCK_MONOTONIC in nanoseconds. A file appears under its final name (`<pid>.gauge`) complete, and
is locked (a POSIX record lock) while its process lives: death, and exec, let go of it.
"""

MAGIC = 0x45475541_47595250  # "PRYGAUGE", read as a little-endian word
VERSION = 4
SUFFIX = ".gauge"

# The header.
MAGIC_AT, VERSION_AT, PID_AT, PARENT_AT, SLOTS_AT, CREATED_AT, ROLE_AT = range(7)
# Levels of an event loop's process, and sums: how late its loop came to a timer, its threads for synchronous work.
LAGS_AT, LAG_NS_AT, LAG_MOST_AT, TOKENS_AT, TOKENS_USED_AT, TOKENS_WAITED_AT, ASGIREF_QUEUE_AT = range(8, 15)
# Counters: requests that entered, and that are over; database connections tried, their time, and how many failed.
BEGUN_AT, ENDED_AT, CONNECTS_AT, CONNECT_NS_AT, CONNECT_FAILED_AT = range(16, 21)
COUNTERS = 5
HEAD_AT = 21  # words ever written to the ring: a reader takes it up to here
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

# The labels: each kind has a stretch of its own, whose last entry holds what no longer found a place.
ROUTE, STATEMENT, HOST, CACHE = 1, 2, 3, 4
LABEL_CAPS = {ROUTE: 160, STATEMENT: 384, HOST: 64, CACHE: 64}
LABEL_FIRST = {ROUTE: 0, STATEMENT: 160, HOST: 544, CACHE: 608}
LABELS = 672
LABELS_AT = NAMES_AT + NAMES * NAME_WORDS
LABEL_BYTES = 384
LABEL_WORDS = 1 + LABEL_BYTES // 8  # the first word holds kind and length, as a name's does

# The ring. A record: its size in words (lower 16 bits) and number (above), what it is of, entry_ns, exit_ns, CPU ns (0:
# not known), bytes of the answer's body; then steps of three words each. None lies across the ring's end: a word with a
# size and no number says that nothing follows up to there.
RING_AT = LABELS_AT + LABELS * LABEL_WORDS
RING_WORDS = 1 << 15
RECORD_WORDS = 6
R_SIZE, R_OF, R_ENTRY, R_EXIT, R_CPU_NS, R_BYTES = range(RECORD_WORDS)
SIZE_BITS = 16
# What a record is of: a route's number and one for a request; else one of these.
ALONE = 0  # steps outside of any request
PART = 1 << 40  # steps of a request that goes on, whose number stands in place of its CPU time
BARE = 1 << 41  # a request of which no more is known than when it entered and ended
STEPS_MOST = 64  # of one record
RECORD_MOST = RECORD_WORDS + 3 * STEPS_MOST
# A step: kind (upper 4 bits) with two counts of 20 bits and a label's number of 20 bits, began_ns, ended_ns.
KIND_BITS, FIRST_BITS, SECOND_BITS, COUNT_MOST = 60, 40, 20, (1 << 20) - 1
S_STATEMENT, S_POOL, S_CONNECT, S_OUTBOUND, S_CACHE = 1, 2, 3, 4, 5  # counts: times; or a cache's lookups and hits
S_TIMING = 6  # the request carried an id (in place of counts and label), and when it was due and sent: in each part too
S_PARTS = 7  # the request left parts before, under the number that stands in place of `began`

WORDS = RING_AT + RING_WORDS
SIZE_BYTES = WORDS * 8
