"""A recording in, what the gauge saw in the app out: tables of its routes, statements, hosts and cache commands."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from prony.recording import Recording
from prony.stats import samples_wanted
from prony.summary.windowed import Windowed

TABLE = "gauge_table"  # the kind of event that holds one row of a trial's tables, as JSON


class Bucket(Struct, frozen=True):
    """How many took less than `below_s` seconds, and half of that at the least."""

    below_s: float
    count: int


class Metered(Struct, frozen=True, kw_only=True):
    """What one label took over a trial, durations in seconds.

    Attributes:
        kind: route (the framework's own pattern), statement (its shape), host, or cache (a command).
        count: How often.
        mean_s: Of one; of a route, from its entry to its exit.
        p50_s, p99_s: From the buckets, evenly within one: good to a factor of two. p99_s is None of fewer than 400.
        most_s: The longest, also of earlier trials on the same start.
        each: Of a route, per request: cpu_s (None where no thread owns a request, or by chance none was timed),
            statements, statement_s, pool_s, connects, connect_s, outbound, outbound_s, cache_calls, cache_s, bytes.
        hit_share: Of values asked from a cache, the share that it had; None where none was asked for.
        buckets: The histogram of what each took, in powers of two of nanoseconds; those that are empty are left out.
    """

    kind: str
    label: str
    count: int
    mean_s: float
    p50_s: float
    p99_s: float | None
    most_s: float
    each: dict[str, float | None] = {}
    hit_share: float | None = None
    buckets: tuple[Bucket, ...] = ()


EACH = (
    "cpu_s",
    "statements",
    "statement_s",
    "pool_s",
    "connects",
    "connect_s",
    "outbound",
    "outbound_s",
    "cache_calls",
    "cache_s",
    "bytes",
)


def gauged_of(recording: Recording) -> tuple[Metered, ...]:
    """Every label of a trial, those that took most time first; none where the gauge told none."""
    rows = [msgspec.json.decode(event.text) for event in recording.events if event.kind == TABLE]
    return tuple(_metered(row) for row in sorted(rows, key=lambda row: -row["total_s"]))


def _metered(row: dict[str, Any]) -> Metered:
    count = row["count"]
    route = row["kind"] == "route"
    each: dict[str, float | None] = {name: row[name] / count for name in EACH} if route else {}
    if route and not row["cpu_s"]:
        each["cpu_s"] = None
    return Metered(
        kind=row["kind"],
        label=row["label"],
        count=count,
        mean_s=row["total_s"] / count,
        p50_s=min(quantile(row["buckets"], 0.5), row["most_s"]),
        p99_s=min(quantile(row["buckets"], 0.99), row["most_s"]) if count >= samples_wanted(0.99) else None,
        most_s=row["most_s"],
        each=each,
        hit_share=row["hits"] / row["lookups"] if row["lookups"] else None,
        buckets=tuple(Bucket(2**b / 1e9, n) for b, n in row["buckets"] if n),
    )


def quantile(buckets: list[list[int]], q: float) -> float:
    """In seconds, of (b, count) in order: bucket b has what took 2^(b-1) ns or more, and under 2^b."""
    wanted = q * sum(count for _, count in buckets)
    before = 0
    for b, count in buckets:
        if count and before + count >= wanted:
            low = 0.0 if b == 0 else float(2 ** (b - 1))
            return low * (1 + (wanted - before) / count) / 1e9
        before += count
    return 0.0


def work_of(seen: Windowed, ended: float | None, busy_s: float | None) -> dict[str, float | None]:
    """What requests did inside the app, as shares of their time there or per request; None where it was not told."""

    def per(name: str, of: float | None) -> float | None:
        grown = seen.growth("workers", name)
        return None if grown is None or not of or of < 0 else grown / of

    return {
        "database_share": per("statement_s", busy_s),
        "statements_per_request": per("statements", ended),
        "pool_share": per("pool_s", busy_s),
        "pool_s_per_request": per("pool_s", ended),
        "outbound_share": per("outbound_s", busy_s),
        "outbound_per_request": per("outbound", ended),
        "cache_share": per("cache_s", busy_s),
        "cache_hit_share": per("cache_hits", seen.growth("workers", "cache_lookups")),
        "request_cpu_s": per("request_cpu_s", seen.growth("workers", "cpu_timed")),
        "response_bytes_per_request": per("response_bytes", ended),
        "loop_lag_mean_s": per("lag_s", seen.growth("workers", "lags")),
        "loop_lag_most_s": seen.last("workers", "lag_most_s") if seen.growth("workers", "lags") else None,
        "threads_waited_for_most": seen.most("workers", "tokens_waited_for"),
    }
