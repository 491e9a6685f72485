"""uWSGI's knobs and slots: processes times threads, or greenlets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prony.knobs import Knob
from prony.knobs.servers import WHOLE_MAX, backlog, graceful_timeout, knob, max_requests, workers

_DELTA = "Added to max_requests once for each worker's number, so that workers do not restart together."
_COMMON = (
    workers("--processes"),
    backlog(100, "--listen"),
    knob(
        "timeout",
        "--harakiri",
        "integer",
        0,
        "Seconds a request may take before its worker is killed, with every other request in it (0: no limit).",
        low=0,
        high=3600,
    ),
    graceful_timeout(60, 61, "--worker-reload-mercy"),
    max_requests(more=" A worker is kept for 10 s at least."),
    knob("max_requests_delta", "--max-requests-delta", "integer", 0, _DELTA, low=0, high=WHOLE_MAX),
    knob(
        "preload",
        "--lazy-apps",
        "flag",
        True,
        "Load the app before forking: less memory, but sockets opened at import are shared by workers. "
        "False is uWSGI's lazy-apps.",
    ),
    knob(
        "buffer_size",
        "--buffer-size",
        "integer",
        4096,
        "Bytes for a request's headers. Larger ones, such as from long cookies, are refused.",
        low=1024,
        high=65535,
    ),
    knob(
        "thunder_lock",
        "--thunder-lock",
        "flag",
        False,
        "One lock decides who accepts next: spreads requests evenly and wakes one worker instead of all.",
    ),
)
_THREADS = knob(
    "threads",
    "--threads",
    "integer",
    1,
    "Threads a worker serves requests with. They share one GIL; "
    "workers times threads is the most database connections they can ask for.",
    low=1,
    high=512,
)
_GEVENT = (
    knob(
        "worker_connections",
        "--gevent",
        "integer",
        100,
        "Requests one worker serves at once, each in its greenlet: each may want a database connection. "
        "uWSGI asks for a number; 100 is the one in its manual.",
        low=1,
        high=100_000,
    ),
    knob(
        "gevent_monkey_patch",
        "--gevent-monkey-patch",
        "flag",
        False,
        "Make waiting calls let other greenlets run. Off, a database query stops the whole worker.",
    ),
    knob(
        "gevent_early_monkey_patch",
        "--gevent-early-monkey-patch",
        "flag",
        False,
        "The same before the app is loaded, for drivers that choose how to wait when they are imported.",
    ),
)
KNOBS: dict[str, tuple[Knob, ...]] = {"threads": (*_COMMON, _THREADS), "gevent": (*_COMMON, *_GEVENT)}
INTERFACES: dict[str, tuple[str, ...]] = {"threads": ("wsgi",), "gevent": ("wsgi",)}


def slots(worker_class: str, values: Mapping[str, Any]) -> int:
    """How many requests one worker can be serving at once."""
    return int(values["threads" if worker_class == "threads" else "worker_connections"])
