"""A seeded plan of latencies and a stall into a server that keeps to it: `planted.py SEED STALL_AT_S STALL_S STAMPS`.

The n-th request to come is held for the plan's n-th time. For `STALL_S` seconds, from `STALL_AT_S` after the first
request on, it neither reads nor answers anything. It stamps each request as it reads it (monotonic nanoseconds), and
writes the stamps to a file as it ends with its standard input.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from prony.load.loop import Loop
from prony.load.timer import Timer

MEDIAN_S, SIGMA = 0.02, 0.6
MOST = 200_000
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def holds_ns(seed: int) -> Any:
    """How long each request is held: lognormal around 20 ms, of which p99 is some 80 ms."""
    return (np.random.default_rng(seed).lognormal(np.log(MEDIAN_S), SIGMA, MOST) * 1e9).astype(np.int64)


def answered_ns(due_ns: Any, seed: int, stall_at_s: float, stall_s: float) -> Any:
    """When the plan has each request answered that comes the instant it is due; `due_ns` in their order."""
    begins = due_ns[0] + round(stall_at_s * 1e9)
    ends = begins + round(stall_s * 1e9)
    read = np.where((due_ns >= begins) & (due_ns < ends), ends, due_ns)
    done = read + holds_ns(seed)[: len(due_ns)]
    return np.where((done >= begins) & (done < ends), ends, done)


class Planted:
    """The server."""

    def __init__(self, loop: Loop, seed: int, stall_at_s: float, stall_s: float) -> None:
        self._holds = holds_ns(seed).tolist()
        self._stall_at_ns = round(stall_at_s * 1e9)
        self._stall_s = stall_s
        self._stalled = stall_s <= 0
        self.stamps: list[int] = []
        self._due: list[tuple[int, int, socket.socket]] = []
        self._loop = loop
        self._timer = Timer(loop, self._ring)
        self._buffer = bytearray(65_536)
        self._socks: dict[int, socket.socket] = {}

    def welcome(self, listener: socket.socket) -> None:
        """Accept whoever waits."""
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._socks[sock.fileno()] = sock
                self._loop.add_reader(sock.fileno(), lambda sock=sock: self._read(sock))

    def _read(self, sock: socket.socket) -> None:
        try:
            size = sock.recv_into(self._buffer)
        except OSError:
            size = 0
        now_ns = time.monotonic_ns()
        if not size:
            self._loop.remove_reader(sock.fileno())
            self._socks.pop(sock.fileno(), None)
            sock.close()
            return
        if not self.stamps:
            self._stall_at_ns += now_ns
        heapq.heappush(self._due, (now_ns + self._holds[len(self.stamps)], len(self.stamps), sock))
        self.stamps.append(now_ns)
        self._ring()

    def _ring(self) -> None:
        now_ns = time.monotonic_ns()
        if not self._stalled and self.stamps and now_ns >= self._stall_at_ns:
            self._stalled = True
            time.sleep(max(0.0, self._stall_s - (now_ns - self._stall_at_ns) / 1e9))
            now_ns = time.monotonic_ns()
        while self._due and self._due[0][0] <= now_ns:
            with contextlib.suppress(OSError):
                heapq.heappop(self._due)[2].send(ANSWER)
        wakings = [self._due[0][0]] if self._due else []
        if not self._stalled and self.stamps:
            wakings.append(self._stall_at_ns)
        if wakings:
            self._timer.arm(min(wakings))
        else:
            self._timer.disarm()


def main(arguments: list[str]) -> int:
    """Serve until standard input ends; returns the exit code."""
    seed, stall_at, stall, path = arguments
    loop = Loop()
    server = Planted(loop, int(seed), float(stall_at), float(stall))
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.setblocking(False)
    loop.add_reader(listener.fileno(), lambda: server.welcome(listener))
    loop.add_reader(0, lambda: None if os.read(0, 64) else loop.stop())
    print(listener.getsockname()[1], flush=True)
    loop.run()
    np.array(server.stamps, dtype=np.int64).tofile(Path(path))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
