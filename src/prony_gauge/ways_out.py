"""Turns ways out that Python's socket never sees (libuv, c-ares) into ones that are judged, and moves others nearer.

The audit hook judges a look-up in the thread that makes it, which for asyncio and gevent is one of a pool. Judged
here already, in the task or greenlet that asked, its stack still names the line. What C code does of itself stays
out of sight: a datagram that uvloop sends to an address of its own, c-ares asked by another C library.
"""

from __future__ import annotations

from prony_gauge import place
from prony_gauge.egress import addresses, is_loopback, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class WaysOut:
    """What to do with modules that have been imported, by the modules' names in `after_import`.

    Attributes:
        hook: The audit hook, which raises where a host is out of bounds.
        opened: The hosts let through; addresses that they resolve to are added.
    """

    def __init__(self, hook: Callable[[str, Any], None], opened: set[str]) -> None:
        self.hook = hook
        self.opened = opened
        self.names = frozenset(opened)
        self.after_import = {
            "asyncio.base_events": self.asyncio_base_events,
            "uvloop": self.uvloop,
            "pycares": self.pycares,
            "aiohttp.resolver": self.aiohttp_resolver,
            "aiohttp.connector": self.aiohttp_connector,
            "gevent._socketcommon": self.gevent_socketcommon,
        }

    def look_up(self, args: Any, kwargs: Any) -> None:
        """Judge a call with a host and perhaps a port."""
        host = _argument(args, kwargs, 0, "host")
        if host is not None:
            self.hook("socket.getaddrinfo", (host, _argument(args, kwargs, 1, "port")))

    def connect(self, address: Any) -> None:
        """Judge an address: (host, port), or a unix socket's path."""
        if address:
            self.hook("socket.connect", (None, address))

    def learn(self, host: Any, found: Any) -> None:
        """Let through what an opened host resolves to."""
        if isinstance(host, (str, bytes)) and plain(host) in self.names:
            self.opened.update(addresses(found))

    def asyncio_base_events(self, module: Any) -> None:
        """Its look-ups go to a pool of threads."""
        loop = module.BaseEventLoop
        loop.getaddrinfo = _awaited(loop.getaddrinfo, self.look_up)

    def uvloop(self, module: Any) -> None:
        """It looks up and connects in C. Only its sock_connect goes through Python's socket."""
        loop = module.Loop

        def to_host(args: Any, kwargs: Any) -> None:
            host = _argument(args, kwargs, 1, "host")
            self.connect(host and (host, _argument(args, kwargs, 2, "port")))

        def to_peer(args: Any, kwargs: Any) -> None:
            self.connect(_argument(args, kwargs, 2, "remote_addr"))

        def to_path(args: Any, kwargs: Any) -> None:
            self.connect(_argument(args, kwargs, 1, "path"))

        loop.getaddrinfo = _awaited(loop.getaddrinfo, self.look_up, self.learn)
        loop.create_connection = _awaited(loop.create_connection, to_host)
        loop.create_datagram_endpoint = _awaited(loop.create_datagram_endpoint, to_peer)
        loop.create_unix_connection = _awaited(loop.create_unix_connection, to_path)

    def pycares(self, module: Any) -> None:
        """It asks name servers in C."""

        def by_name(args: Any, kwargs: Any) -> None:  # without a port: others of these take another thing there
            self.look_up(args[1:2], {"host": kwargs.get("host", kwargs.get("name"))})

        for name in ("getaddrinfo", "gethostbyname", "query", "search"):
            if hasattr(module.Channel, name):
                setattr(module.Channel, name, _judged(getattr(module.Channel, name), by_name))

    def aiohttp_resolver(self, module: Any) -> None:
        """It asks pycares, and what that finds is to be learnt."""
        module.AsyncResolver.resolve = _awaited(module.AsyncResolver.resolve, self.look_up, self.learn)

    def aiohttp_connector(self, module: Any) -> None:
        """It looks up in a task of its own: the line is noted in the one that asked, whose context it inherits."""
        from _contextvars import ContextVar

        line: Any = ContextVar("prony_gauge_line", default="")
        place.noted.append(line.get)
        connect = module.TCPConnector.connect

        async def connecting(connector: Any, req: Any, *args: Any, **kwargs: Any) -> Any:
            host = plain((req.proxy or req.url).host)
            if is_loopback(host) or host in self.opened:
                return await connect(connector, req, *args, **kwargs)
            token = line.set(place.place())
            try:
                return await connect(connector, req, *args, **kwargs)
            finally:
                line.reset(token)

        module.TCPConnector.connect = _like(connect, connecting)

    def gevent_socketcommon(self, module: Any) -> None:
        """Its look-ups go to a pool of threads, or to c-ares."""
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            setattr(module, name, _judged(getattr(module, name), self.look_up))


def _argument(args: Any, kwargs: Any, at: int, name: str) -> Any:
    return args[at] if at < len(args) else kwargs.get(name)


def _judged(ask: Any, judge: Any) -> Any:
    def judged(*args: Any, **kwargs: Any) -> Any:
        judge(args, kwargs)
        return ask(*args, **kwargs)

    return _like(ask, judged)


def _awaited(ask: Any, judge: Any, learn: Any = None) -> Any:
    async def awaited(self: Any, *args: Any, **kwargs: Any) -> Any:
        judge(args, kwargs)
        found = await ask(self, *args, **kwargs)
        if learn is not None:
            learn(_argument(args, kwargs, 0, "host"), found)
        return found

    return _like(ask, awaited)


def _like(original: Any, wrapper: Any) -> Any:
    from functools import wraps

    return wraps(original)(wrapper)
