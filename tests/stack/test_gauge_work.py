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
    assert stack.start is not None
    connection = http.client.HTTPConnection("127.0.0.1", stack.start.port, timeout=30)
    connection.sock = stack.launcher.connect(stack.start.port, 30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def worked(stack: Stack, name: str) -> tuple[dict[tuple[str, str], dict[str, Any]], GaugeTotals]:
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
        for path in [f"/{what}/{number}" for what in WORK for number in range(TIMES)]:
            assert get(stack, path) == 200
        until(lambda: reader.read().ended >= begun + TIMES * len(WORK), "all ended")
        return {(row["kind"], row["label"]): row for row in rows_of(reader.meters())}, reader.read()
    finally:
        reader.close()


def by_work(rows: dict[tuple[str, str], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    routes = {label: row for (kind, label), row in rows.items() if kind == "route" and "int" in label}
    return {label.split("/")[1]: row for label, row in routes.items()}


@pytest.mark.parametrize("name", SERVERS)
def test_work_is_counted_by_the_framework_s_own_route(stack: Stack, name: str) -> None:
    rows, totals = worked(stack, name)
    assert totals.hooks_off == {}
    assert {what: row["count"] for what, row in by_work(rows).items()} == dict.fromkeys(WORK, TIMES)
    assert {what: row["bytes"] for what, row in by_work(rows).items()} == dict.fromkeys(WORK, 100 * TIMES)
    assert rows["statement", "SELECT pg_sleep(?), ?"]["count"] == TIMES
    [host] = [(label, row["count"]) for (kind, label), row in rows.items() if kind == "host"]
    assert host[0].startswith("127.0.0.1:")
    assert host[1] == TIMES
    assert by_work(rows)["sql"]["statement_s"] >= 0.02 * TIMES
    assert by_work(rows)["call"]["outbound_s"] >= 0.03 * TIMES


@pytest.mark.alone
@pytest.mark.parametrize("name", SERVERS)
def test_known_work_gives_known_figures(stack: Stack, name: str) -> None:
    routes = by_work(worked(stack, name)[0])
    near(routes["sql"]["statement_s"], 0.02)
    near(routes["call"]["outbound_s"], 0.03)
    near(routes["pool"]["pool_s"], 0.04)
    if name in {"gevent", "uvicorn"}:  # no thread owns a request
        near(routes["cpu"]["total_s"], 0.01)
        assert routes["cpu"]["cpu_s"] == 0
    else:
        near(routes["cpu"]["cpu_s"], 0.01)


def near(total_s: float, expected_s: float) -> None:
    """By a tenth or a millisecond, on average."""
    assert total_s / TIMES == pytest.approx(expected_s, rel=0.1, abs=0.001)
