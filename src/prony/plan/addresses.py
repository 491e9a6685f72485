"""A store's URL in, its parts out; and templates of variables filled with them."""

from __future__ import annotations

import string
from urllib.parse import unquote, urlsplit

from msgspec import Struct

PORTS = {
    "postgres": 5432,
    "postgresql": 5432,
    "mysql": 3306,
    "mariadb": 3306,
    "redis": 6379,
    "rediss": 6379,
    "valkey": 6379,
    "valkeys": 6379,
    "memcached": 11211,
    "memcache": 11211,
    "mongodb": 27017,
    "amqp": 5672,
    "amqps": 5671,
}
# Schemes of the URLs that say where a store of ours is expected; what follows a + is a driver's name.
SCHEMES = {
    "postgres": ("postgres", "postgresql", "postgis", "psql", "pgsql"),
    "mariadb": ("mysql", "mariadb", "mysql2"),
    "valkey": ("redis", "valkey"),
    "redis": ("redis", "valkey"),
    "memcached": ("memcached", "memcache"),
}
NETWORK = ("url", "scheme", "user", "password", "host", "port", "name")
PLACEHOLDERS = {
    "sqlite": ("url", "scheme", "path", "name"),
    "memcached": ("url", "scheme", "host", "port"),
}


class Address(Struct, frozen=True, kw_only=True):
    """Where a store is and who logs in there.

    Attributes:
        password: None where the URL says none.
        name: The database's; a number for Valkey and Redis.
    """

    scheme: str
    host: str
    port: int
    user: str = ""
    password: str | None = None
    name: str = ""


def address_of(url: str) -> Address:
    """The parts of a URL, percent signs resolved; raises ValueError where it is none."""
    parts = urlsplit(url)
    password = parts.password
    return Address(
        scheme=parts.scheme,
        host=parts.hostname or "",
        port=parts.port or PORTS.get(parts.scheme.partition("+")[0], 0),
        user=unquote(parts.username or ""),
        password=None if password is None else unquote(password),
        name=unquote(parts.path.removeprefix("/")),
    )


def placeholders_of(kind: str) -> tuple[str, ...]:
    """What a template may name for a store of that kind."""
    return PLACEHOLDERS.get(kind, NETWORK)


def unknown(template: str, kind: str) -> str:
    """The first placeholder of a template that is none for this kind, or why it is no template; empty for neither."""
    try:
        for _, name, form, conversion in string.Formatter().parse(template):
            if name is not None and (name not in placeholders_of(kind) or form or conversion):
                return "{" + name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "") + "}"
    except ValueError as error:
        return f"a text with {str(error).lower()}"
    return ""


def fill(template: str, url: str) -> str:
    """A template with the parts of a URL put in: as they stand there within a URL, plain elsewhere."""
    if template == "{url}":
        return url
    parts, found = urlsplit(url), address_of(url)
    as_they_stand = "://" in template
    return template.format(
        url=url,
        scheme=found.scheme,
        user=parts.username or "" if as_they_stand else found.user,
        password=parts.password or "" if as_they_stand else found.password or "",
        host=found.host,
        port=found.port or "",
        name=found.name,
        path=found.name,
    )
