"""A recording, a route and a stretch of time in, the exact figures of the requests that were due there out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from msgspec import Struct

from prony import stats
from prony.recording import OUTCOMES, Recording, Samples
from prony.samples import OK, UNANSWERED
from prony.summary.spread import QUANTILES
from prony.summary.trial import sending_window


class Quantile(Struct, frozen=True, kw_only=True):
    """One quantile of durations, in seconds.

    Attributes:
        value_s: Exact; null where there are too few durations for it, or a doubt voids it.
        low_s, high_s: Between these it lies with 95 % confidence, as if requests did not depend on each other; null
            where there are too few durations for that end.
        wanted: How many durations it wants before it is told.
    """

    value_s: float | None
    low_s: float | None
    high_s: float | None
    wanted: int


class Slice(Struct, frozen=True, kw_only=True):
    """The figures of the requests of one trial that were due in a stretch of its sending window.

    Attributes:
        route: Its name; null for all routes.
        from_s, to_s: The stretch, from the start of the window: from the first instant to just before the second.
        requests: How many became due.
        answered: Of how many an answer came, right or wrong: over these the quantiles are taken.
        errors: The share of the requests that failed; null where there were none.
        by_outcome: How many ended how.
        latency_s: From the instant a request was due to its last byte (of a streamed answer: to its first event).
        service_time_s: From the instant it was sent.
        doubts: Of the trial's, those for which quantiles here are null.
    """

    trial: str
    route: str | None
    from_s: float
    to_s: float
    requests: int
    answered: int
    errors: float | None
    by_outcome: dict[str, int]
    latency_s: dict[str, Quantile]
    service_time_s: dict[str, Quantile]
    doubts: tuple[str, ...] = ()


class Part(NamedTuple):
    """Which requests a slice is of: None for all routes, and for no bound on that side."""

    route: str | None = None
    from_s: float | None = None
    to_s: float | None = None


def sliced(recording: Recording, part: Part, doubts: tuple[str, ...] = ()) -> Slice:
    """The figures of a slice; `part.route` is one of the recording's, `doubts` those that void its latencies."""
    samples = recording.served
    samples = samples[within(recording, samples, part)]
    answered = samples[(samples["first_byte_ns"] > 0) & (samples["done_ns"] > 0) & (samples["outcome"] < UNANSWERED)]
    outcomes, counts = np.unique(samples["outcome"], return_counts=True)
    right = int(np.count_nonzero(samples["outcome"] == OK))
    return Slice(
        trial=recording.id,
        route=part.route,
        from_s=part.from_s or 0.0,
        to_s=sending_window(recording).duration_s if part.to_s is None else part.to_s,
        requests=len(samples),
        answered=len(answered),
        errors=(len(samples) - right) / len(samples) if len(samples) else None,
        by_outcome={OUTCOMES[o]: int(n) for o, n in zip(outcomes, counts, strict=True)},
        latency_s=_quantiles((answered["done_ns"] - answered["due_ns"]) / 1e9, void=bool(doubts)),
        service_time_s=_quantiles((answered["done_ns"] - answered["sent_ns"]) / 1e9, void=bool(doubts)),
        doubts=doubts,
    )


def within(recording: Recording, samples: Samples, part: Part) -> Samples:
    """Which rows belong to a slice: a flag for each."""
    due_ns = samples["due_ns"] - sending_window(recording).start_ns
    inside = np.ones(len(samples), dtype=bool)
    if part.from_s is not None:
        inside &= due_ns >= round(part.from_s * 1e9)
    if part.to_s is not None:
        inside &= due_ns < round(part.to_s * 1e9)
    if part.route is not None:
        inside &= np.isin(samples["route"], [n for n, name in enumerate(recording.routes) if name == part.route])
    return inside


def _quantiles(values_s: Samples, *, void: bool) -> dict[str, Quantile]:
    ordered = np.sort(values_s)
    return {name: _quantile(ordered, q, void=void) for name, q in QUANTILES.items()}


def _quantile(ordered: Samples, q: float, *, void: bool) -> Quantile:
    wanted = stats.samples_wanted(q)
    if void or len(ordered) < wanted:
        return Quantile(value_s=None, low_s=None, high_s=None, wanted=wanted)
    low_s, high_s = stats.quantile_interval(ordered, q)
    return Quantile(value_s=stats.quantile(ordered, q), low_s=low_s, high_s=high_s, wanted=wanted)
