"""Turns an aiohttp application, or a coroutine function that makes one, into one whose requests are counted."""

from __future__ import annotations

import sys

from prony_gauge.asgi import opened
from prony_gauge.layout import HOOK_OFF
from prony_gauge.mapped import GAUGE
from prony_gauge.work import Request, detailed
from prony_gauge.wsgi import raised

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional


def measured(app: Any) -> Any:
    """The application with one more middleware, outside all others; or a coroutine function that returns such."""
    if hasattr(app, "middlewares"):
        app.middlewares.insert(0, _counting)
        return app

    async def application() -> Any:
        made = await app()
        found = getattr(made, "app", made)  # an AppRunner holds its application
        if hasattr(found, "middlewares"):
            measured(found)
        return made

    return application


DETAIL = detailed()


async def _counting(request: Any, handler: Any) -> Any:
    """Count a request until its handler ends, which a stream's does when it has sent everything."""
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return await handler(request)  # it lasts as long as its client likes
    timing = request.headers.get("Prony-Timing") if DETAIL else None
    own = Request(GAUGE, GAUGE.begin(), getattr(request, "method", "GET"), timing)
    if DETAIL:
        opened(own)
    own.bare = not DETAIL
    answer = None
    try:
        answer = await handler(request)
        return answer  # noqa: TRY300 - `finally` reads it
    except Exception as error:
        # a redirect or a "not found" that is raised is an answer
        if not isinstance(error, getattr(sys.modules.get("aiohttp.web_exceptions"), "HTTPException", ())):
            raised(error)
        raise
    finally:
        _close(own, request, answer)


def _close(own: Request, request: Any, answer: Optional[Any]) -> None:
    try:
        resource = getattr(getattr(request.match_info, "route", None), "resource", None)
        own.route = getattr(resource, "canonical", "")
        length = getattr(answer, "content_length", None)
        own.size += length if isinstance(length, int) else 0
    except Exception:
        GAUGE.count(HOOK_OFF, "aiohttp request")
    own.over()


_counting.__middleware_version__ = 1  # type: ignore[attr-defined] # what aiohttp.web.middleware does
