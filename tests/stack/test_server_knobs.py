"""Knobs that show in what a server does: what it keeps open, gives up, recycles and refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from time import monotonic
from typing import Any

import pytest

from tests.stack.servers_case import Served, gone, served, until

WSGI, ASGI = "by_wsgi:application", "by_asgi:application"
LONG = pytest.mark.long


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("own"), {}) as found:
        yield found


def ask(connection: HTTPConnection, path: str = "/", **headers: str) -> int:
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    response.read()
    return response.status


def kept_s(site: Served, longest_s: float) -> float:
    """How long the server keeps an idle connection, in seconds; infinite where longer than `longest_s`."""
    connection = site.connection()
    try:
        assert ask(connection) == 200
        since = monotonic()
        if connection.sock is None:  # it said Connection: close
            return 0.0
        connection.sock.settimeout(longest_s)
        try:
            assert connection.sock.recv(1) == b""
        except TimeoutError:
            assert ask(connection) == 200, "kept, and of use"
            return float("inf")
        return monotonic() - since
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("entry", "kind", "worker_class", "knob"),
    [
        pytest.param(WSGI, "gunicorn", "gthread", "keepalive", marks=LONG),
        pytest.param(WSGI, "gunicorn", "gevent", "keepalive", marks=LONG),
        pytest.param(ASGI, "gunicorn", "asgi", "keepalive", marks=LONG),
        pytest.param(ASGI, "gunicorn", "uvicorn", "keepalive", marks=LONG),
        (ASGI, "uvicorn", "", "keepalive"),
        pytest.param(ASGI, "hypercorn", "", "keepalive", marks=LONG),
        pytest.param(WSGI, "waitress", "", "channel_timeout", marks=LONG),
    ],
)
def test_an_idle_connection_is_kept_for_as_long_as_its_knob_says(
    site: Served, entry: str, kind: str, worker_class: str, knob: str
) -> None:
    table: dict[str, Any] = {"kind": kind, **({"worker_class": worker_class} if worker_class else {})}
    if kind == "waitress":
        table["cleanup_interval"] = 1
    site.boot(entry, **table, **{knob: 1})
    assert 0.5 < kept_s(site, 60) < 60
    site.boot(entry, **table, **{knob: 60})
    assert kept_s(site, 4) == float("inf")


@LONG
@pytest.mark.parametrize("worker_class", ["wsgi", "asgi"])
def test_granian_keeps_connections_unless_told_not_to(site: Served, worker_class: str) -> None:
    entry = WSGI if worker_class == "wsgi" else ASGI
    site.boot(entry, kind="granian", worker_class=worker_class, http1_keep_alive=False)
    assert kept_s(site, 60) < 60
    site.boot(entry, kind="granian", worker_class=worker_class)
    assert kept_s(site, 1) == float("inf")


def hang(site: Served) -> int:
    """The status of a request that hangs, 0 for none."""
    connection = site.connection()
    try:
        return ask(connection, "/hang")
    except (OSError, HTTPException):
        return 0
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("entry", "kind", "worker_class"),
    [
        (WSGI, "gunicorn", "sync"),
        pytest.param(ASGI, "gunicorn", "asgi", marks=LONG),
        pytest.param(ASGI, "gunicorn", "uvicorn", marks=LONG),
        pytest.param(WSGI, "uwsgi", "threads", marks=LONG),
    ],
)
def test_a_worker_that_hangs_is_killed_after_its_timeout(
    site: Served, entry: str, kind: str, worker_class: str
) -> None:
    start = site.boot(entry, kind=kind, worker_class=worker_class, workers=1, timeout=1)
    [worker] = site.workers()
    assert hang(site) in {0, 500}, "gunicorn's sync worker may still answer for itself"
    until(lambda: gone([worker]) and site.gauge().processes == 1, "another worker in its place")
    assert site.pid() != worker.pid
    assert start.app.alive
    assert ("WORKER TIMEOUT" if kind == "gunicorn" else "HARAKIRI") in site.log()


@LONG
@pytest.mark.parametrize("worker_class", ["gthread", "gevent"])
def test_a_request_that_hangs_gets_no_threaded_worker_killed(site: Served, worker_class: str) -> None:
    site.boot(WSGI, kind="gunicorn", worker_class=worker_class, timeout=3)
    [worker] = site.workers()
    with site.waiting(1) as waiting:
        until(lambda: site.gauge().in_flight == 1, "the request in the app")
        assert not site.stack.launcher.wait_until(lambda: gone([worker]), 6)
        site.release.touch()
        assert waiting[0].getresponse().status == 200
    assert "WORKER TIMEOUT" not in site.log()


@LONG
def test_daphne_answers_503_after_its_http_timeout(site: Served) -> None:
    site.boot(ASGI, kind="daphne", http_timeout=1)
    with site.waiting(1) as waiting:
        assert waiting[0].getresponse().status == 503


@pytest.mark.parametrize(
    ("entry", "kind", "worker_class"),
    [
        (WSGI, "gunicorn", "sync"),
        pytest.param(WSGI, "gunicorn", "gthread", marks=LONG),
        pytest.param(WSGI, "gunicorn", "gevent", marks=LONG),
        pytest.param(ASGI, "gunicorn", "asgi", marks=LONG),
        pytest.param(ASGI, "gunicorn", "uvicorn", marks=LONG),
        pytest.param(ASGI, "uvicorn", "", marks=LONG),
        pytest.param(ASGI, "hypercorn", "", marks=LONG),
    ],
)
def test_a_worker_is_replaced_after_its_share_of_requests(
    site: Served, entry: str, kind: str, worker_class: str
) -> None:
    table: dict[str, Any] = {"kind": kind, **({"worker_class": worker_class} if worker_class else {})}
    start = site.boot(entry, **table, workers=2, max_requests=3)
    first = {process.pid for process in site.workers()}

    def replaced() -> bool:
        try:
            assert site.get()[0] == 200
        except (OSError, HTTPException):  # it was on its way out
            return False
        return not first & {process.pid for process in site.workers()}

    until(replaced, "other workers")
    assert start.app.alive


def test_uvicorn_refuses_what_is_beyond_its_limit(site: Served) -> None:
    start = site.boot(ASGI, kind="uvicorn", limit_concurrency=4)
    assert start.plan.server.slots_per_process == 3
    with site.waiting(3) as waiting:
        until(lambda: site.gauge().in_flight == 3, "three requests in the app")
        assert site.get()[0] == 503
        assert site.gauge().in_flight == 3
        site.release.touch()
        assert [connection.getresponse().status for connection in waiting] == [200] * 3


def test_uwsgi_takes_headers_as_long_as_its_buffer(site: Served) -> None:
    def large(site: Served) -> int:
        connection = site.connection()
        try:
            return ask(connection, Cookie="c" * 6000)
        except (OSError, HTTPException):
            return 0
        finally:
            connection.close()

    site.boot(WSGI, kind="uwsgi")
    assert large(site) in {0, 431, 400, 500}
    site.boot(WSGI, kind="uwsgi", buffer_size=16384)
    assert large(site) == 200


@pytest.mark.parametrize(
    ("kind", "worker_class", "knob"),
    [
        ("granian", "asgi", "loop"),
        pytest.param("hypercorn", "", "loop", marks=LONG),
        pytest.param("gunicorn", "asgi", "asgi_loop", marks=LONG),
        pytest.param("uvicorn", "", "loop", marks=LONG),
    ],
)
def test_the_event_loop_is_the_one_asked_for(site: Served, kind: str, worker_class: str, knob: str) -> None:
    table: dict[str, Any] = {"kind": kind, **({"worker_class": worker_class} if worker_class else {})}
    found = {}
    for loop in ("uvloop", "asyncio"):
        site.boot(ASGI, **table, **{knob: loop})
        found[loop] = json.loads(site.get()[1].removeprefix("served by "))["loop"].partition(".")[0]
    assert found == {"uvloop": "uvloop", "asyncio": "asyncio"}


@pytest.mark.parametrize(("kind", "worker_class"), [("gunicorn", "sync"), ("uwsgi", "threads")])
def test_an_app_is_loaded_once_before_forking_or_once_a_worker(site: Served, kind: str, worker_class: str) -> None:
    module = site.folder / "served" / "counting.py"
    module.write_text("print('imported by', __import__('os').getpid(), flush=True)\nfrom by_wsgi import application\n")
    for preload, times in ((True, 1), (False, 2)):
        site.boot("counting:application", kind=kind, worker_class=worker_class, workers=2, preload=preload)
        until(lambda: site.gauge().processes == 2, "both workers")
        assert site.log().count("imported by") == times
        assert site.gauge().slots == 2


def test_waitress_takes_as_many_connections_as_it_may(site: Served) -> None:
    site.boot(WSGI, kind="waitress", threads=2, connection_limit=4)
    with site.waiting(12) as waiting:
        until(lambda: site.gauge().in_flight == 2, "both threads at work")
        site.release.touch()
        assert [connection.getresponse().status for connection in waiting] == [200] * 12


def test_what_the_folder_or_the_environment_would_add_stands_beside_no_knob(
    site: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--workers=5")
    monkeypatch.setenv("WEB_CONCURRENCY", "5")
    config = site.folder / "served" / "gunicorn.conf.py"
    config.write_text("workers = 5\n", encoding="utf-8")
    try:
        for kind, entry in (("gunicorn", WSGI), ("uvicorn", ASGI)):
            site.boot(entry, kind=kind, workers=1)
            assert len(site.workers()) == 1
            assert site.gauge().processes == 1
    finally:
        config.unlink()
