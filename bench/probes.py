"""What the probes cost: a real stack of six tiers, watched, idle and under load; as JSON or a table.

The CPU of the threads that look is their own; what looking costs the services is the difference between turns with
and without probes, on an idle stack.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paired import arguments, measured, one_load, repeated, tell

from prony.plan import Plan, read_file
from prony.probes.app import Workers
from prony.probes.listen import FAMILY, ListenQueue
from prony.probes.sampler import Sampler
from prony.stack.stack import Stack, Start
from prony.trial.watched import probes

APP = """
import os, threading
import psycopg, valkey
from pymemcache.client.base import Client

held = threading.local()

def link(name, made):
    if not hasattr(held, name):
        setattr(held, name, made())
    return getattr(held, name)

def application(environ, start_response):
    database = link("d", lambda: psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, prepare_threshold=None))
    cache = link("c", lambda: valkey.from_url(os.environ["REDIS_URL"]))
    other = link("m", lambda: Client(os.environ["MEMCACHED_URL"].removeprefix("memcached://"), no_delay=True))
    found = [database.execute("SELECT count(*) FROM pg_class WHERE relpages > %s", [i]).fetchone()[0] for i in range(3)]
    cache.incr("pages")
    other.set("page", str(found))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{found} {other.get('page')}".encode()]
"""
PLAN = """
[app]
entry = "one:application"
python = "{python}"
[stores.database]
kind = "postgres"
[stores.cache]
kind = "valkey"
[stores.second]
kind = "memcached"
env = "MEMCACHED_URL"
[pooler]
kind = "pgbouncer"
[proxy]
kind = "nginx"
[server]
kind = "gunicorn"
worker_class = "gthread"
workers = 2
threads = 4
[[traffic.request]]
path = "/"
"""
TARGET = 2.0  # per cent of a core


def plan_in(folder: Path) -> Plan:
    """The six tiers."""
    (folder / "one.py").write_text(APP, encoding="utf-8")
    (folder / "prony.toml").write_text(PLAN.format(python=sys.executable), encoding="utf-8")
    return read_file(folder)


@contextmanager
def watched(stack: Stack, start: Start) -> Iterator[Sampler]:
    """The probes of a trial."""
    workers = Workers(start.gauges)
    listen = ListenQueue(stack.launcher.socket(FAMILY), {each.port for each in start.instances}, start.app.pid)
    try:
        with Sampler(probes(stack, start, workers, listen)) as sampler:
            yield sampler
    finally:
        workers.close()
        listen.close()


def cpu_s(stack: Stack) -> float:
    """CPU time of every process of the stack, from the scheduler's nanoseconds."""
    total_ns = 0
    for tier in stack.watched():
        queue = [process.pid for process in tier.processes]
        while queue:
            pid = queue.pop()
            for task in Path(f"/proc/{pid}/task").glob("*"):
                total_ns += int((task / "schedstat").read_text().split()[0])
                queue += [int(child) for child in (task / "children").read_text().split()]
    return total_ns / 1e9


def idle(stack: Stack, start: Start, seconds: float, rounds: int) -> tuple[list[float], list[float]]:
    """(per cent of a core the looking threads used, per cent more the services used) of an idle stack, each round."""
    own, theirs = [], []
    for _ in range(rounds):
        before_s = cpu_s(stack)
        time.sleep(seconds)
        alone = (cpu_s(stack) - before_s) / seconds
        with watched(stack, start) as sampler:
            first_s, before_s = sampler.cpu_s, cpu_s(stack)
            time.sleep(seconds)
            own.append(100 * (sampler.cpu_s - first_s) / seconds)
            theirs.append(100 * ((cpu_s(stack) - before_s) / seconds - alone))
    return own, theirs


def loaded(stack: Stack, start: Start, seconds: float, rps: float, folder: Path) -> tuple[float, float, dict[str, Any]]:
    """(per cent of a core, requests a second, slow and failed probes) under load."""
    with watched(stack, start) as sampler:
        first_s, began_s = sampler.cpu_s, time.monotonic()
        load = one_load(start.port, stack.cores.generator[0], seconds, folder, arrivals="poisson", rate_rps=rps)
        took_s = time.monotonic() - began_s
        used = 100 * (sampler.cpu_s - first_s) / took_s
    events = [event.text for event in sampler.take()[1] if event.kind.startswith("probe_")]
    return used, load.result.done / took_s, {"probes in doubt": events} if events else {}


def statement_us(stack: Stack, rounds: int, count: int) -> list[float]:
    """CPU time more of a statement's backend, in µs, because pg_stat_statements counts it: rounds with and without."""
    database = stack.postgres
    if database is None or database.admin is None or not database.counts_statements:
        return []
    link = database.admin
    schedstat = Path(f"/proc/{link.info.backend_pid}/schedstat")

    def spent_us(track: str, ids: str) -> float:
        link.execute(f"SET pg_stat_statements.track = {track}".encode())
        link.execute(f"SET compute_query_id = {ids}".encode())
        before_ns = int(schedstat.read_text().split()[0])
        for number in range(count):
            link.execute(b"SELECT count(*) FROM pg_class WHERE relpages > %d" % (number % 7), prepare=False)
        return (int(schedstat.read_text().split()[0]) - before_ns) / count / 1000

    spent_us("top", "auto")  # warm
    return [spent_us("top", "auto") - spent_us("none", "off") for _ in range(rounds)]


def main() -> None:
    """Measures idle, then under load."""
    given = arguments(__doc__)
    seconds, rounds = (4.0, 2) if given.quick else (10.0, 6)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        plan = plan_in(folder)
        with Stack(folder / "logs", namespace=False, own_folder=folder / "own") as stack:
            start = stack.boot(plan)
            count = sum(len(tier.processes) for tier in stack.watched())
            own, theirs = idle(stack, start, seconds, rounds)
            counted = statement_us(stack, 3 * rounds, 200 if given.quick else 1000)
            turns = [loaded(stack, start, seconds, 150.0, folder) for _ in range(rounds)]
    doubtful = {text for turn in turns for text in turn[2].get("probes in doubt", ())}
    measures = [
        repeated("idle: CPU of the threads that look", own, "%", TARGET, {}),
        repeated("idle: CPU more of the services that are asked", theirs, "%", None, {}),
        repeated(
            "under load: CPU of the threads that look",
            [turn[0] for turn in turns],
            "%",
            TARGET,
            {"requests a second": statistics.median(turn[1] for turn in turns)},
        ),
        measured("under load: probes that failed or were slow", len(doubtful), "", 0, {}),
    ]
    if counted:
        measures.append(repeated("pg_stat_statements: CPU more a statement", counted, "µs", None, {}))
    tell(measures, as_json=given.json, tiers=count, seconds=seconds, rounds=rounds, doubts="; ".join(doubtful))


if __name__ == "__main__":
    main()
