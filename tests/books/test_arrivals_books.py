"""Arrivals against what the books say of a Poisson process."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from prony.traffic import arrivals, profiles
from prony.traffic.profiles import Stretch


@pytest.mark.parametrize("seed", range(3))
def test_counts_in_equal_intervals_have_a_mean_and_a_variance_of_rate_times_length(seed: int) -> None:
    """Ross, Introduction to Probability Models, 5.3: N(s + t) - N(s) is Poisson with mean and variance rate x t."""
    due_ns = arrivals.poisson(1000, 100, seed)
    counts = np.bincount(due_ns // 10_000_000, minlength=10_000)  # 10 ms each: mean 10
    assert counts.mean() == pytest.approx(10, abs=4 * math.sqrt(10 / 10_000))
    dispersion = 9_999 * counts.var(ddof=1) / counts.mean()  # chi-square with 9999 degrees of freedom
    assert 0.001 < stats.chi2.cdf(dispersion, 9_999) < 0.999


def test_flying_bomb_table_of_poisson_probabilities() -> None:
    """Clarke 1946 (Feller I, VI.7): mean 0.9323; of 576, 226.74, 211.39, 98.54, 30.62 and 8.71 hold 0, 1, 2, 3, 4+."""
    intervals = 576 * 200
    due_ns = arrivals.poisson(0.9323 * 1000, intervals / 1000, 7)  # intervals of 1 ms
    counts = np.bincount(due_ns // 1_000_000, minlength=intervals)
    seen = np.bincount(np.minimum(counts, 4), minlength=5)
    published = np.array([226.74, 211.39, 98.54, 30.62, 8.71])
    assert stats.chisquare(seen, published / published.sum() * intervals).pvalue > 0.01


def test_customers_of_the_hot_dog_stand() -> None:
    """Ross 5.4.1, of a rate that changes: 5 an hour at 8, growing to 20 at 11, 20 until 1, falling to 12 at 5.

    The number between 8:30 and 9:30 is Poisson with mean 10; the probability of none is e^-10.
    """
    day = (Stretch(3.0, 5, 20), Stretch(2.0, 20, 20), Stretch(4.0, 20, 12))  # an hour as a second
    assert np.diff(profiles.expected(day, [0.5, 1.5])) == pytest.approx([10], rel=1e-12)
    days = 3000
    due_s = profiles.poisson(day * days, 5) / 1e9
    hour = due_s % 9
    counts = np.bincount((due_s[(hour >= 0.5) & (hour < 1.5)] // 9).astype(int), minlength=days)
    seen = np.bincount(np.clip(counts, 4, 17), minlength=18)[4:]
    wanted = stats.poisson.pmf(np.arange(4, 18), 10)
    wanted[0], wanted[-1] = stats.poisson.cdf(4, 10), stats.poisson.sf(16, 10)
    assert stats.chisquare(seen, wanted * days).pvalue > 0.01


def test_given_their_number_arrivals_are_uniform_over_the_window() -> None:
    """Ross 5.3.5: given N(t) = n, the arrival times are distributed as n sorted uniforms on (0, t)."""
    due_ns = arrivals.poisson(500, 20, 3)
    assert stats.kstest(due_ns / 20e9, "uniform").pvalue > 0.01
