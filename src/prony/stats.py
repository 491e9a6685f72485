"""Numbers of a trial in, quantiles with intervals and trends out."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]

# A quantile wants this many samples before it is printed as a number: 4 beyond it on average.
SAMPLES_BEYOND = 4


class Trend(NamedTuple):
    """A straight line through readings over time: its slope per second, and how far it rises over the span."""

    slope_per_s: float
    rise: float
    mean: float


def quantile(sorted_values: Numbers, q: float) -> float:
    """The q-quantile of values sorted ascending: the smallest value with at least a share q at or below it.

    This is the inverse of the empirical distribution function (Hyndman and Fan 1996, definition 1): always a value that
    was measured, never one in between.

    Raises:
        ValueError: there are no values, or q is not within 0 to 1.
    """
    if len(sorted_values) == 0 or not 0 <= q <= 1:
        raise ValueError(f"no {q}-quantile of {len(sorted_values)} values")
    rank = max(1, math.ceil(q * len(sorted_values) - 1e-9))
    return float(sorted_values[rank - 1])


def quantile_interval(sorted_values: Numbers, q: float, confidence: float = 0.95) -> tuple[float | None, float | None]:
    """Between which measured values the q-quantile of what they were drawn from lies, with this confidence at least.

    By order statistics: how many of n values lie below a quantile is binomial (n, q), whatever their distribution
    (Conover 1999, 3.2). It takes the values as independent of each other; requests that queue behind one another are
    not, and for them the true interval is wider. None for an end where there are too few values to give one.
    """
    from scipy.stats import binom  # noqa: PLC0415 - slow to import, and seldom wanted

    n = len(sorted_values)
    if n == 0 or not 0 < q < 1:
        return None, None
    low, high = (int(binom.ppf(p, n, q)) for p in ((1 - confidence) / 2, (1 + confidence) / 2))
    return (
        float(sorted_values[low - 1]) if low >= 1 else None,
        float(sorted_values[high]) if high < n else None,
    )


def samples_wanted(q: float) -> int:
    """How many samples the q-quantile wants: 400 for p99, 4 000 for p99.9."""
    return math.ceil(SAMPLES_BEYOND / (1 - q) - 1e-6) if q < 1 else 1


def trend(instants_s: Numbers, values: Numbers) -> Trend:
    """The least-squares line through readings; zero where there are fewer than three."""
    if len(values) < 3 or instants_s[-1] <= instants_s[0]:
        return Trend(0.0, 0.0, float(np.mean(values)) if len(values) else 0.0)
    centred = instants_s - instants_s.mean()
    slope = float((centred * (values - values.mean())).sum() / (centred**2).sum())
    return Trend(slope, slope * float(instants_s[-1] - instants_s[0]), float(values.mean()))


def outstanding(due_ns: Numbers, done_ns: Numbers, grid_ns: Numbers) -> Numbers:
    """How many requests were due and not yet done at each instant; a done_ns of 0 means never."""
    due = np.searchsorted(np.sort(due_ns), grid_ns, side="right")
    done = np.searchsorted(np.sort(done_ns[done_ns > 0]), grid_ns, side="right")
    return np.asarray(due - done)
