from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from prony.probes.gauge import GaugeReader
from prony_gauge import layout, runserver, uwsgi_workers, wsgi
from prony_gauge.mapped import Gauge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def gauge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gauge]:
    made = Gauge(str(tmp_path), slots=1)
    for module in (runserver, uwsgi_workers, wsgi):
        monkeypatch.setattr(module, "GAUGE", made)
    yield made
    if made.descriptor is not None:
        os.close(made.descriptor)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[GaugeReader]:
    made = GaugeReader(tmp_path)
    yield made
    made.close()


def test_the_app_that_runserver_finds_is_counted(gauge: Gauge, reader: GaugeReader) -> None:
    basehttp: Any = SimpleNamespace(get_internal_wsgi_application=lambda: lambda _environ, _start: [b"page"])
    runserver.AFTER_IMPORT["django.core.servers.basehttp"](basehttp)
    assert reader.read().processes == 0
    application = basehttp.get_internal_wsgi_application()
    assert (reader.read().processes, gauge.role) == (1, layout.LOADED)
    answer = application({}, print)
    assert list(answer) == [b"page"]
    answer.close()
    assert reader.read().ended == 1


def worker(number: int, **more: Any) -> Any:
    return SimpleNamespace(worker_id=lambda: number, **more)


def test_a_worker_of_uwsgi_that_loads_the_entry_itself_serves_at_once(gauge: Gauge, reader: GaugeReader) -> None:
    uwsgi_workers.serving(worker(2))
    assert (reader.read().processes, gauge.role) == (1, layout.LOADED)


def test_uwsgi_s_master_does_not_serve_and_each_worker_it_forks_does(
    gauge: Gauge, reader: GaugeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []
    number = [0]
    uwsgi = SimpleNamespace(worker_id=lambda: number[0], post_fork_hook=lambda: called.append(number[0]))
    gauge.count(layout.REFUSED, "mail.example:25")  # while it was imported: the master has a file
    uwsgi_workers.serving(uwsgi)
    assert reader.read().processes == 0
    number[0] = 1
    monkeypatch.setattr(os, "getpid", lambda: 4_000_001)  # as in the child
    uwsgi.post_fork_hook()
    totals = reader.read()
    assert (gauge.pid, gauge.role, called) == (4_000_001, layout.LOADED, [1])
    assert len(reader._files) + len(reader._gone) == 2
    assert totals.refused == {"mail.example:25": 1}


def test_a_mule_of_uwsgi_s_does_not_serve(gauge: Gauge, reader: GaugeReader) -> None:
    uwsgi = worker(0)
    uwsgi_workers.serving(uwsgi)
    uwsgi.post_fork_hook()
    assert (reader.read().processes, gauge.role) == (0, layout.OTHER)


def test_without_a_master_the_process_that_loaded_is_the_first_worker(gauge: Gauge, reader: GaugeReader) -> None:
    number = [0]
    uwsgi = SimpleNamespace(worker_id=lambda: number[0])
    gauge.count(layout.REFUSED, "mail.example:25")
    uwsgi_workers.serving(uwsgi)
    number[0] = 1
    uwsgi.post_fork_hook()
    totals = reader.read()
    assert (totals.processes, totals.refused) == (1, {"mail.example:25": 1})
