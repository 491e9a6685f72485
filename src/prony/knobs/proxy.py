"""The proxy's knobs and presets: what [proxy] takes for nginx, with nginx's own defaults."""

from __future__ import annotations

from typing import Any

from prony.knobs import Knob
from prony.knobs.values import Kind


def _knob(
    key: str,
    kind: Kind,
    default: Any,
    why: str,
    of: tuple[float | None, float | None] = (None, None),
    *,
    inert: Any = None,
) -> Knob:
    return Knob(f"proxy.{key}", "proxy", kind, default, why, *of, inert=inert)


_PROCESS = (
    _knob(
        "worker_processes",
        "integer",
        1,
        "nginx's processes. One serves thousands of requests a second; more help only where it uses up its core.",
        (1, 64),
    ),
    _knob(
        "worker_connections",
        "integer",
        512,
        "Connections one of nginx's processes may hold. A proxied request takes two, one on each side; past it, "
        "clients are dropped.",
        (16, 1_000_000),
    ),
    _knob(
        "worker_rlimit_nofile",
        "integer",
        0,
        "Open files that one of nginx's processes may have (0: what it inherits). Each connection is one.",
        (0, 1_048_576),
    ),
    _knob(
        "multi_accept",
        "flag",
        False,
        "Take every waiting connection at once instead of one at a time: fewer system calls in a burst.",
    ),
    _knob(
        "shutdown_timeout",
        "duration",
        0.0,
        "How long open connections get when nginx is told to stop gracefully (0s: without end). Plays no part while "
        "it serves: a placebo.",
        (0, 3600),
        inert=31.0,
    ),
)
_CLIENTS = (
    _knob(
        "backlog",
        "integer",
        511,
        "Connections the kernel may hold for nginx before it accepts them.",
        (16, 65_535),
    ),
    _knob(
        "keepalive_timeout",
        "duration",
        75.0,
        "How long an idle client connection is kept (0s: closed after every answer).",
        (0, 3600),
    ),
    _knob(
        "keepalive_requests", "integer", 1000, "Requests after which a client connection is closed.", (1, 10_000_000)
    ),
    _knob(
        "limit_conn",
        "integer",
        0,
        "Requests that nginx lets in at once (0: any number). More are answered 503 at once, instead of queueing.",
        (0, 1_000_000),
    ),
    _knob(
        "client_max_body_size",
        "bytes",
        1024**2,
        "Greatest request body; larger ones are answered 413 (0: any size).",
        (0, 1024**4),
    ),
    _knob(
        "gzip",
        "flag",
        False,
        "Compress texts on their way out: fewer bytes for more of nginx's CPU time.",
    ),
    _knob("gzip_comp_level", "integer", 1, "How hard to compress: each step costs CPU time and saves little.", (1, 9)),
    _knob(
        "open_file_cache",
        "integer",
        0,
        "Static files whose descriptors nginx keeps open (0: none). Without it each request opens its file anew.",
        (0, 1_000_000),
    ),
)
_UPSTREAM = (
    _knob(
        "upstream_keepalive",
        "integer",
        0,
        "Idle connections to the app servers that each of nginx's processes keeps (0: a new one for every request, as "
        "before nginx 1.29.7, whose default is 32). Kept ones save a handshake, but hold a worker that serves one "
        "connection at a time.",
        (0, 10_000),
    ),
    _knob(
        "connect_timeout",
        "duration",
        60.0,
        "How long to try to reach an app server. A full listen queue is waited for that long.",
        (0.01, 75),
    ),
    _knob(
        "read_timeout",
        "duration",
        60.0,
        "How long an app server may be silent; then the answer is 504.",
        (0.01, 3600),
    ),
    _knob(
        "tries",
        "integer",
        0,
        "How many app servers are tried for one request (0: all of them; 1: no retries). A request that is not "
        "idempotent, such as POST, is never sent twice.",
        (0, 100),
    ),
    _knob(
        "retry_5xx",
        "flag",
        False,
        "Also try the next app server after an answer of 502 or 503. Such answers then count as failures too.",
    ),
    _knob(
        "max_fails",
        "integer",
        1,
        "Failures within fail_timeout after which an app server is left out (0: never). Under overload, leaving one "
        "out overloads the rest.",
        (0, 1000),
    ),
    _knob("fail_timeout", "duration", 10.0, "How long an app server is left out; whole seconds.", (1, 3600)),
    _knob(
        "buffering",
        "flag",
        True,
        "Collect answers before they are sent on: an app server is free while a slow client still reads. A route's "
        "own buffering = false wins.",
    ),
    _knob(
        "buffers",
        "integer",
        8,
        "Buffers for one answer; what does not fit goes through a file.",
        (3, 1024),
    ),
    _knob(
        "buffer_size",
        "bytes",
        4096,
        "Size of a buffer. An answer's headers must fit into one, or it becomes a 502.",
        (1024, 16 * 1024**2),
    ),
    _knob(
        "cache_size",
        "bytes",
        256 * 1024**2,
        "What the cache of answers may hold on disk. nginx itself sets no bound.",
        (1024**2, 1024**4),
    ),
)
PROXY: tuple[Knob, ...] = (*_PROCESS, *_CLIENTS, *_UPSTREAM)

# What Heroku documents of its router, in the articles "HTTP Routing", "Request Timeout" and "Error Codes" of its
# devcenter: dynos chosen at random; a new connection for every request, given up after 5 s (H19); 30 s to the first
# byte, then 503 (H12); answers passed on as they come, with 1 MB of buffer; bodies of any size; no compression.
# Where nginx cannot do as it does:
# - It retries a connection refused or timed out on up to 10 dynos, but never a request it has sent. nginx cannot tell
#   these apart for GET, so nothing is retried: a dead instance shows as 503 (H21).
# - It leaves a dyno that refuses out for 5 s. nginx would leave out one that is slow as well, which its router is
#   known not to do; so nobody is left out.
# - After the first byte silence may last 55 s. nginx knows one timeout for both: 30 s.
# - How many requests it lets in (H11) depends on routers that nobody can count: set limit_conn.
PRESETS: dict[str, dict[str, Any]] = {
    "platform-router": {
        "balancing": "random",
        "upstream_keepalive": 0,
        "connect_timeout": 5.0,
        "read_timeout": 30.0,
        "tries": 1,
        "max_fails": 0,
        "buffering": False,
        "buffer_size": 1024**2,
        "client_max_body_size": 0,
        "gzip": False,
    }
}
