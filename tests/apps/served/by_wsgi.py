"""A WSGI app: / answers at once, /wait when it is released, /hang after a minute."""

import time
from collections.abc import Callable

import told

UNCALLABLE = "a text"


def application(environ: dict[str, str], start_response: Callable[..., object]) -> list[bytes]:
    while environ["PATH_INFO"] == "/wait" and not told.released():
        time.sleep(0.01)
    if environ["PATH_INFO"] == "/hang":
        time.sleep(60)
    body = told.answer()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def create(title: str = "served by") -> Callable[..., object]:
    told.TITLE = title
    return application
