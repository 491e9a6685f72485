"""Two servers in a stack's network, a link before one of them, and clients: what the tests of links have in common."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import psutil

from prony.plan import Link as Settings
from prony.stack import folders
from prony.stack.launch import Launcher, Process
from prony.stack.services.link import Link

ROUND_TRIP_S = 0.02
NOISE_S = 0.05  # two shared cores: what a median may take beyond what was asked
# Answers by the first byte: E echoes until the end, S sends as many bytes as asked for and closes, C counts until the
# client has no more, and then tells, G greets first, R ends by a reset.
SERVER = """
import asyncio, socket, struct, sys

async def serve(reader, writer):
    try:
        kind = await reader.readexactly(1)
        if kind == b"E":
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        elif kind == b"S":
            size = int(await reader.readline())
            writer.write((bytes(i * 7 % 251 for i in range(251)) * (size // 251 + 1))[:size])
            await writer.drain()
        elif kind == b"C":
            size = 0
            while data := await reader.read(65536):
                size += len(data)
            writer.write(b"%d" % size)
            await writer.drain()
        elif kind == b"R":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()

async def greet(reader, writer):
    writer.write(b"hello")
    await reader.read()
    writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    greeter = await asyncio.start_server(greet, "127.0.0.1", int(sys.argv[2]), backlog=1024)
    print("up", flush=True)
    async with server, greeter:
        await asyncio.Event().wait()

asyncio.run(main())
"""


def until(holds: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Poll until it holds."""
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        Event().wait(0.02)


class Way:
    """Two servers in a stack's network, and a link before the first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run_folder = folders.run_folder()
        self.launcher = Launcher(self.run_folder)
        self.to, self.greeter = self.launcher.free_port(), self.launcher.free_port()
        server = self.launcher.spawn(
            "server",
            [sys.executable, "-c", SERVER, str(self.to), str(self.greeter)],
            env={"PATH": "/usr/bin:/bin"},
            cwd=folder,
            log=folder / "server",
        )
        until(lambda: bool(server.last_lines()), "the servers")
        self.link = self.before("cache", self.to)
        self.idle = self.descriptors()

    def before(self, name: str, port: int, **settings: Any) -> Link:
        link = Link(self.launcher, self.folder, self.run_folder, (), name)
        link.start(port, Settings(name=name, **settings))
        return link

    def connect(self, port: int = 0) -> socket.socket:
        connection = self.launcher.connect(port or self.link.port, 20)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def process(self) -> Process:
        assert self.link.process is not None
        return self.link.process

    def both(self) -> tuple[socket.socket, socket.socket]:
        """Both ends of a new connection through the link."""
        with self.launcher.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            listener.settimeout(20)
            self.link.change(to_port=listener.getsockname()[1])
            connection = self.connect()
            server, _ = listener.accept()
            server.settimeout(20)
            return connection, server

    def descriptors(self) -> int:
        """How many the link has open."""
        return psutil.Process(self.process().pid).num_fds()

    def until_over(self) -> None:
        """Waits until no connection is left, and nothing of one."""
        until(lambda: self.link.stats()["open"] == 0, "the end of the link's connections")
        until(lambda: self.descriptors() <= self.idle, "their descriptors' return")
        assert self.link.stats()["held_bytes"] == 0


def exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size and (more := connection.recv(min(65536, size - len(data)))):
        data += more
    return bytes(data)


def to_the_end(connection: socket.socket) -> bytes:
    data = bytearray()
    while more := connection.recv(65536):
        data += more
    return bytes(data)


def fill(connection: socket.socket) -> None:
    """Sends until nothing more is taken, for a while."""
    connection.setblocking(False)
    refused = 0
    while refused < 10:
        try:
            connection.send(b"x" * 65536)
            refused = 0
        except BlockingIOError:
            refused += 1
            Event().wait(0.02)
    connection.settimeout(20)


def trips(connection: socket.socket, count: int) -> list[float]:
    """Seconds for a message to come back, one by one."""
    times = []
    for number in range(count):
        began = monotonic()
        connection.sendall(struct.pack("!I", number))
        assert exactly(connection, 4) == struct.pack("!I", number)
        times.append(monotonic() - began)
    return times


def vanish(connection: socket.socket) -> None:
    """Ends it by a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
