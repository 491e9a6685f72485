"""Postgres's own views in, readings of its connections and waits out, over the superuser connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from prony.recording import Reading

_ACTIVITY = """
SELECT count(*), count(*) FILTER (WHERE state = 'active'),
       count(*) FILTER (WHERE state = 'active' AND wait_event_type = 'Lock')
FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_SESSIONS = "SELECT sessions FROM pg_stat_database WHERE datname = 'app'"


class Database:
    """Reads a Postgres through `ask`, which runs a query as superuser.

    Args:
        ask: Runs a query.
        limit: Its max_connections.
        usable: How many of them an ordinary role gets.
    """

    def __init__(self, ask: Callable[[str], list[tuple[Any, ...]]], limit: int, usable: int) -> None:
        self._ask = ask
        self._limit = limit
        self._usable = usable

    def activity(self) -> list[Reading]:
        """Client connections besides our own: all, active, and waiting for a lock."""
        (count, active, locks) = self._ask(_ACTIVITY)[0]
        now_ns = time.monotonic_ns()
        return [
            Reading(now_ns, "connections", "count", float(count)),
            Reading(now_ns, "connections", "limit", float(self._limit)),
            Reading(now_ns, "connections", "usable", float(self._usable)),
            Reading(now_ns, "database", "active", float(active)),
            Reading(now_ns, "database", "lock_waits", float(locks)),
        ]

    def sessions(self) -> list[Reading]:
        """Connections ever opened to the app's database."""
        rows = self._ask(_SESSIONS)
        return [Reading(time.monotonic_ns(), "database", "sessions", float(rows[0][0]))] if rows else []
