from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from prony.probes import postgres
from prony.probes.sampler import Items
from prony.probes.statements import Statements
from prony.stack import folders
from prony.stack.launch import Launcher
from prony.stack.services.postgres import Postgres
from tests.stack.probes_case import as_app, events, of, until
from tests.stack.stores_case import Bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Launcher(folders.run_folder()) as launcher:
        made = Bench(launcher, tmp_path_factory.mktemp("stores"))
        yield made
        made.close()


@pytest.fixture(scope="module")
def database(bench: Bench) -> Postgres:
    made = bench.store("postgres")
    assert isinstance(made, Postgres)
    with as_app(made) as link:
        link.execute("CREATE TABLE item (id int PRIMARY KEY, secret text)")
        link.execute("INSERT INTO item VALUES (1, 'hunter2'), (2, 'hunter3')")
    return made


@pytest.fixture
def views(database: Postgres) -> postgres.Postgres:
    return postgres.Postgres(database.ask, database.database, 100, 97)


def test_who_waits_for_a_lock_and_who_holds_it_are_told_without_a_value(
    database: Postgres, views: postgres.Postgres
) -> None:
    with as_app(database) as holder, as_app(database) as waiter:
        holder.execute("UPDATE item SET secret = 'hunter4' WHERE id = 1")
        waits = threading.Thread(target=waiter.execute, args=["UPDATE item SET secret = 'hunter5' WHERE id = 1"])
        waits.start()
        found: list[Items] = [()]

        def blocked() -> bool:
            found[0] = views.activity()
            return of(found[0]).get("blocked") == 1

        try:
            until(blocked, "one that waits")
            told = of(found[0])
        finally:
            holder.rollback()
            waits.join(30)
    assert (told["blocking"], told["lock_waits"], told["idle_in_transaction"]) == (1, 1, 1)
    assert told["active: Lock: transactionid"] == 1
    assert told["blocked_longest_s"] > 0
    texts = events(found[0])
    assert texts == [("blocked", "UPDATE item waits (transactionid lock) for UPDATE item, idle in transaction")]
    assert "hunter" not in str(texts)
    assert "blocked" not in of(views.activity())


def test_a_deadlock_and_files_for_want_of_memory_are_counted(database: Postgres, views: postgres.Postgres) -> None:
    before = of(views.counters())
    with as_app(database) as first, as_app(database) as second:
        first.execute("UPDATE item SET secret = '1' WHERE id = 1")
        second.execute("UPDATE item SET secret = '2' WHERE id = 2")
        crossing = threading.Thread(target=_quietly, args=[first, "UPDATE item SET secret = '3' WHERE id = 2"])
        crossing.start()
        _quietly(second, "UPDATE item SET secret = '4' WHERE id = 1")
        second.rollback()
        crossing.join(30)
        first.rollback()
        first.execute("SET work_mem = '64kB'")
        first.execute("SELECT count(*) FROM (SELECT n FROM generate_series(1, 100000) AS n ORDER BY -n) AS s")
        first.commit()
    told: list[tuple[str, str]] = []
    after: dict[str, float] = {}

    def grown() -> bool:
        found = views.counters()
        told.extend(events(found))
        after.update(of(found))
        return after["deadlocks"] > before["deadlocks"] and after["temp_bytes"] > before["temp_bytes"]

    until(grown, "a deadlock and a file")
    assert told == [("deadlock", "Postgres ended a transaction to undo a deadlock")]
    assert after["temp_files"] > before["temp_files"]
    assert after["wal_bytes"] > before["wal_bytes"]
    assert after["commits"] > before["commits"]


def _quietly(link: psycopg.Connection[Any], statement: str) -> None:
    """One of the two in a deadlock is ended."""
    try:
        link.execute(statement.encode())
    except psycopg.errors.DeadlockDetected:
        link.rollback()


def test_statements_are_counted_exactly_from_the_trials_start_on(database: Postgres) -> None:
    def insert(times: int) -> None:
        with as_app(database) as link:
            for n in range(times):
                link.execute("INSERT INTO item VALUES (%s, %s)", [1000 + n, "hunter6"])
            link.rollback()

    insert(3)
    probe = Statements(database.ask, database.database)
    before = of(probe.counters())
    insert(7)
    after = of(probe.counters())
    rows = [event.text for event in probe.table()]
    (inserts,) = [row for row in rows if "INSERT" in row]
    assert '"calls":7.0' in inserts
    assert '"rows":7.0' in inserts
    assert "hunter" not in "".join(rows)
    assert after["statements"] - before["statements"] >= 8  # and its ROLLBACK
    assert after["statement_s"] > before["statement_s"]


def test_checkpoints_are_told_apart_by_what_asked_for_them(database: Postgres, views: postgres.Postgres) -> None:
    before = of(views.counters())
    database._admin().execute("CHECKPOINT")
    until(lambda: of(views.counters())["checkpoints_requested"] > before["checkpoints_requested"], "a checkpoint")
    assert of(views.counters())["checkpoints_timed"] == before["checkpoints_timed"]
