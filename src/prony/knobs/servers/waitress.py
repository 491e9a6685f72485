"""Waitress's knobs and slots: one process, a pool of threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prony.knobs import Knob
from prony.knobs.servers import backlog, knob

KNOBS: dict[str, tuple[Knob, ...]] = {
    "": (
        knob(
            "threads",
            "--threads",
            "integer",
            4,
            "Threads that run the app. Requests beyond them wait, buffered, in waitress's own queue.",
            low=1,
            high=512,
        ),
        knob(
            "connection_limit",
            "--connection-limit",
            "integer",
            100,
            "Client connections held open at once; more wait in the listen queue.",
            low=1,
            high=100_000,
        ),
        backlog(1024),
        knob(
            "channel_timeout",
            "--channel-timeout",
            "integer",
            120,
            "Seconds an idle client connection is kept.",
            low=1,
            high=3600,
        ),
        knob(
            "asyncore_use_poll",
            "--asyncore-use-poll",
            "flag",
            False,
            "Watch connections with poll() instead of select(), which fails at descriptor 1024.",
        ),
        knob(
            "cleanup_interval",
            "--cleanup-interval",
            "integer",
            30,
            "Seconds between looks for idle connections. Plays no part while all are busy: a placebo.",
            low=1,
            high=3600,
            inert=31,
        ),
    )
}
INTERFACES: dict[str, tuple[str, ...]] = {"": ("wsgi",)}


def slots(_: str, values: Mapping[str, Any]) -> int:
    """How many requests it can be serving at once."""
    return int(values["threads"])
