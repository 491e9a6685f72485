"""An HTTP server that holds each answer for a planned time: `python holding.py PLAN STAMPS [FREEZE_AT_S FREEZE_S]`.

PLAN holds doubles: the i-th request to arrive is answered that many seconds after it was read (from the start again
where they end). Each answer is held by itself, except in the one freeze: from FREEZE_AT_S after the first request has
arrived, for FREEZE_S, nothing is accepted, read or answered. When a request was read (CLOCK_MONOTONIC, ns) is written
to STAMPS in the order of arrival, once stdin ends. It spins on its core rather than sleep, so as to be neither late in
reading nor in answering, and shares no code with what it tests; its port is printed first.
"""

from __future__ import annotations

import array
import contextlib
import gc
import heapq
import os
import select
import socket
import sys
import time
from pathlib import Path

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
STDIN_EVERY = 4096  # turns between two looks at stdin


class Server:
    """One listening socket and all of its connections.

    Args:
        holds_s: How long each answer is held, in the order of arrival.
        freeze: From how many seconds after the first arrival on, and for how many, it does nothing.
    """

    def __init__(self, holds_s: array.array[float], freeze: tuple[float, float] | None) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.listener.setblocking(False)
        self.stamps: array.array[int] = array.array("q")
        self._holds_ns = [round(each * 1e9) for each in holds_s]
        self._freeze = freeze
        self._epoll = select.epoll()
        self._epoll.register(self.listener, select.EPOLLIN)
        self._connections: dict[int, socket.socket] = {}
        self._held: list[tuple[int, int]] = []

    def turn(self) -> None:
        """Answer what has been held for long enough, take what has come."""
        now_ns = time.monotonic_ns()
        if self._freeze and self.stamps and now_ns >= self.stamps[0] + self._freeze[0] * 1e9:
            time.sleep(max(0.0, (self.stamps[0] - time.monotonic_ns()) / 1e9 + sum(self._freeze)))
            self._freeze = None
        while self._held and self._held[0][0] <= now_ns:
            connection = self._connections.get(heapq.heappop(self._held)[1])
            if connection is not None:
                with contextlib.suppress(OSError):
                    connection.send(ANSWER)
        for fd, _ in self._epoll.poll(0, 256):
            if fd == self.listener.fileno():
                self._welcome()
            else:
                self._read(fd)

    def _welcome(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self.listener.accept()
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connections[connection.fileno()] = connection
                self._epoll.register(connection, select.EPOLLIN)
                self._read(connection.fileno())

    def _read(self, fd: int) -> None:
        try:
            asked = self._connections[fd].recv(16_384)
        except BlockingIOError:
            return
        except OSError:
            asked = b""
        now_ns = time.monotonic_ns()
        if not asked:
            self._epoll.unregister(fd)
            self._connections.pop(fd).close()
            return
        hold_ns = self._holds_ns[len(self.stamps) % len(self._holds_ns)]
        self.stamps.append(now_ns)
        heapq.heappush(self._held, (now_ns + hold_ns, fd))


def main(plan: str, stamps: str, *freeze: str) -> None:
    """Serve until stdin ends, then write the stamps."""
    with contextlib.suppress(OSError):  # as prony's generator is, where this user may
        os.nice(-10)
    holds_s = array.array("d", Path(plan).read_bytes())
    server = Server(holds_s, (float(freeze[0]), float(freeze[1])) if freeze else None)
    print(server.listener.getsockname()[1], flush=True)
    stdin = select.poll()
    stdin.register(sys.stdin, select.POLLIN | select.POLLHUP)
    gc.disable()
    while not stdin.poll(0):
        for _ in range(STDIN_EVERY):
            server.turn()
    Path(stamps).write_bytes(server.stamps.tobytes())


main(*sys.argv[1:])
