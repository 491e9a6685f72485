"""What the gauge costs: a Django page with three statements, with it and without, in turns; as JSON or a table.

First within one process, by calls of its WSGI or ASGI callable: that is the same to a microsecond. Then the page app
upon Postgres under servers of one worker that is kept busy by two connections: two processes of the same program differ
by more than the gauge costs, so each start serves the page in both ways, turn by turn; what it does besides requests,
such as an event loop's heartbeat, is in both. What differs from start to start is in the interval. OpenTelemetry's
instrumentation beside it, under one of them. What is needed of servers and of OpenTelemetry is got into a folder under
the user's cache at first.
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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pages
import psutil
from paired import arguments, measured, pinned, reported, tell
from peers import folder as folder_of_peers
from scipy.stats import t as student

from prony.plan import read_file
from prony.stack.stack import Stack
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
# The same of the page app: three random pages of its table on one.
SERVED = """
import os
import django
django.setup()
from django.http import HttpResponse
from django.template.loader import render_to_string
from django.urls import path
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from pages.models import Page
def three(request, number):
    found = [Page.objects.order_by("?").first() for _ in range(3)]
    return HttpResponse("".join(render_to_string("pages/page.html", {"page": each}, request) for each in found))
urlpatterns = [path("page/<int:number>", three)]
wsgi, asgi = get_wsgi_application(), get_asgi_application()
"""
SERVED_SETTINGS = """
import os
from config.settings import *
ROOT_URLCONF = "benched"
if "BENCH_POOL" in os.environ:
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = True
"""
# What a server loads here. Each query says in which way its page is made: as it is, twice, with the gauge, and with no
# more of the gauge than find, compare and gate have. In the place of a hook stands what calls it, or what it hooks:
# were one and the other put there by turns, the interpreter would lose at each turn what it has learned of the classes.
TURNED = """
import os
from functools import wraps
from django.core.handlers.base import BaseHandler
from psycopg import Connection, Cursor
from prony_gauge import asgi as of_asgi, wsgi as of_wsgi
from prony_gauge.entry import application as gauged
import benched
way = b""
def turning(of, name):
    hooked = getattr(of, name)
    plain = hooked.__wrapped__
    @wraps(hooked)  # it is known by its marks that it is timed
    def called(*args, **kwargs):
        return (hooked if way == b"gauge" else plain)(*args, **kwargs)
    setattr(of, name, called)
turning(BaseHandler, "resolve_request")
turning(Cursor, "execute")
turning(Connection, "commit")
if "BENCH_POOL" in os.environ:  # else its memory would count as the gauge's
    from psycopg_pool import ConnectionPool
    turning(ConnectionPool, "getconn")
os.environ["PRONY_GAUGE_DETAIL"] = "off"
LEAN = {"wsgi": of_wsgi.measured(benched.wsgi), "asgi": of_asgi.measured(benched.asgi)}
def turn(asked, kind):
    global way
    way = asked
    return gauged if way == b"gauge" else LEAN[kind] if way == b"lean" else getattr(benched, kind)
def wsgi(environ, start_response):
    return turn(environ["QUERY_STRING"].encode(), "wsgi")(environ, start_response)
async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await turn(scope["query_string"], "asgi")(scope, receive, send)
"""
WAYS = ("plain", "again", "lean", "gauge")
TURNS, OTHERS = 4, 300  # of OpenTelemetry and of nothing, on one start each; requests of one
EACH = 4  # requests of a turn: what a request costs drifts, and between short turns only a little
SCHED = 2  # of a process's CPU clock: in nanoseconds, threads that have ended included (linux/posix-timers.h)
CLIENTS = 2  # connections: one is served, one waits, so that no request finds a server that has gone to sleep
NEEDED = ("django", "gunicorn", "gevent", "packaging", "uvicorn", "granian", "psycopg[binary,pool]")
OPENTELEMETRY = (
    *("django", "gunicorn", "psycopg[binary]", "opentelemetry-distro"),
    *("opentelemetry-instrumentation-django", "opentelemetry-instrumentation-psycopg"),
)
CORES = sorted(os.sched_getaffinity(0))
SERVERS = {
    "gunicorn sync": (["gunicorn", "--no-control-socket", "--keep-alive", "5", "-b"], "wsgi"),
    "gunicorn gthread": (["gunicorn", "--no-control-socket", "--threads", "2", "-b"], "wsgi"),
    "gunicorn gevent": (["gunicorn", "--no-control-socket", "-k", "gevent", "-b"], "wsgi"),
    "uvicorn": (["uvicorn", "--no-access-log", "--log-level", "warning", "--port"], "asgi"),
    "granian": (["granian", "--interface", "wsgi", "--port"], "wsgi"),
}


class Served:
    """One server with one worker, on loopback and the last core: plain, with OpenTelemetry, or the gauge in turns."""

    def __init__(self, python: str, folder: Path, name: str, how: str, url: str) -> None:
        words, kind = SERVERS[name]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        # The same ones for all blocks: under gevent each holds a connection to the database for as long as it lasts.
        self.links = [http.client.HTTPConnection("127.0.0.1", self.port, timeout=20) for _ in range(CLIENTS)]
        self.clients = ThreadPoolExecutor(CLIENTS)
        entry = f"turned:{kind}" if how == "turns" else f"benched:{kind}"
        # Under ASGI each request has a thread of its own, which would keep a connection for itself: a pool does.
        kept = {"CONN_MAX_AGE": "600"} if kind == "wsgi" else {"CONN_MAX_AGE": "0", "BENCH_POOL": "1"}
        env = {**os.environ, **kept, "DATABASE_URL": url, "PYTHONPATH": str(folder)}
        env |= {"ALLOWED_HOSTS": "*", "SECRET_KEY": "only-for-the-bench"}
        env["DJANGO_SETTINGS_MODULE"] = "bench_settings"  # OpenTelemetry looks for it before the app is there
        words_before = [python, "-m"]
        if how == "turns":
            gauges = folder / f"gauges-{self.port}"
            gauges.mkdir()
            env["PYTHONPATH"] = os.pathsep.join([str(folder / "run"), str(folder)])
            env |= {"PRONY_GAUGE_DIR": str(gauges), "PRONY_GAUGE_ENTRY": f"benched:{kind}"}
        if how == "opentelemetry":
            words_before = [str(Path(python).with_name("opentelemetry-instrument")), python, "-m"]
            env |= {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
        at = f"127.0.0.1:{self.port}" if words[0] == "gunicorn" else str(self.port)
        self.log = folder / f"log-{self.port}"
        self.pids: list[int] = []
        with self.log.open("wb") as log:
            command = pinned(CORES[-1], *words_before, *words, at, entry)
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
                for link in self.links:
                    link.close()
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise SystemExit(f"the server did not start:\n{self.log.read_text()[-1000:]}") from None
                time.sleep(0.05)
            else:
                self.pids = [each.pid for each in self._tree()]
                return

    def load(self, count: int, way: str = "gauge") -> float:
        """CPU seconds a request of the server's, over so many; `way`: which, of those in turns."""
        each = -(-count // CLIENTS)
        before = self.cpu_s()
        list(self.clients.map(lambda link: self._ask(link, each, way), self.links))
        return (self.cpu_s() - before) / (each * CLIENTS)

    def _ask(self, link: http.client.HTTPConnection, count: int, way: str) -> None:
        for number in range(count):
            try:
                link.request("GET", f"/page/{number}?{way}")
                answer = link.getresponse()
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):  # it was idle for too long
                link.close()
                link.request("GET", f"/page/{number}?{way}")
                answer = link.getresponse()
            answer.read()
            if answer.status != 200:
                raise SystemExit(f"status {answer.status}:\n{self.log.read_text()[-1000:]}")

    def _tree(self) -> list[psutil.Process]:
        first = psutil.Process(self.process.pid)
        return [first, *first.children(recursive=True)]

    def cpu_s(self) -> float:
        """Of all its processes, of which none ends while it serves: clock ticks are too coarse."""
        total = 0.0
        for pid in self.pids or [self.process.pid]:
            with contextlib.suppress(OSError):  # it has just ended
                total += time.clock_gettime(~pid << 3 | SCHED)
        return total

    def memory_bytes(self) -> int:
        """Memory of its own of the largest of its processes."""
        return max(int(each.memory_full_info().uss) for each in self._tree())

    def stop(self) -> None:
        """Ends it and what it started."""
        for link in self.links:
            link.close()
        self.clients.shutdown()
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


def of_server(
    pythons: dict[str, str], folder: Path, name: str, size: tuple[int, int, int], url: str
) -> list[dict[str, Any]]:
    """With the gauge and without, in turns, and OpenTelemetry where it is there (one server is enough).

    `size`: starts, requests of each way that warm one, and turns of each way on one.
    """
    starts, count, turns = size
    found: list[dict[str, float]] = []
    others: list[float] = []
    memory = 0.0
    for number in range(starts):
        with contextlib.ExitStack() as running:

            def up(how: str) -> Served:
                served = Served(pythons.get(how, pythons["servers"]), folder, name, how, url)
                running.callback(served.stop)
                for way in WAYS:
                    served.load(count, way)
                return served

            turned = up("turns")
            if not number:
                plain = up("without")
                memory = (turned.memory_bytes() - plain.memory_bytes()) / 2**20
                if "opentelemetry" in pythons and name == "gunicorn sync":
                    peer = up("opentelemetry")
                    others = [(peer.load(OTHERS) - plain.load(OTHERS)) * 1e6 for _ in range(TURNS)]
            found.append(one_start(turned, turns))
    extra, low, high = over_starts(found, "gauge")
    without = statistics.fmean(each["plain"] for each in found)
    again, least, most = over_starts(found, "again")
    peers = {"without, µs": without, "low": low, "high": high}
    peers |= {"without again, µs more": again, "from": least, "to": most}
    if others:
        peers["opentelemetry, µs more"] = statistics.median(others)
    share = {"low": low / without * 100, "high": high / without * 100}
    lean, low, high = over_starts(found, "lean")
    return [
        measured(f"{name}: CPU more a request", extra, "µs", 15.0, peers),
        measured(f"{name}: the same as a share", extra / without * 100, "%", 3.0, share),
        reported(f"{name}: CPU more in find, compare, gate", lean, "µs", {"low": low, "high": high}),
        measured(f"{name}: memory more a worker", memory, "MiB", 2.0, {}),
    ]


def one_start(served: Served, turns: int) -> dict[str, float]:
    """What a plain request takes on that start, and by how much each way's turns exceed the plain ones beside them."""
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(turns):
        for way in random.sample(WAYS, len(WAYS)):
            taken[way].append(served.load(EACH, way) * 1e6)
    plain = taken.pop("plain")
    more = {way: statistics.median(b - a for a, b in zip(plain, each, strict=True)) for way, each in taken.items()}
    return {"plain": statistics.median(plain), **more}


def over_starts(found: list[dict[str, float]], way: str) -> tuple[float, float, float]:
    """The mean over starts, and its interval of 95 %: on one, memory may lie so that one way gains or loses by it."""
    values = [each[way] for each in found]
    middle, error = statistics.fmean(values), statistics.stdev(values) / len(values) ** 0.5
    reach = float(student.ppf(0.975, len(values) - 1)) * error
    return middle, middle - reach, middle + reach


def interpreter(name: str, needed: tuple[str, ...]) -> str:
    """Python with these in it, in the user's cache."""
    own = folder_of_peers() / name
    python = str(own / "bin" / "python")
    asked = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *needed]
    if not Path(python).exists():
        print(f"getting {', '.join(needed)}", file=sys.stderr)
        venv.create(own, with_pip=True)
    subprocess.run(asked, check=True)  # what is there already takes a moment
    return python


@contextlib.contextmanager
def database(folder: Path) -> Iterator[str]:
    """The page app's Postgres, filled by the app, on the first core; its URL."""
    plan = read_file(pages.sync(folder), ["stores.database.round_trip=0ms", "stores.database.max_connections=90"])
    with Stack(folder / "logs", namespace=False, own_folder=folder / "own") as stack:
        handed = dict(stack.boot(plan).handed)
        stack.stop_app()
        for process in (each for tier in stack.watched() for each in tier.processes):
            for each in (psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)):
                each.cpu_affinity(CORES[:1])
        yield handed["DATABASE_URL"]


def main() -> None:
    """Measures every server in turn."""
    given = arguments(__doc__)
    starts, count, blocks, turns = (2, 40, 60, 50) if given.quick else (24, 60, 400, 100)
    with tempfile.TemporaryDirectory() as made:
        inside, served = Path(made) / "inside", Path(made) / "served"
        inside.mkdir()
        (inside / "benched.py").write_text(APP, encoding="utf-8")
        (inside / "bench_settings.py").write_text(SETTINGS, encoding="utf-8")
        measures = [within(inside, kind, blocks) for kind in ("wsgi", "asgi")]
        pythons = {"servers": interpreter("servers", NEEDED)}
        try:
            pythons["opentelemetry"] = interpreter("opentelemetry", OPENTELEMETRY)
        except subprocess.CalledProcessError:
            print("OpenTelemetry is left out: it could not be got", file=sys.stderr)
        with database(served) as url:
            (served / "benched.py").write_text(SERVED, encoding="utf-8")
            (served / "bench_settings.py").write_text(SERVED_SETTINGS, encoding="utf-8")
            (served / "turned.py").write_text(TURNED, encoding="utf-8")
            lay_out(str(served / "run"))
            os.sched_setaffinity(0, CORES[:1])
            for name in SERVERS:
                measures += of_server(pythons, served, name, (starts, count, turns), url)
    tell(measures, as_json=given.json, starts=starts, requests=count)


if __name__ == "__main__":
    main()
