"""Two samples of starts in, the ratio of the one to the other with an interval out, and what may be said of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

ALPHA = 0.05  # over all figures of one comparison, and all looks at them
RESAMPLES = 500  # a standard error to 3 %
STARTS_LEAST = 4
REACH_MOST = 20.0  # of a ratio's logarithm: an early look at few starts knows nothing, and is to stay a number


Values = NDArray[np.float64]
Called = Literal["better", "worse", "tie", "unknown"]


class Gain(Struct, frozen=True, kw_only=True):
    """One figure of B against A.

    Attributes:
        figure: Its name, with its unit.
        a: Median over the starts of A; None where it was not measured or is not to be believed.
        b: The same of B.
        ratio: b ÷ a: of starts in the same round, where they took turns, the middle of all rounds.
        low: Lower end of the ratio's interval, wide enough for all figures together that are judged by
            themselves; of one that follows another, at the level of that one.
        high: Its upper end.
        least_seen: The smallest difference that could have been seen, as a share; None where none could.
        verdict: What B is against A; unknown where starts to be believed are too few, and where its interval says that
            it differs, but what it follows is not called different.
        starts: On how many starts each of the two was measured; of those that took turns, where both were.
        higher_is_better: Whether more of it is better; False: less is.
        allowed: The loss that a gate allows it, as a share; None where there is no gate.
        outcome: What the gate says: failed where the loss surely passes what is allowed.
        follows: The figure that must be called different before this one may be; None: it is judged by itself.
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
    follows: str | None = None


class Comparison(Struct, frozen=True, kw_only=True):
    """Plan B against plan A, figure by figure.

    Attributes:
        seed: Drew the order in which their starts took turns.
        fresh: Whether each start was a fresh one; False: repeated trials of what ran already.
        most: How many starts of each there would have been at most.
        looks: After how many starts of each the figures were looked at; ended early where the last is below `most`.
        why: What cut it short, before all that can be told was clear; empty where nothing did.
    """

    a: str
    b: str
    seed: int
    gains: tuple[Gain, ...]
    fresh: bool = True
    most: int = 0
    looks: tuple[int, ...] = ()
    why: str = ""

    @property
    def ended_early(self) -> bool:
        """Whether it ended before the most starts were reached: all was clear, or it was cut short."""
        return bool(self.looks) and self.looks[-1] < self.most


def compare(
    figures: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    higher_is_better: Collection[str] = (),
    seed: int = 1,
    alpha: float = ALPHA,
    paired: bool = False,
    followers: Collection[str] = (),
) -> list[Gain]:
    """Each figure of B against A.

    The middle of values is their pseudo-median, the median of the means of all pairs of them (Hodges and Lehmann,
    Annals of Mathematical Statistics 34, 1963): an outlier moves it as little as a median, nearly, and chance as
    little as a mean.

    Args:
        figures: By name, a value for each start of A, and one for each start of B; what is not a number is left out.
        higher_is_better: Names of figures of which more is better; of the others less is.
        seed: Of the bootstrap.
        alpha: The chance of calling any of the figures different where none is, over all together.
        paired: Whether the starts took turns, each of A's with one of B's: what changes with time, as a machine's
            speed does, then meets both alike and cancels in their ratio. A round is left out where either lacks.
        followers: Names of figures that take no share of `alpha`, and are told at the level of the others.
    """
    cleaned = {name: (_rounds if paired else _apart)(a, b) for name, (a, b) in figures.items()}
    sharing = [each for name, each in cleaned.items() if name not in followers]
    usable = sum(min(len(a), len(b)) >= STARTS_LEAST for a, b in sharing)
    level = alpha / max(1, usable)
    return [
        _gain(name, each, level, seed, up=name in higher_is_better, paired=paired) for name, each in cleaned.items()
    ]


def called(low: float, high: float, *, up: bool) -> Called:
    """What an interval of the ratio says; `up`: more is better."""
    if low <= 1 <= high:
        return "tie"
    return "better" if (low > 1) == up else "worse"


def _apart(a: ArrayLike, b: ArrayLike) -> tuple[Values, Values]:
    first, second = _logs(a), _logs(b)
    return first[np.isfinite(first)], second[np.isfinite(second)]


def _rounds(a: ArrayLike, b: ArrayLike) -> tuple[Values, Values]:
    first, second = _logs(a), _logs(b)
    both = np.isfinite(first) & np.isfinite(second)
    return first[both], second[both]


def _logs(values: ArrayLike) -> Values:
    array = np.asarray(values, dtype=np.float64)
    return np.log(np.where(array > 0, array, np.nan))


def _gain(name: str, logs: tuple[Values, Values], alpha: float, seed: int, *, up: bool, paired: bool) -> Gain:
    a, b = logs
    starts = (len(a), len(b))
    medians = tuple(float(np.exp(np.median(each))) if len(each) else None for each in logs)
    if min(starts) < STARTS_LEAST:
        return Gain(figure=name, a=medians[0], b=medians[1], verdict="unknown", starts=starts, higher_is_better=up)
    # A percentile bootstrap of few starts is too narrow: its standard error goes with Student's t instead.
    freedom: float
    if paired:
        centre, error, freedom = _middle(b - a), _error(b - a, seed, 0), len(a) - 1
    else:
        centre, errors = _middle(b) - _middle(a), (_error(a, seed, 0), _error(b, seed, 1))
        error, freedom = float(np.hypot(*errors)), _freedom(errors, starts)
    reach = min(float(student.ppf(1 - alpha / 2, freedom)) * error, REACH_MOST)
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


def _freedom(errors: tuple[float, float], starts: tuple[int, int]) -> float:
    """Degrees of freedom of two errors together, each of its own sample (Welch, Biometrika 34, 1947)."""
    parts = [error**4 / (count - 1) for error, count in zip(errors, starts, strict=True)]
    return float(np.hypot(*errors)) ** 4 / sum(parts) if sum(parts) else min(starts) - 1.0


def _middle(values: Values) -> float:
    """The pseudo-median."""
    one, other = np.triu_indices(len(values))
    return float(np.median((values[one] + values[other]) / 2))


def _error(values: Values, seed: int, side: int) -> float:
    """The pseudo-median's standard error: by resamples, which spread by √((n - 1) ÷ n) too little."""
    count = len(values)
    means = (((values[:, None] + values) / 2) - values.mean()).astype(np.float32).ravel()
    resampled = means[_picked(count, seed, side)]
    half = resampled.shape[1] // 2
    resampled.partition((half - 1, half), axis=1)
    middles = resampled[:, half] if resampled.shape[1] % 2 else resampled[:, half - 1 : half + 1].mean(axis=1)
    return float(middles.std(dtype=np.float64) * np.sqrt(count / (count - 1)))


@lru_cache(maxsize=2)  # one for each side
def _picked(count: int, seed: int, side: int) -> NDArray[np.intp]:
    """In each resample of `count` values, the places of its pairs in a table of all pairs."""
    random = np.random.default_rng((seed, side, count))
    picked = random.integers(0, count, (RESAMPLES, count))
    one, other = np.triu_indices(count)
    return np.asarray(picked[:, one] * count + picked[:, other], dtype=np.intp)
