"""Where an app's settings say that a store is in, its parts out; and addresses by which a variable is recognised."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

KINDS = {
    "postgres": "postgres", "postgresql": "postgres", "postgis": "postgres", "psql": "postgres", "pgsql": "postgres",
    "cockroachdb": "postgres", "timescale": "postgres", "mysql": "mariadb", "mariadb": "mariadb", "mysql2": "mariadb",
    "sqlite": "sqlite", "sqlite3": "sqlite", "spatialite": "sqlite", "redis": "valkey", "rediss": "valkey",
    "valkey": "valkey", "rediscache": "valkey", "memcached": "memcached", "memcache": "memcached",
    "pymemcache": "memcached", "pylibmc": "memcached", "amqp": "rabbitmq", "amqps": "rabbitmq", "pyamqp": "rabbitmq",
    "mongodb": "mongodb", "mongodb+srv": "mongodb", "mssql": "mssql", "oracle": "oracle",
    "elasticsearch": "elasticsearch",
}  # fmt: skip
SQL = {"postgres", "mariadb", "sqlite", "mssql", "oracle"}
OURS = {"postgres", "mariadb", "sqlite", "valkey", "memcached"}
TITLES = {
    "postgres": "Postgres", "mariadb": "MariaDB", "sqlite": "SQLite", "valkey": "Redis", "memcached": "memcached",
    "rabbitmq": "RabbitMQ", "mongodb": "MongoDB", "mssql": "SQL Server", "oracle": "Oracle",
    "elasticsearch": "Elasticsearch",
}  # fmt: skip
# A variable of a store's by its name: what it is of, then what part.
_STORE = r"DATABASE|POSTGRES|POSTGRESQL|PSQL|PG|PGSQL|MYSQL|MARIADB|SQL|SQLALCHEMY|DB|RDS|REDIS|VALKEY|CACHE|MEMCACHED?"
_STORE += r"|BROKER|CELERY|QUEUE|RABBITMQ|RABBIT|AMQP|MONGO|MONGODB|RQ|CHANNEL|CHANNELS|RESULT"
_PART = (
    r"URL|URI|DSN|HOST|HOSTNAME|PORT|NAME|USER|USERNAME|PASSWORD|PASS|PWD|DB|DATABASE|SERVER|SERVERS|LOCATION|BROKER"
)
_PART += r"|BACKEND|ADDR|ADDRESS|ENDPOINT|STRING|CONNECTION"
STORE_NAME = re.compile(rf"(^|_)({_STORE})\w*?(_|^)?({_PART})$|^(PG(HOST|PORT|USER|PASSWORD|DATABASE))$")
_NOT = re.compile(
    r"SENTRY|ENGINE|SSL|TIMEOUT|POOL|MAX|ECHO|SCHEMA|PREFIX|USERNAME_FIELD|SESSION_|EMAIL|SMTP|STATIC|MEDIA"
)
URL_NAME = re.compile(r"(URL|URI|DSN|BROKER|CONNECTION|STRING|LOCATION)$|^CELERY_RESULT_BACKEND$|RESULT_BACKEND$")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store is: `where` says who says so; `name` is the database's, or a file for SQLite."""

    kind: str
    where: str
    host: str = ""
    port: str = ""
    user: str = ""
    password: str = ""
    name: str = ""
    scheme: str = ""
    query: str = ""


def is_store(name: str, value: str | None = None) -> bool:
    """Whether a variable looks like one that names a store, by its name or by what it is set to."""
    if value and (parsed := parse(value, "")) is not None and parsed.kind:
        return True
    upper = name.upper()
    return bool(STORE_NAME.search(upper)) and not _NOT.search(upper)


def parse(text: str, where: str) -> Address | None:
    """The parts of a URL; None for what is none of a store's."""
    scheme, colon, rest = text.partition("://")
    kind = KINDS.get(scheme.partition("+")[0].lower(), "")
    if not colon or not kind:
        return None
    if kind == "sqlite":
        path = rest.partition("?")[0]
        return Address(kind, where, name=path.removeprefix("/") if path else ":memory:", scheme=scheme)
    try:
        parts = urlsplit(text)
        port = str(parts.port or "")
        host = parts.hostname or ""
    except ValueError:
        return None
    return Address(
        kind, where, host, port, unquote(parts.username or ""), unquote(parts.password or ""),
        unquote(parts.path.removeprefix("/")), scheme, parts.query,
    )  # fmt: skip


def of_django(name: str, table: Mapping[str, Any]) -> Address | None:
    """The parts of one entry of DATABASES."""
    engine = str(table.get("ENGINE") or "")
    last = engine.rpartition(".")[2].lower()
    kind = KINDS.get(last, "")
    if not kind:
        words = (
            ("postg", "postgres"),
            ("mysql", "mariadb"),
            ("sqlite", "sqlite"),
            ("mssql", "mssql"),
            ("oracle", "oracle"),
        )
        kind = next((found for word, found in words if word in engine.lower()), "")
    if not kind:
        return None
    part = {
        key: "" if table.get(key) is None else str(table.get(key))
        for key in ("HOST", "PORT", "NAME", "USER", "PASSWORD")
    }
    where = f"the settings' DATABASES[{name!r}]"
    return Address(kind, where, part["HOST"], part["PORT"], part["USER"], part["PASSWORD"], part["NAME"], "")


def sentinel(number: int, name: str, default: str | None, scheme: str) -> str:
    """A value for a variable that is known again wherever it lands: an address for one that holds URLs, else a word.

    Args:
        number: A different one for each variable.
        name: The variable's.
        default: What it is set to otherwise, where that is known.
        scheme: The scheme of SQL addresses.
    """
    upper = name.upper()
    given = parse(default or "", "")
    if given is not None or URL_NAME.search(upper):
        kind = given.kind if given is not None and given.kind != "sqlite" else _kind_of(upper)
        if kind == "valkey":
            return f"redis://:prony-p{number}@{host(number)}:{port(number)}/0"
        if kind == "memcached" and given is None:
            return f"{host(number)}:{port(number)}"
        if kind in {"rabbitmq", "mongodb", "memcached"}:
            own = {"rabbitmq": "amqp", "mongodb": "mongodb", "memcached": "memcached"}[kind]
            return f"{own}://prony-u{number}:prony-p{number}@{host(number)}:{port(number)}/prony-n{number}"
        if given is not None and given.kind != "sqlite":
            scheme = given.scheme
        return f"{scheme}://prony-u{number}:prony-p{number}@{host(number)}:{port(number)}/prony-n{number}"
    if re.search(r"PORT$", upper):
        return port(number)
    if re.search(r"(SERVERS?|ADDR|ADDRESS|ENDPOINT)$", upper) and "MEMCACHE" in upper:
        return f"{host(number)}:{port(number)}"
    if re.search(r"^(REDIS|VALKEY)\w*_DB$", upper):
        return "0"
    return host(number)


def _kind_of(upper: str) -> str:
    for words, kind in (
        (("REDIS", "VALKEY", "RQ", "CHANNEL"), "valkey"), (("MEMCACHE",), "memcached"),
        (("RABBIT", "AMQP"), "rabbitmq"), (("MONGO",), "mongodb"),
        (("CELERY", "BROKER", "CACHE", "QUEUE", "RESULT_BACKEND"), "valkey"),
    ):  # fmt: skip
        if any(word in upper for word in words):
            return kind
    return "postgres"


def host(number: int) -> str:
    """The host, or word, that stands for a variable."""
    return f"prony-h{number}.invalid"


def port(number: int) -> str:
    """The port that stands for a variable."""
    return str(21_000 + number)


def template(landed: Address, numbers: Mapping[int, str], values: Mapping[str, str]) -> dict[str, str]:
    """Which variable is to be set to what, so that the store of ours is found: {"DB_HOST": "{host}"}.

    Args:
        landed: Where the store is, with sentinels in the variables' place.
        numbers: Which number stands for which variable.
        values: What each variable was set to.
    """
    found: dict[str, str] = {}
    for number, name in numbers.items():
        value = values[name]
        whole = parse(value, "")
        if whole is not None or ":" in value:
            if landed.host == host(number):
                found[name] = shape(whole, value)
            continue
        for part, text in (
            ("host", landed.host), ("port", landed.port), ("user", landed.user), ("password", landed.password),
            ("name", landed.name),
        ):  # fmt: skip
            if text == value and value != "0":
                found[name] = "{" + part + "}"
    return found


def shape(whole: Address | None, value: str) -> str:
    """The template of a whole address: "{url}" where any will do, else with its own scheme."""
    if whole is None:
        return "{host}:{port}"
    if whole.kind in {"valkey", "memcached"} or whole.scheme in {"postgres", "mysql"}:
        return "{url}"
    _, _, query = value.partition("?")
    return f"{whole.scheme}://{{user}}:{{password}}@{{host}}:{{port}}/{{name}}" + (f"?{query}" if query else "")


def text_of(found: Address) -> str:
    """An address as one text, for `at`."""
    scheme = {"postgres": "postgres", "mariadb": "mysql", "valkey": "redis", "memcached": "memcached"}[found.kind]
    ports = {"postgres": "5432", "mariadb": "3306", "valkey": "6379", "memcached": "11211"}
    login = quote(found.user, safe="") + (":" + quote(found.password, safe="") if found.password else "")
    host_text = f"[{found.host}]" if ":" in found.host else found.host or "localhost"
    path = "/" + quote(found.name, safe="") if found.name else ""
    return f"{scheme}://{login + '@' if login else ''}{host_text}:{found.port or ports[found.kind]}{path}"
