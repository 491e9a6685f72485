"""uWSGI's stats server in (a document in JSON at a Unix socket), its busy workers and what ended them out."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prony.recording import Reading

ANSWER_S = 1.0
READ_BYTES = 65_536
_COUNTERS = {"requests": "requests", "exceptions": "exceptions", "harakiri": "harakiri_count"}


class UWSGI:
    """Reads the stats servers of all instances.

    Args:
        paths: Their sockets.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = [str(path) for path in paths]

    def read(self) -> list[Reading]:
        """Workers now, and what they have done so far."""
        return readings([worker for path in self._paths for worker in _workers(path)])


def _workers(path: str) -> list[dict[str, Any]]:
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(ANSWER_S)
        link.connect(path)
        text = b"".join(iter(lambda: link.recv(READ_BYTES), b""))
    found: list[dict[str, Any]] = json.loads(text)["workers"]
    return found


def readings(workers: list[Mapping[str, Any]] | list[dict[str, Any]]) -> list[Reading]:
    """The readings of these workers; a cheaper or a paused one is neither busy nor idle."""
    now_ns = time.monotonic_ns()
    states = [str(worker["status"]) for worker in workers]
    respawns = sum(max(0, int(worker["respawn_count"]) - 1) for worker in workers)
    return [
        Reading(now_ns, "app", "workers_busy", float(sum(state.startswith("busy") for state in states))),
        Reading(now_ns, "app", "workers_idle", float(states.count("idle"))),
        Reading(now_ns, "app", "respawns", float(respawns)),
        *(
            Reading(now_ns, "app", ours, float(sum(int(worker.get(theirs, 0)) for worker in workers)))
            for ours, theirs in _COUNTERS.items()
        ),
    ]
