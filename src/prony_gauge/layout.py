"""Says where each number of a gauge file stands: the one description that the writer and the reader share.

A file is made of aligned 8-byte words in the machine's byte order. Offsets are in words unless a name says bytes.

    header   64 words
    names    128 entries of (count, kind and length, 248 bytes of UTF-8)
    rows     128 rows, one an OS thread, of 16 words and a ring of the last 256 (entry_ns, exit_ns)

Every clock value is CLOCK_MONOTONIC in nanoseconds. A file appears under its final name (`<pid>.gauge`) complete, and
is locked (a POSIX record lock) while its process lives: death, and exec, let go of it.
"""

MAGIC = 0x45475541_47595250  # "PRYGAUGE", read as a little-endian word
VERSION = 2
SUFFIX = ".gauge"

# The header.
MAGIC_AT, VERSION_AT, PID_AT, PARENT_AT, SLOTS_AT, CREATED_AT, ROLE_AT, USED_AT = range(8)
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
EXCEPTION, CONNECT_ERROR, REFUSED = 1, 2, 3
KINDS = 3  # the last entries, one a kind, hold what no longer found a place
OTHERS = "(others)"

# The rows.
ROWS = 128
ROWS_AT = NAMES_AT + NAMES * NAME_WORDS
BEGUN, ENDED, BUSY, LAST_ENTRY, LAST_EXIT, CONNECTS, CONNECT_NS, CONNECT_FAILED, ERRORS = range(9)
COUNTERS = 9
RING_AT = 16
RING = 256
ROW_WORDS = RING_AT + 2 * RING

WORDS = ROWS_AT + ROWS * ROW_WORDS
SIZE_BYTES = WORDS * 8
