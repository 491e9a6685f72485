from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.recording import Event
from prony.samples import TIMEOUT
from prony.stats import quantile_interval
from prony.summary import Part, sliced, summarise
from tests.unit.recording_case import BEGAN_NS, a_recording, evenly, some_samples


def test_the_whole_of_a_trial_has_the_figures_that_its_summary_has() -> None:
    random = np.random.default_rng(7)
    due_s = evenly(500, 10)
    recording = a_recording(some_samples(due_s, service_s=random.exponential(0.01, len(due_s))))
    whole, summary = sliced(recording, Part()), summarise(recording)
    for name, found in whole.latency_s.items():
        assert found.value_s == summary.latency_s[name]
        assert whole.service_time_s[name].value_s == summary.service_time_s[name]
    assert (whole.requests, whole.answered, whole.errors) == (5000, 5000, 0.0)
    assert (whole.from_s, whole.to_s) == (0.0, 10.0)


def test_a_stretch_of_time_holds_what_was_due_since_its_start_and_before_its_end() -> None:
    due_s = evenly(100, 10)
    recording = a_recording(some_samples(due_s, service_s=np.where(due_s < 5, 0.01, 0.5), lag_s=0.0))
    early, late = (sliced(recording, part) for part in (Part(to_s=5.0), Part(from_s=5.0)))
    assert (early.requests, late.requests) == (500, 500)
    assert early.latency_s["p99"].value_s == pytest.approx(0.01)
    assert late.latency_s["p50"].value_s == pytest.approx(0.5)
    assert sliced(recording, Part(from_s=2.0, to_s=2.05)).requests == 5


def test_a_route_is_taken_by_its_name() -> None:
    samples = some_samples(evenly(100, 10))
    samples["route"][::4] = 1
    recording = a_recording(samples, events=[Event(BEGAN_NS, "route", "traffic", "1 cart")])
    assert sliced(recording, Part(route="cart")).requests == 250
    assert sliced(recording, Part(route="cart", to_s=1.0)).requests == 25


def test_too_few_answers_make_no_quantile() -> None:
    found = sliced(a_recording(some_samples(evenly(10, 10))), Part()).latency_s
    assert found["p95"].value_s is not None
    assert (found["p99"].value_s, found["p99"].low_s, found["p99"].high_s, found["p99"].wanted) == (
        None,
        None,
        None,
        400,
    )
    assert found["p999"].wanted == 4000


def test_quantiles_are_over_answers_and_failures_are_told_beside() -> None:
    outcome = np.where(np.arange(1000) % 10 == 0, TIMEOUT, 0)
    recording = a_recording(some_samples(evenly(100, 10), outcome=outcome, status=np.where(outcome, 0, 200)))
    found = sliced(recording, Part())
    assert (found.requests, found.answered, found.errors) == (1000, 900, 0.1)
    assert found.by_outcome == {"ok": 900, "timeout": 100}


def test_where_the_trial_s_latencies_are_void_a_slice_s_are_too() -> None:
    found = sliced(a_recording(some_samples(evenly(100, 10))), Part(to_s=5.0), doubts=("late_sends",))
    assert all(each.value_s is None and each.low_s is None for each in found.latency_s.values())
    assert found.doubts == ("late_sends",)


def test_of_nothing_there_are_no_figures() -> None:
    found = sliced(a_recording(some_samples([])), Part(from_s=1.0, to_s=2.0))
    assert (found.requests, found.errors, found.by_outcome) == (0, None, {})
    assert all(each.value_s is None for each in found.latency_s.values())


# ---- the interval


def test_the_interval_of_a_median_is_the_one_in_the_tables() -> None:
    """Conover's and the binomial tables' ranks for n = 20, q = 0.5: the 6th and the 15th value, confidence 0.9586."""
    assert quantile_interval(np.arange(1, 21), 0.5) == (6.0, 15.0)


def test_where_the_values_do_not_reach_an_end_is_open() -> None:
    low, high = quantile_interval(np.arange(1, 101), 0.99)
    assert low is not None
    assert high is None
    assert quantile_interval(np.empty(0), 0.5) == (None, None)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300), st.sampled_from([0.5, 0.9, 0.99]))
def test_the_interval_holds_the_quantile_that_was_measured(values: list[float], q: float) -> None:
    from prony.stats import quantile

    ordered = np.sort(values)
    low, high = quantile_interval(ordered, q)
    assert low is None or low <= quantile(ordered, q)
    assert high is None or high >= quantile(ordered, q)


def test_the_interval_holds_the_true_quantile_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    held = 0
    for _ in range(1000):
        low, high = quantile_interval(np.sort(random.exponential(size=500)), 0.9)
        held += low is not None and high is not None and low <= -np.log(0.1) <= high
    assert 940 <= held <= 985, "95 % and a little more, for the binomial is discrete"
