"""The first answer, from trials that were made up: pages' own costs, a light and a heavy load, a verdict, what next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prony.campaign import costs, first
from prony.campaign.bench import Bench, Measured, Silent
from prony.capacity import judge
from prony.document import Document
from prony.doubts import doubts_of
from prony.plan import Plan, read_document
from prony.samples import OK, WRONG_STATUS
from prony.summary import summarise
from tests.unit.recording_case import a_queue, a_recording, evenly, some_samples

# Seconds that a request of each page takes, on a made-up server of one slot.
TIMES = {"/": 0.004, "/report/": 0.1, "/gone/": 0.002}


class MadeUp(Bench):
    """A bench whose trials are worked out: every page takes its time, one request after the other."""

    def __init__(self, *, wrong: frozenset[str] = frozenset()) -> None:
        self.verb, self.title, self.campaign = "run", "made up", 1
        self.teller = Silent()
        self.machine = {"prony": "0"}
        self.started_at = "2026-11-25T00:00:00+00:00"
        self.measured = []
        self.wrong = wrong
        self.asked: list[tuple[str, Plan]] = []

    def measure(self, plan: Plan, label: str, role: str = "trial", *, fresh: bool = True) -> Measured:  # noqa: ARG002
        self.asked.append((label, plan))
        load = plan.traffic
        each_s = sum(TIMES[r.path] * r.weight for r in load.requests) / sum(r.weight for r in load.requests)
        if load.users is not None:
            count = max(1, int(load.duration_s / each_s))
            samples = some_samples(evenly(count / load.duration_s, load.duration_s), service_s=each_s)
        else:
            samples = a_queue(load.rate_rps or 1.0, 1 / each_s, load.duration_s, 1, fixed=True)
        samples["route"] = [n % len(load.requests) for n in range(len(samples))]
        for number, request in enumerate(load.requests):
            its = samples["route"] == number
            if load.users == 1:
                samples["done_ns"][its] = samples["sent_ns"][its] + int(TIMES[request.path] * 1e9)
            samples["outcome"][its & (samples["outcome"] == OK)] = WRONG_STATUS if request.path in self.wrong else OK
        levels = {"workers.slots": 1.0, "workers.in_flight": 1.0, "host.cores": 1.0}
        recording = a_recording(
            samples,
            duration_s=load.duration_s,
            plan=plan,
            levels=levels,
            counters={"app.cpu_s": 0.97, "host.busy_s": 0.98},
        )
        summary = summarise(recording)
        doubts = tuple(doubts_of(recording, summary))
        found = Measured(plan, summary, doubts, judge(summary, doubts, plan.limits), 1)
        self.measured.append(found)
        return found


def a_shop(*paths: str, declared: bool = True) -> Plan:
    requests: list[dict[str, Any]] = [{"path": path, "weight": 1 + n} for n, path in enumerate(paths)]
    traffic = {"request": requests} if declared else {}
    document = {"app": {"entry": "shop:app"}, "traffic": traffic, "server": {"workers": 1}}
    return read_document(document, "prony.toml", Path("/nowhere/shop"))


def answered(bench: MadeUp, plan: Plan) -> tuple[Document, Measured]:
    import time

    return first.answer(bench, plan, time.monotonic())


def test_it_leads_with_what_each_page_costs_the_costliest_first() -> None:
    bench = MadeUp()
    document, _ = answered(bench, a_shop("/", "/report/", "/gone/"))
    assert [each.name for each in document.routes] == ["/report/", "/", "/gone/"]
    by_name = {each.name: each for each in document.routes}
    assert by_name["/report/"].time_s == pytest.approx(0.1, rel=1e-3)
    assert by_name["/report/"].alone_rps == pytest.approx(10, rel=0.2)
    assert by_name["/"].alone_rps == pytest.approx(250, rel=0.2)


def test_a_pages_cost_is_the_same_whatever_its_weight() -> None:
    bench = MadeUp()
    answered(bench, a_shop("/", "/report/"))
    alone = [plan for label, plan in bench.asked if label.startswith(("each", "nothing but"))]
    assert all(len({request.weight for request in plan.traffic.requests}) == 1 for plan in alone)


def test_a_light_load_holds_and_a_heavy_one_is_explained() -> None:
    bench = MadeUp()
    document, light = answered(bench, a_shop("/", "/report/"))
    assert light.judgement.held is True
    labels = [label for label, _ in bench.asked]
    assert labels[-2:] == ["light load", "heavy load"]
    assert document.verdicts[0].cause == "app_cpu"
    assert "/report/" in document.next[0].why
    assert document.next[-1].command == "prony find"


def test_wrong_answers_end_it_there_and_lead_to_a_look() -> None:
    bench = MadeUp(wrong=frozenset(TIMES))
    document, light = answered(bench, a_shop("/", "/report/"))
    assert light.judgement.held is False
    assert document.verdicts[0].cause == "wrong_answers"
    assert [each.command for each in document.next] == ["prony check"]
    assert not any(label.startswith(("nothing but", "heavy")) for label, _ in bench.asked)
    assert {each.time_s for each in document.routes} == {None}


def test_one_wrong_page_has_no_time_and_the_others_do() -> None:
    document, _ = answered(MadeUp(wrong=frozenset({"/gone/"})), a_shop("/", "/gone/"))
    by_name = {each.name: each for each in document.routes}
    assert by_name["/gone/"].time_s is None
    assert by_name["/gone/"].alone_rps is None
    assert by_name["/gone/"].errors == 1.0
    assert by_name["/"].alone_rps is not None


def test_a_guessed_mix_is_said_before_any_figure() -> None:
    document, _ = answered(MadeUp(), a_shop(declared=False))
    assert any("mix" in line for line in document.declared)


def test_pages_go_without_a_load_of_their_own_when_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "LEAST_S", 0.0)
    bench = MadeUp()
    found, _ = costs.measure(bench, a_shop("/", "/report/", "/gone/"), budget_s=0.0)
    assert [label for label, _ in bench.asked] == ["each page by itself"]
    assert all(each.time_s is not None and each.alone_rps is None for each in found)


def test_the_slowest_page_has_a_load_of_its_own_though_the_start_took_all_the_time() -> None:
    bench = MadeUp()
    costs.measure(bench, a_shop("/", "/report/", "/gone/"), budget_s=-60.0)
    assert [label for label, _ in bench.asked][:2] == ["each page by itself", "nothing but /report/"]
