"""Turns connections that drivers open and exceptions that frameworks swallow into numbers of the gauge."""

from __future__ import annotations

import sys
from time import monotonic_ns

from prony_gauge.hooks import Hook, put, timed_async
from prony_gauge.layout import CONNECT_ERROR
from prony_gauge.mapped import GAUGE
from prony_gauge.sqlstate import name_of
from prony_gauge.work import connected
from prony_gauge.wsgi import raised

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _tried(began: int) -> None:
    """A connection has been tried since then; it failed where an exception is under way."""
    try:
        error = sys.exc_info()[1]
        GAUGE.connected(began, failed=error is not None)
        if error is not None:
            GAUGE.count(CONNECT_ERROR, name_of(error))
    except Exception:
        pass


def _counted(connect: Callable[..., Any]) -> Callable[..., Any]:
    from functools import wraps

    @wraps(connect)
    def counted(*args: Any, **kwargs: Any) -> Any:
        began = monotonic_ns()
        try:
            connection = connect(*args, **kwargs)
        except BaseException:
            _tried(began)
            raise
        _succeeded(began)
        return connection

    return counted


def _counted_async(connect: Callable[..., Any]) -> Callable[..., Any]:
    from functools import wraps

    @wraps(connect)
    async def counted(*args: Any, **kwargs: Any) -> Any:
        began = monotonic_ns()
        try:
            connection = await connect(*args, **kwargs)
        except BaseException:
            _tried(began)
            raise
        _succeeded(began)
        return connection

    return counted


def _succeeded(began: int) -> None:
    try:
        GAUGE.connected(began, failed=False)
        connected(GAUGE, began)
    except Exception:
        pass


def psycopg_connection(module: Any) -> None:
    """Right after the class is made: the package binds `connect = Connection.connect` a moment later."""
    kind = module.Connection
    kind.connect = classmethod(_counted(kind.__dict__["connect"].__func__))


def psycopg_connection_async(module: Any) -> None:
    """The same for the class that asyncio uses."""
    kind = module.AsyncConnection
    kind.connect = classmethod(_counted_async(kind.__dict__["connect"].__func__))


def psycopg2(module: Any) -> None:
    """Its `connect` is a plain function."""
    module.connect = _counted(module.connect)


def asyncpg_connect_utils(module: Any) -> None:
    """What its `connect` and its pool have in common."""
    module._connect = _counted_async(module._connect)  # noqa: SLF001


def pymysql_connections(module: Any) -> None:
    """A connection opens itself, also anew."""
    module.Connection.connect = _counted(module.Connection.connect)


def mysqldb_connections(module: Any) -> None:
    """A connection of mysqlclient's opens itself as it is made."""
    module.Connection.__init__ = _counted(module.Connection.__init__)


def _answers(name: str) -> Hook:
    """Of what answers an exception with a 500. What it raises instead comes through the app, and is counted there."""

    def tell(_: int, __: int, args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> None:
        errors = [each for each in (*args, *kwargs.values()) if isinstance(each, BaseException)]
        if answer is not None and errors:
            raised(errors[0])

    return Hook(name, tell, nested=True)


def django_core_signals(module: Any) -> None:
    """Django answers exceptions with a 500 of its own, after it has sent this signal.

    Told to propagate them instead, it sends one signal a middleware, and the exception comes through the app.
    """

    def receiver(**_: Any) -> None:
        error = sys.exc_info()[1]
        try:
            settings = getattr(sys.modules.get("django.conf"), "settings", None)
            if error is not None and not getattr(settings, "DEBUG_PROPAGATE_EXCEPTIONS", False):
                raised(error)
        except Exception:
            pass

    module.got_request_exception.connect(receiver, weak=False, dispatch_uid="prony_gauge")


AFTER_IMPORT: dict[str, Callable[[Any], Any]] = {
    "psycopg.connection": psycopg_connection,
    "psycopg.connection_async": psycopg_connection_async,
    "psycopg2": psycopg2,
    "asyncpg.connect_utils": asyncpg_connect_utils,
    "pymysql.connections": pymysql_connections,
    "MySQLdb.connections": mysqldb_connections,
    "django.core.signals": django_core_signals,
    "flask.app": lambda module: put(module.Flask, ("handle_exception",), _answers("flask")),
    "quart.app": lambda module: put(module.Quart, ("handle_exception",), _answers("quart"), timed_async),
}
