"""Two samples of starts in, the ratio of their medians with an interval out, and what may be said of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

ALPHA = 0.05  # over all figures of one comparison
RESAMPLES = 2000
STARTS_LEAST = 4


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
    """

    figure: str
    a: float | None
    b: float | None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    least_seen: float | None = None
    verdict: Literal["better", "worse", "tie", "unknown"]
    starts: tuple[int, int]


class Comparison(Struct, frozen=True, kw_only=True):
    """Plan B against plan A, figure by figure; `seed` drew the order in which their starts took turns."""

    a: str
    b: str
    seed: int
    gains: tuple[Gain, ...]


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
    random = np.random.default_rng(seed)
    return [
        _gain(name, a, b, alpha / max(1, usable), random, up=name in higher_is_better)
        for name, (a, b) in cleaned.items()
    ]


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    return array[np.isfinite(array) & (array > 0)]


def _gain(
    name: str, a: NDArray[np.float64], b: NDArray[np.float64], alpha: float, random: np.random.Generator, *, up: bool
) -> Gain:
    starts = (len(a), len(b))
    medians = tuple(float(np.median(each)) if len(each) else None for each in (a, b))
    if min(starts) < STARTS_LEAST:
        return Gain(figure=name, a=medians[0], b=medians[1], verdict="unknown", starts=starts)
    centre = float(np.median(np.log(b)) - np.median(np.log(a)))
    # A percentile bootstrap of few starts is too narrow: its standard error goes with Student's t instead.
    resampled = _medians(np.log(b), random) - _medians(np.log(a), random)
    error = float(resampled.std())
    reach = float(student.ppf(1 - alpha / 2, sum(starts) - 2)) * error
    low, high = centre - reach, centre + reach
    verdict: Literal["better", "worse", "tie"] = "tie"
    if low > 0 or high < 0:
        verdict = "better" if (low > 0) == up else "worse"
    return Gain(
        figure=name,
        a=medians[0],
        b=medians[1],
        ratio=float(np.exp(centre)),
        low=float(np.exp(low)),
        high=float(np.exp(high)),
        least_seen=float(np.expm1(reach)),
        verdict=verdict,
        starts=starts,
    )


def _medians(values: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    picked = random.integers(0, len(values), (RESAMPLES, len(values)))
    return np.asarray(np.median(values[picked], axis=1))
