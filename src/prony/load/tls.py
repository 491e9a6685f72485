"""A kind of connection in, the same over TLS out."""

from __future__ import annotations

import ssl
import time
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from prony.load.connection import Connection, Owner
    from prony.load.mix import Route

_PORTION: Final = 64 * 1024
_monotonic_ns = time.monotonic_ns


@cache
def _context() -> ssl.SSLContext:
    """Certificates are not looked at: load goes to loopback, or where it was let in, and a test server's is its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


class _Over:
    """What a socket does, over TLS: nothing blocks, and what would is a BlockingIOError, whichever way it waits."""

    def __init__(self, sock: socket.socket, server: str) -> None:
        self._sock = sock
        self._taken = ssl.MemoryBIO()
        self._given = ssl.MemoryBIO()
        self._tls = tls = _context().wrap_bio(self._taken, self._given, server_hostname=server)
        self._read = cast("Callable[[int, memoryview], int]", tls.read)  # into a buffer, it returns how many bytes
        self._left = memoryview(b"")
        self.shaken = False
        self.dry = True  # nothing that has come waits to be read

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()

    def flush(self) -> bool:
        """Write what TLS has to say; whether all of it went."""
        while True:
            if not self._left:
                self._left = memoryview(self._given.read())
            if not self._left:
                return True
            try:
                self._left = self._left[self._sock.send(self._left) :]
            except BlockingIOError:
                return False

    def take(self) -> None:
        """Read what has come. An end is told to TLS."""
        self.dry = False
        piece = self._sock.recv(_PORTION)
        if piece:
            self._taken.write(piece)
        else:
            self._taken.write_eof()

    def shake(self) -> bool:
        """Go on with the handshake; whether it is done."""
        if not self.shaken:
            try:
                self._tls.do_handshake()
                self.shaken = True
            except ssl.SSLWantReadError:
                pass
            self.flush()
        return self.shaken

    def send(self, data: Any) -> int:
        if not self.shake():
            raise BlockingIOError
        written = self._tls.write(data)
        self.flush()
        return written

    def recv_into(self, buffer: memoryview, size: int = 0) -> int:
        try:
            return self._read(size or len(buffer), buffer)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self.dry = True
            raise BlockingIOError from None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self.dry = True
            return 0


class _OverTls:
    """What differs in a connection over TLS; goes before a kind of `Connection`."""

    __slots__ = ()
    drains = False  # of bytes that came, TLS takes a portion at a time

    # what the other class has
    fd: int
    owner: Owner
    sock: _Over
    unsent: bytes
    parser: object

    def begin(self, route: Route, wire: bytes, due_ns: int, sent_ns: int, turn: int) -> int:
        """Write a request; see `Connection`."""
        code: int = super().begin(route, wire, due_ns, sent_ns, turn)  # type: ignore[misc] # the other class has it
        if not code and not self.unsent and not self.sock.flush():
            self.owner.loop.add_writer(self.fd, self.on_writable)
        return code

    def on_writable(self) -> None:
        """The socket takes bytes: TLS's own first, then the request's."""
        try:
            self.sock.flush()
            if not self.sock.shake():
                self.owner.loop.remove_writer(self.fd)  # the server's turn
                return
        except OSError as error:
            self._fail(error)
            return
        if self.unsent:
            super().on_writable()  # type: ignore[misc] # the same
        elif self.sock.flush():
            self.owner.loop.remove_writer(self.fd)

    def on_readable(self) -> None:
        """Bytes have come: all that they hold is read."""
        try:
            self.sock.take()
            if not self.sock.shaken:
                if self.sock.shake():
                    self.owner.loop.add_writer(self.fd, self.on_writable)
                return
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error)
            return
        while not self.sock.dry and self.parser is not None:
            super().on_readable()  # type: ignore[misc] # the same

    def close(self) -> None:
        """Give the socket back. Nothing is called afterwards."""
        self.owner.loop.remove_writer(self.fd)
        super().close()  # type: ignore[misc] # the same

    def _fail(self, error: OSError) -> None:
        code = 0 if isinstance(error, ssl.SSLError) else error.errno or -1
        self.owner.broken(cast("Connection", self), code, _monotonic_ns())


def over_tls(kind: type[Connection]) -> type[Connection]:
    """The kind of connection, its socket wrapped in TLS. A handshake that fails is a connection that was reset."""

    def wrapped(self: Any, owner: Owner, sock: socket.socket, body_bytes_max: int) -> None:
        kind.__init__(self, owner, cast("socket.socket", _Over(sock, owner.server_name)), body_bytes_max)

    made = type(f"{kind.__name__}OverTls", (_OverTls, kind), {"__slots__": (), "__init__": wrapped})
    return cast("type[Connection]", made)
