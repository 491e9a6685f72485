from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psycopg
import psycopg.sql
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prony.probes.gauge import GaugeReader
from prony.probes.ledger import M_COUNT
from prony.probes.meters import merged, rows_of, since
from prony.summary.gauged import quantile
from prony_gauge import databases, layout, work
from prony_gauge.hooks import Hook, timed
from prony_gauge.mapped import GAUGE, Gauge

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def gauge(tmp_path: Path) -> Iterator[Gauge]:
    made = Gauge(str(tmp_path), slots=1)
    made.serving()
    yield made
    work.CURRENT.set(None)
    if made.descriptor is not None:
        os.close(made.descriptor)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[GaugeReader]:
    made = GaugeReader(tmp_path)
    yield made
    made.close()


STEPS = {layout.STATEMENT: work.ONCE, layout.HOST: work.OUTBOUND, layout.CACHE: layout.S_CACHE << layout.KIND_BITS}


def spend(gauge: Gauge, kind: int, text: str, taken: int) -> None:
    number = gauge.label(kind, text)
    if kind == layout.ROUTE:
        gauge.record(number + 1, 1, 1 + taken, 0, 0, ())
    else:
        gauge.record(layout.ALONE, 0, 0, 0, 0, (STEPS[kind] | number, 1, 1 + taken))


def a_request(gauge: Gauge, route: str = "/shop", timing: str | None = None) -> work.Request:
    request = work.Request(gauge, gauge.begin(), "GET", timing)
    work.CURRENT.set(request)
    work.of_pattern(route)
    return request


def test_what_is_done_in_a_request_is_its_route_s(gauge: Gauge, reader: GaugeReader) -> None:
    request = a_request(gauge)
    entry = request.entry
    work.statement(gauge, entry, entry + 5, "SELECT 1", 3)
    work.waited(gauge, entry, entry + 7)
    work.called_out(gauge, entry, entry + 9, "api.example")
    work.cached(gauge, entry, entry + 11, "redis GET", (2, 1))
    request.over()
    work.statement(gauge, entry, entry + 5, "SELECT 2")
    rows = {(row["kind"], row["label"]): row for row in rows_of(reader.meters())}
    route = rows["route", "GET /shop"]
    assert (route["count"], route["statements"], route["outbound"], route["cache_calls"]) == (1, 3, 1, 1)
    assert (route["lookups"], route["hits"]) == (2, 1)
    assert 0 < route["pool_s"] <= route["total_s"]
    assert rows["statement", "SELECT ?"]["count"] == 4
    assert rows["host", "api.example"]["count"] == rows["cache", "redis GET"]["count"] == 1
    counters = reader.read().counters
    assert (counters["statements"], counters["pool_waits"], counters["outbound"]) == (4, 1, 1)
    assert (counters["cache_lookups"], counters["cache_hits"]) == (2, 1)


def test_a_process_that_does_not_serve_counts_no_statement(tmp_path: Path, reader: GaugeReader) -> None:
    command = Gauge(str(tmp_path), slots=1)
    work.statement(command, 0, 1, "SELECT 1")
    assert reader.meters() == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [layout.ROUTE, layout.STATEMENT, layout.HOST, layout.CACHE])
def test_labels_beyond_the_cap_are_counted_together(gauge: Gauge, reader: GaugeReader, kind: int) -> None:
    cap = layout.LABEL_CAPS[kind]
    for i in range(cap + 9):
        spend(gauge, kind, f"label {i}", 1000)
    rows = {row["label"]: row["count"] for row in rows_of(reader.meters())}
    assert len(rows) == cap
    assert rows[layout.OTHERS] == 10


def test_the_kinds_stretches_follow_each_other() -> None:
    ends = [layout.LABEL_FIRST[kind] + cap for kind, cap in layout.LABEL_CAPS.items()]
    assert [*layout.LABEL_FIRST.values(), layout.LABELS][1:] == ends
    assert layout.LABELS <= layout.COUNT_MOST
    assert layout.RECORD_MOST < 1 << layout.SIZE_BITS


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=50), st.sampled_from([0.5, 0.99]))
@settings(deadline=None)
def test_a_quantile_of_buckets_is_good_to_a_factor_of_two(taken: list[int], q: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        gauge, reader = Gauge(folder, slots=1), GaugeReader(Path(folder))
        for each in taken:
            spend(gauge, layout.STATEMENT, "SELECT ?", each)
        [row] = rows_of(reader.meters())
        reader.close()
        assert gauge.descriptor is not None
        os.close(gauge.descriptor)
    found = quantile(row["buckets"], q)
    truth = float(np.quantile(np.array(taken), q, method="inverted_cdf"))
    assert truth / 2 <= found * 1e9 <= truth * 2
    assert row["most_s"] == max(taken) / 1e9


def test_of_two_looks_only_what_was_added_is_told(gauge: Gauge, reader: GaugeReader) -> None:
    spend(gauge, layout.HOST, "api.example", 3_000_000_000)
    before = reader.meters()
    assert since(before, reader.meters()) == {}
    spend(gauge, layout.HOST, "api.example", 1_000_000_000)
    [row] = rows_of(since(before, reader.meters()))
    assert (row["count"], row["total_s"], sum(n for _, n in row["buckets"])) == (1, 1.0, 1)
    assert merged([before, before])["host", "api.example"][M_COUNT] == 2


def test_more_steps_than_a_record_holds_are_the_route_s_all_the_same(gauge: Gauge, reader: GaugeReader) -> None:
    for statements in (1, 61, 62, 63, 500):
        request = a_request(gauge, f"/{statements}", timing="7 1 2")
        for _ in range(statements):
            work.statement(gauge, request.entry, request.entry + 10, "SELECT 1")
        reader.read()  # what it left so far is kept for it
        request.over()
        row = {row["label"]: row for row in rows_of(reader.meters())}[f"GET /{statements}"]
        assert (row["count"], row["statements"], row["statement_s"]) == (1, statements, statements * 10 / 1e9)
    assert reader.read().counters["statements"] == 687
    timings = reader.timings()
    assert [each.id for each in timings] == [7] * 5
    assert [len(each.steps) for each in timings] == [1, 61, 62, 63, 500]
    assert {(step.kind, step.label) for each in timings for step in each.steps} == {("statement", "SELECT ?")}


def test_steps_of_requests_that_leave_parts_at_the_same_time_are_each_its_own(
    gauge: Gauge, reader: GaugeReader
) -> None:
    requests = [a_request(gauge, f"/{i}", timing=f"{i} 1 2" if i else None) for i in range(3)]
    for number in range(150):
        for i, request in enumerate(requests):
            work.CURRENT.set(request)
            work.statement(gauge, request.entry + number, request.entry + number + 1, f"CALL t{i}_{i}")
        if number == 100:
            reader.read()
    for request in requests:
        request.over()
    timings = {each.id: each for each in reader.timings()}
    assert list(timings) == [1, 2]
    for i, each in timings.items():
        assert [step.began_ns - each.entry_ns for step in each.steps] == list(range(150))
        assert {step.label for step in each.steps} == {f"CALL t{i}_{i}"}


def test_more_rows_than_a_step_counts_are_all_counted(gauge: Gauge, reader: GaugeReader) -> None:
    gauge.role = layout.LOADED
    work.statement(gauge, 1, 2, "INSERT INTO t VALUES (1)", 2_500_000)
    [row] = rows_of(reader.meters())
    assert row["count"] == 2_500_000


def test_a_hook_that_fails_is_off_and_counted_and_the_call_goes_on(
    gauge: Gauge, reader: GaugeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prony_gauge.hooks.GAUGE", gauge)

    def fails(*_: object) -> None:
        raise LookupError

    hook = Hook("broken", fails)
    call = timed(hook, lambda: "theirs")
    assert [call(), call()] == ["theirs", "theirs"]
    assert not hook.on
    assert reader.read().hooks_off == {"broken": 1}
    assert not work.INSIDE.get()


def test_of_calls_within_calls_the_outermost_is_told() -> None:
    told: list[str] = []
    inner = timed(Hook("inner", lambda *_: told.append("inner")), lambda: None)
    outer = timed(Hook("outer", lambda *_: told.append("outer")), inner)
    outer()
    inner()
    assert told == ["outer", "inner"]


def test_a_sampled_request_leaves_its_steps(gauge: Gauge, reader: GaugeReader) -> None:
    for ident in range(3):
        request = a_request(gauge, timing=f"{ident} 5 7")
        entry = request.entry
        work.statement(gauge, entry, entry + 3, "SELECT 1")
        work.waited(gauge, entry, entry + 4)
        request.over()
    a_request(gauge, timing="not three numbers").over()
    a_request(gauge).over()
    timings = reader.timings()
    assert [each.id for each in timings] == [0, 1, 2]
    one = timings[1]
    assert (one.due_ns, one.sent_ns, one.route) == (5, 7, "GET /shop")
    assert [(step.kind, step.label) for step in one.steps] == [("statement", "SELECT ?"), ("pool", "")]
    assert one.entry_ns <= one.steps[0].ended_ns
    assert one.entry_ns <= one.exit_ns
    assert reader.timings() == []


def test_the_gauge_of_this_process_is_off() -> None:
    assert GAUGE.folder == ""


def test_a_statement_that_is_an_object_of_the_driver_s_does_not_put_the_hook_off() -> None:
    hook = Hook("django", lambda *_: None)
    execute = databases._django(hook, lambda _, sql, params: (sql, params))
    composed = psycopg.sql.Composed([psycopg.sql.SQL("SELECT "), psycopg.sql.Literal(1)])
    with pytest.raises(TypeError):
        hash(composed)
    assert execute(None, composed, None) == (composed, None)
    assert execute(None, "SELECT 1", None) == ("SELECT 1", None)
    assert hook.on
    assert not work.INSIDE.get()
