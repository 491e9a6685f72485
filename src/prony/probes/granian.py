"""Granian's metrics in (text in Prometheus's format, over a kept connection), what its workers' threads do out."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterable

from prony.recording import Reading

READ_BYTES = 65_536
_REQUEST = b"GET /metrics HTTP/1.1\r\nHost: granian\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_LEVELS = {"connections_active", "blocking_threads", "blocking_queue"}
_LINE = re.compile(r"^granian_(\w+)(\{[^}]*\})? ([-0-9.e+]+)$", re.MULTILINE)
_US = 1e-6
# Ours: theirs, added up over workers, and what one of them is of ours.
_NAMES = {
    "granian_requests": (("requests_handled",), 1.0),
    "connections_accepted": (("connections_handled",), 1.0),
    "connection_errors": (("connections_err",), 1.0),
    "connections_active": (("connections_active",), 1.0),
    "granian_respawns": (
        ("workers_respawns_for_err", "workers_respawns_for_lifetime", "workers_respawns_for_rss"),
        1.0,
    ),
    "blocking_threads": (("blocking_threads",), 1.0),
    "blocking_queue": (("blocking_queue",), 1.0),
    "blocking_busy_s": (("blocking_busy_cumulative",), _US),
    "blocking_idle_s": (("blocking_idle_cumulative",), _US),
    "interpreter_wait_s": (("py_wait_cumulative",), _US),
}


class Granian:
    """Reads the metrics of all instances.

    Args:
        links: A connection to each one's exporter.
    """

    def __init__(self, links: Iterable[socket.socket]) -> None:
        self._links = list(links)
        self._former: dict[tuple[int, str, str], float] = {}
        self._grown: dict[str, float] = {}

    def read(self) -> list[Reading]:
        """Its workers together, as it last collected them: each second."""
        return self.readings([_asked(link) for link in self._links])

    def readings(self, texts: Iterable[str]) -> list[Reading]:
        """What each instance's text says, together; what a version does not tell is not among it.

        Counters of a worker in another's place begin at 0 again: what they come to is added.
        """
        levels: dict[str, float] = {}
        for number, text in enumerate(texts):
            for name, worker, digits in _LINE.findall(text):
                value = float(digits)
                if name in _LEVELS:
                    levels[name] = levels.get(name, 0.0) + value
                    continue
                former = self._former.get((number, name, worker), 0.0)
                self._former[number, name, worker] = value
                self._grown[name] = self._grown.get(name, 0.0) + (value - former if value >= former else value)
        told = self._grown | levels
        now_ns = time.monotonic_ns()
        return [
            Reading(now_ns, "app", ours, sum(told[each] for each in theirs if each in told) * unit)
            for ours, (theirs, unit) in _NAMES.items()
            if any(each in told for each in theirs)
        ]

    def close(self) -> None:
        """Closes the connections."""
        for link in self._links:
            link.close()


def _asked(link: socket.socket) -> str:
    link.sendall(_REQUEST)
    data = b""
    while True:
        part = link.recv(READ_BYTES)
        if not part:
            raise ConnectionError("granian's metrics ended")
        data += part
        head, gap, body = data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head + b"\r\n")
        if gap and length is None:
            raise ValueError("granian's metrics have no length")
        if length is not None and len(body) >= int(length[1]):
            return body[: int(length[1])].decode("ascii", "replace")
