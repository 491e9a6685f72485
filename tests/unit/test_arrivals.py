from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from prony.traffic import arrivals

RATES = st.floats(0.1, 50_000)
DURATIONS = st.floats(0.001, 2)


@given(rate=RATES, duration_s=DURATIONS)
def test_constant_arrivals_are_each_within_a_nanosecond_of_their_place(rate: float, duration_s: float) -> None:
    due_ns = arrivals.constant(rate, duration_s)
    assert due_ns.dtype == np.int64
    assert due_ns[0] == 0
    assert due_ns[-1] < round(duration_s * 1e9)
    assert np.abs(due_ns - np.arange(len(due_ns)) * (1e9 / rate)).max() <= 0.5 + 1e-3
    assert abs(len(due_ns) - rate * duration_s) <= 1


@pytest.mark.parametrize(("rate", "duration_s", "count"), [(1000, 10, 10_000), (3, 1, 3), (0.3, 10, 3), (7, 0.1, 1)])
def test_constant_arrivals_number_rate_times_duration(rate: float, duration_s: float, count: int) -> None:
    assert len(arrivals.constant(rate, duration_s)) == count


def test_constant_gaps_are_equal_where_a_nanosecond_allows_it() -> None:
    assert set(np.diff(arrivals.constant(8000, 5)).tolist()) == {125_000}


@given(rate=RATES, duration_s=DURATIONS, seed=st.integers(0, 2**64))
def test_poisson_arrivals_are_in_order_in_the_window_and_the_same_for_a_seed(
    rate: float, duration_s: float, seed: int
) -> None:
    due_ns = arrivals.poisson(rate, duration_s, seed)
    assert due_ns.dtype == np.int64
    assert (np.diff(due_ns) >= 0).all()
    assert not len(due_ns) or (due_ns[0] >= 0 and due_ns[-1] < round(duration_s * 1e9))
    mean = rate * duration_s
    assert abs(len(due_ns) - mean) <= 7 * math.sqrt(mean) + 12
    assert np.array_equal(due_ns, arrivals.poisson(rate, duration_s, seed))


def anderson_darling(cdf: npt.NDArray[np.float64]) -> float:
    """A-squared of sorted values of a wholly known distribution function."""
    n = len(cdf)
    weights = 2 * np.arange(1, n + 1) - 1
    return float(-n - np.mean(weights * (np.log(cdf) + np.log1p(-cdf[::-1]))))


def test_poisson_gaps_are_exponential() -> None:
    """Anderson-Darling in subsamples of 2000 gaps, rate known: as many exceed the 5 % point, 2.492, as ought to."""
    exceeding = []
    for seed in range(40):
        gaps_s = np.diff(arrivals.poisson(2000, 6, seed))[:10_000].reshape(5, 2000) / 1e9
        for gaps in gaps_s:
            cdf = -np.expm1(-np.sort(np.maximum(gaps, 0.5e-9)) * 2000)
            exceeding.append(anderson_darling(cdf) > 2.492)
    assert stats.binomtest(sum(exceeding), len(exceeding), 0.05).pvalue > 0.001


def test_poisson_arrivals_of_different_seeds_differ() -> None:
    assert not np.array_equal(arrivals.poisson(100, 1, 1)[:20], arrivals.poisson(100, 1, 2)[:20])


@pytest.mark.parametrize(
    ("rate", "duration_s"),
    [(0, 1), (-1, 1), (math.nan, 1), (math.inf, 1), (1, 0), (1, -1), (1, math.nan), (1, 86_401), (50_001, 1000)],
)
def test_rates_and_durations_out_of_range_are_refused(rate: float, duration_s: float) -> None:
    with pytest.raises(ValueError, match=r"rate|load|requests"):
        arrivals.constant(rate, duration_s)
    with pytest.raises(ValueError, match=r"rate|load|requests"):
        arrivals.poisson(rate, duration_s, 1)


@given(weights=st.lists(st.floats(0, 10), min_size=1, max_size=20).filter(any), seed=st.integers(0, 2**64))
def test_routes_are_among_those_with_weight_and_the_same_for_a_seed(weights: list[float], seed: int) -> None:
    chosen = arrivals.routes(weights, 500, seed)
    assert chosen.dtype == np.uint16
    assert chosen.shape == (500,)
    assert all(weights[route] > 0 for route in set(chosen.tolist()))
    assert np.array_equal(chosen, arrivals.routes(weights, 500, seed))


@pytest.mark.parametrize("seed", range(3))
def test_routes_come_in_the_shares_of_their_weights(seed: int) -> None:
    weights = [9, 0, 3, 1]
    counts = np.bincount(arrivals.routes(weights, 13_000, seed), minlength=4)
    assert counts[1] == 0
    assert stats.chisquare(counts[[0, 2, 3]], [9000, 3000, 1000]).pvalue > 0.01


def test_a_seed_does_not_tie_routes_to_due_times() -> None:
    gaps = np.diff(arrivals.poisson(1000, 10, 5))
    chosen = arrivals.routes([1, 1], len(gaps), 5)
    assert abs(np.corrcoef(gaps, chosen)[0, 1]) < 0.05


@pytest.mark.parametrize("weights", [[], [0], [0, 0], [-1, 2], [math.nan], [math.inf], [1] * 65_536])
def test_weights_that_say_nothing_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match=r"routes|weights"):
        arrivals.routes(weights, 10, 1)


@pytest.mark.parametrize("count", [-1, arrivals.ARRIVALS_MAX + 1])
def test_a_count_of_routes_out_of_range_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="arrivals"):
        arrivals.routes([1], count, 1)
