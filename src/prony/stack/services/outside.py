"""A slow outside service of ours: HTTP requests in, answers late, wrong or in a stream out, as its knobs say.

`outside FD SOCKET SETTINGS` accepts at the descriptor it was handed and takes changes, while it runs, at a Unix socket.
Any method and path is answered with {"n": requests so far, "waited_s": from the whole request to the answer}. What is
asked for below /stream, or with Accept: text/event-stream, gets its events one by one.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httptools
import uvloop

from prony.knobs.outside import OUTSIDE
from prony.stack.launch import Launcher, Process
from prony.stack.services import control
from prony.stack.services.wire import Wire

if TYPE_CHECKING:
    from prony.plan import Outside

DEFAULTS = {knob.key: knob.default for knob in OUTSIDE}
BOUNDS = {knob.key: (knob.low or 0.0, knob.high or 0.0) for knob in OUTSIDE}
CONNECTIONS_MAX = 16_384
HEAD_BYTES_MAX = 64 * 1024
BODY_BYTES_MAX = 16 * 1024 * 1024
PIPELINED_MAX = 16
LATENCY_MAX_S = 600.0
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class OutsideService:
    """A service that stands in for somebody's, inside the stack's network.

    Args:
        launcher: Starts it.
        logs: Folder of its log.
        run_folder: Folder of its control socket.
        cores: Cores it may run on.
        name: NAME of [services.NAME].
    """

    def __init__(self, launcher: Launcher, logs: Path, run_folder: Path, cores: tuple[int, ...], name: str) -> None:
        self._remote = control.Remote(
            launcher,
            "prony.stack.services.outside",
            f"the outside service {name}",
            logs=logs,
            path=run_folder / f"outside-{name}.socket",
            cores=cores,
        )

    @property
    def port(self) -> int:
        """Where it listens, from the first start to the last; 0 before."""
        return self._remote.port

    @property
    def process(self) -> Process | None:
        """The running program."""
        return self._remote.process

    def url(self) -> str:
        """What the app is told of it."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, settings: Outside) -> None:
        """Starts it, or changes the one that runs; returns when it serves so.

        Raises:
            StackError: it did not come up.
        """
        wanted = DEFAULTS | settings.knobs
        if self._remote.alive:
            self.change(**wanted)
        else:
            self._remote.start(wanted)

    def change(self, **knobs: Any) -> dict[str, Any]:
        """Changes some knobs while it runs; requests that wait already keep the latency they were given.

        Returns:
            All knobs now in force.

        Raises:
            StackError: no such knob or value, or the program is gone.
        """
        found: dict[str, Any] = self._remote.ask(knobs)["settings"]
        return found

    def stats(self) -> dict[str, Any]:
        """Since its start: requests received, answered {status: count} and gone (the client did not wait).

        Besides, now and at most: in_flight and in_flight_max (being served), waiting and waiting_max (for one of its
        connections to be free); and open, the connections it has now.
        """
        found: dict[str, Any] = self._remote.ask({})["stats"]
        return found

    def stop(self) -> None:
        """Ends it; it may be started again, on the same port."""
        self._remote.stop()


class Request:
    """One request that has come in whole."""

    def __init__(self, client: Client, number: int) -> None:
        self.client, self.number = client, number
        self.method = client.parser.get_method()
        self.old = client.parser.get_http_version() == "1.0"
        self.keep = client.parser.should_keep_alive()
        self.stream = client.wants_events or b"/stream" in client.path.partition(b"?")[0]
        self.came_ns = time.monotonic_ns()
        self.failed = False
        self.events = 0  # still to be sent
        self.next_ns = 0


class Service:
    """Decides when each request is answered, and how."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.wire = Wire(loop)
        self.settings: dict[str, Any] = DEFAULTS
        self.open = self.received = self.gone = self.in_flight = self.in_flight_max = self.waiting_max = 0
        self.answered: Counter[int] = Counter()
        self._waiting: deque[Request] = deque()
        self._random = random.Random(1)  # noqa: S311 - chances, no secrets

    def order(self, order: dict[str, Any]) -> dict[str, Any]:
        """Changes what it is told to; all knobs and counts."""
        self.settings = control.changed(self.settings, order, BOUNDS)
        if "seed" in order:
            self._random.seed(self.settings["seed"])
        self._admit()
        stats = {
            "received": self.received,
            "answered": dict(self.answered),
            "gone": self.gone,
            "in_flight": self.in_flight,
            "in_flight_max": self.in_flight_max,
            "waiting": len(self._waiting),
            "waiting_max": self.waiting_max,
            "open": self.open,
        }
        return {"settings": self.settings, "stats": stats}

    def take(self, request: Request) -> None:
        """A request that is its client's next."""
        self._waiting.append(request)
        self._admit()
        self.waiting_max = max(self.waiting_max, len(self._waiting))

    def _admit(self) -> None:
        most = self.settings["connections"] or math.inf
        while self._waiting and self.in_flight < most:
            request = self._waiting.popleft()
            if request.client.lost:
                self.gone += 1
                continue
            self.in_flight += 1
            self.in_flight_max = max(self.in_flight_max, self.in_flight)
            spread = self.settings["spread"] * self._random.gauss()
            latency_s = min(self.settings["latency"] * math.exp(spread), LATENCY_MAX_S)
            request.failed = self._random.random() < self.settings["errors"]
            due_ns = time.monotonic_ns() + round(latency_s * 1e9)
            self.wire.put(due_ns, partial(self._answer, request))

    def _answer(self, request: Request) -> None:
        if request.client.lost:
            self._over(request)
            return
        now_ns = time.monotonic_ns()
        status = self.settings["error_status"] if request.failed else 200
        self.answered[status] += 1
        found = {"n": request.number, "waited_s": (now_ns - request.came_ns) / 1e9}
        if request.stream and not request.failed:
            framing = "" if request.old else "Transfer-Encoding: chunked\r\n"
            request.keep = request.keep and not request.old
            request.client.write(head(request, status, f"Content-Type: text/event-stream\r\n{framing}"))
            request.events = 0 if request.method == b"HEAD" else self.settings["events"]
            request.next_ns = now_ns
            self._event(request)
            return
        body = json.dumps(found).encode()
        lacking = self.settings["body_bytes"] - len(body) - len(', "pad": ""')
        if lacking > 0:
            body = body[:-1] + b', "pad": "' + b"x" * lacking + b'"}'
        fields = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        request.client.write(head(request, status, fields) + (b"" if request.method == b"HEAD" else body))
        self._over(request)

    def _event(self, request: Request) -> None:
        """The next event, and when it is time the one after it; none runs ahead of a client that reads slowly."""
        client = request.client
        if client.lost:
            self._over(request)
        elif client.full:
            client.when_room = partial(self._event, request)
        elif request.events:
            request.events -= 1
            left = {"n": request.number, "left": request.events}
            client.write(chunk(request, f"data: {json.dumps(left)}\n\n".encode()))
            request.next_ns += round(self.settings["every"] * 1e9)
            due_ns = max(request.next_ns, time.monotonic_ns()) if request.events else time.monotonic_ns()
            self.wire.put(due_ns, partial(self._event, request))
        else:
            if request.method != b"HEAD":
                client.write(chunk(request, b""))
            self._over(request)

    def _over(self, request: Request) -> None:
        self.gone += request.client.lost
        self.in_flight -= 1
        request.client.answered(request)
        self._admit()


class Client(asyncio.Protocol):
    """One connection: its requests are answered one after the other."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.parser = httptools.HttpRequestParser(self)
        self.lost = self.full = self.deaf = False
        self.when_room: Callable[[], None] | None = None
        self._current: Request | None = None
        self._later: deque[Request] = deque()
        self._head_bytes = 0
        self._in_head = True
        self.on_message_begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.service.open += 1
        if self.service.open > CONNECTIONS_MAX:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.lost = True
        self.service.open -= 1
        self.service.gone += len(self._later)
        self._later.clear()
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        if self.deaf:
            return
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # nothing is spoken here but HTTP/1: answered as if it had not asked
            self.deaf = True
            for request in (*self._later, self._current):
                if request is not None:
                    request.keep = False
        except httptools.HttpParserError:
            self._refuse(400)
        if self._in_head and self._head_bytes > HEAD_BYTES_MAX:
            self._refuse(431)
        if len(self._later) >= PIPELINED_MAX:
            self.transport.pause_reading()

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        call, self.when_room = self.when_room, None
        if call is not None:
            call()
        self._next()

    def on_message_begin(self) -> None:
        self.path, self.wants_events, self.wants_leave = b"", False, False
        self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        self.path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.wants_events |= name.lower() == b"accept" and b"text/event-stream" in value.lower()
        self.wants_leave |= name.lower() == b"expect" and value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes = False, 0
        if self.wants_leave and self._current is None:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > BODY_BYTES_MAX:
            self._refuse(413)

    def on_message_complete(self) -> None:
        self._in_head = True
        if self.deaf:
            return
        self.service.received += 1
        self._later.append(Request(self, self.service.received))
        self._next()

    def write(self, data: bytes) -> None:
        """Sends bytes, if there is still somebody."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def answered(self, request: Request) -> None:
        """One answer is complete: the next request's turn, if the connection stays."""
        self._current = None
        if not request.keep and not self.lost:
            self.deaf = True
            self._later.clear()
            self.transport.close()
        elif not self.lost:
            self._next()
            if len(self._later) < PIPELINED_MAX:
                self.transport.resume_reading()

    def _next(self) -> None:
        if self._current is None and self._later and not self.full and not self.lost:
            self._current = self._later.popleft()
            self.service.take(self._current)

    def _refuse(self, status: int) -> None:
        if self.deaf:
            return
        self.deaf = True
        self.service.answered[status] += 1
        fields = "Connection: close\r\nContent-Length: 0\r\n\r\n"
        self.write(f"HTTP/1.1 {status} {_PHRASES[status]}\r\n{fields}".encode())
        self.transport.close()


def head(request: Request, status: int, fields: str) -> bytes:
    """An answer's first lines, up to the body."""
    phrase = _PHRASES.get(status, "Error")
    stays = "" if request.keep and not request.old else f"Connection: {'keep-alive' if request.keep else 'close'}\r\n"
    return f"HTTP/1.1 {status} {phrase}\r\n{fields}{stays}\r\n".encode()


def chunk(request: Request, data: bytes) -> bytes:
    """A piece of a streamed body; no bytes make its end."""
    return data if request.old else b"%x\r\n%b\r\n" % (len(data), data)


async def serve(listening: socket.socket, path: str, wanted: dict[str, Any]) -> None:
    """Answers until ended."""
    loop = asyncio.get_running_loop()
    service = Service(loop)
    service.order(wanted)
    server = await loop.create_server(lambda: Client(service), sock=listening, backlog=control.BACKLOG)
    async with server, await control.listen(path, service.order):
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2], json.loads(sys.argv[3])))
