"""The tables of a stack's tiers: what right ones become, and what a wrong one is told."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from prony.errors import PlanError
from prony.plan import Link, Plan, Route, changed, read_document
from prony.plan.changes import live_change

POSTGRES = '[stores.database]\nkind = "postgres"\n'
SQLITE = '[stores.database]\nkind = "sqlite"\n'
CACHE = '[stores.cache]\nkind = "valkey"\n'
PROXY = '[proxy]\nkind = "nginx"\n'
LIVE = '[servers.live]\nkind = "uvicorn"\n'
POOLER = '[pooler]\nkind = "pgbouncer"\n'
FEED = '[services.feed]\nenv = "FEED_URL"\n'
WORKER = '[workers.mail]\ncommand = "python mail.py"\n'


def plan_of(tables: str, changes: dict[str, Any] | None = None, folder: Path = Path("/nowhere/shop")) -> Plan:
    return read_document({"app": {"entry": "shop:app"}, **tomllib.loads(tables)}, "prony.toml", folder, changes or {})


def test_a_stack_of_every_kind_of_tier_is_read() -> None:
    plan = plan_of(
        POSTGRES + CACHE + POOLER + PROXY + "preset = 'platform-router'\ntls = true\n" + LIVE + FEED + WORKER
        + "[[proxy.route]]\npath = '/live'\nto = 'live'\nbuffering = false\n"
        + "[[proxy.route]]\npath = '/old'\ncache = '5s'\n"
        + "[proxy.static]\n'/static/' = 'files'\n[server]\nkind = 'gunicorn'\ninstances = 3\n"
        + "[link.live]\nround_trip = '5ms'\nbandwidth = '1M'\ndrop = '2%'\nfrozen = true\n"
        + "[box.front]\nservices = ['proxy', 'live']\nsize = 'droplet-512mb'\n[box.mail]\ncpus = 0.5\nmemory = '64M'\n"
    )  # fmt: skip
    assert [server.name for server in plan.servers] == ["app", "live"]
    assert (plan.server.instances, plan.server.processes) == (3, 3)
    assert {name: (store.kind, store.env) for name, store in plan.stores.items()} == {
        "database": ("postgres", "DATABASE_URL"),
        "cache": ("valkey", "REDIS_URL"),
    }
    assert plan.pooler is not None
    assert plan.pooler.knobs["pool_mode"] == "session"
    assert plan.proxy is not None
    assert (plan.proxy.tls, plan.proxy.static, plan.proxy.balancing) == (True, {"/static/": "files"}, "random")
    assert plan.proxy.routes == (
        Route(path="/live", to="live", buffering=False),
        Route(path="/old", cache_s=5.0),
    )
    assert plan.links == (Link(name="live", round_trip_s=0.005, bandwidth_bps=2**20, drop=0.02, frozen=True),)
    front, mail = plan.boxes
    assert (front.services, front.cpus, front.memory_bytes) == (("proxy", "live"), 1.0, 512 * 2**20)
    assert (mail.services, mail.cpus, mail.memory_bytes, mail.period_s) == (("mail",), 0.5, 64 * 2**20, 0.1)
    assert (plan.workers[0].command, plan.workers[0].instances) == ("python mail.py", 1)
    assert plan.services[0].env == "FEED_URL"


MISTAKES = [
    # tables, then what the paragraph must hold
    ("[servers.x]\n", "[servers.x]: found a further app server", "with a [proxy] table", 'kind = "nginx"'),
    ("[server]\ninstances = 2\n", "[server] instances: found 2", "with a [proxy] table"),
    ("[server]\ninstances = 33\n", "[server] instances: found 33", "from 1 to 32"),
    (PROXY + "[servers.X]\n", "[servers.X]: found this name", "small letters"),
    (PROXY + "[servers.x]\nkind = 'iis'\n", '[servers.x] kind: found "iis"', "one of gunicorn"),
    (PROXY + "[servers.x]\nthreads = 3\n", "[servers.x] threads: gunicorn sync has no such knob", "allowed: workers"),
    (PROXY + "[servers.x]\nworker = 3\n", "[servers.x] worker: found an unknown key", "Did you mean workers?"),
    (PROXY + "[servers.x]\nworker_class = 'eventlet'\n", 'worker_class: found "eventlet"', "sync, gthread"),
    ("[server]\nentry = 'a:b'\n", "[server] entry: found an unknown key", "allowed: kind"),
    (PROXY + "[servers.app]\n", "found two tiers called app", "each name once"),
    (CACHE + "[services.cache]\nenv = 'X'\n", "found two tiers called cache", "each name once"),
    ("[workers.proxy]\ncommand = 'x'\n", "found two tiers called proxy", "each name once"),
    ("[workers.pooler]\ncommand = 'x'\n", "found two tiers called pooler", "each name once"),
    # stores
    ("[stores.cache]\n", "[stores.cache] kind is missing", "one of valkey, redis, memcached, url"),
    ("[stores.databse]\n", "[stores.databse] kind is missing", "Did you mean database?"),
    ("[stores.database]\nkind = 'redis'\n", '[stores.database] kind: found "redis"', "postgres, mariadb, sqlite, url"),
    ("[stores.cache]\nkind = 'postgres'\n", '[stores.cache] kind: found "postgres"', "valkey, redis"),
    (CACHE + "memry = 3\n", "[stores.cache] memry: found an unknown key", "Did you mean memory?"),
    (CACHE + "url = 'redis://x'\n", "[stores.cache] url: found a key that kind = valkey does not take", "kind = url"),
    ("[stores.cache]\nkind = 'url'\nurl = 'redis://h'\n", "[stores.cache] env is missing", "environment variable"),
    ("[stores.database]\nkind = 'url'\n", "[stores.database] url is missing", 'with kind = "url"'),
    ("[stores.database]\nkind = 'url'\nurl = 'shop'\n", "[stores.database] url: found no URL", "postgres://user:"),
    ("[stores.database]\nkind = 'url'\nurl = 'x://h:port'\n", "[stores.database] url: found no URL", "a host"),
    ("[stores.database]\nkind = 'url'\nurl = 3\n", "[stores.database] url: found a int", "a text"),
    (CACHE + CACHE.replace("cache", "more"), "[stores.more] env: found REDIS_URL", "[stores.cache]", "MORE_URL"),
    (CACHE + FEED.replace("FEED", "REDIS"), "[services.feed] env: found REDIS_URL", "[stores.cache]", "FEED_URL"),
    # the pooler
    (POOLER, "[pooler]: found PgBouncer without a Postgres behind it", "[stores.database]"),
    (SQLITE + POOLER, "[pooler]: found PgBouncer without a Postgres", 'kind = "postgres"'),
    (POSTGRES + "[pooler]\nmode = 'x'\n", "[pooler] mode: found an unknown key", "Did you mean pool_mode?"),
    (POSTGRES + "[pooler]\nkind = 'pgcat'\n", '[pooler] kind: found "pgcat"', "one of pgbouncer"),
    (POSTGRES + "[pooler]\npool_mode = 'x'\n", '[pooler] pool_mode: found "x"', "session, transaction, statement"),
    ("pooler = 3\n", "pooler: found 3", "a table [pooler] is allowed"),
    # the proxy
    ("proxy = 'nginx'\n", 'proxy: found "nginx"', "a table [proxy] is allowed"),
    ("[proxy]\nkind = 'haproxy'\n", '[proxy] kind: found "haproxy"', "one of nginx"),
    ("[proxy]\npreset = 'heroku'\n", '[proxy] preset: found "heroku"', "platform-router"),
    ("[proxy]\nbalancing = 'best'\n", '[proxy] balancing: found "best"', "round_robin, least_conn, random, ip_hash"),
    ("[proxy]\nrout = 3\n", "[proxy] rout: found an unknown key", "allowed: kind"),
    ("[proxy]\nroute = 3\n", "[proxy] route: found 3", "tables [[proxy.route]]"),
    ("[proxy.route]\npath = '/'\n", "[proxy] route: found", "tables [[proxy.route]]"),
    ("[[proxy.route]]\n", "[proxy.route] path is missing", "a text"),
    ("[[proxy.route]]\npath = 'live'\n", '[proxy.route]: found the path "live"', "begins with /"),
    ("[[proxy.route]]\npath = '/{a}'\n", '[proxy.route]: found the path "/{a}"', "no spaces"),
    (
        "[[proxy.route]]\npath = '/a'\nto = 'live'\n",
        '[[proxy.route]] to: found "live"',
        "allowed: app",
        "[servers.live]",
    ),
    ("[[proxy.route]]\npath = '/a'\ncach = '1s'\n", "[proxy.route] cach: found an unknown key", "mean cache?"),
    ("[[proxy.route]]\npath = '/a'\n" * 2, "[[proxy.route]] path: found /a twice", "each path once"),
    ("[[proxy.route]]\npath = '/a'\n" * 201, "[[proxy.route]]: found 201", "at most 200"),
    ("[proxy.static]\n'static/' = 'x'\n", '[proxy.static]: found the path "static/"', "begins with /"),
    ("[proxy.static]\n'/a' = []\n", "[proxy] static: found", "a table of texts"),
    (
        "[proxy.static]\n'/a' = 'x'\n[[proxy.route]]\npath = '/a'\n",
        "[proxy.static] and [[proxy.route]]: found /a twice",
    ),
    # workers
    ("[workers.w]\n", "[workers.w]: found neither of command and process", "a name in the project's Procfile"),
    ("[workers.w]\ncommand = 'a'\nprocess = 'b'\n", "[workers.w]: found both of command and process"),
    ("[workers.w]\ncommand = 'a \"b'\n", "[workers.w]: found", "a command that a shell could split"),
    ("[workers.w]\nprocess = 'w'\n", "Procfile cannot be read", "check"),
    ("[workers.w]\ncomand = 'a'\n", "[workers.w] comand: found an unknown key", "Did you mean command?"),
    ("[workers.w]\ncommand = 'a'\ninstances = 0\n", "[workers.w] instances: found 0", "from 1 to 32"),
    # services
    ("[services.feed]\n", "[services.feed] env is missing", "URL to the app"),
    (FEED + "latncy = '1s'\n", "[services.feed] latncy: found an unknown key", "Did you mean latency?"),
    (FEED + "latency = 3\n", "[services.feed] latency: found 3", "a duration"),
    # links
    ("[link.cache]\n", '[link.cache]: found "cache", no tier of this plan', "allowed: app."),
    ("[link.proxy]\n", '[link.proxy]: found "proxy", no tier of this plan', "allowed: app."),
    (POSTGRES + "[link.pooler]\n", '[link.pooler]: found "pooler", no tier', "allowed: app, database."),
    (WORKER + "[link.mail]\n", '[link.mail]: found "mail", no tier', "allowed: app."),
    (SQLITE + "[link.database]\n", "[link.database]: found a SQLite file", "before a store that listens"),
    (CACHE + "[link.cache]\nround = '1s'\n", "[link.cache] round: found an unknown key", "mean round_trip?"),
    (CACHE + "[link.cache]\ndrop = 2\n", "[link.cache] drop: found 2", "a share"),
    (CACHE + "round_trip = '1ms'\n[link.cache]\n", "[stores.cache] round_trip and [link.cache]: found both", "into"),
    # boxes
    ("[box.cache]\ncpus = 1\n", '[box.cache]: found "cache", no tier of this plan', "allowed: app."),
    ("[box.all]\nservices = ['app', 'proxy']\ncpus = 1\n", 'services = [proxy]: found "proxy"', "allowed: app."),
    ("[box.app]\n", "[box.app]: found no limit", "size, or cpus, memory", "droplet-512mb"),
    ("[box.app]\nsize = 'droplet-511mb'\n", '[box.app] size: found "droplet-511mb"', "droplet-512mb", "cpus = 0.5"),
    ("[box.app]\ncpus = 0\n", "[box.app] cpus: found 0", "from 0.01 to 256"),
    ("[box.app]\nmemory = 512\n", "[box.app] memory: found 512", "allowed:"),
    ("[box.app]\ncpu = 1\n", "[box.app] cpu: found an unknown key", "Did you mean cpus?"),
    ("[box.app]\ncpus = 1\n[box.b]\nservices = ['app']\ncpus = 1\n", "[box.b]: found app, which [box.app] holds"),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake[1][:40])
def test_a_mistake_is_one_paragraph_that_names_table_found_and_allowed(mistake: tuple[str, ...]) -> None:
    tables, *held = mistake
    with pytest.raises(PlanError) as caught:
        plan_of(tables)
    message = caught.value.message
    assert message.startswith(("prony.toml: ", "/nowhere/shop/Procfile"))
    assert "\n" not in message
    assert len(message) < 700
    for text in held:
        assert text in caught.value.paragraph()


def test_a_url_with_a_password_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(PlanError) as caught:
        plan_of("[stores.database]\nkind = 'url'\nurl = 'postgres//me:hunter2@host'\n", folder=tmp_path)
    assert "hunter2" not in caught.value.paragraph()
    stored = plan_of("[stores.database]\nkind = 'url'\nurl = 'postgres://me:hunter2@host/x'\n").redacted()
    assert b"hunter2" not in msgspec.json.encode(stored)


def test_a_worker_s_command_comes_from_the_procfile(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: x\nmail: celery -A shop worker\n", encoding="utf-8")
    [worker] = plan_of("[workers.mail]\nprocess = 'mail'\ninstances = 2\n", folder=tmp_path).workers
    assert (worker.command, worker.instances) == ("celery -A shop worker", 2)
    with pytest.raises(PlanError) as caught:
        plan_of("[workers.mail]\nprocess = 'male'\n", folder=tmp_path)
    assert '[workers.mail] process: found "male"; allowed: web, mail.' in caught.value.message


def test_a_round_trip_in_a_store_s_own_table_is_a_link() -> None:
    assert plan_of(CACHE + "round_trip = '3ms'\n").links == (Link(name="cache", round_trip_s=0.003),)
    assert plan_of(CACHE + "round_trip = '0ms'\n[link.cache]\ndrop = '1%'\n").links[0].drop == pytest.approx(0.01)


def test_a_managed_database_s_size_brings_what_the_plan_does_not_say() -> None:
    size = "[box.database]\nsize = 'heroku-postgres-essential-0'\n"
    plan = plan_of(POSTGRES + size)
    assert plan.links == (Link(name="database", round_trip_s=0.001),)
    assert plan.stores["database"].max_connections == 20
    said = plan_of(POSTGRES + "round_trip = '4ms'\nmax_connections = 33\n" + size)
    assert said.links == (Link(name="database", round_trip_s=0.004),)
    assert said.stores["database"].max_connections == 33
    none = plan_of(POSTGRES + "round_trip = '0ms'\n" + size)
    assert none.links == ()
    linked = plan_of(POSTGRES + size + "[link.database]\nbandwidth = '1M'\n")
    assert [link.round_trip_s for link in linked.links] == [0.0]
    assert plan_of(SQLITE + size).links == ()


def test_plans_differ_in_their_stack_where_any_tier_does() -> None:
    tables = POSTGRES + CACHE + POOLER + PROXY + LIVE + FEED + WORKER + "[link.cache]\n[box.app]\ncpus = 1.0\n"
    plan = plan_of(tables)
    assert plan.stack == plan_of(tables).stack == plan.loaded(users=5).stack
    for name, value in {
        "app.env.DEBUG": "1",
        "server.workers": 5,
        "servers.live.workers": 2,
        "stores.database.max_connections": 50,
        "stores.cache.memory": 64,
        "pooler.pool_mode": "transaction",
        "proxy.balancing": "random",
        "proxy.worker_connections": 99,
        "workers.mail.instances": 2,
        "services.feed.latency": "2s",
        "link.cache.round_trip": "1ms",
        "box.app.cpus": 2.0,
    }.items():
        assert changed(plan, {name: value}).stack != plan.stack, name
    assert changed(plan, {"limits.p99": "2s", "traffic.rate": 5}).stack == plan.stack


def test_another_kind_of_store_drops_what_it_does_not_have() -> None:
    own = plan_of("[stores.database]\nkind = 'url'\nurl = 'postgres://me@host/x'\nenv = 'DB'\n")
    store = changed(own, {"stores.database.kind": "postgres"}).stores["database"]
    assert (store.kind, store.url, store.env) == ("postgres", "", "DB")
    slow = plan_of(POSTGRES + "round_trip = '1ms'\nmax_connections = 20\n")
    assert changed(slow, {"stores.database.kind": "mariadb"}).stores["database"].max_connections == 20
    plain = changed(slow, {"stores.database.kind": "sqlite"})
    assert (plain.links, plain.stores["database"].kind) == ((), "sqlite")


@pytest.mark.parametrize(
    ("name", "value", "is_"),
    [
        ("link.database.round_trip", "20ms", ("link.database", "round_trip_s", 0.02)),
        ("link.app.bandwidth", "1M", ("link.app", "bandwidth_bps", 2**20)),
        ("link.app.frozen", True, ("link.app", "frozen", True)),
        ("services.feed.errors", "5%", ("services.feed", "errors", 0.05)),
    ],
)
def test_a_live_change_is_read_like_the_plan_s_own_key(name: str, value: Any, is_: tuple[str, str, Any]) -> None:
    assert live_change(name, value) == is_


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("server.workers", 3, "server.workers: found nothing that can be changed while it runs; allowed: link.NAME."),
        ("link.round_trip", "1ms", "link.round_trip: found nothing that can be changed"),
        ("link.app.speed", "1ms", "link.app.speed: found nothing that can be changed"),
        ("link.app.drop", 2, "link.app.drop: found 2; allowed: a share"),
        ("services.feed.latency", "soon", 'services.feed.latency: found "soon"; allowed: a duration'),
    ],
)
def test_a_live_change_that_cannot_be_is_told_with_what_can(name: str, value: Any, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        live_change(name, value)
    assert said in caught.value.message
