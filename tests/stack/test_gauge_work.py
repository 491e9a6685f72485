"""Known work in, known numbers out: under every class of server, by the framework's own patterns."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prony.errors import MachineError
from prony.knobs.server import INTERFACES, worker_classes
from prony.plan import read_document
from prony.probes.gauge import GaugeReader, GaugeTotals
from prony.probes.meters import rows_of
from prony.stack.stack import Stack
from tests.stack.tiers_case import until

pytestmark = pytest.mark.alone  # times are compared

APPS = Path(__file__).parent.parent / "apps"
TIMES = {"sql": 12, "cpu": 60, "call": 12, "pool": 12}  # the CPU time of one request in four is read
# How servers call each of the apps.
CALLED = {"works": "wsgi", "works_async": "asgi", "works_aiohttp": "aiohttp", "works_django_wsgi": "wsgi"}
SERVERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sync": ("works", {"kind": "gunicorn", "workers": 2}),
    "preload": ("works", {"kind": "gunicorn", "workers": 2, "preload": True}),
    "gthread": ("works", {"kind": "gunicorn", "worker_class": "gthread", "workers": 1, "threads": 4}),
    "gevent": ("works", {"kind": "gunicorn", "worker_class": "gevent", "workers": 1}),
    "granian-wsgi": ("works", {"kind": "granian", "workers": 1}),
    "uvicorn": ("works_async", {"kind": "uvicorn", "workers": 1}),
}
# Those that are tried in `make test-all` only.
MORE: dict[str, tuple[str, dict[str, Any]]] = {
    "asgi": ("works_async", {"kind": "gunicorn", "worker_class": "asgi", "workers": 1}),
    "uvicorn-worker": ("works_async", {"kind": "gunicorn", "worker_class": "uvicorn", "workers": 1}),
    "aiohttp": ("works_aiohttp", {"kind": "gunicorn", "worker_class": "aiohttp", "workers": 1}),
    "granian-asgi": ("works_async", {"kind": "granian", "worker_class": "asgi", "workers": 1}),
    "uwsgi": ("works", {"kind": "uwsgi", "worker_class": "threads", "workers": 1, "threads": 4}),
    # Patched before the app is loaded: later, its pool would have locks of threads, and greenlets to wait at them.
    "uwsgi-gevent": (
        "works",
        {
            "kind": "uwsgi",
            "worker_class": "gevent",
            "workers": 1,
            "gevent_early_monkey_patch": True,
            "preload": False,
        },
    ),
    "waitress": ("works", {"kind": "waitress", "threads": 4}),
    "hypercorn": ("works_async", {"kind": "hypercorn", "workers": 1}),
    "hypercorn-wsgi": ("works", {"kind": "hypercorn", "workers": 1}),
    "daphne": ("works_async", {"kind": "daphne"}),
    "runserver": ("works_django_wsgi", {"kind": "runserver"}),
    "runserver-nothreading": ("works_django_wsgi", {"kind": "runserver", "nothreading": True}),
}
EVERY_SERVER: list[Any] = [*SERVERS, *(pytest.param(name, marks=pytest.mark.long) for name in MORE)]
SERVICE = {"env": "SLOW_URL", "latency": "30ms", "spread": 0}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("works")
    with Stack(folder / "logs", own_folder=folder / "own") as made:
        yield made


def get(stack: Stack, path: str) -> int:
    return asked(stack, path)[0]


def asked(stack: Stack, path: str) -> tuple[int, float]:
    """Status, and how long the work took by the app's own clock."""
    assert stack.start is not None
    connection = http.client.HTTPConnection("127.0.0.1", stack.start.port, timeout=30)
    connection.sock = stack.launcher.connect(stack.start.port, 30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return response.status, float(response.headers.get("X-Took", 0))
    finally:
        connection.close()


def worked(stack: Stack, name: str) -> tuple[dict[tuple[str, str], dict[str, Any]], GaugeTotals, dict[str, float]]:
    """What the gauge told under that server after each kind of work was done that many times."""
    entry, server = (SERVERS | MORE)[name]
    document = {
        "app": {"entry": f"{entry}:application", "python": sys.executable},
        "stores": {"database": {"kind": "postgres"}},
        "services": {"slow": SERVICE},
        "server": server,
    }
    try:
        start = stack.boot(read_document(document, "prony.toml", APPS, {}))
    except MachineError as error:
        pytest.skip(error.paragraph())
    reader = GaugeReader(start.gauges)
    try:
        until(lambda: reader.read().in_flight == 0, "the end of what it was asked for until it answered")
        begun = reader.read().ended
        took = dict.fromkeys(TIMES, 0.0)
        for what, number in [(what, number) for what, times in TIMES.items() for number in range(times)]:
            status, seconds = asked(stack, f"/{what}/{number}")
            assert status == 200
            took[what] += seconds
        until(lambda: reader.read().ended >= begun + sum(TIMES.values()), "all ended")
        return {(row["kind"], row["label"]): row for row in rows_of(reader.meters())}, reader.read(), took
    finally:
        reader.close()


def by_work(rows: dict[tuple[str, str], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    routes = {label: row for (kind, label), row in rows.items() if kind == "route" and "number" in label}
    return {label.split("/")[1]: row for label, row in routes.items()}


@pytest.mark.parametrize("name", EVERY_SERVER)
def test_known_work_is_told_by_the_framework_s_own_route(stack: Stack, name: str) -> None:
    rows, totals, took = worked(stack, name)
    assert totals.hooks_off == {}
    assert {what: row["count"] for what, row in by_work(rows).items()} == TIMES
    assert {what: row["bytes"] for what, row in by_work(rows).items()} == {what: 100 * n for what, n in TIMES.items()}
    assert rows["statement", "SELECT pg_sleep(?), ?"]["count"] == TIMES["sql"]
    [host] = [(label, row["count"]) for (kind, label), row in rows.items() if kind == "host"]
    assert host[0].startswith("127.0.0.1:")
    assert host[1] == TIMES["call"]
    assert by_work(rows)["sql"]["statement_s"] >= 0.02 * TIMES["sql"]
    assert by_work(rows)["call"]["outbound_s"] >= 0.03 * TIMES["call"]
    for what, key in (("sql", "statement_s"), ("call", "outbound_s"), ("pool", "pool_s")):
        near(by_work(rows)[what][key] / TIMES[what], took[what] / TIMES[what])
    if shares_threads(name):
        assert by_work(rows)["cpu"]["cpu_s"] == 0
    else:
        near(by_work(rows)["cpu"]["cpu_s"] / TIMES["cpu"], took["cpu"] / TIMES["cpu"])


def near(told_s: float, took_s: float) -> None:
    """By a tenth or a millisecond, on average."""
    assert told_s == pytest.approx(took_s, rel=0.1, abs=0.001)


def shares_threads(name: str) -> bool:
    """Whether requests take turns in one thread under that server: then none has CPU time that could be told."""
    entry, server = (SERVERS | MORE)[name]
    return CALLED[entry] != "wsgi" or server.get("worker_class") == "gevent"


def test_known_work_is_done_under_every_server_in_every_way_it_calls_an_app() -> None:
    tried = set()
    for entry, server in (SERVERS | MORE).values():
        default = next(iter(worker_classes(server["kind"])), "")
        tried.add((server["kind"], server.get("worker_class", default), CALLED[entry]))
    assert tried == {(kind, name, way) for (kind, name), ways in INTERFACES.items() for way in ways}
