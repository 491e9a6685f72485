"""Loads that held or failed, each on a start of its own, into where the capacity lies and how sure that is.

A start has a capacity of its own, about the true one; a trial at a load holds where that start's capacity lies above
it. So the share of starts that fail rises with the load as a normal distribution function, whose middle is sought and
whose spread is not known. Some trials are outliers: a neighbour wakes up, and they fail where they should have held,
now and then the other way round. The belief about middle and spread together is kept on a grid.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Grid = NDArray[np.float64]

SPREADS = np.geomspace(0.004, 0.3, 12)  # of the log load at which a start fails
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
        where = self._at[:, None] + self._shift * SPREADS[None, :]
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
        return float(np.exp(self._p.sum(axis=0) @ np.log(SPREADS)))

    def _centre(self, middle: float) -> None:
        self._at = middle + np.arange(-REACH, REACH + STEP / 2, STEP)
        self._log_p = np.zeros((len(self._at), len(SPREADS)))
        for trial in self._trials:
            self._log_p += self._likelihood(*trial)
        self._normalise()

    def _likelihood(self, load: float, held: bool, short: bool) -> Grid:  # noqa: FBT001
        if short:
            fails = ndtr((load - self._at[:, None]) / np.hypot(SPREADS, SHORT_SPREAD)[None, :])
            return np.asarray(np.log(SHORT_STRAY + (1 - 2 * SHORT_STRAY) * (1 - fails if held else fails)))
        fails = ndtr((load - self._at[:, None]) / SPREADS[None, :])
        p = STRAY_FAIL + (1 - STRAY_FAIL - STRAY_HOLD) * fails
        return np.asarray(np.log(1 - p if held else p))

    def _normalise(self) -> None:
        p = np.exp(self._log_p - self._log_p.max())
        self._p = p / p.sum()
