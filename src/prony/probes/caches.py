"""A cache's own counters in (Valkey, Redis, memcached), readings of its clients, hits, evictions and memory out."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from prony.recording import Event, Reading

ANSWER_S = 2.0
SLOW_MAX = 128  # entries of a slow log that are read at once: as many as it keeps
# our name -> its name in INFO
_LEVELS = {
    "clients": "connected_clients",
    "clients_blocked": "blocked_clients",
    "memory_used_bytes": "used_memory",
    "memory_limit_bytes": "maxmemory",
}
_COUNTERS = {
    "commands": "total_commands_processed",
    "connections": "total_connections_received",
    "connections_rejected": "rejected_connections",
    "hits": "keyspace_hits",
    "misses": "keyspace_misses",
    "evicted": "evicted_keys",
    "expired": "expired_keys",
}
# our name -> its name in memcached's stats
_MEMCACHED = {
    "clients": "curr_connections",
    "clients_limit": "max_connections",
    "memory_used_bytes": "bytes",
    "memory_limit_bytes": "limit_maxbytes",
    "items": "curr_items",
    "hits": "get_hits",
    "misses": "get_misses",
    "sets": "cmd_set",
    "evicted": "evictions",
    "connections": "total_connections",
    "connections_rejected": "rejected_connections",
    "listening_stopped": "listen_disabled_num",
    "yields": "conn_yields",
}


class Line:
    """A connection that is kept: opened before the load comes, so that it is not refused along with the app's."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._link.settimeout(ANSWER_S)
        self._file = link.makefile("rb")

    def send(self, data: bytes) -> None:
        """Sends it all."""
        self._link.sendall(data)

    def line(self) -> bytes:
        """The next line of an answer, without its end; raises OSError when there is none in time, or no more."""
        found = self._file.readline()
        if not found.endswith(b"\r\n"):
            raise ConnectionResetError("the connection was closed")
        return found[:-2]

    def read(self, count: int) -> bytes:
        """So many bytes, and the end of line after them."""
        return self._file.read(count + 2)[:count]

    def close(self) -> None:
        """Gives the connection back."""
        self._file.close()
        self._link.close()


class Valkey:
    """Reads a Valkey or a Redis.

    Args:
        tier: The store's name.
        link: A connection to it.
        password: Of the user without a name; None where none is asked for.
    """

    def __init__(self, tier: str, link: socket.socket, password: str | None) -> None:
        self._tier = tier
        self._line = Line(link)
        if password:
            self._ask("AUTH", password)
        newest = self._ask("SLOWLOG", "GET", "1")
        self._slow_before = int(newest[0][0]) if newest else -1
        self._slow = 0
        self._worst_s = 0.0

    def read(self) -> list[Reading | Event]:
        """What INFO tells, and what is new in its slow log."""
        info = str(self._ask("INFO"))
        return [*readings(info, self._tier, time.monotonic_ns()), *self._slow_commands()]

    def _slow_commands(self) -> list[Reading | Event]:
        """Commands are told by their name: what follows it may be anything."""
        newest = self._ask("SLOWLOG", "GET", "1")
        if newest and int(newest[0][0]) > self._slow_before:
            count = min(SLOW_MAX, int(newest[0][0]) - self._slow_before)
            newest = [entry for entry in self._ask("SLOWLOG", "GET", str(count)) if int(entry[0]) > self._slow_before]
            self._slow_before = max(int(entry[0]) for entry in newest)
            self._slow += len(newest)
            self._worst_s = max(self._worst_s, *(int(entry[2]) / 1e6 for entry in newest))
        else:
            newest = []
        now_ns = time.monotonic_ns()
        names = Counter(str(entry[3][0]).upper()[:40] for entry in newest if entry[3])
        return [
            Reading(now_ns, self._tier, "slow_commands", float(self._slow)),
            Reading(now_ns, self._tier, "slowest_command_s", self._worst_s),
            *(Event(now_ns, "slow_command", self._tier, name, times) for name, times in names.items()),
        ]

    def _ask(self, *words: str) -> Any:
        parts = [word.encode() for word in words]
        self._line.send(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        return self._answer()

    def _answer(self) -> Any:
        line = self._line.line()
        mark, rest = line[:1], line[1:]
        if mark == b"-":
            raise ValueError(rest.decode("utf-8", "replace")[:80])
        if mark == b":":
            return int(rest)
        if mark == b"$":
            return None if rest == b"-1" else self._line.read(int(rest)).decode("utf-8", "replace")
        if mark == b"*":
            return [self._answer() for _ in range(int(rest))]
        return rest.decode("utf-8", "replace")

    def close(self) -> None:
        """Gives the connection back."""
        self._line.close()


def readings(info: str, tier: str, now_ns: int) -> list[Reading | Event]:
    """The readings of an INFO; our own connection is none of its clients."""
    told = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    found: list[Reading | Event] = []
    for ours, theirs in (_LEVELS | _COUNTERS).items():
        value = float(told.get(theirs) or 0)
        if ours == "memory_limit_bytes" and not value:
            continue
        found.append(Reading(now_ns, tier, ours, value - 1 if ours == "clients" else value))
    return found


class Memcached:
    """Reads a memcached.

    Args:
        tier: The store's name.
        link: A connection to it.
    """

    def __init__(self, tier: str, link: socket.socket) -> None:
        self._tier = tier
        self._line = Line(link)

    def read(self) -> list[Reading | Event]:
        """What `stats` tells; our own connection is none of its clients."""
        told = self._stats()
        now_ns = time.monotonic_ns()
        return [
            Reading(now_ns, self._tier, ours, float(told[theirs]) - (ours == "clients"))
            for ours, theirs in _MEMCACHED.items()
            if theirs in told
        ]

    def _stats(self) -> Mapping[str, str]:
        self._line.send(b"stats\r\n")
        found = {}
        while (line := self._line.line()) != b"END":
            name, value = line.decode("ascii", "replace").split(" ", 2)[1:]
            found[name] = value
        return found

    def close(self) -> None:
        """Gives the connection back."""
        self._line.close()
