"""Known work in, known numbers out: under every class of server, by the framework's own patterns."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prony.errors import MachineError
from prony.plan import read_document
from prony.probes.gauge import GaugeReader, GaugeTotals
from prony.probes.meters import rows_of
from prony.stack.stack import Stack
from tests.stack.tiers_case import until

pytestmark = pytest.mark.alone  # times are compared

APPS = Path(__file__).parent.parent / "apps"
TIMES = 12
WORK = ("sql", "cpu", "call", "pool")
SERVERS = {
    "sync": ("works", {"kind": "gunicorn", "workers": 2}),
    "preload": ("works", {"kind": "gunicorn", "workers": 2, "preload": True}),
    "gthread": ("works", {"kind": "gunicorn", "worker_class": "gthread", "workers": 1, "threads": 4}),
    "gevent": ("works", {"kind": "gunicorn", "worker_class": "gevent", "workers": 1}),
    "granian-wsgi": ("works", {"kind": "granian", "workers": 1}),
    "uvicorn": ("works_async", {"kind": "uvicorn", "workers": 1}),
}
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
    """What the gauge told under that server after each kind of work was done twelve times."""
    entry, server = SERVERS[name]
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
        begun = reader.read().ended
        took = dict.fromkeys(WORK, 0.0)
        for what, number in [(what, number) for what in WORK for number in range(TIMES)]:
            status, seconds = asked(stack, f"/{what}/{number}")
            assert status == 200
            took[what] += seconds
        until(lambda: reader.read().ended >= begun + TIMES * len(WORK), "all ended")
        return {(row["kind"], row["label"]): row for row in rows_of(reader.meters())}, reader.read(), took
    finally:
        reader.close()


def by_work(rows: dict[tuple[str, str], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    routes = {label: row for (kind, label), row in rows.items() if kind == "route" and "int" in label}
    return {label.split("/")[1]: row for label, row in routes.items()}


@pytest.mark.parametrize("name", SERVERS)
def test_known_work_is_told_by_the_framework_s_own_route(stack: Stack, name: str) -> None:
    rows, totals, took = worked(stack, name)
    assert totals.hooks_off == {}
    assert {what: row["count"] for what, row in by_work(rows).items()} == dict.fromkeys(WORK, TIMES)
    assert {what: row["bytes"] for what, row in by_work(rows).items()} == dict.fromkeys(WORK, 100 * TIMES)
    assert rows["statement", "SELECT pg_sleep(?), ?"]["count"] == TIMES
    [host] = [(label, row["count"]) for (kind, label), row in rows.items() if kind == "host"]
    assert host[0].startswith("127.0.0.1:")
    assert host[1] == TIMES
    assert by_work(rows)["sql"]["statement_s"] >= 0.02 * TIMES
    assert by_work(rows)["call"]["outbound_s"] >= 0.03 * TIMES
    near(by_work(rows)["sql"]["statement_s"], took["sql"])
    near(by_work(rows)["call"]["outbound_s"], took["call"])
    near(by_work(rows)["pool"]["pool_s"], took["pool"])
    if name in {"gevent", "uvicorn"}:  # no thread owns a request
        assert by_work(rows)["cpu"]["cpu_s"] == 0
    else:
        near(by_work(rows)["cpu"]["cpu_s"], took["cpu"])


def near(told_s: float, took_s: float) -> None:
    """By a tenth or a millisecond, on average."""
    assert told_s / TIMES == pytest.approx(took_s / TIMES, rel=0.1, abs=0.001)
