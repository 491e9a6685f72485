"""The first trial on a fresh start in, how long it took to become steady out: what later starts serve uncounted."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from prony.recording import Recording
from prony.samples import UNANSWERED

BIN_S = 0.1
LEAST = 0.05  # by how much the beginning must differ from the rest
SURE = 4.0  # standard deviations by which it must, too
BATCH = 5
BINS_LEAST = 10


class WarmUp(Struct, frozen=True, kw_only=True):
    """What was found of warm-up, once per campaign, and what was discarded for it.

    Attributes:
        trial: Where it was looked for: a closed loop that kept every slot busy, on a start that had served nothing.
        looked_s: Length of that trial.
        found_s: After how long it was steady; 0: from its beginning; None: not within the first half of the trial.
        discarded_s: What each later fresh start served before its first trial, under the same load: not counted.
    """

    trial: str
    looked_s: float
    found_s: float | None
    discarded_s: float

    @property
    def text(self) -> str:
        """A sentence or two."""
        where = f"(trial {self.trial}, {self.looked_s:g} s with every slot busy)"
        if self.found_s == 0:
            return f"No warm-up was found {where}: nothing was discarded."
        found = "was not over in" if self.found_s is None else "took"
        took_s = self.discarded_s if self.found_s is None else self.found_s
        return (
            f"Warm-up {found} {took_s:.1f} s {where}: every later fresh start served {self.discarded_s:.1f} s of such "
            "load first, which is not counted."
        )


def warm_up_of(recording: Recording, most_s: float) -> WarmUp:
    """What a first trial says of warm-up; at most `most_s` are to be discarded.

    Latency is looked at as medians of tenths of a second (by when requests were due), and how many were due in each,
    which in a closed loop is how many were answered: the later of both counts.
    """
    samples = recording.served
    answered = samples[(samples["done_ns"] > 0) & (samples["outcome"] < UNANSWERED)]
    looked_s = recording.plan.traffic.duration_s
    steady_s: list[float | None] = [0.0]
    if len(answered):
        at_s = (answered["due_ns"] - samples["due_ns"].min()) / 1e9
        latency_s = (answered["done_ns"] - answered["due_ns"]) / 1e9
        bins = (at_s / BIN_S).astype(int)
        whole = np.arange(int(looked_s / BIN_S))
        counts = np.bincount(bins, minlength=len(whole))[: len(whole)]
        there = whole[counts > 0]
        medians = [float(np.median(latency_s[bins == each])) for each in there]
        steady_s = [_at(steady_from(medians), there), _at(steady_from(counts, step=1), whole)]
    known = [each for each in steady_s if each is not None]
    found_s = max(known) if len(known) == len(steady_s) else None
    discarded_s = most_s if found_s is None else min(found_s, most_s)
    return WarmUp(trial=recording.id, looked_s=looked_s, found_s=found_s, discarded_s=discarded_s)


def steady_from(series: ArrayLike, step: float = 0.0) -> int | None:
    """From which value on a series is steady; 0: from the first; None: not within its first half.

    Its second half says what steady is: the median, and a band of 5 % or four standard deviations (by the MAD) around
    it. The beginning lasts until three in a row lie within the band; or, for one that differs by less than single
    values do, until a batch of five has its median within the band of such medians: at most four values too long. To
    put batches beside the rest is Yücesan's test (Randomization tests for initialization bias in simulation output,
    Naval Research Logistics 40, 1993), with a band in the place of his permutations. MSER-5 (White, Cobb and Spratt,
    Winter Simulation Conference 2000) was tried: it also cuts all before a pause in the middle. Fewer than ten values
    tell nothing: 0.

    The band is no narrower than `step`, by which values differ though nothing changed: of what comes evenly, one tenth
    of a second has one more than the next.
    """
    values = np.asarray(series, dtype=np.float64)
    if len(values) < BINS_LEAST:
        return 0
    rest = values[len(values) // 2 :]
    level = float(np.median(rest))
    deviation = 1.4826 * float(np.median(np.abs(rest - level)))
    inside = np.abs(values - level) <= max(step, LEAST * level, SURE * deviation)
    runs = inside[:-2] & inside[1:-1] & inside[2:]
    batches = np.median(values[: len(values) // BATCH * BATCH].reshape(-1, BATCH), axis=1)
    error = 1.2533 * deviation / math.sqrt(BATCH)  # of the median of so many normal values
    like = np.abs(batches - level) <= max(step, LEAST * level, SURE * error)
    cut = max(_first(runs), BATCH * _first(like))
    return None if cut > len(values) // 2 else cut


def _first(holds: NDArray[np.bool_]) -> int:
    """Where it first holds; past the end where it never does."""
    return int(np.argmax(holds)) if holds.any() else len(holds) + BATCH


def _at(cut: int | None, bins: NDArray[np.int64]) -> float | None:
    return None if cut is None else 0.0 if cut == 0 else float(bins[cut] * BIN_S)
