"""Relief for a verdict that blames connections: proven only when errors go with the steps and stay with the placebo."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.capacity import Judgement
from prony.knobs.server import KNOBS
from prony.plan import Plan, changed
from prony.summary import Summary
from prony.verdict import GRADES, ConnectionsRelief, Verdict, conclude
from tests.unit.recording_case import a_plan, a_summary

LIMIT = "stores.database.max_connections"
SERVERS = list(KNOBS)


def failing(share: float, total: int = 10_000) -> Summary:
    """A trial of which this share failed for want of a connection."""
    wrong = round(total * share)
    return a_summary(
        {"connections.refused": float(wrong), "connections.most": 17.0, "connections.limit": 20.0},
        outcomes={"ok": total - wrong, "wrong_status": wrong},
        statuses={"200": total - wrong, "500": wrong},
    )


def a_blamed_plan(limit: int = 20, **changes: Any) -> Plan:
    base = {LIMIT: limit, "server.worker_class": "gevent", "traffic.users": 200}
    return a_plan(base | {name.replace("__", "."): value for name, value in changes.items()})


def blamed(before: Summary) -> Verdict:
    broken = (f"errors {before.errors.share:.1%}, limit 1.0%",)
    return conclude(before, Judgement(held=False, broken=broken))


def relieved(before: float, first: float, placebo: float, last: float) -> Verdict:
    """The verdict after the experiment, from the share of errors in each of its trials."""
    summary = failing(before)
    experiment = ConnectionsRelief(a_blamed_plan(), summary)
    shares = {"first": first, "placebo": placebo, "last": last}
    order = ["placebo" if step.placebo else "raise" for step in experiment.steps]
    assert order == ["raise", "placebo", "raise"]
    return experiment.conclude(blamed(summary), [[failing(shares[name]) for name in ("first", "placebo", "last")]])


@pytest.mark.parametrize("shares", [(0.88, 0.4, 0.87, 0.0), (0.88, 0.0, 0.9, 0.0), (0.3, 0.31, 0.22, 0.03)])
def test_errors_that_go_with_the_steps_and_stay_with_the_placebo_are_proof(shares: tuple[float, ...]) -> None:
    found = relieved(*shares)
    assert (found.tier, found.cause) == ("connections", "connections_exhausted")
    assert found.tier_grade == found.cause_grade == "proven"
    assert found.evidence[-1].endswith("proven.")
    assert "not proven" not in found.evidence[-1]


@pytest.mark.parametrize(
    "shares",
    [
        pytest.param((0.88, 0.88, 0.88, 0.88), id="nothing moved"),
        pytest.param((0.88, 0.5, 0.88, 0.3), id="the errors went in part only"),
        pytest.param((0.88, 0.0, 0.0, 0.0), id="they went with the placebo as well"),
        pytest.param((0.88, 0.4, 0.5, 0.0), id="the placebo took more than it may"),
        pytest.param((0.88, 0.95, 0.88, 0.0), id="the first step made it worse"),
        pytest.param((0.88, 0.88, 0.0, 0.88), id="only the placebo helped"),
    ],
)
def test_anything_else_is_no_proof(shares: tuple[float, ...]) -> None:
    found = relieved(*shares)
    assert found.tier_grade == found.cause_grade == "unknown"
    assert not found.evidence[-1].endswith(": proven.")


def test_the_few_errors_left_when_they_are_gone_are_not_compared_between_the_steps() -> None:
    assert relieved(0.9, 0.01, 0.8, 0.06).tier_grade == "proven"
    assert relieved(0.9, 0.05, 0.8, 0.1).tier_grade == "unknown", "a tenth and more of what failed is not gone"


@pytest.mark.parametrize(
    ("shares", "more"),
    [
        pytest.param((0.88, 0.4, 0.87, 0.0), False, id="proven"),
        pytest.param((0.88, 0.88, 0.88, 0.88), False, id="nothing moved"),
        pytest.param((0.88, 0.4, 0.55, 0.0), True, id="the placebo took too much"),
        pytest.param((0.88, 0.95, 0.88, 0.0), True, id="worse, then better"),
    ],
)
def test_another_round_is_run_where_one_leaves_it_open(shares: tuple[float, ...], *, more: bool) -> None:
    experiment = ConnectionsRelief(a_blamed_plan(), failing(shares[0]))
    found = [failing(share) for share in shares[1:]]
    assert experiment.open([found]) is more
    assert experiment.open([found, found, found]) is False, "three rounds are the most"


def test_over_several_rounds_each_steps_median_counts() -> None:
    before = failing(0.88)
    experiment = ConnectionsRelief(a_blamed_plan(), before)
    good, disturbed = ([failing(share) for share in shares] for shares in ((0.4, 0.87, 0.0), (0.9, 0.3, 0.2)))
    proven = experiment.conclude(blamed(before), [disturbed, good, good])
    assert proven.tier_grade == "proven"
    assert "median of 3 rounds" in " ".join(proven.evidence)
    assert experiment.conclude(blamed(before), [disturbed, good, disturbed]).tier_grade == "unknown"


@pytest.mark.parametrize("shares", [(0.011, 0.011, 0.011, 0.01), (0.005, 0.005, 0.005, 0.005), (0.02,) * 3 + (0.01,)])
def test_few_errors_that_did_not_go_are_no_proof(shares: tuple[float, ...]) -> None:
    assert relieved(*shares).tier_grade != "proven"


@given(st.tuples(*[st.floats(0.05, 1)] * 4))
def test_no_proof_without_errors_gone_and_errors_that_stayed(shares: tuple[float, float, float, float]) -> None:
    before, first, placebo, last = (round(share, 4) for share in shares)
    found = relieved(before, first, placebo, last)
    assert found.tier_grade in GRADES
    if found.tier_grade == "proven":
        assert last <= max(0.1 * before, 0.01)
        assert first <= before + 0.02
        assert placebo >= 0.7 * before


def test_what_was_seen_before_stays_beside_what_the_relief_showed() -> None:
    before = failing(0.88)
    verdict = blamed(before)
    experiment = ConnectionsRelief(a_blamed_plan(), before)
    found = experiment.conclude(verdict, [[failing(0.4), failing(0.87), failing(0.0)]])
    assert found.evidence[: len(verdict.evidence)] == verdict.evidence
    assert len(found.evidence) == len(verdict.evidence) + 4
    assert found.figures.items() >= verdict.figures.items()
    assert [found.figures[f"relief.errors_share.{i}"] for i in range(3)] == [0.4, 0.87, 0.0]
    assert verdict.tier_grade == "consistent", "the first verdict is not changed"


def test_a_figure_is_wanted_for_every_step() -> None:
    before = failing(0.88)
    with pytest.raises(ValueError, match="3 steps, and 1 trials"):
        ConnectionsRelief(a_blamed_plan(), before).conclude(blamed(before), [[failing(0.0)]])


def test_without_a_database_there_is_nothing_to_relieve() -> None:
    with pytest.raises(ValueError, match="no database"):
        ConnectionsRelief(a_plan(), failing(0.5))


@pytest.mark.parametrize("of", SERVERS)
@pytest.mark.parametrize("limit", [10, 20, 100, 2499, 4000])
def test_two_steps_raise_the_limit_and_one_placebo_comes_from_the_servers_own_knobs(
    of: tuple[str, str], limit: int
) -> None:
    kind, worker_class = of
    server = {"server.kind": kind} | ({"server.worker_class": worker_class} if worker_class else {})
    plan = a_plan({LIMIT: limit, "traffic.users": 300, **server})
    steps = ConnectionsRelief(plan, failing(0.5)).steps
    raised = [step.changes[LIMIT] for step in steps if not step.placebo]
    assert limit < raised[0] <= raised[1] <= 5000
    assert [list(step.changes) for step in steps if not step.placebo] == [[LIMIT], [LIMIT]]
    (placebo,) = [step for step in steps if step.placebo]
    assert set(placebo.changes) <= {knob.name for knob in KNOBS[of] if knob.inert is not None}
    for step in steps:
        new = changed(plan, step.changes)
        assert new.traffic == plan.traffic, "under the same load"
        assert new.app == plan.app
        assert new != plan
        if step.placebo:
            assert new.database == plan.database
        else:
            assert new.server == plan.server


def test_a_limit_that_cannot_be_raised_has_no_step_that_is_refused() -> None:
    plan = a_blamed_plan(5000)
    for step in ConnectionsRelief(plan, failing(0.5)).steps:
        changed(plan, step.changes)


def test_a_placebo_changes_a_knob_that_stands_at_its_inert_value_already() -> None:
    plan = a_blamed_plan(server__graceful_timeout=31)
    (placebo,) = [step for step in ConnectionsRelief(plan, failing(0.5)).steps if step.placebo]
    assert changed(plan, placebo.changes) != plan


def test_the_last_step_is_enough_for_all_that_could_be_wanted_at_once() -> None:
    wide = ConnectionsRelief(a_blamed_plan(20, traffic__users=400), failing(0.5)).steps
    assert wide[-1].changes[LIMIT] >= 400
    narrow = ConnectionsRelief(a_plan({LIMIT: 20, "server.workers": 30, "traffic.users": 400}), failing(0.5)).steps
    assert 30 <= narrow[-1].changes[LIMIT] <= 50, "30 slots never ask for 400"
    few = ConnectionsRelief(a_plan({LIMIT: 20, "traffic.users": 2}), failing(0.5)).steps
    assert few[-1].changes[LIMIT] == 40, "doubled at least"


def test_the_steps_of_a_plan_loaded_for_the_trial_keep_its_load() -> None:
    plan = a_blamed_plan(20).loaded(rate_rps=123.0, duration_s=7.0, seed=9, drain_s=1.0)
    for step in ConnectionsRelief(plan, failing(0.5)).steps:
        assert changed(plan, step.changes).traffic == plan.traffic
