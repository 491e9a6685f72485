"""A rate over time and a seed into due times: evenly spaced, or at random (a Poisson process whose rate changes).

A profile is a sequence of stretches, one after the other; within each the rate r(t) goes from one value to another in
a straight line. The arrivals expected up to t, L(t) = the integral of r from 0 to t, are therefore piecewise quadratic,
and where L reaches a number can be said exactly: L^-1. Profiles put together are one after the other.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from prony.traffic import arrivals
from prony.traffic.arrivals import ARRIVALS_MAX, DURATION_MAX_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prony.traffic.arrivals import DueTimes

RATE_MAX: Final = 1e9
STRETCHES_MAX: Final = 200_000


class Stretch(NamedTuple):
    """A part of a profile, in which the value goes in a straight line from `start` to `end`.

    Attributes:
        duration_s: Its length in seconds, above 0.
        start: The value at its beginning: requests per second, or users.
        end: The value at its end.
    """

    duration_s: float
    start: float
    end: float


Profile = tuple[Stretch, ...]
Seconds = npt.NDArray[np.float64]


def duration_s(profile: Sequence[Stretch]) -> float:
    """Length of a profile in seconds: the sum of its stretches'."""
    return math.fsum(stretch.duration_s for stretch in profile)


def check(profile: Sequence[Stretch]) -> None:
    """Raises ValueError unless it can be a profile: of rates in requests per second, or of users."""
    if not 1 <= len(profile) <= STRETCHES_MAX:
        raise ValueError(f"{len(profile)} stretches: a profile has from 1 to {STRETCHES_MAX}")
    lengths, starts, ends = np.asarray(profile, dtype=np.float64).T
    if not ((lengths > 0).all() and lengths.sum() <= DURATION_MAX_S * (1 + 1e-9)):
        raise ValueError(f"stretches last more than 0 seconds, and at most {DURATION_MAX_S:.0f} in all")
    values = np.concatenate((starts, ends))
    if not ((values >= 0) & (values <= RATE_MAX)).all():
        raise ValueError(f"what a profile goes through is from 0 to {RATE_MAX:g}")
    if not values.any():
        raise ValueError("a profile that is 0 throughout asks for nothing")


def expected(profile: Sequence[Stretch], t_s: npt.ArrayLike) -> Seconds:
    """Arrivals expected by an instant: L(t) = integral of r from 0 to t, piecewise quadratic.

    Args:
        profile: Rates in requests per second.
        t_s: Instants in seconds from the start; before and after the profile L does not change.

    Returns:
        L(t), not decreasing in t, in the shape of `t_s`.
    """
    course = _Course(profile)
    t = np.clip(np.asarray(t_s, dtype=np.float64), 0, course.times[-1])
    at = np.clip(np.searchsorted(course.times, t, side="right") - 1, 0, len(course.slopes) - 1)
    x = t - course.times[at]
    return np.asarray(course.sums[at] + x * (course.starts[at] + course.slopes[at] * x / 2))


def rate_at(profile: Sequence[Stretch], t_s: npt.ArrayLike) -> Seconds:
    """The value r(t) of a profile at instants in seconds from its start; at a jump the one after it."""
    course = _Course(profile)
    t = np.clip(np.asarray(t_s, dtype=np.float64), 0, course.times[-1])
    at = np.clip(np.searchsorted(course.times, t, side="right") - 1, 0, len(course.slopes) - 1)
    return np.asarray(course.starts[at] + course.slopes[at] * (t - course.times[at]))


def constant(profile: Sequence[Stretch]) -> DueTimes:
    """Evenly spaced arrivals along a profile: due_i = L^-1(i) for i = 0, 1, 2, ... while due_i < duration.

    At one rate throughout these are `arrivals.constant`'s, to the bit.

    Args:
        profile: Rates in requests per second.

    Returns:
        Due times in nanoseconds from the start, shape (n,), not decreasing; n is the integral of the rate, rounded up.

    Raises:
        ValueError: No profile (see `check`), or more than `ARRIVALS_MAX` arrivals.
    """
    level = _level(profile)
    if level is not None:
        return arrivals.constant(level, duration_s(profile))
    course = _bounded(profile)
    return course.due_ns(np.arange(math.ceil(course.total - 1e-9 * max(course.total, 1)), dtype=np.float64))


def poisson(profile: Sequence[Stretch], seed: int) -> DueTimes:
    """Poisson arrivals along a profile: due_i = L^-1(e_1 + ... + e_i) while due_i < duration, P(e > x) = exp(-x).

    This is the time change theorem (Daley and Vere-Jones 2003, theorem 7.4.I): seen by the clock L(t), arrivals whose
    rate changes are a Poisson process of rate 1, with gaps e that do not depend on each other. The number in any
    stretch of time has the integral of the rate over it as mean and variance, and numbers in stretches that do not
    overlap are independent. At one rate throughout these are `arrivals.poisson`'s, to the bit; a profile's due times do
    not depend on what comes after them, but for rounding.

    Args:
        profile: Rates in requests per second.
        seed: A non-negative integer; the same seed gives the same due times.

    Returns:
        Due times in nanoseconds from the start, shape (n,), not decreasing.

    Raises:
        ValueError: No profile (see `check`), or more than `ARRIVALS_MAX` arrivals expected.
    """
    level = _level(profile)
    if level is not None:
        return arrivals.poisson(level, duration_s(profile), seed)
    course = _bounded(profile)
    return course.due_ns(arrivals.unit_rate(course.total, seed))


def _level(profile: Sequence[Stretch]) -> float | None:
    """The rate of a profile that has only one."""
    check(profile)
    first = profile[0].start
    return first if all(first == start == end for _, start, end in profile) else None


def _bounded(profile: Sequence[Stretch]) -> _Course:
    course = _Course(profile)
    if course.total > ARRIVALS_MAX:
        raise ValueError(f"{course.total:.0f} requests along a profile: at most {ARRIVALS_MAX} are allowed")
    return course


class _Course:
    """A profile's breaks as arrays.

    Attributes:
        times: Seconds at which stretches begin, and the end; shape (n + 1,).
        sums: Arrivals expected by then; shape (n + 1,).
        starts: The rate at each beginning; shape (n,).
        slopes: By how much it grows a second; shape (n,).
        total: Arrivals expected in all.
    """

    def __init__(self, profile: Sequence[Stretch]) -> None:
        lengths, self.starts, ends = np.asarray(profile, dtype=np.float64).T
        self.slopes = (ends - self.starts) / lengths
        self.times = np.concatenate(([0.0], np.cumsum(lengths)))
        self.sums = np.concatenate(([0.0], np.cumsum(lengths * (self.starts + ends) / 2)))
        self.total = float(self.sums[-1])

    def due_ns(self, counts: Any) -> DueTimes:
        """L^-1 of sorted counts below the total, in nanoseconds, without what rounding puts at the end or after it.

        Within a stretch that begins at rate a and has slope s, L has grown by z after x seconds where a x + s x²/2 = z:
        x = 2 z / (a + √(a² + 2 s z)), in which nothing cancels.
        """
        counts = counts[: np.searchsorted(counts, self.total)]
        at = np.clip(np.searchsorted(self.sums, counts, side="right") - 1, 0, len(self.slopes) - 1)
        grown = counts - self.sums[at]
        start = self.starts[at]
        root = np.sqrt(np.maximum(start * start + 2 * self.slopes[at] * grown, 0.0))
        below = start + root
        x = np.divide(2 * grown, below, out=np.zeros_like(grown), where=below > 0)
        due_s = np.minimum(self.times[at] + x, self.times[at + 1])
        due_ns: DueTimes = np.rint(due_s * 1e9).astype(np.int64)
        return due_ns[: np.searchsorted(due_ns, round(self.times[-1] * 1e9))]
