"""The app servers that stand behind the proxies of test_nginx.py, inside a real stack's network."""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

from prony.stack.launch import Launcher, Process
from prony.stack.services.nginx import Nginx

# A WSGI app that tells who it is and what it was asked; below /held it waits until a file is there.
APP = """
import itertools, json, os, pathlib, threading

count = itertools.count(1)

def held(pieces):
    print("held", flush=True)
    while not pathlib.Path(os.environ["GATE"]).exists():
        threading.Event().wait(0.02)
    yield from pieces

def big(path):
    for _ in range(int(path.rpartition("/")[2])):
        yield bytes(1024 * 1024)
    print(path, flush=True)

def application(environ, start_response):
    path = environ["PATH_INFO"]
    size = len(environ["wsgi.input"].read())
    told = {k: v for k, v in environ.items() if k.startswith("HTTP_") or k == "REMOTE_PORT"}
    told |= {"name": os.environ["NAME"], "path": path, "count": next(count), "size": size}
    status = "503 Its own" if path.startswith("/unwell") else "200 OK"
    start_response(status, [("Content-Type", "application/json")])
    if path.startswith("/stream"):
        return itertools.chain([b"first "], held([b"last"]))
    if path.startswith("/big"):
        return big(path)
    return held([b"{}"]) if path.startswith("/held") else [json.dumps(told).encode()]
"""
# Takes requests, tells of each, and never answers: it closes the connection, or holds it.
MUTE = """
import asyncio, sys

async def serve(reader, writer):
    try:
        await reader.readuntil(b"\\r\\n\\r\\n")
        print("asked", flush=True)
        if sys.argv[2] == "hold":
            await reader.read()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()

asyncio.run(main())
"""


def until(holds: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Poll until it holds."""
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        threading.Event().wait(0.02)


class Answer:
    """One whole answer."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def told(self) -> Any:
        return json.loads(self.body)


class Ground:
    """A launcher, and the app servers that stand behind the proxies of these tests."""

    def __init__(self, folder: Path, launcher: Launcher) -> None:
        self.folder = folder
        self.launcher = launcher
        self.processes: dict[int, Process] = {}
        (folder / "one.py").write_text(APP, encoding="utf-8")
        self.first, self.second, self.third = (self.app(name) for name in ("first", "second", "third"))

    def app(self, name: str) -> int:
        """Starts a waitress; its port."""
        port = self.launcher.free_port()
        argv = [sys.executable, "-m", "waitress", f"--listen=127.0.0.1:{port}", "--threads=8"]
        argv += ["--no-clear-untrusted-proxy-headers", "one:application"]
        return self.spawn(name, argv, port)

    def mute(self, how: str) -> int:
        """Starts a server that never answers; its port. `how` is hold or close."""
        port = self.launcher.free_port()
        return self.spawn(f"{how}-{port}", [sys.executable, "-c", MUTE, str(port), how], port)

    def spawn(self, name: str, argv: list[str], port: int) -> int:
        env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(self.folder), "NAME": name, "GATE": str(self.gate)}
        log = self.folder / f"{name}.log"
        process = self.launcher.spawn(name, argv, env=env, cwd=self.folder, log=log)
        self.processes[port] = process

        def listens() -> bool:
            try:
                self.launcher.connect(port, 5).close()
            except OSError:
                return False
            return True

        until(listens, name)
        return port

    @property
    def gate(self) -> Path:
        return self.folder / "gate"

    def told(self, port: int, word: str) -> int:
        """How often a server printed a word."""
        return self.processes[port].log.read_text(encoding="utf-8").split().count(word)

    def dead(self) -> int:
        """A port where nobody listens."""
        return self.launcher.free_port()

    @contextlib.contextmanager
    def full(self) -> Iterator[int]:
        """A port whose listen queue is full, so that new connections are neither made nor refused."""
        with contextlib.ExitStack() as held:
            listener = held.enter_context(self.launcher.socket())
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            port = int(listener.getsockname()[1])
            with contextlib.suppress(TimeoutError):
                for _ in range(10):
                    held.enter_context(self.launcher.connect(port, 0.3))
            yield port

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Requests below /held are held in here, and let go at the end."""
        self.gate.unlink(missing_ok=True)
        try:
            yield
        finally:
            self.gate.touch()

    def new(self, folder: Path) -> Nginx:
        (folder / "run").mkdir(parents=True, exist_ok=True)
        return Nginx(self.launcher, folder / "run", folder, ())

    @contextlib.contextmanager
    def connection(self, port: int) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.sock = self.launcher.connect(port, 20)
        with contextlib.closing(connection):
            yield connection

    def ask(self, port: int, path: str = "/", method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        with self.connection(port) as connection:
            connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            return Answer(connection.getresponse())

    def names(self, port: int, count: int, path: str = "/") -> Counter[str]:
        """Who answered so many requests, and how often."""
        return Counter(self.ask(port, path).told["name"] for _ in range(count))
