"""Turns what an app hands to drivers of databases, caches and brokers into a list of where it would connect to."""

from __future__ import annotations

import sys

from prony_gauge.reads import own_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CONNECTS_MAX = 200
NAMES = {
    "host": "host",
    "hostname": "host",
    "server": "host",
    "port": "port",
    "user": "user",
    "username": "user",
    "password": "password",
    "passwd": "password",
    "dbname": "name",
    "database": "name",
    "db": "name",
    "path": "socket",
}

connects: list[dict[str, Any]] = []
celeries: list[Any] = []


def note(library: str, **found: Any) -> None:
    """One address, without repeating itself."""
    try:
        entry = {"library": library, **{k: v for k, v in found.items() if isinstance(v, (str, int)) and v != ""}}
        line = ""
        frame = sys._getframe(2)  # noqa: SLF001 - the module traceback is heavier than this
        while frame is not None and not line:
            line = own_line(frame)
            frame = frame.f_back  # type: ignore[assignment] # its end is what ends the loop
        entry["line"] = line
        if entry not in connects and len(connects) < CONNECTS_MAX:
            connects.append(entry)
    except Exception:
        pass


def _noting(library: str, call: Callable[..., Any], *, method: bool = False) -> Callable[..., Any]:
    """The same call, noted: an address as the first argument or under a name, or host, port and so on by name."""
    from functools import wraps

    @wraps(call)
    def noting(*args: Any, **kwargs: Any) -> Any:
        try:
            own = args[1:] if method else args
            found = {NAMES[name]: value for name, value in kwargs.items() if name in NAMES}
            first = own[0] if own else kwargs.get("url", kwargs.get("dsn", kwargs.get("conninfo")))
            text = first if isinstance(first, str) else _rendered(first)
            if text:
                found["address"] = text
            note(library, **found)
        except Exception:
            pass
        return call(*args, **kwargs)

    return noting


def _rendered(url: Any) -> str:
    """The text of an address that is an object (SQLAlchemy's, databases', pydantic's)."""
    render = getattr(url, "render_as_string", None)
    if render is not None:
        return str(render(hide_password=False))
    if hasattr(url, "__fspath__"):
        return str(url)
    text = "" if url is None else str(url)
    return text if "://" in text else ""


def _functions(library: str, *names: str) -> Callable[[Any], None]:
    def after(module: Any) -> None:
        for name in names:
            call = getattr(module, name, None)
            if callable(call):
                setattr(module, name, _noting(library, call))

    return after


def _methods(library: str, kind: str, name: str = "__init__") -> Callable[[Any], None]:
    def after(module: Any) -> None:
        owner = getattr(module, kind)
        raw = owner.__dict__.get(name)
        if isinstance(raw, classmethod):
            setattr(owner, name, classmethod(_noting(library, raw.__func__, method=True)))
        elif raw is not None:
            setattr(owner, name, _noting(library, raw, method=True))

    return after


def _celery(module: Any) -> None:
    """Its apps are kept, to be asked for their broker once all is loaded."""
    from functools import wraps

    make = module.Celery.__init__

    @wraps(make)
    def made(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        celeries.append(self)

    module.Celery.__init__ = made


def _redis(module: Any) -> None:
    """A pool knows its parts whichever way it was made."""
    from functools import wraps

    make = module.ConnectionPool.__init__

    @wraps(make)
    def made(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        parts = getattr(self, "connection_kwargs", {})
        note("redis", **{NAMES[name]: value for name, value in parts.items() if name in NAMES})

    module.ConnectionPool.__init__ = made


AFTER_IMPORT: dict[str, Callable[[Any], Any]] = {
    "sqlalchemy.engine.create": _functions("sqlalchemy", "create_engine"),
    "sqlalchemy.engine": lambda module: (
        None if "sqlalchemy.engine.create" in sys.modules else _functions("sqlalchemy", "create_engine")(module)
    ),
    "redis.connection": _redis,
    "redis.asyncio.connection": _redis,
    "psycopg": _functions("psycopg", "connect"),
    "psycopg2": _functions("psycopg2", "connect"),
    "psycopg_pool": lambda module: [
        _methods("psycopg_pool", kind)(module) for kind in ("ConnectionPool", "AsyncConnectionPool")
    ],
    "asyncpg": _functions("asyncpg", "connect", "create_pool"),
    "pymysql": _functions("pymysql", "connect", "Connect"),
    "MySQLdb": _functions("MySQLdb", "connect", "Connect"),
    "mysql.connector": _functions("mysql.connector", "connect"),
    "aiomysql": _functions("aiomysql", "connect", "create_pool"),
    "aiosqlite": _functions("aiosqlite", "connect"),
    "sqlite3": _functions("sqlite3", "connect"),
    "databases.core": _methods("databases", "Database"),
    "peewee": lambda module: [
        _methods("peewee " + kind, kind, "init")(module)
        for kind in ("SqliteDatabase", "PostgresqlDatabase", "MySQLDatabase")
    ],
    "tortoise": _methods("tortoise", "Tortoise", "init"),
    "pymongo.mongo_client": _methods("pymongo", "MongoClient"),
    "motor.motor_asyncio": _functions("motor", "AsyncIOMotorClient"),
    "elasticsearch": _functions("elasticsearch", "Elasticsearch"),
    "pika": _functions("pika", "URLParameters", "ConnectionParameters"),
    "pymemcache.client.base": _methods("pymemcache", "Client"),
    "pylibmc": _functions("pylibmc", "Client"),
    "celery.app.base": _celery,
}
