"""The app servers' knobs and slots: what [server] takes for each kind and worker class."""

from __future__ import annotations

from prony.knobs import Knob


def _workers(default: int = 1) -> Knob:
    why = "Processes that serve requests. Too few leave CPU idle while requests queue; each costs memory."
    return Knob("server.workers", "workers", "integer", default, why, 1, 64, flag="--workers")


_GUNICORN = (
    _workers(),
    Knob(
        "server.backlog",
        "listen_queue",
        "integer",
        2048,
        "Connections the kernel may hold for a server too busy to accept them.",
        64,
        65535,
        flag="--backlog",
    ),
    Knob(
        "server.timeout",
        "workers",
        "integer",
        30,
        "Seconds a worker may be silent before it is killed. Under sync workers that is the longest request.",
        1,
        3600,
        flag="--timeout",
    ),
    Knob(
        "server.graceful_timeout",
        "workers",
        "integer",
        30,
        "Seconds that workers get to finish when told to stop. Plays no part while they serve: a placebo.",
        1,
        3600,
        flag="--graceful-timeout",
        inert=31,
    ),
    Knob(
        "server.max_requests",
        "workers",
        "integer",
        0,
        "Restart a worker after so many requests (0: never). Small values under high rates recycle workers all along.",
        0,
        10_000_000,
        flag="--max-requests",
    ),
    Knob(
        "server.max_requests_jitter",
        "workers",
        "integer",
        0,
        "Spread of max_requests, so that workers do not restart together.",
        0,
        10_000_000,
        flag="--max-requests-jitter",
    ),
    Knob(
        "server.preload",
        "workers",
        "flag",
        False,
        "Load the app before forking: less memory, faster restarts, but sockets opened at import are shared.",
        flag="--preload",
    ),
)
_KEEPALIVE = Knob(
    "server.keepalive",
    "workers",
    "integer",
    2,
    "Seconds to wait for the next request on an open connection. Sync workers never keep connections.",
    0,
    3600,
    flag="--keep-alive",
)
_THREADS = Knob(
    "server.threads",
    "workers",
    "integer",
    1,
    "Threads a worker serves requests with. They wait for the database side by side, but share one GIL; "
    "workers times threads is the most database connections they can ask for.",
    1,
    512,
    flag="--threads",
)
_CONNECTIONS = Knob(
    "server.worker_connections",
    "workers",
    "integer",
    1000,
    "Clients one worker serves at once, each in its greenlet: each of these may want a database connection.",
    1,
    100_000,
    flag="--worker-connections",
)
_WAITRESS = (
    Knob(
        "server.threads",
        "workers",
        "integer",
        4,
        "Threads that run the app. Requests beyond them wait, buffered, in waitress's own queue.",
        1,
        512,
        flag="--threads",
    ),
    Knob(
        "server.connection_limit",
        "workers",
        "integer",
        100,
        "Client connections held open at once; more wait in the listen queue.",
        1,
        100_000,
        flag="--connection-limit",
    ),
    Knob(
        "server.backlog",
        "listen_queue",
        "integer",
        1024,
        "Connections the kernel may hold before waitress accepts them.",
        64,
        65535,
        flag="--backlog",
    ),
    Knob(
        "server.channel_timeout",
        "workers",
        "integer",
        120,
        "Seconds an idle client connection is kept.",
        1,
        3600,
        flag="--channel-timeout",
    ),
    Knob(
        "server.cleanup_interval",
        "workers",
        "integer",
        30,
        "Seconds between looks for idle connections. Plays no part while all are busy: a placebo.",
        1,
        3600,
        flag="--cleanup-interval",
        inert=31,
    ),
)

# (kind, worker class) -> its knobs; the worker class is "" where a kind has none.
KNOBS: dict[tuple[str, str], tuple[Knob, ...]] = {
    ("gunicorn", "sync"): _GUNICORN,
    ("gunicorn", "gthread"): (*_GUNICORN, _THREADS, _KEEPALIVE),
    ("gunicorn", "gevent"): (*_GUNICORN, _CONNECTIONS, _KEEPALIVE),
    ("waitress", ""): _WAITRESS,
}
KINDS = tuple(dict.fromkeys(kind for kind, _ in KNOBS))


def worker_classes(kind: str) -> tuple[str, ...]:
    """The worker classes a kind of server has; empty where it has none to choose."""
    return tuple(name for k, name in KNOBS if k == kind and name)


def slots_per_process(kind: str, worker_class: str, values: dict[str, int]) -> int:
    """How many requests one server process can be serving at once."""
    if kind == "waitress" or worker_class == "gthread":
        return values["threads"]
    if worker_class == "gevent":
        return values["worker_connections"]
    return 1


def processes(kind: str, values: dict[str, int]) -> int:
    """How many processes serve requests."""
    return 1 if kind == "waitress" else values["workers"]
