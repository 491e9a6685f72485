"""The knobs as data: each takes its own default, is named once, and every server has a placebo."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from prony.knobs import Knob, link, outside, pooler, proxy, server, stores
from prony.knobs.values import NotAllowedError, allowed, read
from prony.plan import keys

SERVERS = list(server.KNOBS)
ALL = [
    *(knob for knobs in server.KNOBS.values() for knob in knobs),
    *(knob for knobs in stores.STORES.values() for knob in knobs),
    *pooler.POOLER,
    *proxy.PROXY,
    *link.LINK,
    *outside.OUTSIDE,
]
TIERS = {"workers", "listen_queue", "connections", "database", "cache", "pool", "proxy", "network", "outside"}
EACH = pytest.mark.parametrize("knob", ALL, ids=lambda knob: f"{knob.name}-{knob.flag}")
OF_EACH_SERVER = pytest.mark.parametrize("of", SERVERS, ids=lambda of: " ".join(of).strip())


def written(knob: Knob, value: Any) -> Any:
    """A knob's value as a person writes it."""
    return f"{value}s" if knob.kind == "duration" else value


@EACH
def test_a_knob_takes_its_own_default(knob: Knob) -> None:
    assert knob.read(written(knob, knob.default)) == knob.default


@EACH
def test_a_knob_takes_its_bounds_and_nothing_beyond_them(knob: Knob) -> None:
    if knob.kind == "flag":
        return
    if knob.kind == "choice":
        assert all(knob.read(value) == value for value in knob.choices)
        with pytest.raises(NotAllowedError):
            knob.read("no such choice")
        return
    assert knob.low is not None
    assert knob.high is not None
    assert knob.low < knob.high
    for value in (knob.low, knob.high):
        assert knob.read(written(knob, value)) == value
    for value in (knob.low - 1, knob.high + 1):
        with pytest.raises(NotAllowedError):
            knob.read(written(knob, value))


@EACH
def test_a_knob_says_its_tier_why_it_matters_and_what_it_takes(knob: Knob) -> None:
    assert knob.tier in TIERS
    assert knob.why.endswith((".", "?"))
    assert knob.allowed()
    assert knob.name == f"{knob.name.rpartition('.')[0]}.{knob.key}"


@EACH
def test_a_placebo_is_another_value_that_the_knob_takes(knob: Knob) -> None:
    if knob.inert is not None:
        assert knob.inert != knob.default
        assert knob.read(written(knob, knob.inert)) == knob.inert
        assert "placebo" in knob.why


@OF_EACH_SERVER
def test_names_and_flags_are_unique_for_each_server(of: tuple[str, str]) -> None:
    for field in ("name", "key", "flag"):
        assert max(Counter(getattr(knob, field) for knob in server.KNOBS[of]).values()) == 1


@OF_EACH_SERVER
def test_every_knob_of_a_server_becomes_an_option_of_its_command_line(of: tuple[str, str]) -> None:
    assert all(knob.flag.startswith("--") and knob.name.startswith("server.") for knob in server.KNOBS[of])


@OF_EACH_SERVER
def test_every_server_has_a_placebo(of: tuple[str, str]) -> None:
    assert [knob for knob in server.KNOBS[of] if knob.inert is not None]


@pytest.mark.parametrize("kind", stores.STORES)
def test_a_stores_knobs_are_unique_and_live_below_their_table(kind: str) -> None:
    names = [knob.name for knob in stores.STORES[kind]]
    assert len(names) == len(set(names))
    table = "stores.database." if kind in {"postgres", "mariadb", "sqlite"} else "stores.NAME."
    assert all(name.startswith(table) for name in names)
    assert kind == "sqlite" or f"{table}round_trip" in names


@pytest.mark.parametrize(
    ("knobs", "table"),
    [
        (pooler.POOLER, "pooler."),
        (proxy.PROXY, "proxy."),
        (link.LINK, "link.NAME."),
        (outside.OUTSIDE, "services.NAME."),
    ],
    ids=["pooler", "proxy", "link", "outside"],
)
def test_a_tables_knobs_are_unique_and_live_below_it(knobs: tuple[Knob, ...], table: str) -> None:
    assert len({knob.name for knob in knobs}) == len(knobs)
    assert all(knob.name.startswith(table) for knob in knobs)


@pytest.mark.parametrize("preset", proxy.PRESETS)
def test_a_preset_is_made_of_values_that_the_proxy_takes(preset: str) -> None:
    known = {knob.key: knob for knob in proxy.PROXY} | {key.name: key for key in keys.PROXY}
    for name, value in proxy.PRESETS[preset].items():
        knob = known[name]
        assert knob.read(f"{value}s" if knob.kind == "duration" else value) == value


@OF_EACH_SERVER
def test_every_server_says_which_interfaces_it_serves(of: tuple[str, str]) -> None:
    assert server.INTERFACES[of]
    assert set(server.INTERFACES[of]) <= {"wsgi", "asgi", "aiohttp"}
    assert server.INTERFACES.keys() == server.KNOBS.keys()


# By default, then with some knobs set; 0 where nothing bounds them. Each was seen on the real server.
SLOTS: dict[tuple[str, str], tuple[int, dict[str, Any], int]] = {
    ("gunicorn", "sync"): (1, {"workers": 3}, 3),
    ("gunicorn", "gthread"): (1, {"workers": 2, "threads": 4}, 8),
    ("gunicorn", "gevent"): (1000, {"workers": 2, "worker_connections": 7}, 14),
    ("gunicorn", "asgi"): (0, {"workers": 2}, 0),
    ("gunicorn", "uvicorn"): (0, {"workers": 2}, 0),
    ("gunicorn", "aiohttp"): (0, {"workers": 2}, 0),
    ("uvicorn", ""): (0, {"workers": 2, "limit_concurrency": 3}, 4),
    ("granian", "wsgi"): (512, {"workers": 2, "backpressure": 8, "blocking_threads": 3}, 6),
    ("granian", "asgi"): (1024, {"workers": 2, "backpressure": 8}, 16),
    ("uwsgi", "threads"): (1, {"workers": 2, "threads": 3}, 6),
    ("uwsgi", "gevent"): (100, {"workers": 2, "worker_connections": 5}, 10),
    ("waitress", ""): (4, {"threads": 5}, 5),
    ("hypercorn", ""): (0, {"workers": 2}, 0),
    ("daphne", ""): (0, {"http_timeout": 3}, 0),
    ("runserver", ""): (0, {"nothreading": True}, 1),
}


@OF_EACH_SERVER
def test_slots_follow_from_a_servers_knobs(of: tuple[str, str]) -> None:
    def slots(values: dict[str, Any]) -> int:
        return server.processes(of[0], values) * server.slots_per_process(*of, values)

    by_default, given, expected = SLOTS[of]
    defaults = {knob.key: knob.default for knob in server.KNOBS[of]}
    assert given.keys() <= defaults.keys()
    assert slots(defaults) == by_default
    assert slots(defaults | given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"backpressure": 4}, 2),  # half of it in threads
        ({"backpressure": 2, "blocking_threads": 4}, 2),
        ({"workers": 4, "backlog": 128}, 16),
        ({"backpressure": 1}, 1),
    ],
)
def test_granian_derives_what_it_is_not_told(given: dict[str, Any], expected: int) -> None:
    values = {knob.key: knob.default for knob in server.KNOBS["granian", "wsgi"]} | given
    assert server.slots_per_process("granian", "wsgi", values) == expected


def test_worker_classes_are_those_of_the_kind() -> None:
    kinds = ("gunicorn", "uvicorn", "granian", "uwsgi", "waitress", "hypercorn", "daphne", "runserver")
    assert kinds == server.KINDS
    assert server.worker_classes("gunicorn") == ("sync", "gthread", "gevent", "asgi", "uvicorn", "aiohttp")
    assert server.worker_classes("granian") == ("wsgi", "asgi")
    assert server.worker_classes("uwsgi") == ("threads", "gevent")
    assert not any(server.worker_classes(kind) for kind in ("uvicorn", "waitress", "hypercorn", "daphne", "runserver"))


def test_what_is_the_same_for_several_servers_has_one_name() -> None:
    shared = {"workers", "threads", "backlog", "timeout", "graceful_timeout", "keepalive", "max_requests"}
    shared |= {"max_requests_jitter", "preload", "worker_connections", "loop", "backpressure", "runtime_threads"}
    times = Counter(key for knobs in server.KNOBS.values() for key in {knob.key for knob in knobs})
    kinds = {knob.key: set() for knobs in server.KNOBS.values() for knob in knobs}  # type: dict[str, set[str]]
    for knobs in server.KNOBS.values():
        for knob in knobs:
            kinds[knob.key].add(knob.kind)
    assert all(times[key] > 1 for key in shared)
    assert all(len(found) == 1 for found in kinds.values()), "a name means one kind of value wherever it stands"


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        ("integer", 3, 3),
        ("number", 3, 3.0),
        ("number", 0.5, 0.5),
        ("duration", "250ms", 0.25),
        ("duration", "1s", 1.0),
        ("duration", " 1.5 m ", 90.0),
        ("duration", "2h", 7200.0),
        ("share", "1%", 0.01),
        ("share", " 12.5 % ", 0.125),
        ("share", 0.01, 0.01),
        ("share", 1, 1.0),
        ("flag", True, True),
        ("text", "a", "a"),
        ("texts", ["a", "b"], ("a", "b")),
        ("texts", [], ()),
        ("table", {"A": "x", "B": 1, "C": True}, {"A": "x", "B": "1", "C": "True"}),
    ],
)
def test_values_are_read_as_people_write_them(kind: Any, value: Any, found: Any) -> None:
    assert read(kind, value, None, None) == found
    assert isinstance(read(kind, value, None, None), type(found))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", True), ("integer", 1.0), ("integer", "1"), ("integer", None),
        ("number", True), ("number", float("nan")), ("number", float("inf")), ("number", "1"),
        ("duration", 1), ("duration", "1"), ("duration", "-1s"), ("duration", "1 d"), ("duration", ""),
        ("share", "101%"), ("share", 1.01), ("share", -0.1), ("share", "1"), ("share", True), ("share", float("nan")),
        ("flag", 1), ("flag", "true"),
        ("text", ""), ("text", " "), ("text", "a\0b"), ("text", 1),
        ("texts", "a"), ("texts", [""]), ("texts", [1]), ("texts", ["\0"]),
        ("table", []), ("table", {"A": []}), ("table", {"A=B": "x"}), ("table", {"A": "\0"}),
    ],
)  # fmt: skip
def test_what_is_not_such_a_value_is_refused(kind: Any, value: Any) -> None:
    with pytest.raises(NotAllowedError):
        read(kind, value, None, None)


def test_a_number_beyond_all_floats_is_refused() -> None:
    with pytest.raises(NotAllowedError):
        read("number", 10**400, 0.1, 200_000)


@pytest.mark.parametrize(("kind", "value"), [("duration", "٣s"), ("share", "٣%")])
def test_only_plain_digits_are_digits(kind: Any, value: str) -> None:
    with pytest.raises(NotAllowedError):
        read(kind, value, None, None)


@pytest.mark.parametrize(
    ("sentence", "of"),
    [
        ("a whole number from 1 to 64", ("integer", 1, 64)),
        ('a duration such as "250ms", "1s" or "5m" from 50ms to 600s', ("duration", 0.05, 600)),
        ("a whole number, at least 2", ("integer", 2, None)),
        ("a number from 0 to 2147483648", ("number", None, 2**31)),
        ("one of GET, HEAD", ("choice", None, None, ("GET", "HEAD"))),
        ("true or false", ("flag",)),
    ],
)
def test_what_is_allowed_is_said_as_the_end_of_a_sentence(sentence: str, of: tuple[Any, ...]) -> None:
    assert allowed(*of) == sentence
