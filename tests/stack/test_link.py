from __future__ import annotations

import errno
import random
import socket
import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import monotonic

import pytest

from prony.plan import Link as Settings
from tests.stack.link_case import NOISE_S, ROUND_TRIP_S, Way, exactly, fill, to_the_end, trips, until, vanish


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


def test_a_round_trip_is_added_to_every_exchange(way: Way) -> None:
    with way.connect() as delayed, way.connect(way.to) as direct:
        for connection in (delayed, direct):
            connection.sendall(b"E")
            trips(connection, 2)
        slow, fast = trips(delayed, 40), trips(direct, 40)
    assert min(slow) >= ROUND_TRIP_S
    assert statistics.median(slow) <= ROUND_TRIP_S + statistics.median(fast) + NOISE_S


def test_what_is_asked_for_is_what_is_added_and_can_be_changed_on_an_open_connection(way: Way) -> None:
    with way.connect() as connection:
        connection.sendall(b"E")
        for round_trip_s in (0.002, 0.03, 0.0):
            assert way.link.change(round_trip_s=round_trip_s)["round_trip_s"] == round_trip_s
            trips(connection, 2)
            times = trips(connection, 30)
            assert min(times) >= round_trip_s
            assert statistics.median(times) <= round_trip_s + 0.01


def test_the_first_bytes_of_a_connection_wait_for_one_more(way: Way) -> None:
    firsts = []
    for _ in range(7):
        began = monotonic()
        with way.connect() as connection:
            connection.sendall(b"Ehello")
            assert exactly(connection, 5) == b"hello"
            firsts.append(monotonic() - began)
    assert min(firsts) >= 2 * ROUND_TRIP_S
    assert statistics.median(firsts) <= 2 * ROUND_TRIP_S + NOISE_S


def test_the_first_bytes_reach_the_server_no_earlier(way: Way) -> None:
    began = monotonic()
    connection, server = way.both()
    with connection, server:
        connection.sendall(b"hello")
        assert exactly(server, 5) == b"hello"
        assert monotonic() - began >= 2 * ROUND_TRIP_S


def test_a_server_that_speaks_first_is_heard_after_two(way: Way) -> None:
    way.link.change(to_port=way.greeter)
    began = monotonic()
    with way.connect() as connection:
        assert exactly(connection, 5) == b"hello"
    assert monotonic() - began >= 2 * ROUND_TRIP_S


def test_many_bytes_come_back_whole_and_in_order(way: Way) -> None:
    sent = random.Random(3).randbytes(8_000_000)  # noqa: S311 - a pattern, no secret
    with way.connect() as connection, ThreadPoolExecutor(1) as reader:
        connection.sendall(b"E")
        received = reader.submit(exactly, connection, len(sent))
        connection.sendall(sent)
        assert received.result(30) == sent


def test_many_bytes_of_the_server_arrive_before_its_end(way: Way) -> None:
    with way.connect() as connection:
        connection.sendall(b"S3000000\n")
        assert to_the_end(connection) == bytes(i * 7 % 251 for i in range(3_000_000))


def test_a_client_that_is_slow_to_read_loses_nothing_and_fills_no_memory(way: Way) -> None:
    before = way.link.stats()["down_bytes"]
    with way.connect() as connection:
        connection.sendall(b"S30000000\n")
        until(lambda: way.link.stats()["held_bytes"] > 500_000, "a full pipe")
        Event().wait(0.3)
        assert way.link.stats()["held_bytes"] < 2_000_000
        assert len(to_the_end(connection)) == 30_000_000
    assert way.link.stats()["down_bytes"] - before == 30_000_000


def test_a_server_s_reader_that_is_slow_holds_the_client_back(way: Way) -> None:
    way.link.change(frozen=True)
    with way.connect() as connection:
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.sendall(b"x" * 100_000_000)
        assert way.link.stats()["held_bytes"] < 2_000_000
    way.link.change(frozen=False)
    way.until_over()


def test_the_end_of_a_client_is_the_end_of_both_connections(way: Way) -> None:
    with way.connect() as connection:
        connection.sendall(b"E" + b"x" * 100_000)
        assert len(exactly(connection, 100_000)) == 100_000
    way.until_over()


def test_a_client_that_sends_no_more_still_gets_its_answer(way: Way) -> None:
    with way.connect() as connection:
        connection.sendall(b"C" + b"x" * 1000)
        connection.shutdown(socket.SHUT_WR)
        assert to_the_end(connection) == b"1000"


def test_a_server_that_refuses_resets_the_client_and_the_link_lives_on(way: Way) -> None:
    way.link.change(to_port=way.launcher.free_port())
    refused = way.link.stats()["refused"]
    for _ in range(3):
        with way.connect() as connection, pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert way.link.stats()["refused"] == refused + 3
    way.link.change(to_port=way.to)
    with way.connect() as connection:
        connection.sendall(b"E")
        trips(connection, 1)
    assert way.process().last_lines() == ()


def test_a_server_s_reset_reaches_the_client(way: Way) -> None:
    with way.connect() as connection:
        connection.sendall(b"R")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_a_client_s_reset_reaches_the_server(way: Way) -> None:
    connection, server = way.both()
    with connection, server:
        vanish(connection)
        with pytest.raises(ConnectionResetError):
            server.recv(1)


def test_a_reset_does_not_wait_for_a_peer_that_no_longer_reads(way: Way) -> None:
    connection, server = way.both()
    with connection, server:
        fill(connection)
        # the link reads no more from it, so only what it writes tells it of the reset
        server.sendall(b"answer")
        vanish(connection)
        server.sendall(b"answer")
        until(lambda: server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET, "a reset")
        way.until_over()


def test_a_server_that_vanishes_with_much_unread_leaves_nothing_behind(way: Way) -> None:
    connection, server = way.both()
    with connection:
        fill(connection)
        vanish(server)
        until(lambda: connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET, "a reset")
    way.until_over()


def test_clients_that_vanish_do_not_disturb_the_others(way: Way) -> None:
    with way.connect() as steady:
        steady.sendall(b"E")
        for _ in range(50):
            rude = way.connect()
            rude.sendall(b"E" + b"x" * 5000)
            vanish(rude)
        assert statistics.median(trips(steady, 10)) <= ROUND_TRIP_S + NOISE_S
    way.until_over()
    assert way.process().last_lines() == ()
