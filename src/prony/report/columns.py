"""A recording in, its rows as named columns out, block by block: what the exports to CSV and Parquet hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from prony.recording import OUTCOMES, Recording, Samples
from prony.samples import REQUEST, UNANSWERED
from prony.summary import Part, sending_window, within

BLOCK: Final = 50_000
KINDS: Final = ("request", "first_event", "event_gap")
INSTANTS: Final = ("due", "sent", "first_byte", "done")


class Column(NamedTuple):
    """What a column holds: texts (few, many times each), integers, or seconds (None where there are none to tell)."""

    type: Literal["text", "integer", "seconds"]
    what: str


COLUMNS: Final = {
    "trial": Column("text", "The trial it belongs to, such as 3.2."),
    "route": Column("text", "Its route, as every report names it."),
    "outcome": Column("text", "How it ended: one of the outcomes."),
    "kind": Column("text", "`request`; or, of a streamed answer, `first_event` or `event_gap`, rows of their own."),
    "status": Column("integer", "The status of the answer, 0 where none came."),
    "bytes": Column("integer", "Length of the answer, head included."),
    "arrival": Column("integer", "Rows of one arrival belong together: a client's tries again, a journey's steps."),
    "attempt": Column("integer", "0, or n for the n-th time that a client tried again."),
    "due_ns": Column("integer", "When it was due, by the monotonic clock; of an event gap, the event before."),
    "sent_ns": Column("integer", "When it was sent; as all instants in nanoseconds, 0 where that did not happen."),
    "first_byte_ns": Column("integer", "When the first byte of an answer came."),
    "done_ns": Column("integer", "When the last one came, or the request was known to have failed."),
    **{
        f"{name}_s": Column("seconds", f"`{name}_ns` from the start of the sending window; empty where there is none.")
        for name in INSTANTS
    },
    "latency_s": Column(
        "seconds",
        "What the report's latencies are taken over: from due to done, of a streamed answer to its first event. "
        "Empty where no answer came.",
    ),
    "service_time_s": Column("seconds", "The same from sent."),
}


def blocks(recordings: Iterable[Recording], part: Part) -> Iterator[dict[str, list[Any]]]:
    """Column -> values, for at most `BLOCK` rows at a time: requests in the order in which they ended, then events."""
    for recording in recordings:
        requests, served, events = recording.samples, recording.served, recording.stream_events
        inside = within(recording, requests, part)
        of_part = events[within(recording, events, part)]
        rows = np.concatenate([requests[inside], of_part])
        done_ns = np.concatenate([served["done_ns"][inside], of_part["done_ns"]])
        start_ns = sending_window(recording).start_ns
        for at in range(0, len(rows), BLOCK):
            some = slice(at, at + BLOCK)
            yield _block(recording, rows[some], done_ns[some], start_ns)


def _block(recording: Recording, rows: Samples, served_ns: Samples, start_ns: int) -> dict[str, list[Any]]:
    routes, names = recording.routes, ("status", "bytes", "arrival", "attempt")
    counted = (rows["first_byte_ns"] > 0) & (served_ns > 0) & (rows["outcome"] < UNANSWERED)
    counted &= rows["kind"] == REQUEST
    return {
        "trial": [recording.id] * len(rows),
        "route": [routes[n] if n < len(routes) else f"route {n}" for n in rows["route"].tolist()],
        "outcome": [OUTCOMES[n] for n in rows["outcome"].tolist()],
        "kind": [KINDS[n] for n in rows["kind"].tolist()],
        **{name: rows[name].tolist() for name in names},
        **{f"{name}_ns": rows[f"{name}_ns"].tolist() for name in INSTANTS},
        **{f"{name}_s": _where(rows[f"{name}_ns"] > 0, (rows[f"{name}_ns"] - start_ns) / 1e9) for name in INSTANTS},
        "latency_s": _where(counted, (served_ns - rows["due_ns"]) / 1e9),
        "service_time_s": _where(counted, (served_ns - rows["sent_ns"]) / 1e9),
    }


def _where(known: Samples, values: Samples) -> list[float | None]:
    return [value if there else None for there, value in zip(known.tolist(), values.tolist(), strict=True)]
