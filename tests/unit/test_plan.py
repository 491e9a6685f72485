"""A right prony.toml becomes a Plan; see test_plan_mistakes.py for what is wrong with a wrong one."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from prony.errors import PlanError
from prony.knobs import server
from prony.plan import Limits, Plan, changed, keys, read_document, read_file
from prony.plan.checks import is_secret, without_password

HERE = Path("/nowhere/shop")
FULL: dict[str, Any] = {
    "app": {
        "entry": "config.wsgi:application",
        "prepare": ["python manage.py migrate --noinput"],
        "env": {"SECRET_KEY": "hunter2-hunter2", "WORKERS": 4},
        "egress": ["api.example.com"],
    },
    "stores": {"database": {"kind": "postgres", "max_connections": 20, "round_trip": "2ms"}},
    "server": {"kind": "gunicorn", "worker_class": "gthread", "workers": 3, "threads": 4, "preload": True},
    "traffic": {
        "rate": 50,
        "duration": "20s",
        "timeout": "250ms",
        "seed": 7,
        "request": [
            {"path": "/", "weight": 9, "expect": {"status": 200, "contains": "<title>"}},
            {"path": "/a?b=c", "method": "HEAD", "name": "a", "expect": {"status": [301, 302]}},
        ],
    },
    "limits": {"p50": "100ms", "p99": "1.5s", "errors": "2%"},
}


def plan_of(document: dict[str, Any], changes: dict[str, Any] | None = None) -> Plan:
    return read_document(document, "prony.toml", HERE, changes or {})


SMALL = {"app": {"entry": "shop:app"}}


def test_an_entry_is_all_that_is_needed() -> None:
    plan = plan_of(SMALL)
    assert plan.app.folder == "/nowhere/shop"
    assert plan.app.python == sys.executable, "no .venv/bin/python is there"
    assert (plan.app.prepare, plan.app.env, plan.app.egress) == ((), {}, ())
    assert plan.database is None
    assert plan.title == "gunicorn sync, 1 worker"
    assert plan.server.knobs == {knob.key: knob.default for knob in server.KNOBS["gunicorn", "sync"]}
    traffic = plan.traffic
    assert (traffic.arrivals, traffic.rate_rps, traffic.users, traffic.duration_s) == ("poisson", None, None, 10.0)
    assert not traffic.declared
    assert [(r.path, r.method, r.expect.status) for r in traffic.requests] == [("/", "GET", (200,))]
    assert plan.limits == Limits(latency_s={"p99": 1.0}, errors=0.01)
    assert plan.limits.text == "p99 ≤ 1 s, errors ≤ 1 %, backlog not growing"


def test_everything_that_is_written_is_read_in_its_unit() -> None:
    plan = plan_of(FULL)
    assert plan.app.env == {"SECRET_KEY": "hunter2-hunter2", "WORKERS": "4"}
    assert plan.app.egress == ("api.example.com",)
    assert plan.database is not None
    assert plan.database.max_connections == 20
    assert plan.database.round_trip_s == pytest.approx(0.002)
    assert plan.title == "gunicorn gthread, 3 workers × 4 threads"
    assert (plan.server.processes, plan.server.slots_per_process, plan.server.slots) == (3, 4, 12)
    assert plan.server.knobs["preload"] is True
    assert (plan.traffic.rate_rps, plan.traffic.duration_s, plan.traffic.timeout_s) == (50.0, 20.0, 0.25)
    first, second = plan.traffic.requests
    assert (first.name, first.weight, first.expect.contains) == ("/", 9.0, "<title>")
    assert (second.name, second.method, second.weight, second.expect.status) == ("a", "HEAD", 1.0, (301, 302))
    assert plan.traffic.declared
    assert plan.limits.latency_s == {"p50": 0.1, "p99": 1.5}
    assert plan.limits.errors == pytest.approx(0.02)


def test_every_part_of_an_expectation_is_read() -> None:
    expect = {
        "status": 200,
        "type": "application/json",
        "header": {"X-Cache": "*HIT*"},
        "contains": "Tea",
        "matches": "T.a",
        "json": {"items.0.name": "Tea", "count": 3, "next": "*", "more": True},
        "min_bytes": 10,
        "max_bytes": "2K",
        "sha256": "AB" * 32,
    }
    assert set(expect) == set(keys.EXPECT)
    request = {"path": "/", "anonymous": True, "expect": expect}
    [found] = plan_of(SMALL | {"traffic": {"request": [request]}}).traffic.requests
    assert found.anonymous
    assert structs.asdict(found.expect) == expect | {"status": (200,), "max_bytes": 2048, "sha256": "ab" * 32}


def test_a_file_is_read_by_its_name_or_its_folders(tmp_path: Path) -> None:
    (tmp_path / "python").touch()
    (tmp_path / "prony.toml").write_text('[app]\nentry = "shop:create_app()"\npython = "python"\n', encoding="utf-8")
    for path in (tmp_path, tmp_path / "prony.toml"):
        plan = read_file(path, ["server.workers=5", "limits.p99=500ms", "limits.errors=2%", "app.env.DEBUG=no"])
        assert plan.app.python == str(tmp_path / "python")
        assert plan.app.folder == str(tmp_path)
        assert plan.source == str(tmp_path / "prony.toml")
        assert plan.server.knobs["workers"] == 5
        assert plan.limits == Limits(latency_s={"p99": 0.5}, errors=0.02)
        assert plan.app.env == {"DEBUG": "no"}


def test_users_make_a_closed_loop() -> None:
    plan = plan_of(SMALL, {"traffic.users": 30, "traffic.think": "1s"})
    assert (plan.traffic.arrivals, plan.traffic.users, plan.traffic.think_s) == ("closed", 30, 1.0)


def test_a_loaded_plan_differs_in_its_load_alone() -> None:
    plan = plan_of(FULL)
    loaded = plan.loaded(users=7, duration_s=3, seed=2, drain_s=1)
    assert (loaded.traffic.arrivals, loaded.traffic.users, loaded.traffic.rate_rps) == ("closed", 7, None)
    assert (loaded.traffic.duration_s, loaded.traffic.seed, loaded.traffic.drain_s) == (3, 2, 1)
    assert loaded.loaded(rate_rps=50, duration_s=20, seed=7, drain_s=5) == plan


def test_a_change_is_validated_and_leaves_the_plan_it_came_from() -> None:
    plan = plan_of(FULL)
    new = changed(plan, {"server.workers": 5, "stores.database.max_connections": 40})
    assert new.server.knobs == plan.server.knobs | {"workers": 5}
    assert new.database is not None
    assert new.database.max_connections == 40
    assert plan == plan_of(FULL)
    assert changed(plan, {}) == plan
    assert changed(changed(plan, {"server.workers": 5}), {"server.threads": 2}).title.endswith("5 workers × 2 threads")
    with pytest.raises(PlanError, match="workers"):
        changed(plan, {"server.workers": 0})


def test_a_change_keeps_the_load_unless_it_changes_the_traffic() -> None:
    plan = plan_of(FULL).loaded(users=9, duration_s=2, seed=3, drain_s=1)
    assert changed(plan, {"server.workers": 5}).traffic == plan.traffic
    assert changed(plan, {"traffic.rate": 10}).traffic.rate_rps == 10


@pytest.mark.parametrize("before", list(server.KNOBS))
@pytest.mark.parametrize("after", list(server.KNOBS))
def test_another_server_drops_the_knobs_it_does_not_have(before: tuple[str, str], after: tuple[str, str]) -> None:
    def named(of: tuple[str, str]) -> dict[str, Any]:
        kind, worker_class = of
        return {"server.kind": kind} | ({"server.worker_class": worker_class} if worker_class else {})

    lows = {knob.key: knob.low or 0 for knob in server.KNOBS[after]}  # a value that both take
    knobs = {
        knob.name: max(knob.low or 0, lows.get(knob.key, 0)) for knob in server.KNOBS[before] if knob.kind == "integer"
    }
    plan = plan_of(SMALL, named(before) | knobs)
    new = changed(plan, named(after)).server
    assert (new.kind, new.worker_class) == after
    shared = {knob.key for knob in server.KNOBS[before]} & {knob.key for knob in server.KNOBS[after]}
    for knob in server.KNOBS[after]:
        expected = plan.server.knobs[knob.key] if knob.key in shared and before[0] == after[0] else None
        assert new.knobs[knob.key] in ({expected} if expected is not None else {knob.default, knobs.get(knob.name)})


def test_another_worker_class_drops_the_knobs_it_does_not_have() -> None:
    plan = plan_of(FULL)
    new = changed(plan, {"server.worker_class": "gevent"})
    assert new.title == "gunicorn gevent, 3 workers × 1000 connections each"
    assert "threads" not in new.server.knobs
    assert "threads" not in new.document["server"]


def test_another_kind_alone_is_a_valid_change() -> None:
    plan = plan_of(SMALL, {"server.kind": "waitress", "server.threads": 8})
    assert changed(plan, {"server.kind": "gunicorn"}).title == "gunicorn sync, 1 worker"


def test_the_order_of_changes_does_not_matter() -> None:
    plan = plan_of(SMALL, {"server.kind": "waitress"})
    new = changed(plan, {"server.worker_class": "gthread", "server.kind": "gunicorn"})
    assert new.title == "gunicorn gthread, 1 worker × 1 thread"


def test_naming_the_kind_that_it_is_already_changes_nothing() -> None:
    plan = plan_of({**SMALL, "server": {"worker_class": "gevent", "worker_connections": 50}})
    assert changed(plan, {"server.kind": "gunicorn"}).server == plan.server


def test_a_stored_plan_holds_no_environment_value_and_no_document() -> None:
    plan = plan_of(FULL)
    stored = msgspec.json.encode(plan.redacted())
    assert b"hunter2" in msgspec.json.encode(plan)
    assert b"hunter2" not in stored
    assert b"SECRET_KEY" in stored
    assert plan.redacted().document == {}
    assert set(plan.redacted().app.env) == {"SECRET_KEY", "WORKERS"}


def test_a_stored_plan_names_header_fields_and_holds_none_of_their_values() -> None:
    plan = plan_of(SMALL | {"traffic": {"headers": {"Authorization": "Bearer hunter2"}}})
    assert b"hunter2" in msgspec.json.encode(plan)
    assert b"hunter2" not in msgspec.json.encode(plan.redacted())
    assert set(plan.redacted().traffic.headers) == {"Authorization"}


@pytest.mark.parametrize("document", [SMALL, FULL, FULL | {"stores": {}, "server": {"kind": "waitress"}}])
def test_a_plan_survives_json(document: dict[str, Any]) -> None:
    plan = plan_of(document)
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan
    assert msgspec.json.decode(msgspec.json.encode(plan.redacted()), type=Plan) == plan.redacted()


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.01, "1 %"),
        pytest.param(0.015, "1.5 %"),
        pytest.param(0.05, "5 %"),
    ],
)
def test_limits_are_shown_in_percent(share: float, text: str) -> None:
    assert f"errors ≤ {text}," in Limits(errors=share).text


# --- whatever the document, a Plan or a PlanError

NAMES = sorted(
    {"app", "stores", "database", "server", "traffic", "request", "limits", "expect", "status", "contains", "x", ""}
    | {key.name for table in (keys.APP, keys.TRAFFIC, keys.REQUEST, keys.LIMITS) for key in table}
    | {"worker_class", *(knob.key for knobs in server.KNOBS.values() for knob in knobs)}
)
SCALARS = (
    st.integers(-(10**12), 10**12)
    | st.integers(200, 600)
    | st.floats()
    | st.booleans()
    | st.text(max_size=20)
    | st.sampled_from(["shop:app", "gunicorn", "waitress", "gevent", "closed", "/", "1s", "1%", "a" * 400, "GET"])
    | st.dates()
    | st.datetimes()
    | st.just(dt.time(1, 2))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner, max_size=4),
    max_leaves=12,
)
PATHS = [
    *(("app", key.name) for key in keys.APP),
    *(("stores", "database", key) for key in ("kind", "env", "max_connections", "round_trip", "x")),
    *(("server", key) for key in ("kind", "worker_class", "workers", "threads", "preload")),
    *(("traffic", key.name) for key in keys.TRAFFIC),
    *(("traffic", "request", 0, key) for key in ("path", "method", "weight", "name", "expect")),
    *(("traffic", "request", 1, "expect", key) for key in ("status", "contains", "header", "json", "min_bytes")),
    *(("limits", key.name) for key in keys.LIMITS),
    ("app",), ("stores",), ("stores", "database"), ("server",), ("traffic",), ("traffic", "request"), ("limits",),
]  # fmt: skip


def tried(document: Any, changes: dict[str, Any] | None = None) -> Plan | None:
    """The plan, or None where a PlanError with a message was raised; nothing else may be."""
    try:
        plan = read_document(document, "prony.toml", HERE, changes or {})
    except PlanError:
        return None
    assert msgspec.json.decode(msgspec.json.encode(plan.redacted()), type=Plan) == plan.redacted()
    return plan


@given(st.dictionaries(st.sampled_from(NAMES) | st.text(), VALUES, max_size=5))
def test_any_document_is_a_plan_or_a_plan_error(document: dict[str, Any]) -> None:
    tried(document)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(PATHS), VALUES), min_size=1, max_size=3))
def test_a_valid_document_with_places_changed_is_a_plan_or_a_plan_error(places: list[tuple[Any, Any]]) -> None:
    document = msgspec.json.decode(msgspec.json.encode(FULL))
    for path, value in places:
        place = document
        for part in path[:-1]:
            try:
                place = place[part]
            except (KeyError, IndexError, TypeError):
                break
        else:
            if isinstance(place, dict):
                place[path[-1]] = value
    tried(document)


@given(st.dictionaries(st.sampled_from([".".join(map(str, path)) for path in PATHS]) | st.text(), SCALARS, max_size=4))
def test_any_changes_make_a_plan_or_a_plan_error(changes: dict[str, Any]) -> None:
    tried(FULL, changes)


NASTY = st.sampled_from(
    [10**400, -(10**400), 16**5000, "~nosuchuser/python", "a" * 5000, [1], {"a": 1}, [], {}, "\n", ""]
)


@given(st.sampled_from(PATHS), NASTY)
@example(("traffic", "rate"), 10**400)
@example(("server", "workers"), 16**5000)
@example(("app", "python"), "a" * 5000)
@example(("server", "kind"), [1])
def test_the_nastiest_of_values_make_a_plan_or_a_plan_error(path: tuple[Any, ...], value: Any) -> None:
    tried(FULL, {".".join(map(str, path)): value})


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("app.env.KEY", True), ("app.env", True), ("app", True), ("stores.database.url", True), ("stores.x.at", True),
        ("stores.x.env", True), ("stores.x", True), ("traffic.headers.Authorization", True), ("login.user", True),
        ("server.workers", False), ("stores.database.max_connections", False), ("traffic.rate", False),
    ],
)  # fmt: skip
def test_what_may_be_set_to_a_secret_is_known_by_its_name(name: str, secret: bool) -> None:  # noqa: FBT001 - a table's
    assert is_secret(name) is secret


def test_a_url_is_shown_without_who_logs_in() -> None:
    assert without_password("at postgres://shop:hunter2@db:5432/shop") == "at postgres://…@db:5432/shop"
    assert without_password("redis://127.0.0.1:6379/0") == "redis://127.0.0.1:6379/0"
