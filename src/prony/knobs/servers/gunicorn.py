"""Gunicorn's knobs and slots, a worker class at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prony.knobs import Knob
from prony.knobs.servers import backlog, graceful_timeout, keepalive, knob, max_requests, max_requests_jitter, workers


def _common(silent: str) -> tuple[Knob, ...]:
    timeout = f"Seconds a worker may be silent before it is killed (0: never). {silent}"
    preload = (
        "Load the app before forking: less memory, faster restarts, but sockets opened at import are shared by workers."
    )
    return (
        workers(),
        knob("timeout", "--timeout", "integer", 30, timeout, low=0, high=3600),
        graceful_timeout(30, 31),
        max_requests(),
        max_requests_jitter(),
        knob("preload", "--preload", "flag", False, preload),
    )


_SYNC = _common("Under sync workers that is the longest request.")
_THREADED = _common(
    "Its main thread speaks for it, once a second: a request that hangs in a thread is never killed, and a timeout "
    "of 1 kills workers of a busy machine."
)
_LOOPED = _common("Its event loop speaks for it: what blocks the loop for so long gets the worker killed.")
# Under asgi and aiohttp the option has no effect (27.0.1, 3.14.5): asyncio makes the queue anew, 100 and 128 long.
_BACKLOG = backlog(2048)
_THREADS = knob(
    "threads",
    "--threads",
    "integer",
    1,
    "Threads a worker serves requests with. They wait for the database side by side, but share one GIL; "
    "workers times threads is the most database connections they can ask for.",
    low=1,
    high=512,
)
_CONNECTIONS = knob(
    "worker_connections",
    "--worker-connections",
    "integer",
    1000,
    "Clients one worker serves at once, each in its greenlet: each of these may want a database connection.",
    low=1,
    high=100_000,
)
_ASGI = (
    knob(
        "asgi_loop",
        "--asgi-loop",
        "choice",
        "auto",
        "The event loop; auto takes uvloop where it is installed.",
        choices=("auto", "asyncio", "uvloop"),
    ),
    knob(
        "http_parser",
        "--http-parser",
        "choice",
        "auto",
        "What parses requests; auto takes the C parser gunicorn_h1c where it is installed, else the one in Python.",
        choices=("auto", "python"),
    ),
)

KNOBS: dict[str, tuple[Knob, ...]] = {
    "sync": (*_SYNC, _BACKLOG),
    "gthread": (*_THREADED, _BACKLOG, _THREADS, keepalive(2)),
    "gevent": (*_LOOPED, _BACKLOG, _CONNECTIONS, keepalive(2)),
    "asgi": (*_LOOPED, *_ASGI, keepalive(2)),
    "uvicorn": (*_LOOPED, _BACKLOG, keepalive(2)),
    "aiohttp": (*_LOOPED, keepalive(2)),
}
INTERFACES: dict[str, tuple[str, ...]] = {
    "sync": ("wsgi",),
    "gthread": ("wsgi",),
    "gevent": ("wsgi",),
    "asgi": ("asgi",),
    "uvicorn": ("asgi",),
    "aiohttp": ("aiohttp",),
}


def slots(worker_class: str, values: Mapping[str, Any]) -> int:
    """How many requests one worker can be serving at once; 0 where nothing bounds them."""
    if worker_class == "sync":
        return 1
    # The asgi class counts connections and never compares them with worker_connections (27.0.1).
    return int(values.get("threads", values.get("worker_connections", 0)))
