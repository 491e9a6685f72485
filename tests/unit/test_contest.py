"""Starts told one by one: errors stay within 5 % over all figures and looks, and what is clear ends it early."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.campaign.compare import FIGURES, FOLLOWS, HIGHER_IS_BETTER, SEEN, comparisons
from prony.comparison.contest import CLOSE, ROUGHLY, Contest, settled
from prony.comparison.gate import Baseline, Gate, verdict
from prony.comparison.looks import looks, narrowed, spent
from prony.comparison.ratio import ALPHA, Called, Gain
from prony.report.comparison import said

Draw = Callable[[np.random.Generator, int, str], float | None]


def held(draw: Draw, *, seed: int, sides: int = 2, most: int = 10) -> Contest:
    """A contest whose starts come to what `draw` gives for a side and a figure."""
    random = np.random.default_rng(seed)
    contest = Contest(sides, most=most, seed=seed, figures=FIGURES, higher_is_better=HIGHER_IS_BETTER, follows=FOLLOWS)
    while (side := contest.ask()) is not None:
        contest.tell({name: draw(random, side, name) for name in FIGURES})
    return contest


def noise(random: np.random.Generator, sd: float, outliers: float = 0.0) -> float:
    return float(np.exp(random.normal(0, sd))) * (0.8 if random.random() < outliers else 1.0)


@pytest.mark.parametrize(
    ("sd", "outliers"),
    [(0.05, 0.05), *(pytest.param(sd, 0.0, marks=pytest.mark.long) for sd in (0.015, 0.3))],
)
def test_identical_plans_are_called_different_in_no_more_than_one_of_twenty_over_all_looks(
    sd: float, outliers: float
) -> None:
    repetitions, called = 600, 0
    for seed in range(repetitions):
        contest = held(lambda random, side, name: noise(random, sd, outliers), seed=seed)  # noqa: ARG005
        called += any(gain.verdict in {"better", "worse"} for gain in contest.gains())
    assert called <= ALPHA * repetitions


def test_identical_sides_are_called_different_in_no_more_than_one_of_twenty_over_all_pairs() -> None:
    repetitions, called = 500, 0
    for seed in range(repetitions):
        contest = held(lambda random, side, name: noise(random, 0.05), seed=seed, sides=3)  # noqa: ARG005
        called += any(gain.verdict in {"better", "worse"} for pair in range(2) for gain in contest.gains(pair))
    assert called <= ALPHA * repetitions


def test_one_side_that_nothing_is_compared_with_has_all_its_starts() -> None:
    contest = held(lambda random, side, name: noise(random, 0.02), seed=1, sides=1, most=20)  # noqa: ARG005
    assert contest.told == 20
    assert all(len(values) == 20 for values in contest.found[0].values())


def test_a_gate_of_few_starts_against_many_calls_a_difference_in_no_more_than_one_of_twenty() -> None:
    repetitions, called = 400, 0
    for seed in range(repetitions):
        random = np.random.default_rng(seed)
        stored = {name: [noise(random, 0.05) for _ in range(4)] for name in SEEN}
        contest = Contest(1, most=20, seed=seed, figures=SEEN, stored=stored)
        while contest.ask() is not None:
            contest.tell({name: noise(random, 0.05) for name in SEEN})
        called += any(gain.verdict != "tie" for gain in contest.gains())
    assert called <= ALPHA * repetitions


def test_a_loss_of_a_tenth_is_found_and_lies_in_its_interval() -> None:
    def draw(random: np.random.Generator, side: int, name: str) -> float:
        return noise(random, 0.015) * (0.9 if side == 1 and name == "saturated_rps" else 1.0)

    found = [held(draw, seed=seed) for seed in range(100)]
    gains = [contest.gains()[0] for contest in found]
    assert sum(gain.verdict == "worse" for gain in gains) >= 95
    assert sum((gain.low or 0) <= 0.9 <= (gain.high or 0) for gain in gains) >= 95


def test_what_is_clear_ends_it_early_and_what_is_not_uses_all_starts() -> None:
    clear = held(lambda random, side, name: noise(random, 0.01) * (3.0 if side else 1.0), seed=1)  # noqa: ARG005
    assert clear.looked[-1] < 10
    assert {gain.verdict for gain in clear.gains()} == {"better", "worse"}
    tied = held(lambda random, side, name: noise(random, 0.002), seed=1)  # noqa: ARG005
    assert tied.looked[-1] < 10
    assert settled(tied.gains())
    assert all(gain.verdict == "tie" for gain in tied.gains())
    assert all((gain.high or 9) <= 1 + CLOSE for gain in tied.gains())
    noisy = held(lambda random, side, name: noise(random, 0.2), seed=1)  # noqa: ARG005
    assert noisy.looked == [4, 6, 8, 10]


def test_a_figure_that_may_still_be_told_is_waited_for_and_one_that_cannot_is_not() -> None:
    def contest(every: int) -> Contest:
        """Three times as much on one side; p99 is to be believed at each `every`th start only."""
        times = {"starts": 0}

        def draw(random: np.random.Generator, side: int, name: str) -> float | None:
            if name == "latency_p99_s":
                times["starts"] += side
                if side and times["starts"] % every:
                    return None
            return noise(random, 0.002) * (3.0 if side else 1.0)

        return held(draw, seed=1)

    never = contest(every=10)
    assert never.looked[-1] == contest(every=1).looked[-1] == 4
    assert {gain.figure: gain.verdict for gain in never.gains()}["latency_p99_s"] == "unknown"
    halved = contest(every=2)
    assert halved.looked[-1] == 8
    assert {gain.figure: gain.verdict for gain in halved.gains()}["latency_p99_s"] == "worse"
    nothing = held(lambda random, side, name: None, seed=1)  # noqa: ARG005
    assert nothing.looked[-1] == 10
    assert {gain.verdict for gain in nothing.gains()} == {"unknown"}


@given(most=st.integers(4, 100))
def test_looks_grow_to_the_most_starts_and_spend_all_of_the_error_and_no_more(most: int) -> None:
    found = looks(most)
    assert found[0] == 4 or most == 5
    assert found[-1] == most
    assert list(found) == sorted(set(found))
    assert len(found) <= 14
    parts = np.diff([0.0, *(spent(at / most) for at in found)])
    assert (parts > 0).all()
    assert parts.sum() == pytest.approx(ALPHA)
    assert parts[-1] > 0.2 * ALPHA


def gain(low: float, high: float, verdict: Called = "tie") -> Gain:
    return Gain(
        figure="it",
        a=1.0,
        b=1.0,
        ratio=1.0,
        low=low,
        high=high,
        least_seen=0.1,
        verdict=verdict,
        starts=(4, 4),
    )


def test_what_an_earlier_look_ruled_out_stays_ruled_out() -> None:
    found = narrowed(gain(1.1, 3.0, "worse"), gain(1.05, 1.4, "worse"))
    assert (found.low, found.high, found.verdict) == (1.1, 1.4, "worse")
    assert narrowed(gain(0.9, 1.2), gain(0.7, 1.1)) == gain(0.9, 1.1)
    assert narrowed(gain(1.1, 1.2, "worse"), gain(0.9, 1.0)) == gain(0.9, 1.0)
    assert narrowed(None, gain(0.9, 1.0)) == gain(0.9, 1.0)


def test_a_difference_that_fades_as_starts_are_added_is_not_called() -> None:
    assert narrowed(gain(1.1, 3.0, "worse"), gain(0.9, 1.4)) == gain(0.9, 1.4)


def test_once_a_figure_differs_for_sure_the_others_need_be_told_but_roughly() -> None:
    close, rough, far = gain(0.97, 1 + CLOSE), gain(0.93, 1 + ROUGHLY), gain(0.8, 1.3)
    worse = gain(1.2, 1.9, "worse")
    assert settled([close, close])
    assert not settled([close, rough])
    assert settled([worse, close, rough])
    assert not settled([worse, far])
    assert not settled([worse, gain(0.9, 1.01)]), "0.9 is further from 1 than 1.1 is"


def test_every_later_side_is_compared_with_the_first_and_what_no_start_has_is_left_out() -> None:
    def draw(random: np.random.Generator, side: int, name: str) -> float | None:  # noqa: ARG001
        return None if name == "database_connections" else noise(random, 0.3)

    contest = held(draw, seed=7, sides=3)
    found = comparisons(contest, ["one", "two", "three"], fresh=True)
    assert [(each.a, each.b, each.seed, each.most) for each in found] == [
        ("one", "two", 7, 10),
        ("one", "three", 7, 10),
    ]
    assert [gain.figure for gain in found[0].gains] == list(FIGURES[:-1])
    assert not found[0].ended_early
    assert "all looks together; order by seed 7" in said(found[0])[0]


def test_repeated_trials_of_what_runs_say_that_they_are_no_fresh_starts() -> None:
    contest = Contest(2, most=4, seed=1, figures=SEEN)
    while contest.ask() is not None:
        contest.tell(dict.fromkeys(SEEN, 1.0))
    (found,) = comparisons(contest, ["one", "two"], fresh=False)
    assert [gain.figure for gain in found.gains] == list(SEEN)
    assert "repeated trials" in said(found)[0]
    assert "not started afresh" in said(found)[-1]


def a_gate(seed: int, most: int = 10) -> tuple[Gate, np.random.Generator]:
    random = np.random.default_rng(seed)
    values: dict[str, tuple[float | None, ...]] = {
        name: tuple(noise(random, 0.02) for _ in range(10)) for name in ("saturated_rps", "latency_p50_s")
    }
    stored = Baseline(
        prony="0",
        title="it",
        machine="m",
        load={},
        boxes=(),
        rate_rps=1,
        trial_s=1,
        figures=values,
        allowed=dict.fromkeys(values, 0.1),
    )
    return Gate(stored, most=most, higher_is_better=HIGHER_IS_BETTER, seed=seed), random


def gated(seed: int, factor: float) -> Gate:
    """A gate at whose starts every figure is `factor` times the baseline's, or as much worse."""
    gate, random = a_gate(seed)
    while gate.contest.ask() is not None:
        gate.contest.tell(
            {"saturated_rps": noise(random, 0.02) * (2 - factor), "latency_p50_s": noise(random, 0.02) * factor}
        )
    return gate


def test_a_gate_fails_one_of_twenty_at_most_where_the_loss_is_just_what_is_allowed() -> None:
    found = [gated(seed, 1.1) for seed in range(500)]
    assert sum(verdict(gate.judged) == "failed" for gate in found) <= ALPHA * 500


def test_a_gate_ends_early_where_all_is_kept_or_lost_for_sure() -> None:
    kept, lost = gated(1, 1.0), gated(1, 1.5)
    assert kept.contest.looked[-1] < 10
    assert verdict(kept.judged) == "passed"
    assert {gain.allowed for gain in kept.judged} == {0.1}
    assert lost.contest.looked[-1] < 10
    assert verdict(lost.judged) == "failed"
