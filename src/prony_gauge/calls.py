"""Turns calls to other hosts' HTTP servers, and to caches, into the gauge's figures."""

from __future__ import annotations

from prony_gauge.hooks import Hook, put, timed, timed_async
from prony_gauge.mapped import GAUGE
from prony_gauge.work import cached, called_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Of Redis: what asks for a value, and what waits for something to come, which is no time of the cache's.
GETS = {"GET", "HGET", "GETEX", "GETDEL", "GETSET"}
MANY = {"MGET", "HMGET"}
BLOCKING = ("BLPOP", "BRPOP", "BLMOVE", "BLMPOP", "BZPOP", "BRPOPLPUSH", "XREAD", "SUBSCRIBE", "PSUBSCRIBE", "WAIT")
PYMEMCACHE = ("set", "set_many", "set_multi", "add", "replace", "append", "prepend", "cas", "delete", "incr", "decr")


def _host(url: Any) -> str:
    """`host:port` of an address, without user, path or query."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(str(url))
        return _with_port(parts.hostname or "?", parts.port, parts.scheme)
    except ValueError:  # no address: it is for the library to say so
        return "?"


def _with_port(host: Any, port: Any, scheme: str) -> str:
    usual = {"http": 80, "https": 443}.get(scheme)
    return f"{host}:{port}" if port and port != usual else str(host)


def httpx_client(module: Any) -> None:
    """`send`, redirects and body included (a stream's body is not): (client, request)."""

    def tell(began: int, ended: int, args: tuple[Any, ...], kwargs: dict[str, Any], _: Any) -> None:
        url = (args[1] if len(args) > 1 else kwargs["request"]).url
        called_out(GAUGE, began, ended, _with_port(url.host, url.port, url.scheme))

    put(module.Client, ("send",), Hook("httpx", tell))
    put(module.AsyncClient, ("send",), Hook("httpx", tell), timed_async)


def requests_sessions(module: Any) -> None:
    """`send`: (session, prepared request)."""

    def tell(began: int, ended: int, args: tuple[Any, ...], kwargs: dict[str, Any], _: Any) -> None:
        called_out(GAUGE, began, ended, _host((args[1] if len(args) > 1 else kwargs["request"]).url))

    put(module.Session, ("send",), Hook("requests", tell))


def urllib3_pool(module: Any) -> None:
    """`urlopen` of a host's pool of connections."""

    def tell(began: int, ended: int, args: tuple[Any, ...], *_: Any) -> None:
        pool = args[0]
        called_out(GAUGE, began, ended, _with_port(pool.host, pool.port, pool.scheme))

    put(module.HTTPConnectionPool, ("urlopen",), Hook("urllib3", tell))


def aiohttp_client(module: Any) -> None:
    """Until the answer's headers are there: (session, method, url)."""

    def tell(began: int, ended: int, args: tuple[Any, ...], kwargs: dict[str, Any], _: Any) -> None:
        called_out(
            GAUGE, began, ended, _host(args[2] if len(args) > 2 else kwargs.get("url", kwargs.get("str_or_url")))
        )

    put(module.ClientSession, ("_request",), Hook("aiohttp client", tell), timed_async)


def _command(began: int, ended: int, args: tuple[Any, ...], _: dict[str, Any], answer: Any) -> None:
    name = str(args[1]).partition(" ")[0].upper()
    if name.startswith(BLOCKING):
        return
    lookups = hits = 0
    if name in GETS:
        lookups, hits = 1, int(answer is not None)
    elif name in MANY and isinstance(answer, (list, tuple)):
        lookups, hits = len(answer), sum(1 for each in answer if each is not None)
    cached(GAUGE, began, ended, "redis " + name, (lookups, hits))


def _pipeline(began: int, ended: int, *_: Any) -> None:
    cached(GAUGE, began, ended, "redis pipeline", (0, 0))


def _redis(wrap: Callable[[Hook, Any], Any]) -> Callable[[Any], None]:
    def after(module: Any) -> None:
        put(module.Redis, ("execute_command",), Hook("redis", _command), wrap)
        put(module.Pipeline, ("execute",), Hook("redis pipeline", _pipeline), wrap)

    return after


def _memcached(library: str, kind: Any, sets: tuple[str, ...]) -> None:
    def teller(name: str, keys: Callable[[Any, Any], tuple[int, int]]) -> Hook:
        def tell(began: int, ended: int, args: tuple[Any, ...], _: dict[str, Any], answer: Any) -> None:
            cached(GAUGE, began, ended, library + " " + name, keys(args, answer))

        return Hook(library, tell)

    def one(args: Any, answer: Any) -> tuple[int, int]:
        default = args[2] if len(args) > 2 else None
        value = answer[0] if isinstance(answer, tuple) else answer
        return 1, int(value is not None and value is not default)

    def many(args: Any, answer: Any) -> tuple[int, int]:
        asked = args[1] if len(args) > 1 else ()
        hits = len(answer) if answer else 0
        return (len(asked) if hasattr(asked, "__len__") else hits), hits

    for name in ("get", "gets"):
        put(kind, (name,), teller(name, one))
    for name in ("get_many", "get_multi", "gets_many"):
        put(kind, (name,), teller(name, many))
    for name in sets:
        put(kind, (name,), teller(name, lambda *_: (0, 0)))


AFTER_IMPORT: dict[str, Callable[[Any], Any]] = {
    "httpx._client": httpx_client,
    "requests.sessions": requests_sessions,
    "urllib3.connectionpool": urllib3_pool,
    "aiohttp.client": aiohttp_client,
    "redis.client": _redis(timed),
    "redis.asyncio.client": _redis(timed_async),
    "pymemcache.client.base": lambda module: _memcached("pymemcache", module.Client, PYMEMCACHE),
    "pylibmc.client": lambda module: _memcached("pylibmc", module.Client, PYMEMCACHE),
}
