"""A WSGI app that raises, before its answer or in the middle of it."""

from collections.abc import Callable, Iterator


class BrokenError(Exception):
    """What is raised before the answer."""


class TornError(Exception):
    """What is raised in the middle of it."""


def torn() -> Iterator[bytes]:
    yield b"the first half"
    raise TornError


def application(environ: dict[str, str], start_response: Callable[..., object]) -> Iterator[bytes]:
    if environ["PATH_INFO"] == "/torn":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return torn()
    raise BrokenError
