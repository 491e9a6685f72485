"""MariaDB's SHOW GLOBAL STATUS in, readings of its connections, row locks, buffer pool and log out."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping

import pymysql

from prony.recording import Event, Reading

ANSWER_S = 2.0
# our name -> its name there
_LEVELS = {"row_lock_waits": "Innodb_row_lock_current_waits"}
_COUNTERS = {
    "sessions": "Connections",
    "refused": "Connection_errors_max_connections",
    "statements": "Questions",
    "slow_statements": "Slow_queries",
    "row_locks_waited": "Innodb_row_lock_waits",
    "deadlocks": "Innodb_deadlocks",
    "buffer_requests": "Innodb_buffer_pool_read_requests",
    "buffer_reads": "Innodb_buffer_pool_reads",
    "buffer_waits": "Innodb_buffer_pool_wait_free",
    "log_waits": "Innodb_log_waits",
    "temp_files": "Created_tmp_disk_tables",
}


class MariaDB:
    """Reads a MariaDB over a connection that its extra port gave, which takes none of the app's.

    Args:
        link: To that port.
        user: Who may ask.
        password: Theirs.
        limit: Its max_connections.
    """

    def __init__(self, link: socket.socket, user: str, password: str, limit: int) -> None:
        self._limit = limit
        self._link = pymysql.connect(
            user=user, password=password, read_timeout=ANSWER_S, write_timeout=ANSWER_S, defer_connect=True
        )
        self._link.connect(link)
        self._refused: float | None = None

    def read(self) -> list[Reading | Event]:
        """What it tells, and an event when it has refused connections meanwhile."""
        with self._link.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS")
            told = dict(cursor.fetchall())
        found: list[Reading | Event] = [*readings(told, self._limit)]
        refused = float(told.get("Connection_errors_max_connections", 0))
        new = int(refused - (refused if self._refused is None else self._refused))
        self._refused = refused
        if new > 0:
            text = f"MariaDB refused connections: its max_connections are {self._limit}"
            found.append(Event(time.monotonic_ns(), "connections_exhausted", "database", text, new))
        return found

    def close(self) -> None:
        """Gives the connection back."""
        self._link.close()


def readings(told: Mapping[str, str], limit: int) -> list[Reading]:
    """The readings of one answer: those connected by the extra port are not counted, but at work is who asks, too."""
    now_ns = time.monotonic_ns()
    found = [
        Reading(now_ns, "connections", "count", float(told["Threads_connected"])),
        Reading(now_ns, "connections", "limit", float(limit)),
        Reading(now_ns, "connections", "usable", float(limit)),
        Reading(now_ns, "database", "active", max(0.0, float(told["Threads_running"]) - 1)),
    ]
    for ours, theirs in (_LEVELS | _COUNTERS).items():
        if theirs in told:
            found.append(Reading(now_ns, "database", ours, float(told[theirs])))
    waited_ms = told.get("Innodb_row_lock_time")
    if waited_ms is not None:
        found.append(Reading(now_ns, "database", "row_lock_s", float(waited_ms) / 1000))
    return found
