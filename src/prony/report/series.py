"""A recording in, its course over time out: rates, latencies and connections in bins, as the report draws them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from prony.document import Document
from prony.recording import Recording, Store
from prony.samples import OK, UNANSWERED
from prony.stats import quantile
from prony.summary import sending_window

BINS = 60


class Series(Struct, frozen=True, kw_only=True):
    """One trial over time, a value a bin of `bin_s` seconds from the first request due; None where nothing was seen.

    Attributes:
        offered_rps: Requests due.
        right_rps: Right answers, by the instant they came.
        failed_rps: Failures, by the instant they were known.
        p50_s: Median latency of the answers to requests due in this bin.
        p99_s: The same for p99; the maximum where there are few.
        connections: Database connections of the app's.
        in_flight: Requests inside the app.
    """

    trial: str
    bin_s: float
    t_s: list[float]
    offered_rps: list[float]
    right_rps: list[float]
    failed_rps: list[float]
    p50_s: list[float | None]
    p99_s: list[float | None]
    connections: list[float | None]
    in_flight: list[float | None]


def series_of(recording: Recording, least_bin_s: float = 0.1) -> Series:
    """The course of one trial, in at most about 60 bins of at least `least_bin_s` seconds."""
    samples = recording.served
    window = sending_window(recording)
    last_ns = max(window.end_ns, int(samples["done_ns"].max()) if len(samples) else 0)
    length_s = max((last_ns - window.start_ns) / 1e9, 0.1)
    bin_s = max(least_bin_s, math.ceil(length_s / BINS * 10) / 10)
    bins = max(1, math.ceil(length_s / bin_s))

    def binned(instants_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.asarray(np.clip(((instants_ns - window.start_ns) / 1e9 / bin_s).astype(np.int64), 0, bins - 1))

    def rate(instants_ns: npt.NDArray[np.int64]) -> list[float]:
        return [float(n / bin_s) for n in np.bincount(binned(instants_ns), minlength=bins)]

    right = samples["outcome"] == OK
    answered = samples[(samples["first_byte_ns"] > 0) & (samples["outcome"] < UNANSWERED)]
    of_bin = binned(answered["due_ns"])
    latency_s = (answered["done_ns"] - answered["due_ns"]) / 1e9

    def latency(q: float) -> list[float | None]:
        found: list[float | None] = []
        for number in range(bins):
            values = np.sort(latency_s[of_bin == number])
            found.append(quantile(values, q) if len(values) else None)
        return found

    def level(tier: str, name: str) -> list[float | None]:
        series = recording.readings.get((tier, name))
        if series is None:
            return [None] * bins
        instants, values = series
        inside = (instants >= window.start_ns) & (instants <= last_ns)
        where = binned(instants[inside])
        return [float(values[inside][where == n].mean()) if (where == n).any() else None for n in range(bins)]

    return Series(
        trial=recording.id,
        bin_s=bin_s,
        t_s=[round(n * bin_s, 3) for n in range(bins)],
        offered_rps=rate(samples["due_ns"]),
        right_rps=rate(samples["done_ns"][right]),
        failed_rps=rate(samples["done_ns"][~right]),
        p50_s=latency(0.5),
        p99_s=latency(0.99),
        connections=level("connections", "count"),
        in_flight=level("workers", "in_flight"),
    )


def drawings(store: Store, document: Document, least_bin_s: float = 0.1) -> dict[str, Series]:
    """The course over time of each trial worth drawing: a replay's tests, else the first dozen."""
    wanted = {test.trial for test in document.tests} or {trial.id for trial in document.trials[:12]}
    return {trial: series_of(store.recording(trial), least_bin_s) for trial in sorted(wanted)}
