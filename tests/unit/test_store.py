"""The store: what is written comes back, survives a crash, and what cannot be read is one clear error."""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prony.errors import RecordingError
from prony.recording import Event, Reading, Store, TrialRow
from prony.samples import REQUEST, ROW, SAMPLE, from_bytes, packed, unpacked, word
from tests.unit.recording_case import a_plan, evenly, some_samples

SECRET = "hunter2-hunter2"  # noqa: S105 - the one in recording_case's plan
LOAD = {"started_ns": 5, "ended_ns": 9, "cpu_s": 0.5, "interrupted": False}
SAMPLES = some_samples(evenly(100, 10))
READINGS = [Reading(20, "app", "cpu_s", 0.2), Reading(10, "app", "cpu_s", 0.1), Reading(15, "workers", "slots", 3.0)]
EVENTS = [Event(30, "exception", "app", "ValueError", 7), Event(25, "died", "app", "exit code 1")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".prony" / "prony.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with closing(Store(path)) as opened:
        yield opened


def altered(path: Path, statement: str, *values: Any) -> None:
    """One statement past the store, on its file."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement, values)


def a_trial(store: Store, *, finished: bool = True) -> str:
    campaign = store.begin_campaign("run", "gunicorn sync", {"cpus": 2})
    writer = store.begin_trial(campaign, a_plan(), "50 rps", "run", 1)
    writer.write(SAMPLES[:400], READINGS[:1], EVENTS[:1])
    writer.write(SAMPLES[400:], READINGS[1:], EVENTS[1:])
    if finished:
        writer.finish("done", LOAD)
        store.end_campaign(campaign, "done", {"verb": "run"})
    return writer.trial


def test_what_is_written_comes_back(store: Store) -> None:
    found = store.recording(a_trial(store))
    assert (found.id, found.label, found.role, found.start, found.status) == ("1.1", "50 rps", "run", 1, "done")
    assert found.plan == a_plan().redacted()
    assert found.samples.dtype == SAMPLE
    assert found.samples.tobytes() == SAMPLES.tobytes()
    assert found.load == LOAD
    assert set(found.readings) == {("app", "cpu_s"), ("workers", "slots")}
    instants, values = found.readings["app", "cpu_s"]
    assert (instants.tolist(), values.tolist()) == ([10, 20], [0.1, 0.2]), "in order of time"
    assert found.events == (EVENTS[1], EVENTS[0])
    assert found.began_ns > 0


def test_rows_from_before_they_knew_of_arrivals_are_read(store: Store, path: Path) -> None:
    trial = a_trial(store)
    rows = np.zeros(3, dtype="<i8,<i8,<i8,<i8,<u4,<u2,<u2,u1,V3")
    rows.dtype.names = ("due_ns", "sent_ns", "first_byte_ns", "done_ns", "bytes", "route", "status", "outcome", "_pad")
    rows["due_ns"], rows["route"], rows["outcome"] = [1, 2, 3], [4, 5, 6], [0, 1, 5]
    altered(path, "DELETE FROM samples")
    altered(path, "INSERT INTO samples VALUES (1, 0, 3, ?)", zlib.compress(rows.tobytes()))
    found = store.recording(trial).samples
    assert found.dtype == SAMPLE
    for name in ("due_ns", "route", "outcome"):
        assert found[name].tolist() == rows[name].tolist()
    assert not found["arrival"].any()
    assert not found["kind"].any()


def test_events_of_streams_are_no_requests(store: Store) -> None:
    rows = [ROW.pack(10, 10, 12, 99, 5, 0, 200, word(7, 0)), ROW.pack(10, 10, 12, 15, 0, 0, 200, word(7, 0, 1))]
    rows.append(ROW.pack(15, 10, 12, 40, 0, 0, 200, word(7, 0, 2)))
    rows.append(ROW.pack(20, 20, 21, 22, 5, 1, 200, word(8, 0)))
    writer = store.begin_trial(store.begin_campaign("run", "", {}), a_plan(), "", "run", 1)
    writer.write(from_bytes(b"".join(rows)))
    found = store.recording(writer.trial)
    assert found.samples["done_ns"].tolist() == [99, 22]
    assert found.served["done_ns"].tolist() == [15, 22], "a stream is served when its first event comes"
    assert found.stream_events["done_ns"].tolist() == [15, 40]


def test_a_route_that_two_generators_came_upon_bears_one_number(store: Store) -> None:
    rows = [ROW.pack(1, 1, 2, 3, 5, route, 200, word(route, 0)) for route in (0, 1, 2, 3)]
    named = [Event(1, "route", "traffic", text) for text in ("1 /cart/", "2 /cart/", "3 /pay/")]
    writer = store.begin_trial(store.begin_campaign("run", "", {}), a_plan(), "", "run", 1)
    writer.write(from_bytes(b"".join(rows)), [], named)
    found = store.recording(writer.trial)
    assert found.samples["route"].tolist() == [0, 1, 1, 3]


def test_a_campaign_comes_back_with_its_trials(store: Store) -> None:
    a_trial(store)
    found = store.campaign()
    assert (found.id, found.verb, found.title, found.status) == (1, "run", "gunicorn sync", "done")
    assert found.machine == {"cpus": 2}
    assert found.conclusion == {"verb": "run"}
    assert found.ended_at is not None
    assert found.trials == (TrialRow("1.1", "50 rps", "run", 1, "done", 1000),)
    assert store.campaign(1) == found


def test_campaigns_and_trials_are_numbered_in_order(store: Store) -> None:
    for expected in (1, 2):
        campaign = store.begin_campaign("find", "", {})
        assert campaign == expected
        names = [store.begin_trial(campaign, a_plan(), "", "run", 1).trial for _ in range(3)]
        assert names == [f"{expected}.1", f"{expected}.2", f"{expected}.3"]
    assert [c.id for c in store.campaigns()] == [1, 2]
    assert store.campaign().id == 2


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(*[st.integers(-(2**63), 2**63 - 1)] * 4, st.integers(0, 2**32 - 1), *[st.integers(0, 65535)] * 2)
    ),
    st.lists(st.tuples(st.integers(0, 2**62), st.text(), st.text(), st.floats(allow_nan=False, allow_infinity=False))),
    st.lists(st.tuples(st.integers(0, 2**62), st.text(), st.text(), st.text(max_size=4000), st.integers(1, 2**31))),
)
def test_any_rows_come_back(store: Store, rows: list[Any], readings: list[Any], events: list[Any]) -> None:
    samples = from_bytes(b"".join(ROW.pack(*row, 1) for row in rows))
    writer = store.begin_trial(store.begin_campaign("run", "", {}), a_plan(), "", "run", 1)
    writer.write(samples, [Reading(*reading) for reading in readings], [Event(*event) for event in events])
    found = store.recording(writer.trial)
    assert found.samples.tobytes() == samples.tobytes()
    assert sum(len(values) for _, values in found.readings.values()) == len(readings)
    assert sorted(found.events) == sorted(Event(*event) for event in events)


def test_what_was_written_before_a_crash_is_there(store: Store, path: Path) -> None:
    trial = a_trial(store, finished=False)
    with closing(Store(path)) as other:  # the first is still open: nothing of it was closed in good order
        found = other.recording(trial)
        assert len(found.samples) == 1000
        assert found.events
        assert found.readings
        assert found.status == "running"
        assert found.load is None


def test_a_campaign_whose_process_lives_is_running_and_one_whose_process_died_was_killed(
    store: Store, path: Path
) -> None:
    a_trial(store, finished=False)
    assert store.campaign().status == "running"
    altered(path, "UPDATE campaign SET pid_started = pid_started - 100")
    assert store.campaign().status == "killed", "another process has its number by now"
    altered(path, "UPDATE campaign SET pid = 99999999")
    assert store.campaign().status == "killed"


def test_a_torn_last_row_is_left_out() -> None:
    raw = SAMPLES.tobytes()
    for torn in (1, SAMPLE.itemsize - 1, SAMPLE.itemsize):
        assert from_bytes(raw[:-torn]).tobytes() == raw[: -SAMPLE.itemsize]
    assert len(from_bytes(raw[: SAMPLE.itemsize - 1])) == len(from_bytes(b"")) == 0


def test_a_row_is_what_the_engine_packs() -> None:
    assert ROW.size == SAMPLE.itemsize == 48
    (row,) = from_bytes(ROW.pack(1, 2, 3, 4, 5, 6, 7, word(9, 8)))
    assert row.tolist()[:-1] == (1, 2, 3, 4, 5, 6, 7, 9, 0, 8, 0)


def test_an_empty_trial_has_empty_arrays(store: Store) -> None:
    writer = store.begin_trial(store.begin_campaign("run", "", {}), a_plan(), "", "run", 1)
    found = store.recording(writer.trial)
    assert found.samples.dtype == SAMPLE
    assert len(found.samples) == 0
    assert found.readings == {}
    assert found.events == ()
    assert found.values("app", "cpu_s").tolist() == []
    assert found.growth("app", "cpu_s") == 0


def test_a_recording_counts_its_events_and_the_growth_of_its_counters(store: Store) -> None:
    found = store.recording(a_trial(store))
    assert found.count("exception") == found.count("exception", "Value") == 7
    assert found.count("exception", "Key") == found.count("nothing") == 0
    assert found.growth("app", "cpu_s") == pytest.approx(0.1)


def test_a_newer_schema_is_refused(store: Store, path: Path) -> None:
    a_trial(store)
    altered(path, "PRAGMA user_version = 3")
    with pytest.raises(RecordingError, match="has schema 3") as caught:
        Store(path)
    assert "upgrade" in caught.value.hint


def test_a_plan_of_schema_1_with_its_one_database_is_read_as_a_plan_with_stores(store: Store, path: Path) -> None:
    name = a_trial(store)
    old = '{"kind": "postgres", "env": "DB", "max_connections": 20, "round_trip_s": 0.002, "shared_buffers_mb": 64}'
    altered(path, "UPDATE trial SET plan = json_set(json_remove(plan, '$.stores'), '$.database', json('" + old + "'))")  # noqa: S608 - a constant
    altered(path, "PRAGMA user_version = 1")
    plan = Store(path).recording(name).plan
    assert plan.database is not None
    assert (plan.database.env, plan.database.max_connections, plan.database.round_trip_s) == ("DB", 20, 0.002)


@pytest.mark.parametrize("raw", [b"this is no database" * 500, b"\0" * 5000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_store_is_one_clear_error(path: Path, raw: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(raw)
    with pytest.raises(RecordingError, match="cannot be opened") as caught:
        Store(path)
    assert str(path) in caught.value.message
    assert "move" in caught.value.hint


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError, match="cannot be opened"):
        Store(tmp_path / "file" / "prony.db")


@pytest.mark.parametrize("name", ["1.2", "2.1", "", "1", "x.y", "1.x", "-1.1", "1.1.1"])
def test_a_trial_that_is_not_there_is_one_clear_error(store: Store, name: str) -> None:
    a_trial(store)
    with pytest.raises(RecordingError, match="holds no trial"):
        store.recording(name)


def test_a_campaign_that_is_not_there_is_one_clear_error(store: Store) -> None:
    with pytest.raises(RecordingError, match="no recording yet"):
        store.campaign()
    a_trial(store)
    with pytest.raises(RecordingError, match="no recording 7"):
        store.campaign(7)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE samples SET data = x'00'",  # zlib.error
        "UPDATE trial SET plan = '{'",  # msgspec.DecodeError
        "UPDATE trial SET plan = '{}'",  # msgspec.ValidationError
        "UPDATE trial SET load = 'x'",  # msgspec.DecodeError
        "DROP TABLE readings",  # sqlite3.OperationalError
    ],
)
def test_a_damaged_recording_is_one_clear_error(store: Store, path: Path, statement: str) -> None:
    trial = a_trial(store)
    altered(path, statement)
    with pytest.raises(RecordingError):
        store.recording(trial)


def test_a_torn_row_in_the_store_is_left_out(store: Store, path: Path) -> None:
    import zlib

    trial = a_trial(store)
    altered(path, "UPDATE samples SET data = ? WHERE chunk = 1", zlib.compress(SAMPLES[400:].tobytes()[:-7]))
    assert len(store.recording(trial).samples) == 999


def test_a_trials_name_that_is_no_text_is_one_clear_error(store: Store) -> None:
    with pytest.raises(RecordingError):
        store.recording("\udcff.1")


def test_a_reading_that_is_no_number_does_not_end_the_trial(store: Store) -> None:
    writer = store.begin_trial(store.begin_campaign("run", "", {}), a_plan(), "", "run", 1)
    writer.write(SAMPLES, [Reading(1, "app", "share", float("nan"))])


def test_a_trial_of_a_killed_campaign_is_not_running(store: Store, path: Path) -> None:
    a_trial(store, finished=False)
    altered(path, "UPDATE campaign SET pid = 99999999")
    assert store.campaign().trials[0].status != "running"


def test_a_trial_that_had_not_ended_when_its_campaign_did_was_interrupted(store: Store) -> None:
    campaign = store.begin_campaign("find", "", {})
    writer = store.begin_trial(campaign, a_plan(), "", "run", 1)
    store.end_campaign(campaign, "done")
    assert store.campaign().trials[0].status == store.recording(writer.trial).status == "interrupted"


def test_environment_values_are_in_none_of_the_stores_files(store: Store, path: Path) -> None:
    plan = a_plan({"app.env.TOKEN": "s3cr3t-t0k3n"})
    assert plan.app.env == {"SECRET_KEY": SECRET, "TOKEN": "s3cr3t-t0k3n"}
    writer = store.begin_trial(store.begin_campaign("run", plan.title, {}), plan, "50 rps", "run", 1)
    writer.write(SAMPLES, READINGS, EVENTS)
    writer.finish("done", LOAD)
    files = sorted(path.parent.iterdir())
    assert any(file.name.endswith("-wal") for file in files)
    raw = b"".join(file.read_bytes() for file in files)
    assert b"SECRET_KEY" in raw
    assert SECRET.encode() not in raw
    assert b"s3cr3t" not in raw


def test_the_stores_folder_ignores_itself_and_keeps_what_a_person_wrote(store: Store, path: Path) -> None:
    ignore = path.parent / ".gitignore"
    assert ignore.read_text(encoding="utf-8") == "*\n"
    ignore.write_text("mine\n", encoding="utf-8")
    with closing(Store(store.path)):
        assert ignore.read_text(encoding="utf-8") == "mine\n"


def test_samples_are_stored_by_columns_and_rows_of_before_are_read() -> None:
    due_s = np.cumsum(np.random.default_rng(1).exponential(0.001, 5000))
    samples = some_samples(due_s, service_s=0.01)
    stored = packed(samples)
    assert (unpacked(stored, 5000) == samples).all()
    rows = zlib.compress(samples.tobytes(), 1)
    assert (unpacked(rows, 5000) == samples).all()
    assert len(stored) < 0.8 * len(rows)
    assert len(unpacked(packed(samples[:0]), 0)) == 0
    with pytest.raises((ValueError, zlib.error)):
        unpacked(stored[:-100], 5000)


def test_campaigns_of_killed_processes_go_as_any_others(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.frombuffer(os.urandom(SAMPLE.itemsize * 20_000), dtype=SAMPLE).copy()
    noise["kind"] = REQUEST
    for killed in (True, True, True, False):
        campaign = store.begin_campaign("run", "", {})
        store.begin_trial(campaign, a_plan(), "", "run", 1).write(noise)
        if killed:
            altered(path, f"UPDATE campaign SET pid_started = 1.0 WHERE id = {campaign}")  # noqa: S608 - a number
        else:
            store.end_campaign(campaign, "done")
    altered(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    monkeypatch.setattr("prony.recording.store.STORE_BYTES_MAX", path.stat().st_size - 1)
    newest = store.begin_campaign("run", "", {})
    assert 1 not in [campaign.id for campaign in store.campaigns()]
    assert [campaign.id for campaign in store.campaigns()][-2:] == [4, newest]


def test_old_campaigns_go_when_the_file_is_too_large(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.frombuffer(os.urandom(SAMPLE.itemsize * 20_000), dtype=SAMPLE).copy()
    noise["kind"] = REQUEST
    for _ in range(4):
        campaign = store.begin_campaign("run", "", {})
        store.begin_trial(campaign, a_plan(), "", "run", 1).write(noise)
        store.end_campaign(campaign, "done")
    altered(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.stat().st_size
    monkeypatch.setattr("prony.recording.store.STORE_BYTES_MAX", before - 1)
    newest = store.begin_campaign("run", "", {})
    kept = [campaign.id for campaign in store.campaigns()]
    assert kept in ([3, 4, newest], [4, newest])
    assert len(store.recording("4.1").samples) == 20_000
