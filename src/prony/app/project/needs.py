"""What trial imports have shown in, the stores that the app needs and the variables that name them out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from prony.app.project import addresses
from prony.app.project.addresses import OURS, SQL, TITLES, Address
from prony.app.project.containers import Service
from prony.app.project.model import StoreFound, Unknown
from prony.app.project.trials import Outcome, Tried

NAMES = {"valkey": "redis", "memcached": "cache", "rabbitmq": "broker", "mongodb": "mongodb", "elasticsearch": "search"}
_DRIVERS = (
    ("psycopg2", "postgresql+psycopg2"), ("psycopg2-binary", "postgresql+psycopg2"), ("psycopg", "postgresql+psycopg"),
    ("asyncpg", "postgresql+asyncpg"), ("mysqlclient", "mysql+mysqldb"), ("pymysql", "mysql+pymysql"),
    ("aiomysql", "mysql+aiomysql"), ("asyncmy", "mysql+asyncmy"),
)  # fmt: skip
_SQLITE_FILE = re.compile(r"\.(db|sqlite3?)$")
_ASYNC = ("+asyncpg", "+aiomysql", "+asyncmy")


def schemes_of(installed: Mapping[str, str], framework: str, *, uses_async: bool) -> tuple[str, ...]:
    """The schemes of addresses that the SQL drivers installed there may take, the likeliest first; none without one."""
    found = [scheme for package, scheme in _DRIVERS if package in installed]
    plain = list(dict.fromkeys(scheme.partition("+")[0] for scheme in found))
    if framework == "django":
        return tuple("postgres" if scheme == "postgresql" else scheme for scheme in plain)
    if "sqlalchemy" in installed:
        found.sort(key=lambda scheme: scheme.endswith(_ASYNC) != uses_async)
        return tuple(dict.fromkeys([*found, *plain]))
    return tuple(plain)


def addresses_in(outcome: Outcome) -> list[Address]:
    """Every store that an import came to know of: from settings first, then from what was handed to drivers."""
    found: list[Address | None] = []
    django = outcome.found.get("django") or {}
    databases = django.get("DATABASES") or {}
    for name in sorted(databases, key=lambda each: each != "default"):
        found += [addresses.of_django(name, databases[name])] if isinstance(databases[name], dict) else []
    found += _caches(django)
    for key in ("CELERY_BROKER_URL", "BROKER_URL", "CELERY_RESULT_BACKEND"):
        found += _texts(django.get(key), f"the settings' {key}")
    found += _texts(django.get("CHANNEL_LAYERS"), "the settings' CHANNEL_LAYERS")
    found += _texts(django.get("RQ_QUEUES"), "the settings' RQ_QUEUES")
    for key, value in (django.get("urls") or {}).items():
        found += _texts(value, f"the settings' {key}")
    config = (outcome.found.get("flask") or {}).get("config") or {}
    for key in sorted(config, key=lambda each: each != "SQLALCHEMY_DATABASE_URI"):
        found += _texts(config[key], f"the app's config, {key}")
        if isinstance(config[key], str) and _SQLITE_FILE.search(config[key]) and "://" not in config[key]:
            found.append(Address("sqlite", f"the app's config, {key}", name=config[key]))
    for app in outcome.found.get("celery") or []:
        if not app.get("eager"):
            found += _texts([app.get("broker"), app.get("results")], "Celery's configuration")
    found += [_connect(each) for each in outcome.found.get("connects") or []]
    # Celery's own defaults are nobody's wish
    return [
        each for each in found if each is not None and not (each.kind == "rabbitmq" and not each.name and not each.host)
    ]


def _texts(value: Any, where: str) -> list[Address | None]:
    """The addresses in a setting: a text, or texts and (host, port) pairs somewhere within it."""
    if isinstance(value, str):
        return [addresses.parse(value, where)]
    if isinstance(value, list):
        if len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int) and "://" not in value[0]:
            return [Address("valkey", where, value[0], str(value[1]))]
        return [found for each in value for found in _texts(each, where)]
    if isinstance(value, dict):
        if isinstance(value.get("HOST"), str) and "PORT" in value:
            return [
                Address("valkey", where, value["HOST"], str(value["PORT"]), password=str(value.get("PASSWORD") or ""))
            ]
        return [found for each in value.values() for found in _texts(each, where)]
    return []


def _caches(django: Mapping[str, Any]) -> list[Address | None]:
    found: list[Address | None] = []
    for name, table in (django.get("CACHES") or {}).items():
        backend = str((table or {}).get("BACKEND") or "").lower()
        kind = "valkey" if "redis" in backend or "valkey" in backend else "memcached" if "memcache" in backend else ""
        places = table.get("LOCATION") if kind else None
        where = f"the settings' CACHES[{name!r}]"
        for place in places if isinstance(places, list) else [places] if places else []:
            text = str(place)
            address = addresses.parse(text, where)
            host, _, port = text.partition(":")
            found.append(address or Address(kind, where, host, port.partition("/")[0]))
    return found


def _connect(each: Mapping[str, Any]) -> Address | None:
    """What was handed to a driver."""
    library, line = str(each.get("library", "")), str(each.get("line") or "")
    file, _, number = line.rpartition(":")
    where = f"{library} in {file}, line {number}" if file else library
    text = str(each.get("address") or "")
    if "://" in text:
        return addresses.parse(text, where)
    if "sqlite" in library.lower():
        return Address("sqlite", where, name=text or str(each.get("name") or ""))
    kinds = (
        ("psycopg", "postgres"), ("asyncpg", "postgres"), ("mysql", "mariadb"), ("aiomysql", "mariadb"),
        ("redis", "valkey"), ("memcache", "memcached"), ("pylibmc", "memcached"), ("postgres", "postgres"),
        ("mongo", "mongodb"), ("motor", "mongodb"), ("pika", "rabbitmq"), ("elastic", "elasticsearch"),
    )  # fmt: skip
    kind = next((kind for word, kind in kinds if word in library.lower()), "")
    parts = {key: str(each.get(key) or "") for key in ("host", "port", "user", "password", "name")}
    if kind == "postgres" and "=" in text and " " in text + " ":
        pairs = dict(word.split("=", 1) for word in text.split() if "=" in word)
        names = {"host": "host", "port": "port", "user": "user", "password": "password", "dbname": "name"}
        parts |= {ours: pairs[theirs].strip("'") for theirs, ours in names.items() if theirs in pairs}
    return Address(kind, where, **parts) if kind else None


def stores(
    tried: Tried, services: Iterable[tuple[str, Service]], scheme: str, copy: str
) -> tuple[list[StoreFound], list[str], list[Unknown]]:
    """The stores of a plan, what else is to be said, and what could not be told.

    Args:
        tried: What the imports showed.
        services: The services of compose files.
        scheme: The scheme of SQL addresses that the drivers installed take; empty for none.
        copy: The folder that the app was tried in: SQLite files within it are the project's.
    """
    plain = addresses_in(tried.outcome)
    marked = addresses_in(tried.marked) if tried.marked is not None else []
    found: list[StoreFound] = []
    remarks: list[str] = []
    unknown: list[Unknown] = []
    database = _database(tried, plain, marked, scheme=scheme, copy=copy, remarks=remarks)
    if database is not None:
        found.append(database)
    for kind in ("valkey", "memcached"):
        store = _other(kind, tried, plain, marked)
        if store is not None:
            found.append(store)
    composed = {service.kind: f"{file}, service {service.name}" for file, service in services if service.kind}
    for kind, source in composed.items():
        known = any(each.kind == kind or (kind in SQL and each.name == "database") for each in found)
        if kind in OURS and not known:
            name = "database" if kind in SQL else NAMES[kind]
            unknown.append(
                Unknown(f"whether the app uses the {TITLES[kind]} of {source}", f"[stores.{name}]", _todo(kind))
            )
    remarks += [
        f"The app names {TITLES.get(kind, kind)}, which prony does not bring up: what needs it will fail."
        for kind in dict.fromkeys(each.kind for each in [*plain, *marked] if each.kind not in OURS)
    ]
    return found, remarks, unknown


def _todo(kind: str) -> str:
    return f'kind = "{kind}" and env = the variable that takes its URL, if it does'


def _database(
    tried: Tried, plain: list[Address], marked: list[Address], *, scheme: str, copy: str, remarks: list[str]
) -> StoreFound | None:
    """The SQL store: where a variable leads there, by that; else where the settings say; else SQLite's file."""
    today = next((each for each in plain if each.kind in SQL), None)
    for landed in marked:
        if landed.kind not in {"postgres", "mariadb"}:
            continue
        table = addresses.template(landed, tried.names, tried.values)
        if table and (today is None or today.kind != "sqlite" or scheme):
            why = f"{', '.join(table)} lead{'s' if len(table) == 1 else ''} to {landed.where}"
            if today is not None and today.kind == "sqlite":
                why += "; without, it is SQLite"
            return _with_rest(StoreFound("database", landed.kind, why, env=_env(table)), landed, table, today)
    if today is None:
        return None
    if today.kind == "sqlite":  # of several names of it the one with its folder: Flask-SQLAlchemy's is instance/
        whole = (each for each in plain if each.kind == "sqlite" and copy.strip("/") in each.name)
        return _sqlite(next(whole, today), copy, remarks)
    if today.kind not in OURS:
        return None
    return StoreFound("database", today.kind, today.where, at=addresses.text_of(today))


def _with_rest(store: StoreFound, landed: Address, table: dict[str, str], today: Address | None) -> StoreFound:
    """Where variables name only parts of the address, the rest is as the settings have it: ours must be found there."""
    whole = any(value.startswith(("{url}", "{host}:")) or "://" in value for value in table.values())
    if whole or "{host}" in table.values() or today is None or today.kind != landed.kind:
        return store
    at = Address(today.kind, "", today.host or "localhost", today.port, today.user, today.password, today.name)
    return StoreFound(store.name, store.kind, f"{today.where}; {store.source}", env=store.env, at=addresses.text_of(at))


def _env(table: dict[str, str]) -> str | dict[str, str]:
    if len(table) == 1 and [*table.values()] == ["{url}"]:
        return next(iter(table))
    return table


def _sqlite(today: Address, copy: str, remarks: list[str]) -> StoreFound | None:
    name = today.name
    if not name or ":memory:" in name or name.startswith("file:"):
        remarks.append(f"{today.where}: SQLite in memory; each worker has its own, and it needs no store.")
        return None
    path = name if name.startswith("/") else name.removeprefix("./")
    root = copy.rstrip("/") + "/"
    for prefix in (root, root.lstrip("/")):  # a URL's path may have lost its first slash
        path = path.removeprefix(prefix)
    if path.startswith("/"):
        remarks.append(f"{today.where}: SQLite's file {path} lies outside the project: the app itself opens it.")
        return None
    return StoreFound("database", "sqlite", today.where, file=path)


def _other(kind: str, tried: Tried, plain: list[Address], marked: list[Address]) -> StoreFound | None:
    """A store for all that is kept in Redis, or in memcached, by whichever variables lead there."""
    table: dict[str, str] = {}
    where: list[str] = []
    for landed in marked:
        if landed.kind == kind:
            more = addresses.template(landed, tried.names, tried.values)
            where += [landed.where] if more else []
            table |= more
    if table:
        where = list(dict.fromkeys(where))
        return StoreFound(
            NAMES[kind],
            kind,
            f"{', '.join(table)} lead{'s' if len(table) == 1 else ''} to {'; '.join(where[:3])}",
            env=_env(table),
        )
    fixed = next((each for each in plain if each.kind == kind), None)
    if fixed is None:
        return None
    return StoreFound(NAMES[kind], kind, fixed.where, at=addresses.text_of(fixed))


def variables_of(store: StoreFound) -> list[str]:
    """The variables that hand a store to the app."""
    if isinstance(store.env, str):
        return [store.env] if store.env else []
    return list(store.env)


def guessed(tried: Tried, known: list[StoreFound], scheme: str, installed: Mapping[str, str]) -> list[StoreFound]:
    """Stores that are connected to only once the app serves: told by the names of variables that it reads."""
    found: list[StoreFound] = []
    taken = {name for store in known for name in variables_of(store)}
    asked = [*tried.outcome.reads, *(tried.outcome.found.get("pydantic") or [])]
    read = {each["name"] for each in asked} | {each["name"].upper() for each in asked}  # either case may do
    for name, value in tried.values.items():
        whole = addresses.parse(value, "")
        if name in taken or whole is None or name not in read | set(tried.stood_in):
            continue
        title = "database" if whole.kind in SQL else NAMES.get(whole.kind, whole.kind)
        has = bool(scheme) if title == "database" else any("redis" in each or "valkey" in each for each in installed)
        if whole.kind in OURS and has and not any(each.name == title for each in [*known, *found]):
            env = _env({name: addresses.shape(whole, value)})
            found.append(
                StoreFound(title, whole.kind, f"{name}, by its name: nothing connects to it on import", env=env)
            )
    return found
