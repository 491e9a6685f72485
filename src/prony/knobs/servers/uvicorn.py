"""Uvicorn's knobs and slots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prony.knobs import Knob
from prony.knobs.servers import backlog, graceful_timeout, keepalive, knob, max_requests, max_requests_jitter, workers

_LIMIT = (
    "Connections or requests a worker takes at once before it answers 503 (0: no limit). "
    "The connection that reaches the limit is refused already: 100 serves 99, and idle ones count."
)
_ALONE = " With one worker nothing starts it again: the server ends."
_HEALTH = (
    "Seconds a worker may take to answer its supervisor before it is killed and replaced; "
    "asked where there are two workers or more."
)
KNOBS: dict[str, tuple[Knob, ...]] = {
    "": (
        workers(),
        knob("limit_concurrency", "--limit-concurrency", "integer", 0, _LIMIT, low=0, high=1_000_000),
        backlog(2048),
        keepalive(5, "--timeout-keep-alive"),
        max_requests("--limit-max-requests", more=_ALONE),
        max_requests_jitter("--limit-max-requests-jitter"),
        graceful_timeout(0, 30, "--timeout-graceful-shutdown"),
        knob(
            "timeout_worker_healthcheck",
            "--timeout-worker-healthcheck",
            "integer",
            5,
            _HEALTH,
            low=1,
            high=3600,
        ),
        knob(
            "loop",
            "--loop",
            "choice",
            "auto",
            "The event loop; auto takes uvloop where it is installed.",
            choices=("auto", "asyncio", "uvloop"),
        ),
        knob(
            "http",
            "--http",
            "choice",
            "auto",
            "What parses requests; auto takes httptools (C) where it is installed, else h11 (Python).",
            choices=("auto", "h11", "httptools"),
        ),
    )
}
INTERFACES: dict[str, tuple[str, ...]] = {"": ("asgi",)}


def slots(_: str, values: Mapping[str, Any]) -> int:
    """How many requests one worker can be serving at once; 0 where nothing bounds them."""
    limit = int(values["limit_concurrency"])
    return max(1, limit - 1) if limit else 0
