"""A profile of users and a seed into who is there when, how long each thinks, and how long sessions are."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from prony.traffic import profiles
from prony.traffic.arrivals import DURATION_MAX_S, uniform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prony.traffic.profiles import Stretch

Instants = npt.NDArray[np.int64]

SPREAD_NS: Final = 100_000_000  # users who come at one instant start one after the other within this time
STAYS_MAX: Final = 2_000_000
SESSION_MAX: Final = 1000  # requests of one session, as few sessions as have so many
FOR_EVER: Final = 2**62

_LENGTHS, _THOUGHTS = 4, 5  # streams of random numbers beside those of `prony.traffic.arrivals`


def stays(profile: Sequence[Stretch]) -> tuple[Instants, Instants, Instants]:
    """When users come and go, so that floor(N(t)) are there: user k while N(t) >= k + 1, for k = 0, 1, 2, ...

    The last to come is the first to go. Who would come at one instant (at a jump of N, as at the beginning) come one
    after the other, evenly over `SPREAD_NS`, or over the stretch that begins there where that is shorter.

    Args:
        profile: Numbers of users N(t); see `prony.traffic.profiles`.

    Returns:
        Of each stay, in the order of coming: when it begins and when it ends, in nanoseconds from the start, and the
        user's number; each of shape (n,). Whoever is there in the end stays until `FOR_EVER`.

    Raises:
        ValueError: No profile, or more than `STAYS_MAX` stays.
    """
    profiles.check(profile)
    steps = sum(abs(s.end - s.start) for s in profile) + profile[0].start
    steps += sum(abs(b.start - a.end) for a, b in itertools.pairwise(profile))
    if steps > STAYS_MAX:
        raise ValueError(f"users come and go {steps:.0f} times; at most {STAYS_MAX} times are allowed")
    begun: list[int] = []  # of the users who are there, by number
    found: list[tuple[int, int, int]] = []
    at_s = 0.0
    for length_s, start, end in profile:
        spread_ns = min(SPREAD_NS, round(length_s * 1e9))
        _settle(begun, found, _whole(start), round(at_s * 1e9), spread_ns)
        slope = (end - start) / length_s
        while len(begun) < _whole(end):
            begun.append(round((at_s + (len(begun) + 1 - start) / slope) * 1e9))
        while len(begun) > _whole(end):
            user = len(begun) - 1
            found.append((begun.pop(), round((at_s + max(user + 1 - start, slope * length_s) / slope) * 1e9), user))
        at_s += length_s
    found += [(since_ns, FOR_EVER, user) for user, since_ns in enumerate(begun)]
    rows = np.array(sorted(stay for stay in found if stay[0] < stay[1]), dtype=np.int64).reshape(-1, 3)
    return rows[:, 0], rows[:, 1], rows[:, 2]


def _settle(begun: list[int], found: list[tuple[int, int, int]], wanted: int, now_ns: int, spread_ns: int) -> None:
    """At a jump: those who are too many go, those who are wanting come."""
    while len(begun) > wanted:
        found.append((begun.pop(), now_ns, len(begun)))
    here = len(begun)
    begun += [now_ns + (user - here) * spread_ns // (wanted - here) for user in range(here, wanted)]


def _whole(users: float) -> int:
    """Whole users of a number that rounding may have put just below one."""
    return math.floor(users + 1e-9)


def thoughts(median_s: float, sigma: float, *, user: int, seed: int, count: int, start: int = 0) -> Instants:
    """How long a user thinks, time after time: median x exp(sigma z), z standard normal, independent (lognormal).

    Half of the pauses are shorter than the median; their mean is median x exp(sigma² / 2). With sigma 0 all are equal.

    Args:
        median_s: Seconds, not negative.
        sigma: Standard deviation of the pauses' logarithm, not negative.
        user: The user's number, not negative.
        seed: A non-negative integer; the same seed gives the same pauses to the same user.
        count: How many to draw.
        start: How many of the user's pauses stand before the first one drawn here.

    Returns:
        Pauses in nanoseconds, shape (count,), of a day at most.
    """
    if not sigma:
        return np.full(count, round(median_s * 1e9), dtype=np.int64)
    pairs = uniform(2 * count, [seed, _THOUGHTS, user], 2 * start).reshape(count, 2)
    normal = np.sqrt(-2 * np.log1p(-pairs[:, 0])) * np.cos(2 * np.pi * pairs[:, 1])  # Box and Muller 1958
    pauses_ns: Instants = np.rint(np.minimum(median_s * np.exp(sigma * normal), DURATION_MAX_S) * 1e9).astype(np.int64)
    return pauses_ns


def lengths(mean: float, count: int, seed: int) -> npt.NDArray[np.int64]:
    """How many requests each session has: P(length = k) = p^(k-1) (1 - p), p = 1 - 1 / mean, k = 1, 2, ... (geometric).

    That is: after each request the visitor stays with probability p, whatever has been (Schroeder et al. 2006).

    Args:
        mean: Requests of a session on average, from 1 to 100.
        count: How many sessions.
        seed: A non-negative integer; the same seed gives the same lengths.

    Returns:
        Lengths, shape (count,), of `SESSION_MAX` at most.

    Raises:
        ValueError: A mean out of range.
    """
    if not 1 <= mean <= 100:
        raise ValueError(f"a session has from 1 to 100 requests on average, not {mean}")
    if mean == 1:
        return np.ones(count, dtype=np.int64)
    drawn = uniform(count, [seed, _LENGTHS], 0)
    found = np.ceil(np.log1p(-drawn) / math.log1p(-1 / mean))
    return np.clip(found, 1, SESSION_MAX).astype(np.int64)
