"""A hand-made recording in, exact bins out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prony.plan import App, Limits, Plan, Server, Traffic
from prony.recording import SAMPLE, Recording
from prony.report.series import series_of
from prony.samples import OK, REFUSED, WRONG_STATUS

S = 1_000_000_000
BEGAN_NS = 5_000 * S

PLAN = Plan(
    app=App(entry="app:app", folder="/app", python="/usr/bin/python3"),
    server=Server(kind="gunicorn", worker_class="sync", knobs={"workers": 3}),
    traffic=Traffic(),
    limits=Limits(),
    source="prony.toml",
)


def a_recording(
    rows: list[tuple[float, float, int]], seconds: float, readings: dict[Any, Any] | None = None
) -> Recording:
    """Rows of (due, done, outcome) in seconds from the start; everything but a refusal was answered."""
    samples = np.zeros(len(rows), dtype=SAMPLE)
    for sample, (due_s, done_s, outcome) in zip(samples, rows, strict=True):
        sample["due_ns"] = sample["sent_ns"] = BEGAN_NS + int(due_s * S)
        sample["done_ns"] = BEGAN_NS + int(done_s * S)
        sample["first_byte_ns"] = 0 if outcome == REFUSED else sample["done_ns"]
        sample["outcome"] = outcome
    return Recording(
        id="3",
        label="by hand",
        role="test",
        start=1,
        plan=PLAN,
        began_ns=BEGAN_NS,
        status="done",
        samples=samples,
        readings=readings or {},
        events=(),
        load={"started_ns": BEGAN_NS, "ended_ns": BEGAN_NS + int(seconds * S)},
    )


def test_a_minute_has_sixty_bins_of_a_second() -> None:
    series = series_of(a_recording([(0.25, 0.5, OK)], 60))
    assert series.bin_s == 1.0
    assert series.t_s == [float(n) for n in range(60)]
    assert {len(of) for of in (series.offered_rps, series.right_rps, series.p50_s, series.connections)} == {60}


def test_what_is_due_and_what_comes_of_it_are_counted_each_at_its_own_instant() -> None:
    series = series_of(
        a_recording([(0.25, 1.5, OK), (0.5, 0.75, WRONG_STATUS), (2.5, 2.75, REFUSED), (2.5, 2.625, OK)], 60)
    )
    assert series.offered_rps[:4] == [2, 0, 2, 0]
    assert series.right_rps[:4] == [0, 1, 1, 0]
    assert series.failed_rps[:4] == [1, 0, 1, 0]
    assert sum(series.right_rps) + sum(series.failed_rps) == 4


def test_latency_is_that_of_the_answers_to_requests_due_in_a_bin() -> None:
    rows = [(0.0, 0.25, OK), (0.125, 0.625, OK), (0.25, 4.25, OK), (1.0, 1.5, REFUSED)]
    series = series_of(a_recording(rows, 60))
    assert series.p50_s[:2] == [0.5, None], "a refusal is no answer"
    assert series.p99_s[:2] == [4.0, None], "of few, p99 is the maximum"


def test_answers_after_the_sending_window_lengthen_the_course() -> None:
    series = series_of(a_recording([(59.5, 119.5, OK)], 60))
    assert series.bin_s == 2.0
    assert series.right_rps[-1] == 0.5


def test_levels_are_means_of_their_bin_and_none_where_nothing_was_read() -> None:
    instants = BEGAN_NS + np.array([-S, S // 4, S // 2, 3 * S], dtype=np.int64)
    readings = {("connections", "count"): (instants, np.array([99.0, 2.0, 4.0, 7.0]))}
    series = series_of(a_recording([(0.25, 0.5, OK)], 60, readings))
    assert series.connections[:5] == [3.0, None, None, 7.0, None]
    assert set(series.in_flight) == {None}


@pytest.mark.parametrize("seconds", [0.0, 0.05, 7.3, 30.0, 901.0])
def test_any_length_fits_in_about_sixty_bins(seconds: float) -> None:
    series = series_of(a_recording([], seconds))
    assert 1 <= len(series.t_s) <= 60
    assert sum(series.offered_rps) == 0
