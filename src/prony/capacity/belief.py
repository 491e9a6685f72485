"""Loads that held or failed, each on a start of its own, into where the capacity lies and how sure that is.

A start has a capacity of its own, about the true one; a trial at a load holds where that start's capacity lies above
it. So the share of starts that fail rises with the load from none to all, as a normal distribution function of two
halves: its middle is sought, its spread is not known, and it may be wider below the middle than above, for queues
grow long by chance where there is room yet, and surely where there is none. Some trials are outliers: a neighbour
wakes up, and they fail where they should have held, now and then the other way round. Trials that follow each other
resemble each other, so each weighs less than one by itself. The belief about middle, spread and its two halves is
kept on a grid.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Grid = NDArray[np.float64]

MEANS = np.geomspace(0.004, 0.3, 12)  # of the spread below and above, of the log load at which a start fails
SKEWS = (1.0, 2.0, 4.0)  # the spread below ÷ the spread above
BELOW, ABOVE = (np.concatenate([MEANS * skew**sign for skew in SKEWS]) for sign in (0.5, -0.5))
# What a trial weighs. Those of noisy machines, one after the other, are correlated by 0.14 (the canary of
# bench/noise.json) to 0.25 (what starts of an app served): n such are worth n (1 - r) / (1 + r) that are not.
WEIGHT = 0.75
STRAY_FAIL = 0.05  # trials that fail whatever the load
STRAY_HOLD = 0.01  # trials that hold whatever the load
SHORT_SPREAD = 0.1  # of a short trial: it steers, and weighs little
SHORT_STRAY = 0.1  # short trials that say the opposite
STEP = 0.004  # of the grid, in log load
REACH = 0.5  # of the grid to either side, in log load; a grid that the belief fills moves
EDGE = 0.15  # share of the grid: a belief nearer to its end moves the grid


class Belief:
    """What trials at full length say about one capacity.

    Args:
        middle: A first guess at the capacity; the grid moves where it proves far off.
        exceed_ratio: The share of starts that may fail at the capacity (0 to 1): one half means the median start.
    """

    def __init__(self, middle: float, exceed_ratio: float = 0.5) -> None:
        self._trials: list[tuple[float, bool, bool]] = []
        self._shift = float(ndtri(exceed_ratio))
        self._centre(float(np.log(middle)))

    def tell(self, load: float, *, held: bool, short: bool = False) -> None:
        """One more trial."""
        self._trials.append((float(np.log(load)), held, short))
        self._log_p += self._likelihood(*self._trials[-1])
        self._normalise()
        span = self._at[-1] - self._at[0]
        median = float(np.log(self.quantiles(0.5)[0]))
        if min(median - self._at[0], self._at[-1] - median) < EDGE * span:
            self._centre(median)

    def quantiles(self, *shares: float) -> tuple[float, ...]:
        """Loads below which the capacity lies with these probabilities."""
        where = self._at[:, None] + self._shift * (BELOW if self._shift < 0 else ABOVE)[None, :]
        order = np.argsort(where, axis=None) if self._shift else None
        if order is None:
            places, weights = self._at, self._p.sum(axis=1)
        else:
            places, weights = where.ravel()[order], self._p.ravel()[order]
        below = np.cumsum(weights) - weights / 2
        return tuple(float(np.exp(np.interp(share, below, places))) for share in shares)

    @property
    def spread(self) -> float:
        """The expected spread of the load at which a start fails, as a share."""
        return float(np.exp(self._p.sum(axis=0) @ np.log(np.tile(MEANS, len(SKEWS)))))

    def _centre(self, middle: float) -> None:
        self._at = middle + np.arange(-REACH, REACH + STEP / 2, STEP)
        self._log_p = np.zeros((len(self._at), len(BELOW)))
        for trial in self._trials:
            self._log_p += self._likelihood(*trial)
        self._normalise()

    def _likelihood(self, load: float, held: bool, short: bool) -> Grid:  # noqa: FBT001
        below, above = (np.hypot(each, SHORT_SPREAD) if short else each for each in (BELOW, ABOVE))
        off = load - self._at[:, None]
        fails = ndtr(off / np.where(off < 0, below[None, :], above[None, :]))
        stray_fail, stray_hold = (SHORT_STRAY, SHORT_STRAY) if short else (STRAY_FAIL, STRAY_HOLD)
        p = stray_fail + (1 - stray_fail - stray_hold) * fails
        return np.asarray(WEIGHT * np.log(1 - p if held else p))

    def _normalise(self) -> None:
        p = np.exp(self._log_p - self._log_p.max())
        self._p = p / p.sum()
