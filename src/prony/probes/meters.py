"""Turns a gauge file's meters into tables by label, and its timings into one request's steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prony_gauge import layout

KINDS = {layout.ROUTE: "route", layout.STATEMENT: "statement", layout.HOST: "host", layout.CACHE: "cache"}
STEP_KINDS = {
    layout.S_STATEMENT: "statement",
    layout.S_POOL: "pool",
    layout.S_CONNECT: "connect",
    layout.S_OUTBOUND: "outbound",
    layout.S_CACHE: "cache",
}

# (kind, label) -> the figures and then the buckets, as layout.py has them
Meters = dict[tuple[str, str], NDArray[np.int64]]


class Step(NamedTuple):
    """One part of a request: its kind, its label (empty where it has none), and its two instants in ns."""

    kind: str
    label: str
    began_ns: int
    ended_ns: int


class Timing(NamedTuple):
    """One sampled request as the app saw it, instants in ns of CLOCK_MONOTONIC."""

    id: int
    due_ns: int
    sent_ns: int
    entry_ns: int
    exit_ns: int
    route: str
    steps: tuple[Step, ...]


def meters_of(words: NDArray[np.uint64]) -> Meters:
    """All meters of one file that have counted something."""
    table = _table(words)
    found: Meters = {}
    for index in np.flatnonzero(table[:, layout.FIGURES_AT + layout.M_COUNT]):
        entry = table[index]
        kind = KINDS.get(int(entry[0]) >> 32)
        if kind is not None:
            key = (kind, _text(entry))
            values = entry[layout.FIGURES_AT : layout.BUCKETS_AT + layout.BUCKETS].astype(np.int64)
            found[key] = _sum(found[key], values) if key in found else values  # labels that were cut can read alike
    return found


def merged(parts: Iterable[Meters]) -> Meters:
    """The same labels of several processes as one."""
    found: Meters = {}
    for part in parts:
        for key, values in part.items():
            found[key] = _sum(found[key], values) if key in found else values
    return found


def since(before: Meters, now: Meters) -> Meters:
    """What was added since; the most that anything took is of all time."""
    found: Meters = {}
    for key, values in now.items():
        earlier = before.get(key)
        added = values.copy()
        if earlier is not None:
            added -= earlier
            added[layout.M_MOST] = values[layout.M_MOST]
        if added[layout.M_COUNT] > 0:
            found[key] = added
    return found


def timings_of(words: NDArray[np.uint64], after: int = 0) -> tuple[list[Timing], int]:
    """The sampled requests from the one with that number on, as far as the ring holds them; and the next number.

    One that may be overwritten while it is read is left out.
    """
    done = int(words[layout.TIMED_AT])
    first = max(after, done - layout.TIMINGS + 1)
    table = _table(words)
    ring = words[layout.TIMINGS_AT :].reshape(layout.TIMINGS, layout.TIMING_WORDS)
    found = [_timing(ring[number % layout.TIMINGS].astype(np.int64), table) for number in range(first, done)]
    return found, done


def _timing(entry: NDArray[np.int64], table: NDArray[np.uint64]) -> Timing:
    steps = []
    for i in range(min(int(entry[layout.T_STEPS]), layout.STEPS)):
        what, began, ended = (int(each) for each in entry[layout.STEPS_AT + 3 * i :][:3])
        kind, meter = divmod(what, 1 << 32)
        label = _text(table[meter]) if kind not in {layout.S_POOL, layout.S_CONNECT} else ""
        steps.append(Step(STEP_KINDS.get(kind, "other"), label, began, ended))
    head = [int(each) for each in entry[: layout.T_STEPS]]
    ident, due_ns, sent_ns, entry_ns, exit_ns, route = head
    return Timing(ident, due_ns, sent_ns, entry_ns, exit_ns, _text(table[route]), tuple(steps))


def rows_of(meters: Meters) -> list[dict[str, Any]]:
    """The meters as plain data: kind, label, count, figures by name in their units, buckets as (number, count)."""
    names = {
        "most_s": layout.M_MOST,
        "total_s": layout.M_NS,
        "cpu_s": layout.M_CPU_NS,
        "statements": layout.M_STATEMENTS,
        "statement_s": layout.M_STATEMENT_NS,
        "pool_s": layout.M_POOL_NS,
        "connects": layout.M_CONNECTS,
        "connect_s": layout.M_CONNECT_NS,
        "outbound": layout.M_OUTBOUND,
        "outbound_s": layout.M_OUTBOUND_NS,
        "cache_calls": layout.M_CACHE_CALLS,
        "cache_s": layout.M_CACHE_NS,
        "lookups": layout.M_LOOKUPS,
        "hits": layout.M_HITS,
        "bytes": layout.M_BYTES,
    }
    return [
        {
            "kind": kind,
            "label": label,
            "count": int(values[layout.M_COUNT]),
            **{name: int(values[at]) / 1e9 if name.endswith("_s") else int(values[at]) for name, at in names.items()},
            "buckets": [[b, int(n)] for b, n in enumerate(values[layout.FIGURES :]) if n],
        }
        for (kind, label), values in meters.items()
    ]


def _table(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return words[layout.METERS_AT : layout.TIMINGS_AT].reshape(layout.METERS, layout.METER_WORDS)


def _text(entry: NDArray[np.uint64]) -> str:
    length = min(int(entry[0]) & 0xFFFFFFFF, layout.METER_BYTES)
    return entry[layout.METER_TEXT : layout.FIGURES_AT].tobytes()[:length].decode("utf-8", "ignore")


def _sum(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    both = one + other
    both[layout.M_MOST] = max(one[layout.M_MOST], other[layout.M_MOST])
    return both
