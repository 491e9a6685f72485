"""A project with one of everything, prony in it, and whatever one prony has on this machine."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from threading import Event
from time import monotonic

import psutil

from prony.stack import folders

GONE_S = 2.0
CGROUPS = Path("/sys/fs/cgroup")

APP = """
import os, socket
from urllib.parse import urlsplit

def app(environ, start_response):
    for name in ("DATABASE_URL", "CACHE_URL"):
        url = urlsplit(os.environ[name])
        socket.create_connection((url.hostname, url.port), timeout=5).close()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"all there"]
"""
# A worker whose daemon has left its parent, its group and its session, and heeds nothing but SIGKILL.
WORKER = """
import os, signal
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
if not os.fork():
    os.setsid()
    if os.fork():
        os._exit(0)
while True:
    signal.pause()
"""
PLAN = """
[app]
entry = "app:app"
python = "{python}"

[stores.database]
kind = "postgres"
env = "DATABASE_URL"

[stores.cache]
kind = "valkey"
env = "CACHE_URL"

[server]
kind = "gunicorn"
workers = 2

[proxy]
kind = "nginx"

[[traffic.request]]
path = "/"
expect = {{ status = 200, contains = "all there" }}
"""


DAEMON = """
[workers.daemon]
command = "python worker.py"

[box.all]
services = ["app", "database", "cache", "proxy", "daemon"]
cpus = 1.5
memory = "512M"
"""


class Project:
    """A project with one of everything, and prony in it; `daemon`: also what does not end when it is told to."""

    def __init__(self, folder: Path, *, daemon: bool = True) -> None:
        self.folder = folder / "shop"
        self.temporary = folder / "tmp"
        self.folder.mkdir()
        self.temporary.mkdir()
        (self.folder / "app.py").write_text(APP)
        (self.folder / "worker.py").write_text(WORKER)
        (self.folder / "prony.toml").write_text(PLAN.format(python=sys.executable) + DAEMON * daemon)

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        out = (self.folder.parent / "out").open("wb")
        with out:
            return subprocess.Popen(
                [sys.executable, "-m", "prony", *argv],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, "TMPDIR": str(self.temporary), "XDG_STATE_HOME": str(self.folder.parent / "state")},
            )

    def printed(self) -> str:
        return (self.folder.parent / "out").read_text(encoding="utf-8", errors="replace")

    def check_store(self) -> None:
        """As it lies there; and then as prony itself reads it."""
        store = self.folder / ".prony" / "prony.db"
        if store.exists():
            with closing(sqlite3.connect(store, timeout=5)) as database:
                assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        with self.start("list") as process:
            assert process.wait(60) == 0, self.printed()


class Trace:
    """Whatever one prony has on this machine, by its process id, which is in the name of its run."""

    def __init__(self, pid: int, project: Project, port: int) -> None:
        self._run = f"run-{pid}-"
        self._project = project
        self._port = port
        self._seen = set(psutil.Process(pid).children(recursive=True))
        state = project.folder.stat()
        place = project.folder / ".prony"
        state = place.stat() if place.exists() else state
        self._socket = f"prony-up-{state.st_dev:x}-{state.st_ino:x}"

    def left(self) -> list[str]:
        found = [f"process {each}" for each in self._processes()]
        found += [str(path) for path in folders.own_folder().glob(f"{self._run}*")]
        own = self._run.replace("run-", f"prony-{os.getuid()}-")
        # Not a glob, which trips over what is being removed beside it.
        found += [f"{place}/{name}" for place, names, _ in os.walk(CGROUPS) for name in names if name.startswith(own)]
        found += [str(path) for path in self._project.temporary.iterdir()]
        if self.answers():
            found.append(f"a listener at port {self._port}")
        sockets = Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace").splitlines()
        found += [line for line in sockets if self._run in line or self._socket in line]
        return found + self._shared_memory()

    def answers(self) -> bool:
        """Whether anybody listens at its port."""
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self._port)) == 0

    def _processes(self) -> list[psutil.Process]:
        here = set(self._seen)
        for process in psutil.process_iter():
            place = Path("/proc", str(process.pid))
            with suppress(OSError):
                named = (place / "environ").read_bytes() + (place / "cmdline").read_bytes()
                if self._run.encode() in named or self._run in str((place / "cwd").readlink()):
                    here.add(process)
        self._seen |= here
        return [each for each in here if _there(each)]

    def _shared_memory(self) -> list[str]:
        """Segments of System V's that were made by what was seen: Postgres has one."""
        pids = {str(each.pid) for each in self._seen}
        rows = Path("/proc/sysvipc/shm").read_text(encoding="ascii").splitlines()[1:]
        return [f"shared memory {row.split()[1]}" for row in rows if row.split()[4] in pids]


def _there(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def patience() -> float:
    """Two seconds; where others are at work on the same cores, as much longer as everything takes there."""
    return GONE_S * min(10.0, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))


def until(holds: Callable[[], bool], what: Callable[[], object], seconds: float) -> None:
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds:.1f} s: {what()}"
        Event().wait(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
