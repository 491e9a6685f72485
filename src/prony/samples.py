"""Samples as fixed-size binary rows: what the load engine appends, the store keeps and numpy reads without parsing."""

from __future__ import annotations

import struct
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
)
OK, WRONG_STATUS, CHECK_FAILED, REFUSED, RESET, TIMEOUT, PROTOCOL_ERROR = range(7)
PORTS_EXHAUSTED, DESCRIPTORS_EXHAUSTED, NOT_SENT, UNANSWERED, JOURNEY_ERROR = range(7, 12)

# One request, 44 bytes: instants are CLOCK_MONOTONIC nanoseconds, 0 where it did not happen.
ROW: Final = struct.Struct("<qqqqIHHB3x")
SAMPLE: Final = np.dtype(
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


def from_bytes(raw: bytes) -> Samples:
    """Rows of `ROW` as a structured array of dtype `SAMPLE`; a torn last row is left out."""
    whole = len(raw) // SAMPLE.itemsize * SAMPLE.itemsize
    return np.frombuffer(raw[:whole], dtype=SAMPLE)
