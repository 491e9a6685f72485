"""A recording and its window in, what each tier did meanwhile out, in the order in which a request meets them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from prony.recording import Recording
from prony.summary.gauged import work_of
from prony.summary.windowed import Window, Windowed

Figures = dict[str, float | None]
NOT_PROCESSES = (
    "generator",
    "host",
    "probes",
    "box.",
    "beside",
)  # their cpu_s is no tier's of the stack


class Figure(NamedTuple):
    """One figure of a tier: how it comes of a reading, or of two (growth of the first per growth of the second)."""

    name: str
    how: Literal["mean", "most", "last", "growth", "rate", "per", "share"]
    of: tuple[str, ...]
    text: str


PROCESSES = (
    Figure("cpu_share", "rate", ("cpu_s",), "cores' worth of CPU that its processes used"),
    Figure("run_delay_share", "rate", ("run_delay_s",), "threads that were ready to run and had no core, on average"),
    Figure("memory_bytes", "most", ("memory_bytes",), "most memory: what processes share counts once"),
    Figure("threads_most", "most", ("threads",), "most threads"),
    Figure("descriptors_share", "share", ("descriptors", "descriptors_limit"), "most open descriptors, of their limit"),
)
PROXY = (
    Figure("requests", "growth", ("requests",), "requests in its log"),
    Figure("request_s_mean", "per", ("request_s", "timed"), "time of one, until its last byte was sent"),
    Figure("upstream_s_mean", "per", ("upstream_s", "timed"), "time of one at the app"),
    Figure("first_byte_s_mean", "per", ("upstream_first_byte_s", "timed"), "time of one until the app's answer began"),
    Figure("connect_s_mean", "per", ("connect_s", "timed"), "time to connect to the app, of one request"),
    Figure("connect_most_s", "most", ("connect_most_s",), "longest time to connect to the app"),
    Figure("upstream_most_s", "most", ("upstream_most_s",), "longest time at the app"),
    Figure("tries_per_request", "per", ("tries", "timed"), "app servers asked per request"),
    Figure("own_errors", "growth", ("own_errors",), "answers of its own, because no app server gave one"),
    Figure("cache_hit_share", "per", ("cache_hits", "cache_lookups"), "share of requests that its cache answered"),
    Figure("connections_active_most", "most", ("connections_active",), "most connections of clients"),
    Figure("connections_dropped", "growth", ("connections_dropped",), "connections closed at once: too many"),
)
POOLER = (
    Figure("clients_active_mean", "mean", ("clients_active",), "clients that are served"),
    Figure("clients_waiting_mean", "mean", ("clients_waiting",), "clients that wait for a server connection"),
    Figure("clients_waiting_most", "most", ("clients_waiting",), "most of them at once"),
    Figure("servers_active_mean", "mean", ("servers_active",), "server connections in use"),
    Figure("servers_active_share", "share", ("servers_active", "servers_limit"), "most in use, of those it may open"),
    Figure("servers_limit", "last", ("servers_limit",), "server connections it may open"),
    Figure("longest_wait_s", "most", ("longest_wait_s",), "longest wait seen"),
    Figure("wait_s_mean", "per", ("wait_s", "transactions"), "wait for a server connection, of a transaction"),
    Figure("transaction_s_mean", "per", ("transaction_s", "transactions"), "time of a transaction"),
    Figure("query_s_mean", "per", ("query_s", "queries"), "time of a query"),
    Figure("transactions_per_s", "rate", ("transactions",), "transactions a second"),
    Figure("queries_per_s", "rate", ("queries",), "queries a second"),
)
_CACHE = (
    Figure("clients_most", "most", ("clients",), "most connections, without prony's own"),
    Figure("connections_rejected", "growth", ("connections_rejected",), "connections refused: too many"),
    Figure("hits", "growth", ("hits",), "keys asked for that were there"),
    Figure("misses", "growth", ("misses",), "keys asked for that were not"),
    Figure("evicted", "growth", ("evicted",), "keys that had to go for want of memory"),
    Figure("memory_used_bytes", "most", ("memory_used_bytes",), "most memory in use, by its own account"),
    Figure("memory_used_share", "share", ("memory_used_bytes", "memory_limit_bytes"), "that of its limit"),
)
VALKEY = (
    *_CACHE,
    Figure("commands_per_s", "rate", ("commands",), "commands a second, prony's own two or three among them"),
    Figure("clients_blocked_most", "most", ("clients_blocked",), "most clients that waited within a command"),
    Figure("slow_commands", "growth", ("slow_commands",), "commands over 10 ms"),
    Figure("slowest_command_s", "last", ("slowest_command_s",), "the longest of them"),
)
MEMCACHED = (
    *_CACHE,
    Figure("listening_stopped", "growth", ("listening_stopped",), "times that it took no more connections"),
    Figure("yields", "growth", ("yields",), "times that a connection had to let others go first"),
)
POSTGRES = (
    Figure("running_mean", "mean", ("running",), "statements that wait for nothing but a core"),
    Figure("lwlock_waits_mean", "mean", ("lwlock_waits",), "statements that wait for Postgres's own short locks"),
    Figure("io_waits_mean", "mean", ("io_waits",), "statements that wait for a file"),
    Figure("client_waits_mean", "mean", ("client_waits",), "statements that wait for their client"),
    Figure("idle_mean", "mean", ("idle",), "connections that do nothing"),
    Figure("idle_in_transaction_mean", "mean", ("idle_in_transaction",), "those that do so within a transaction"),
    Figure("blocked_most", "most", ("blocked",), "most connections that wait for another's lock"),
    Figure("blocked_longest_s", "most", ("blocked_longest_s",), "longest such wait seen"),
    Figure("deadlocks", "growth", ("deadlocks",), "transactions ended to undo a deadlock"),
    Figure("commits_per_s", "rate", ("commits",), "transactions committed a second"),
    Figure("rollbacks", "growth", ("rollbacks",), "transactions rolled back"),
    Figure("statements", "growth", ("statements",), "statements, by pg_stat_statements"),
    Figure("statement_s_mean", "per", ("statement_s", "statements"), "time that Postgres executed one"),
    Figure("temp_bytes", "growth", ("temp_bytes",), "bytes written to files for want of work_mem"),
    Figure("wal_bytes_per_s", "rate", ("wal_bytes",), "bytes of WAL a second"),
    Figure("checkpoints_timed", "growth", ("checkpoints_timed",), "checkpoints by the clock"),
    Figure("checkpoints_requested", "growth", ("checkpoints_requested",), "checkpoints for want of max_wal_size"),
    Figure("checkpoint_write_s", "growth", ("checkpoint_write_s",), "time that checkpoints wrote"),
    Figure("io_reads", "growth", ("io_reads",), "reads from files by the app's connections"),
    Figure("io_writes", "growth", ("io_writes",), "writes to files by them"),
)
MARIADB = (
    Figure("statements_per_s", "rate", ("statements",), "statements a second"),
    Figure("slow_statements", "growth", ("slow_statements",), "statements over long_query_time"),
    Figure("row_locks_waited", "growth", ("row_locks_waited",), "row locks waited for"),
    Figure("row_lock_s_mean", "per", ("row_lock_s", "row_locks_waited"), "wait for one"),
    Figure("deadlocks", "growth", ("deadlocks",), "transactions ended to undo a deadlock"),
    Figure("log_waits", "growth", ("log_waits",), "waits for room in the log's buffer"),
    Figure("refused", "growth", ("refused",), "connections refused at max_connections"),
)
UWSGI = (
    Figure("workers_busy_mean", "mean", ("workers_busy",), "workers with a request, by uWSGI's stats server"),
    Figure("harakiri", "growth", ("harakiri",), "workers ended for a request that took too long"),
)
GRANIAN = (
    Figure("interpreter_wait_s_mean", "per", ("interpreter_wait_s", "granian_requests"), "wait for the GIL, a request"),
    Figure("blocking_queue_most", "most", ("blocking_queue",), "most requests that waited for a thread, each second"),
    Figure("connection_errors", "growth", ("connection_errors",), "connections that failed"),
)
HOST = (
    Figure("cpu_pressure_share", "rate", ("cpu_pressure_s",), "share of time in which something waited for a core"),
    Figure("memory_pressure_share", "rate", ("memory_pressure_s",), "the same for memory"),
    Figure("io_pressure_share", "rate", ("io_pressure_s",), "the same for a disk"),
    Figure("clock_hz", "mean", ("clock_hz",), "clock of the stack's cores"),
)
BOX = (
    Figure("cores_used", "rate", ("cpu_s",), "cores' worth of CPU that was used in it"),
    Figure("cpu_quota_cores", "last", ("cpu_quota_cores",), "its quota"),
    Figure("throttled_share", "per", ("throttled_periods", "periods"), "periods in which it had to stop at its quota"),
    Figure("memory_share", "share", ("memory_bytes", "memory_limit_bytes"), "most memory in use, of its limit"),
    Figure("cpu_pressure_share", "rate", ("cpu_pressure_s",), "share of time in which something waited for a core"),
)
PROBES = (Figure("core_share", "rate", ("cpu_s",), "share of a core that looking took"),)
STORES = {"postgres": POSTGRES, "mariadb": MARIADB, "valkey": VALKEY, "redis": VALKEY, "memcached": MEMCACHED}
FIGURES: dict[str, tuple[Figure, ...]] = {
    "every tier of processes": PROCESSES,
    "proxy": PROXY,
    "app (uWSGI)": UWSGI,
    "app (granian)": GRANIAN,
    "a store (Valkey, Redis)": VALKEY,
    "a store (memcached)": MEMCACHED,
    "pooler": POOLER,
    "database (Postgres)": POSTGRES,
    "database (MariaDB)": MARIADB,
    "box.NAME": BOX,
    "host": HOST,
    "probes": PROBES,
}


def tiers_of(recording: Recording, window: Window, answered: int) -> dict[str, Figures]:
    """What each tier did during the sending window; tiers that were not there are left out, but for the first five."""
    seen = Windowed(recording, window)
    stores = {name: store.kind for name, store in recording.plan.stores.items()}
    found: dict[str, Figures] = {
        "proxy": _told(seen, "proxy", (*PROXY, *PROCESSES)),
        "listen_queue": {
            "length_mean": seen.mean("listen_queue", "length"),
            "length_max": seen.most("listen_queue", "length"),
            "overflows": seen.growth("listen_queue", "overflows"),
        },
        "workers": _workers(seen),
        "app": _app(seen, answered),
    }
    for name, kind in stores.items():
        if name != "database":
            found[name] = _cache(_told(seen, name, (*STORES.get(kind, ()), *PROCESSES)))
    found["pooler"] = _told(seen, "pooler", (*POOLER, *PROCESSES))
    found["connections"] = _connections(recording, seen)
    found["database"] = _database(seen, answered, stores.get("database", ""))
    for tier in dict.fromkeys(tier for tier, name in recording.readings if name == "cpu_s"):
        if tier not in found and not tier.startswith(NOT_PROCESSES):
            found[tier] = _told(seen, tier, PROCESSES)
    for tier in dict.fromkeys(tier for tier, _ in recording.readings if tier.startswith("box.")):
        found[tier] = _told(seen, tier, BOX)
    found["host"] = {
        "cores": seen.last("host", "cores"),
        "busy_share": seen.rate("host", "busy_s", per=seen.last("host", "cores")),
        "steal_share": seen.rate("host", "steal_s", per=seen.last("host", "cores")),
        "stack_share": _stack_share(recording, seen),
        **_told(seen, "host", HOST),
    }
    found["probes"] = _told(seen, "probes", PROBES)
    return {tier: figures for tier, figures in found.items() if figures}


def _told(seen: Windowed, tier: str, figures: Iterable[Figure]) -> Figures:
    """Those figures for which there are readings."""
    values = {figure.name: value(seen, tier, figure) for figure in figures}
    return {name: each for name, each in values.items() if each is not None}


def value(seen: Windowed, tier: str, figure: Figure) -> float | None:
    """One figure; None where a reading that it comes of was never made, or nothing happened."""
    first, *second = figure.of
    match figure.how:
        case "per":
            return _ratio(seen.growth(tier, first), seen.growth(tier, *second))
        case "share":
            return _ratio(seen.most(tier, first), seen.last(tier, *second))
        case how:
            found: float | None = getattr(seen, how)(tier, first)
            return found


def _workers(seen: Windowed) -> Figures:
    slots = seen.median("workers", "slots")
    in_flight = seen.mean("workers", "in_flight")
    ended = seen.growth("workers", "ended")
    busy_s = seen.growth("workers", "busy_s")
    return {
        "slots": slots,
        "processes": seen.median("workers", "processes"),
        "in_app_p50_s": seen.median("workers", "in_app_p50_s"),
        "in_app_p99_s": seen.median("workers", "in_app_p99_s"),
        "in_flight_mean": in_flight,
        "in_flight_share": _ratio(in_flight, slots),
        "in_app_s_per_request": _ratio(busy_s, ended),
        "connects_per_request": _ratio(seen.growth("workers", "connects"), ended),
        "connect_share": _ratio(seen.growth("workers", "connect_s"), busy_s),
        "connect_failed": seen.growth("workers", "connect_failed"),
        **work_of(seen, ended, busy_s),
    }


def _app(seen: Windowed, answered: int) -> Figures:
    return {
        "cpu_share": seen.rate("app", "cpu_s"),
        "cpu_s_per_request": _ratio(seen.growth("app", "cpu_s"), answered),
        "busiest_process_share": seen.last("app", "busiest_process_share"),
        "memory_bytes": seen.most("app", "memory_bytes"),
        **_told(seen, "app", (*UWSGI, *GRANIAN, *PROCESSES[1:])),
    }


def _cache(figures: Figures) -> Figures:
    hits, misses = figures.get("hits"), figures.get("misses")
    if hits is not None and misses is not None and hits + misses:
        return {**figures, "hit_share": hits / (hits + misses)}
    return figures


def _connections(recording: Recording, seen: Windowed) -> Figures:
    usable = seen.last("connections", "usable")
    return {
        "refused": float(recording.count("connection_refused")),
        "most": _at_most(seen.most("connections", "count"), usable),
        "limit": seen.last("connections", "limit"),
        "usable": usable,
    }


def _database(seen: Windowed, answered: int, kind: str) -> Figures:
    found = {
        "cpu_share": seen.rate("database", "cpu_s"),
        "cpu_s_per_request": _ratio(seen.growth("database", "cpu_s"), answered),
        "active_mean": seen.mean("database", "active"),
        "lock_waits_mean": seen.mean("database", "lock_waits"),
        "sessions_per_request": _ratio(seen.growth("database", "sessions"), answered),
        **_told(seen, "database", (*STORES.get(kind, ()), *PROCESSES[1:])),
    }
    hits, misses = _found(seen, kind)
    if hits is not None and misses is not None and hits + misses:
        found["buffer_hit_share"] = hits / (hits + misses)
    return found


def _found(seen: Windowed, kind: str) -> tuple[float | None, float | None]:
    """Blocks found in the database's own memory, and those that were not."""
    if kind == "mariadb":
        asked, read = seen.growth("database", "buffer_requests"), seen.growth("database", "buffer_reads")
        return None if asked is None or read is None else max(asked - read, 0.0), read
    return seen.growth("database", "blocks_hit"), seen.growth("database", "blocks_read")


def _at_most(number: float | None, limit: float | None) -> float | None:
    """Backends that were just being refused are seen as well: they never were connections."""
    return number if number is None or limit is None else min(number, limit)


def _stack_share(recording: Recording, seen: Windowed) -> float | None:
    """Cores' worth of CPU that all tiers on the stack's cores used together; None where no app was watched.

    Those of stacks that took turns with this one are among them.
    """
    elsewhere = (*NOT_PROCESSES, "outside.")
    tiers = [tier for tier, name in recording.readings if name == "cpu_s" and not tier.startswith(elsewhere)]
    return sum(seen.rate(tier, "cpu_s") or 0.0 for tier in (*tiers, "beside")) if "app" in tiers else None


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None
