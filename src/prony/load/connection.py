"""Bytes from one socket into the end of one request: HTTP/1.1 answers read with httptools, whatever a server sends."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final, Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from prony.samples import OK, PROTOCOL_ERROR, WRONG_STATUS

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from prony.load.loop import Loop
    from prony.load.mix import Route

HEAD_BYTES_MAX: Final = 64 * 1024
_BODILESS: Final = frozenset((101, 204, 304))
_DELIMITED: Final = re.compile(rb"^(?:content-length|transfer-encoding)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_HEAD_END: Final = b"\r\n\r\n"

# All connections read into one buffer: an answer is parsed before the next is read. It is as long as the longest head.
_BYTES: Final = bytearray(HEAD_BYTES_MAX)
_BUFFER: Final = memoryview(_BYTES)
_is_what_came = _BYTES.startswith

_monotonic_ns = time.monotonic_ns


class Owner(Protocol):
    """Whom a connection tells how its request ended."""

    loop: Loop
    server_name: str  # that TLS asks for
    add: Callable[..., None]  # appends a sample: see `prony.load.segment.Segment.add`
    kept_bytes: int  # of bodies that are being kept, on all connections

    def ended(self, connection: Connection, outcome: int, now_ns: int) -> None:
        """The connection's request ended with this outcome; the connection may be `reusable`."""

    def lacking(self, what: str) -> None:
        """An answer was not as expected: what it lacked."""

    def broken(self, connection: Connection, code: int, now_ns: int) -> None:
        """The socket failed with this errno, 0 where the server closed it; a request may have been under way."""


class Connection:
    """One socket with at most one request under way.

    The socket is watched from the start, also while it is idle or still connecting. Nothing a server sends raises:
    what is not HTTP, or more of it than fits the bounds, ends the request as a protocol error. An answer that is, byte
    for byte, one of its route that was read and found right before, is not read again.

    Args:
        owner: Told how each request ended.
        sock: A non-blocking socket, connected or connecting. Closed by `close`.
        body_bytes_max: Longest body taken, as transferred.
    """

    drains = True  # it is told once of what has come: a read that is not short is followed by others

    __slots__ = (
        "_head",
        "among",
        "body_bytes_max",
        "complete",
        "connected",
        "due_ns",
        "fd",
        "first_byte_ns",
        "head_done",
        "keep_alive",
        "more",
        "owner",
        "parser",
        "parser_clean",
        "received",
        "recv_into",
        "retried",
        "room",
        "route",
        "send",
        "sent_ns",
        "sock",
        "status",
        "turn",
        "unsent",
        "user",
        "uses",
        "wire",
    )

    def __init__(self, owner: Owner, sock: socket.socket, body_bytes_max: int) -> None:
        self.owner = owner
        self.sock = sock
        self.fd = sock.fileno()
        self.recv_into = sock.recv_into
        self.send = sock.send
        self.body_bytes_max = body_bytes_max
        self.parser: HttpResponseParser | None = HttpResponseParser(self)
        self.parser_clean = True
        self.route: Route | None = None  # None while idle
        self.user = 0  # who sent the latest request
        self.uses = 0
        self.wire = self.unsent = b""
        self.room = 0  # most bytes to read at once; 0 is the whole buffer
        self.more = False  # whether it is read on though it is told of nothing new
        self.retried = False
        self.connected = False
        self.turn = 0  # whose samples these are: an arrival's ordinal and the attempt at it (see `prony.samples`)
        self.among: dict[Connection, None] = {}  # where its owner keeps it while a request is under way
        self.due_ns = self.sent_ns = self.first_byte_ns = self.received = self.status = 0
        self.head_done = self.complete = self.keep_alive = False
        self._head = b""
        owner.loop.add_reader(self.fd, self.on_readable, new=self.drains)

    def begin(self, route: Route, wire: bytes, due_ns: int, sent_ns: int, turn: int) -> int:
        """Write a request, now or as soon as the socket takes it.

        Args:
            route: Which kind it is.
            wire: The whole of it.
            due_ns: When it was due.
            sent_ns: This instant.
            turn: Whose it is.

        Returns:
            0, or the errno with which the socket failed.
        """
        self.route = route
        self.wire = wire
        self.due_ns = due_ns
        self.sent_ns = sent_ns
        self.turn = turn
        self.first_byte_ns = self.received = self.status = 0
        self.head_done = self.complete = False
        self.uses += 1
        try:
            written = self.send(wire)
        except BlockingIOError:
            written = 0
        except OSError as error:
            return error.errno or -1
        if written == len(wire):
            self.connected = True
        else:
            self.unsent = wire[written:]
            self.owner.loop.add_writer(self.fd, self.on_writable)
        return 0

    def on_writable(self) -> None:
        """Write what was left over, once a connect has ended or the peer has read."""
        try:
            self.unsent = self.unsent[self.send(self.unsent) :]
        except BlockingIOError:
            return
        except OSError as error:
            self.owner.broken(self, error.errno or -1, _monotonic_ns())
            return
        self.connected = True
        if not self.unsent:
            self.owner.loop.remove_writer(self.fd)

    def on_readable(self) -> None:
        """Take what has come: part of an answer, its end, the end of the connection, or bytes nobody asked for."""
        try:
            size = self.recv_into(_BUFFER, self.room)
        except BlockingIOError:
            self.more = False
            return
        except OSError as error:
            self.owner.broken(self, error.errno or -1, _monotonic_ns())
            return
        now_ns = _monotonic_ns()
        route = self.route
        if not size or route is None or self.parser is None:
            self._end_of_stream(now_ns)
            return
        if not self.first_byte_ns:
            self.first_byte_ns = now_ns
            known = route.known
            if size == known.size and _is_what_came(known.answer):
                self.received = size
                self.status = known.status
                self.complete = self.keep_alive = True
                known.missed = 0
                self.owner.ended(self, OK, now_ns)
                return
        if size == (self.room or HEAD_BYTES_MAX) and self.drains and not self.more:
            self.more = True
            self.owner.loop.call_soon(self.on_more)
        received = self.received = self.received + size
        headed = self.head_done
        try:
            self.parser.feed_data(_BUFFER[:size])
        except (HttpParserError, HttpParserUpgrade):
            self.keep_alive = self.parser_clean = False
            if not self.complete:
                self.owner.ended(self, PROTOCOL_ERROR, now_ns)
                return
        if self.complete and received <= self.body_bytes_max:
            outcome = self.judged()
            if received == size and outcome == OK and route.known.keeps and self.keep_alive and self.parser_clean:
                route.known.keep(_BUFFER[:size], self.status)
            self.owner.ended(self, outcome, now_ns)
        else:
            self._go_on(size, headed, now_ns)

    def on_more(self) -> None:
        """More has come than one read takes: read on, in turns with all else, until there is nothing."""
        if self.parser is not None:  # it is not closed
            self.on_readable()
        if self.parser is not None and self.more:
            self.owner.loop.call_soon(self.on_more)

    def _go_on(self, size: int, headed: bool, now_ns: int) -> None:  # noqa: FBT001 - called from one place
        """The bounds, for an answer that is long or comes in pieces; `headed` before its latest `size` bytes."""
        if not headed:
            self._head += bytes(_BUFFER[:size])
        if not self.head_done:
            self.room = HEAD_BYTES_MAX - self.received
            if self.room <= 0:
                self.keep_alive = False
                self.owner.ended(self, PROTOCOL_ERROR, now_ns)
            return
        self.room = 0
        if self.received > self.body_bytes_max:
            at = self._head.find(_HEAD_END)
            if self.received - (at + len(_HEAD_END)) > self.body_bytes_max:
                self.keep_alive = False
                self.owner.ended(self, PROTOCOL_ERROR, now_ns)
                return
        if self.complete:
            self.owner.ended(self, self.judged(), now_ns)

    def _end_of_stream(self, now_ns: int) -> None:
        """The server closed, which ends an answer that said neither its length nor that it comes in chunks."""
        if self.head_done and not self.complete and not self.keep_alive and self.route is not None:
            head = self._head.partition(_HEAD_END)[0]
            if not _DELIMITED.search(head):
                self.complete = True
                self.owner.ended(self, self.judged(), now_ns)
                return
        self.owner.broken(self, 0, now_ns)

    def judged(self) -> int:
        """How the answer ends, by what has come of it."""
        route = self.route
        return OK if route is not None and self.status in route.statuses else WRONG_STATUS

    def on_message_begin(self) -> None:
        """httptools: a message begins; one after the answer was asked for by nobody."""
        if self.complete:
            self.keep_alive = False
        self.parser_clean = False

    def on_headers_complete(self) -> None:
        """httptools: a head is whole, of the answer or of an interim one (1xx)."""
        parser, route = self.parser, self.route
        if self.head_done or parser is None or route is None:
            return
        status = parser.get_status_code()
        if status < 200 and status != 101:
            return
        self.status = status
        self.head_done = True
        self.keep_alive = parser.should_keep_alive()
        if route.bodiless or status in _BODILESS:
            self.complete = True

    def on_message_complete(self) -> None:
        """httptools: a message is whole."""
        self.parser_clean = True
        if self.head_done:
            self.complete = True

    def reusable(self) -> bool:
        """Whether the next request can be sent here; makes the connection ready for it."""
        if not (self.complete and self.keep_alive) or self.unsent:
            return False
        self.route = None
        if self._head:
            self._head = b""
            self.room = 0
        if not self.parser_clean:  # a bodiless answer: the parser still waits for the length it read
            self.parser = HttpResponseParser(self)
            self.parser_clean = True
        return True

    def close(self) -> None:
        """Give the socket back. Nothing is called afterwards."""
        loop = self.owner.loop
        loop.remove_reader(self.fd)
        if self.unsent:
            loop.remove_writer(self.fd)
        self.sock.close()
        self.route = None
        self.parser = None  # the parser holds this object: the collector is off during a load
