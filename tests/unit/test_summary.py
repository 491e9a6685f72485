"""Figures of hand-made recordings whose answers are known, and the growth of a backlog in simulated queues."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from prony.recording import Event
from prony.samples import CHECK_FAILED, EVENT_GAP, FIRST_EVENT, NOT_SENT, OK, RESET, TIMEOUT, UNANSWERED, WRONG_STATUS
from prony.summary import Summary, sending_window, summarise
from tests.unit.recording_case import (
    BEGAN_NS,
    SECOND,
    a_clean_recording,
    a_plan,
    a_queue,
    a_recording,
    evenly,
    some_samples,
)

TEN_MS = pytest.approx(0.01)


def test_a_calm_trial_has_the_rate_and_the_latency_it_was_made_of() -> None:
    found = summarise(a_clean_recording(rate_rps=100, duration_s=50))
    assert (found.scheduled, found.sent, found.requests, found.answered) == (5000, 5000, 5000, 5000)
    assert found.offered_rps == pytest.approx(100)
    assert found.duration_s == pytest.approx(50)
    assert found.achieved_rps == pytest.approx(4999 / 50)  # the last answer came after the window
    assert found.latency_s["p50"] == pytest.approx(0.0101)
    assert found.service_time_s["p999"] == TEN_MS
    assert found.send_lag_s == {"p50": pytest.approx(1e-4), "p99": pytest.approx(1e-4), "max": pytest.approx(1e-4)}
    assert found.errors.share == 0
    assert found.errors.by_outcome == {"ok": 5000}
    assert found.errors.by_status == {"200": 5000}
    assert found.title == "gunicorn sync, 1 worker"
    assert not found.cut_off


def test_latency_counts_from_when_a_request_was_due_and_service_time_from_when_it_was_sent() -> None:
    found = summarise(a_recording(some_samples(evenly(100, 10), service_s=0.01, lag_s=0.5)))
    assert found.latency_s["p50"] == pytest.approx(0.51)
    assert found.service_time_s["p50"] == TEN_MS
    assert found.send_lag_s["max"] == pytest.approx(0.5)


def test_quantiles_are_latencies_that_were_measured() -> None:
    service_s = np.arange(1, 1001) / 1000
    found = summarise(a_recording(some_samples(evenly(100, 10), service_s=service_s, lag_s=0.0)))
    assert found.latency_s == {
        "mean": pytest.approx(0.5005),
        "p50": pytest.approx(0.5),
        "p90": pytest.approx(0.9),
        "p95": pytest.approx(0.95),
        "p99": pytest.approx(0.99),
        "p999": pytest.approx(0.999),
        "max": pytest.approx(1.0),
    }


def test_an_answer_after_the_window_counts_as_answered_and_not_as_achieved() -> None:
    samples = some_samples(evenly(100, 10), service_s=np.where(np.arange(1000) < 900, 0.01, 5.0))
    found = summarise(a_recording(samples))
    assert found.answered == 1000
    assert found.achieved_rps == pytest.approx(90)
    assert found.offered_rps == pytest.approx(100)
    assert found.latency_s["max"] == pytest.approx(5.0001)


def test_errors_are_counted_by_outcome_and_by_status() -> None:
    outcome = np.repeat([OK, WRONG_STATUS, CHECK_FAILED, TIMEOUT, RESET], [800, 100, 50, 30, 20])
    status = np.repeat([200, 500, 200, 0, 0], [800, 100, 50, 30, 20])
    found = summarise(a_recording(some_samples(evenly(100, 10), status=status, outcome=outcome)))
    assert found.errors.share == pytest.approx(0.2)
    assert found.errors.by_outcome == {"ok": 800, "wrong_status": 100, "check_failed": 50, "timeout": 30, "reset": 20}
    assert found.errors.by_status == {"200": 850, "500": 100}
    assert found.answered == 950
    assert found.achieved_rps == pytest.approx(80)


def test_what_was_not_sent_or_not_answered_has_no_latency_and_is_an_error() -> None:
    outcome = np.repeat([OK, NOT_SENT, UNANSWERED], [900, 60, 40])
    found = summarise(a_recording(some_samples(evenly(100, 10), outcome=outcome, service_s=0.01)))
    assert (found.scheduled, found.sent, found.answered) == (1000, 940, 900)
    assert found.errors.share == pytest.approx(0.1)
    assert found.latency_s["max"] == pytest.approx(0.0101)


def test_a_trial_without_a_request_has_no_latency_and_no_rate() -> None:
    found = summarise(a_recording(some_samples([])))
    assert found.requests == found.answered == 0
    assert found.offered_rps == found.achieved_rps == 0
    assert set(found.latency_s.values()) == {None}
    assert found.errors.share == 0
    assert not found.backlog.growing


def test_a_trial_that_was_cut_off_is_read_from_its_samples() -> None:
    recording = a_recording(some_samples(evenly(100, 4)), duration_s=10, cut_off=True)
    window = sending_window(recording)
    assert window.start_ns == BEGAN_NS
    assert window.duration_s == pytest.approx(4.0, abs=0.01)
    found = summarise(recording)
    assert found.cut_off
    assert found.offered_rps == pytest.approx(100, rel=0.01)
    assert found.generator == {"cpu_s_per_request": None, "cpu_share": None}


def test_a_trial_that_was_cut_off_before_its_first_answer_is_empty() -> None:
    found = summarise(a_recording(some_samples([]), cut_off=True))
    assert found.cut_off
    assert found.requests == 0
    assert found.offered_rps == 0


def test_an_engine_that_was_told_to_stop_early_leaves_a_trial_that_was_cut_off() -> None:
    assert summarise(a_recording(some_samples(evenly(100, 4)), load={"interrupted": True})).cut_off


def test_the_generators_cpu_is_shared_over_the_requests_it_ended() -> None:
    found = summarise(a_recording(some_samples(evenly(100, 10)), load={"cpu_s": 2.0, "cpu_share": 0.2}))
    assert found.generator == {"cpu_s_per_request": pytest.approx(0.002), "cpu_share": 0.2}


@pytest.mark.parametrize(("load", "share"), [({}, 0.9), ({"cores": 2}, 0.45), ({"cores": 2, "cpu_share": 0.6}, 0.6)])
def test_what_the_generators_used_is_a_share_of_the_cores_they_have_however_many_they_are(
    load: dict[str, Any], share: float
) -> None:
    plan = a_plan({"traffic.generators": 4})
    samples = some_samples(evenly(100, 10))
    found = summarise(a_recording(samples, plan=plan, counters={"generator.cpu_s": 0.9}, load=load))
    assert found.generator["cpu_share"] == pytest.approx(share)


def test_backlog_is_requests_due_and_not_yet_answered() -> None:
    found = summarise(a_recording(some_samples(evenly(100, 30), service_s=0.5), duration_s=30))  # Little: 100 × 0.5
    assert found.backlog.mean == pytest.approx(50, abs=1)
    assert found.backlog.slope_per_s == pytest.approx(0, abs=0.1)
    assert not found.backlog.growing


def test_a_backlog_grows_at_the_rate_that_is_not_served() -> None:
    due_s = evenly(150, 10)
    done_s = np.maximum(due_s + 0.01, np.arange(1, len(due_s) + 1) / 100)
    found = summarise(a_recording(some_samples(due_s, service_s=done_s - due_s, lag_s=0.0), duration_s=10))
    assert found.backlog.growing
    assert found.backlog.slope_per_s == pytest.approx(50, rel=0.02)
    assert found.backlog.rise == pytest.approx(50 * 10 * 2 / 3, rel=0.05)


def test_requests_never_answered_stay_in_the_backlog() -> None:
    outcome = np.where(np.arange(2000) % 2, OK, UNANSWERED)
    found = summarise(a_recording(some_samples(evenly(200, 10), outcome=outcome)))
    assert found.backlog.growing
    assert found.backlog.slope_per_s == pytest.approx(100, rel=0.02)


def test_a_closed_loop_has_no_growing_backlog() -> None:
    due_s = evenly(150, 10)
    samples = some_samples(due_s, service_s=0.01 + 0.3 * due_s)
    assert summarise(a_recording(samples)).backlog.growing
    assert not summarise(a_recording(samples, plan=a_plan({"traffic.users": 50}))).backlog.growing


def grew(rate_rps: float, service_rps: float, duration_s: float, *, seeds: int = 200) -> float:
    """Of simulated M/M/1 queues, the share whose backlog is called growing."""

    def growing(seed: int) -> bool:
        samples = a_queue(rate_rps, service_rps, duration_s, seed)
        return summarise(a_recording(samples, duration_s=duration_s)).backlog.growing

    return sum(map(growing, range(seeds))) / seeds


@pytest.mark.parametrize(("rate_rps", "duration_s"), [(20, 10), (100, 3), (100, 10), (300, 10)])
def test_the_ups_and_downs_of_a_queue_in_balance_are_no_growth(rate_rps: float, duration_s: float) -> None:
    assert grew(rate_rps, rate_rps / 0.7, duration_s) <= 0.05  # seen: 0 to 0.005


@pytest.mark.parametrize(("rate_rps", "duration_s"), [(500, 3), (200, 6), (100, 10)])
def test_a_fifth_more_than_can_be_served_is_growth(rate_rps: float, duration_s: float) -> None:
    # Fewer requests than these do not tell: at 100 rps for 3 s the growth is one standard deviation of its own chance.
    assert grew(rate_rps, rate_rps / 1.2, duration_s) >= 0.95  # seen: 0.96 to 0.99


@pytest.mark.parametrize("duration_s", [3, 10])
def test_half_as_much_again_as_can_be_served_is_growth_at_100_rps(duration_s: float) -> None:
    assert grew(100, 100 / 1.5, duration_s) >= 0.95


def tiers_of(**readings: dict[str, float]) -> Summary:
    """The summary of 1 000 answers in ten seconds with these levels and counters."""
    return summarise(a_recording(some_samples(evenly(100, 10)), **readings))  # type: ignore[arg-type]


def test_levels_are_averaged_and_counters_become_rates() -> None:
    found = tiers_of(
        levels={
            "workers.slots": 4.0,
            "workers.in_flight": 3.0,
            "listen_queue.length": 7.0,
            "app.busiest_process_share": 0.6,
            "connections.count": 17.0,
            "connections.limit": 20.0,
            "connections.usable": 17.0,
            "database.active": 3.0,
            "database.lock_waits": 2.0,
            "host.cores": 2.0,
        },
        counters={
            "workers.ended": 100.0,
            "workers.busy_s": 2.0,
            "workers.connects": 50.0,
            "workers.connect_s": 0.5,
            "app.cpu_s": 0.8,
            "database.cpu_s": 0.4,
            "database.sessions": 50.0,
            "host.busy_s": 1.5,
            "host.steal_s": 0.02,
            "listen_queue.overflows": 3.0,
        },
    ).tiers
    near = partial(pytest.approx, rel=2e-3)  # the last answer comes after the window
    assert found["workers"]["in_flight_share"] == near(0.75)
    assert found["workers"]["in_app_s_per_request"] == near(0.02)
    assert found["workers"]["connects_per_request"] == near(0.5)
    assert found["workers"]["connect_share"] == near(0.25)
    assert found["listen_queue"] == {"length_mean": near(7), "length_max": near(7), "overflows": near(30)}
    assert found["app"]["cpu_share"] == near(0.8)
    assert found["app"]["cpu_s_per_request"] == near(0.008)
    assert found["app"]["busiest_process_share"] == near(0.6)
    assert found["connections"] == {"refused": 0.0, "most": 17.0, "limit": 20.0, "usable": 17.0}
    assert found["database"]["cpu_s_per_request"] == near(0.004)
    assert found["database"]["lock_waits_mean"] == near(2.0)
    assert found["database"]["sessions_per_request"] == near(0.5)
    assert found["host"] == {
        "cores": 2.0,
        "busy_share": near(0.75),
        "steal_share": near(0.01),
        "stack_share": near(1.2),
    }


def test_a_tier_that_was_never_read_has_no_figures() -> None:
    found = summarise(a_recording(some_samples(evenly(100, 10)))).tiers
    for tier, figures in found.items():
        assert {name: value for name, value in figures.items() if value is not None} == (
            {"refused": 0.0} if tier == "connections" else {}
        )


def test_readings_outside_the_sending_window_do_not_count() -> None:
    series = {"listen_queue.length": ([-5.0, 1.0, 5.0, 14.0], [900.0, 2.0, 4.0, 800.0])}
    found = summarise(a_recording(some_samples(evenly(100, 10)), series=series)).tiers["listen_queue"]
    assert (found["length_mean"], found["length_max"]) == (3.0, 4.0)


def test_two_readings_of_one_instant_are_no_rate() -> None:
    series = {"app.cpu_s": ([1.0, 1.0], [2.0, 3.0])}
    found = summarise(a_recording(some_samples(evenly(100, 10)), series=series)).tiers["app"]
    assert found["cpu_share"] is None


def test_events_are_counted_by_their_text() -> None:
    at = BEGAN_NS + SECOND
    events = [
        Event(at, "exception", "app", "OperationalError [53300]", 40),
        Event(at, "exception", "app", "OperationalError [53300]", 2),
        Event(at, "exception", "app", "ValueError"),
        Event(at, "egress_refused", "app", "api.example.com", 3),
        Event(at, "connection_refused", "database", "sorry, too many clients already", 41),
    ]
    found = summarise(a_recording(some_samples(evenly(100, 10)), events=events))
    assert found.exceptions == {"OperationalError [53300]": 42, "ValueError": 1}
    assert found.egress_refused == {"api.example.com": 3}
    assert found.tiers["connections"]["refused"] == 41


@pytest.mark.parametrize("kind", ["hook_off", "connect_error", "queue_depth"])
def test_what_is_to_be_warned_of_is_an_incident(kind: str) -> None:
    event = Event(BEGAN_NS + SECOND, kind, "app", "what it was", 3)
    found = summarise(a_recording(some_samples(evenly(100, 10)), events=[event]))
    assert found.happened == {kind: 3}
    assert [(each.kind, each.tier, each.text, each.times) for each in found.incidents] == [
        (kind, "app", "what it was", 3)
    ]


def test_a_stream_is_answered_with_its_first_event_and_its_gaps_are_told() -> None:
    requests = some_samples([1.0, 2.0, 3.0], service_s=5.0, lag_s=0.0)
    requests["arrival"] = [0, 1, 2]
    events = np.concatenate([requests[:2], requests[:2]])
    events["kind"] = [FIRST_EVENT, FIRST_EVENT, EVENT_GAP, EVENT_GAP]
    events["done_ns"][:2] = events["due_ns"][:2] + 20_000_000
    events["due_ns"][2:] = events["done_ns"][:2]
    events["done_ns"][2:] = events["due_ns"][2:] + 300_000_000
    found = summarise(replace(a_recording(requests), stream_events=events))
    assert found.latency_s["p50"] == pytest.approx(0.02)
    assert found.latency_s["max"] == pytest.approx(5.0), "the third had no event before its end"
    (streams,) = found.streams
    assert (streams.streams, streams.events) == (2, 4)
    assert streams.first_event_s["p50"] == pytest.approx(0.02)
    assert streams.event_gap_s["max"] == pytest.approx(0.3)


def test_tries_again_are_counted() -> None:
    samples = some_samples([1.0, 2.0, 3.0])
    samples["attempt"] = [0, 1, 2]
    assert summarise(a_recording(samples)).retries == 2
