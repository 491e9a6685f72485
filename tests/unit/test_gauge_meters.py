from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.probes.gauge import GaugeReader
from prony.probes.meters import merged, rows_of, since, timings_of
from prony.summary.gauged import quantile
from prony_gauge import layout, work
from prony_gauge.hooks import Hook, timed
from prony_gauge.mapped import GAUGE, Gauge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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


def a_request(gauge: Gauge, route: str = "/shop", timing: str | None = None) -> work.Request:
    request = work.Request(gauge, gauge.begin(), "GET", timing)
    work.CURRENT.set(request)
    work.of_pattern(route)
    return request


def test_what_is_done_in_a_request_is_its_route_s(gauge: Gauge, reader: GaugeReader) -> None:
    request = a_request(gauge)
    work.statement(gauge, request.entry, "SELECT 1", 3)
    work.waited(gauge, request.entry)
    work.called_out(gauge, request.entry, "api.example")
    work.cached(gauge, request.entry, "redis GET", 2, 1)
    request.over()
    work.statement(gauge, request.entry, "SELECT 2")
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
    work.statement(command, 0, "SELECT 1")
    assert reader.meters() == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [layout.ROUTE, layout.STATEMENT, layout.HOST, layout.CACHE])
def test_labels_beyond_the_cap_are_counted_together(gauge: Gauge, reader: GaugeReader, kind: int) -> None:
    cap = layout.METER_CAPS[kind]
    for i in range(cap + 9):
        gauge.spend(gauge.meter(kind, f"label {i}"), 1000)
    rows = {row["label"]: row["count"] for row in rows_of(reader.meters())}
    assert len(rows) == cap
    assert rows[layout.OTHERS] == 10


def test_the_kinds_stretches_follow_each_other() -> None:
    ends = [layout.METER_FIRST[kind] + cap for kind, cap in layout.METER_CAPS.items()]
    assert [*layout.METER_FIRST.values(), layout.METERS][1:] == ends
    assert layout.FIGURES_AT + layout.FIGURES == layout.BUCKETS_AT
    assert layout.BUCKETS_AT + layout.BUCKETS == layout.METER_WORDS
    assert layout.METER_TEXT * 8 + layout.METER_BYTES <= layout.FIGURES_AT * 8


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=50), st.sampled_from([0.5, 0.99]))
def test_a_quantile_of_buckets_is_good_to_a_factor_of_two(taken: list[int], q: float) -> None:
    gauge = Gauge("", slots=1)
    at = gauge.meter(layout.STATEMENT, "SELECT ?")
    for each in taken:
        gauge.spend(at, each)
    words = gauge.words[at + layout.BUCKETS_AT : at + layout.METER_WORDS]
    found = quantile([[b, n] for b, n in enumerate(words) if n], q)
    truth = float(np.quantile(np.array(taken), q, method="inverted_cdf"))
    assert truth / 2 <= found * 1e9 <= truth * 2


def test_of_two_looks_only_what_was_added_is_told(gauge: Gauge, reader: GaugeReader) -> None:
    at = gauge.meter(layout.HOST, "api.example")
    gauge.spend(at, 3_000_000_000)
    before = reader.meters()
    assert since(before, reader.meters()) == {}
    gauge.spend(at, 1_000_000_000)
    [row] = rows_of(since(before, reader.meters()))
    assert (row["count"], row["total_s"], sum(n for _, n in row["buckets"])) == (1, 1.0, 1)
    assert merged([before, before])["host", "api.example"][layout.M_COUNT] == 2


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
        work.statement(gauge, request.entry, "SELECT 1")
        work.waited(gauge, request.entry)
        request.over()
    a_request(gauge, timing="not three numbers").over()
    timings, done = timings_of(np.asarray(gauge.words))
    assert (done, [each.id for each in timings]) == (3, [0, 1, 2])
    one = timings[1]
    assert (one.due_ns, one.sent_ns, one.route) == (5, 7, "GET /shop")
    assert [(step.kind, step.label) for step in one.steps] == [("statement", "SELECT ?"), ("pool", "")]
    assert one.entry_ns <= one.steps[0].ended_ns <= one.exit_ns
    assert reader.read().loop["timed"] == 3


def test_a_ring_of_timings_that_ran_over_keeps_the_last(gauge: Gauge) -> None:
    for ident in range(layout.TIMINGS + 40):
        a_request(gauge, timing=f"{ident} 5 7").over()
    timings, done = timings_of(np.asarray(gauge.words))
    assert done == layout.TIMINGS + 40
    assert [each.id for each in timings] == list(range(41, layout.TIMINGS + 40))
    assert timings_of(np.asarray(gauge.words), done) == ([], done)


def test_the_gauge_of_this_process_is_off() -> None:
    assert GAUGE.folder == ""
