"""What the store gives back, as plain data: campaigns, and each trial's recording."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from prony.plan import Plan
from prony.samples import FIRST_EVENT, Samples, from_bytes

ROUTE = "route"  # the kind of event that names a route which a journey's step has added: its number and its name

Series = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]


class Reading(NamedTuple):
    """One number of one tier at one instant (CLOCK_MONOTONIC nanoseconds)."""

    t_ns: int
    tier: str
    name: str
    value: float


class Event(NamedTuple):
    """Something that happened, `times` times: process up, ready, died, restarted, a log line that matters."""

    t_ns: int
    kind: str
    tier: str
    text: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One trial as a list shows it."""

    id: str
    label: str
    role: str
    start: int
    status: str
    samples: int


@dataclass(frozen=True, slots=True)
class Campaign:
    """A sequence of trials with one purpose; `conclusion` is its JSON document, None where it came to none."""

    id: int
    verb: str
    title: str
    started_at: str
    ended_at: str | None
    status: str
    prony: str
    machine: dict[str, Any]
    conclusion: dict[str, Any] | None
    trials: tuple[TrialRow, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """All samples, readings, events and the plan of one trial.

    Attributes:
        samples: Structured array of dtype SAMPLE, of requests alone, in the order in which they ended.
        stream_events: The same of streamed answers' events: the time to a first one, the gap before each further one.
        readings: (tier, name) -> (instants in ns, values), in order of time.
        load: The load engine's own account of the trial; None where the trial was cut off.
    """

    id: str
    label: str
    role: str
    start: int
    plan: Plan
    began_ns: int
    status: str
    samples: Samples
    readings: dict[tuple[str, str], Series]
    events: tuple[Event, ...]
    load: dict[str, Any] | None
    stream_events: Samples = field(default_factory=lambda: from_bytes(b""))

    @property
    def routes(self) -> tuple[str, ...]:
        """The names of its routes by their number: the plan's requests, then what journeys' steps have added."""
        names = {number: request.name or request.path for number, request in enumerate(self.plan.traffic.requests)}
        for event in self.events:
            number, _, name = event.text.partition(" ")
            if event.kind == ROUTE and number.isdecimal():
                names[int(number)] = name
        return tuple(names.get(number, f"route {number}") for number in range(max(names, default=-1) + 1))

    @property
    def served(self) -> Samples:
        """The samples, those of streamed answers done when their first event came: what somebody waits for."""
        first = self.stream_events[self.stream_events["kind"] == FIRST_EVENT]
        if len(first) == 0:
            return self.samples
        found = self.samples.copy()
        of_event, of_request = (each["arrival"].astype(np.int64) << 16 | each["route"] for each in (first, found))
        order = np.argsort(of_event)
        at = np.minimum(np.searchsorted(of_event[order], of_request), len(first) - 1)
        streamed = of_event[order][at] == of_request
        found["done_ns"][streamed] = first["done_ns"][order][at][streamed]
        return found

    def values(self, tier: str, name: str) -> npt.NDArray[np.float64]:
        """One reading's values in order of time; empty where it was never read."""
        series = self.readings.get((tier, name))
        return np.empty(0) if series is None else series[1]

    def growth(self, tier: str, name: str) -> float:
        """How far a counter rose from its first reading to its last; 0 where it was never read."""
        values = self.values(tier, name)
        return float(values[-1] - values[0]) if len(values) else 0.0

    def count(self, kind: str, text: str = "") -> int:
        """How often an event of a kind happened whose text contains `text`."""
        return sum(event.times for event in self.events if event.kind == kind and text in event.text)
