"""Log files in, events out: the lines that matter, counted rather than kept where they come in thousands."""

from __future__ import annotations

import re
import time
from pathlib import Path

from prony.recording import Event

READ_BYTES_MAX = 8 * 1024 * 1024
TEXTS_MAX = 20  # different texts told of in one look; the rest are counted together

# kind of event, what a line of the log must match
POSTGRES = (
    ("connection_refused", re.compile(rb"\] 53300 FATAL:  (.*)")),
    ("database_error", re.compile(rb"\] [0-9A-Z]{5} (?:FATAL|PANIC):  (.*)")),
)
APP = (
    ("worker_timeout", re.compile(rb"(WORKER TIMEOUT|HARAKIRI ON WORKER)")),
    ("worker_killed", re.compile(rb"(Worker .* was sent SIG\w+.*)")),
    ("worker_killed", re.compile(rb"(DAMN ! worker) \d+ \(pid: \d+\) died")),  # uWSGI's
    ("worker_failed", re.compile(rb"(Worker failed to boot|Unexpected exit from worker)")),
    ("descriptors_exhausted", re.compile(rb"(Too many open files)")),
    ("queue_depth", re.compile(rb"(Task queue depth) is \d+")),  # waitress's
    ("queue_full", re.compile(rb"(uWSGI listen queue of socket .* full)")),
    ("queue_full", re.compile(rb"(Exceeded concurrency limit)")),  # uvicorn's
    ("log_error", re.compile(rb"^([\w.]*(?:Error|Exception): .*)")),
)
PROXY = (
    ("descriptors_exhausted", re.compile(rb"(Too many open files)")),
    ("connections_exhausted", re.compile(rb"(\d+ worker_connections are not enough)")),
    ("upstream_failed", re.compile(rb"(no live upstreams)")),
    ("upstream_failed", re.compile(rb"(upstream timed out \(\d+: [^)]*\) while [^,]*)")),
    ("upstream_failed", re.compile(rb"(upstream prematurely closed connection while [^,]*)")),
    ("upstream_failed", re.compile(rb"((?:connect|recv|send)\(\) failed \(\d+: [^)]*\) while [^,]*)")),
    ("limited", re.compile(rb'(limiting (?:connections|requests).*? by zone "[^"]*")')),
)
POOLER = (
    ("descriptors_exhausted", re.compile(rb"(Too many open files)")),
    ("pooler_refused", re.compile(rb"(no more connections allowed[^,]*)")),
    ("pooler_error", re.compile(rb"(query_wait_timeout|query_timeout|client_login_timeout|server_login_retry)")),
    ("pooler_error", re.compile(rb"pooler error: ([a-z_ ]+)")),
)
PATTERNS = {"proxy": PROXY, "pooler": POOLER}


class Log:
    """Follows one log file from its end as it now is.

    Args:
        tier: Whose log it is.
        path: The file; it may not be there yet.
        patterns: (kind of event, pattern with one group that is the event's text).
    """

    def __init__(self, tier: str, path: Path, patterns: tuple[tuple[str, re.Pattern[bytes]], ...]) -> None:
        self._tier = tier
        self._path = path
        self._patterns = patterns
        self._offset = path.stat().st_size if path.exists() else 0

    def read(self) -> list[Event]:
        """What happened since the last call: one event for each kind and text, with how often."""
        try:
            size = self._path.stat().st_size
            if size < self._offset:  # it was cut for being too long
                self._offset = 0
            if size == self._offset:
                return []
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(READ_BYTES_MAX)
        except OSError:
            return []
        end = data.rfind(b"\n") + 1
        if not end and len(data) == READ_BYTES_MAX:  # a line without end: past it
            end = len(data)
        self._offset += end
        counts: dict[tuple[str, str], int] = {}
        for line in data[:end].splitlines():
            for kind, pattern in self._patterns:
                match = pattern.search(line)
                if match:
                    text = match[1].decode("utf-8", "replace")[:200]
                    if (kind, text) not in counts and len(counts) >= TEXTS_MAX:
                        text = "others"
                    counts[kind, text] = counts.get((kind, text), 0) + 1
                    break
        now_ns = time.monotonic_ns()
        return [Event(now_ns, kind, self._tier, text, n) for (kind, text), n in counts.items()]
