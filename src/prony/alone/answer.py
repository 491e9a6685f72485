"""One plain GET out, its answer back: to an address that is given, bounded in time and bytes, no redirect followed."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Mapping
from typing import NamedTuple

from prony.plan.destination import Destination

ANSWER_S = 10.0
BYTES_MAX = 64 * 1024


class Answer(NamedTuple):
    """What came: the status, header fields by name in small letters (several of one name joined), and the body."""

    status: int
    fields: dict[str, str]
    body: bytes


class _Received:
    """Bytes that came, as http.client reads them from a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: object, **__: object) -> io.BytesIO:
        return io.BytesIO(self._data)


def ask(
    destination: Destination,
    path: str,
    fields: Mapping[str, str] | None = None,
    *,
    host: str = "",
    timeout_s: float = ANSWER_S,
) -> Answer:
    """The answer to a GET of `path` at the destination's address, its first 64 KiB.

    Raises:
        OSError: nobody answers there, or not within the time.
        ValueError: what came is no answer in HTTP.
    """
    head = {"Host": host or destination.authority, "User-Agent": "prony", "Accept": "*/*"} | dict(fields or {})
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "Connection: close"]
    deadline = time.monotonic() + timeout_s
    with _connected(destination, timeout_s) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        data = b""
        while True:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"no whole answer within {timeout_s:.0f} s")
            connection.settimeout(left_s)
            more = connection.recv(BYTES_MAX)
            data += more
            answer = _parsed(data, whole=not more or len(data) >= BYTES_MAX)
            if answer is not None:
                return answer


def _connected(destination: Destination, timeout_s: float) -> socket.socket:
    """A connection to the destination's address; of https, over TLS; its certificate is not looked at."""
    connection = socket.create_connection((destination.address, destination.port), timeout_s)
    if destination.scheme == "http":
        return connection
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        return context.wrap_socket(connection, server_hostname=destination.host)
    except BaseException:
        connection.close()
        raise


def _parsed(data: bytes, *, whole: bool) -> Answer | None:
    """The answer in what came; None where there is more to come. `whole`: there is not."""
    if not whole and b"\r\n\r\n" not in data and b"\n\n" not in data:
        return None
    response = http.client.HTTPResponse(_Received(data), method="GET")  # type: ignore[arg-type] # reads makefile() only
    try:
        response.begin()
        body = response.read()
    except (http.client.IncompleteRead, http.client.RemoteDisconnected) as error:
        if not whole:
            return None
        if isinstance(error, http.client.RemoteDisconnected):
            raise ConnectionResetError("the connection was closed without an answer") from None
        body = error.partial
    except (http.client.HTTPException, ValueError) as error:
        raise ValueError(f"not an answer in HTTP: {type(error).__name__}") from None
    if not whole and response.length is None and not response.chunked:  # it lasts until the connection is closed
        return None
    fields: dict[str, str] = {}
    for name, value in response.getheaders():
        key = name.lower()
        fields[key] = f"{fields[key]}, {value}" if key in fields else value
    return Answer(response.status, fields, body)
