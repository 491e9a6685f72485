"""An answer as it comes in, whether it is as its route expects out: a connection that takes what the checks ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prony.load.checks import KEPT_BYTES_MAX
from prony.load.connection import Connection
from prony.samples import CHECK_FAILED, OK

if TYPE_CHECKING:
    import socket

    from prony.load.checks import Checks
    from prony.load.connection import Owner

KEPT_BYTES_IN_ALL_MAX: Final = 64 * 1024 * 1024  # of bodies still to be judged, on all connections


class CheckingConnection(Connection):
    """A connection that also takes of an answer what its route's checks ask for: fields, length, a text, the body."""

    __slots__ = ("fields", "found", "keeping", "kept", "size", "tail")

    def __init__(self, owner: Owner, sock: socket.socket, body_bytes_max: int) -> None:
        super().__init__(owner, sock, body_bytes_max)
        self.fields: dict[bytes, bytes] = {}
        self.kept: bytes | bytearray | None = b""
        self.keeping = self.found = False
        self.size = 0
        self.tail = b""

    def on_message_begin(self) -> None:
        """httptools: what was taken of a former answer, or of an interim one, goes."""
        if not self.complete:
            self._let_go()
        super().on_message_begin()

    def _let_go(self) -> None:
        if self.keeping:
            self.owner.kept_bytes -= self.size
            self.keeping = False
        self.fields = {}
        self.kept = b""
        self.found = False
        self.size = 0
        self.tail = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: a header field, or a trailer."""
        route = self.route
        if route is None or route.checks is None or self.head_done:
            return
        name = name.lower()
        if name in route.checks.wanted:
            former = self.fields.get(name)
            self.fields[name] = value if former is None else former + b", " + value

    def on_headers_complete(self) -> None:
        """httptools: a head is whole."""
        super().on_headers_complete()
        checks = None if self.route is None else self.route.checks
        if checks is not None and self.head_done and not self.complete and not self.size:
            self.keeping = checks.keeps or (checks.reads and b"content-encoding" in self.fields)

    def on_body(self, data: bytes) -> None:
        """httptools: a piece of a body."""
        route = self.route
        if route is None or route.checks is None or self.complete:
            return
        self.size += len(data)
        if self.keeping:
            self._keep(data)
            return
        needle = route.checks.needle
        if needle is None or self.found:
            return
        window = self.tail + data
        if needle in window:
            self.found = True
            self.tail = b""
        else:
            self.tail = window[max(0, len(window) - len(needle) + 1) :]

    def _keep(self, data: bytes) -> None:
        owner = self.owner
        owner.kept_bytes += len(data)
        self.kept = joined(self.kept, data) if self.kept else data
        if self.size > KEPT_BYTES_MAX or owner.kept_bytes > KEPT_BYTES_IN_ALL_MAX:
            owner.kept_bytes -= self.size
            self.kept = None
            self.keeping = False

    def judged(self) -> int:
        outcome = super().judged()
        checks = None if self.route is None else self.route.checks
        if outcome == OK and checks is not None:
            what = self.lacks(checks)
            if what is not None:
                self.owner.lacking(what)
                outcome = CHECK_FAILED
        self._let_go()
        return outcome

    def lacks(self, checks: Checks) -> str | None:
        """What the answer lacks of what is expected, in a sentence; None where it is right."""
        body = None if self.kept is None else bytes(self.kept)
        return checks.missing(self.fields, self.size, body, found=self.found)

    def close(self) -> None:
        """Give the socket back, and what was kept."""
        self._let_go()
        super().close()


def joined(kept: bytes | bytearray, data: bytes) -> bytearray:
    """The bytes before and those that follow, in one: a body may come in a million pieces of a byte each."""
    if isinstance(kept, bytes):
        kept = bytearray(kept)
    kept += data
    return kept
