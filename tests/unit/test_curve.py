"""The loads that a curve lacks; a search and its curve on a simulated queue; and the curve as it is shown."""

from __future__ import annotations

import io
import math
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from rich.console import Console

from prony.campaign.bench import Bench, Measured, Silent
from prony.campaign.curve import curve_of, trace
from prony.campaign.find import Hunt, hunt
from prony.capacity import Capacity, Curve, Point, Search, Tracing, judge, utilisation
from prony.capacity.curve import CLEAR, NEAR, TRIES
from prony.document import Document
from prony.doubts import doubts_of
from prony.plan import Plan
from prony.report import terminal
from prony.report.html import render
from prony.summary import summarise
from tests.unit.recording_case import a_plan, a_queue, a_recording
from tests.unit.report_case import a_trial
from tests.unit.test_report_html import Reader, an_empty

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
        bench, found = Simulated(), Hunt(a_plan(), Search(start=70.0, width=0.2), 20.0, longest_s=1e6)
        hunt(cast("Bench", bench), found, 1.2e6, kept)
        trials[kept] = len(bench.loads)
        assert found.why == ("time was up" if kept else "")
    assert trials[0.5] == 1 < trials[0.0], "before one is known nothing is kept: a curve of nothing needs no trials"


# ---- as it is shown

UNKNOWN: dict[str, float | None] = {"p50": None, "p90": None, "p99": None}


def a_point(load: float, trial: str, **more: object) -> Point:
    point = Point(
        load=load,
        offered_rps=load + 1,
        achieved_rps=load,
        latency_s={"p50": 0.012, "p90": 0.034, "p99": 0.156},
        errors=0.0,
        backlog_per_s=None,
        utilisation={"app": 0.31, "workers": 0.47, "database": None, "host": 0.5, "generator": 0.07},
        trial=trial,
        start=1,
        duration_s=5.0,
        held=True,
    )
    return structs.replace(point, **more)


CURVE = Curve(
    title="gunicorn [sync], 3 workers",
    unit="rps",
    points=(
        a_point(50.0, "1.2", latency_s=UNKNOWN | {"p50": 0.0111}),
        a_point(98.0, "1.3"),
        a_point(98.0, "1.4", latency_s={"p50": 0.013, "p90": 0.035, "p99": 0.199}),
        a_point(130.0, "1.5", achieved_rps=99.0, latency_s=UNKNOWN, backlog_per_s=31.0, held=False, errors=0.24),
        a_point(140.0, "1.6", achieved_rps=None, latency_s=UNKNOWN, errors=None, held=None),
    ),
    missing=(25.0,),
)
CAPACITY = Capacity(
    title=CURVE.title, low_rps=95.0, high_rps=105.0, at_least="", starts=9, trials=14, limits="p99 ≤ 1 s"
)


def a_document(curve: Curve = CURVE, capacity: Capacity = CAPACITY) -> Document:
    trials = tuple(
        a_trial(number, f"{load:.0f} rps", offered=load, achieved=None, p50=None)
        for number, load in (("1.1", 77.0), *((point.trial, point.load) for point in curve.points))
    )
    return an_empty("find", capacities=(capacity,), curves=(curve,), trials=trials)


def at_the_terminal(document: Document, width: int = 140) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    terminal.show(console, document, {})
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return] # the file it was given


def test_the_document_comes_back_from_json_as_it_was() -> None:
    document = a_document()
    assert msgspec.json.decode(msgspec.json.encode(document), type=Document) == document
    old = msgspec.json.decode(msgspec.json.encode(document))
    del old["curves"]
    assert msgspec.convert(old, Document).curves == (), "one of before there were curves is read"


def row(lines: list[str], trial: str) -> list[str]:
    return next(line for line in lines if f" {trial} " in line + " ").split()


@pytest.mark.parametrize("width", [140, 118, 102, 80])
def test_at_the_terminal_each_trial_is_a_row_and_none_is_cut(width: int) -> None:
    lines = at_the_terminal(a_document(), width)
    assert not [line for line in lines if "…" in line]
    rows = [line for line in lines if any(f" {point.trial}" in line for point in CURVE.points)]
    assert len(rows) == len(CURVE.points)
    assert ["┃" in line for line in rows] == [False, True, True, False, False], "what lies within the interval"
    assert "gunicorn [sync], 3 workers" in "\n".join(lines)


def test_at_the_terminal_a_row_has_every_figure() -> None:
    lines = at_the_terminal(a_document())
    assert row(lines, "1.3")[1:16] == [
        *("98", "99", "98", "12", "ms", "34", "ms", "156", "ms", "0", "47", "31", "50", "held", "1.3"),
    ]  # fmt: skip
    assert row(lines, "1.2")[3:7] == ["11", "ms", "–", "–"], "too few answers for p90 and p99"
    over = row(lines, "1.5")
    assert over[:7] == ["130", "131", "99", "–", "–", "–", "24"]
    assert "+31" in over
    assert "broken" in over
    assert over[-1].count("█") == 14
    assert over[-1].count("░") == 5
    assert row(lines, "1.6")[2:7] == ["–", "–", "–", "–", "–"]
    assert "unsure" in row(lines, "1.6")
    text = "\n".join(lines)
    assert "Not tried: 25 rps." in text
    assert "Where the backlog grew, latency measures how long the trial ran: none is told." in text


def test_at_the_terminal_a_trial_that_is_on_the_curve_has_no_line_besides() -> None:
    text = "\n".join(at_the_terminal(a_document()))
    assert text.count("1.3") == 1
    assert "   1.1      77 rps" in text


def test_without_an_interval_no_row_is_marked() -> None:
    for low, high in ((95.0, None), (None, 105.0), (None, None)):
        capacity = structs.replace(CAPACITY, low_rps=low, high_rps=high, at_least="" if high else "time was up")
        assert "┃" not in "".join(at_the_terminal(a_document(capacity=capacity)))


def test_the_report_has_the_same_with_the_capacity_shaded_and_why_a_figure_is_lacking() -> None:
    page = Reader(render(a_document(), {}))
    assert page.open == []
    text = page.text
    assert "Shaded: the capacity, 95 to 105 rps (95 % sure), within p99 ≤ 1 s." in text
    assert "Not tried: 25 rps." in text
    assert "The trials of the curve as a table" in text
    assert [a.get("data-curve") for _, a in page.tags if "data-curve" in a] == ["0"]
    drawn = msgspec.json.decode(page.scripts[0])["curves"]
    assert len(drawn) == 1
    assert drawn[0]["load"] == [50, 98, 98, 130, 140]
    assert drawn[0]["held_rps"] == [50, 98, 98, None, None]
    assert drawn[0]["broke_rps"] == [None, None, None, 99, None]
    assert drawn[0]["backlog"] == [False, False, False, True, False]
    assert drawn[0]["latency_s"]["p99"] == [None, 0.156, 0.199, None, None], "two at one load are two"
    assert drawn[0]["intervals"] == [{"low": 95, "high": 105}]
    assert [each["name"] for each in drawn[0]["utilisation"]] == ["slots", "app CPU", "cores"]


def test_intervals_of_other_limits_are_shaded_too_and_those_of_other_plans_are_not() -> None:
    strict = structs.replace(CAPACITY, low_rps=40.0, high_rps=None, at_least="time was up", limits="p99 ≤ 50 ms")
    other = structs.replace(CAPACITY, title="another")
    document = structs.replace(a_document(), capacities=(CAPACITY, strict, other))
    page = Reader(render(document, {}))
    drawn = msgspec.json.decode(page.scripts[0])["curves"][0]
    assert drawn["intervals"] == [{"low": 95, "high": 105}, {"low": 40, "high": None}]
    assert "at least 40 rps (time was up), within p99 ≤ 50 ms." in page.text


def test_a_curve_of_users_says_users_and_what_they_asked_for() -> None:
    users = Curve(title="t", unit="users", points=(a_point(4.0, "1.2", offered_rps=61.0, achieved_rps=60.0),))
    capacity = Capacity(
        title="t", low_rps=None, high_rps=None, low_users=3, high_users=5, at_least="", starts=9, trials=14
    )
    document = a_document(users, capacity)
    lines = at_the_terminal(document)
    assert row(lines, "1.2")[:4] == ["┃", "4", "61", "60"]
    assert any(" users " in line for line in lines)
    page = Reader(render(document, {}))
    assert "Load, users" in page.text
    assert "3–5 users" in page.text
    assert "Shaded: the capacity, 3 to 5 users" in page.text


def test_texts_in_a_curve_are_escaped() -> None:
    page = render(a_document(structs.replace(CURVE, title="<script>x</script>")), {})
    assert "<script>x" not in page
    assert Reader(page).open == []


def test_a_document_without_a_curve_has_no_heading_for_one() -> None:
    document = an_empty("find", capacities=(CAPACITY,))
    assert 'id="curves"' not in render(document, {})
    assert "The curve" not in "\n".join(at_the_terminal(document))
