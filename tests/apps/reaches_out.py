"""A WSGI app that connects to an outside address (/connect) or looks up an outside name (any other path)."""

import socket
from collections.abc import Callable


def application(environ: dict[str, str], start_response: Callable[..., object]) -> list[bytes]:
    try:
        if environ["PATH_INFO"] == "/connect":
            socket.create_connection(("192.0.2.1", 80), timeout=1)
        else:
            socket.getaddrinfo("shop.invalid", 443)
        text = "reached"
    except PermissionError as error:
        text = str(error)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]
