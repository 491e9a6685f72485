"""Plans that are loaded by turns: who is loaded when, and what is said of each of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.document import plan_of
from prony.doubts import doubts_of
from prony.figures import load_in_words
from prony.plan.turns import SHORTEST_S, Turns, dealt
from prony.summary import summarise
from prony.summary.turns import overlap_share
from prony.traffic import population, profiles
from prony.traffic.profiles import Stretch
from prony.trial.spec import spec_of
from tests.unit.recording_case import a_plan, a_recording, some_samples

SIDES = st.integers(2, 6)
SECONDS = st.floats(0.25, 60)
ANSWERS = st.floats(0, 5)


@given(SIDES, SECONDS, ANSWERS, st.integers(0, 2**32))
def test_at_every_instant_one_plan_has_its_turn(sides: int, trial_s: float, answer_s: float, seed: int) -> None:
    found = dealt(sides, trial_s, answer_s, seed)
    assert sorted(turn for each in found for turn in each.own) == list(range(found[0].count))
    assert len({(each.length_s, each.rest_s, each.count, len(each.own)) for each in found}) == 1


@given(SIDES, SECONDS, ANSWERS, st.integers(0, 2**32))
def test_what_changes_evenly_with_time_meets_all_alike(sides: int, trial_s: float, answer_s: float, seed: int) -> None:
    places = [sum(each.own) for each in dealt(sides, trial_s, answer_s, seed)]
    assert len(set(places)) == 1


@given(SIDES, SECONDS, st.floats(0, 0.1), st.integers(0, 2**32))
def test_each_is_loaded_for_about_as_long_as_a_trial(sides: int, trial_s: float, answer_s: float, seed: int) -> None:
    for each in dealt(sides, trial_s, answer_s, seed):
        longest_s = each.loaded_s / len(each.own)
        assert abs(each.loaded_s - trial_s) <= max(trial_s / 2, 2 * longest_s)


def test_turns_are_short_and_where_answers_take_long_as_long_as_ten_of_them() -> None:
    quick, slow, slower = (dealt(2, 5.0, answer_s, 1)[0] for answer_s in (0.005, 0.1, 10.0))
    assert quick.length_s - quick.rest_s == SHORTEST_S
    assert slow.length_s - slow.rest_s == pytest.approx(1.0)
    assert slow.rest_s == pytest.approx(0.15)
    assert len(slower.own) == 2, "both orders are there, however long a turn is"


def test_users_are_there_in_their_own_turns_and_nobody_in_a_rest_or_another_ones_turn() -> None:
    turns = Turns(length_s=0.5, rest_s=0.1, own=(0, 3), count=4)
    since_ns, until_ns, users = population.stays(tuple(Stretch(*each) for each in turns.stretches(8)))
    for number in range(8):
        own = users == number
        assert (since_ns[own] / 1e9).tolist() == pytest.approx([0.0, 1.5], abs=0.0011)
        assert (until_ns[own] / 1e9).tolist() == pytest.approx([0.4, 1.9])


def test_requests_are_due_in_their_own_turns() -> None:
    turns = Turns(length_s=0.5, rest_s=0.1, own=(1, 2), count=4)
    due_s = profiles.poisson(tuple(Stretch(*each) for each in turns.stretches(1000)), 1) / 1e9
    assert len(due_s) == pytest.approx(800, abs=120)
    assert ((due_s >= 0.5) & (due_s < 0.9) | (due_s >= 1.0) & (due_s < 1.4)).all()


@pytest.mark.parametrize("asked", [{"rate_rps": 100.0}, {"users": 4}])
def test_a_plan_by_turns_is_sent_by_its_profile(asked: dict[str, float]) -> None:
    turns = Turns(length_s=0.5, rest_s=0.1, own=(0, 3), count=4)
    plan = a_plan().loaded(**asked, duration_s=turns.duration_s, turns=turns)  # type: ignore[arg-type] # either
    spec = spec_of(plan, 8000)
    assert (spec.rate_rps, spec.users, spec.duration_s) == (None, None, 2.0)
    assert profiles.duration_s(spec.profile) == pytest.approx(2.0)
    assert "by turns with others" in load_in_words(plan_of(plan)["traffic"], 100)
    assert plan.loaded(rate_rps=5).traffic.turns is None, "another load is one without turns"


def test_rates_are_told_of_the_time_in_which_a_plan_was_loaded() -> None:
    turns = Turns(length_s=0.5, rest_s=0.1, own=(0, 3), count=4)
    plan = a_plan().loaded(rate_rps=100, duration_s=2.0, turns=turns)
    due_s = np.concatenate([np.arange(40) / 100, 1.5 + np.arange(40) / 100])
    late = np.where(np.arange(80) % 40 >= 38, 0.05, 0.005)  # the last two of each turn are answered in the rest
    summary = summarise(a_recording(some_samples(due_s, service_s=late), plan=plan, duration_s=2.0))
    assert summary.offered_rps == pytest.approx(100)
    assert summary.achieved_rps == pytest.approx(76 / 0.8)
    assert not summary.backlog.growing
    assert summary.generator["cpu_share"] == pytest.approx(0.1 * 2.0 / 0.8)


def test_the_stacks_that_take_turns_are_no_neighbours_and_others_are() -> None:
    turns = Turns(length_s=0.5, rest_s=0.1, own=(0, 3), count=4)
    plan = a_plan().loaded(rate_rps=100, duration_s=2.0, turns=turns)
    samples = some_samples(np.arange(40) / 100)
    counters = {"app.cpu_s": 0.4, "host.busy_s": 0.85, "host.steal_s": 0.0}
    beside = {"beside.cpu_s": ([0.0, 2.0], [3.0, 3.8])}
    for series, told in ((beside, False), ({}, True)):
        recording = a_recording(
            samples, plan=plan, duration_s=2.0, counters=counters, levels={"host.cores": 1.0}, series=series
        )
        summary = summarise(recording)
        assert ("neighbours" in {doubt.name for doubt in doubts_of(recording, summary)}) == told
        assert "beside" not in summary.tiers


TWO = Turns(length_s=0.5, rest_s=0.1, own=(0, 3), count=4)


@pytest.mark.parametrize(
    ("due_s", "done_s", "share"),
    [
        ([0.0, 0.39, 1.5], [0.1, 0.49, 1.9], 0.0),  # in its own turns, the rest included
        ([0.39], [0.6], 0.1),
        ([0.39, 0.35], [0.6, 0.6], 0.1),  # what two answers cover counts once
        ([0.3, 0.35], [0.55, 0.7], 0.2),
        ([0.2], [1.6], 1.0),
        ([0.2, 1.9], [0.7, 5.0], 0.2),  # after the last turn there is nobody to disturb
        ([], [], 0.0),
    ],
)
def test_what_is_answered_in_anothers_turn_is_a_share_of_the_others_time(
    due_s: list[float], done_s: list[float], share: float
) -> None:
    assert overlap_share(TWO, np.array(due_s), np.array(done_s)) == pytest.approx(share)


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0, 2)), max_size=20))
def test_the_overlap_is_what_counting_milliseconds_gives(found: list[tuple[float, float]]) -> None:
    due_s, took_s = (np.array([each[place] for each in found], dtype=float) for place in (0, 1))
    middles_s = (np.arange(4000) + 0.5) / 2000
    theirs = ~np.isin(middles_s // 0.5, (0, 3))
    within = [(middles_s >= due) & (middles_s < due + took) for due, took in zip(due_s, took_s, strict=True)]
    counted = np.any(within, axis=0) if within else np.zeros(4000, dtype=bool)
    share = overlap_share(TWO, due_s, due_s + took_s)
    assert share == pytest.approx((counted & theirs).sum() / theirs.sum(), abs=0.001 * (1 + len(found)))


@pytest.mark.parametrize(("late_s", "voids"), [(0.05, None), (0.2, ("all",))])
def test_answers_that_run_into_the_others_turns_void_a_trial(late_s: float, voids: tuple[str, ...] | None) -> None:
    plan = a_plan().loaded(rate_rps=100, duration_s=2.0, turns=TWO)
    due_s = np.concatenate([np.arange(40) / 100, 1.5 + np.arange(40) / 100])
    recording = a_recording(some_samples(due_s, service_s=late_s), plan=plan, duration_s=2.0)
    found = {doubt.name: doubt.voids for doubt in doubts_of(recording, summarise(recording))}
    assert found.get("turns_overlap") == voids
