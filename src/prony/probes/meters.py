"""Turns what a gauge file's ledger has added up into tables by label."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prony.probes import ledger
from prony.probes.ledger import FIGURES, M_COUNT, M_MOST, Ledger, label_of
from prony_gauge import layout

KINDS = {layout.ROUTE: "route", layout.STATEMENT: "statement", layout.HOST: "host", layout.CACHE: "cache"}

# (kind, label) -> the figures and then the buckets, as ledger.py has them
Meters = dict[tuple[str, str], NDArray[np.int64]]


def meters_of(words: NDArray[np.uint64], found_in: Ledger) -> Meters:
    """All labels of one file that have counted something."""
    found: Meters = {}
    for number in np.flatnonzero(found_in.figures[:, M_COUNT]):
        kind, text = label_of(words, int(number))
        if kind in KINDS:
            key = (KINDS[kind], text)
            values = np.concatenate([found_in.figures[number], found_in.buckets[number]])
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
            added[M_MOST] = values[M_MOST]
        if added[M_COUNT] > 0:
            found[key] = added
    return found


def rows_of(meters: Meters) -> list[dict[str, Any]]:
    """The meters as plain data: kind, label, count, figures by name in their units, buckets as (number, count)."""
    names = {
        "most_s": M_MOST,
        "total_s": ledger.M_NS,
        "statements": ledger.M_STATEMENTS,
        "statement_s": ledger.M_STATEMENT_NS,
        "pool_s": ledger.M_POOL_NS,
        "connects": ledger.M_CONNECTS,
        "connect_s": ledger.M_CONNECT_NS,
        "outbound": ledger.M_OUTBOUND,
        "outbound_s": ledger.M_OUTBOUND_NS,
        "cache_calls": ledger.M_CACHE_CALLS,
        "cache_s": ledger.M_CACHE_NS,
        "lookups": ledger.M_LOOKUPS,
        "hits": ledger.M_HITS,
        "bytes": ledger.M_BYTES,
    }

    def cpu_s(values: NDArray[np.int64]) -> float:
        """Of all, by those whose CPU time was read."""
        timed = max(1, int(values[ledger.M_CPU_TIMED]))
        return int(values[ledger.M_CPU_NS]) / 1e9 * int(values[M_COUNT]) / timed

    return [
        {
            "kind": kind,
            "label": label,
            "count": int(values[M_COUNT]),
            **{name: int(values[at]) / 1e9 if name.endswith("_s") else int(values[at]) for name, at in names.items()},
            "cpu_s": cpu_s(values),
            "buckets": [[b, int(n)] for b, n in enumerate(values[FIGURES:]) if n],
        }
        for (kind, label), values in meters.items()
    ]


def _sum(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    both = one + other
    both[M_MOST] = max(one[M_MOST], other[M_MOST])
    return both
