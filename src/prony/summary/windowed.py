"""A recording and a stretch of time in, what its readings were meanwhile out: means, growth, rates."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct

from prony.recording import Recording


class Window(Struct, frozen=True):
    """The sending window in nanoseconds."""

    start_ns: int
    end_ns: int

    @property
    def duration_s(self) -> float:
        """Its length."""
        return (self.end_ns - self.start_ns) / 1e9


class Windowed:
    """A recording's readings within a window; None where there was no such reading."""

    def __init__(self, recording: Recording, window: Window) -> None:
        self._recording = recording
        self._window = window

    def _series(self, tier: str, name: str) -> Any:
        series = self._recording.readings.get((tier, name))
        if series is None:
            return None
        instants, values = series
        inside = (instants >= self._window.start_ns) & (instants <= self._window.end_ns)
        return (instants[inside], values[inside]) if inside.any() else (instants[-1:], values[-1:])

    def _edges(self, tier: str, name: str) -> tuple[float, float, float] | None:
        """A counter at both ends of the window, in between readings by a straight line, and the seconds between."""
        series = self._recording.readings.get((tier, name))
        if series is None:
            return None
        instants, values = series
        start, end = np.clip((self._window.start_ns, self._window.end_ns), instants[0], instants[-1])
        first, last = np.interp((start, end), instants, values)
        return float(first), float(last), float(end - start) / 1e9

    def mean(self, tier: str, name: str) -> float | None:
        """The mean of a level."""
        series = self._series(tier, name)
        return None if series is None else float(series[1].mean())

    def median(self, tier: str, name: str) -> float | None:
        """The median of a level."""
        series = self._series(tier, name)
        return None if series is None else float(np.median(series[1]))

    def most(self, tier: str, name: str) -> float | None:
        """The highest level."""
        series = self._series(tier, name)
        return None if series is None else float(series[1].max())

    def last(self, tier: str, name: str) -> float | None:
        """The last level."""
        series = self._series(tier, name)
        return None if series is None else float(series[1][-1])

    def growth(self, tier: str, name: str) -> float | None:
        """How far a counter rose."""
        edges = self._edges(tier, name)
        return None if edges is None else edges[1] - edges[0]

    def rate(self, tier: str, name: str, per: float | None = 1.0) -> float | None:
        """How fast a counter rose: per second, divided by `per`."""
        edges = self._edges(tier, name)
        if edges is None or edges[2] <= 0 or not per:
            return None
        return (edges[1] - edges[0]) / edges[2] / per
