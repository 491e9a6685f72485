"""Turns a WSGI app into the same app whose requests are counted from entry to the close of the response."""

# ruff: noqa: SIM105 (what need not be imported into somebody's interpreter is not)

from __future__ import annotations

from _thread import get_ident
from time import thread_time_ns

from prony_gauge.mapped import GAUGE
from prony_gauge.sqlstate import name_of
from prony_gauge.work import CURRENT, Request, detailed, owns_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

KINDS_MOST = 100  # types of answers that are remembered
LIST: Any = type(iter([]))
# To read a thread's CPU time is a system call: it is read for one request in four, by chance.
NOT_TIMED = 3 << 10  # bits of the entry time: microseconds


def raised(error: BaseException) -> None:
    """Count an exception that ends a request."""
    try:
        GAUGE.failed(name_of(error))
    except Exception:
        pass


def chunks(parts: Any, request: Request) -> Iterator[bytes]:
    """The chunks of a response: counts their bytes, and what is raised on the way."""
    size = 0
    try:
        for chunk in parts:
            if type(chunk) is bytes:
                size += len(chunk)
            yield chunk
    except GeneratorExit:  # the server has gone away from it
        raise
    except BaseException as error:
        raised(error)
        raise
    finally:
        request.size += size


class Answered(Request):
    """A request that is its response's iterable too: it ends when that is closed."""

    answer: Any = None

    def __iter__(self) -> Iterator[bytes]:
        parts = iter(self.answer)
        if type(parts) is not LIST:
            return chunks(parts, self)
        whole = list(parts)  # it is there already: to go over it again costs little, and raises nothing
        try:
            self.size += len(whole[0]) if len(whole) == 1 else sum(map(len, whole))
        except TypeError:
            pass
        return iter(whole)

    def close(self) -> None:
        """What a server calls once, after the last chunk or the client's leaving. The app's answer is let go of."""
        answer, self.answer = self.answer, None
        try:
            close = getattr(answer, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            raised(error)
            raise
        finally:
            self.over()


class SizedAnswer(Answered):
    """The same for an iterable that knows its length: of one chunk, servers make a Content-Length."""

    def __len__(self) -> int:
        return len(self.answer)


def measured(app: Callable[..., Any]) -> Callable[..., Any]:
    """The app, counted, and its requests' steps kept where that is wanted."""
    gauge, detail = GAUGE, detailed()
    owned: list[bool] = []  # asked at the first request: a worker patches after it was forked, and before it serves
    kinds: dict[type, Any] = {}  # by type of the app's answer: None is the server's own file wrapper

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        timing = environ.get("HTTP_PRONY_TIMING") if detail else None
        request = Answered(gauge, gauge.begin(), environ.get("REQUEST_METHOD", "GET"), timing)
        if detail:
            if not owned:
                owned.append(owns_thread())
            if owned[0] and not request.entry & NOT_TIMED:
                request.thread = get_ident()
                request.cpu = thread_time_ns()
            CURRENT.set(request)
        else:
            request.bare = True
        try:
            answer = app(environ, start_response)
        except BaseException as error:
            request.over()
            raised(error)
            raise
        try:
            kind = kinds[type(answer)]
        except KeyError:
            kind = _kind(answer, environ, kinds)
        if kind is None:  # the server knows its own file wrapper, and sends it its own way
            request.over()
            return answer
        request.answer = answer
        if kind is not Answered:
            request.__class__ = kind
        return request

    return application


def _kind(answer: Any, environ: dict[str, Any], kinds: dict[type, Any]) -> Any:
    """What becomes of an answer. A server's wrapper is known by its type, uWSGI's by being the file itself."""
    wrapper = environ.get("wsgi.file_wrapper")
    if wrapper and not isinstance(wrapper, type) and hasattr(answer, "fileno"):
        return None
    kind: Any = SizedAnswer if hasattr(answer, "__len__") else Answered
    if isinstance(wrapper, type) and isinstance(answer, wrapper):
        kind = None
    if len(kinds) < KINDS_MOST:
        kinds[type(answer)] = kind
    return kind
