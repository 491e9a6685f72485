"""Daphne's knobs and slots: one process, one event loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prony.knobs import Knob
from prony.knobs.servers import backlog, knob

KNOBS: dict[str, tuple[Knob, ...]] = {
    "": (
        backlog(50, "--endpoint"),  # Twisted's own: part of the endpoint's description
        knob(
            "http_timeout",
            "--http-timeout",
            "integer",
            0,
            "Seconds a request may take before it is answered with 503 (0: no limit).",
            low=0,
            high=3600,
        ),
        knob(
            "application_close_timeout",
            "--application-close-timeout",
            "integer",
            10,
            "Seconds the app may go on with a request whose client has gone, before it is killed.",
            low=1,
            high=3600,
        ),
        knob(
            "ping_interval",
            "--ping-interval",
            "integer",
            20,
            "Seconds between looks at idle WebSockets. Plays no part in plain requests: a placebo.",
            low=1,
            high=3600,
            inert=21,
        ),
    )
}
INTERFACES: dict[str, tuple[str, ...]] = {"": ("asgi",)}


def slots(_: str, values: Mapping[str, Any]) -> int:  # noqa: ARG001 - the shape all programs share
    """0: nothing bounds the requests; a Django app's synchronous code has one thread for all of them."""
    return 0
