"""What each route did is told by route: counts, errors, times; quantiles only where there were answers enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prony.doubts import believed, doubts_of
from prony.plan import Plan, read_document
from prony.recording import ROUTE, Event
from prony.samples import OK, UNANSWERED, WRONG_STATUS
from prony.summary import RouteFigures, summarise
from tests.unit.recording_case import a_recording, evenly, some_samples


def a_shop(*paths: str) -> Plan:
    document = {"app": {"entry": "shop:app"}, "traffic": {"request": [{"path": path} for path in paths]}}
    return read_document(document, "prony.toml", Path("/nowhere/shop"))


def figures(samples: Any, plan: Plan) -> dict[str, RouteFigures]:
    return {each.name: each for each in summarise(a_recording(samples, plan=plan)).routes}


def test_each_route_has_its_own_times_and_errors() -> None:
    due = evenly(100, 10)
    samples = some_samples(due, service_s=np.where(np.arange(1000) % 4 == 0, 0.2, 0.01))
    samples["route"] = np.where(np.round((samples["done_ns"] - samples["sent_ns"]) / 1e9, 3) == 0.2, 1, 0)
    wrong = np.flatnonzero(samples["route"] == 1)[:50]
    samples["outcome"][wrong] = WRONG_STATUS
    found = figures(samples, a_shop("/", "/slow"))
    assert (found["/"].requests, found["/slow"].requests) == (750, 250)
    assert (found["/"].errors, found["/slow"].errors) == (0.0, 0.2)
    assert found["/"].service_time_s["p50"] == pytest.approx(0.01, abs=1e-6)
    assert found["/slow"].service_time_s["p50"] == pytest.approx(0.2, abs=1e-6)
    assert found["/"].bytes == 100


def test_a_route_nobody_asked_for_is_there_with_nothing_in_it() -> None:
    found = figures(some_samples(evenly(10, 10)), a_shop("/", "/never"))
    assert found["/never"].requests == 0
    assert found["/never"].errors == 0.0
    assert set(found["/never"].latency_s.values()) == {None}
    assert found["/never"].bytes is None


def test_requests_without_an_answer_count_as_failed_and_have_no_time() -> None:
    samples = some_samples(evenly(10, 10), outcome=UNANSWERED, status=0)
    found = figures(samples, a_shop("/"))["/"]
    assert (found.requests, found.errors) == (100, 1.0)
    assert found.latency_s["p50"] is None


def test_a_quantile_wants_answers_enough_of_its_own_route() -> None:
    samples = some_samples(evenly(100, 10), outcome=OK)
    samples["route"] = np.arange(1000) % 10 == 0  # 100 of the second, 900 of the first
    recording = a_recording(samples, plan=a_shop("/", "/rare"))
    summary = summarise(recording)
    kept = {each.name: each for each in believed(summary, doubts_of(recording, summary)).routes}
    assert kept["/"].latency_s["p99"] is not None
    assert kept["/rare"].latency_s["p99"] is None
    assert kept["/rare"].latency_s["p50"] is not None


def test_the_steps_of_journeys_are_routes_after_those_of_the_plan() -> None:
    samples = some_samples(evenly(40, 10))
    samples["route"] = np.arange(400) % 4
    names = [(3, "POST /cart/"), (1, "/products/{id}/")]
    events = [Event(1, ROUTE, "traffic", f"{number} {name}") for number, name in names]
    found = summarise(a_recording(samples, plan=a_shop("/"), events=events)).routes
    assert [each.name for each in found] == ["/", "/products/{id}/", "route 2", "POST /cart/"]
    assert [each.requests for each in found] == [100, 100, 100, 100]
