"""Two samples of starts in, the ratio of their medians with an interval out, and what may be said of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

ALPHA = 0.05  # over all figures of one comparison, and all looks at them
RESAMPLES = 2000
STARTS_LEAST = 4


Called = Literal["better", "worse", "tie", "unknown"]


class Gain(Struct, frozen=True, kw_only=True):
    """One figure of B against A.

    Attributes:
        figure: Its name, with its unit.
        a: Median over the starts of A; None where it was not measured or is not to be believed.
        b: The same of B.
        ratio: b ÷ a.
        low: Lower end of the ratio's interval, wide enough for all figures together.
        high: Its upper end.
        least_seen: The smallest difference that could have been seen, as a share; None where none could.
        verdict: What B is against A.
        starts: On how many starts each of the two was measured.
        higher_is_better: Whether more of it is better; False: less is.
        allowed: The loss that a gate allows it, as a share; None where there is no gate.
        outcome: What the gate says: failed where the loss surely passes what is allowed.
    """

    figure: str
    a: float | None
    b: float | None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    least_seen: float | None = None
    verdict: Called
    starts: tuple[int, int]
    higher_is_better: bool = False
    allowed: float | None = None
    outcome: Literal["passed", "failed", "unknown"] | None = None


class Comparison(Struct, frozen=True, kw_only=True):
    """Plan B against plan A, figure by figure.

    Attributes:
        seed: Drew the order in which their starts took turns.
        fresh: Whether each start was a fresh one; False: repeated trials of what ran already.
        most: How many starts of each there would have been at most.
        looks: After how many starts of each the figures were looked at; ended early where the last is below `most`.
    """

    a: str
    b: str
    seed: int
    gains: tuple[Gain, ...]
    fresh: bool = True
    most: int = 0
    looks: tuple[int, ...] = ()

    @property
    def ended_early(self) -> bool:
        """Whether all was clear before the most starts were reached."""
        return bool(self.looks) and self.looks[-1] < self.most


def compare(
    figures: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    higher_is_better: Collection[str] = (),
    seed: int = 1,
    alpha: float = ALPHA,
) -> list[Gain]:
    """Each figure of B against A.

    Args:
        figures: By name, a value for each start of A, and one for each start of B; what is not a number is left out.
        higher_is_better: Names of figures of which more is better; of the others less is.
        seed: Of the bootstrap.
        alpha: The chance of calling any of the figures different where none is, over all together.
    """
    cleaned = {name: (_finite(a), _finite(b)) for name, (a, b) in figures.items()}
    usable = sum(min(len(a), len(b)) >= STARTS_LEAST for a, b in cleaned.values())
    return [
        _gain(name, a, b, alpha / max(1, usable), seed, up=name in higher_is_better) for name, (a, b) in cleaned.items()
    ]


def called(low: float, high: float, *, up: bool) -> Called:
    """What an interval of the ratio says; `up`: more is better."""
    if low <= 1 <= high:
        return "tie"
    return "better" if (low > 1) == up else "worse"


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    return array[np.isfinite(array) & (array > 0)]


def _gain(name: str, a: NDArray[np.float64], b: NDArray[np.float64], alpha: float, seed: int, *, up: bool) -> Gain:
    starts = (len(a), len(b))
    medians = tuple(float(np.median(each)) if len(each) else None for each in (a, b))
    if min(starts) < STARTS_LEAST:
        return Gain(figure=name, a=medians[0], b=medians[1], verdict="unknown", starts=starts, higher_is_better=up)
    centre = float(np.median(np.log(b)) - np.median(np.log(a)))
    # A percentile bootstrap of few starts is too narrow: its standard error goes with Student's t instead.
    error = float((_medians(np.log(b), seed, 1) - _medians(np.log(a), seed, 0)).std())
    reach = float(student.ppf(1 - alpha / 2, sum(starts) - 2)) * error
    low, high = float(np.exp(centre - reach)), float(np.exp(centre + reach))
    return Gain(
        figure=name,
        a=medians[0],
        b=medians[1],
        ratio=float(np.exp(centre)),
        low=low,
        high=high,
        least_seen=float(np.expm1(reach)),
        verdict=called(low, high, up=up),
        starts=starts,
        higher_is_better=up,
    )


def _medians(values: NDArray[np.float64], seed: int, side: int) -> NDArray[np.float64]:
    """Medians of resamples of the values."""
    ordered = np.sort(values)
    below, above = _ranks(len(ordered), seed, side)
    return np.asarray((ordered[below] + ordered[above]) / 2)


@lru_cache(maxsize=256)
def _ranks(count: int, seed: int, side: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which of `count` values in order stand in the middle of each resample; two of them where their number is even."""
    random = np.random.default_rng((seed, side, count))
    picked = np.sort(random.integers(0, count, (RESAMPLES, count)), axis=1)
    return picked[:, (count - 1) // 2], picked[:, count // 2]
