from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from threading import Event
from time import monotonic

import psutil
import pytest

from prony import plan
from prony.errors import StackError
from prony.knobs import pooler
from prony.stack import folders
from prony.stack.launch import Launcher
from prony.stack.services.pgbouncer import PgBouncer
from prony.stack.services.postgres import Postgres
from tests.stack.stores_case import CLIENTS, Bench

# Twenty clients, each with a connection of its own, a transaction at a time.
CROWD = """
import sys, threading, psycopg
def visit():
    with psycopg.connect(sys.argv[1], autocommit=True, prepare_threshold=None) as link:
        met.wait(30)
        for _ in range(5):
            seen.add(link.execute("SELECT pg_backend_pid(), pg_sleep(0.01)").fetchone()[0])
met, seen = threading.Barrier(20), set()
threads = [threading.Thread(target=visit) for _ in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(seen))
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Launcher(folders.run_folder()) as launcher:
        made = Bench(launcher, tmp_path_factory.mktemp("stores"))
        yield made
        made.close()


def until(holds: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Poll until it holds."""
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        Event().wait(0.02)


def test_pgbouncer_leads_many_clients_over_few_connections(bench: Bench) -> None:
    database = bench.store("postgres")
    assert isinstance(database, Postgres)
    pool = PgBouncer(bench.launcher, bench.launcher.run_folder, bench.folder, (), "pooler")
    knobs = {knob.key: knob.default for knob in pooler.POOLER}
    way = (database.port, database.user, database.password, database.database)
    two = plan.Pooler(knobs=knobs | {"pool_mode": "transaction", "default_pool_size": 2, "server_idle_timeout": 9})
    bench.start(pool, two, *way)
    first = pool.process
    pool.start(two, *way)
    assert pool.process is first
    crowd = bench.python(CROWD, database.url(pool.port))
    held: set[int] = set()

    def over() -> bool:
        rows = database.ask("SELECT count(*) FROM pg_stat_activity WHERE datname = 'app'")
        held.add(rows[0][0])
        bench.launcher.poll()
        return not crowd.alive

    until(over, "twenty clients", 60)
    assert bench.done(crowd) == "2"
    assert max(held) == 2
    pools = {row["database"]: row for row in pool.show("POOLS")}
    assert pools["app"]["pool_mode"] == "transaction"
    assert {row["key"]: row["value"] for row in pool.show("CONFIG")}["server_idle_timeout"] == "9"
    port = pool.port
    pool.start(plan.Pooler(knobs=knobs), *way)
    assert pool.process is not first
    assert pool.port == port
    assert bench.done(bench.python(CLIENTS["postgres"], database.url(pool.port), "word")) == "word"
    if os.getuid() == 0:
        assert pool.process is not None
        assert 0 not in psutil.Process(pool.process.pid).uids()
    pool.stop()
    database.stop()
    assert pool.process is None


def test_a_pgbouncer_too_old_for_a_knob_says_so(bench: Bench) -> None:
    pool = PgBouncer(bench.launcher, bench.launcher.run_folder, bench.folder, (), "old")
    knobs = {knob.key: knob.default for knob in pooler.POOLER}
    bench.start(pool, plan.Pooler(knobs=knobs), 1, "app", "x", "app")
    if tuple(map(int, pool.version.split(".")[:2])) >= (1, 21):
        pytest.skip(f"PgBouncer {pool.version} knows it")
    with pytest.raises(StackError, match="max_prepared_statements: found 5"):
        pool.start(plan.Pooler(knobs=knobs | {"max_prepared_statements": 5}), 1, "app", "x", "app")
    pool.stop()
