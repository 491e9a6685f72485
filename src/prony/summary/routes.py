"""A recording in, what each route of its traffic did out: how many requests, how long they took, how many failed."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from prony.recording import Recording
from prony.samples import OK, UNANSWERED
from prony.summary.spread import spread


class RouteFigures(Struct, frozen=True, kw_only=True):
    """One route's part of a trial, durations in seconds.

    Attributes:
        name: As the plan has it.
        requests: How many became due.
        errors: The share of them that failed.
        latency_s: From the instant a request was due to its last byte, over requests that were answered.
        service_time_s: From the instant it was sent.
        bytes: Median length of an answer, head included; None where none came.
    """

    name: str
    requests: int
    errors: float
    latency_s: dict[str, float | None]
    service_time_s: dict[str, float | None]
    bytes: float | None


def routes_of(recording: Recording) -> tuple[RouteFigures, ...]:
    """Every route, in their numbers' order: those of the plan, without a request too, and those of journeys' steps."""
    samples = recording.served
    answered = (samples["first_byte_ns"] > 0) & (samples["done_ns"] > 0) & (samples["outcome"] < UNANSWERED)
    found = []
    for number, name in enumerate(recording.routes):
        its = samples["route"] == number
        count = int(np.count_nonzero(its))
        got = samples[its & answered]
        right = int(np.count_nonzero(samples["outcome"][its] == OK))
        found.append(
            RouteFigures(
                name=name,
                requests=count,
                errors=(count - right) / count if count else 0.0,
                latency_s=spread((got["done_ns"] - got["due_ns"]) / 1e9),
                service_time_s=spread((got["done_ns"] - got["sent_ns"]) / 1e9),
                bytes=float(np.median(got["bytes"])) if len(got) else None,
            )
        )
    return tuple(found)
