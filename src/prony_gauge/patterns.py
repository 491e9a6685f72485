"""Turns a framework's own routing into the pattern under which a request is counted: `/shop/<int:pk>/`."""

from __future__ import annotations

from prony_gauge.hooks import Hook, foreseen, put, seen
from prony_gauge.work import CURRENT, of_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def django_handlers(module: Any) -> None:
    """Django resolves a request here, for synchronous and asynchronous views alike; its answer has the route."""
    from functools import wraps

    resolve = module.BaseHandler.resolve_request
    hook = Hook("django routes", lambda *_: None)
    current = CURRENT.get

    @wraps(resolve)
    def resolving(self: Any, request: Any) -> Any:
        match = resolve(self, request)
        try:
            own = current()
            if own is not None and hook.on:
                own.route = match.route or "/"
        except Exception:
            hook.broke()
        return match

    module.BaseHandler.resolve_request = resolving


def werkzeug_map(module: Any) -> None:
    """Flask, and whoever else asks werkzeug's map for the rule and not for the endpoint alone."""

    def tell(_: Any, found: Any) -> None:
        if found is not None:
            of_pattern(getattr(found[0], "rule", None))

    put(module.MapAdapter, ("match",), Hook("flask routes", tell), seen)


def starlette_routing(module: Any) -> None:
    """A Route that has matched is called with the scope: what was mounted above it stands in its root path."""
    hook = Hook("starlette routes", lambda args, _: _of_scope(*args[:2]))
    put(module.Route, ("handle",), hook, foreseen)


def _of_scope(route: Any, scope: dict[str, Any]) -> None:
    root, app_root = scope.get("root_path", ""), scope.get("app_root_path", "")
    mounted = root.removeprefix(app_root)
    of_pattern(mounted + route.path)


AFTER_IMPORT: dict[str, Callable[[Any], Any]] = {
    "django.core.handlers.base": django_handlers,
    "werkzeug.routing.map": werkzeug_map,
    "starlette.routing": starlette_routing,
}
