"""The answer to a journey's step in, its fields and body out: a connection that keeps what a page is read from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prony.load.checking import CheckingConnection, joined
from prony.load.connection import Connection
from prony.load.pages import PAGE_BYTES_MAX, Answer, Heads
from prony.load.streams import StreamConnection
from prony.samples import OK

if TYPE_CHECKING:
    import socket

    from prony.load.connection import Owner


class PageConnection(StreamConnection):
    """A connection that keeps the answers to journeys' steps: those of negative `user`s.

    Of a step that is judged by checks only what these ask for is taken, as of any request; nobody reads its page.
    """

    __slots__ = ("body", "heads")

    def __init__(self, owner: Owner, sock: socket.socket, body_bytes_max: int) -> None:
        super().__init__(owner, sock, body_bytes_max)
        self.heads: Heads = []
        self.body: bytes | bytearray | None = b""

    def on_message_begin(self) -> None:
        """httptools: what was taken of an interim answer goes."""
        if self.user < 0 and not self.complete:
            self.heads = []
            self.body = b""
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: a header field, or a trailer."""
        if self.user >= 0:
            super().on_header(name, value)
        elif not self.head_done:
            self.heads.append((name, value))

    def on_headers_complete(self) -> None:
        """httptools: a head is whole."""
        if self.user >= 0:
            super().on_headers_complete()
        elif self.route is None or self.route.checks is None:
            Connection.on_headers_complete(self)
        else:
            for name, value in self.heads if not self.head_done else ():
                CheckingConnection.on_header(self, name, value)
            super().on_headers_complete()

    def on_body(self, data: bytes) -> None:
        """httptools: a piece of a body."""
        if self.user >= 0 or (self.route is not None and self.route.checks is not None):
            super().on_body(data)
        elif not self.complete:
            self.size += len(data)
            if self.size > PAGE_BYTES_MAX:
                self.body = None
            else:
                self.body = joined(self.body, data) if self.body else data

    def judged(self) -> int:
        """How the answer ends; a step is judged by its journey."""
        return super().judged() if self.user >= 0 else OK

    def answer(self) -> Answer:
        """What has come; once for each answer."""
        checks = None if self.route is None else self.route.checks
        body = None if self.body is None or checks is not None else bytes(self.body)
        found = Answer(self.status, self.heads, body, self.size, None if checks is None else self.lacks(checks))
        self.heads = []
        self.body = b""
        self._let_go()
        return found
