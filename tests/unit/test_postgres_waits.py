"""What Postgres's connections wait for, by name: from the rows of pg_stat_activity to the words of a report."""

from __future__ import annotations

import pytest

from prony.document import trial_of
from prony.probes import postgres
from prony.probes.postgres import NAMED_MAX, Postgres
from prony.recording.named import wait_name, wait_of
from prony.report.tiers import told
from prony.summary import Waited, summarise
from tests.unit.recording_case import a_plan, a_recording, evenly, some_samples
from tests.unit.test_probes import of

Row = tuple[str, str, str, int]


def activity(*rows: Row) -> dict[str, float]:
    """What the probe reads of these rows."""
    answers: dict[str, list[tuple[object, ...]]] = {
        "SHOW server_version_num": [("180000",)],
        "SELECT coalesce(state": [*rows],
        "SELECT w.pid": [],
    }

    def ask(query: str) -> list[tuple[object, ...]]:
        return next(found for begin, found in answers.items() if query.strip().startswith(begin))

    return of(Postgres(ask, "app", 100, 97).activity())


def test_connections_are_counted_by_state_and_wait_event_and_by_kind_as_ever() -> None:
    told_of = activity(
        ("active", "Lock", "transactionid", 2),
        ("active", "Lock", "tuple", 1),
        ("active", "IO", "DataFileRead", 1),
        ("active", "", "", 3),
        ("idle", "Client", "ClientRead", 4),
        ("idle in transaction", "Client", "ClientRead", 1),
        ("", "Client", "ClientRead", 1),
    )
    assert {name: value for name, value in told_of.items() if wait_of(name)} == {
        "active: Lock: transactionid": 2,
        "active: Lock: tuple": 1,
        "active: IO: DataFileRead": 1,
        "idle: Client: ClientRead": 4,
        "idle in transaction: Client: ClientRead": 1,
        "starting: Client: ClientRead": 1,
    }
    kinds = ("active", "running", "lock_waits", "io_waits", "other_waits", "idle", "idle_in_transaction", "count")
    assert [told_of[name] for name in kinds] == [7, 3, 3, 1, 0, 4, 1, 13]


def test_of_many_wait_events_the_most_frequent_are_named_and_the_rest_are_told_together() -> None:
    told_of = activity(*(("active", "LWLock", f"Event{n:02}", 30 - n) for n in range(20)))
    named = {name: value for name, value in told_of.items() if wait_of(name)}
    assert len(named) == NAMED_MAX + 1
    assert named["active: others"] == sum(30 - n for n in range(NAMED_MAX, 20))
    assert sum(named.values()) == told_of["lwlock_waits"] == told_of["active"]


def test_a_name_gives_its_state_and_event_back_and_no_other_reading_has_any() -> None:
    assert wait_of(wait_name("idle in transaction", "Client: ClientRead")) == (
        "idle in transaction",
        "Client: ClientRead",
    )
    others = [*postgres.WAITS.values(), *postgres.STATES.values(), "blocked_longest_s", "io_reads"]
    assert {wait_of(name) for name in others} == {None}


LOCK = "database.active: Lock: transactionid"


def test_the_mean_is_taken_over_all_looks_of_the_window_and_not_over_those_that_saw_it() -> None:
    series = {
        "database.active": ([0.0, 1.0, 2.0, 9.0], [4.0, 4.0, 4.0, 4.0]),
        LOCK: ([1.0, 9.0], [3.0, 80.0]),
        "database.active: IO: WalSync": ([0.0, 1.0], [3.0, 3.0]),
        "database.idle: Client: ClientRead": ([9.0], [5.0]),
    }
    recording = a_recording(some_samples(evenly(10, 2)), duration_s=2, series=series)
    assert summarise(recording).waits == (
        Waited(state="active", event="IO: WalSync", mean=2.0, most=3.0),
        Waited(state="active", event="Lock: transactionid", mean=1.0, most=3.0),
    )


def test_a_recording_of_before_has_no_wait_events_and_its_kinds_of_waits() -> None:
    levels = {"database.active": 4.0, "database.lock_waits": 3.0}
    found = summarise(a_recording(some_samples(evenly(10, 2)), duration_s=2, levels=levels))
    assert found.waits == ()
    assert found.tiers["database"]["lock_waits_mean"] == pytest.approx(3.0)


def test_the_report_names_what_statements_waited_for_and_not_what_idle_connections_did() -> None:
    plan = a_plan({"stores.database.kind": "postgres"})
    levels = {
        "database.active": 4.0,
        "database.lock_waits": 3.0,
        LOCK: 2.0,
        "database.active: Lock: tuple": 1.0,
        "database.active: IO: DataFileRead": 0.04,
        "database.idle: Client: ClientRead": 9.0,
    }
    recording = a_recording(some_samples(evenly(10, 2)), duration_s=2, levels=levels, plan=plan)
    words = {tier: text for tier, text, _ in told(trial_of(plan, summarise(recording), ()))}
    assert words["database"] == (
        "4.0 statements at work on average "
        "(waiting: 3.0 for a lock; by wait event: 2.0 Lock: transactionid, 1.0 Lock: tuple)"
    )
