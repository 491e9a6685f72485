"""Every reading that probes write, as data: its tier, its name and what it is; feeds the docs and the tests."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Named(NamedTuple):
    """One reading's name.

    Attributes:
        name: Its unit is in it where it has one (`_s`, `_bytes`, `_hz`).
        nature: A level holds at its instant; a counter only grows, from where it stood before the trial.
        text: What it is.
    """

    name: str
    nature: Literal["level", "counter"]
    text: str


def _levels(**texts: str) -> tuple[Named, ...]:
    return tuple(Named(name, "level", text) for name, text in texts.items())


def _counters(**texts: str) -> tuple[Named, ...]:
    return tuple(Named(name, "counter", text) for name, text in texts.items())


PROCESSES = (
    *_counters(
        cpu_s="CPU time of the tier's processes and those they have reaped; read at 50 ms",
        run_delay_s="time that its threads were ready to run and had no core",
    ),
    *_levels(
        busiest_process_share="share of a core that its busiest process has used since it was first seen; at 50 ms",
        processes="its processes",
        threads="their threads",
        memory_bytes="their proportional set size: what they share counts once",
        descriptors="open descriptors of the process that is nearest to its limit",
        descriptors_limit="that limit",
    ),
)
PROXY = (
    *_counters(
        requests="requests in its log, from the trial's start",
        timed="those of them that were read closely: the newest, where there are too many",
        request_s="from a request's first byte to its answer's last, over the timed ones",
        upstream_s="from asking app servers to their answers' last byte",
        upstream_first_byte_s="from asking app servers to their answers' head",
        connect_s="to connect to app servers",
        tries="app servers that were asked",
        own_errors="answers that are nginx's own, because no app server gave one",
        cache_lookups="requests for which its cache was asked",
        cache_hits="those that it answered, stale ones too",
        connections_accepted="connections taken (stub_status, where the build has it)",
        connections_dropped="connections closed at once: too many (stub_status)",
    ),
    *_levels(
        upstream_p50_s="median time at app servers, of the requests of the last second",
        upstream_p99_s="its p99",
        upstream_most_s="its longest",
        connect_p50_s="median time to connect to app servers, of the last second",
        connect_p99_s="its p99",
        connect_most_s="its longest",
        connections_active="connections of clients (stub_status)",
        connections_idle="those of them without a request (stub_status)",
    ),
)
LISTEN_QUEUE = (
    *_levels(length="connections that wait to be accepted by the app servers; read at 50 ms"),
    *_counters(overflows="connections turned away in this network because a queue was full"),
)
POOLER = (
    *_levels(
        clients_active="clients with a server connection, or with nothing to ask (SHOW POOLS: cl_active)",
        clients_waiting="clients that wait for a server connection (cl_waiting)",
        servers_active="server connections in use (sv_active)",
        servers_idle="server connections that are free (sv_idle)",
        servers_limit="server connections it may open for the app, its reserve among them",
        longest_wait_s="how long the first of those that wait has waited (maxwait)",
    ),
    *_counters(
        transactions="transactions (SHOW STATS: total_xact_count)",
        queries="queries (total_query_count)",
        wait_s="time that clients waited for a server connection (total_wait_time)",
        transaction_s="time in transactions (total_xact_time)",
        query_s="time in queries (total_query_time)",
    ),
)
CONNECTIONS = _levels(
    count="connections to the database, without prony's own",
    limit="its max_connections",
    usable="how many of them an ordinary role gets",
)
POSTGRES = (
    *_levels(
        active="connections that execute a statement (pg_stat_activity)",
        running="those of them that wait for nothing: on a core, or ready for one",
        lock_waits="those that wait for a lock",
        lwlock_waits="those that wait for one of Postgres's own short locks",
        io_waits="those that wait for a file: reading, writing, or syncing it",
        client_waits="those that wait for their client",
        other_waits="those that wait for something else",
        idle="connections that do nothing",
        idle_in_transaction="connections that do nothing within a transaction, and hold its locks",
        blocked="connections that wait for a lock of another's (pg_blocking_pids); read where any waits",
        blocking="connections that hold such a lock and wait for none themselves",
        blocked_longest_s="how long the first of those that wait has waited",
    ),
    Named(
        "STATE: TYPE: EVENT",
        "level",
        "connections in that state that wait for that event of pg_stat_activity: `active: Lock: transactionid`; read "
        "where any waits: the 16 most frequent of a look, and the rest of a state as `STATE: others`",
    ),
    *_counters(
        sessions="connections ever opened to the app's database (pg_stat_database, as those up to deadlocks)",
        commits="transactions committed",
        rollbacks="transactions rolled back",
        blocks_hit="blocks of 8 KB found in shared_buffers",
        blocks_read="blocks of 8 KB that were not there",
        temp_files="files that statements wrote for want of work_mem",
        temp_bytes="their size",
        deadlocks="transactions ended to undo a deadlock",
        wal_records="records of WAL (pg_stat_wal, as those up to wal_buffers_full)",
        wal_bytes="bytes of WAL",
        wal_page_images="whole pages in WAL: what comes after each checkpoint",
        wal_buffers_full="writes of WAL for want of wal_buffers",
        checkpoints_timed="checkpoints by the clock (pg_stat_checkpointer; before Postgres 17 pg_stat_bgwriter)",
        checkpoints_requested="checkpoints for want of max_wal_size, or asked for",
        checkpoint_write_s="time that checkpoints wrote",
        checkpoint_sync_s="time that checkpoints synced",
        checkpoint_blocks="blocks that checkpoints wrote",
        io_reads="reads by the app's connections (pg_stat_io, as those up to io_fsyncs; Postgres 16 and newer)",
        io_writes="writes by them: no other process had written the block in time",
        io_extends="writes that made a file longer",
        io_evictions="blocks that had to leave shared_buffers",
        io_fsyncs="syncs by them",
        statements="statements of the app's database that have ended (pg_stat_statements, as those up to rows)",
        statement_s="time that Postgres executed them",
        rows="rows that they gave or touched",
    ),
)
MARIADB = (
    *_levels(
        active="connections that execute a statement (Threads_running, without ours)",
        row_lock_waits="connections that wait for a row lock now (Innodb_row_lock_current_waits)",
    ),
    *_counters(
        sessions="connections ever opened (Connections)",
        refused="connections refused at max_connections (Connection_errors_max_connections)",
        statements="statements (Questions)",
        slow_statements="statements over long_query_time (Slow_queries)",
        row_locks_waited="row locks waited for (Innodb_row_lock_waits)",
        row_lock_s="time waited for them (Innodb_row_lock_time)",
        deadlocks="transactions ended to undo a deadlock (Innodb_deadlocks)",
        buffer_requests="pages asked for (Innodb_buffer_pool_read_requests)",
        buffer_reads="pages that were not in the buffer pool (Innodb_buffer_pool_reads)",
        buffer_waits="waits for a free page (Innodb_buffer_pool_wait_free)",
        log_waits="waits for room in the log's buffer (Innodb_log_waits)",
        temp_files="temporary tables on disk (Created_tmp_disk_tables)",
    ),
)
_CACHE_LEVELS = _levels(
    clients="connections, without prony's own",
    memory_used_bytes="memory in use",
    memory_limit_bytes="the most it may use, where there is a limit",
)
_CACHE_COUNTERS = _counters(
    connections="connections ever taken",
    connections_rejected="connections refused: too many",
    hits="keys asked for that were there",
    misses="keys asked for that were not",
    evicted="keys that had to go for want of memory",
)
VALKEY = (
    *_CACHE_LEVELS,
    *_levels(
        clients_blocked="clients that wait within a command such as BLPOP",
        slowest_command_s="the longest of the commands in its slow log, of this trial",
    ),
    *_CACHE_COUNTERS,
    *_counters(
        commands="commands",
        expired="keys that had come to their time",
        slow_commands="commands new in its slow log: those over slowlog-log-slower-than, 10 ms",
    ),
)
MEMCACHED = (
    *_CACHE_LEVELS,
    *_levels(clients_limit="the most connections it takes", items="keys it holds"),
    *_CACHE_COUNTERS,
    *_counters(
        sets="keys put there",
        listening_stopped="times that it took no more connections (listen_disabled_num)",
        yields="times that a connection with many commands had to let others go first (conn_yields)",
    ),
)
HOST = (
    *_counters(
        busy_s="time that the stack's cores were busy, stolen time included; read at 50 ms",
        steal_s="time that other guests of this host had them; at 50 ms",
        cpu_pressure_s="time in which something waited for a core (/proc/pressure: the whole machine)",
        memory_pressure_s="time in which something waited for memory",
        io_pressure_s="time in which something waited for a disk",
    ),
    *_levels(cores="how many cores the stack has", clock_hz="their clock, where the machine tells"),
)
BOX = (
    *_counters(
        cpu_s="CPU time used in the box since it was made",
        periods="scheduler periods in which something ran",
        throttled_periods="those in which it had to stop at its quota",
        throttled_s="time it stood still, summed over its cores",
        memory_limit_hits="times that memory was asked for beyond the limit",
        out_of_memory_kills="processes killed for want of memory",
        cpu_pressure_s="time in which something in it waited for a core (cgroups of version 2)",
        memory_pressure_s="time in which something in it waited for memory (the same)",
        io_pressure_s="time in which something in it waited for a disk (the same)",
    ),
    *_levels(
        cpu_quota_cores="its quota",
        memory_bytes="memory in use, without file pages that can be dropped at once",
        memory_limit_bytes="its limit",
    ),
)
UWSGI = (
    *_levels(workers_busy="workers with a request, by uWSGI's stats server", workers_idle="workers without one"),
    *_counters(
        requests="requests answered",
        exceptions="exceptions that reached uWSGI",
        respawns="workers started in another's place",
        harakiri="workers ended for a request that took too long",
    ),
)
GRANIAN = (
    *_levels(
        connections_active="connections open to it, by granian's metrics",
        blocking_threads="threads that call a WSGI app",
        blocking_queue="requests that wait for one of them",
    ),
    *_counters(
        granian_requests="requests answered",
        connections_accepted="connections taken",
        connection_errors="connections that failed",
        granian_respawns="workers started in another's place",
        blocking_busy_s="time its threads were busy, together",
        blocking_idle_s="time they were idle",
        interpreter_wait_s="time they waited for the interpreter (the GIL)",
    ),
)
WORKERS = (
    *_levels(
        in_flight="requests in the app, by its gauge; read at 50 ms",
        slots="how many there could be; at 50 ms",
        processes="processes that serve",
        in_app_p50_s="median time in the app of the requests that ended in the last second",
        in_app_p99_s="the same at p99",
        lag_most_s="the most by which a timer of an event loop was late, since its process began",
        tokens="threads that an event loop may have for synchronous work (anyio)",
        tokens_used="those that are in use; at 50 ms",
        tokens_waited_for="tasks that wait for one; at 50 ms",
        asgiref_queue="calls that wait for a thread of asgiref's: its one, or one of a request's own",
    ),
    *_counters(
        processes_ended="processes that served and are gone",
        begun="requests that entered",
        ended="requests that ended",
        busy_s="time that ended requests were in the app",
        connects="database connections tried",
        connect_s="time that took",
        connect_failed="those that failed",
        statements="statements executed",
        statement_s="time that took, as the app sees it",
        pool_waits="connections had from a pool",
        pool_s="time that was waited for them",
        outbound="calls to other hosts",
        outbound_s="time they took",
        cache_calls="commands to caches",
        cache_s="time they took",
        cache_lookups="keys that were asked for",
        cache_hits="those that were there",
        request_cpu_s="CPU time of requests that had a thread to themselves, of one in four",
        cpu_timed="how many these were",
        response_bytes="bytes of answers' bodies",
        records_lost="the gauge's records that were overwritten before they were read",
        lags="timers of event loops that were looked at",
        lag_s="by how much these were late, together",
    ),
)
PROBES = _counters(cpu_s="CPU time of the threads that look")

WAIT = ": "  # between the parts of such a name, and in no other


def wait_name(state: str, event: str) -> str:
    """The name under which it is read how many of Postgres's connections in a state wait for an event."""
    return f"{state}{WAIT}{event}"


def wait_of(name: str) -> tuple[str, str] | None:
    """State and event of such a name; None of any other."""
    state, between, event = name.partition(WAIT)
    return (state, event) if between else None


# Tier (or what stands behind it) -> its readings; every tier that is processes of ours has those of PROCESSES too.
READINGS: dict[str, tuple[Named, ...]] = {
    "processes": PROCESSES,
    "proxy": PROXY,
    "listen_queue": LISTEN_QUEUE,
    "workers": WORKERS,
    "uwsgi": UWSGI,
    "granian": GRANIAN,
    "valkey": VALKEY,
    "memcached": MEMCACHED,
    "pooler": POOLER,
    "connections": CONNECTIONS,
    "postgres": POSTGRES,
    "mariadb": MARIADB,
    "host": HOST,
    "box": BOX,
    "probes": PROBES,
}
