"""Turns an ASGI app into the same app whose http requests are counted from entry to the end of its coroutine."""

from __future__ import annotations

from prony_gauge.mapped import GAUGE
from prony_gauge.target import is_double
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
    begin, end = GAUGE.begin, GAUGE.end
    called = _single(app) if is_double(app) else app

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> Any:
        if scope["type"] != "http":
            return await called(scope, receive, send)
        entry = begin()
        try:
            return await called(scope, receive, send)
        except Exception as error:
            raised(error)
            raise
        finally:
            end(entry)

    return application


def _single(app: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    def called(scope: dict[str, Any], receive: Any, send: Any) -> Awaitable[Any]:
        return app(scope)(receive, send)  # type: ignore[no-any-return] # it is the app's

    return called
