"""A streamed answer as it comes in, its events out: when the first one came, and the gaps between them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from prony.load.checking import CheckingConnection
from prony.samples import CHECK_FAILED, EVENT_GAP, FIRST_EVENT, OK, word

if TYPE_CHECKING:
    import socket

    from prony.load.connection import Owner
    from prony.load.mix import Route

_EVENT_STREAM: Final = b"text/event-stream"
_NO_BOUND: Final = 2**62  # a stream ends by time or events; nothing of it is kept
BYTES_MAX: Final = 2**32 - 1  # that a sample can tell of

_monotonic_ns = time.monotonic_ns


class EventReader:
    """Pieces of a text/event-stream into how many events each completes; keeps of it no more than a few bytes.

    An event ends with an empty line and has data, as the HTML standard's chapter on server-sent events says: comments
    and pings without data are none.
    """

    __slots__ = ("_after_return", "_data", "_line")

    def __init__(self) -> None:
        self._line = b""  # the beginning of the line under way
        self._data = False  # whether the event under way has data
        self._after_return = False

    def feed(self, piece: bytes) -> int:
        """How many events end within the next bytes."""
        if self._after_return and piece.startswith(b"\n"):
            piece = piece[1:]
        self._after_return = piece.endswith(b"\r")
        *lines, rest = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        count = 0
        for line in lines:
            whole = self._line + line[:8]
            self._line = b""
            if whole:
                self._data = self._data or whole.startswith(b"data:") or whole == b"data"
            elif self._data:
                count += 1
                self._data = False
        self._line = (self._line + rest[:8])[:8]
        return count


class StreamConnection(CheckingConnection):
    """A connection that also reads streamed answers: events of a text/event-stream, else whatever comes in pieces."""

    __slots__ = ("events", "latest_ns", "most", "reader")

    def __init__(self, owner: Owner, sock: socket.socket, body_bytes_max: int) -> None:
        super().__init__(owner, sock, body_bytes_max)
        self.most = body_bytes_max
        self.events = self.latest_ns = 0
        self.reader: EventReader | None = None

    def begin(self, route: Route, wire: bytes, due_ns: int, sent_ns: int, turn: int) -> int:
        """Write a request; see `Connection`."""
        self.body_bytes_max = self.most
        if route.stream is not None:
            self.body_bytes_max = _NO_BOUND
            self.events = self.latest_ns = 0
            self.reader = None
        return super().begin(route, wire, due_ns, sent_ns, turn)

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: a header field, or a trailer."""
        route = self.route
        if route is not None and route.stream is not None and not self.head_done and name.lower() == b"content-type":
            self.reader = EventReader() if value.strip().lower().startswith(_EVENT_STREAM) else None
        super().on_header(name, value)

    def on_body(self, data: bytes) -> None:
        """httptools: a piece of a body."""
        route = self.route
        if route is None or route.stream is None:
            super().on_body(data)
            return
        self.received = min(self.received, BYTES_MAX)
        if self.complete or self.status not in route.statuses:
            return
        now_ns = _monotonic_ns()
        for _ in range(1 if self.reader is None else self.reader.feed(data)):
            if self.complete:
                return
            first = not self.events
            self.events += 1
            kind = FIRST_EVENT if first else EVENT_GAP
            due_ns = self.due_ns if first else self.latest_ns
            end = word(self.turn, OK, kind)
            self.owner.add(due_ns, self.sent_ns, self.first_byte_ns, now_ns, 0, route.number, self.status, end)
            self.latest_ns = now_ns
            if self.events == route.stream.events:
                self.complete = True
                self.keep_alive = False  # the rest of it is not waited for

    @property
    def settled(self) -> bool:
        """Whether more of a stream would not change how it is judged: an event has come, or a wrong status."""
        return self.events > 0 or (self.head_done and self.route is not None and self.status not in self.route.statuses)

    def judged(self) -> int:
        """How the answer ends; a stream without an event is not right."""
        route = self.route
        if route is None or route.stream is None:
            return super().judged()
        outcome = super().judged()
        if outcome == OK and not self.events:
            self.owner.lacking("a stream ended without an event")
            return CHECK_FAILED
        return outcome
