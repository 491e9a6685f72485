"""What sampled requests tell of a real app, and what the gauge tells of its statements, against accounts of others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from prony.campaign.bench import Bench, Measured, Silent
from prony.campaign.recall import recall_request
from prony.errors import MachineError
from prony.plan import read_document
from prony.recording import Store
from prony.summary import Sampled, sampled_of

pytestmark = pytest.mark.alone

FILL = """
import os, psycopg
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    connection.execute("CREATE TABLE visits (id bigserial PRIMARY KEY, path text, at timestamptz DEFAULT now())")
    connection.execute("CREATE INDEX ON visits (path, at)")
    connection.execute("INSERT INTO visits (path) SELECT '/page/' || n % 500 FROM generate_series(1, 100000) AS n")
"""
APP = """
import os, threading, time
import psycopg
held = threading.local()
def application(environ, start_response):
    if not hasattr(held, "connection"):
        held.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
        # Postgres does not count to an INSERT what its commit waits for the disk
        held.connection.execute("SET synchronous_commit = off")
    if environ["PATH_INFO"] == "/insert":
        for _ in range(10):  # most then come on a connection that has planned such a one before
            held.connection.execute("INSERT INTO visits (path) VALUES (%s)", ("/page/1",))
    else:
        held.connection.execute("SELECT pg_sleep(0.02)")
        time.sleep(0.01)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
"""
ONE = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"here"]
"""
JOURNEY = """
async def visit(visitor):
    await visitor.get("/one", name="first")
    await visitor.get("/two", name="second")
"""
LATE_S = 0.001


Trial = tuple[Measured, list[Sampled]]


@pytest.fixture(scope="module")
def measure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Trial]]:
    folder = tmp_path_factory.mktemp("visits")
    (folder / "fill.py").write_text(FILL, encoding="utf-8")
    (folder / "visits.py").write_text(APP, encoding="utf-8")
    document = {
        "app": {"entry": "visits:application", "python": sys.executable, "prepare": [f"{sys.executable} fill.py"]},
        "stores": {"database": {"kind": "postgres"}},
        "server": {"kind": "gunicorn", "workers": 3},
        "traffic": {
            "rate": 50,
            "duration": "6s",
            "request": [{"path": "/insert", "name": "insert"}, {"path": "/sleep", "name": "sleep"}],
        },
    }
    store = Store(folder / "state" / "prony.db")
    with Bench(store, "run", "visits", folder / "state", Silent()) as bench:

        def once() -> Trial:
            try:
                found = bench.measure(read_document(document, "prony.toml", folder, {}), "test", "run")
            except MachineError as error:
                pytest.skip(error.paragraph())
            return found, sampled_of(store.recording(found.id))

        yield once
    store.close()


@pytest.fixture(scope="module")
def trial(measure: Callable[[], Trial]) -> Trial:
    return measure()


def test_of_a_low_rate_every_answered_request_is_told_and_its_parts_add_up_to_its_latency(
    trial: Trial,
) -> None:
    measured, sampled = trial
    assert measured.summary.happened.get("hook_off") is None
    assert len(sampled) == measured.summary.answered > 150
    for each in sampled:
        assert sum(part.ended_ns - part.began_ns for part in each.parts) == round(each.latency_s * 1e9)


def test_the_parts_are_those_that_the_app_is_known_to_take(trial: Trial) -> None:
    """20 ms in SQL and 10 ms of its own at the least, in the middle hardly more; what lies around them is less."""
    found = [each for each in trial[1] if each.name == "sleep"]
    sql, own, way = (
        np.array([sum(p.ended_ns - p.began_ns for p in each.parts if p.kind in kinds) / 1e9 for each in found])
        for kinds in (("statement",), ("app",), ("way_in", "way_out", "lateness"))
    )
    assert len(found) > 100
    assert sql.min() >= 0.02
    assert own.min() >= 0.01
    assert np.median(sql) == pytest.approx(0.02, rel=0.15)
    assert np.median(own) == pytest.approx(0.01, rel=0.3)
    assert np.median(way) < np.median(sql)
    late = np.array([p.ended_ns - p.began_ns for each in found for p in each.parts if p.kind == "lateness"]) / 1e9
    assert np.quantile(late, 0.5) < LATE_S


def test_inserts_are_counted_as_postgres_counts_them_and_take_hardly_longer_on_average(
    trial: Trial, measure: Callable[[], Trial]
) -> None:
    """On the way there and back half a millisecond, or a tenth.

    The mean, over so many that neither the first on each connection nor a few turns of others on one core make it. Of
    three trials at most, the later ones afresh: a machine that is held up makes every trip longer.
    """
    found = []
    for again in (True, True, False):
        measured = trial[0]
        [ours] = [e for e in measured.summary.gauged if e.kind == "statement" and e.label.startswith("INSERT")]
        [theirs] = [each for each in measured.summary.statements if each.text.startswith("INSERT")]
        assert ours.count == sum(bucket.count for bucket in ours.buckets) == theirs.calls > 1000
        assert ours.mean_s > theirs.mean_s
        if ours.mean_s - theirs.mean_s <= max(0.0005, 0.1 * theirs.mean_s):
            return
        found.append(f"{ours.mean_s:.6f} s by the gauge and {theirs.mean_s:.6f} s by Postgres")
        if again:
            trial = measure()
    pytest.fail(f"on average, in each of three trials: {'; '.join(found)}")


def test_every_step_of_a_journey_is_told_and_those_of_one_run_share_a_number(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(ONE, encoding="utf-8")
    (tmp_path / "visits.py").write_text(JOURNEY, encoding="utf-8")
    document = {
        "app": {"entry": "one:application", "python": sys.executable},
        "traffic": {"rate": 20, "duration": "2s", "journey": [{"run": "visits.py:visit"}]},
    }
    with closing(Store(tmp_path / "state" / "prony.db")) as store:
        with Bench(store, "run", "one", tmp_path / "state", Silent()) as bench:
            measured = bench.measure(read_document(document, "prony.toml", tmp_path, {}), "test", "run")
        found = sampled_of(store.recording(measured.id))
        assert len(found) == measured.summary.answered > 40
        runs: dict[int, list[str]] = {}
        for each in found:
            runs.setdefault(each.id, []).append(each.name)
            assert sum(part.ended_ns - part.began_ns for part in each.parts) == round(each.latency_s * 1e9)
        assert set(map(tuple, runs.values())) <= {("first", "second"), ("first",)}
        told = recall_request(store, store.campaign(bench.campaign), measured.id, str(found[0].id))
        assert [each.name for each in told.requests] == ["first", "second"]


@pytest.mark.parametrize("env", [{}, {"PRONY_GAUGE_DETAIL": "on"}])
def test_a_search_for_capacity_does_not_look_into_requests_unless_it_is_asked_to(
    tmp_path: Path, env: dict[str, str]
) -> None:
    (tmp_path / "one.py").write_text(ONE, encoding="utf-8")
    document = {
        "app": {"entry": "one:application", "python": sys.executable, "env": env},
        "traffic": {"rate": 40, "duration": "1s", "request": [{"path": "/"}]},
    }
    store = Store(tmp_path / "state" / "prony.db")
    with Bench(store, "find", "one", tmp_path / "state", Silent()) as bench:
        found = bench.measure(read_document(document, "prony.toml", tmp_path, {}), "test", "capacity")
    assert found.summary.errors.share == 0
    assert bool(found.summary.gauged) == bool(env)
    assert bool(sampled_of(store.recording(found.id))) == bool(env)
    assert (found.summary.tiers["workers"]["in_app_p50_s"] or 0) > 0
    store.close()
