"""Granian's knobs and slots, for a WSGI and for an ASGI app: their threads are different things."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prony.knobs import Knob
from prony.knobs.servers import WHOLE_MAX, backlog, graceful_timeout, knob, workers

_COMMON = (
    workers(),
    backlog(1024, low=128),
    knob(
        "backpressure",
        "--backpressure",
        "integer",
        0,
        "Requests a worker takes on at once; more wait in the listen queue (0: backlog / workers).",
        low=0,
        high=65535,
    ),
    knob(
        "runtime_threads",
        "--runtime-threads",
        "integer",
        1,
        "Threads a worker reads and writes connections with, in Rust and outside the GIL.",
        low=1,
        high=64,
    ),
    knob(
        "runtime_mode",
        "--runtime-mode",
        "choice",
        "auto",
        "Whether a worker has one runtime (mt) or one for each of its runtime threads (st).",
        choices=("auto", "mt", "st"),
    ),
    knob(
        "http1_keep_alive",
        "--no-http1-keep-alive",
        "flag",
        True,
        "Keep connections open for further requests. Off, each request pays for a connection of its own.",
    ),
    knob(
        "respawn_failed_workers",
        "--respawn-failed-workers",
        "flag",
        False,
        "Replace a worker that died. Off, the whole server ends with it.",
    ),
    knob(
        "workers_max_rss",
        "--workers-max-rss",
        "integer",
        0,
        "Memory in MiB after which a worker is replaced (0: never), looked at every 30 s.",
        low=0,
        high=WHOLE_MAX,
    ),
    graceful_timeout(0, 30, "--workers-kill-timeout", high=1800),
)
_THREADS = (
    knob(
        "blocking_threads",
        "--blocking-threads",
        "integer",
        0,
        "Threads a worker runs the app in (0: half the backpressure, hundreds). They share one GIL; "
        "workers times these is the most database connections they can ask for.",
        low=0,
        high=32768,
    ),
    knob(
        "blocking_threads_idle_timeout",
        "--blocking-threads-idle-timeout",
        "integer",
        30,
        "Seconds an idle thread is kept. A new one opens its own database connection.",
        low=5,
        high=600,
    ),
)
_LOOP = (
    knob(
        "loop",
        "--loop",
        "choice",
        "auto",
        "The event loop; auto takes rloop or uvloop where one is installed.",
        choices=("auto", "asyncio", "uvloop"),
    ),
    knob(
        "task_impl",
        "--task-impl",
        "choice",
        "asyncio",
        "What runs the app's coroutines: asyncio's tasks, or granian's own, which some libraries do not know.",
        choices=("asyncio", "rust"),
    ),
)
KNOBS: dict[str, tuple[Knob, ...]] = {"wsgi": (*_COMMON, *_THREADS), "asgi": (*_COMMON, *_LOOP)}
INTERFACES: dict[str, tuple[str, ...]] = {"wsgi": ("wsgi",), "asgi": ("asgi",)}


def slots(worker_class: str, values: Mapping[str, Any]) -> int:
    """How many requests one worker can be serving at once."""
    limit = int(values["backpressure"]) or max(1, int(values["backlog"]) // int(values["workers"]))
    if worker_class == "asgi":
        return limit
    return min(limit, int(values["blocking_threads"]) or max(1, limit // 2))
