"""The SQL stores' knobs: what [stores.database] takes for Postgres, MariaDB and SQLite."""

from __future__ import annotations

from prony.knobs import Knob

_ROUND_TRIP = Knob(
    "stores.database.round_trip",
    "database",
    "duration",
    0.0,
    "A round trip added between the app and the database by a small TCP proxy: "
    "a managed database is not on the same machine.",
    low=0,
    high=1,
)

POSTGRES = (
    Knob(
        "stores.database.source",
        "database",
        "choice",
        "embedded",
        "Which Postgres runs: the one that came with prony (embedded), or the newest that this machine has (system).",
        choices=("embedded", "system"),
    ),
    Knob(
        "stores.database.max_connections",
        "connections",
        "integer",
        100,
        "Postgres's own max_connections. Of these, 3 stay reserved for superusers, as in a stock Postgres; "
        "when the app asks for more than the rest, it is refused with SQLSTATE 53300.",
        low=10,
        high=5000,
    ),
    _ROUND_TRIP,
    Knob(
        "stores.database.shared_buffers_mb",
        "database",
        "integer",
        128,
        "Memory for Postgres's page cache, in MB.",
        low=16,
        high=65536,
    ),
    Knob(
        "stores.database.work_mem_mb",
        "database",
        "integer",
        4,
        "Memory, in MB, that one sort or hash may use before it spills to disk. "
        "Each connection may use several at once, so many connections make a large value dangerous.",
        low=1,
        high=4096,
    ),
    Knob(
        "stores.database.effective_cache_size_mb",
        "database",
        "integer",
        4096,
        "How much memory, in MB, the planner believes caches the data. It allocates nothing; "
        "a value far too low makes it avoid indexes.",
        low=1,
        high=1_048_576,
    ),
    Knob(
        "stores.database.random_page_cost",
        "database",
        "number",
        4.0,
        "What the planner charges for a page read out of order. The default is a spinning disk's; "
        "1.1 suits an SSD, and lets it use indexes more often.",
        low=0.1,
        high=100,
    ),
    Knob(
        "stores.database.synchronous_commit",
        "database",
        "flag",
        True,
        "Whether a commit waits until it is on disk. Off makes writes much faster, "
        "and a crash may lose the last fraction of a second of them.",
    ),
    Knob(
        "stores.database.max_wal_size_mb",
        "database",
        "integer",
        1024,
        "How much write-ahead log, in MB, may gather before a checkpoint is forced. "
        "Too little means frequent checkpoints, which show as periodic slow stretches under writes.",
        low=32,
        high=1_048_576,
    ),
    Knob(
        "stores.database.checkpoint_timeout",
        "database",
        "duration",
        300.0,
        "Most time between two checkpoints.",
        low=30,
        high=86400,
    ),
    Knob(
        "stores.database.statement_timeout",
        "database",
        "duration",
        0.0,
        "A statement that runs longer is ended with an error (0s: never). "
        "It keeps one slow query from holding a connection for good.",
        low=0,
        high=3600,
    ),
    Knob(
        "stores.database.jit",
        "database",
        "flag",
        True,
        "Compile expensive queries before running them. It helps long reports, and delays short queries that the "
        "planner takes for expensive ones. Without effect where Postgres was built without it, as the embedded one is.",
    ),
    Knob(
        "stores.database.autovacuum",
        "database",
        "flag",
        True,
        "Clean up after updates and deletes in the background. Off makes short trials steadier and long ones bloat.",
    ),
)

MARIADB = (
    Knob(
        "stores.database.max_connections",
        "connections",
        "integer",
        151,
        "MariaDB's own max_connections. The app is refused with error 1040 when it asks for more.",
        low=10,
        high=100_000,
    ),
    _ROUND_TRIP,
    Knob(
        "stores.database.innodb_buffer_pool_size_mb",
        "database",
        "integer",
        128,
        "Memory for InnoDB's page cache, in MB: the first thing to raise when the data are larger.",
        low=5,
        high=1_048_576,
    ),
    Knob(
        "stores.database.innodb_flush_log_at_trx_commit",
        "database",
        "integer",
        1,
        "1: each commit waits for the disk. 2: for the operating system only. 0: for neither. "
        "Less is faster, and a crash may lose the last second.",
        low=0,
        high=2,
    ),
    Knob(
        "stores.database.innodb_log_file_size_mb",
        "database",
        "integer",
        96,
        "The redo log, in MB. Too small a log makes InnoDB flush pages in bursts under writes.",
        low=4,
        high=524_288,
    ),
    Knob(
        "stores.database.innodb_io_capacity",
        "database",
        "integer",
        200,
        "Pages a second that InnoDB flushes in the background. The default is a spinning disk's.",
        low=100,
        high=1_000_000,
    ),
    Knob(
        "stores.database.thread_handling",
        "database",
        "choice",
        "one-thread-per-connection",
        "A thread for each connection, or a small pool of threads for them all, which holds up under thousands.",
        choices=("one-thread-per-connection", "pool-of-threads"),
    ),
    Knob(
        "stores.database.table_open_cache",
        "database",
        "integer",
        2000,
        "Open tables kept over all connections. When it is too small, tables are opened and closed all along.",
        low=10,
        high=1_048_576,
    ),
    Knob(
        "stores.database.wait_timeout",
        "connections",
        "integer",
        28800,
        "Seconds after which an idle connection is closed. Below the app's own, "
        'the app finds dead connections: "server has gone away".',
        low=1,
        high=31_536_000,
    ),
)

SQLITE = (
    Knob(
        "stores.database.journal_mode",
        "database",
        "choice",
        "delete",
        "How SQLite makes writes safe. With delete, its default, a writer shuts readers out; "
        "with wal, readers go on while one writes.",
        choices=("delete", "wal"),
    ),
)
