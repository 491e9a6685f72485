"""Which cursors the gauge times, and what it tells of their calls, with stand-ins for drivers and Django."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from prony_gauge import calls, databases, work
from prony_gauge.hooks import Hook


class Quoted:
    """As psycopg's compositions: to quote a name they ask the connection."""

    def as_string(self, cursor: object) -> str:
        if cursor != "open":
            raise TypeError
        return 'SELECT "a"'


class Connection:
    """As asyncpg's."""

    async def fetch(self, query: str, *args: object) -> None: ...

    async def executemany(self, command: str, args: object) -> None: ...

    async def fetchmany(self, query: str, args: object) -> None: ...


class Prepared:
    """As asyncpg's prepared statements."""

    def get_query(self) -> str:
        return "SELECT $1"

    async def fetch(self, *args: object) -> None: ...

    async def executemany(self, args: object) -> None: ...

    async def fetchmany(self, args: object) -> None: ...


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The statements that were told, and how often each was executed."""
    found: list[tuple[str, int]] = []

    def statement(_gauge: object, _began: int, _ended: int, text: str, times: int = 1, **_: object) -> None:
        found.append((text, times))

    monkeypatch.setattr(databases, "statement", statement)
    return found


def a_driver(*, timed: bool) -> Any:
    """A driver's module, whose cursors are timed or not."""
    cursor = type("Cursor", (), {name: lambda *_, **__: None for name in ("execute", "executemany")})
    module = SimpleNamespace(Cursor=cursor)
    if timed:
        databases.psycopg_cursors(module)
    return module


def a_backend(**of: Any) -> Any:
    return SimpleNamespace(DatabaseWrapper=SimpleNamespace(**of))


def loads(monkeypatch: pytest.MonkeyPatch, execute: Callable[..., Any] = lambda *_: None) -> tuple[Any, Any]:
    """What loads Django's backends, and the kind that its cursors are wrapped in."""
    utils: Any = ModuleType("django.db.backends.utils")
    utils.CursorWrapper = type("CursorWrapper", (), {"execute": execute, "executemany": lambda *_: None})
    monkeypatch.setitem(sys.modules, utils.__name__, utils)
    module = SimpleNamespace(load_backend=lambda backend: backend)
    databases.django_backends(module)
    return module.load_backend, utils.CursorWrapper


@pytest.mark.parametrize(
    ("backend", "timed"),
    [
        (a_backend(vendor="postgresql", Database=a_driver(timed=True)), False),
        (a_backend(vendor="cockroachdb", Database=a_driver(timed=True)), False),
        (a_backend(vendor="postgresql", Database=a_driver(timed=False)), True),
        (a_backend(vendor="sqlite"), True),
        (SimpleNamespace(), True),
    ],
)
def test_django_s_cursors_are_timed_where_its_driver_s_own_are_not(
    monkeypatch: pytest.MonkeyPatch, backend: Any, *, timed: bool
) -> None:
    load, wrapper = loads(monkeypatch)
    assert load(backend) is backend
    assert hasattr(wrapper.execute, "prony_timed") == hasattr(wrapper.executemany, "prony_timed") == timed


def test_of_several_databases_each_statement_is_told_once(
    monkeypatch: pytest.MonkeyPatch, told: list[tuple[str, int]]
) -> None:
    driver = a_driver(timed=True)
    load, wrapper = loads(monkeypatch, lambda _, sql, params: driver.Cursor().execute(sql, params))
    load(a_backend(Database=driver))
    wrapper().execute("SELECT 1", None)
    assert told == [("SELECT 1", 1)]
    for _ in range(2):
        load(a_backend(Database=a_driver(timed=False)))
    wrapper().execute("SELECT 2")
    driver.Cursor().execute(query="SELECT 3", params=(1,))
    assert told == [("SELECT 1", 1), ("SELECT 2", 1), ("SELECT 3", 1)]
    assert not work.INSIDE.get()


def test_a_composition_is_told_by_the_driver_s_cursor_and_by_its_kind_where_that_is_closed(
    told: list[tuple[str, int]],
) -> None:
    hook = Hook("django", lambda *_: None)
    execute = databases._django(hook, lambda *_: None)
    for state in ("open", "closed"):
        execute(SimpleNamespace(cursor=state), Quoted())
    assert told == [('SELECT "a"', 1), ("Quoted", 1)]
    assert hook.on


def test_a_template_is_told_by_its_text_with_a_place_for_each_value(told: list[tuple[str, int]]) -> None:
    a_driver(timed=True).Cursor().execute(SimpleNamespace(strings=("SELECT ", "::int")))
    assert told == [("SELECT %s::int", 1)]


def test_what_asyncpg_executes_for_each_of_many_arguments_is_told_as_often(told: list[tuple[str, int]]) -> None:
    module = SimpleNamespace(
        Connection=type("Connection", (Connection,), {}), PreparedStatement=type("Prepared", (Prepared,), {})
    )
    databases.asyncpg_connection(module)
    databases.asyncpg_prepared(module)

    async def ask() -> None:
        connection, prepared = module.Connection(), module.PreparedStatement()
        await connection.fetch("SELECT 1", [1, 2])
        await connection.executemany("SELECT 2", [(1,), (2,)])
        await connection.fetchmany("SELECT 3", args=[(1,), (2,), (3,)])
        await prepared.fetch([1, 2])
        await prepared.executemany([(1,), (2,)])
        await prepared.fetchmany(args=[(1,), (2,), (3,)])

    asyncio.run(ask())
    of_prepared = [("SELECT $1", times) for times in (1, 2, 3)]
    assert told == [("SELECT 1", 1), ("SELECT 2", 2), ("SELECT 3", 3), *of_prepared]


@pytest.mark.parametrize(
    ("url", "host"),
    [("http://a.example:80/x", "a.example"), ("http://[a", "?"), ("http://a.example:99999/", "?")],
)
def test_an_address_that_is_none_has_no_host(url: str, host: str) -> None:
    assert calls._host(url) == host


class Streams:
    """As psycopg's cursors, whose rows come one by one."""

    def __init__(self, rows: int) -> None:
        self.left = list(range(rows))
        self.closed = 0

    def stream(self, *_: object, **__: object) -> Iterator[int]:
        try:
            while self.left:
                yield self.left.pop()
        finally:
            self.closed += 1

    async def stream_async(self, *_: object) -> AsyncIterator[int]:
        try:
            while self.left:
                yield self.left.pop()
        finally:
            self.closed += 1


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_a_statement_whose_rows_are_streamed_is_told_once_and_its_rows_are_all_there(
    told: list[tuple[str, int]], rows: int
) -> None:
    wrap = databases._streaming(databases._rows)
    stream = wrap(databases._cursor("stream"), Streams.stream)
    cursor = Streams(rows)
    assert len(list(stream(cursor, "SELECT 1", size=2))) == rows
    assert (told, cursor.closed) == ([("SELECT 1", 1)], 1)

    async def streamed(cursor: Streams) -> list[int]:
        wrap = databases._streaming(databases._rows_async)
        stream = wrap(databases._cursor("stream"), Streams.stream_async)
        return [row async for row in stream(cursor, "SELECT 2")]

    cursor = Streams(rows)
    assert len(asyncio.run(streamed(cursor))) == rows
    assert (told[1:], cursor.closed) == ([("SELECT 2", 1)], 1)


def test_who_leaves_a_stream_ends_it(told: list[tuple[str, int]]) -> None:
    stream = databases._streaming(databases._rows)(databases._cursor("stream"), Streams.stream)
    cursor = Streams(9)
    rows = stream(cursor, "SELECT 1")
    assert told == [], "nothing is sent before a row is asked for"
    next(rows)
    rows.close()
    assert (told, cursor.closed) == ([("SELECT 1", 1)], 1)
