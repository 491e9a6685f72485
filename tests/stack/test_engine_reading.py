"""What came before a connection was looked at, its end included, is read whole, though it is told of only once."""

from __future__ import annotations

import socket
from typing import cast

import pytest

from prony.load.checking import CheckingConnection
from prony.load.connection import HEAD_BYTES_MAX, Connection, Owner
from prony.load.loop import Loop
from prony.load.mix import routes_of
from prony.load.spec import Expectation, LoadSpec, RequestSpec
from prony.samples import OUTCOMES

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
NEVER_S = 5.0


class Listener:
    """An owner that writes down what became of a request, and of an idle connection."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.server_name = ""
        self.kept_bytes = 0
        self.told: list[tuple[str, int]] = []
        self.closed = False

    def add(self, *_: object) -> None: ...

    def lacking(self, _: str) -> None: ...

    def ended(self, connection: Connection, outcome: int, _: int) -> None:
        self.told.append((OUTCOMES[outcome], connection.received))
        if not connection.reusable():
            connection.close()
            self.closed = True
            self.loop.stop()

    def broken(self, connection: Connection, _: int, __: int) -> None:
        if connection.route is not None:
            self.told.append(("broken", connection.received))
        connection.close()
        self.closed = True
        self.loop.stop()


def read(kind: type[Connection], answer: bytes) -> Listener:
    """An answer that is all there, with the end of its connection, before the loop first looks."""
    spec = LoadSpec(
        host="127.0.0.1",
        port=80,
        requests=(RequestSpec(expect=Expectation()),),
        arrivals="constant",
        rate_rps=1,
        duration_s=1,
        segment="s",
    )
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * len(answer))
    listener = Listener()
    connection = kind(cast("Owner", listener), near, spec.body_bytes_max)
    route = routes_of(spec)[0]
    assert connection.begin(route, route.wire, 1, 1, 0) == 0
    assert far.recv(HEAD_BYTES_MAX) == route.wire
    far.setblocking(False)
    assert far.send(answer) == len(answer), "all of it is on its way at once"
    far.close()
    listener.loop.call_later(NEVER_S, listener.loop.stop)
    listener.loop.run()
    listener.loop.close()
    return listener


@pytest.mark.parametrize("kind", [Connection, CheckingConnection])
@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize("buffers", [0, 1, 2])
@pytest.mark.parametrize("ending", ["length", "close"])
def test_an_answer_and_the_end_that_came_with_it_are_read(
    kind: type[Connection], more: int, buffers: int, ending: str
) -> None:
    size = max(buffers * HEAD_BYTES_MAX + more, 1)
    head = HEAD + (b"Content-Length: %d\r\n\r\n" if ending == "length" else b"X-Of-Bytes: %d\r\n\r\n") % size
    answer = head + b"x" * size
    listener = read(kind, answer)
    assert listener.told == [("ok", len(answer))]
    assert listener.closed, "that the server has closed is seen"


@pytest.mark.parametrize("whole", [0, 1, 2, 3])
def test_an_answer_as_long_as_reads_are_is_read(whole: int) -> None:
    head = HEAD + b"X-Padding: %s\r\n\r\n"
    body = b"x" * (whole * HEAD_BYTES_MAX + 300 - len(head % b""))
    answer = head % (b"y" * (HEAD_BYTES_MAX - 300)) + body if whole else head % b"" + body
    listener = read(Connection, answer)
    assert listener.told == [("ok", len(answer))]
