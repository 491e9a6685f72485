"""Turns an ASGI app into the same app whose http requests are counted from entry to the end of its coroutine."""

from __future__ import annotations

from prony_gauge.heartbeat import HEARTBEAT
from prony_gauge.layout import HOOK_OFF
from prony_gauge.mapped import GAUGE
from prony_gauge.target import is_double
from prony_gauge.work import CURRENT, Request, detailed
from prony_gauge.wsgi import raised

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any


def measured(app: Callable[..., Any]) -> Callable[..., Any]:
    """The app, counted, as ASGI 3 whichever version it is.

    Lifespan and websockets pass through uncounted: they last as long as the server or the client likes. A request
    whose coroutine is cancelled (the client left, the server stops) ends, and is no failure of the app's.
    """
    begin = GAUGE.begin
    called = _single(app) if is_double(app) else app
    detail = detailed()

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> Any:
        if scope["type"] != "http":
            return await called(scope, receive, send)
        request = Request(GAUGE, begin(), scope.get("method", "GET"), _timing(scope) if detail else None)
        if detail:
            opened(request)
            send = _counting(send, request)
        else:
            request.bare = True
        try:
            return await called(scope, receive, send)
        except Exception as error:
            raised(error)
            raise
        finally:
            request.over()

    return application


def opened(request: Request) -> None:
    """From here on the tasks and threads that the request's task starts add to its account."""
    CURRENT.set(request)
    try:
        if HEARTBEAT.pid != GAUGE.pid:
            HEARTBEAT.start()
        if HEARTBEAT.looks:
            HEARTBEAT.find_limiter()
    except Exception:
        GAUGE.count(HOOK_OFF, "event loop")


def _timing(scope: dict[str, Any]) -> Any:
    for name, value in scope.get("headers", ()):
        if name == b"prony-timing":
            return value
    return None


def _counting(send: Any, request: Request) -> Any:
    """`send`, with the bytes of bodies counted on the way; no coroutine of its own."""

    def counting(message: Any) -> Any:
        try:
            body = message.get("body")
            if body:
                request.size += len(body)
        except Exception:  # a message that is for the server to judge
            pass
        return send(message)

    return counting


def _single(app: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    def called(scope: dict[str, Any], receive: Any, send: Any) -> Awaitable[Any]:
        return app(scope)(receive, send)  # type: ignore[no-any-return] # it is the app's

    return called
