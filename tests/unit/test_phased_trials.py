"""What is said of a trial whose rate, or number of users, changed: its backlog, its load in words, and again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prony.document import plan_of
from prony.doubts import doubts_of
from prony.plan import Plan
from prony.report.series import series_of
from prony.report.terminal import load_in_words
from prony.summary import summarise
from prony.traffic import profiles
from prony.traffic.profiles import Stretch
from prony.verdict import Verdict, advise
from tests.unit.recording_case import a_plan, a_recording, some_samples


def phased(*stretches: tuple[float, float, float], **traffic: Any) -> Plan:
    """A plan whose phases are ramps."""
    tables = [{"shape": "ramp", "duration": f"{s:g}s", "from": a, "to": b} for s, a, b in stretches]
    return a_plan({"traffic.phase": tables} | {f"traffic.{name}": value for name, value in traffic.items()})


def due_s(plan: Plan) -> Any:
    return profiles.constant(tuple(Stretch(*each) for each in plan.traffic.profile)) / 1e9


def waits_s(due: Any, served_rps: float) -> Any:
    """Latency at one server that takes 1 / served_rps for each, first come, first served."""
    free, found = 0.0, []
    for each in due.tolist():
        free = max(free, each) + 1 / served_rps
        found.append(free - each)
    return np.array(found)


def growing(plan: Plan, latency_s: Any) -> bool:
    samples = some_samples(due_s(plan), service_s=latency_s)
    return summarise(a_recording(samples, plan=plan, duration_s=plan.traffic.duration_s)).backlog.growing


def test_more_requests_under_way_because_more_came_are_no_growing_backlog() -> None:
    plan = phased((30, 1, 200))
    assert not growing(plan, 1.0)
    samples = some_samples(due_s(plan), service_s=1.0)
    assert summarise(a_recording(samples, duration_s=30)).backlog.growing, "as it would be at one rate throughout"


def test_a_ramp_beyond_what_is_served_has_a_growing_backlog() -> None:
    plan = phased((30, 1, 200))
    assert growing(plan, waits_s(due_s(plan), 100))
    assert not growing(plan, waits_s(due_s(plan), 250))


def test_a_spike_that_was_worked_off_is_no_growing_backlog_and_one_at_the_end_is() -> None:
    spike = phased((10, 20, 20), (2, 300, 300), (18, 20, 20))
    assert not growing(spike, waits_s(due_s(spike), 100))
    at_the_end = phased((20, 20, 20), (10, 300, 300))
    assert growing(at_the_end, waits_s(due_s(at_the_end), 100))


def test_the_offered_rate_of_a_phased_trial_is_its_mean_and_its_course_is_drawn() -> None:
    plan = phased((10, 0, 200))
    recording = a_recording(some_samples(due_s(plan)), plan=plan, duration_s=10)
    assert summarise(recording).offered_rps == pytest.approx(100)
    offered = series_of(recording, 1.0).offered_rps[:10]
    assert offered == pytest.approx([10, 30, 50, 70, 90, 110, 130, 150, 170, 190], abs=1.01)


@pytest.mark.parametrize("bunched", [False, True])
def test_sends_are_uneven_where_they_bunch_and_not_because_the_rate_changes(bunched: bool) -> None:  # noqa: FBT001
    plan = phased((10, 0, 1000))
    due = profiles.poisson(tuple(Stretch(*each) for each in plan.traffic.profile), 3) / 1e9
    lag_s = np.ceil(due / 0.05) * 0.05 - due if bunched else 0.0001
    recording = a_recording(some_samples(due, lag_s=lag_s), plan=plan, duration_s=10)
    summary = summarise(recording)
    assert summary.dispersion["due"] == pytest.approx(1, abs=0.15)
    doubts = {doubt.name for doubt in doubts_of(recording, summary)}
    assert ("uneven_sends" in doubts) == bunched


def test_a_generator_near_its_limit_is_told_by_the_highest_rate_of_the_phases() -> None:
    plan = phased((10, 0, 1000))
    recording = a_recording(
        some_samples(due_s(plan)),
        plan=plan,
        series={"generator.calibrated_rps": ([1.0], [1100.0])},
    )
    summary = summarise(recording)
    assert summary.offered_rps == pytest.approx(500)
    assert "generator_near_limit" in {doubt.name for doubt in doubts_of(recording, summary)}


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (phased((10, 0, 200)), "ramp 0 → 200 in 10 s (rps, poisson; 100 rps offered on average)"),
        (phased((10, 1, 20), arrivals="closed"), "ramp 1 → 20 in 10 s (users; 100 rps offered on average)"),
        (a_plan({"traffic.users": 7}), "7 users"),
        (a_plan({"traffic.rate": 100}), "100 rps offered, poisson"),
        (
            a_plan({"traffic.rate": 20, "traffic.requests_per_session": 5}),
            "100 rps offered, poisson, in sessions of 5 requests on average",
        ),
    ],
    ids=["rate", "users", "closed", "open", "sessions"],
)
def test_a_load_is_told_as_it_was_asked_for(plan: Plan, said: str) -> None:
    assert load_in_words(plan_of(plan)["traffic"], 100.0) == said


def test_the_same_load_again_is_what_prony_toml_says() -> None:
    verdict = Verdict(
        tier="database",
        tier_grade="consistent",
        cause="connections_exhausted",
        cause_grade="consistent",
        evidence=(),
        figures={},
    )
    plan = phased((30, 1, 200))
    summary = summarise(a_recording(some_samples(due_s(plan)), plan=plan, duration_s=30))
    assert advise(verdict, plan, summary)[0].command == "prony explain"
    sessions = a_plan({"traffic.rate": 20, "traffic.requests_per_session": 5})
    summary = summarise(a_recording(some_samples(due_s(plan)), plan=sessions, duration_s=30))
    assert advise(verdict, sessions, summary)[0].command == "prony explain --rate 20.0"
