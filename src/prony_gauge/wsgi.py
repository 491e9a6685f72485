"""Turns a WSGI app into the same app whose requests are counted from entry to the close of the response."""

# ruff: noqa: SIM105 (what need not be imported into somebody's interpreter is not)

from __future__ import annotations

from prony_gauge.layout import HOOK_OFF, M_BYTES
from prony_gauge.mapped import GAUGE
from prony_gauge.sqlstate import name_of
from prony_gauge.work import CURRENT, FIRST, Request, detailed, owns_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Optional

    from prony_gauge.mapped import Gauge

BYTES = M_BYTES - FIRST


def raised(error: BaseException) -> None:
    """Count an exception that ends a request."""
    try:
        GAUGE.failed(name_of(error))
    except Exception:
        pass


class Chunks:
    """The chunks of a response: counts their bytes, and what is raised on the way."""

    __slots__ = ("request", "step")

    def __init__(self, answer: Any, request: Optional[Request]) -> None:
        self.step = iter(answer).__next__
        self.request = request

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = self.step()
            if self.request is not None and isinstance(chunk, bytes):
                self.request.figures[BYTES] += len(chunk)
        except StopIteration:
            raise
        except BaseException as error:
            raised(error)
            raise
        return chunk  # type: ignore[no-any-return] # it is the app's


class Answer:
    """A response's iterable, which ends the request when it is closed (or dropped unclosed)."""

    __slots__ = ("answer", "entry", "request")

    def __init__(self, answer: Any, entry: int, request: Optional[Request] = None) -> None:
        self.answer = answer
        self.entry = entry
        self.request = request

    def __iter__(self) -> Iterator[bytes]:
        return Chunks(self.answer, self.request)

    def close(self) -> None:
        """What a server calls once, after the last chunk or the client's leaving."""
        try:
            close = getattr(self.answer, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            raised(error)
            raise
        finally:
            self._end()

    def _end(self) -> None:
        entry, self.entry = self.entry, 0
        if entry:
            if self.request is not None:
                self.request.over()
            GAUGE.end(entry)

    def __del__(self) -> None:
        if self.entry:
            self._end()


class SizedAnswer(Answer):
    """The same for an iterable that knows its length: of one chunk, servers make a Content-Length."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self.answer)


def opening(gauge: Gauge) -> Callable[[int, dict[str, Any]], Optional[Request]]:
    """What makes a request's own account; none where that fails."""
    owned: list[bool] = []  # asked at the first request: a worker patches after it was forked, and before it serves

    def opened(entry: int, environ: dict[str, Any]) -> Optional[Request]:
        try:
            if not owned:
                owned.append(owns_thread())
            timing = environ.get("HTTP_PRONY_TIMING")
            request = Request(gauge, entry, environ.get("REQUEST_METHOD", "GET"), timing, owns_thread=owned[0])
            CURRENT.set(request)
        except Exception:
            gauge.count(HOOK_OFF, "request")
            return None
        return request

    return opened


def measured(app: Callable[..., Any]) -> Callable[..., Any]:
    """The app, counted."""
    begin = GAUGE.begin
    opened = opening(GAUGE) if detailed() else None

    def end(entry: int, request: Optional[Request]) -> None:
        if request is not None:
            request.over()
        GAUGE.end(entry)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        entry = begin()
        request = opened(entry, environ) if opened is not None else None
        try:
            answer = app(environ, start_response)
        except BaseException as error:
            end(entry, request)
            raised(error)
            raise
        wrapper = environ.get("wsgi.file_wrapper")
        if wrapper and (isinstance(answer, wrapper) if isinstance(wrapper, type) else hasattr(answer, "fileno")):
            # the server knows its own file wrapper by type (uWSGI the file itself), and sends it its own way
            end(entry, request)
            return answer
        kind = SizedAnswer if hasattr(answer, "__len__") else Answer
        return kind(answer, entry, request)

    return application
