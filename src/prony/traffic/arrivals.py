"""A rate and a seed into due times: integer nanoseconds from the start of the load."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

DueTimes = npt.NDArray[np.int64]
Routes = npt.NDArray[np.uint16]
Variants = npt.NDArray[np.uint32]

ARRIVALS_MAX: Final = 50_000_000
DURATION_MAX_S: Final = 86_400.0
ROUTES_MAX: Final = 65_535

# One seed feeds independent streams of random numbers, so that when a request is due says nothing about its route.
_GAPS, _ROUTES, _VARIANTS = 1, 2, 3


def constant(rate_rps: float, duration_s: float) -> DueTimes:
    """Evenly spaced arrivals: due_i = i / rate for i = 0, 1, 2, ... while due_i < duration.

    Args:
        rate_rps: Arrivals per second, above 0.
        duration_s: Length of the sending window in seconds, above 0 and at most a day.

    Returns:
        Due times in nanoseconds from the start, shape (n,), each rounded to the nearest nanosecond on its own, so that
        no error adds up.

    Raises:
        ValueError: A rate or duration out of range, or more than `ARRIVALS_MAX` arrivals.
    """
    count = math.ceil(_expected(rate_rps, duration_s))
    due_ns = np.rint(np.arange(count, dtype=np.float64) * 1e9 / rate_rps).astype(np.int64)
    return due_ns[: np.searchsorted(due_ns, round(duration_s * 1e9))]


def poisson(rate_rps: float, duration_s: float, seed: int) -> DueTimes:
    """Poisson arrivals: due_i = g_1 + ... + g_i while due_i < duration, gaps independent, P(g > t) = exp(-rate t).

    The count is itself random, with mean and variance rate x duration.

    Args:
        rate_rps: Mean arrivals per second, above 0.
        duration_s: Length of the sending window in seconds, above 0 and at most a day.
        seed: A non-negative integer; the same seed gives the same due times.

    Returns:
        Due times in nanoseconds from the start, shape (n,), not decreasing.

    Raises:
        ValueError: A rate, duration or seed out of range, or more than `ARRIVALS_MAX` arrivals expected.
    """
    expected = _expected(rate_rps, duration_s)
    due_s = _sums_of_gaps(duration_s, 1 / rate_rps, expected, seed)
    due_s *= 1e9
    due_ns = np.rint(due_s, out=due_s).astype(np.int64)
    return due_ns[: np.searchsorted(due_ns, round(duration_s * 1e9))]


def unit_rate(until: float, seed: int) -> npt.NDArray[np.float64]:
    """Arrivals of a Poisson process of rate 1: e_1, e_1 + e_2, ..., P(e > x) = exp(-x).

    Args:
        until: How far they reach at least, in mean gaps: at most `ARRIVALS_MAX`.
        seed: A non-negative integer; the same seed gives the same numbers, but for rounding, however far they reach.

    Returns:
        Sums of gaps, in order, shape (n,); the last one is `until` or more.
    """
    return _sums_of_gaps(until, 1.0, until, seed)


def _sums_of_gaps(until: float, mean: float, expected: float, seed: int) -> npt.NDArray[np.float64]:
    """Sums of independent exponential gaps, up to one that is `until` or more."""
    random = np.random.default_rng([seed, _GAPS])
    blocks: list[npt.NDArray[np.float64]] = []
    reached = 0.0
    while reached < until:
        missing = expected * (1 - reached / until)
        gaps = random.exponential(mean, size=math.ceil(missing + 5 * math.sqrt(missing) + 8))
        np.cumsum(gaps, out=gaps)
        gaps += reached
        reached = float(gaps[-1])
        blocks.append(gaps)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def routes(weights: Sequence[float], count: int, seed: int, start: int = 0) -> Routes:
    """Which route each arrival takes: P(route = k) = weight_k / sum of weights, independently.

    Args:
        weights: One weight per route, not negative, not all zero; at most `ROUTES_MAX` of them.
        count: How many routes to draw, from 0 to `ARRIVALS_MAX`.
        seed: A non-negative integer; the same seed gives the same routes.
        start: How many arrivals stand before the first one drawn here: blocks put together are the whole.

    Returns:
        Indices into `weights`, shape (count,).

    Raises:
        ValueError: Weights, count or seed out of range.
    """
    shares = np.asarray(weights, dtype=np.float64)
    if not 1 <= len(shares) <= ROUTES_MAX:
        raise ValueError(f"{len(shares)} routes: from 1 to {ROUTES_MAX} can be chosen among")
    if not np.isfinite(shares).all() or (shares < 0).any() or not 0 < shares.sum() < math.inf:
        raise ValueError("weights are finite numbers, not negative, and not all zero")
    if not 0 <= count <= ARRIVALS_MAX:
        raise ValueError(f"{count} arrivals: from 0 to {ARRIVALS_MAX} can be given routes")
    upper = np.cumsum(shares) / shares.sum()
    upper[np.flatnonzero(shares)[-1] :] = 1.0  # rounding must not leave a gap below 1
    return np.searchsorted(upper, uniform(count, [seed, _ROUTES], start), side="right").astype(np.uint16)


def variants(sizes: Sequence[int], chosen: Routes, seed: int, start: int = 0) -> Variants:
    """Which variant of its route each arrival takes: P(variant = j | route = k) = 1 / sizes_k, independently.

    Args:
        sizes: How many variants each route has, at least 1.
        chosen: The routes of the arrivals, as `routes` gave them.
        seed: A non-negative integer; the same seed gives the same variants.
        start: How many arrivals stand before the first of `chosen`.

    Returns:
        Indices below the size of each arrival's route, shape of `chosen`.

    Raises:
        ValueError: A size below 1.
    """
    available = np.asarray(sizes, dtype=np.int64)
    if (available < 1).any():
        raise ValueError("a route has at least one variant")
    among = available[chosen]
    drawn = (uniform(len(chosen), [seed, _VARIANTS], start) * among).astype(np.int64)
    return np.minimum(drawn, among - 1).astype(np.uint32)  # rounding must not reach the size itself


def uniform(count: int, stream: list[int], start: int) -> npt.NDArray[np.float64]:
    """Independent uniform numbers in [0, 1): the stream of a seed and what it is for, from its number `start` on."""
    generator = np.random.PCG64(stream)
    generator.advance(start)
    return np.random.Generator(generator).random(count)


def _expected(rate_rps: float, duration_s: float) -> float:
    if not (math.isfinite(rate_rps) and rate_rps > 0):
        raise ValueError(f"a rate is a finite number of requests per second above 0, not {rate_rps}")
    if not 0 < duration_s <= DURATION_MAX_S:
        raise ValueError(f"a load lasts more than 0 and at most {DURATION_MAX_S:.0f} seconds, not {duration_s}")
    expected = rate_rps * duration_s
    if expected > ARRIVALS_MAX:
        raise ValueError(f"{rate_rps} rps for {duration_s} s are more than {ARRIVALS_MAX} requests")
    return expected
