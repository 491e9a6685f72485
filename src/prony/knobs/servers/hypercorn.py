"""Hypercorn's knobs and slots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prony.knobs import Knob
from prony.knobs.servers import backlog, graceful_timeout, keepalive, knob, max_requests, max_requests_jitter, workers

KNOBS: dict[str, tuple[Knob, ...]] = {
    "": (
        workers(more=" The whole server ends with the first of them that dies."),
        backlog(100),
        keepalive(5),
        knob(
            "read_timeout",
            "--read-timeout",
            "integer",
            0,
            "Seconds to wait for bytes of a connection before it is closed (0: no limit).",
            low=0,
            high=3600,
        ),
        max_requests(),
        max_requests_jitter(),
        graceful_timeout(3, 4),
        knob(
            "loop",
            "--worker-class",
            "choice",
            "asyncio",
            "The event loop; uvloop must be installed.",
            choices=("asyncio", "uvloop"),
        ),
    )
}
INTERFACES: dict[str, tuple[str, ...]] = {"": ("asgi", "wsgi")}


def slots(_: str, values: Mapping[str, Any]) -> int:  # noqa: ARG001 - the shape all programs share
    """0: nothing bounds ASGI requests; WSGI ones run in asyncio's threads, as many as the machine's cores decide."""
    return 0
