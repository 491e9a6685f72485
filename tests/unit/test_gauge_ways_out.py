from __future__ import annotations

import asyncio
import inspect
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from prony_gauge import egress, place
from prony_gauge.ways_out import WaysOut

if TYPE_CHECKING:
    from collections.abc import Callable

FOUND = [(2, 1, 6, "", ("203.0.113.7", 443))]


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(egress, "GAUGE", SimpleNamespace(count=lambda _kind, text: names.append(text)))
    monkeypatch.setattr(egress, "place", lambda: "")
    return names


@pytest.fixture
def ways(refused: list[str]) -> WaysOut:
    assert refused == []
    return WaysOut(*egress.containment(["api.example.com"]))


def run(call: Callable[[], Any]) -> Any:
    async def main() -> Any:
        return await call()

    return asyncio.run(main())


def loop_of_theirs() -> Any:
    class Loop:
        async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> Any:
            return FOUND if host else port

        async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
            return protocol_factory, host, port

        async def create_datagram_endpoint(
            self, protocol_factory: Any, local_addr: Any = None, remote_addr: Any = None, **_: Any
        ) -> Any:
            return protocol_factory, local_addr, remote_addr

        async def create_unix_connection(self, protocol_factory: Any, path: Any = None, **_: Any) -> Any:
            return protocol_factory, path

    return Loop


def test_uvloop_s_own_ways_out_are_refused(ways: WaysOut, refused: list[str]) -> None:
    module = SimpleNamespace(Loop=loop_of_theirs())
    ways.uvloop(module)
    loop = module.Loop()
    calls = [
        lambda: loop.getaddrinfo("mail.example", 25),
        lambda: loop.create_connection(None, "mail.example", 26),
        lambda: loop.create_connection(protocol_factory=None, host="192.0.2.1", port=27),
        lambda: loop.create_datagram_endpoint(None, remote_addr=("192.0.2.2", 53)),
        lambda: loop.create_unix_connection(None, "/run/docker.sock"),
    ]
    for call in calls:
        with pytest.raises(PermissionError, match="prony contains"):
            run(call)
    assert refused == ["mail.example:25", "mail.example:26", "192.0.2.1:27", "192.0.2.2:53", "unix:/run/docker.sock"]


def test_uvloop_reaches_loopback_its_own_sockets_and_what_an_opened_host_resolves_to(
    ways: WaysOut, refused: list[str]
) -> None:
    module = SimpleNamespace(Loop=loop_of_theirs())
    ways.uvloop(module)
    loop = module.Loop()
    assert inspect.iscoroutinefunction(loop.create_connection)
    assert run(lambda: loop.create_connection("made", "localhost", 80)) == ("made", "localhost", 80)
    assert run(lambda: loop.create_connection("made", sock="theirs")) == ("made", None, None)
    assert run(lambda: loop.create_datagram_endpoint("made", ("0.0.0.0", 0)))[2] is None  # noqa: S104
    assert run(lambda: loop.create_unix_connection("made", "own.sock")) == ("made", "own.sock")
    assert run(lambda: loop.getaddrinfo("localhost", 80)) == FOUND
    with pytest.raises(PermissionError):
        run(lambda: loop.create_connection("made", "203.0.113.7", 443))
    run(lambda: loop.getaddrinfo("API.example.com", 443))
    assert run(lambda: loop.create_connection("made", "203.0.113.7", 443))[1] == "203.0.113.7"
    assert refused == ["203.0.113.7:443"]


def test_asyncio_s_look_ups_are_judged_in_the_task_that_asks(ways: WaysOut, refused: list[str]) -> None:
    module = SimpleNamespace(BaseEventLoop=loop_of_theirs())
    ways.asyncio_base_events(module)
    loop = module.BaseEventLoop()
    with pytest.raises(PermissionError):
        run(lambda: loop.getaddrinfo("mail.example", 25))
    assert run(lambda: loop.getaddrinfo(None, 80)) == 80
    assert refused == ["mail.example:25"]


def test_gevent_s_look_ups_are_judged_in_the_greenlet_that_asks(ways: WaysOut, refused: list[str]) -> None:
    module = SimpleNamespace(
        getaddrinfo=lambda host, port, family=0: (host, port, family),
        gethostbyname=lambda host: host,
        gethostbyname_ex=lambda host: host,
    )
    ways.gevent_socketcommon(module)
    assert module.getaddrinfo("api.example.com", 443, family=2) == ("api.example.com", 443, 2)
    assert module.gethostbyname("localhost") == "localhost"
    for name, arguments in (("getaddrinfo", (25,)), ("gethostbyname", ()), ("gethostbyname_ex", ())):
        with pytest.raises(PermissionError):
            getattr(module, name)("mail.example", *arguments)
    assert refused == ["mail.example:25", "mail.example", "mail.example"]


def test_c_ares_is_not_asked_for_outside_names(ways: WaysOut, refused: list[str]) -> None:
    class Channel:
        def getaddrinfo(self, host: str, port: Any, *, callback: Any) -> Any:
            return host, port, callback

        def query(self, name: str, query_type: str, callback: Any) -> Any:
            return name, query_type, callback

    ways.pycares(SimpleNamespace(Channel=Channel))
    channel = Channel()
    assert channel.query("api.example.com", "A", print) == ("api.example.com", "A", print)
    assert channel.getaddrinfo("localhost", None, callback=print) == ("localhost", None, print)
    calls: list[Callable[[], Any]] = [
        lambda: channel.query("mail.example", "MX", print),
        lambda: channel.query(name="other.example", query_type="MX", callback=print),
        lambda: channel.getaddrinfo("third.example", 443, callback=print),
    ]
    for call in calls:
        with pytest.raises(PermissionError):
            call()
    assert refused == ["mail.example", "other.example", "third.example"]


def test_what_aiohttp_s_resolver_finds_for_an_opened_host_is_let_through(ways: WaysOut, refused: list[str]) -> None:
    class AsyncResolver:
        async def resolve(self, _host: str, port: int = 0, _family: int = 0) -> Any:
            return [{"host": "203.0.113.7", "port": port}]

    ways.aiohttp_resolver(SimpleNamespace(AsyncResolver=AsyncResolver))
    with pytest.raises(PermissionError):
        run(lambda: AsyncResolver().resolve("mail.example", 25))
    run(lambda: AsyncResolver().resolve("api.example.com", 443))
    ways.hook("socket.connect", (None, ("203.0.113.7", 443)))
    assert refused == ["mail.example:25"]


def test_aiohttp_s_look_up_in_a_task_of_its_own_answers_for_the_line_that_asked(
    ways: WaysOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "noted", [])
    seen: list[list[str]] = []

    class TCPConnector:
        async def connect(self, _req: Any, _traces: Any, _timeout: Any) -> None:
            async def resolving() -> None:
                seen.append([each() for each in place.noted])

            await asyncio.create_task(resolving())

    ways.aiohttp_connector(SimpleNamespace(TCPConnector=TCPConnector))

    async def main() -> None:
        for host, proxy in (("mail.example", None), ("api.example.com", None), ("x.example", "127.0.0.1")):
            request = SimpleNamespace(url=SimpleNamespace(host=host), proxy=proxy and SimpleNamespace(host=proxy))
            await TCPConnector().connect(request, [], None)

    asyncio.run(main())
    assert re.search(r"test_gauge_ways_out\.py:\d+$", seen[0][0])
    assert seen[1:] == [[""], [""]]
    assert place.noted[0]() == ""
