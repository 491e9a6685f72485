"""What `prony_gauge.routes` printed in, an app's routes and the facts of its framework out."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

MARK = "prony-routes "


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


class _Asked(Struct, frozen=True, kw_only=True):
    errors: dict[str, str] = {}


def routes_command(python: str, entry: str) -> list[str]:
    """The command that tells an app's routes, with values for their parameters where it can."""
    return [python, "-m", "prony_gauge.routes", entry, "--values"]


def errors_command(python: str, entry: str, host: str, paths: list[str]) -> list[str]:
    """The command that tells which exceptions a Django app meets at these paths."""
    return [python, "-m", "prony_gauge.routes", entry, "--ask", host, *paths]


def found(printed: str) -> AppRoutes:
    """The routes in what the first command printed; where there are none, why."""
    line = _line(printed)
    if line is None:
        return AppRoutes(error=(printed.strip().splitlines() or ["it ended before it had told anything"])[-1])
    try:
        return msgspec.json.decode(line, type=AppRoutes)
    except msgspec.DecodeError as error:
        return AppRoutes(error=f"what it told cannot be read: {error}")


def errors(printed: str) -> dict[str, str]:
    """The exceptions in what the second command printed, by path."""
    try:
        return msgspec.json.decode(_line(printed) or "{}", type=_Asked).errors
    except msgspec.DecodeError:
        return {}


def _line(printed: str) -> str | None:
    lines = [line for line in printed.splitlines() if line.startswith(MARK)]
    return lines[-1].removeprefix(MARK) if lines else None
