from __future__ import annotations

import os
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from prony_gauge import egress

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []

    class Recorder:
        def count(self, _kind: int, text: str) -> None:
            names.append(text)

    monkeypatch.setattr(egress, "GAUGE", Recorder())
    monkeypatch.setattr(egress, "place", lambda: "")
    return names


@pytest.fixture
def hook(refused: list[str]) -> Callable[[str, Any], None]:
    assert refused == []
    return egress.containment(["API.example.com", " 10.1.2.3 ", ""])[0]


@pytest.mark.parametrize(
    "address",
    ["/dev/shm/own.sock", "own.sock", b"\0abstract",  # noqa: S108 - names to judge
     ("127.0.0.1", 80), ("127.8.9.1", 80), ("::1", 80, 0, 0), ("::ffff:127.0.0.1", 80),
     ("::ffff:7f00:1", 80), ("localhost", 80), ("LOCALHOST.", 80), ("", 80), ("0.0.0.0", 80), (b"127.0.0.1", 80),  # noqa: S104
     ("::1%lo", 80), (0, 0), None, ("api.example.com", 443), ("10.1.2.3", 5432)],
)  # fmt: skip
def test_loopback_unix_and_opened_hosts_are_let_through(hook: Callable[[str, Any], None], address: object) -> None:
    for event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        hook(event, (None, address))


def test_what_listened_on_loopback_before_is_refused_with_its_port(refused: list[str]) -> None:
    """This machine's mail server; what the stack brings listens elsewhere."""
    hook = egress.containment([], ["25", "5432", ""])[0]
    hook("socket.connect", (None, ("127.0.0.1", 5433)))
    for host in ("127.0.0.1", "localhost", "::1", ""):
        with pytest.raises(PermissionError, match=r'as "(127\.0\.0\.1|localhost|::1):25"'):
            hook("socket.connect", (None, (host, 25)))
    assert refused == ["127.0.0.1:25", "localhost:25", "::1:25", "localhost:25"]


@pytest.mark.parametrize(
    "host",
    ["93.184.216.34", "2606:2800::1", "example.com", "127.evil.example", "::ffff:10.0.0.1", "::ffff:7:1", "127.0.0.1.x",
     "10.1.2.4", "255.255.255.255"],
)  # fmt: skip
def test_any_other_address_is_refused_by_name(hook: Callable[[str, Any], None], refused: list[str], host: str) -> None:
    with pytest.raises(PermissionError, match=r"prony contains .* name it under \[app\]\.egress") as caught:
        hook("socket.connect", (None, (host, 443)))
    assert host in str(caught.value)
    assert refused == [f"{host}:443"]


def test_look_ups_of_outside_names_are_refused(hook: Callable[[str, Any], None], refused: list[str]) -> None:
    with pytest.raises(PermissionError):
        hook("socket.getaddrinfo", ("mail.example", 25, 0, 0, 0))
    with pytest.raises(PermissionError):
        hook("socket.gethostbyname", (b"mail.example",))
    with pytest.raises(PermissionError):
        hook("socket.gethostbyaddr", ("93.184.216.34",))
    with pytest.raises(PermissionError):
        hook("socket.getnameinfo", (("93.184.216.34", 80),))
    assert refused == ["mail.example:25", "mail.example", "93.184.216.34", "93.184.216.34:80"]


def test_a_refusal_is_counted_with_the_line_that_asked(
    hook: Callable[[str, Any], None], refused: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress, "place", lambda: "shop/mail.py:12")
    for host in ("mail.example", "h" * 253):
        with pytest.raises(PermissionError):
            hook("socket.getaddrinfo", (host, 25, 0, 0, 0))
    assert refused == ["mail.example:25 at shop/mail.py:12", "h" * egress.HOST_CHARS + ":25 at shop/mail.py:12"]


def test_look_ups_that_ask_nobody_are_let_through(hook: Callable[[str, Any], None]) -> None:
    for host in (None, "", "localhost", "0.0.0.0", "::", "10.0.0.9", "fe80::1", os.uname().nodename, "api.example.com"):  # noqa: S104
        hook("socket.getaddrinfo", (host, 80, 0, 0, 0))


def test_other_events_are_none_of_its_business(hook: Callable[[str, Any], None]) -> None:
    hook("open", ("/etc/passwd", "r", 0))
    hook("socket.bind", (None, ("93.184.216.34", 80)))


def test_addresses_that_opened_hosts_resolve_to_are_let_through(
    refused: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, opened = egress.containment(["api.example.com"])
    low: Any = ModuleType("_socket")
    low.getaddrinfo = lambda *_: [(2, 1, 6, "", ("203.0.113.7", 443)), (10, 1, 6, "", ("2001:db8::7", 443, 0, 0))]
    low.gethostbyname = lambda _: "203.0.113.8"
    low.gethostbyname_ex = lambda _: ("api.example.com", [], ["203.0.113.9"])
    high: Any = ModuleType("socket")
    high.getaddrinfo = lambda host, port: low.getaddrinfo(host, port)  # noqa: PLW0108 # looked up at each call
    high.gethostbyname, high.gethostbyname_ex = low.gethostbyname, low.gethostbyname_ex
    monkeypatch.setitem(__import__("sys").modules, "_socket", low)
    egress.learn(opened)(high)
    high.getaddrinfo("other.example", 443)
    assert len(opened) == 1
    high.getaddrinfo("API.example.com", 443)
    high.gethostbyname("api.example.com")
    high.gethostbyname_ex("api.example.com")
    for host in ("203.0.113.7", "2001:db8::7", "203.0.113.8", "203.0.113.9"):
        judge("socket.connect", (None, (host, 443)))
    assert refused == []


@pytest.mark.parametrize(
    "path",
    ["/run/postgresql/.s.PGSQL.5432", "/tmp/.s.PGSQL.5432", "/run/docker.sock", b"/dev/log"],  # noqa: S108 - names
)
def test_a_socket_of_somebody_elses_in_the_file_system_is_refused(
    hook: Callable[[str, Any], None], path: object
) -> None:
    with pytest.raises(PermissionError, match="prony contains"):
        hook("socket.connect", (None, path))
