"""Quantiles, trends and backlogs: what holds of them for any numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony import stats

NUMBERS = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200)
NONE = np.empty(0)


@given(NUMBERS, st.floats(0, 1))
def test_a_quantile_is_the_least_value_with_its_share_at_or_below_it(values: list[float], q: float) -> None:
    ordered = np.sort(values)
    found = stats.quantile(ordered, q)
    assert found in ordered
    assert np.count_nonzero(ordered <= found) >= q * len(ordered) - 1e-6
    assert np.count_nonzero(ordered < found) <= q * len(ordered) + 1e-6


@given(NUMBERS, st.floats(0, 1), st.floats(0, 1))
def test_a_higher_quantile_is_never_smaller(values: list[float], one: float, other: float) -> None:
    ordered = np.sort(values)
    assert stats.quantile(ordered, min(one, other)) <= stats.quantile(ordered, max(one, other))


@pytest.mark.parametrize("q", [-0.01, 1.01, math.nan])
def test_a_share_outside_0_to_1_has_no_quantile(q: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        stats.quantile(np.array([1.0]), q)


def test_no_values_have_no_quantile() -> None:
    with pytest.raises(ValueError, match="0 values"):
        stats.quantile(NONE, 0.5)


@pytest.mark.parametrize(("q", "wanted"), [(0.5, 8), (0.9, 40), (0.95, 80), (0.99, 400), (0.999, 4000), (1.0, 1)])
def test_four_samples_are_wanted_beyond_a_quantile(q: float, wanted: int) -> None:
    assert stats.samples_wanted(q) == wanted


@given(
    st.floats(-100, 100),
    st.floats(-100, 100),
    st.lists(st.integers(0, 10_000), min_size=3, max_size=50, unique=True),
)
def test_the_trend_of_a_line_is_its_slope(slope: float, height: float, instants: list[int]) -> None:
    at_s = np.sort(instants) / 10
    found = stats.trend(at_s, height + slope * at_s)
    assert found.slope_per_s == pytest.approx(slope, abs=1e-6)
    assert found.rise == pytest.approx(slope * (at_s[-1] - at_s[0]), abs=1e-3)
    assert found.mean == pytest.approx(float((height + slope * at_s).mean()), abs=1e-6)


def test_fewer_than_three_readings_have_no_trend() -> None:
    assert stats.trend(NONE, NONE) == (0.0, 0.0, 0.0)
    assert stats.trend(np.array([1.0, 2.0]), np.array([10.0, 20.0])) == (0.0, 0.0, 15.0)


def test_readings_of_one_instant_have_no_trend() -> None:
    assert stats.trend(np.ones(5), np.arange(5.0)) == (0.0, 0.0, 2.0)


def test_outstanding_counts_what_is_due_and_not_done() -> None:
    due, done = np.array([10, 20, 30, 40]), np.array([15, 45, 0, 42])
    grid = np.array([5, 10, 15, 20, 30, 40, 42, 100])
    assert stats.outstanding(due, done, grid).tolist() == [0, 1, 0, 1, 2, 3, 2, 1]


@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 1000)), max_size=60))
def test_outstanding_is_never_negative_and_ends_with_what_was_never_done(requests: list[tuple[int, int]]) -> None:
    due = np.array([due for due, _ in requests], dtype=np.int64)
    done = np.array([due + took if took else 0 for due, took in requests], dtype=np.int64)
    levels = stats.outstanding(due, done, np.arange(0, 3000, 7))
    assert (levels >= 0).all()
    assert levels[-1] == sum(1 for _, took in requests if not took)
