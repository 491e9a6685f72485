"""A running stack in, a probe for each of its stores, its pooler, its proxy and its servers' own counters out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from prony.probes import caches, nginx
from prony.probes.granian import Granian
from prony.probes.mariadb import MariaDB
from prony.probes.pgbouncer import PgBouncer
from prony.probes.postgres import Postgres
from prony.probes.sampler import Items, Probe
from prony.probes.statements import Statements
from prony.probes.uwsgi import UWSGI
from prony.stack.services import mariadb
from prony.stack.services.memcached import Memcached
from prony.stack.services.postgres import RESERVED
from prony.stack.services.valkey import Valkey
from prony.stack.stack import Stack, Start

EVERY_S = 1.0
CONNECT_S = 2.0


def probes(stack: Stack, start: Start) -> list[Probe]:
    """Everything that tells of itself, each second; what cannot be reached is a probe that fails, no crash."""
    found: list[Probe] = []
    makers: list[tuple[str, Callable[[Stack, Start], list[Probe]]]] = [("proxy", _proxy), ("uWSGI", _uwsgi)]
    makers.append(("granian", _granian))
    makers += [(store, partial(_cache, name=store)) for store in stack.stores.running]
    makers += [("pooler", _pooler), ("database", _postgres), ("database", _mariadb)]
    for name, make in makers:
        try:
            found += make(stack, start)
        except Exception as error:  # noqa: BLE001 - the probe meets it again, and says so
            found.append(Probe(name, EVERY_S, partial(_fails, error)))
    return found


def _fails(error: Exception) -> Items:
    raise error


def _proxy(stack: Stack, _: Start) -> list[Probe]:
    proxy = stack.proxy
    if proxy is None:
        return []
    found = [Probe("proxy timing log", EVERY_S, nginx.TimingLog(proxy.timing_log).read)]
    if proxy.status is not None:
        found.append(Probe("proxy status", EVERY_S, nginx.Status(proxy.status).read))
    return found


def _uwsgi(_: Stack, start: Start) -> list[Probe]:
    paths = [each.stats for each in start.instances if each.server.kind == "uwsgi"]
    return [Probe("uWSGI's stats", EVERY_S, UWSGI(paths).read)] if paths else []


def _granian(stack: Stack, start: Start) -> list[Probe]:
    ports = [each.metrics_port for each in start.instances if each.metrics_port]
    if not ports:
        return []
    probe = Granian(stack.launcher.connect(port, CONNECT_S) for port in ports)
    return [Probe("granian's metrics", EVERY_S, probe.read, close=probe.close)]


def _cache(stack: Stack, _: Start, *, name: str) -> list[Probe]:
    store = stack.stores.running[name]
    probe: caches.Valkey | caches.Memcached
    if isinstance(store, Valkey):
        probe = caches.Valkey(name, stack.launcher.connect(store.port, CONNECT_S), store.secret)
    elif isinstance(store, Memcached):
        probe = caches.Memcached(name, stack.launcher.connect(store.port, CONNECT_S))
    else:
        return []
    return [Probe(f"{name} ({store.kind})", EVERY_S, probe.read, close=probe.close)]


def _pooler(stack: Stack, start: Start) -> list[Probe]:
    pooler, settings = stack.stores.pooler, start.plan.pooler
    if pooler is None or settings is None:
        return []
    size = settings.knobs["default_pool_size"] + settings.knobs["reserve_pool_size"]
    return [Probe("pooler", EVERY_S, PgBouncer(pooler.show, size).read)]


def _postgres(stack: Stack, start: Start) -> list[Probe]:
    postgres, settings = stack.postgres, start.plan.database
    if postgres is None or postgres.process is None or settings is None:
        return []
    limit = settings.max_connections
    views = Postgres(postgres.ask, postgres.database, limit, limit - RESERVED)
    found = [
        Probe("database activity", EVERY_S, views.activity),
        Probe("database counters", EVERY_S, views.counters),
    ]
    if postgres.counts_statements:
        statements = Statements(postgres.ask, postgres.database)
        found.append(Probe("database statements", EVERY_S, statements.counters, end=statements.table))
    return found


def _mariadb(stack: Stack, start: Start) -> list[Probe]:
    store, settings = stack.stores.running.get("database"), start.plan.database
    if not isinstance(store, mariadb.MariaDB) or settings is None:
        return []
    link = stack.launcher.connect(store.extra_port, CONNECT_S)
    probe = MariaDB(link, mariadb.WATCHER, store.watchword, settings.max_connections)
    return [Probe("database status", EVERY_S, probe.read, close=probe.close)]
