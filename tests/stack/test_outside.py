from __future__ import annotations

import contextlib
import http.client
import json
import socket
import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock
from time import monotonic
from typing import Any

import psutil
import pytest

from prony.errors import StackError
from prony.plan import Outside
from prony.stack import folders
from prony.stack.launch import Launcher
from prony.stack.services.outside import DEFAULTS, OutsideService

QUICK: dict[str, Any] = {**DEFAULTS, "latency": 0.0, "every": 0.0, "events": 3}


def until(holds: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Poll until it holds."""
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        Event().wait(0.02)


class Feed:
    """A service in a stack's network, and ways to talk to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run_folder = folders.run_folder()
        self.launcher = Launcher(self.run_folder)
        self._one = Lock()
        self.service = self.named("feed")

    def named(self, name: str) -> OutsideService:
        service = OutsideService(self.launcher, self.folder, self.run_folder, (), name)
        service.start(Outside(name=name, env="FEED_URL"))
        return service

    def raw(self) -> socket.socket:
        with self._one:  # a launcher belongs to one thread at a time
            return self.launcher.connect(self.service.port, 20)

    def client(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=20)
        connection.sock = self.raw()
        return connection

    def get(self, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, Any]:
        """Status and body of one request on a connection of its own."""
        connection = self.client()
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")
        finally:
            connection.close()

    def said(self, request: bytes) -> bytes:
        """All that is answered until the service closes the connection."""
        with self.raw() as connection:
            connection.sendall(request)
            data = b""
            while more := connection.recv(65536):
                data += more
            return data

    def count(self, name: str) -> Any:
        return self.service.stats()[name]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feed]:
    found = Feed(tmp_path_factory.mktemp("feed"))
    try:
        yield found
    finally:
        found.launcher.close()


@pytest.fixture
def feed(shared: Feed) -> Iterator[Feed]:
    """The shared one, quick and with nothing changed; afterwards it serves nobody and has said nothing."""
    shared.service.change(**QUICK)
    yield shared
    shared.service.change(**QUICK)
    until(lambda: (shared.count("in_flight"), shared.count("waiting")) == (0, 0), "the end of its requests")
    assert shared.service.process is not None
    assert shared.service.process.last_lines() == ()


def test_it_starts_with_the_knobs_defaults_and_those_of_the_plan(feed: Feed) -> None:
    service = OutsideService(feed.launcher, feed.folder, feed.run_folder, (), "plain")
    service.start(Outside(name="plain", env="FEED_URL", knobs={"latency": 0.25, "connections": 7}))
    assert service.change() == {**DEFAULTS, "latency": 0.25, "connections": 7}
    assert service.url() == f"http://127.0.0.1:{service.port}"
    service.stop()


def test_a_latency_is_waited_and_can_be_changed_while_requests_wait(feed: Feed) -> None:
    feed.service.change(latency=0.3)
    with ThreadPoolExecutor(1) as other:
        began = monotonic()
        waiting = other.submit(feed.get)
        until(lambda: feed.count("in_flight") == 1, "a request that waits")
        feed.service.change(latency=0.01)
        status, quick = feed.get()
        assert status == 200
        assert 0.01 <= quick["waited_s"] < 0.3
        assert waiting.result(20)[1]["waited_s"] >= 0.3
        assert monotonic() - began >= 0.3


def test_without_a_spread_all_answers_take_as_long_and_with_one_they_do_not(feed: Feed) -> None:
    def waits(count: int) -> list[float]:
        with ThreadPoolExecutor(count) as pool:
            return [body["waited_s"] for _, body in pool.map(lambda _: feed.get(), range(count))]

    feed.service.change(latency=0.05)
    assert min(waits(20)) >= 0.05
    feed.service.change(spread=1.0)
    spread = waits(40)
    assert min(spread) < 0.04
    assert max(spread) > 0.1
    assert 0.02 < statistics.median(spread) < 0.25


def test_the_same_seed_fails_the_same_requests(feed: Feed) -> None:
    feed.service.change(errors=0.5, error_status=502)
    runs = []
    for seed in (4, 4, 5):
        feed.service.change(seed=seed)
        runs.append([feed.get()[0] for _ in range(30)])
    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0]) == {200, 502}


def test_answers_are_counted_by_status(feed: Feed) -> None:
    before = feed.service.stats()
    feed.get()
    feed.service.change(errors=1.0, error_status=499)
    first, second = feed.get(), feed.get()
    assert (first[0], second[0]) == (499, 499)
    assert second[1]["n"] == first[1]["n"] + 1 == before["received"] + 3
    after = feed.service.stats()
    assert after["answered"]["200"] == before["answered"].get("200", 0) + 1
    assert after["answered"]["499"] == before["answered"].get("499", 0) + 2
    assert after["received"] == before["received"] + 3


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_any_method_and_path_is_answered(feed: Feed, method: str) -> None:
    assert feed.get("/any/where?x=1", method)[0] == 200


def test_a_connection_is_kept_over_many_requests_with_bodies_or_head(feed: Feed) -> None:
    connection = feed.client()
    ours = connection.sock
    for method, body in [("GET", None), ("POST", b"x" * 100_000), ("HEAD", None), ("POST", iter([b"a", b"b"]))]:
        connection.request(method, "/", body=body, encode_chunked=True)
        response = connection.getresponse()
        data = response.read()
        assert response.status == 200
        assert int(response.headers["Content-Length"]) > 0
        assert bool(data) == (method != "HEAD")
        assert connection.sock is ours
    connection.close()


def test_a_body_is_as_large_as_asked_for(feed: Feed) -> None:
    for size in (1000, 300_000):
        feed.service.change(body_bytes=size)
        connection = feed.client()
        connection.request("GET", "/")
        body = connection.getresponse().read()
        assert len(body) == size
        assert set(json.loads(body)) == {"n", "waited_s", "pad"}
        connection.close()


def test_requests_sent_ahead_are_answered_in_order(feed: Feed) -> None:
    first = feed.count("received") + 1
    ask = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    said = feed.said(ask * 59 + last)
    numbers = [json.loads(b"{" + part.partition(b"}")[0] + b"}")["n"] for part in said.split(b"\r\n\r\n{")[1:]]
    assert numbers == list(range(first, first + 60))


def test_a_client_that_sends_ever_more_ahead_is_held_back(feed: Feed) -> None:
    feed.service.change(latency=1.0)
    before = feed.count("received")
    with feed.raw() as connection:
        connection.settimeout(0.6)
        with contextlib.suppress(TimeoutError):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 400_000)
        assert feed.count("received") - before < 20_000


def test_old_clients_and_those_that_say_so_are_let_go(feed: Feed) -> None:
    for request in (b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):
        said = feed.said(request)
        assert said.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nConnection: close\r\n" in said
    with feed.raw() as connection:
        for _ in range(2):
            connection.sendall(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert b"\r\nConnection: keep-alive\r\n" in connection.recv(65536)


def test_a_client_that_asks_before_it_sends_its_body_is_told_to_go_on(feed: Feed) -> None:
    with feed.raw() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"what is this\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000, 431),
        (b"GET /" + b"x" * 100_000, 431),
        (b"POST / HTTP/1.1\r\nContent-Length: 17000000\r\n\r\n" + b"x" * 16_800_000, 413),
    ],
)
def test_what_is_no_request_or_too_large_is_refused(feed: Feed, request_: bytes, status: int) -> None:
    with feed.raw() as connection, ThreadPoolExecutor(1) as sender:
        sending = sender.submit(connection.sendall, request_)
        assert connection.recv(12) == f"HTTP/1.1 {status}".encode()
        connection.close()
        assert sending.exception(20) is None or isinstance(sending.exception(), OSError)
    assert feed.get()[0] == 200


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
def test_an_upgrade_is_answered_as_if_it_had_not_been_asked_for(feed: Feed, upgrade: str) -> None:
    said = feed.said(f"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\r\nmore".encode())
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert said.endswith(b"}")


@pytest.mark.parametrize(("path", "headers"), [("/v1/stream?a=1", {}), ("/feed", {"Accept": "text/event-stream"})])
def test_a_stream_sends_its_events_one_by_one(feed: Feed, path: str, headers: dict[str, str]) -> None:
    feed.service.change(events=4, every=0.1, latency=0.05)
    connection = feed.client()
    began = monotonic()
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    assert response.headers["Content-Type"] == "text/event-stream"
    times, left = [], []
    while line := response.readline():
        assert line.startswith(b"data: ")
        assert response.readline() == b"\n"
        times.append(monotonic() - began)
        left.append(json.loads(line[6:])["left"])
    assert left == [3, 2, 1, 0]
    assert times[0] >= 0.05
    assert times[-1] >= 0.05 + 3 * 0.1
    connection.request("GET", "/")  # on the same connection
    assert connection.getresponse().status == 200
    connection.close()


def test_an_old_client_s_stream_ends_with_its_connection(feed: Feed) -> None:
    said = feed.said(b"GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert said.count(b"data: ") == 3
    assert said.endswith(b'"left": 0}\n\n')


def test_the_head_of_a_stream_is_no_stream(feed: Feed) -> None:
    said = feed.said(b"HEAD /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"text/event-stream" in said
    assert said.endswith(b"\r\n\r\n")


def test_a_stream_does_not_run_ahead_of_a_client_that_does_not_read(feed: Feed) -> None:
    feed.service.change(events=1_000_000)
    with feed.raw() as connection:
        assert feed.service.process is not None
        process = psutil.Process(feed.service.process.pid)

        def rests() -> bool:
            before = process.cpu_times()
            Event().wait(0.2)
            return process.cpu_times() == before

        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(8) == b"HTTP/1.1"
        assert feed.get()[0] == 200  # nor does it keep others waiting
        until(rests, "rest, because nothing more can be sent", 30)
        assert feed.count("in_flight") == 1
    until(lambda: feed.count("in_flight") == 0, "the end of the stream nobody reads")


def test_beyond_its_connections_requests_wait_their_turn(feed: Feed) -> None:
    feed.service.change(latency=0.15, connections=2)
    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(feed.get) for _ in range(6)]
        until(lambda: feed.count("waiting") > 0, "requests that wait")
        assert feed.count("in_flight") <= 2
        waits = sorted(answer.result(20)[1]["waited_s"] for answer in answers)
    assert waits[0] >= 0.15
    assert waits[2] >= 0.2  # after one of the first two
    assert waits[4] >= 0.3
    assert feed.count("waiting_max") >= 1


def test_more_connections_let_those_that_wait_in_at_once(feed: Feed) -> None:
    feed.service.change(latency=0.5, connections=1)
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(feed.get) for _ in range(4)]
        until(lambda: feed.count("waiting") == 3, "three that wait")
        feed.service.change(connections=0)
        assert (feed.count("waiting"), feed.count("in_flight")) == (0, 4)
        assert [answer.result(20)[0] for answer in answers] == [200] * 4
    assert feed.count("in_flight_max") >= 4


def test_clients_that_do_not_wait_are_counted_as_gone(feed: Feed) -> None:
    feed.service.change(latency=0.2)
    gone = feed.count("gone")
    for _ in range(3):
        with feed.raw() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    until(lambda: feed.count("gone") == gone + 3, "three gone")


def test_those_that_left_while_they_waited_hold_nobody_up(feed: Feed) -> None:
    feed.service.change(latency=0.4, connections=1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(feed.get)
        until(lambda: feed.count("in_flight") == 1, "one that is served")
        for _ in range(6):
            with feed.raw() as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert feed.get()[1]["waited_s"] < 6 * 0.4
        assert first.result(20)[0] == 200


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"speed": 1}, "speed: found an unknown setting; allowed: latency, spread"),
        ({"latency": -0.1}, "latency: found -0.1; allowed: float from 0 to 600"),
        ({"connections": 1.5}, "connections: found 1.5; allowed: int"),
        ({"error_status": 200}, "error_status: found 200; allowed: int from 400 to 599"),
    ],
)
def test_what_is_not_allowed_is_refused_and_changes_nothing(feed: Feed, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(StackError) as caught:
        feed.service.change(**{"events": 9, **wrong})
    assert said in caught.value.message
    assert "the outside service feed" in caught.value.message
    assert feed.service.change() == QUICK


def test_it_keeps_its_port_when_it_is_started_again(feed: Feed) -> None:
    service = feed.named("again")
    port = service.port
    service.stop()
    assert service.process is None
    with pytest.raises(ConnectionRefusedError):
        feed.launcher.connect(port, 5)
    service.start(Outside(name="again", env="FEED_URL", knobs={"latency": 0.5}))
    assert service.port == port
    process = service.process
    service.start(Outside(name="again", env="FEED_URL", knobs={"latency": 0.7}))
    assert (service.process, service.change()["latency"]) == (process, 0.7)
    service.stop()
