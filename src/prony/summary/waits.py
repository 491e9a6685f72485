"""Turns readings of Postgres's connections by what they wait for into the mean and the most of each wait event."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from prony.recording import Recording
from prony.recording.model import Series
from prony.recording.named import wait_of
from prony.summary.windowed import Window

TIER = "database"
LOOKED = "active"  # a reading of every look; a wait event is read only where a connection waits for it


class Waited(Struct, frozen=True, kw_only=True):
    """One wait event of Postgres's over the sending window, as pg_stat_activity names it.

    Attributes:
        state: What the connections were doing: active, idle, idle in transaction.
        event: Its type and its name, "Lock: transactionid"; "others" of those beyond the most frequent of a look.
        mean: How many connections waited for it on average.
        most: How many did at once.
    """

    state: str
    event: str
    mean: float
    most: float


def waits_of(recording: Recording, window: Window) -> tuple[Waited, ...]:
    """Those with most waiters first; none where none was read by name."""
    active = recording.readings.get((TIER, LOOKED))
    looks = 0 if active is None else len(_within(window, active))
    found = []
    for (tier, name), series in recording.readings.items():
        told = wait_of(name) if tier == TIER else None
        if told is None or not looks:
            continue
        seen = _within(window, series)
        if len(seen):
            state, event = told
            found.append(Waited(state=state, event=event, mean=float(seen.sum()) / looks, most=float(seen.max())))
    return tuple(sorted(found, key=lambda each: -each.mean))


def _within(window: Window, series: Series) -> npt.NDArray[np.float64]:
    instants, values = series
    found: npt.NDArray[np.float64] = values[(instants >= window.start_ns) & (instants <= window.end_ns)]
    return found
