"""A recording in, what became of its streamed answers out: how soon first events came, and the gaps between events."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from prony.recording import Recording
from prony.samples import EVENT_GAP, FIRST_EVENT
from prony.summary.spread import spread


class StreamFigures(Struct, frozen=True, kw_only=True):
    """One route's streamed answers, durations in seconds.

    Attributes:
        name: The route, as the plan has it.
        streams: How many had an event.
        events: How many events came, all together.
        first_event_s: From the instant a request was due to its first event.
        event_gap_s: From one event to the next.
    """

    name: str
    streams: int
    events: int
    first_event_s: dict[str, float | None]
    event_gap_s: dict[str, float | None]


def streams_of(recording: Recording) -> tuple[StreamFigures, ...]:
    """Every route whose answers are streamed, in their order."""
    events, names = recording.stream_events, recording.routes
    found = []
    for number in np.unique(events["route"]):
        its = events[events["route"] == number]
        first, gaps = (its[its["kind"] == kind] for kind in (FIRST_EVENT, EVENT_GAP))
        found.append(
            StreamFigures(
                name=names[number] if number < len(names) else f"route {number}",
                streams=len(first),
                events=len(its),
                first_event_s=spread((first["done_ns"] - first["due_ns"]) / 1e9),
                event_gap_s=spread((gaps["done_ns"] - gaps["due_ns"]) / 1e9),
            )
        )
    return tuple(found)
