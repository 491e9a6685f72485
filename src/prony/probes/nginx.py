"""nginx's timing log and stub_status in, how long its upstreams took, what it answered itself and its cache out."""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path

import msgspec
import numpy as np

from prony.recording import Reading

PARSED_MAX = 256 * 1024  # bytes of the log that one look reads closely: the newest; before them lines are counted
COUNTED_MAX = 16 * 1024 * 1024
TIER = "proxy"
GONE = "499"  # the client left before there was an answer
_STATUS = re.compile(
    r"Active connections: (\d+).*?(\d+) (\d+) (\d+)\s+Reading: (\d+) Writing: (\d+) Waiting: (\d+)", re.DOTALL
)
_FIELDS = ("active", "accepted", "handled", "requests", "reading", "writing", "waiting")


class Line(msgspec.Struct):
    """What is read of one request's line; a list such as "0.000, 0.001" where more than one app server was tried."""

    request_time: float
    status: str
    upstream_addr: str
    upstream_connect_time: str
    upstream_header_time: str
    upstream_response_time: str
    upstream_cache_status: str


class TimingLog:
    """Follows the log from its end as it now is; counters grow from 0.

    Its counters: requests (all); and of those that were read closely, timed (how many), request_s, upstream_s (until
    the app's answer was whole), upstream_first_byte_s, connect_s, tries (of app servers), own_errors (no app server
    answered), cache_hits and cache_lookups. Its levels: the last second's p50, p99 and most of upstream and connect.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0
        self._decoder = msgspec.json.Decoder(Line)
        names = ("requests", "timed", "request_s", "upstream_s", "upstream_first_byte_s", "connect_s", "tries")
        self._totals = dict.fromkeys((*names, "own_errors", "cache_hits", "cache_lookups"), 0.0)

    def read(self) -> list[Reading]:
        """The totals so far, and how the last second's requests are spread."""
        upstream, connects = [], []
        for text in self._lines():
            line = self._decoder.decode(text)
            taken_s, connect_s, tries = self._add(line)
            if tries:
                upstream.append(taken_s)
                connects.append(connect_s)
        now_ns = time.monotonic_ns()
        found = [Reading(now_ns, TIER, name, value) for name, value in self._totals.items()]
        for name, values in (("upstream", upstream), ("connect", connects)):
            if values:
                p50, p99, most = np.quantile(values, (0.5, 0.99, 1.0), method="inverted_cdf")
                spread = {"p50": p50, "p99": p99, "most": most}
                found += [Reading(now_ns, TIER, f"{name}_{q}_s", float(value)) for q, value in spread.items()]
        return found

    def _lines(self) -> list[bytes]:
        """New whole lines, the newest of them; those before are counted."""
        try:
            size = self._path.stat().st_size
            if size < self._offset:  # it was emptied for being too long
                self._offset = 0
            if size == self._offset:
                return []
            with self._path.open("rb") as file:
                file.seek(max(self._offset, size - COUNTED_MAX))
                data = file.read(COUNTED_MAX)
        except OSError:
            return []
        end = data.rfind(b"\n") + 1
        self._offset = max(self._offset, size - COUNTED_MAX) + end
        self._totals["requests"] += data.count(b"\n", 0, end)
        begin = 0 if end <= PARSED_MAX else data.index(b"\n", end - PARSED_MAX) + 1
        return data[begin:end].splitlines()

    def _add(self, line: Line) -> tuple[float, float, int]:
        """Adds one request; seconds at app servers, to connect to them, and how many were tried."""
        totals = self._totals
        taken = _numbers(line.upstream_response_time)
        connects = _numbers(line.upstream_connect_time)
        tries = len(re.split(", | : ", line.upstream_addr)) if line.upstream_addr else 0
        unanswered = line.upstream_header_time.endswith("-") if tries else line.status >= "500"
        totals["timed"] += 1
        totals["request_s"] += line.request_time
        totals["upstream_s"] += sum(taken)
        totals["upstream_first_byte_s"] += sum(_numbers(line.upstream_header_time))
        totals["connect_s"] += sum(connects)
        totals["tries"] += tries
        totals["own_errors"] += unanswered and line.status != GONE
        cache = line.upstream_cache_status
        totals["cache_lookups"] += bool(cache)
        totals["cache_hits"] += cache in {"HIT", "STALE", "UPDATING", "REVALIDATED"}
        return sum(taken), sum(connects), tries


class Status:
    """Reads stub_status over a Unix socket, where the build has it."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def read(self) -> list[Reading]:
        """Connections now, and accepted and dropped so far."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(1.0)
            link.connect(self._path)
            link.sendall(b"GET / HTTP/1.0\r\n\r\n")
            text = b"".join(iter(lambda: link.recv(4096), b"")).decode("ascii", "replace")
        return status(text)


def status(text: str) -> list[Reading]:
    """The readings of one answer; our own request is one of the active."""
    match = _STATUS.search(text)
    if match is None:
        raise ValueError("stub_status answers with something else")
    told = dict(zip(_FIELDS, map(float, match.groups()), strict=True))
    now_ns = time.monotonic_ns()
    found = {
        "connections_active": told["active"] - 1,
        "connections_idle": told["waiting"],
        "connections_accepted": told["accepted"],
        "connections_dropped": told["accepted"] - told["handled"],
    }
    return [Reading(now_ns, TIER, name, value) for name, value in found.items()]


def _numbers(text: str) -> list[float]:
    """What is given for each app server that was tried; "-" for none."""
    if "," not in text and ":" not in text:  # as nearly all
        return [float(text)] if text and text != "-" else []
    return [float(each) for each in re.split("[ ,:]+", text) if each and each != "-"]
