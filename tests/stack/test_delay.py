from __future__ import annotations

import contextlib
import random
import selectors
import socket
import statistics
import struct
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from time import monotonic

import psutil
import pytest

from prony.stack.launch import Launcher, Process
from prony.stack.services import delay

ROUND_TRIP_S = 0.02
NOISE_S = 0.05  # two shared cores: what a median may take beyond what was asked
# Answers by the first byte: E echoes until the end, S sends as many bytes as asked for and closes, C counts until the
# client has no more, and then tells.
SERVER = """
import asyncio, sys

async def serve(reader, writer):
    try:
        kind = await reader.readexactly(1)
        if kind == b"E":
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        elif kind == b"S":
            size = int(await reader.readline())
            writer.write(bytes(i * 7 % 251 for i in range(size)))
            await writer.drain()
        elif kind == b"C":
            data = await reader.read()
            writer.write(b"%d" % len(data))
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    print("up", flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


def until(holds: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Poll until it holds."""
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        Event().wait(0.02)


class Line:
    """A server, and a delay proxy before it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.launcher = Launcher(folder / "run", namespace=False)
        self.to = self.launcher.free_port()
        server = self.launcher.spawn(
            "server",
            [sys.executable, "-c", SERVER, str(self.to)],
            env={"PATH": "/usr/bin:/bin"},
            cwd=folder,
            log=folder / "server",
        )
        until(lambda: bool(server.last_lines()), "the server")
        self.process, self.port = self.before(self.to)

    def before(self, port: int, round_trip_s: float = ROUND_TRIP_S) -> tuple[Process, int]:
        return delay.start(self.launcher, self.folder, (), port, round_trip_s)

    def connect(self, *, direct: bool = False) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.to if direct else self.port), timeout=20)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    found = Line(tmp_path_factory.mktemp("line"))
    try:
        yield found
    finally:
        found.launcher.close()


def exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := connection.recv(min(65536, size - len(data)))):
        data += more
    return data


def to_the_end(connection: socket.socket) -> bytes:
    data = b""
    while more := connection.recv(65536):
        data += more
    return data


def trips(connection: socket.socket, count: int) -> list[float]:
    """Seconds for a message to come back, one by one."""
    times = []
    for number in range(count):
        began = monotonic()
        connection.sendall(struct.pack("!I", number))
        assert exactly(connection, 4) == struct.pack("!I", number)
        times.append(monotonic() - began)
    return times


def test_a_round_trip_is_added_to_every_exchange(line: Line) -> None:
    with line.connect() as delayed, line.connect(direct=True) as direct:
        for connection in (delayed, direct):
            connection.sendall(b"E")
            trips(connection, 2)
        slow, fast = trips(delayed, 40), trips(direct, 40)
    assert min(slow) >= ROUND_TRIP_S
    assert statistics.median(slow) <= ROUND_TRIP_S + statistics.median(fast) + NOISE_S


def test_what_is_asked_for_is_what_is_added(line: Line) -> None:
    process, port = line.before(line.to, 0.002)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"E")
        trips(connection, 2)
        times = trips(connection, 100)
    line.launcher.kill_group(process)
    assert min(times) >= 0.002
    assert statistics.median(times) <= 0.01


def test_the_first_bytes_of_a_connection_wait_for_one_more(line: Line) -> None:
    firsts = []
    for _ in range(7):
        began = monotonic()
        with line.connect() as connection:
            connection.sendall(b"Ehello")
            assert exactly(connection, 5) == b"hello"
            firsts.append(monotonic() - began)
    assert min(firsts) >= 2 * ROUND_TRIP_S
    assert statistics.median(firsts) <= 2 * ROUND_TRIP_S + NOISE_S


def test_many_bytes_come_back_whole_and_in_order(line: Line) -> None:
    sent = random.Random(3).randbytes(8_000_000)  # noqa: S311 - a pattern, no secret
    with line.connect() as connection, ThreadPoolExecutor(1) as reader:
        connection.sendall(b"E")
        received = reader.submit(exactly, connection, len(sent))
        connection.sendall(sent)
        assert received.result(30) == sent


def test_many_bytes_of_the_server_arrive_before_its_end(line: Line) -> None:
    with line.connect() as connection:
        connection.sendall(b"S3000000\n")
        assert to_the_end(connection) == bytes(i * 7 % 251 for i in range(3_000_000))


def test_a_client_that_is_slow_to_read_loses_nothing(line: Line) -> None:
    with line.connect() as connection:
        connection.sendall(b"S6000000\n")
        Event().wait(0.5)
        assert len(to_the_end(connection)) == 6_000_000


def test_the_end_of_a_client_is_the_end_of_both_connections(line: Line) -> None:
    with line.connect() as connection:
        connection.sendall(b"E" + b"x" * 100_000)
        assert len(exactly(connection, 100_000)) == 100_000
    until(lambda: not connections_of(line.process), "the end of the proxy's connections")


def connections_of(process: Process) -> list[object]:
    return [c for c in psutil.Process(process.pid).net_connections("tcp") if c.status == psutil.CONN_ESTABLISHED]


def test_a_client_that_sends_no_more_still_gets_its_answer(line: Line) -> None:
    with line.connect() as connection:
        connection.sendall(b"C" + b"x" * 1000)
        connection.shutdown(socket.SHUT_WR)
        assert to_the_end(connection) == b"1000"


def test_a_server_that_refuses_ends_the_client_and_the_proxy_lives_on(line: Line) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        process, port = line.before(free.getsockname()[1])
        for _ in range(3):
            with (
                socket.create_connection(("127.0.0.1", port), timeout=20) as connection,
                contextlib.suppress(ConnectionError),
            ):
                connection.sendall(b"Ehello")
                assert connection.recv(1) == b""
    line.launcher.poll()
    assert process.alive
    assert process.last_lines() == ()
    line.launcher.kill_group(process)


def test_clients_that_vanish_do_not_disturb_the_others(line: Line) -> None:
    with line.connect() as steady:
        steady.sendall(b"E")
        for _ in range(50):
            with line.connect() as rude:
                rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                rude.sendall(b"E" + b"x" * 5000)
        assert statistics.median(trips(steady, 10)) <= ROUND_TRIP_S + NOISE_S
    line.launcher.poll()
    assert line.process.alive


def test_three_hundred_connections_at_once_each_get_their_own(line: Line) -> None:
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for number in range(300):
            connection = stack.enter_context(line.connect())
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
    until(lambda: not connections_of(line.process), "the end of the proxy's connections")
