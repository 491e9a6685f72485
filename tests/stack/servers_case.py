"""Small apps under every server: what the tests of servers have in common."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import psutil

from prony.plan import Plan, read_document
from prony.probes.gauge import GaugeReader, GaugeTotals
from prony.probes.listen import FAMILY
from prony.stack.stack import Stack, Start

APPS = Path(__file__).parent.parent / "apps" / "served"
PATIENCE_S = 60.0
# sock_diag(7): all listening TCP sockets
_LISTENERS = struct.pack("=IHHII", 72, 20, 0x301, 1, 0) + struct.pack("=BBBBI", socket.AF_INET, 6, 0, 0, 1 << 10)


@dataclass(frozen=True)
class Case:
    """A server with an app it can serve, and what must be found of its knobs.

    Attributes:
        entry: An entry of tests/apps/served.
        server: Its [server] table.
        processes: How many processes must serve.
        slots: How many requests each must take at once, by the plan; 0 where nothing bounds them.
        threads: How many threads of its own a worker must have, where they are all made at the start; 0: not told.
        backlog: How many connections the kernel must let wait; 0 where the server has no such knob.
        pooled: Whether a pool bounds its requests that no knob sizes.
    """

    entry: str
    server: dict[str, Any]
    processes: int = 2
    slots: int = 0
    threads: int = 0
    backlog: int = 0
    pooled: bool = False

    @property
    def name(self) -> str:
        kind = " ".join(filter(None, (self.server["kind"], self.server.get("worker_class"))))
        kind += " nothreading" if self.server.get("nothreading") else ""
        return f"{kind} {self.entry.partition(':')[0]}"


@dataclass
class Served:
    """A folder of apps, and a stack to serve them with."""

    folder: Path
    stack: Stack
    places: dict[str, str] = field(default_factory=dict)

    @property
    def release(self) -> Path:
        return self.folder / "release"

    def plan(self, entry: str, server: dict[str, Any], **more: Any) -> Plan:
        python = self.places.get(entry.partition(":")[0], sys.executable)
        app: dict[str, Any] = {"entry": entry, "python": python, "env": {"RELEASE": str(self.release)}}
        app["env"] |= more.pop("env", {})
        return read_document({"app": app, "server": server, **more}, "prony.toml", self.folder / "served", {})

    def boot(self, entry: str, **server: Any) -> Start:
        self.release.unlink(missing_ok=True)
        return self.stack.boot(self.plan(entry, server))

    def get(self, path: str = "/", timeout_s: float = PATIENCE_S) -> tuple[int, str]:
        connection = self.connection(timeout_s)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def pid(self, path: str = "/", title: str = "served by") -> int:
        """Which process answers."""
        status, text = self.get(path)
        assert (status, text.partition(" {")[0]) == (200, title)
        return int(json.loads(text.removeprefix(f"{title} "))["pid"])

    def connection(self, timeout_s: float = PATIENCE_S) -> http.client.HTTPConnection:
        assert self.stack.start is not None
        port = self.stack.start.port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        connection.sock = self.stack.launcher.connect(port, timeout_s)
        return connection

    @contextmanager
    def waiting(self, count: int) -> Iterator[list[http.client.HTTPConnection]]:
        """So many requests that wait in the app, or before it, for the release; each on a connection of its own."""
        found: list[http.client.HTTPConnection] = []
        try:
            for _ in range(count):
                self.one_more(found)
            yield found
        finally:
            for connection in found:
                connection.close()

    def one_more(self, waiting: list[http.client.HTTPConnection]) -> None:
        """Another such request beside those."""
        waiting.append(self.connection())
        waiting[-1].request("GET", "/wait", headers={"Connection": "close"})

    def filled(self, waiting: list[http.client.HTTPConnection], wanted: int, most: int) -> bool:
        """Whether so many are in the app. One worker may have taken all before another woke: then one more goes."""
        if self.gauge().in_flight >= wanted:
            return True
        if len(waiting) < most:
            self.one_more(waiting)
        return False

    def workers(self) -> list[psutil.Process]:
        """The processes that have a gauge and live below the app server's first, or are it."""
        assert self.stack.start is not None
        with_gauge = {int(path.name.partition(".")[0]) for path in self.stack.start.gauges.glob("*.gauge")}
        return [process for process in tree(self.stack.start.app.pid) if process.pid in with_gauge]

    def left(self) -> list[psutil.Process]:
        """Whatever of the stack still runs, the guard apart."""
        found = psutil.Process(self.stack.launcher._guard.pid).children(recursive=True)
        return [process for process in found if not gone([process])]

    def gauge(self) -> GaugeTotals:
        assert self.stack.start is not None
        reader = GaugeReader(self.stack.start.gauges)
        try:
            return reader.read()
        finally:
            reader.close()

    def log(self) -> str:
        """What the app server has printed."""
        assert self.stack.start is not None
        return self.stack.start.app.log.read_text(encoding="utf-8", errors="replace")

    def backlog(self) -> int:
        """How many connections the kernel lets wait at the server's port: a listener's idiag_wqueue."""
        assert self.stack.start is not None
        with self.stack.launcher.socket(FAMILY) as netlink:
            netlink.settimeout(PATIENCE_S)
            netlink.send(_LISTENERS + bytes(48))
            while True:
                data = netlink.recv(65536)
                while data:
                    size, kind = struct.unpack_from("=IH", data)
                    assert kind == 20, "the kernel knows no such port"
                    if struct.unpack_from("!H", data, 20)[0] == self.stack.start.port:
                        return int(struct.unpack_from("=I", data, 16 + 60)[0])
                    data = data[(size + 3) // 4 * 4 :]


@contextmanager
def served(folder: Path, own: Path, places: dict[str, str]) -> Iterator[Served]:
    """A copy of the apps in `folder`, a stack that keeps overlays below `own`, and the interpreters of some apps."""
    shutil.copytree(APPS, folder / "served", ignore=shutil.ignore_patterns("__pycache__"))
    with Stack(folder / "logs", own_folder=own) as stack:
        yield Served(folder, stack, places)


def until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE_S) -> None:
    """Poll until it holds."""
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        Event().wait(0.02)


def tree(pid: int) -> list[psutil.Process]:
    """A process and all below it."""
    top = psutil.Process(pid)
    return [top, *top.children(recursive=True)]


def gone(processes: list[psutil.Process]) -> bool:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                return False
    return True
