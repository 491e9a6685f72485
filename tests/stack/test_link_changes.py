from __future__ import annotations

import contextlib
import selectors
import socket
import statistics
import struct
from collections.abc import Iterator
from threading import Event
from time import monotonic
from typing import Any

import psutil
import pytest

from prony.errors import StackError
from prony.plan import Link as Settings
from tests.stack.link_case import NOISE_S, ROUND_TRIP_S, Way, exactly, to_the_end, trips, until


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    found = Way(tmp_path_factory.mktemp("way"))
    try:
        yield found
    finally:
        found.launcher.close()


@pytest.fixture
def way(shared: Way) -> Way:
    """The shared one, as if nothing had been changed."""
    shared.link.start(shared.to, Settings(name="cache", round_trip_s=ROUND_TRIP_S))
    return shared


def test_three_hundred_connections_at_once_each_get_their_own(way: Way) -> None:
    way.link.change(bandwidth_bps=50_000)
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for number in range(300):
            connection = stack.enter_context(way.connect())
            connection.sendall(b"E" + struct.pack("!I", number))
            selector.register(connection, selectors.EVENT_READ, number)
        got: dict[int, bytes] = {}
        deadline = monotonic() + 20
        while len(got) < 300 and monotonic() < deadline:
            for key, _ in selector.select(0.5):
                assert isinstance(key.fileobj, socket.socket)
                got[key.data] = exactly(key.fileobj, 4)
                selector.unregister(key.fileobj)
        assert got == {number: struct.pack("!I", number) for number in range(300)}
    way.until_over()


def test_a_bandwidth_holds_both_ways_and_over_all_connections(way: Way) -> None:
    way.link.change(round_trip_s=0.0, bandwidth_bps=1_000_000)
    with way.connect() as one, way.connect() as other:
        began = monotonic()
        for connection in (one, other):
            connection.sendall(b"S150000\n")
        assert [len(to_the_end(connection)) for connection in (one, other)] == [150_000] * 2
        assert 0.3 <= monotonic() - began <= 0.3 + 10 * NOISE_S
    with way.connect() as connection:
        began = monotonic()
        connection.sendall(b"C" + b"x" * 300_000)
        connection.shutdown(socket.SHUT_WR)
        assert to_the_end(connection) == b"300000"
        assert monotonic() - began >= 0.3


def test_a_bandwidth_that_grows_is_felt_at_once(way: Way) -> None:
    way.link.change(round_trip_s=0.0, bandwidth_bps=10)
    with way.connect() as connection:
        connection.sendall(b"C" + b"x" * 10_000)
        connection.shutdown(socket.SHUT_WR)
        until(lambda: way.link.stats()["held_bytes"] == 10_001, "all of it on its way")
        way.link.change(bandwidth_bps=0)
        assert to_the_end(connection) == b"10000"


def test_a_small_message_is_not_held_behind_a_large_one_of_another_connection(way: Way) -> None:
    way.link.change(round_trip_s=0.0, bandwidth_bps=1_000_000)
    with way.connect() as large, way.connect() as small:
        large.sendall(b"S2000000\n")
        assert exactly(large, 1)
        small.sendall(b"E")
        assert statistics.median(trips(small, 5)) <= 0.5  # in two seconds' worth of the other's bytes
        way.link.change(bandwidth_bps=0)  # and it need not be waited for
        assert len(to_the_end(large)) == 1_999_999


def test_a_share_of_new_connections_is_reset_and_open_ones_stay(way: Way) -> None:
    with way.connect() as steady:
        steady.sendall(b"E")
        trips(steady, 1)
        way.link.change(drop=0.5, round_trip_s=0.0)
        dropped, reset = way.link.stats()["dropped"], 0
        for _ in range(60):
            try:
                with way.connect() as connection:
                    connection.sendall(b"E")
                    trips(connection, 1)
            except ConnectionError:
                reset += 1
        assert way.link.stats()["dropped"] - dropped == reset
        assert 10 <= reset <= 50
        way.link.change(drop=1.0)
        with pytest.raises(ConnectionError), way.connect() as connection:
            connection.recv(1)
        trips(steady, 1)


def test_a_frozen_link_lets_nothing_pass_and_loses_nothing(way: Way) -> None:
    with way.connect() as connection:
        connection.sendall(b"E")
        trips(connection, 1)
        assert way.link.change(frozen=True)["frozen"] is True
        connection.sendall(b"ping")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        with way.connect() as later:
            later.sendall(b"Elate")
            later.settimeout(0.3)
            with pytest.raises(TimeoutError):
                later.recv(1)
            way.link.change(frozen=False)
            for each in (connection, later):
                each.settimeout(20)
            assert exactly(connection, 4) == b"ping"
            assert exactly(later, 4) == b"late"


def test_a_frozen_link_does_not_open_connections_either(way: Way) -> None:
    way.link.change(frozen=True)
    with way.launcher.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        way.link.change(to_port=listener.getsockname()[1])
        with way.connect():
            listener.settimeout(0.3)
            with pytest.raises(TimeoutError):
                listener.accept()
            way.link.change(frozen=False)
            listener.settimeout(20)
            listener.accept()[0].close()


def test_what_a_freeze_has_held_up_keeps_to_the_bandwidth_afterwards(way: Way) -> None:
    way.link.change(round_trip_s=0.0, bandwidth_bps=1_000_000)
    passed = way.link.stats()["up_bytes"]
    with way.connect() as connection:
        connection.sendall(b"C")
        until(lambda: way.link.stats()["up_bytes"] == passed + 1, "a connection all the way")
        way.link.change(frozen=True)
        connection.sendall(b"x" * 300_000)
        connection.shutdown(socket.SHUT_WR)
        until(lambda: way.link.stats()["held_bytes"] == 300_000, "all of it on its way")
        Event().wait(0.4)
        began = monotonic()
        way.link.change(frozen=False)
        assert to_the_end(connection) == b"300000"
        assert monotonic() - began >= 0.3


def test_it_keeps_its_port_when_it_is_started_again_or_pointed_elsewhere(way: Way) -> None:
    link = way.before("elsewhere", way.to)
    port, process = link.port, link.process
    link.start(way.greeter, Settings(name="elsewhere"))
    assert (link.port, link.process) == (port, process)
    with way.connect(port) as connection:
        assert exactly(connection, 5) == b"hello"
    link.stop()
    assert link.process is None
    with pytest.raises(ConnectionRefusedError):
        way.connect(port)
    link.start(way.to, Settings(name="elsewhere"))
    assert link.port == port
    with way.connect(port) as connection:
        connection.sendall(b"E")
        trips(connection, 1)
    link.stop()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"roundtrip": 1}, "roundtrip: found an unknown setting; allowed: to_port, round_trip_s"),
        ({"round_trip_s": -1}, "round_trip_s: found -1; allowed: float from 0 to 10"),
        ({"round_trip_s": "1s"}, "round_trip_s: found '1s'"),
        ({"round_trip_s": float("nan")}, "round_trip_s: found nan"),
        ({"frozen": 1}, "frozen: found 1; allowed: bool"),
        ({"drop": 1.1}, "drop: found 1.1"),
        ({"to_port": 0}, "to_port: found 0"),
    ],
)
def test_what_is_not_allowed_is_refused_and_changes_nothing(way: Way, wrong: dict[str, Any], said: str) -> None:
    before = way.link.change()
    with pytest.raises(StackError) as caught:
        way.link.change(**{"bandwidth_bps": 7, **wrong})
    assert said in caught.value.message
    assert "the link before cache" in caught.value.message
    assert way.link.change() == before


def test_a_link_that_died_says_so(way: Way) -> None:
    link = way.before("dying", way.to)
    assert link.process is not None
    psutil.Process(link.process.pid).kill()
    until(lambda: not psutil.pid_exists(link.process.pid if link.process else 0), "its end")
    with pytest.raises(StackError, match="the link before dying takes no orders"):
        link.change(drop=0.5)
    link.start(way.to, Settings(name="dying"))
    assert link.change()["drop"] == 0.0
    link.stop()
