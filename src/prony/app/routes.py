"""What `prony_gauge.routes` told in, an app's routes and the facts of its framework out."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct


class Param(Struct, frozen=True, kw_only=True):
    """A parameter of a path or of its query.

    Attributes:
        kind: "int", "number", "str", "slug", "uuid", "path" or "choices".
        choices: All that it may be, where that is said.
        values: Some that it may be: from the database, or examples of its description.
        model: The model and field that values are from.
        why: What was in the way of finding them.
    """

    kind: str = "str"
    choices: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    model: str = ""
    why: str = ""


class AppRoute(Struct, frozen=True, kw_only=True):
    """One route as the framework has it.

    Attributes:
        template: Its path in one form: "/products/{id}/".
        methods: Without HEAD and OPTIONS.
        params: Of the path, by name.
        query: Query parameters that it requires.
        rows: Values of several parameters that belong together, where they are of one model.
        source: "urlconf", "flask", "starlette", "openapi" or "crawl".
        marks: "admin", "debug", "docs", "static", "websocket"; "regex": its template stands for a pattern.
    """

    template: str
    methods: tuple[str, ...] = ("GET",)
    name: str = ""
    params: dict[str, Param] = {}
    query: dict[str, Param] = {}
    rows: tuple[dict[str, str], ...] = ()
    source: str = "crawl"
    marks: tuple[str, ...] = ()


class AppRoutes(Struct, frozen=True, kw_only=True):
    """All that was found: `facts` are settings by name, `error` what was in the way."""

    framework: str = ""
    facts: dict[str, Any] = {}
    routes: tuple[AppRoute, ...] = ()
    error: str = ""


def found(told: Any) -> AppRoutes:
    """The routes in what the program answered; where it is none, why."""
    try:
        return msgspec.convert(told, AppRoutes)
    except msgspec.ValidationError as error:
        return AppRoutes(error=f"what the app's interpreter told cannot be read: {error}")
