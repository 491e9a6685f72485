from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prony import plan
from prony.knobs import pooler
from prony.plan import Proxy
from prony.probes import caches, nginx, pgbouncer
from prony.probes.app import Workers
from prony.probes.listen import FAMILY, ListenQueue
from prony.probes.mariadb import MariaDB as MariaDBProbe
from prony.probes.processes import Tree
from prony.probes.sampler import Probe, Sampler
from prony.recording.named import PROCESSES, READINGS, wait_of
from prony.stack import folders
from prony.stack.launch import Launcher
from prony.stack.services.mariadb import WATCHER, MariaDB
from prony.stack.services.memcached import Memcached
from prony.stack.services.pgbouncer import PgBouncer
from prony.stack.services.postgres import Postgres
from prony.stack.services.valkey import Valkey
from prony.trial import services, watched
from tests.stack import nginx_case
from tests.stack.probes_case import events, of, until
from tests.stack.stores_case import Bench, settings
from tests.stack.tiers_case import CACHE, DATABASE, PROXY, Rig

SLOW_S = 0.05
SLOW_APP = f"""
import time
def application(environ, start_response):
    time.sleep({SLOW_S})
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"rested"]
"""
# Two hold all there are; the others wait until they are let go.
CROWD = """
import pathlib, sys, threading, psycopg
url, gate = sys.argv[1:]
def visit(number):
    with psycopg.connect(url, autocommit=False, prepare_threshold=None) as link:
        link.execute("SELECT 1")
        while not pathlib.Path(gate).exists():
            threading.Event().wait(0.02)
threads = [threading.Thread(target=visit, args=[n]) for n in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
VALKEY_FILL = """
import sys, valkey
link = valkey.from_url(sys.argv[1])
for n in range(3000):
    link.set(f"key-{n}", "x" * 1000)
link.get("key-2999"); link.get("no such key")
link.eval("local x = 0; for i = 1, 4000000 do x = x + i end; return x", 0)
link.close()
"""
MEMCACHED_ASK = """
import sys
from pymemcache.client.base import Client
link = Client(sys.argv[1].removeprefix("memcached://"))
link.set("here", "x", noreply=False)
print(link.get("here"), link.get("not-here"), link.get("nor-here"))
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Launcher(folders.run_folder()) as launcher:
        made = Bench(launcher, tmp_path_factory.mktemp("stores"))
        yield made
        made.close()


# ---- PgBouncer, Valkey, memcached, MariaDB


def test_pgbouncer_tells_who_waits_for_a_connection_and_for_how_long(bench: Bench) -> None:
    database = bench.store("postgres")
    assert isinstance(database, Postgres)
    pool = PgBouncer(bench.launcher, bench.launcher.run_folder, bench.folder, (), "waiting")
    knobs = {knob.key: knob.default for knob in pooler.POOLER} | {"pool_mode": "transaction", "default_pool_size": 2}
    bench.start(pool, plan.Pooler(knobs=knobs), database.port, database.user, database.password, database.database)
    probe = pgbouncer.PgBouncer(pool.show, 2)
    gate = bench.folder / "gate"
    crowd = bench.python(CROWD, database.url(pool.port), str(gate))
    told: dict[str, float] = {}

    def waiting() -> bool:
        told.update(of(probe.read()))
        return told["clients_waiting"] == 4 and told["longest_wait_s"] > 0

    try:
        until(waiting, "four that wait")
    finally:
        gate.touch()
        bench.done(crowd)
    assert (told["servers_active"], told["servers_limit"]) == (2, 2)
    for _ in range(10):  # its console would refuse what psycopg prepares by itself
        after = of(probe.read())
    assert after["clients_waiting"] == 0
    assert after["wait_s"] > 0
    assert after["transactions"] >= 6
    pool.stop()


def test_valkey_tells_what_it_had_to_let_go_and_which_commands_were_slow(bench: Bench) -> None:
    store = bench.store("valkey")
    assert isinstance(store, Valkey)
    bench.start(store, settings("valkey", memory=3, eviction="allkeys-lru"))
    probe = caches.Valkey("cache", bench.launcher.connect(store.port, 2), store.secret)
    before = of(probe.read())
    bench.done(bench.python(VALKEY_FILL, store.url(store.port)))
    found = probe.read()
    told = of(found)
    assert before["evicted"] == 0
    assert told["evicted"] > 500
    assert told["hits"] - before["hits"] == 1
    assert told["misses"] - before["misses"] == 1
    assert told["memory_limit_bytes"] == 3 * 1024 * 1024
    assert told["clients"] == 0
    assert told["slow_commands"] >= 1
    assert told["slowest_command_s"] >= 0.01
    assert ("slow_command", "EVAL") in events(found)
    assert "key-" not in str(events(found))
    probe.close()


def test_memcached_tells_hits_and_misses(bench: Bench) -> None:
    store = bench.store("memcached")
    assert isinstance(store, Memcached)
    probe = caches.Memcached("cache", bench.launcher.connect(store.port, 2))
    before = of(probe.read())
    assert before["clients"] == 0
    assert bench.done(bench.python(MEMCACHED_ASK, store.url(store.port))) == "b'x' None None"
    told = {name: value - before[name] for name, value in of(probe.read()).items()}
    assert (told["hits"], told["misses"], told["sets"], told["evicted"]) == (1, 2, 1, 0)
    assert told["connections"] == 1
    probe.close()


def test_mariadb_tells_of_itself_without_taking_one_of_the_apps_connections(bench: Bench) -> None:
    store = bench.store("mariadb")
    assert isinstance(store, MariaDB)
    link = bench.launcher.connect(store.extra_port, 2)
    probe = MariaDBProbe(link, WATCHER, store.watchword, 151)
    before = of(probe.read())
    assert bench.words(store, "a", "b") == "a b"
    until(lambda: of(probe.read())["count"] == 0, "nobody but us")
    told = of(probe.read())
    assert before["count"] == 0
    assert told["sessions"] - before["sessions"] == 1
    assert told["statements"] - before["statements"] >= 4
    assert told["buffer_requests"] > before["buffer_requests"]
    assert "row_lock_s" in told
    probe.close()


# ---- nginx


def test_the_time_at_an_app_is_what_the_app_takes_and_what_nobody_serves_is_nginxs_own(tmp_path: Path) -> None:
    with Launcher(folders.run_folder()) as launcher:
        ground = nginx_case.Ground(tmp_path, launcher)
        (tmp_path / "slow.py").write_text(SLOW_APP, encoding="utf-8")
        port = launcher.free_port()
        argv = ["-m", "waitress", f"--listen=127.0.0.1:{port}", "slow:application"]
        ground.spawn("slow", [sys.executable, *argv], port)
        proxy = ground.new(tmp_path)
        proxy.start(Proxy(), {"app": [port]}, tmp_path)
        probe = nginx.TimingLog(proxy.timing_log)
        assert {ground.ask(proxy.port).status for _ in range(5)} == {200}
        told: dict[str, float] = {}

        def logged(count: int) -> bool:
            told.update(of(probe.read()))
            return told["requests"] == count

        until(lambda: logged(5), "five lines")
        assert SLOW_S <= told["upstream_s"] / told["timed"] < 10 * SLOW_S
        assert told["request_s"] > told["upstream_s"] - 5 * 0.001  # each of the five rounded by itself
        assert (told["tries"], told["own_errors"]) == (5, 0)
        launcher.kill_group(ground.processes[port])
        launcher.wait(ground.processes[port], 10)
        assert ground.ask(proxy.port).status == 502
        until(lambda: logged(6), "the sixth")
        assert told["own_errors"] == 1
        if proxy.status is not None:
            assert of(nginx.Status(proxy.status).read())["connections_accepted"] >= 6
        proxy.stop()


# ---- processes, and all together


def test_a_trees_cpu_and_its_wait_for_a_core_only_grow_and_a_child_that_ended_is_in_it(bench: Bench) -> None:
    code = """
import subprocess, sys, threading
subprocess.run([sys.executable, "-c", "sum(i * i for i in range(3_000_000))"], check=True)
print("burnt", flush=True)
threading.Event().wait(60)
"""
    process = bench.python(code)
    tree = Tree("app", process.pid)
    first = of([*tree.cpu(), *tree.rest()])
    until(lambda: "burnt" in process.log.read_text(), "the child's work")
    last = of([*tree.rest(), *tree.cpu()])
    assert last["cpu_s"] - first["cpu_s"] >= 0.05
    assert last["run_delay_s"] >= first["run_delay_s"]
    assert (last["processes"], last["threads"]) == (1, 1)
    assert last["memory_bytes"] > 1e6
    bench.launcher.kill_group(process)
    bench.launcher.wait(process, 10)
    assert of(tree.cpu())["cpu_s"] == 0  # its file is closed, and it is left out
    tree.close()


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(tmp_path_factory.mktemp("six"))
    yield made
    made.stack.close()


SECOND = '[stores.second]\nkind = "memcached"\nenv = "MEMCACHED_URL"\n'
KINDS = {"cache": "valkey", "second": "memcached", "database": "postgres"}


def test_every_tier_of_a_stack_is_read_and_every_reading_is_a_named_one(rig: Rig) -> None:
    tables = DATABASE.format("postgres") + CACHE + SECOND + PROXY + '[pooler]\nkind = "pgbouncer"\n'
    start = rig.boot(tables)
    workers = Workers(start.gauges)
    netlink = rig.stack.launcher.socket(FAMILY)
    listen = ListenQueue(netlink, {each.port for each in start.instances}, start.app.pid)
    with Sampler(watched.probes(rig.stack, start, workers, listen)) as asked:
        assert rig.answer()[0] == 200
    workers.close()
    listen.close()
    readings, happened = asked.take()
    assert [each.text for each in happened if each.kind.startswith("probe_")] == []
    found = {(each.tier, each.name) for each in readings}
    for tier in ("app", "proxy", "pooler", *KINDS):
        assert (tier, "cpu_s") in found
        assert (tier, "memory_bytes") in found
    everyones = {each.name for each in PROCESSES}
    for tier, name in found:
        if tier == "app":
            continue
        known = {each.name for each in READINGS[KINDS.get(tier, tier)]} | everyones
        assert name in known or wait_of(name), f"{tier}.{name} is in no table"
    level = {(each.tier, each.name): each.value for each in readings}
    assert level["pooler", "transactions"] > 0
    assert level["database", "commits"] > 0
    assert level["connections", "count"] >= 1


def test_a_cache_that_is_gone_is_told_and_the_other_probes_go_on(rig: Rig) -> None:
    start = rig.boot(DATABASE.format("sqlite") + CACHE)
    rig.stack.stores.running["cache"].stop()
    workers = Workers(start.gauges)
    listen = ListenQueue(rig.stack.launcher.socket(FAMILY), {start.instances[0].port}, start.app.pid)
    with Sampler(watched.probes(rig.stack, start, workers, listen)) as asked:
        pass
    workers.close()
    listen.close()
    readings, happened = asked.take()
    (failed,) = [each.text for each in happened if each.kind == "probe_failed"]
    assert failed.startswith("cache: ConnectionRefusedError")
    assert {"app", "host", "workers"} <= {each.tier for each in readings}


@pytest.mark.long
def test_granian_tells_of_its_workers(rig: Rig) -> None:
    start = rig.boot('[server]\nkind = "granian"\nworker_class = "wsgi"\nworkers = 2\n', prepare="")
    (probe,) = [each for each in services.probes(rig.stack, start) if each.name == "granian's metrics"]
    told: dict[str, float] = {}

    def collected(least: float) -> bool:
        """It is asked each second what there was until then."""
        told.update(of(probe.read()))
        return told.get("granian_requests", -1) >= least

    until(lambda: collected(0), "nothing was collected")
    before = told["granian_requests"]
    assert {rig.answer()[0] for _ in range(3)} == {200}
    until(lambda: collected(before + 3), f"three requests more than {before}")
    assert told["granian_respawns"] == 0
    assert {"connections_active", "blocking_queue", "blocking_busy_s", "interpreter_wait_s"} <= told.keys()
    probe.close()


@pytest.mark.long
def test_uwsgi_tells_of_its_workers(rig: Rig) -> None:
    start = rig.boot('[server]\nkind = "uwsgi"\nworkers = 2\n', prepare="")
    workers = Workers(start.gauges)
    listen = ListenQueue(rig.stack.launcher.socket(FAMILY), {start.instances[0].port}, start.app.pid)
    probes: list[Probe] = watched.probes(rig.stack, start, workers, listen)
    (probe,) = [each for each in probes if each.name == "uWSGI's stats"]
    before = of(probe.read())
    assert {rig.answer()[0] for _ in range(3)} == {200}
    told = of(probe.read())
    assert told["requests"] - before["requests"] == 3
    assert told["workers_busy"] + told["workers_idle"] == 2
    for each in probes:
        each.close()
    workers.close()
    listen.close()
