"""What the gauge costs: a Django page with three statements, with it and without, in turns; as JSON or a table.

First within one process, by calls of its WSGI or ASGI callable: that is the same to a microsecond. Then under servers:
two processes of the same program differ by more than the gauge costs, so each start serves the page in both ways, block
by block; what it does besides requests, such as an event loop's heartbeat, is in both. The servers are got into a
folder under the user's cache at first.

OpenTelemetry's instrumentation beside it: name its environment's interpreter in OTEL_PYTHON (Django, gunicorn,
opentelemetry-distro and opentelemetry-instrumentation-django, -sqlite3 or -dbapi in it); without one it is left out.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

import psutil
from paired import arguments, measured, tell
from peers import folder as folder_of_peers

from prony_gauge.install import lay_out

SETTINGS = """
import os
DEBUG, ALLOWED_HOSTS, ROOT_URLCONF, SECRET_KEY, MIDDLEWARE = False, ["*"], "benched", "bench", []
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["BENCH_DB"], "CONN_MAX_AGE": 60}}
"""
APP = """
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench_settings")
import django
django.setup()
from django.db import connection
from django.http import HttpResponse
from django.urls import path
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
TEXT = "SELECT count(*) FROM (SELECT 1 AS a UNION SELECT 2) AS t WHERE a > %s"
def page(request, number):
    with connection.cursor() as cursor:
        found = [cursor.execute(TEXT, [i]).fetchone()[0] for i in range(3)]
    return HttpResponse("".join(f"<p>{found[i % 3]} of {i}</p>" for i in range(200)))
urlpatterns = [path("page/<int:number>", page)]
wsgi, asgi = get_wsgi_application(), get_asgi_application()
"""
# What a server loads here: the page as it is where the query says so, else with the gauge.
TURNED = """
from django.core.handlers.base import BaseHandler
from django.db.backends.utils import CursorWrapper
from prony_gauge.entry import application as gauged
import benched
HOOKED = ((CursorWrapper, "execute"), (BaseHandler, "resolve_request"))
WITH = [getattr(*each) for each in HOOKED]
WAYS = {b"plain": [each.__wrapped__ for each in WITH], b"gauge": WITH}
now = b"gauge"
def turn(way):
    global now
    if way != now:
        for (of, name), function in zip(HOOKED, WAYS[way]):
            setattr(of, name, function)
        now = way
    return way == b"plain"
def wsgi(environ, start_response):
    chosen = benched.wsgi if turn(environ["QUERY_STRING"].encode()) else gauged
    return chosen(environ, start_response)
async def asgi(scope, receive, send):
    if scope["type"] == "http":
        chosen = benched.asgi if turn(scope["query_string"]) else gauged
        await chosen(scope, receive, send)
"""
WAYS = ("plain", "gauge")
BLOCKS = 40  # of each, on one start
TURNS = 4  # of OpenTelemetry and of nothing, on one start each
NEEDED = ("django", "gunicorn", "gevent", "packaging", "uvicorn", "granian")
SERVERS = {
    "gunicorn sync": (["gunicorn", "--no-control-socket", "--keep-alive", "5", "-b"], "wsgi"),
    "gunicorn gthread": (["gunicorn", "--no-control-socket", "--threads", "2", "-b"], "wsgi"),
    "gunicorn gevent": (["gunicorn", "--no-control-socket", "-k", "gevent", "-b"], "wsgi"),
    "uvicorn": (["uvicorn", "--no-access-log", "--log-level", "warning", "--port"], "asgi"),
    "granian": (["granian", "--interface", "wsgi", "--port"], "wsgi"),
}


class Served:
    """One server with one worker, on loopback: the page without, with OpenTelemetry, or with the gauge in turns."""

    def __init__(self, python: str, folder: Path, name: str, how: str) -> None:
        words, kind = SERVERS[name]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        entry = f"turned:{kind}" if how == "turns" else f"benched:{kind}"
        env = {**os.environ, "BENCH_DB": str(folder / "bench.sqlite3"), "PYTHONPATH": str(folder)}
        env["DJANGO_SETTINGS_MODULE"] = "bench_settings"  # OpenTelemetry looks for it before the app is there
        words_before = [python, "-m"]
        if how == "turns":
            gauges = folder / f"gauges-{self.port}"
            gauges.mkdir()
            env["PYTHONPATH"] = os.pathsep.join([str(folder / "run"), str(folder)])
            env |= {"PRONY_GAUGE_DIR": str(gauges), "PRONY_GAUGE_ENTRY": f"benched:{kind}"}
        if how == "opentelemetry":
            bin_folder = Path(os.environ["OTEL_PYTHON"]).parent
            words_before = [str(bin_folder / "opentelemetry-instrument"), str(bin_folder / "python"), "-m"]
            env |= {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
        at = f"127.0.0.1:{self.port}" if words[0] == "gunicorn" else str(self.port)
        self.log = folder / f"log-{self.port}"
        with self.log.open("wb") as log:
            command = [*words_before, *words, at, entry]
            self.process = subprocess.Popen(
                command, env=env, cwd=folder, stdout=log, stderr=log, start_new_session=True
            )
        self._await()

    def _await(self) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                self.load(1)
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise SystemExit(f"the server did not start:\n{self.log.read_text()[-1000:]}") from None
                time.sleep(0.05)
            else:
                return

    def load(self, count: int, way: str = "gauge") -> float:
        """CPU seconds a request of the server's, over so many, one after the other; `way`: which, of those in turns."""
        before = self.cpu_s()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        for number in range(count):
            connection.request("GET", f"/page/{number}?{way}")
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise SystemExit(f"status {answer.status}:\n{self.log.read_text()[-1000:]}")
        connection.close()
        return (self.cpu_s() - before) / count

    def _tree(self) -> list[psutil.Process]:
        first = psutil.Process(self.process.pid)
        return [first, *first.children(recursive=True)]

    def cpu_s(self) -> float:
        """Of all its processes, from the scheduler's nanoseconds: clock ticks are too coarse."""
        total = 0
        for path in (path for each in self._tree() for path in Path(f"/proc/{each.pid}/task").glob("*/schedstat")):
            with contextlib.suppress(OSError):  # a thread that has just ended
                total += int(path.read_text().split()[0])
        return total / 1e9

    def memory_bytes(self) -> int:
        """Memory of its own of the largest of its processes."""
        return max(int(each.memory_full_info().uss) for each in self._tree())

    def stop(self) -> None:
        """Ends it and what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)


def within(folder: Path, kind: str, blocks: int) -> dict[str, Any]:
    """By calls within one process: see inside.py."""
    gauges = folder / f"inside-{kind}"
    gauges.mkdir()
    env = {**os.environ, "BENCH_DB": str(folder / "bench.sqlite3"), "PRONY_GAUGE_DIR": str(gauges)}
    command = [sys.executable, str(Path(__file__).with_name("inside.py")), str(folder), kind, str(blocks)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600, check=True)
    found = json.loads(done.stdout)
    peers = {"without, µs": found["without"], "low": found["low"], "high": found["high"]}
    return measured(f"{kind} callable, one process: CPU more a request", found["more"], "µs", 15.0, peers)


def of_server(python: str, folder: Path, name: str, starts: int, count: int) -> list[dict[str, Any]]:
    """With the gauge and without, in turns; and OpenTelemetry where it is there (one server is enough)."""
    peer = ["opentelemetry"] if "OTEL_PYTHON" in os.environ and name == "gunicorn sync" else []
    more: list[float] = []
    base: list[float] = []
    others: list[float] = []
    memory: list[float] = []
    for _ in range(starts):
        running = {way: Served(python, folder, name, way) for way in ("turns", "without", *peer)}
        try:
            for served in running.values():
                for way in WAYS:
                    served.load(count, way)  # warm
            memory.append((running["turns"].memory_bytes() - running["without"].memory_bytes()) / 2**20)
            for _ in range(BLOCKS):
                taken = {way: running["turns"].load(count // 5, way) for way in random.sample(WAYS, 2)}
                more.append((taken["gauge"] - taken["plain"]) * 1e6)
                base.append(taken["plain"] * 1e6)
            for _ in range(TURNS if peer else 0):
                seen = {way: running[way].load(count) for way in random.sample(["without", *peer], 2)}
                others.append((seen[peer[0]] - seen["without"]) * 1e6)
        finally:
            for served in running.values():
                served.stop()
    more.sort()
    reach = 0.98 * len(more) ** 0.5  # ranks to either side of the median: 95 % of its interval
    low, high = (more[min(max(round(len(more) / 2 + side * reach), 0), len(more) - 1)] for side in (-1, 1))
    extra, without = statistics.median(more), statistics.median(base)
    peers = {"without, µs": without, "low": low, "high": high}
    if others:
        peers["opentelemetry, µs more"] = statistics.median(others)
    return [
        measured(f"{name}: CPU more a request", extra, "µs", 15.0, peers),
        measured(f"{name}: the same as a share", extra / without * 100, "%", 3.0, {}),
        measured(f"{name}: memory more a worker", statistics.median(memory), "MiB", 2.0, {}),
    ]


def interpreter() -> str:
    """Python with the servers in it, in the user's cache."""
    own = folder_of_peers() / "servers"
    python = str(own / "bin" / "python")
    asked = [python, "-c", f"import {','.join(NEEDED)}"]
    if Path(python).exists() and subprocess.run(asked, capture_output=True, check=False).returncode == 0:
        return python
    print(f"getting {', '.join(NEEDED)}", file=sys.stderr)
    venv.create(own, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *NEEDED], check=True)
    return python


def main() -> None:
    """Measures every server in turn."""
    given = arguments(__doc__)
    starts, count, blocks = (1, 60, 60) if given.quick else (4, 300, 400)
    if "OTEL_PYTHON" not in os.environ:
        print("OpenTelemetry is left out: no OTEL_PYTHON", file=sys.stderr)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "benched.py").write_text(APP, encoding="utf-8")
        (folder / "turned.py").write_text(TURNED, encoding="utf-8")
        (folder / "bench_settings.py").write_text(SETTINGS, encoding="utf-8")
        lay_out(str(folder / "run"))
        measures = [within(folder, kind, blocks) for kind in ("wsgi", "asgi")]
        python = interpreter()
        measures += [each for name in SERVERS for each in of_server(python, folder, name, starts, count)]
    tell(measures, as_json=given.json, starts=starts, requests=count)


if __name__ == "__main__":
    main()
