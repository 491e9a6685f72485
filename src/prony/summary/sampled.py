"""A recording in, its sampled requests out, the load's samples joined with the app's records: where time was spent."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from prony.recording import Recording
from prony.samples import ATTEMPT_BITS, UNANSWERED
from prony.summary.timeline import Part, timeline

TIMED = "gauge_timed"  # the kind of event that holds a sampled request, as JSON
LEAST = 20  # sampled requests before groups of them are told
MIDDLE = (0.4, 0.6)  # the quantiles between which requests stand for the median
SLOWEST = 0.01
SLOWEST_LEAST = 5  # requests in that group


class Sampled(Struct, frozen=True, kw_only=True):
    """One request whose way through the app was recorded.

    Attributes:
        id: Its arrival's ordinal; 2^32 more for each time that a client had tried before. Steps of one run of a journey
            share it.
        name: What the load calls its route.
        route: What the app does: method and pattern.
        status: Of its answer.
        due_s: When it was due, from the start of the sending window.
        latency_s: From then to its last byte: what the parts add up to.
        parts: In order, instants in nanoseconds from when it was due.
    """

    id: int
    name: str
    route: str
    status: int
    due_s: float
    latency_s: float
    parts: tuple[Part, ...]


class Spent(Struct, frozen=True, kw_only=True):
    """Where a group of sampled requests spent their time.

    Attributes:
        group: Which they are: "median" (between the 40th and the 60th percentile) or "slowest".
        requests: How many are in it.
        of: Of how many sampled ones.
        latency_s: Their mean latency.
        parts_s: The mean of each kind of part; they add up to it.
    """

    group: str
    requests: int
    of: int
    latency_s: float
    parts_s: dict[str, float]


def sampled_of(recording: Recording) -> list[Sampled]:
    """The sampled requests that were answered, in the order in which they were due."""
    rows: dict[int, list[Any]] = {}
    for event in recording.events:
        if event.kind == TIMED:
            row = msgspec.json.decode(event.text)
            rows.setdefault(row[0], []).append(row)
    if not rows:
        return []
    samples = recording.samples
    samples = samples[(samples["first_byte_ns"] > 0) & (samples["done_ns"] > 0) & (samples["outcome"] < UNANSWERED)]
    ids = samples["arrival"].astype(np.int64) | samples["attempt"].astype(np.int64) << ATTEMPT_BITS
    places = np.flatnonzero(np.isin(ids, list(rows)))
    traffic = recording.plan.traffic
    steps = bool(traffic.journeys) or any(each.redirects for each in traffic.requests)
    times = Counter(ids[places].tolist())
    found = []
    for sample, ident in zip(samples[places], ids[places].tolist(), strict=True):
        row = _row_of(sample, rows[ident], alone=not steps and times[ident] == 1)
        if row is not None:
            found.append(_joined(recording, sample, row))
    return sorted(found, key=lambda each: each.due_s)


def _row_of(sample: Any, rows: Sequence[Any], *, alone: bool) -> Any:
    """The app's record of a request; steps of one run share an id, and follow each other: it entered meanwhile.

    The latest that did: a proxy may have tried twice.
    """
    if alone and len(rows) == 1:
        return rows[0]
    within = [row for row in rows if sample["sent_ns"] <= row[1] < sample["done_ns"]]
    return max(within, key=lambda row: row[1], default=None)


def _joined(recording: Recording, sample: Any, row: Sequence[Any]) -> Sampled:
    ident, entered_ns, exit_ns, route, labels, steps = row
    due_ns, sent_ns, done_ns = (int(sample[name]) for name in ("due_ns", "sent_ns", "done_ns"))
    entry_ns = min(max(entered_ns, sent_ns), done_ns)  # one clock: what lies outside was not this request's
    instants = [due_ns, sent_ns, entry_ns, min(max(exit_ns, entry_ns), done_ns), done_ns]
    parts = timeline(instants, [(kind, labels[i], entered_ns + a, entered_ns + a + ns) for kind, i, a, ns in steps])
    names = recording.routes
    start_ns = int((recording.load or {}).get("started_ns", recording.began_ns))
    return Sampled(
        id=int(ident),
        name=names[sample["route"]] if sample["route"] < len(names) else "",
        route=str(route),
        status=int(sample["status"]),
        due_s=(due_ns - start_ns) / 1e9,
        latency_s=(done_ns - due_ns) / 1e9,
        parts=tuple(Part(p.kind, p.label, p.began_ns - due_ns, p.ended_ns - due_ns) for p in parts),
    )


def spent_of(found: Sequence[Sampled]) -> tuple[Spent, ...]:
    """The requests about the median, and the slowest: where their time went; none where there are too few."""
    if len(found) < LEAST:
        return ()
    ordered = sorted(found, key=lambda each: each.latency_s)
    middle = ordered[round(MIDDLE[0] * len(ordered)) : round(MIDDLE[1] * len(ordered))]
    slowest = ordered[-max(SLOWEST_LEAST, math.ceil(SLOWEST * len(ordered))) :]
    return (_spent("median", middle, len(ordered)), _spent("slowest", slowest, len(ordered)))


def _spent(group: str, members: Sequence[Sampled], of: int) -> Spent:
    sums: dict[str, float] = {}
    for each in members:
        for part in each.parts:
            sums[part.kind] = sums.get(part.kind, 0.0) + (part.ended_ns - part.began_ns) / 1e9
    count = len(members)
    return Spent(
        group=group,
        requests=count,
        of=of,
        latency_s=sum(each.latency_s for each in members) / count,
        parts_s={kind: value / count for kind, value in sums.items()},
    )
