"""Postgres's own views in, readings of its connections, waits, cache, checkpoints and WAL out, and who blocks whom."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from prony.recording import Event, Reading
from prony.recording.named import wait_name

Ask = Callable[[str], list[tuple[Any, ...]]]

OURS = "backend_type = 'client backend' AND pid <> pg_backend_pid()"
_ACTIVITY = f"""
SELECT coalesce(state, ''), coalesce(wait_event_type, ''), coalesce(wait_event, ''), count(*)
FROM pg_stat_activity WHERE {OURS} GROUP BY 1, 2, 3
"""  # noqa: S608 - our own words
# pg_blocking_pids takes the lock manager's own locks: so only those that wait for a lock are asked about.
_BLOCKED = """
SELECT w.pid, w.wait_event, extract(epoch FROM clock_timestamp() - w.query_start), w.query,
       b.pid, coalesce(b.state, ''), coalesce(b.wait_event_type, ''), b.query
FROM pg_stat_activity AS w CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS of
LEFT JOIN pg_stat_activity AS b ON b.pid = of
WHERE w.backend_type = 'client backend' AND w.wait_event_type = 'Lock' LIMIT 1000
"""
NAMED_MAX = 16  # of one look: wait events that are told by name
OTHERS, NO_STATE = "others", "starting"  # the rest of a state together; a connection that has none yet
WAITS = {"Lock": "lock_waits", "LWLock": "lwlock_waits", "IO": "io_waits", "Client": "client_waits", "": "running"}
STATES = {
    "active": "active",
    "idle": "idle",
    "idle in transaction": "idle_in_transaction",
    "idle in transaction (aborted)": "idle_in_transaction",
}
# (our name, its names over the versions, its unit in ours)
_DATABASE = (
    ("sessions", ("sessions",), 1.0),
    ("commits", ("xact_commit",), 1.0),
    ("rollbacks", ("xact_rollback",), 1.0),
    ("blocks_hit", ("blks_hit",), 1.0),
    ("blocks_read", ("blks_read",), 1.0),
    ("temp_files", ("temp_files",), 1.0),
    ("temp_bytes", ("temp_bytes",), 1.0),
    ("deadlocks", ("deadlocks",), 1.0),
)
_WAL = (
    ("wal_records", ("wal_records",), 1.0),
    ("wal_bytes", ("wal_bytes",), 1.0),
    ("wal_page_images", ("wal_fpi",), 1.0),
    ("wal_buffers_full", ("wal_buffers_full",), 1.0),
)
_CHECKPOINTS = (
    ("checkpoints_timed", ("num_timed", "checkpoints_timed"), 1.0),
    ("checkpoints_requested", ("num_requested", "checkpoints_req"), 1.0),
    ("checkpoint_write_s", ("write_time", "checkpoint_write_time"), 1e-3),
    ("checkpoint_sync_s", ("sync_time", "checkpoint_sync_time"), 1e-3),
    ("checkpoint_blocks", ("buffers_written", "buffers_checkpoint"), 1.0),
)
_IO = ("reads", "writes", "extends", "evictions", "fsyncs")
_TABLE = re.compile(
    r"\b(?:INTO|UPDATE|FROM|JOIN|TABLE)\s+(?:ONLY\s+)?((?:\"[^\"]+\"|\w+)(?:\.(?:\"[^\"]+\"|\w+))*)", re.IGNORECASE
)
_STRINGS = re.compile(r"'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/", re.DOTALL)


class Postgres:
    """Reads a Postgres through `ask`, which runs a query as superuser.

    Args:
        ask: Runs a query.
        database: The name of the app's.
        limit: Its max_connections.
        usable: How many of them an ordinary role gets.
    """

    def __init__(self, ask: Ask, database: str, limit: int, usable: int) -> None:
        self._ask = ask
        self._limit = limit
        self._usable = usable
        version = int(ask("SHOW server_version_num")[0][0])
        self._counters = _counters(version, database)
        self._deadlocks: float | None = None

    def activity(self) -> list[Reading | Event]:
        """Client connections besides our own by what they do and what they wait for, and who blocks whom."""
        rows = self._ask(_ACTIVITY)
        now_ns = time.monotonic_ns()
        found = dict.fromkeys(("active", "idle", "idle_in_transaction", *WAITS.values(), "other_waits"), 0)
        for state, wait, _, count in rows:
            if state in STATES:
                found[STATES[state]] += count
            if state == "active":
                found[WAITS.get(wait, "other_waits")] += count
        items: list[Reading | Event] = [
            Reading(now_ns, "connections", "count", float(sum(row[3] for row in rows))),
            Reading(now_ns, "connections", "limit", float(self._limit)),
            Reading(now_ns, "connections", "usable", float(self._usable)),
            *(Reading(now_ns, "database", name, float(count)) for name, count in found.items()),
            *_named(rows, now_ns),
        ]
        return [*items, *(self._blocked() if found["lock_waits"] else ())]

    def _blocked(self) -> list[Reading | Event]:
        """Who waits for a lock, and whose statement holds it: told by kind and table, never with a value."""
        rows = self._ask(_BLOCKED)
        now_ns = time.monotonic_ns()
        waiting = {row[0] for row in rows}
        told: Counter[str] = Counter()
        for pid, lock, _, query, blocker, state, wait, holding in rows:
            how = "which waits for a lock itself" if wait == "Lock" else state or "gone by now"
            if blocker is not None and pid != blocker:
                told[f"{statement(query)} waits ({lock} lock) for {statement(holding)}, {how}"] += 1
        longest_s = max((float(row[2] or 0) for row in rows), default=0.0)
        return [
            Reading(now_ns, "database", "blocked", float(len(waiting))),
            Reading(now_ns, "database", "blocking", float(len({row[4] for row in rows} - waiting))),
            Reading(now_ns, "database", "blocked_longest_s", longest_s),
            *(Event(now_ns, "blocked", "database", text, times) for text, times in told.most_common(5)),
        ]

    def counters(self) -> list[Reading | Event]:
        """What it has counted so far: of the app's database, of WAL, checkpoints and the app's reads and writes."""
        rows = self._ask(self._counters)
        now_ns = time.monotonic_ns()
        if not rows:
            return []
        tables: tuple[dict[str, Any] | None, ...] = rows[0]
        found: list[Reading | Event] = []
        for table, names in zip(tables, (_DATABASE, _WAL, _CHECKPOINTS), strict=False):
            for ours, theirs, unit in names:
                value = next((table[name] for name in theirs if table.get(name) is not None), None) if table else None
                if value is not None:
                    found.append(Reading(now_ns, "database", ours, float(value) * unit))
        io = tables[3] or {}
        found += [
            Reading(now_ns, "database", f"io_{name}", float(io[name])) for name in _IO if io.get(name) is not None
        ]
        deadlocks = float((tables[0] or {}).get("deadlocks") or 0)
        new = int(deadlocks - (deadlocks if self._deadlocks is None else self._deadlocks))
        self._deadlocks = deadlocks
        if new > 0:
            found.append(Event(now_ns, "deadlock", "database", "Postgres ended a transaction to undo a deadlock", new))
        return found


def _named(rows: Iterable[tuple[Any, ...]], now_ns: int) -> list[Reading]:
    """How many connections of each state wait for which wait event, by its name."""
    waiting: Counter[tuple[str, str]] = Counter()
    for state, wait, event, count in rows:
        if wait:
            waiting[state or NO_STATE, f"{wait}: {event}"[:80]] += count
    told: Counter[str] = Counter()
    for number, ((state, event), count) in enumerate(waiting.most_common()):
        told[wait_name(state, event if number < NAMED_MAX else OTHERS)] += count
    return [Reading(now_ns, "database", name, float(count)) for name, count in told.items()]


def statement(query: str | None) -> str:
    """What kind of statement it is, and of which table: "UPDATE shop_item"; nothing else of its text."""
    text = _STRINGS.sub(" ", query or "").strip()
    verb = re.match(r"[A-Za-z]+", text)
    if verb is None:
        return "a statement"
    table = _TABLE.search(text)
    return f"{verb[0].upper()} {table[1]}"[:80] if table else verb[0].upper()


def _counters(version: int, database: str) -> str:
    """One query for all counters: a row of JSON objects, as a view's columns differ from version to version."""
    name = "'" + database.replace("'", "''") + "'"
    wal = "(SELECT to_jsonb(w) FROM pg_stat_wal AS w)" if version >= 140_000 else "NULL"
    checkpoints = "pg_stat_checkpointer" if version >= 170_000 else "pg_stat_bgwriter"
    sums = ", ".join(f"'{each}', sum({each})" for each in _IO)
    io = f"(SELECT jsonb_build_object({sums}) FROM pg_stat_io WHERE backend_type = 'client backend')"  # noqa: S608
    return (
        f"SELECT (SELECT to_jsonb(d) FROM pg_stat_database AS d WHERE datname = {name}), {wal}, "  # noqa: S608
        f"(SELECT to_jsonb(c) FROM {checkpoints} AS c), {io if version >= 160_000 else 'NULL'}"
    )
