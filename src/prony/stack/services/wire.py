"""Connections to one port in, the same bytes at another port out: at once, or later, slower, or not for now.

What is read waits in its connection's pipe until it is due, and then for its turn on the lane, which all pipes of one
direction share and which is as fast as the bandwidth. What is due leaves by timerfd: event loops' own timers tick in
milliseconds. A pipe that is full stops reading: so both sides feel each other's pace, as they would on one connection.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import cast

from prony.load.timer import Timer

CONNECTIONS_MAX = 16_384
CONNECT_S = 30.0
TURN_S = 0.01  # how long one pipe has the lane, where there is a bandwidth
PIPE_BYTES_MAX = 1024 * 1024  # on the way in one pipe: a round trip of 20 ms still lets 50 MB a second through
PIPE_BYTES_LEAST = 64 * 1024  # once a lane holds
LANE_BYTES_MAX = 256 * 1024 * 1024
_CLOSE_BY_RESET = struct.pack("ii", 1, 0)  # struct linger


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


class Lane:
    """One direction of a link: pipes whose bytes are due take turns, each turn as long as the bandwidth makes it."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.rate_bps = 0
        self.frozen = False
        self.held_bytes = 0
        self.passed_bytes = 0
        self._turns: deque[Pipe] = deque()
        self._free_ns = 0  # when the last turn was over
        self._alarm_ns = 0
        self._running = False

    def change(self, rate_bps: int, *, frozen: bool) -> None:
        """Another pace, from now on."""
        if self.frozen and not frozen:
            self._free_ns = time.monotonic_ns()
        self.rate_bps, self.frozen = rate_bps, frozen
        self._alarm_ns = 0
        self.run()

    def offer(self, pipe: Pipe) -> None:
        """Gives a pipe its turn, after those that wait already."""
        self._turns.append(pipe)
        self.run()

    def run(self) -> None:
        """Lets pass what can pass by now."""
        if self._running:
            return
        self._running = True
        try:
            self._run()
        finally:
            self._running = False

    def _run(self) -> None:
        while self._turns and not self.frozen:
            pipe = self._turns[0]
            size = pipe.next_bytes()
            end_ns = max(self._free_ns, pipe.since_ns)
            if self.rate_bps:
                size = min(size, max(1460, int(self.rate_bps * TURN_S)))
                end_ns += size * 1_000_000_000 // self.rate_bps
            now_ns = time.monotonic_ns()
            if end_ns > now_ns:
                if not now_ns < self._alarm_ns <= end_ns:
                    self._alarm_ns = end_ns
                    self.wire.put(end_ns, self.run)
                break
            self._free_ns = end_ns
            self._turns.popleft()
            self.passed_bytes += size
            pipe.send(size)


class Pipe:
    """One direction of one connection: bytes, then perhaps an end (no bytes) or a reset (None), each from when due."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.source: End | None = None
        self.sink: End | None = None
        self.since_ns = 0  # when what leaves next began to wait for its turn
        self.ended = False
        self._queue: deque[tuple[int, bytes | memoryview | None]] = deque()
        self._size = 0
        self._due_ns = 0
        self._open_ns = 0  # since when the sink takes bytes
        self._moving = False  # waits to be due, or for its turn
        self._full = False
        self._blocked = False
        self._dead = False

    def put(self, data: bytes | None, due_ns: int) -> None:
        """Takes what the source sent; never passes what was put before."""
        if self._dead:
            return
        self._due_ns = max(self._due_ns, due_ns)
        self._queue.append((self._due_ns, data))
        if data:
            self._size += len(data)
            self.lane.held_bytes += len(data)
            if not self._full and self._size >= self._most() and self.source is not None:
                self._full = True
                self.source.transport.pause_reading()
        self._hasten()
        self._advance()

    def open(self, sink: End) -> None:
        """From now on there is somebody who takes bytes."""
        self.sink = sink
        self._open_ns = time.monotonic_ns()
        self._advance()

    def block(self, *, blocked: bool) -> None:
        """The sink has had enough for now, or wants more again."""
        self._blocked = blocked
        self._open_ns = time.monotonic_ns()
        self._hasten()
        self._advance()

    def drop(self) -> None:
        """The sink is gone: what is on the way is lost."""
        self._dead = True
        self._lose()

    def next_bytes(self) -> int:
        """How many bytes could leave in one turn."""
        return len(self._queue[0][1] or b"") if self._queue else 0

    def send(self, size: int) -> None:
        """Lets bytes leave, or the end, or the reset."""
        self._moving = False
        if not self._queue or self.sink is None:
            return
        due_ns, data = self._queue[0]
        if data and size < len(data):
            whole = memoryview(data)
            self._queue[0] = (due_ns, whole[size:])
            data = whole[:size]
        else:
            self._queue.popleft()
        self._size -= size
        self.lane.held_bytes -= size
        self.ended = self.ended or data == b""
        self.sink.take(data)
        if self._full and self._size * 2 <= self._most() and self.source is not None:
            self._full = False
            self.source.transport.resume_reading()
        self._advance()

    def _most(self) -> int:
        return PIPE_BYTES_MAX if self.lane.held_bytes < LANE_BYTES_MAX else PIPE_BYTES_LEAST

    def _advance(self) -> None:
        if self._moving or not self._queue or self.sink is None or self._blocked:
            return
        self._moving = True
        due_ns = self._queue[0][0]
        # Not from now: what is due leaves a little late, and a lane that forgot that would be slower than asked.
        self.since_ns = max(due_ns, self._open_ns)
        if due_ns > time.monotonic_ns():
            self.lane.wire.put(due_ns, self._turn)
        else:
            self._turn()

    def _turn(self) -> None:
        self.lane.offer(self)

    def _hasten(self) -> None:
        """A reset does not wait for somebody who no longer reads."""
        if self._blocked and self._queue and self._queue[-1][1] is None:
            reset = self._queue[-1]
            self._lose()
            self._queue.append(reset)
            self._blocked = False

    def _lose(self) -> None:
        self._queue.clear()
        self.lane.held_bytes -= self._size
        self._size = 0


class End(asyncio.Protocol):
    """One of a connection's two sides: what it sends goes into one pipe, what it is sent comes out of the other."""

    def __init__(self, into: Pipe, out: Pipe, due_ns: Callable[[], int]) -> None:
        self.into, self.out, self.due_ns = into, out, due_ns

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.into.source = self
        self.out.open(self)

    def data_received(self, data: bytes) -> None:
        self.into.put(data, self.due_ns())

    def eof_received(self) -> bool:
        self.into.put(b"", self.due_ns())
        return True  # half closed: the answer may still be on its way

    def connection_lost(self, exc: Exception | None) -> None:
        self.out.drop()
        if exc is not None:
            self.into.put(None, self.due_ns())

    def pause_writing(self) -> None:
        self.out.block(blocked=True)

    def resume_writing(self) -> None:
        self.out.block(blocked=False)

    def take(self, data: bytes | memoryview | None) -> None:
        """Is sent bytes, an end, or a reset; the second of two ends is the connection's."""
        if self.transport.is_closing():
            return
        if data is None:
            reset(self.transport)
        elif data:
            self.transport.write(data)
        elif self.into.ended and self.into.sink is not None:
            self.transport.close()
            self.into.sink.transport.close()
        else:
            self.transport.write_eof()


def reset(transport: asyncio.Transport) -> None:
    """Closes a connection such that its peer is told of an error, not of an end."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CLOSE_BY_RESET)
    transport.abort()


class Client(End):
    """The side that connects: opens the other one, a round trip's worth of waiting included."""

    def __init__(self, line: Line) -> None:
        self.line = line
        super().__init__(Pipe(line.up), Pipe(line.down), self._due_ns)
        self.opened_ns = 0  # when its connection would be open on its own side
        self.ready_ns = 0  # when the first bytes of the other side could be here
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        line = self.line
        if not line.admit():
            reset(cast("asyncio.Transport", transport))
            return
        self.opened_ns = time.monotonic_ns() + line.trip_ns
        self.ready_ns = self.opened_ns + line.trip_ns
        super().connection_made(transport)
        self.task = asyncio.get_running_loop().create_task(self._connect())

    def connection_lost(self, exc: Exception | None) -> None:
        if self.task is not None:
            self.line.open -= 1
            super().connection_lost(exc)

    async def _connect(self) -> None:
        line = self.line
        await line.thawed.wait()
        try:
            async with asyncio.timeout(CONNECT_S):
                await asyncio.get_running_loop().create_connection(
                    lambda: End(self.out, self.into, lambda: max(time.monotonic_ns(), self.ready_ns)),
                    line.to_host,
                    line.to_port,
                )
        except (OSError, UnicodeError):  # the latter: a host that is no name
            line.refused += 1
            self.into.drop()
            self.out.put(None, self.opened_ns)

    def _due_ns(self) -> int:
        # The whole round trip is added here, which a client cannot tell from half on each way. The first bytes wait
        # for one more, because over a network opening the connection would itself have cost one.
        return max(time.monotonic_ns(), self.opened_ns) + self.line.trip_ns


class Line:
    """All that passes from one port to another, and how."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, to_host: str, to_port: int, most: int = CONNECTIONS_MAX
    ) -> None:
        wire = Wire(loop)
        self.to_host, self.to_port, self.most = to_host, to_port, most
        self.up, self.down = Lane(wire), Lane(wire)
        self.trip_ns = 0
        self.drop = 0.0
        self.thawed = asyncio.Event()
        self.thawed.set()
        self.open = self.opened = self.dropped = self.refused = 0
        self._random = random.Random(1)  # noqa: S311 - chances, no secrets

    def change(self, *, round_trip_s: float, bandwidth_bps: int, drop: float, frozen: bool) -> None:
        """How bytes pass from now on; what has a due time keeps it."""
        self.trip_ns = round(round_trip_s * 1e9)
        self.drop = drop
        (self.thawed.clear if frozen else self.thawed.set)()
        for lane in (self.up, self.down):
            lane.change(bandwidth_bps, frozen=frozen)

    def admit(self) -> bool:
        """Whether a new connection is let in; counts it."""
        self.opened += 1
        if self.thawed.is_set() and self.drop and self._random.random() < self.drop:
            self.dropped += 1
            return False
        if self.open >= self.most:
            self.refused += 1
            return False
        self.open += 1
        return True

    def stats(self) -> dict[str, int]:
        """What has passed so far, and what is on its way."""
        return {
            "open": self.open,
            "opened": self.opened,
            "dropped": self.dropped,
            "refused": self.refused,
            "up_bytes": self.up.passed_bytes,
            "down_bytes": self.down.passed_bytes,
            "held_bytes": self.up.held_bytes + self.down.held_bytes,
        }

    async def serve(self, listening: socket.socket) -> asyncio.Server:
        """Starts to accept at a socket that listens."""
        return await asyncio.get_running_loop().create_server(lambda: Client(self), sock=listening, backlog=4096)
