"""PgBouncer's console in, readings of its clients, its server connections and the waits between them out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prony.recording import Reading

# (our name, the column of SHOW POOLS)
_LEVELS = (
    ("clients_active", "cl_active"),
    ("clients_waiting", "cl_waiting"),
    ("servers_active", "sv_active"),
    ("servers_idle", "sv_idle"),
)
# (our name, the column of SHOW STATS, its unit in ours)
_COUNTERS = (
    ("transactions", "total_xact_count", 1.0),
    ("queries", "total_query_count", 1.0),
    ("wait_s", "total_wait_time", 1e-6),
    ("transaction_s", "total_xact_time", 1e-6),
    ("query_s", "total_query_time", 1e-6),
)
_ITSELF = "pgbouncer"  # the console's own database


class PgBouncer:
    """Reads a PgBouncer.

    Args:
        show: The rows of one of its console's reports.
        pool: How many server connections it may open for the app.
    """

    def __init__(self, show: Callable[[str], list[dict[str, Any]]], pool: int) -> None:
        self._show = show
        self._pool = pool

    def read(self) -> list[Reading]:
        """Who is served and who waits now, and what there was so far."""
        return readings(self._show("POOLS"), self._show("STATS"), self._pool)


def readings(
    pools: Iterable[Mapping[str, Any]], stats: Iterable[Mapping[str, Any]], pool: int, tier: str = "pooler"
) -> list[Reading]:
    """The readings of both reports, over all databases but the console's."""
    now_ns = time.monotonic_ns()
    own = [row for row in pools if row["database"] != _ITSELF]
    counted = [row for row in stats if row["database"] != _ITSELF]
    longest_s = max((float(row["maxwait"]) + float(row.get("maxwait_us", 0)) / 1e6 for row in own), default=0.0)
    return [
        *(Reading(now_ns, tier, ours, float(sum(int(row[theirs]) for row in own))) for ours, theirs in _LEVELS),
        Reading(now_ns, tier, "servers_limit", float(pool)),
        Reading(now_ns, tier, "longest_wait_s", longest_s),
        *(
            Reading(now_ns, tier, ours, sum(float(row[theirs]) for row in counted) * unit)
            for ours, theirs, unit in _COUNTERS
        ),
    ]
