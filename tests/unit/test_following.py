"""Figures that follow others: told with an interval, called different where their leader is, and a burden to nobody."""

from __future__ import annotations

from io import StringIO
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from prony.campaign.compare import FIGURES, FOLLOWS, HIGHER_IS_BETTER, comparisons
from prony.comparison import Comparison, Contest, Gain, compare
from prony.comparison.ratio import ALPHA
from prony.report.comparison import said, show
from prony.report.intervals import words_of

LEADERS = tuple(name for name in FIGURES if name not in FOLLOWS)


def held(seed: int, worse: dict[str, float], *, sd: float = 0.05, followed: bool = True, most: int = 10) -> Contest:
    """A contest whose second side is so many times as high in these figures; `followed`: with those that follow."""
    leaders, followers = np.random.default_rng(seed), np.random.default_rng((seed, 1))
    figures = FIGURES if followed else LEADERS
    contest = Contest(
        2, most=most, seed=seed, figures=figures, higher_is_better=HIGHER_IS_BETTER, follows=FOLLOWS if followed else {}
    )
    while (side := contest.ask()) is not None:
        told = {}
        for name in figures:
            drawn = (followers if name in FOLLOWS else leaders).normal(0, sd)
            told[name] = float(np.exp(drawn)) * (worse.get(name, 1.0) if side else 1.0)
        contest.tell(told)
    return contest


def by_figure(contest: Contest) -> dict[str, Gain]:
    return {gain.figure: gain for gain in contest.gains()}


def different(gain: Gain) -> bool:
    return gain.verdict in {"better", "worse"}


def test_every_follower_and_its_leader_are_figures_and_a_leader_follows_nobody() -> None:
    assert {*FOLLOWS, *FOLLOWS.values()} <= set(FIGURES)
    assert not set(FOLLOWS) & set(FOLLOWS.values())


@pytest.mark.parametrize("seed", range(10))
def test_what_is_judged_by_itself_is_judged_as_if_there_were_no_followers(seed: int) -> None:
    worse = {"latency_p90_s": 1.1, "saturated_rps": 0.95, "latency_p999_s": 3.0}
    alone, beside = held(seed, worse, followed=False), held(seed, worse)
    assert alone.looked == beside.looked, "nor does it take longer"
    found = by_figure(beside)
    assert [found[name] for name in LEADERS] == list(alone.gains())


def test_a_follower_is_called_different_where_its_leader_is() -> None:
    slower, quicker = ("latency_p90_s", "latency_p95_s"), ("latency_p99_s", "latency_p999_s")
    found = by_figure(held(1, dict.fromkeys(slower, 2.0) | dict.fromkeys(quicker, 0.5)))
    assert [found[name].verdict for name in FOLLOWS] == ["worse", "better"]
    assert {name: found[name].follows for name in FOLLOWS} == FOLLOWS
    assert {found[name].follows for name in LEADERS} == {None}


def test_a_follower_whose_leader_ties_is_told_and_not_judged() -> None:
    found = by_figure(held(1, {"latency_p95_s": 2.0}))
    gain = found["latency_p95_s"]
    assert found["latency_p90_s"].verdict == "tie"
    assert gain.verdict == "unknown"
    assert gain.low is not None
    assert gain.low > 1
    assert words_of(gain) == "unknown: judged where p90 latency differs"
    assert found["latency_p999_s"].verdict == "tie", "what ties by itself, ties"


def test_a_follower_whose_leader_is_unknown_is_not_judged_either() -> None:
    contest = Contest(2, most=4, seed=1, figures=FIGURES, higher_is_better=HIGHER_IS_BETTER, follows=FOLLOWS)
    random = np.random.default_rng(1)
    while (side := contest.ask()) is not None:
        told: dict[str, float | None] = {name: float(np.exp(random.normal(0, 0.01))) * (1 + side) for name in FIGURES}
        contest.tell(told | {"latency_p99_s": None})
    found = by_figure(contest)
    assert (found["latency_p99_s"].verdict, found["latency_p999_s"].verdict) == ("unknown", "unknown")
    assert found["latency_p95_s"].verdict == "worse"


@pytest.mark.parametrize(
    "worse",
    [
        {},
        {"latency_p99_s": 3.0},  # then its share of the error is p99.9's
        {"latency_p90_s": 3.0, "latency_p99_s": 3.0},
        {"latency_p95_s": 3.0, "latency_p999_s": 3.0},  # neither may be called different before its leader is
    ],
)
def test_what_does_not_differ_is_called_different_in_no_more_than_one_of_twenty(worse: dict[str, float]) -> None:
    repetitions, called = 200, 0
    for seed in range(repetitions):
        found = by_figure(held(seed, worse, sd=0.015))
        called += any(different(gain) for name, gain in found.items() if name not in worse)
        assert all(different(found[leader]) for name, leader in FOLLOWS.items() if different(found[name]))
    assert called <= ALPHA * repetitions


def test_a_follower_without_its_leader_is_judged_by_itself() -> None:
    contest = Contest(2, most=4, seed=1, figures=("latency_p95_s",), follows=FOLLOWS)
    random = np.random.default_rng(1)
    while (side := contest.ask()) is not None:
        contest.tell({"latency_p95_s": float(np.exp(random.normal(0, 0.01))) * (1 + side)})
    [gain] = contest.gains()
    assert (gain.verdict, gain.follows) == ("worse", None)


def test_followers_take_no_share_of_the_error_and_have_the_level_of_the_others() -> None:
    values = np.exp(np.random.default_rng(1).normal(0, 0.02, (2, 10)))
    pairs = dict.fromkeys(("one", "two", "three"), (values[0], values[1]))
    shared, alone = compare(pairs, followers=("three",)), compare({name: pairs[name] for name in ("one", "two")})
    assert [gain.low for gain in shared] == [alone[0].low] * 3
    assert [gain.low for gain in compare(pairs)] != [alone[0].low] * 3


def test_a_tail_that_no_start_has_answers_enough_for_is_left_out() -> None:
    contest = Contest(2, most=4, seed=1, figures=FIGURES, higher_is_better=HIGHER_IS_BETTER, follows=FOLLOWS)
    while contest.ask() is not None:
        contest.tell(dict.fromkeys(FIGURES, 1.0) | {"latency_p999_s": None})
    [found] = comparisons(contest, ["one", "two"], fresh=True)
    assert [gain.figure for gain in found.gains] == [name for name in FIGURES if name != "latency_p999_s"]


def test_the_words_say_what_follows_what() -> None:
    contest = held(1, {"latency_p95_s": 2.0})
    [found] = comparisons(contest, ["one", "two"], fresh=True)
    told = " ".join(said(found))
    assert "latency_p95_s is called different only where latency_p90_s is; latency_p999_s is" in told
    console = Console(file=StringIO(), width=140)
    show(console, [found])
    assert isinstance(console.file, StringIO)
    assert "unknown (judged where latency_p90_s differs)" in console.file.getvalue()
    nobody = Comparison(a="A", b="B", seed=1, gains=tuple(gain for gain in found.gains if gain.follows is None))
    assert "only where" not in " ".join(said(nobody))


# ---- a contest that is cut short


def test_a_contest_that_is_cut_short_looks_at_its_whole_rounds_once_more() -> None:
    contest = Contest(2, most=20, seed=1, figures=LEADERS, higher_is_better=HIGHER_IS_BETTER)
    random = np.random.default_rng(1)
    for _ in range(15):  # seven rounds, and one side of an eighth
        contest.tell({name: float(np.exp(random.normal(0, 0.3))) for name in LEADERS})
    assert contest.looked == [4, 6]
    contest.close()
    assert (contest.looked, contest.ask(), contest.ask_round()) == ([4, 6, 7], None, [])
    assert {gain.starts for gain in contest.gains()} == {(7, 7)}
    contest.close()
    assert contest.looked == [4, 6, 7], "it is closed already"
    [found] = comparisons(contest, ["one", "two"], fresh=False, why="the host no longer consents")
    assert "Ended after 7 of at most 20 repeated trials of each: the host no longer consents." in said(found)


def test_a_look_that_is_cut_short_is_made_at_the_close(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = iter([True, False, True, True])

    def cut(*given: Any, **named: Any) -> list[Gain]:
        if not next(whole):
            raise KeyboardInterrupt
        return compare(*given, **named)

    monkeypatch.setattr("prony.comparison.contest.compare", cut)
    contest = Contest(3, most=20, seed=1, figures=LEADERS)
    for _ in range(11):
        contest.tell(dict.fromkeys(LEADERS, 1.0))
    with pytest.raises(KeyboardInterrupt):
        contest.tell(dict.fromkeys(LEADERS, 1.0))
    assert (contest.round, contest.looked) == (4, [])
    contest.close()
    assert contest.looked == [4]
    assert [len(contest.gains(pair)) for pair in range(2)] == [len(LEADERS)] * 2


def test_of_a_contest_that_is_cut_short_too_early_nothing_can_be_told() -> None:
    contest = Contest(2, most=20, seed=1, figures=LEADERS)
    for _ in range(4):
        contest.tell(dict.fromkeys(LEADERS, 1.0))
    contest.close()
    assert {(gain.verdict, gain.a) for gain in contest.gains()} == {("unknown", 1.0)}


def test_looks_at_a_cut_spend_no_more_error_than_there_is() -> None:
    """Identical sides, cut short at every possible place."""
    repetitions, called = 400, 0
    for seed in range(repetitions):
        random = np.random.default_rng(seed)
        contest = Contest(2, most=20, seed=seed, figures=("one", "two"))
        for _ in range(2 * (4 + seed % 16)):
            if contest.ask() is not None:
                contest.tell({name: float(np.exp(random.normal(0, 0.05))) for name in ("one", "two")})
        contest.close()
        called += any(map(different, contest.gains()))
    assert called <= ALPHA * repetitions
