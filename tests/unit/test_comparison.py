"""Plans compared by their starts: identical ones tie, a planted loss is found, and what was not measured is unknown."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from prony.comparison import compare
from prony.comparison.contest import turns
from prony.report.comparison import cells


def starts(seed: int, scale: float = 1.0, number: int = 10, sd: float = 0.015) -> np.ndarray:
    return 100 * scale * np.exp(np.random.default_rng(seed).normal(0, sd, number))


def test_identical_plans_are_seldom_called_different_over_eight_figures_together() -> None:
    called = 0
    for seed in range(100):
        figures = {str(i): (starts(100 * seed + i), starts(100 * seed + 50 + i)) for i in range(8)}
        called += any(gain.verdict != "tie" for gain in compare(figures))
    assert called <= 0.05 * 100


def test_a_planted_loss_of_a_tenth_is_found_and_lies_in_its_interval() -> None:
    gains = [
        compare({"rps": (starts(seed), starts(seed + 1000, 0.9))}, higher_is_better={"rps"})[0] for seed in range(50)
    ]
    assert sum(gain.verdict == "worse" for gain in gains) >= 48
    assert sum((gain.low or 0) <= 0.9 <= (gain.high or 0) for gain in gains) >= 47


@pytest.mark.parametrize(
    ("scale", "up", "verdict"), [(1.5, True, "better"), (1.5, False, "worse"), (0.5, False, "better")]
)
def test_more_is_better_or_worse_as_the_figure_has_it(scale: float, up: bool, verdict: str) -> None:  # noqa: FBT001
    found = compare({"it": (starts(1), starts(2, scale))}, higher_is_better={"it"} if up else ())
    assert found[0].verdict == verdict


def test_a_tie_says_how_small_a_difference_could_have_been_seen() -> None:
    found = compare({"it": (starts(1), starts(2))})[0]
    assert found.verdict == "tie"
    assert 0.005 < (found.least_seen or 0) < 0.1
    assert "could be seen" in cells(found)[-1]


def test_figures_not_to_be_believed_are_left_out_and_too_few_are_unknown() -> None:
    values = [math.nan] * 7 + [1.0, 1.0, 1.0]
    found = compare({"it": (values, starts(1))})[0]
    assert (found.verdict, found.starts, found.ratio) == ("unknown", (3, 10), None)
    assert compare({"it": ([math.nan], [math.nan])})[0].a is None


def test_the_order_of_starts_is_drawn_anew_each_round_and_repeats_with_its_seed() -> None:
    order = turns(3, 20, seed=4)
    assert order == turns(3, 20, seed=4) != turns(3, 20, seed=5)
    rounds = [tuple(order[i : i + 3]) for i in range(0, 60, 3)]
    assert all(Counter(each) == {0: 1, 1: 1, 2: 1} for each in rounds)
    assert len(set(rounds)) > 2


def test_a_drift_that_meets_both_sides_of_each_round_alike_cancels_in_their_ratio() -> None:
    drift = np.exp(np.linspace(0, 0.5, 10))
    first, second = starts(1) * drift, starts(2, 0.9) * drift
    apart = compare({"rps": (first, second)}, higher_is_better={"rps"})[0]
    paired = compare({"rps": (first, second)}, higher_is_better={"rps"}, paired=True)[0]
    assert (apart.verdict, paired.verdict) == ("tie", "worse")
    assert (paired.low or 0) < 0.9 < (paired.high or 0)


def test_a_round_in_which_either_side_lacks_a_figure_is_left_out() -> None:
    first, second = starts(1), starts(2, 0.5)
    first[0], second[5] = math.nan, 0.0
    found = compare({"it": (first, second)}, paired=True)[0]
    assert (found.starts, found.verdict) == ((8, 8), "better")
    few = compare({"it": ([1.0] * 3 + [math.nan] * 7, starts(2))}, paired=True)[0]
    assert (few.starts, few.verdict) == ((3, 3), "unknown")


@pytest.mark.parametrize("paired", [False, True])
def test_intervals_hold_the_true_ratio_as_often_as_they_say(paired: bool) -> None:  # noqa: FBT001
    inside = 0
    for seed in range(400):
        gain = compare({"it": (starts(seed), starts(seed + 10_000, 1.2))}, seed=seed, paired=paired)[0]
        inside += (gain.low or 0) <= 1.2 <= (gain.high or 0)
    assert 0.93 * 400 <= inside <= 0.99 * 400


def test_the_middle_is_the_pseudo_median_of_hollander_and_wolfe() -> None:
    """Example 3.1 (depression scores, Nonparametric Statistical Methods): differences' estimate is -0.46."""
    before = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    found = compare({"it": (np.exp(before), np.exp(after))}, paired=True)[0]
    assert math.log(found.ratio or 0) == pytest.approx(-0.46, abs=0.001)
