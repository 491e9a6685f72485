"""A TCP proxy that adds a round trip: bytes in, the same bytes out later, as if from another machine.

A program of its own: `delay LISTEN_PORT TO_PORT ROUND_TRIP_S`. The whole round trip is added on the way to the server,
which a client cannot tell from half on each way; and a connection's first bytes wait for one more, because over a
network opening the connection would itself have cost one. What is due leaves by timerfd: event loops' own timers tick
in milliseconds.
"""

from __future__ import annotations

import asyncio
import heapq
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import uvloop

from prony.errors import StackError
from prony.load.timer import Timer
from prony.stack.launch import Launcher, Process

READY_S = 15.0


class Wire:
    """What is on its way: calls that become due, in order of time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._timer = Timer(loop, self._due)

    def put(self, due_ns: int, call: Callable[[], None]) -> None:
        """Makes the call at an instant."""
        self._count += 1
        heapq.heappush(self._heap, (due_ns, self._count, call))
        if self._heap[0][0] == due_ns:
            self._timer.arm(due_ns)

    def _due(self) -> None:
        now_ns = time.monotonic_ns()
        while self._heap and self._heap[0][0] <= now_ns:
            heapq.heappop(self._heap)[2]()
        if self._heap:
            self._timer.arm(self._heap[0][0])
        else:
            self._timer.acknowledge()


class Upstream(asyncio.Protocol):
    """The server's side of one connection: what it sends is passed on at once."""

    def __init__(self, client: asyncio.Transport) -> None:
        self.client = client
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.client.write(data)

    def eof_received(self) -> bool:
        self.client.close()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.client.close()

    def pause_writing(self) -> None:
        self.client.pause_reading()

    def resume_writing(self) -> None:
        self.client.resume_reading()


class Client(asyncio.Protocol):
    """The app's side of one connection: what it sends leaves a round trip later."""

    def __init__(self, wire: Wire, to_port: int, round_trip_ns: int) -> None:
        self.wire = wire
        self.to_port = to_port
        self.round_trip_ns = round_trip_ns
        self.upstream: Upstream | None = None
        self.early: list[Callable[[], None]] = []
        self.last_due_ns = 0
        self.started = False
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.last_due_ns = time.monotonic_ns() + self.round_trip_ns
        self.task = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            _, self.upstream = await asyncio.get_running_loop().create_connection(
                lambda: Upstream(self.transport), "127.0.0.1", self.to_port
            )
        except OSError:
            self.transport.abort()
            return
        for call in self.early:
            call()
        self.early.clear()

    def data_received(self, data: bytes) -> None:
        self._later(lambda: self._write(data))

    def eof_received(self) -> bool:
        self._later(self._end)
        return True  # half closed: the answer may still be on its way

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._later(self._close)

    def _later(self, call: Callable[[], None]) -> None:
        # Never before what was put earlier, so that order holds. The first waits from one round trip after connecting.
        due_ns = max(self.last_due_ns, time.monotonic_ns()) + self.round_trip_ns
        if self.started:
            due_ns = max(self.last_due_ns, time.monotonic_ns() + self.round_trip_ns)
        self.started = True
        self.last_due_ns = due_ns
        self.wire.put(due_ns, call)

    def _write(self, data: bytes) -> None:
        if self.upstream is None or self.upstream.transport is None:
            self.early.append(lambda: self._write(data))
        else:
            self.upstream.transport.write(data)

    def _end(self) -> None:
        if self.upstream is None or self.upstream.transport is None:
            self.early.append(self._end)
        elif self.upstream.transport.can_write_eof() and not self.upstream.transport.is_closing():
            self.upstream.transport.write_eof()

    def _close(self) -> None:
        if self.upstream is None or self.upstream.transport is None:
            self.early.append(self._close)
        else:
            self.upstream.transport.close()


async def serve(listen_port: int, to_port: int, round_trip_s: float) -> None:
    """Passes connections on until ended."""
    loop = asyncio.get_running_loop()
    wire = Wire(loop)
    server = await loop.create_server(
        lambda: Client(wire, to_port, round(round_trip_s * 1e9)), "127.0.0.1", listen_port, backlog=4096
    )
    async with server:
        await server.serve_forever()


def start(
    launcher: Launcher, logs: Path, cores: tuple[int, ...], to_port: int, round_trip_s: float
) -> tuple[Process, int]:
    """Starts the proxy before a port; its process and the port to use instead."""
    port = launcher.free_port()
    process = launcher.spawn(
        "the delay proxy",
        [sys.executable, "-P", "-m", "prony.stack.services.delay", str(port), str(to_port), str(round_trip_s)],
        env={"PATH": "/usr/bin:/bin"},
        cwd=logs,
        log=logs / "delay.log",
        cores=cores,
        descriptors=True,
        urgent=True,
    )

    def listening() -> bool:
        if not process.alive:
            raise StackError("The delay proxy ended while starting.", log=process.last_lines())
        try:
            launcher.connect(port, 1).close()
        except OSError:
            return False
        return True

    if not launcher.wait_until(listening, READY_S):
        raise StackError("The delay proxy did not come up.", log=process.last_lines())
    return process, port


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
