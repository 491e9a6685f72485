"""Quantiles against published examples, and numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from prony.stats import quantile


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        # The nearest-rank examples of Wikipedia's "Percentile", which is Hyndman and Fan's definition 1.
        ([15, 20, 35, 40, 50], 5, 15),
        ([15, 20, 35, 40, 50], 30, 20),
        ([15, 20, 35, 40, 50], 40, 20),
        ([15, 20, 35, 40, 50], 50, 35),
        ([15, 20, 35, 40, 50], 100, 50),
        ([3, 6, 7, 8, 8, 10, 13, 15, 16, 20], 25, 7),
        ([3, 6, 7, 8, 8, 10, 13, 15, 16, 20], 50, 8),
        ([3, 6, 7, 8, 8, 10, 13, 15, 16, 20], 75, 15),
        ([3, 6, 7, 8, 8, 10, 13, 15, 16, 20], 100, 20),
        ([3, 6, 7, 8, 8, 9, 10, 13, 15, 16, 20], 25, 7),
        ([3, 6, 7, 8, 8, 9, 10, 13, 15, 16, 20], 50, 9),
        ([3, 6, 7, 8, 8, 9, 10, 13, 15, 16, 20], 75, 15),
    ],
)
def test_quantiles_are_those_of_the_nearest_rank(values: list[int], percent: float, expected: int) -> None:
    assert quantile(np.array(values), percent / 100) == expected


@pytest.mark.parametrize("n", [1, 2, 7, 99, 100, 101, 1000, 9999])
def test_quantiles_are_numpys_inverted_cdf(n: int) -> None:
    values = np.sort(np.random.default_rng(n).normal(size=n))
    for q in (0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0):
        assert quantile(values, q) == float(np.quantile(values, q, method="inverted_cdf"))
