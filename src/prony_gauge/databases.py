"""Turns statements, and waits for a pool's connection, into the gauge's figures: Django, SQLAlchemy and the drivers."""

# ruff: noqa: SIM105 (what need not be imported into somebody's interpreter is not)

from __future__ import annotations

import sys
from time import monotonic_ns

from prony_gauge.hooks import Hook, put, timed, timed_async
from prony_gauge.layout import HOOK_OFF, KIND_BITS, S_CONNECT
from prony_gauge.mapped import GAUGE
from prony_gauge.work import CURRENT, FULL, INSIDE, statement, waited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MYSQL = {"mysql", "mariadb"}
ROWS = ("params_seq", "param_list", "vars_list", "args")  # what drivers and Django call the rows of executemany


def _text(query: Any, cursor: Any = None) -> str:
    """A statement's text, of what drivers take for one."""
    if isinstance(query, str):
        return query
    if isinstance(query, (bytes, bytearray)):
        return bytes(query).decode("utf-8", "replace")
    render = getattr(query, "as_string", None)  # psycopg's compositions
    if render is not None:
        try:
            return str(render(getattr(cursor, "cursor", cursor)))  # of Django's cursors, the driver's own within
        except Exception:  # to quote a name it asks the connection, which may be closed by now
            return type(query).__name__
    strings = getattr(query, "strings", None)  # of a template (Python 3.14), which psycopg takes as well
    if isinstance(strings, tuple):
        return "%s".join(map(str, strings))
    return type(query).__name__


def _times(rows: Any) -> int:
    return max(1, len(rows)) if hasattr(rows, "__len__") else 1


def _cursor(name: str, *, many: bool = False, mysql: bool = False) -> Hook:
    """Of a method of a cursor: (cursor, query, params)."""

    def tell(began: int, ended: int, args: tuple[Any, ...], kwargs: dict[str, Any], _: Any) -> None:
        query = args[1] if len(args) > 1 else kwargs.get("query", kwargs.get("sql", ""))
        if type(query) is not str:
            query = _text(query, args[0])
        times = 1
        if many:
            rows = args[2] if len(args) > 2 else next((kwargs[name] for name in ROWS if name in kwargs), ())
            times = _times(rows)
        statement(GAUGE, began, ended, query, times, mysql=mysql)

    return Hook(name, tell)


def _said(text: str) -> Hook:
    return Hook(text, lambda began, ended, *_: statement(GAUGE, began, ended, text))


def psycopg_cursors(module: Any) -> None:
    """What every cursor of psycopg's executes with; Django's too, whose own wrapper is left as it is then."""
    put(module.Cursor, ("execute",), _cursor("psycopg execute"), _executing)
    put(module.Cursor, ("executemany",), _cursor("psycopg executemany", many=True))
    put(module.Cursor, ("stream",), _cursor("psycopg stream"), _streaming(_rows))


def _executing(hook: Hook, call: Any) -> Any:
    """As `timed` would have it, with fewer calls on the way: a page may execute a hundred statements.

    Nothing that is timed is called within it: so it need not be said that it is under way.
    """
    from functools import wraps

    inside, current, now, known, tell = INSIDE.get, CURRENT.get, monotonic_ns, GAUGE.statements.get, hook.tell

    @wraps(call)
    def executing(self: Any, query: Any, params: Any = None, **more: Any) -> Any:
        if inside() or not hook.on:
            return call(self, query, params, **more)
        began = now()
        try:
            return call(self, query, params, **more)
        finally:
            ended = now()
            try:
                request, once = current(), known(query) if type(query) is str else None
                if once is not None and request is not None and request.entry and len(request.steps) < FULL:
                    request.steps.extend((once, began, ended))  # what `statement` comes to
                else:
                    tell(began, ended, (self, query), more, None)
            except Exception:
                hook.broke()

    return executing


def psycopg_async_cursors(module: Any) -> None:
    """The same for asyncio."""
    put(module.AsyncCursor, ("execute",), _cursor("psycopg execute"), timed_async)
    put(module.AsyncCursor, ("executemany",), _cursor("psycopg executemany", many=True), timed_async)
    put(module.AsyncCursor, ("stream",), _cursor("psycopg stream"), _streaming(_rows_async))


def _streaming(timing: Callable[..., Any]) -> Callable[[Hook, Any], Any]:
    """Of a method whose rows come as they are asked for: its statement lasts until the first is there, or none is."""

    def wrap(hook: Hook, call: Any) -> Any:
        from functools import wraps

        @wraps(call)
        def streaming(*args: Any, **kwargs: Any) -> Any:
            rows = call(*args, **kwargs)
            return rows if INSIDE.get() or not hook.on else timing(rows, hook, args, kwargs)

        return streaming

    return wrap


def _rows(rows: Any, hook: Hook, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    began = monotonic_ns()
    try:
        try:
            first = next(rows, rows)
        finally:
            _came(hook, began, args, kwargs)
        if first is not rows:
            yield first
            yield from rows
    finally:
        rows.close()


async def _rows_async(rows: Any, hook: Hook, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    began = monotonic_ns()
    try:
        try:
            first = await rows.__anext__()
        except StopAsyncIteration:
            return
        finally:
            _came(hook, began, args, kwargs)
        yield first
        async for row in rows:
            yield row
    finally:
        await rows.aclose()


def _came(hook: Hook, began: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    try:
        hook.tell(began, monotonic_ns(), args, kwargs, None)
    except Exception:
        hook.broke()


def psycopg_server_cursors(module: Any) -> None:
    """Their `execute` is another than other cursors'; which modules hold them differs by version."""
    put(getattr(module, "ServerCursor", None), ("execute",), _cursor("psycopg server cursor"))
    put(getattr(module, "AsyncServerCursor", None), ("execute",), _cursor("psycopg server cursor"), timed_async)


def _psycopg_commits(kind: str, wrap: Callable[[Hook, Any], Any]) -> Callable[[Any], None]:
    def after(module: Any) -> None:
        owner = getattr(module, kind)
        put(owner, ("commit",), _said("COMMIT"), wrap)
        put(owner, ("rollback",), _said("ROLLBACK"), wrap)

    return after


def psycopg2_cursors(connection: Any, extensions: Any) -> None:
    """A connection that was just made, whose cursors are of the driver's own kind: C, so a subclass is put there."""
    if getattr(connection, "cursor_factory", connection) is not None:
        return  # the app has one of its own, whose statements Django or SQLAlchemy may tell
    kind = getattr(extensions, "prony_cursor", None)
    if kind is None:
        base = extensions.cursor
        methods = {
            "__slots__": (),
            "execute": timed(_cursor("psycopg2 execute"), base.execute),
            "executemany": timed(_cursor("psycopg2 executemany", many=True), base.executemany),
        }
        kind = type("cursor", (base,), methods)
        extensions.prony_cursor = kind
    connection.cursor_factory = kind


def psycopg2(module: Any) -> None:
    """After the call that counts connections has been put there."""
    from functools import wraps

    connect = module.connect

    @wraps(connect)
    def with_cursors(*args: Any, **kwargs: Any) -> Any:
        connection = connect(*args, **kwargs)
        try:
            psycopg2_cursors(connection, module.extensions)
        except Exception:
            pass
        return connection

    module.connect = with_cursors


def asyncpg_connection(module: Any) -> None:
    """Its cursor-less calls; within one of them another may be made, which does not count again."""
    put(module.Connection, ("execute", "fetch", "fetchval", "fetchrow"), _cursor("asyncpg"), timed_async)
    put(module.Connection, ("executemany", "fetchmany"), _cursor("asyncpg executemany", many=True), timed_async)


def asyncpg_prepared(module: Any) -> None:
    """A prepared statement knows its text."""

    def hook(*, many: bool) -> Hook:
        def tell(began: int, ended: int, args: tuple[Any, ...], kwargs: dict[str, Any], _: Any) -> None:
            rows = args[1] if len(args) > 1 else kwargs.get("args", ())
            statement(GAUGE, began, ended, _text(args[0].get_query()), _times(rows) if many else 1)

        return Hook("asyncpg", tell)

    put(module.PreparedStatement, ("fetch", "fetchval", "fetchrow"), hook(many=False), timed_async)
    put(module.PreparedStatement, ("executemany", "fetchmany"), hook(many=True), timed_async)


def django_backends(module: Any) -> None:
    """Its cursors are timed from the first database on whose driver's own are not, whichever that is."""
    from functools import wraps

    load = module.load_backend

    @wraps(load)
    def loading(*args: Any, **kwargs: Any) -> Any:
        backend = load(*args, **kwargs)
        try:
            if not _timed_below(backend):
                django_cursors(sys.modules["django.db.backends.utils"])
        except Exception:
            GAUGE.count(HOOK_OFF, "django")
        return backend

    module.load_backend = loading


def _timed_below(backend: Any) -> bool:
    """Whether what a backend of Django's executes is timed as its driver's already, as with psycopg 3."""
    driver = getattr(getattr(backend, "DatabaseWrapper", None), "Database", None)
    kind = getattr(driver, "Cursor", None)
    return all(hasattr(getattr(kind, name, None), "prony_timed") for name in ("execute", "executemany"))


def django_cursors(module: Any) -> None:
    """What every cursor of Django's is wrapped in, whatever its database: its execute, and executemany."""
    put(module.CursorWrapper, ("execute",), Hook("django", lambda *_: None), _django)
    put(module.CursorWrapper, ("executemany",), _cursor("django executemany", many=True))


def _django(hook: Hook, call: Any) -> Any:
    """As `_executing`, and what drivers execute within it does not count again."""
    from functools import wraps

    enter, inside, current, now, known = INSIDE.set, INSIDE.get, CURRENT.get, monotonic_ns, GAUGE.statements.get

    @wraps(call)
    def executing(self: Any, sql: Any, params: Any = None) -> Any:
        if inside() or not hook.on:
            return call(self, sql, params)
        enter(True)
        began = now()
        try:
            return call(self, sql, params)
        finally:
            ended = now()
            enter(False)
            try:
                request, once = current(), known(sql) if type(sql) is str else None
                if once is not None and request is not None and request.entry and len(request.steps) < FULL:
                    request.steps.extend((once, began, ended))
                else:
                    vendor = getattr(getattr(self, "db", None), "vendor", "")
                    statement(GAUGE, began, ended, _text(sql, getattr(self, "cursor", None)), mysql=vendor in MYSQL)
            except Exception:
                hook.broke()

    return executing


def sqlalchemy_default(module: Any) -> None:
    """What a dialect does with a cursor: (dialect, cursor, statement, parameters, context)."""

    def hook(*, many: bool) -> Hook:
        def tell(began: int, ended: int, args: tuple[Any, ...], kwargs: dict[str, Any], _: Any) -> None:
            dialect, sql = args[0], args[2] if len(args) > 2 else kwargs["statement"]
            rows = args[3] if len(args) > 3 else ()
            mysql = getattr(dialect, "name", "") in MYSQL
            statement(GAUGE, began, ended, _text(sql), _times(rows) if many else 1, mysql=mysql)

        return Hook("sqlalchemy", tell)

    put(module.DefaultDialect, ("do_execute", "do_execute_no_params"), hook(many=False))
    put(module.DefaultDialect, ("do_executemany",), hook(many=True))
    put(module.DefaultDialect, ("do_commit",), _said("COMMIT"))
    put(module.DefaultDialect, ("do_rollback",), _said("ROLLBACK"))


def _waits() -> Hook:
    return Hook("pool", lambda began, ended, *_: waited(GAUGE, began, ended), nested=True)


def sqlalchemy_queue(module: Any) -> None:
    """The queue of a pool's idle connections: who waits for one, waits here; opening one comes after."""
    for kind in ("Queue", "AsyncAdaptedQueue"):
        put(getattr(module, kind, None), ("get",), _waits())


def _pool(kind: str, name: str, wrap: Callable[[Hook, Any], Any]) -> Callable[[Any], None]:
    return lambda module: put(getattr(module, kind), (name,), _waits(), wrap)


def _connecting(steps: list[int], first: int) -> int:
    """Nanoseconds that went into opening connections, of the steps from the first on."""
    places = range(min(first, len(steps)), len(steps), 3)
    return sum(steps[i + 2] - steps[i + 1] for i in places if steps[i] >> KIND_BITS == S_CONNECT)


def asyncpg_pool(module: Any) -> None:
    """Its pool opens connections within the wait for one: that part is taken out."""
    from functools import wraps

    acquire = module.Pool._acquire  # noqa: SLF001 - what `acquire`, `fetch` and the rest have in common
    hook = Hook("asyncpg pool", lambda *_: None)

    @wraps(acquire)
    async def timing(*args: Any, **kwargs: Any) -> Any:
        request = CURRENT.get()
        before = len(request.steps) if request is not None else 0
        began = monotonic_ns()
        try:
            return await acquire(*args, **kwargs)
        finally:
            ended = monotonic_ns()
            try:
                if hook.on:
                    waited(GAUGE, began, ended, _connecting(request.steps, before) if request is not None else 0)
            except Exception:
                hook.broke()

    module.Pool._acquire = timing  # noqa: SLF001


AFTER_IMPORT: dict[str, Callable[[Any], Any]] = {
    "psycopg.cursor": psycopg_cursors,
    "psycopg.cursor_async": psycopg_async_cursors,
    "psycopg.server_cursor": psycopg_server_cursors,
    "psycopg._server_cursor": psycopg_server_cursors,
    "psycopg._server_cursor_async": psycopg_server_cursors,
    "psycopg.connection": _psycopg_commits("Connection", timed),
    "psycopg.connection_async": _psycopg_commits("AsyncConnection", timed_async),
    "psycopg2": psycopg2,
    "psycopg_pool.pool": _pool("ConnectionPool", "getconn", timed),
    "psycopg_pool.pool_async": _pool("AsyncConnectionPool", "getconn", timed_async),
    "asyncpg.connection": asyncpg_connection,
    "asyncpg.prepared_stmt": asyncpg_prepared,
    "asyncpg.pool": asyncpg_pool,
    "django.db.utils": django_backends,
    "sqlalchemy.engine.default": sqlalchemy_default,
    "sqlalchemy.util.queue": sqlalchemy_queue,
    "pymysql.cursors": lambda module: put(module.Cursor, ("execute",), _cursor("pymysql", mysql=True)),
    "MySQLdb.cursors": lambda module: put(module.BaseCursor, ("execute",), _cursor("MySQLdb", mysql=True)),
}
