"""An address into a socket that is connecting to it, or the errno that says why there is none."""

from __future__ import annotations

import errno
import socket


def opened(family: int, address: tuple[str, int]) -> tuple[socket.socket | None, int]:
    """A non-blocking socket on its way to the address and 0, or None and an errno."""
    sock: socket.socket | None = None
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(address)
    except OSError as error:
        code = error.errno or -1
    if code in {0, errno.EINPROGRESS}:
        return sock, 0
    if sock is not None:
        sock.close()
    return None, code
