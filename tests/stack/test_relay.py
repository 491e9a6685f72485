from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import psutil
import pytest

from prony.errors import PlanError, StackError
from prony.stack import folders
from prony.stack.launch import Launcher, Process
from prony.stack.services.relay import InwardRelay, OutwardRelay

ENV = {"PATH": "/usr/bin:/bin"}
SERVE = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
while True:
    connection, _ = server.accept()
    while data := connection.recv(65536):
        connection.sendall(data.upper())
    connection.close()
"""
# What holds a relay and is then killed.
HOLDER = """
import sys, threading
from pathlib import Path
from prony.stack.launch import Launcher
from prony.stack.services.relay import OutwardRelay
folder = Path(sys.argv[1])
folder.mkdir()
relay = OutwardRelay(Launcher(folder), "127.0.0.1", int(sys.argv[2]))
print(relay.process.pid, flush=True)
threading.Event().wait()
"""


def until(holds: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Poll until it holds."""
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        Event().wait(0.02)


def to_the_end(connection: socket.socket) -> bytes:
    data = b""
    while more := connection.recv(65536):
        data += more
    return data


def over(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Outside:
    """A server on this machine, in a thread: each connection is answered in capitals, until its end."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listening.getsockname()[1]
        self.accepted: list[socket.socket] = []
        Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listening.accept()
                self.accepted.append(connection)
                Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                connection.sendall(data.upper())
            connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        until(lambda: all(each.fileno() < 0 for each in self.accepted), "the end of its connections")


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with Launcher(folders.run_folder()) as found:
        yield found


@pytest.fixture
def contained(launcher: Launcher) -> Launcher:
    if not launcher.namespace:
        pytest.skip(launcher.why_no_namespace)
    return launcher


@pytest.fixture
def outside() -> Iterator[Outside]:
    found = Outside()
    yield found
    found.close()


def inside(launcher: Launcher, folder: Path) -> tuple[Process, int]:
    """A server inside the stack's network, and its port."""
    port = launcher.free_port()
    argv = [sys.executable, "-c", SERVE, str(port)]
    server = launcher.spawn("server", argv, env=ENV, cwd=folder, log=folder / "server")
    until(lambda: bool(server.last_lines()), "the server")
    return server, port


def test_one_host_and_port_outside_can_be_reached_and_no_other(contained: Launcher, outside: Outside) -> None:
    with pytest.raises(OSError, match="refused"):
        contained.connect(outside.port, 5)
    with OutwardRelay(contained, "127.0.0.1", outside.port) as relay, contained.connect(relay.port, 20) as connection:
        connection.sendall(b"hello")
        assert connection.recv(5) == b"HELLO"
        with socket.socket() as ours:
            assert ours.connect_ex(("127.0.0.1", relay.port)) != 0  # the port is inside, not here


def test_the_host_s_name_is_looked_up_outside(launcher: Launcher, outside: Outside) -> None:
    with (
        OutwardRelay(launcher, "localhost", outside.port) as relay,
        launcher.connect(relay.port, 20) as connection,
    ):
        connection.sendall(b"hello")
        assert connection.recv(5) == b"HELLO"


def test_many_bytes_come_back_whole_after_the_client_s_end(launcher: Launcher, outside: Outside) -> None:
    sent = bytes(range(97, 123)) * 200_000
    with OutwardRelay(launcher, "127.0.0.1", outside.port) as relay, launcher.connect(relay.port, 20) as connection:

        def send() -> None:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)

        sender = Thread(target=send)
        sender.start()
        assert to_the_end(connection) == sent.upper()
        sender.join()


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid", "a..b"])
def test_what_cannot_be_reached_is_a_reset_and_the_relay_lives_on(launcher: Launcher, host: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        with OutwardRelay(launcher, host, taken.getsockname()[1]) as relay:
            for _ in range(2):
                with pytest.raises(ConnectionResetError), launcher.connect(relay.port, 30) as connection:
                    connection.recv(1)
            assert relay.process.poll() is None
            assert relay.log.read_text() == ""


def test_an_address_of_one_s_choice_is_taken_inside_and_free_again_after(contained: Launcher, outside: Outside) -> None:
    for _ in range(2):
        with OutwardRelay(contained, "127.0.0.1", outside.port, ("127.7.7.7", 443)) as relay:
            assert relay.port == 443
            with contained.socket() as connection:
                connection.settimeout(20)
                connection.connect(("127.7.7.7", 443))
                connection.sendall(b"hello")
                assert connection.recv(5) == b"HELLO"
            with pytest.raises(StackError, match=r"127\.0\.0\.1:\d+ cannot begin at 127\.7\.7\.7:443 inside"):
                OutwardRelay(contained, "127.0.0.1", outside.port, ("127.7.7.7", 443))


def test_closing_ends_it_with_its_connections(launcher: Launcher, outside: Outside) -> None:
    relay = OutwardRelay(launcher, "127.0.0.1", outside.port)
    with launcher.connect(relay.port, 20) as connection:
        connection.sendall(b"hello")
        assert connection.recv(5) == b"HELLO"
        relay.close()
        relay.close()
        assert relay.process.poll() is not None
        with contextlib.suppress(ConnectionError):
            assert connection.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        launcher.connect(relay.port, 5)


def test_whatever_kills_prony_the_relay_ends_too(tmp_path: Path, outside: Outside) -> None:
    argv = [sys.executable, "-c", HOLDER, str(tmp_path / "run"), str(outside.port)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        relay = psutil.Process(int(holder.stdout.readline()))
        assert not over(relay)
        holder.kill()
    until(lambda: over(relay), "the relay's end", 2)


def test_a_port_outside_leads_to_one_inside(contained: Launcher, tmp_path: Path) -> None:
    _, port = inside(contained, tmp_path)
    with InwardRelay(contained, port) as relay:
        assert relay.port != port
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", relay.port), 20) as connection:
                connection.sendall(b"hello")
                connection.shutdown(socket.SHUT_WR)
                assert to_the_end(connection) == b"HELLO"
    with socket.socket() as again:
        assert again.connect_ex(("127.0.0.1", relay.port)) != 0


def test_a_port_outside_is_the_one_that_was_asked_for(launcher: Launcher, tmp_path: Path) -> None:
    _, port = inside(launcher, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        wanted = free.getsockname()[1]
    with InwardRelay(launcher, port, wanted) as relay:
        assert relay.port == wanted


def test_a_port_that_is_taken_is_told_with_who_has_it(launcher: Launcher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PlanError) as caught:
        InwardRelay(launcher, 1, taken.getsockname()[1])
    said = caught.value.message
    assert f"port {taken}" not in said
    assert f"taken by {psutil.Process().name()} (process {os.getpid()})" in said
    assert f"kill {os.getpid()}" in caught.value.hint


def test_an_address_that_is_not_this_machine_s_is_told(launcher: Launcher) -> None:
    with pytest.raises(PlanError, match=r"port 8000 on 192\.0\.2\.1: it cannot be listened on"):
        InwardRelay(launcher, 1, 8000, "192.0.2.1")
