"""Requests in, the same small answer out: `python -m prony.load.null [FD]`, a server that does nothing else.

It serves at the listening descriptor it was handed; without one it makes its own, prints the port and ends with its
standard input. Against it, what a load generator can do is the generator's own.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from typing import Final

from prony.load.loop import Loop

BODY_BYTES: Final = 148
ANSWER: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES + b"x" * BODY_BYTES
)
_END: Final = b"\r\n\r\n"
_BUFFER: Final = bytearray(64 * 1024)


class _Visitor:
    """One connection: an answer for each request's end, whatever it asks for."""

    def __init__(self, loop: Loop, sock: socket.socket) -> None:
        self._loop = loop
        self._sock = sock
        loop.add_reader(sock.fileno(), self._on_readable)

    def _on_readable(self) -> None:
        try:
            size = self._sock.recv_into(_BUFFER)
            if size:
                self._sock.send(ANSWER * _BUFFER.count(_END, 0, size))
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()


def main(arguments: list[str]) -> int:
    """Serve until ended; returns the exit code."""
    loop = Loop()
    listener = socket.socket(fileno=int(arguments[0])) if arguments else socket.create_server(("127.0.0.1", 0))
    listener.listen(1024)
    listener.setblocking(False)

    def welcome() -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _Visitor(loop, sock)

    loop.add_reader(listener.fileno(), welcome)
    if not arguments:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(sys.stdin.fileno(), 64) else loop.stop())
    loop.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
