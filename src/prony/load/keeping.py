"""The answer to a journey's step in, its fields and body out: a connection that keeps what a page is read from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prony.load.connection import Connection
from prony.load.pages import PAGE_BYTES_MAX, Heads
from prony.load.streams import StreamConnection
from prony.samples import OK

if TYPE_CHECKING:
    import socket

    from prony.load.connection import Owner
    from prony.load.visitor import Answer


class PageConnection(StreamConnection):
    """A connection that keeps the answers to journeys' steps: those of negative `user`s."""

    __slots__ = ("heads", "pieces", "taken")

    def __init__(self, owner: Owner, sock: socket.socket, body_bytes_max: int) -> None:
        super().__init__(owner, sock, body_bytes_max)
        self.heads: Heads = []
        self.pieces: list[bytes] | None = []
        self.taken = 0

    def on_message_begin(self) -> None:
        """httptools: what was taken of an interim answer goes."""
        if self.user >= 0:
            super().on_message_begin()
            return
        if not self.complete:
            self.heads = []
            self.pieces = []
            self.taken = 0
        Connection.on_message_begin(self)

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
        else:
            Connection.on_headers_complete(self)

    def on_body(self, data: bytes) -> None:
        """httptools: a piece of a body."""
        if self.user >= 0:
            super().on_body(data)
        elif not self.complete and self.pieces is not None:
            self.pieces.append(data)
            self.taken += len(data)
            if self.taken > PAGE_BYTES_MAX:
                self.pieces = None

    def _judged(self) -> int:
        return super()._judged() if self.user >= 0 else OK  # a step is judged by its journey

    def answer(self) -> Answer:
        """What has come; once for each answer."""
        heads, pieces = self.heads, self.pieces
        self.heads = []
        self.pieces = []
        body = None if pieces is None else pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return self.status, heads, body
