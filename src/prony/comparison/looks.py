"""The most starts there may be in, after how many they are looked at, and what chance of error a look may spend out.

Who looks at figures several times, and stops when they differ, finds differences where there are none. So the chance
of that, 5 % over all figures, is spent bit by bit (Lan and DeMets, Biometrika 1983), in the manner of O'Brien and
Fleming: little early, when only a large difference is clear, and almost all of it at the last look. What a look spends
is the level of its intervals; the chances of all looks add up to the whole, whatever ends the comparison.
"""

from __future__ import annotations

import math

from msgspec import structs
from scipy.stats import norm

from prony.comparison.ratio import ALPHA, STARTS_LEAST, Gain, called

STEP = 2  # starts between two looks, at first
GROWTH = 1.25  # later looks lie further apart


def looks(most: int) -> tuple[int, ...]:
    """After how many starts of each the figures are looked at, when there will be `most` at most."""
    found = []
    at = STARTS_LEAST
    while (following := max(at + STEP, math.ceil(at * GROWTH))) <= most:
        found.append(at)
        at = following
    return (*found, most)


def spent(share: float, alpha: float = ALPHA) -> float:
    """The chance of error that may be spent by the time a share of all starts has been (0 < share <= 1)."""
    return float(2 * norm.sf(norm.isf(alpha / 2) / math.sqrt(share)))


def narrowed(before: Gain | None, now: Gain) -> Gain:
    """A figure at this look, with what earlier looks ruled out still ruled out.

    All looks' intervals hold together, so the truth lies in what they have in common. Where that is nothing (the
    machine changed under way, or the one in twenty), the latest stands alone; also where an earlier one told a
    difference that the latest, of more starts, does not: what fades as starts are added is not called.
    """
    if before is None or before.low is None or before.high is None or now.low is None or now.high is None:
        return now
    low, high = max(before.low, now.low), min(before.high, now.high)
    if low > high or (before.verdict != now.verdict == "tie"):
        return now
    seen = [each for each in (before.least_seen, now.least_seen) if each is not None]
    verdict = called(low, high, up=now.higher_is_better)
    return structs.replace(now, low=low, high=high, least_seen=min(seen, default=None), verdict=verdict)
