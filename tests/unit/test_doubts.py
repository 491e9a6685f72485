"""Each kind of doubt, raised by a recording made for it; what it voids is null, and nothing else is."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from prony.capacity import judge
from prony.document import trial_of
from prony.doubts import KINDS, LATENCY, Doubt, believed, doubts_of, voids_all
from prony.plan import Destination, Limits
from prony.plan.alone import plan_for
from prony.plan.turns import Turns
from prony.probes.canary import canary
from prony.recording import Event, Recording
from prony.samples import JOURNEY_ERROR, NOT_SENT, OK, PORTS_EXHAUSTED, TIMEOUT, WRONG_STATUS
from prony.summary import Metered, summarise
from tests.unit.recording_case import BEGAN_NS, a_clean_recording, a_plan, a_recording, evenly, some_samples

DUE_S = evenly(100, 50)
FIRST = np.arange(5000)


def event(kind: str, text: str = "something") -> Event:
    return Event(BEGAN_NS, kind, "host", text)


def overloaded(rate_rps: float = 150) -> Recording:
    """100 requests a second are served, more are due."""
    due_s = evenly(rate_rps, 50)
    done_s = np.maximum(due_s + 0.01, np.arange(1, len(due_s) + 1) / 100)
    return a_clean_recording(samples=some_samples(due_s, service_s=done_s - due_s))


def not_all_sent(missing: int) -> Recording:
    return a_clean_recording(samples=some_samples(DUE_S, outcome=np.where(missing > FIRST, NOT_SENT, OK)))


def bunched() -> Recording:
    """A slow app, whose latency hides that requests are held up and go out together, every 20 ms."""
    due_s = evenly(200, 50)
    samples = some_samples(due_s, service_s=1.0, lag_s=0.02 - due_s % 0.02)
    return a_clean_recording(samples=samples)


def overlapping() -> Recording:
    """What takes 1.2 s runs from turns with a rest of 0.5 s into another plan's."""
    turns = Turns(length_s=5.0, rest_s=0.5, own=(0, 3, 4, 7, 8), count=10)
    due_s = np.concatenate([5.0 * turn + evenly(250, 4.5) for turn in turns.own])
    plan = a_plan().loaded(rate_rps=250, duration_s=turns.duration_s, turns=turns)
    return a_clean_recording(samples=some_samples(due_s, service_s=1.2), plan=plan)


# Every kind of the closed list, and a recording that raises it.
RAISED_BY: dict[str, Callable[[], Recording]] = {
    "journey_raised": lambda: a_clean_recording(
        samples=some_samples(DUE_S, outcome=np.where(FIRST < 5, JOURNEY_ERROR, OK)),
        load={"failed_checks": {"/: no link": 3, "journeys.py:7 in buy: KeyError: 'x'": 5}},
    ),
    "journey_remark": lambda: a_clean_recording(load={"remarks": ["a cookie is Secure"]}),
    "sent_short": lambda: not_all_sent(51),
    "late_sends": lambda: a_clean_recording(
        samples=some_samples(DUE_S, lag_s=np.where(FIRST < 51, 0.0011, 0.0001), service_s=0.01)
    ),
    "generator_busy": lambda: a_clean_recording(load={"cpu_share": 0.81}),
    "generator_exhausted": lambda: a_clean_recording(
        samples=some_samples(DUE_S, outcome=np.where(FIRST < 5, PORTS_EXHAUSTED, OK))
    ),
    "uneven_sends": bunched,
    "generator_near_limit": lambda: a_clean_recording(series={"generator.calibrated_rps": ([-1], [124.0])}),
    "generator_near_exhaustion": lambda: a_clean_recording(series={"generator.ports_share": ([1, 51], [0.2, 0.81])}),
    "neighbours": lambda: a_clean_recording(counters={"host.busy_s": 0.95}),
    "memory_short": lambda: a_clean_recording(counters={"host.memory_pressure_s": 0.02}),
    "box_periods": lambda: a_clean_recording(counters={"box.app.throttled_periods": 1.0, "box.app.periods": 10.0}),
    "no_store": lambda: a_clean_recording(events=[event("no_store")]),
    "own_store": lambda: a_clean_recording(events=[event("own_store")]),
    "folder_written": lambda: a_clean_recording(events=[event("folder_written")]),
    "box_not_held": lambda: a_clean_recording(events=[event("box_not_held")]),
    "box_beyond_cores": lambda: a_clean_recording(events=[event("box_beyond_cores")]),
    "egress_closed": lambda: a_clean_recording(events=[event("egress_closed")]),
    "probe_failed": lambda: a_clean_recording(events=[event("probe_failed")]),
    "probe_slow": lambda: a_clean_recording(events=[event("probe_slow")]),
    "probes_costly": lambda: a_clean_recording(counters={"probes.cpu_s": 0.021}),
    "few_samples": lambda: a_clean_recording(rate_rps=79.98, duration_s=50),
    "turns_overlap": overlapping,
    "backlog_growing": overloaded,
    "nothing_valid": lambda: a_clean_recording(
        samples=some_samples(DUE_S, status=500, outcome=np.where(FIRST < 49, OK, WRONG_STATUS))
    ),
    "canary_moved": lambda: a_clean_recording(series={"canary.generator_s": ([-1, 51], [0.005, 0.0058])}),
    "memory_moved": lambda: a_clean_recording(series={"canary.stack_memory_s": ([-1, 51], [0.001, 0.00116])}),
    "steal": lambda: a_clean_recording(counters={"host.steal_s": 0.03}),
    "cut_off": lambda: a_clean_recording(cut_off=True),
    "shared_core": lambda: a_clean_recording(events=[event("shared_core")]),
    "one_core": lambda: a_clean_recording(events=[event("one_core")]),
    "hook_only": lambda: a_clean_recording(events=[event("hook_only")]),
    "gauge_silent": lambda: a_recording(some_samples(DUE_S), duration_s=50),
    "gauge_lost": lambda: a_clean_recording(series={"workers.records_lost": ([-1, 20, 51], [0, 0, 120])}),
    "hook_off": lambda: a_clean_recording(events=[event("hook_off")]),
    "app_reached_out": lambda: a_clean_recording(events=[event("egress_refused", "api.example.com")]),
    "not_watched": lambda: a_clean_recording(plan=plan_for(Destination(host="shop.test", port=80), ["/"], {}, ())),
    "mix_guessed": lambda: a_clean_recording(events=[event("mix_guessed")]),
}


def doubts_about(recording: Recording) -> list[Doubt]:
    return doubts_of(recording, summarise(recording))


def named(recording: Recording) -> set[str]:
    return {doubt.name for doubt in doubts_about(recording)}


def test_every_kind_has_a_recording_here() -> None:
    assert set(RAISED_BY) == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_a_doubt_is_raised_by_the_recording_made_for_it_and_says_what_to_do(name: str) -> None:
    recording = RAISED_BY[name]()
    found = {doubt.name: doubt for doubt in doubts_about(recording)}
    assert set(found) == {name}, "a recording made for one doubt raises no other"
    doubt = found[name]
    assert doubt.todo == KINDS[name].todo
    assert doubt.text
    assert doubt.trial == "1.1"
    assert doubt.kind == ("void" if KINDS[name].voids else "note")
    assert bool(doubt.voids) == (doubt.kind == "void")


def test_a_clean_recording_raises_no_doubt() -> None:
    assert doubts_about(a_clean_recording()) == []


def test_a_clean_recording_of_a_thousand_answers_is_short_for_p999_alone() -> None:
    (doubt,) = doubts_about(a_clean_recording(rate_rps=100, duration_s=10))
    assert doubt.name == "few_samples"
    assert doubt.voids == ("latency_s.p999", "service_time_s.p999")


@pytest.mark.parametrize(
    ("answers", "short"),
    [(39, ("p90", "p95", "p99", "p999")), (40, ("p95", "p99", "p999")), (399, ("p99", "p999")), (400, ("p999",))],
)
def test_too_few_answers_void_just_the_quantiles_they_are_too_few_for(answers: int, short: tuple[str, ...]) -> None:
    recording = a_clean_recording(samples=some_samples(np.linspace(0, 49, answers)))
    doubts = doubts_about(recording)
    assert {d.name for d in doubts} == {"few_samples"}
    assert set(doubts[0].voids) == {f"{figure}.{name}" for figure in LATENCY for name in short}
    found = believed(summarise(recording), doubts)
    for values in (found.latency_s, found.service_time_s):
        assert {name for name, value in values.items() if value is None} == set(short)


@pytest.mark.parametrize(
    ("name", "recording"),
    [
        (
            "sent_short",
            lambda: a_clean_recording(samples=some_samples(DUE_S, outcome=np.where(FIRST < 50, NOT_SENT, OK))),
        ),
        ("late_sends", lambda: a_clean_recording(samples=some_samples(DUE_S, lag_s=0.0009, service_s=0.002))),
        ("late_sends", lambda: a_clean_recording(samples=some_samples(DUE_S, lag_s=0.009, service_s=0.2))),
        ("generator_busy", lambda: a_clean_recording(load={"cpu_share": 0.8})),
        ("few_samples", lambda: a_clean_recording(rate_rps=80, duration_s=50)),
        ("canary_moved", lambda: a_clean_recording(series={"canary.generator_s": ([-1, 51], [0.005, 0.0057])})),
        ("memory_moved", lambda: a_clean_recording(series={"canary.stack_2_memory_s": ([-1, 51], [0.001, 0.00114])})),
        ("steal", lambda: a_clean_recording(counters={"host.steal_s": 0.019})),
        ("gauge_lost", lambda: a_clean_recording(series={"workers.records_lost": ([-1, 51], [12, 12])})),
    ],
)
def test_just_within_its_bound_nothing_is_doubted(name: str, recording: Callable[[], Recording]) -> None:
    assert name not in named(recording())


@pytest.mark.parametrize("name", ["sent_short", "generator_busy"])
def test_what_the_generator_failed_at_voids_all(name: str) -> None:
    recording = RAISED_BY[name]()
    summary, doubts = summarise(recording), doubts_about(recording)
    assert voids_all(doubts)
    assert judge(summary, doubts, Limits()).held is None
    found = trial_of(recording.plan, believed(summary, doubts), doubts)
    assert set(found.latency_s.values()) == set(found.service_time_s.values()) == {None}
    assert found.achieved_rps is None
    assert found.offered_rps == summary.offered_rps, "what we ourselves did stays"
    assert found.generator == summary.generator


def test_late_sends_void_latencies_and_excuse_no_limit_that_broke() -> None:
    recording = RAISED_BY["late_sends"]()
    summary, doubts = summarise(recording), doubts_about(recording)
    found = believed(summary, doubts)
    assert set(found.latency_s.values()) == set(found.service_time_s.values()) == {None}
    assert judge(summary, doubts, Limits()).held is True, "lateness only adds to latency"
    assert judge(summary, doubts, Limits(latency_s={"p50": 0.005})).held is None, "which may have been ours"


def test_an_overload_voids_latencies_and_not_the_rate() -> None:
    recording = overloaded()
    summary, doubts = summarise(recording), doubts_about(recording)
    assert not voids_all(doubts)
    found = trial_of(recording.plan, believed(summary, doubts), doubts)
    assert set(found.latency_s.values()) == set(found.service_time_s.values()) == {None}
    assert found.achieved_rps == pytest.approx(100, rel=0.01)
    assert found.errors == summary.errors
    assert found.tiers == summary.tiers
    assert found.send_lag_s == summary.send_lag_s
    assert judge(summary, doubts, Limits()).held is False, "an overload is a result, outside the limits"


def test_wrong_answers_void_latencies_and_the_rate() -> None:
    recording = RAISED_BY["nothing_valid"]()
    summary, doubts = summarise(recording), doubts_about(recording)
    found = trial_of(recording.plan, believed(summary, doubts), doubts)
    assert set(found.latency_s.values()) == {None}
    assert found.achieved_rps is None
    assert found.errors.by_status == {"500": 5000}


def test_few_answers_that_were_all_right_are_no_wrong_answers() -> None:
    samples = some_samples(DUE_S, service_s=30, status=200, outcome=np.where(FIRST < 49, OK, TIMEOUT))
    assert "nothing_valid" not in named(a_clean_recording(samples=samples))


def test_a_note_voids_nothing() -> None:
    summary = summarise(a_clean_recording())
    notes = [
        Doubt(name=kind.name, kind="note", voids=(), text="", todo="") for kind in KINDS.values() if not kind.voids
    ]
    assert believed(summary, notes) == summary


def test_a_void_of_one_figure_leaves_the_others() -> None:
    summary = summarise(a_clean_recording())
    doubt = Doubt(name="few_samples", kind="void", voids=("latency_s.p99",), text="", todo="")
    found = believed(summary, [doubt])
    assert found.latency_s == summary.latency_s | {"p99": None}
    assert [route.latency_s["p99"] for route in found.routes] == [None]
    assert structs.replace(found, latency_s=summary.latency_s, routes=summary.routes) == summary


def test_without_a_request_few_samples_are_no_doubt_of_their_own() -> None:
    assert named(a_recording(some_samples([]))) == set()


def test_tables_of_a_part_of_the_records_are_void_and_a_few_that_are_lost_are_told() -> None:
    few = a_clean_recording(series={"workers.records_lost": ([-1, 51], [0, 50])})
    many = a_clean_recording(series={"workers.records_lost": ([-1, 51], [0, 51])})
    told = [next(doubt for doubt in doubts_about(each) if doubt.name == "gauge_lost") for each in (few, many)]
    assert [doubt.voids for doubt in told] == [(), ("gauged",)]
    row = Metered(kind="host", label="api", count=9, mean_s=0.1, p50_s=0.1, p99_s=None, most_s=0.2)
    summary = structs.replace(summarise(many), gauged=(row,))
    assert [believed(summary, [doubt]).gauged for doubt in told] == [(row,), ()]


def test_a_neighbour_on_another_core_of_the_stack_moves_the_canary_too() -> None:
    series = {"canary.stack_s": ([-1, 51], [0.005, 0.005]), "canary.stack_3_s": ([-1, 51], [0.005, 0.008])}
    recording = a_clean_recording(series=series)
    (found,) = (doubt for doubt in doubts_of(recording, summarise(recording)) if doubt.name == "canary_moved")
    assert found.text == "on the stack's core number 3 from 5.00 to 8.00 ms"


def test_the_canary_is_timed_on_each_core() -> None:
    cores = tuple(sorted(os.sched_getaffinity(0)))[:2]
    found = canary("stack", cores)
    named = ["stack_s", "stack_memory_s", "stack_2_s", "stack_2_memory_s"]
    assert [reading.name for reading in found] == named[: 2 * len(cores)]
    assert all(reading.value > 0 for reading in found)
    assert os.sched_getaffinity(0) >= set(cores)


def test_one_canary_alone_has_not_moved() -> None:
    one: dict[str, Any] = {"canary.generator_s": ([-1], [0.005])}
    assert named(a_clean_recording(series=one)) == set()


def test_what_a_journey_raised_is_told_with_its_line_and_what_it_lacked_is_not() -> None:
    recording = RAISED_BY["journey_raised"]()
    (found,) = (doubt for doubt in doubts_of(recording, summarise(recording)) if doubt.name == "journey_raised")
    assert found.text == "5 times: journeys.py:7 in buy: KeyError: 'x'"
