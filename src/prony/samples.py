"""Samples as fixed-size binary rows: what the load engine appends, the store keeps and numpy reads without parsing."""

from __future__ import annotations

import itertools
import struct
import zlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[Any]

# How a request ended: a closed set. The index is what a sample stores.
OUTCOMES: Final = (
    "ok",
    "wrong_status",  # an answer came, its status was not among the expected
    "check_failed",  # the status was right, the body did not contain what it should
    "refused",  # the server refused the connection
    "reset",  # the server closed or reset the connection before the answer was whole
    "timeout",  # no whole answer within the timeout
    "protocol_error",  # what came back was not HTTP
    "ports_exhausted",  # no local port left: the generator's limit, not the server's
    "descriptors_exhausted",  # no file descriptor left: the generator's limit, not the server's
    "not_sent",  # due, but no connection was to be had within the limit on connections
    "unanswered",  # still under way when the trial ended
    "journey_error",  # the journey's own code raised when it looked at this answer
    "connect_timeout",  # no connection within the connect timeout
    "first_byte_timeout",  # a connection, but no byte of an answer within the first-byte timeout
)
OK, WRONG_STATUS, CHECK_FAILED, REFUSED, RESET, TIMEOUT, PROTOCOL_ERROR = range(7)
PORTS_EXHAUSTED, DESCRIPTORS_EXHAUSTED, NOT_SENT, UNANSWERED, JOURNEY_ERROR = range(7, 12)
CONNECT_TIMEOUT, FIRST_BYTE_TIMEOUT = range(12, 14)

# What a row tells of: a request; or, of a streamed answer, the time to its first event (due: the request's, done: when
# it came) or the gap before a further one (due: the one before). Events are no requests of their own.
REQUEST, FIRST_EVENT, EVENT_GAP = range(3)

# One request, 48 bytes: instants are CLOCK_MONOTONIC nanoseconds, 0 where it did not happen. Rows of one `arrival` (an
# ordinal within the trial, modulo 2^32) belong together: a request's retries, the steps of a journey's run.
# The last eight bytes are one `word`: the turn (arrival and attempt), the outcome, the kind.
ROW: Final = struct.Struct("<qqqqIHHQ")
ATTEMPT_BITS, OUTCOME_BITS, KIND_BITS = 32, 40, 48
SAMPLE: Final = np.dtype(
    [
        ("due_ns", "<i8"),
        ("sent_ns", "<i8"),
        ("first_byte_ns", "<i8"),
        ("done_ns", "<i8"),
        ("bytes", "<u4"),
        ("route", "<u2"),
        ("status", "<u2"),
        ("arrival", "<u4"),
        ("attempt", "u1"),  # 0 the first, n the n-th time that a client tried again
        ("outcome", "u1"),
        ("kind", "u1"),
        ("_pad", "u1"),
    ]
)

_INSTANTS: Final = ("due_ns", "sent_ns", "first_byte_ns", "done_ns")  # in the order in which they come
_COLUMNS: Final = b"C"  # begins a chunk that is stored by columns; what zlib makes begins otherwise

# Rows as they were before they knew of arrivals, attempts and events: 44 bytes.
_OLDER: Final = np.dtype(
    [
        ("due_ns", "<i8"),
        ("sent_ns", "<i8"),
        ("first_byte_ns", "<i8"),
        ("done_ns", "<i8"),
        ("bytes", "<u4"),
        ("route", "<u2"),
        ("status", "<u2"),
        ("outcome", "u1"),
        ("_pad", "u1", (3,)),
    ]
)


def word(turn: int, outcome: int, kind: int = REQUEST) -> int:
    """The last column of a `ROW`: `turn` is an arrival's ordinal, below 2^32, with the attempt at `ATTEMPT_BITS`."""
    return turn | outcome << OUTCOME_BITS | kind << KIND_BITS


def from_bytes(raw: bytes) -> Samples:
    """Rows of `ROW` as a structured array of dtype `SAMPLE`; a torn last row is left out."""
    whole = len(raw) // SAMPLE.itemsize * SAMPLE.itemsize
    return np.frombuffer(raw[:whole], dtype=SAMPLE)


def packed(samples: Samples) -> bytes:
    """Samples as they are stored: a column after the other, instants as what lies between them, compressed."""
    columns = {name: samples[name] for name in SAMPLE.names or ()}
    columns["due_ns"] = np.diff(samples["due_ns"], prepend=0)
    for before, name in itertools.pairwise(_INSTANTS):
        columns[name] = samples[name] - samples[before]
    return _COLUMNS + zlib.compress(b"".join(each.tobytes() for each in columns.values()), 1)


def unpacked(data: bytes, count: int) -> Samples:
    """A stored chunk of `count` samples, also one from before they were stored by columns.

    Raises:
        zlib.error, ValueError: it is damaged.
    """
    if data[:1] != _COLUMNS:
        return _rows(zlib.decompress(data), count)
    raw = zlib.decompress(data[1:])
    found, at = np.zeros(count, dtype=SAMPLE), 0
    for name in SAMPLE.names or ():
        size = count * found.dtype[name].itemsize
        found[name] = np.frombuffer(raw[at : at + size], dtype=found.dtype[name])
        at += size
    found["due_ns"] = np.cumsum(found["due_ns"])
    for before, name in itertools.pairwise(_INSTANTS):
        found[name] += found[before]
    return found


def _rows(raw: bytes, count: int) -> Samples:
    """A chunk of whole rows, also one from before these had grown: what they did not tell is 0 there."""
    if len(raw) != count * _OLDER.itemsize:
        return from_bytes(raw)
    older = np.frombuffer(raw, dtype=_OLDER)
    found = np.zeros(count, dtype=SAMPLE)
    for name in ("due_ns", "sent_ns", "first_byte_ns", "done_ns", "bytes", "route", "status", "outcome"):
        found[name] = older[name]
    return found
