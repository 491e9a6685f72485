"""The loads that a curve lacks, and a search with its curve on a simulated queue."""

from __future__ import annotations

import math
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from prony.campaign.bench import Bench, Measured, Silent
from prony.campaign.curve import curve_of, trace
from prony.campaign.find import Hunt, hunt
from prony.capacity import Search, Tracing, judge, utilisation
from prony.capacity.curve import CLEAR, NEAR, TRIES
from prony.doubts import doubts_of
from prony.errors import StackError
from prony.plan import Plan
from prony.summary import summarise
from tests.unit.recording_case import a_plan, a_queue, a_recording

LOADS = st.floats(1.0, 5000.0)
TRIED = st.lists(LOADS, max_size=12)


def asked(tracing: Tracing, left: float = math.inf) -> list[float]:
    """All loads asked for, each trial believed."""
    found: list[float] = []
    while (load := tracing.ask(left - len(found))) is not None:
        found.append(load)
        tracing.tell(believed=True)
    return found


@given(low=LOADS, wider=st.floats(1.01, 3.0), tried=TRIED)
def test_a_whole_curve_has_points_well_below_at_and_past_the_knee_in_five_trials_at_most(
    low: float, wider: float, tried: list[float]
) -> None:
    high, middle = low * wider, low * math.sqrt(wider)
    tracing = Tracing(low, high, list(tried), least=0.1)
    found = asked(tracing)
    assert found == sorted(found), "the backlog of what lies past the knee is in nobody's way"
    assert len(found) <= 5
    loads = [*tried, *found]
    for share in (0.25, 0.5, 0.75, 1.0):
        assert any(1 / NEAR <= load / (share * middle) <= NEAR * 1.0001 for load in loads), share
    assert any(load >= high for load in loads)


@given(low=LOADS, wider=st.floats(1.01, 3.0), tried=TRIED)
def test_what_a_trial_serves_for_is_not_asked_again(low: float, wider: float, tried: list[float]) -> None:
    tracing = Tracing(low, low * wider, list(tried), least=0.1)
    for load in asked(tracing):
        near = [each for each in tried if load / NEAR <= each <= load * NEAR]
        assert not [each for each in near if load < low * wider or each >= low * wider], (load, near)
    assert tracing.missing() == []
    assert tracing.ask() is None


@given(low=LOADS, wider=st.floats(1.01, 3.0), tried=TRIED, left=st.floats(0, 6))
def test_no_more_trials_are_asked_for_than_there_is_time_for_and_what_is_left_out_is_missing(
    low: float, wider: float, tried: list[float], left: float
) -> None:
    tracing = Tracing(low, low * wider, list(tried), least=0.1)
    wanted = len(tracing.missing())
    found = asked(tracing, left)
    assert len(found) == min(wanted, int(left))
    assert len(tracing.missing()) == wanted - len(found)


def test_where_there_is_time_for_one_trial_it_lies_past_the_knee_and_the_next_at_half() -> None:
    assert asked(Tracing(95, 105), 1) == [pytest.approx(1.2 * math.sqrt(95 * 105))]
    assert asked(Tracing(95, 105), 2) == [pytest.approx(50, rel=0.01), pytest.approx(120, rel=0.01)]


def test_past_a_wide_interval_is_past_its_upper_end() -> None:
    assert asked(Tracing(50, 200))[-1] == CLEAR * 200
    assert asked(Tracing(50, 200, [195.0]))[-1] == CLEAR * 200, "near to it, but not past it"
    assert asked(Tracing(50, 200, [201.0]))[-1] < 200


@given(low=LOADS, tried=TRIED)
def test_nothing_is_tried_past_an_at_least(low: float, tried: list[float]) -> None:
    assert max(asked(Tracing(low, None, list(tried), least=0.1)), default=0) <= low


@given(high=LOADS)
def test_where_nothing_held_it_is_looked_for_below(high: float) -> None:
    found = asked(Tracing(None, high, least=0.1))
    assert found[:3] == [pytest.approx(share * high) for share in (0.25, 0.5, 0.75)]
    assert max(found) <= high


def test_of_what_nothing_is_known_there_is_no_curve() -> None:
    assert asked(Tracing(None, None, [10.0])) == []


@given(low=st.integers(1, 60), more=st.integers(1, 10), most=st.integers(20, 100))
def test_users_come_whole_each_number_once_and_within_bounds(low: int, more: int, most: int) -> None:
    found = asked(Tracing(low, low + more, most=most, users=True))
    assert all(load == int(load) and 1 <= load <= most for load in found)
    assert len(set(found)) == len(found)
    assert found
    if most > low + more:
        assert max(found) > low + more


def test_a_load_whose_trials_are_not_to_be_believed_is_given_up_and_missing() -> None:
    tracing = Tracing(90, 110)
    loads = []
    while (load := tracing.ask()) is not None:
        loads.append(load)
        tracing.tell(believed=load > 30)
    assert loads[:TRIES] == [loads[0]] * TRIES
    assert loads.count(loads[0]) == TRIES
    assert tracing.missing() == [loads[0]]
    assert len(set(loads)) == 5


def test_telling_without_having_asked_is_refused() -> None:
    with pytest.raises(ValueError, match="without ask"):
        Tracing(90, 110).tell(believed=True)


def test_use_is_a_share_of_what_there_is() -> None:
    tiers: dict[str, dict[str, float | None]] = {
        "app": {"cpu_share": 0.3},
        "database": {"cpu_share": 0.4},
        "cache": {"cpu_share": None},
        "workers": {"in_flight_share": 0.9},
        "connections": {"most": 17.0, "usable": 17.0},
        "host": {"cores": 2.0, "busy_share": 0.6},
    }
    found = utilisation(tiers, {"cpu_share": 0.1}, [(("app",), 0.5), (("database",), 8.0), (("cache",), None)])
    assert found == {
        "app": 0.6,
        "database": 0.2,
        "cache": None,
        "workers": 0.9,
        "connections": 1.0,
        "host": 0.6,
        "generator": 0.1,
    }


def test_use_of_what_was_not_watched_is_unknown() -> None:
    assert set(utilisation({}, {}).values()) == {None}


# ---- a search and its curve, on an M/M/1 queue that serves 100 requests a second


class Simulated:
    """Stands where a bench would: every trial is a queue's, recorded and thought about as a real one's."""

    def __init__(self, interrupt_after: int = 10_000) -> None:
        self.teller = Silent()
        self.loads: list[float] = []
        self.fresh: list[bool] = []
        self._interrupt_after = interrupt_after
        self._start = 0

    def measure(self, plan: Plan, label: str, role: str = "trial", *, fresh: bool = True) -> Measured:  # noqa: ARG002 - a bench's
        if len(self.loads) == self._interrupt_after:
            raise KeyboardInterrupt
        rate_rps, seed = plan.traffic.rate_rps, len(self.loads) + 1
        assert rate_rps is not None
        self.loads.append(rate_rps)
        self.fresh.append(fresh)
        self._start += fresh
        samples = a_queue(rate_rps, 100, plan.traffic.duration_s, seed)
        levels = {"workers.slots": 1.0, "workers.in_flight": min(1.0, rate_rps / 100), "host.cores": 1.0}
        recording = a_recording(
            samples,
            duration_s=plan.traffic.duration_s,
            levels=levels | {"canary.stack_s": 0.005, "canary.generator_s": 0.005},
            counters={"app.cpu_s": 0.5, "host.busy_s": 0.5, "host.steal_s": 0.0, "database.cpu_s": 0.1},
            plan=plan,
        )
        summary = structs.replace(summarise(recording), id=f"1.{seed}")
        doubts = tuple(doubts_of(recording, summary))
        return Measured(plan, summary, doubts, judge(summary, doubts, plan.limits), self._start)


def found_on(bench: Simulated, trial_s: float = 20.0) -> Hunt:
    """A search and its curve, with all the time there is."""
    found = Hunt(a_plan(), Search(start=70.0, width=0.2), trial_s)
    hunt(cast("Bench", bench), found, math.inf)
    trace(cast("Bench", bench), found, math.inf)
    return found


@pytest.fixture(scope="module")
def searched() -> tuple[Simulated, Hunt]:
    bench = Simulated()
    return bench, found_on(bench)


def test_every_trial_is_a_point_in_order_of_load_and_few_are_the_curves_own(searched: tuple[Simulated, Hunt]) -> None:
    bench, found = searched
    curve = curve_of(found)
    assert [point.load for point in curve.points] == sorted(bench.loads)
    assert {point.trial for point in curve.points} == {m.id for m in found.measured}
    assert 1 <= len(bench.loads) - len(found.ids) <= 5
    assert curve.missing == ()
    assert (curve.unit, curve.title) == ("rps", found.plan.title)
    assert set(found.capacity.trial_ids) == set(found.ids), "the curve's own trials settle no interval"


def test_the_curves_own_trials_share_one_start_that_had_no_part_in_the_search(
    searched: tuple[Simulated, Hunt],
) -> None:
    bench, found = searched
    own = [m for m in found.measured if m.id not in found.ids]
    assert {m.start for m in own} & found.starts == set()
    assert len({m.start for m in own}) == 1
    assert bench.fresh[len(found.ids) :] == [True] + [False] * (len(own) - 1)


def test_below_the_knee_latency_is_told_and_past_it_the_growth_of_the_backlog(searched: tuple[Simulated, Hunt]) -> None:
    points = curve_of(searched[1]).points
    for point in points:
        if point.backlog_per_s is not None:
            assert point.held is False
            assert set(point.latency_s.values()) == {None}
            assert point.achieved_rps is not None, "the rate achieved does not depend on how long the trial ran"
    light, heavy = points[0], points[-1]
    assert light.load < 30
    assert light.held is True
    assert light.latency_s["p50"] is not None
    assert light.latency_s["p90"] is not None
    assert (light.latency_s["p99"] is None) == (20 * light.offered_rps < 400), "too few answers for p99"
    assert heavy.load > 105
    assert heavy.backlog_per_s == pytest.approx(heavy.offered_rps - 100, abs=10)
    assert light.utilisation["workers"] == pytest.approx(light.load / 100)


def test_several_trials_at_one_load_are_points_beside_each_other() -> None:
    bench = Simulated()
    found = Hunt(a_plan(), Search(start=70.0), 20.0)
    for _ in range(3):
        found.measure(cast("Bench", bench), 50.0, 20.0, "again", fresh=True)
    points = curve_of(found).points
    assert [(point.load, point.start) for point in points] == [(50.0, 1), (50.0, 2), (50.0, 3)]
    assert len({point.latency_s["p90"] for point in points}) == 3


def test_a_short_trial_is_a_point_and_serves_for_none_of_full_length() -> None:
    bench = Simulated()
    found = Hunt(a_plan(), Search(start=70.0, width=0.2), 20.0)
    hunt(cast("Bench", bench), found, math.inf)
    load = min(found.tracing.missing())
    found.measure(cast("Bench", bench), load, 10.0, "short", fresh=True)
    assert load in found.tracing.missing()
    assert load in {point.load for point in curve_of(found).points}
    found.measure(cast("Bench", bench), load, 20.0, "full", fresh=True)
    assert load not in found.tracing.missing()


def test_ctrl_c_among_the_curves_trials_keeps_the_capacity_and_the_points_so_far(
    searched: tuple[Simulated, Hunt],
) -> None:
    whole = searched[1]
    found = found_on(Simulated(interrupt_after=len(whole.ids) + 1))
    assert found.interrupted
    assert found.capacity == whole.capacity
    assert len(curve_of(found).points) == len(whole.ids) + 1
    assert len(found.missing) == len(whole.measured) - len(whole.ids) - 1


def test_ctrl_c_in_the_search_asks_for_no_more_of_the_curve() -> None:
    bench = Simulated(interrupt_after=3)
    found = found_on(bench)
    assert found.interrupted
    assert len(bench.loads) == len(curve_of(found).points) == 3


class Failing(Simulated):
    """Some of its starts fail: those of these numbers, counted from 0."""

    def __init__(self, *failing: int) -> None:
        super().__init__()
        self._failing = failing
        self._asked = -1

    def measure(self, plan: Plan, label: str, role: str = "trial", *, fresh: bool = True) -> Measured:
        self._asked += 1
        if self._asked in self._failing:
            raise StackError("gunicorn ended before it answered.")
        return super().measure(plan, label, role, fresh=fresh)


def test_a_start_that_fails_in_a_search_is_made_again(searched: tuple[Simulated, Hunt]) -> None:
    bench = Failing(2, 3, 7)
    found = found_on(bench)
    assert bench.loads == searched[0].loads
    assert found.capacity == searched[1].capacity


def test_three_starts_that_fail_in_a_row_end_a_search_with_what_is_known() -> None:
    bench = Failing(4, 5, 6)
    found = Hunt(a_plan(), Search(start=70.0, width=0.2), 20.0)
    hunt(cast("Bench", bench), found, math.inf)
    assert len(found.ids) == 4
    assert "3 starts in a row failed, the last so: gunicorn ended" in found.why


def test_after_three_failed_starts_no_curve_is_tried_and_a_failed_start_ends_it(
    searched: tuple[Simulated, Hunt],
) -> None:
    found = found_on(Failing(4, 5, 6))
    assert (len(found.ids), len(found.measured)) == (4, 4)
    whole = searched[1]
    found = found_on(Failing(len(whole.ids) + 1))
    assert found.capacity == whole.capacity
    assert len(found.measured) == len(whole.ids) + 1
    assert found.missing


def test_a_search_whose_first_start_fails_is_an_error() -> None:
    with pytest.raises(StackError, match="gunicorn ended"):
        found_on(Failing(0))


def test_ctrl_c_before_anything_is_known_ends_it_all() -> None:
    with pytest.raises(KeyboardInterrupt):
        found_on(Simulated(interrupt_after=0))


def test_with_no_time_left_the_curve_is_of_the_searchs_trials_and_says_what_it_lacks() -> None:
    bench = Simulated()
    found = Hunt(a_plan(), Search(start=70.0, width=0.2), 20.0)
    hunt(cast("Bench", bench), found, math.inf)
    trace(cast("Bench", bench), found, 0.0)
    assert len(bench.loads) == len(found.ids)
    assert found.missing == tuple(sorted(found.tracing.missing()))
    assert found.missing


def test_of_a_budget_time_is_kept_for_the_trials_that_the_curve_lacks() -> None:
    """A trial is said to take so long that of this budget one is left, or, where some is kept, none."""
    trials = {}
    for kept in (0.0, 0.5):
        search = Search(start=70.0, width=0.2, trials_max=60)
        bench, found = Simulated(), Hunt(a_plan(), search, 20.0, longest_s=1e6)
        hunt(cast("Bench", bench), found, 1.2e6, kept)
        trials[kept] = len(bench.loads)
        assert found.why == ("time was up" if kept else "")
    assert trials[0.5] == 1 < trials[0.0], "before one is known nothing is kept: a curve of nothing needs no trials"
