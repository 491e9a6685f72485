"""What is made of a recording whose load went alone: what no stack could tell is "not watched", never a failure."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest
from msgspec import structs
from rich.console import Console

from prony.capacity import judge
from prony.document import Document, trial_of
from prony.doubts import believed, doubts_of
from prony.plan import Destination, Plan
from prony.plan.alone import plan_for
from prony.recording import Event, Recording
from prony.report import html, terminal
from prony.report.series import series_of
from prony.summary import summarise
from prony.verdict import CAUSES, Verdict, advise, conclude
from tests.unit.recording_case import BEGAN_NS, a_queue, a_recording, evenly, some_samples

PLAN = plan_for(
    Destination(host="shop.example.com", port=8000, address="198.51.100.7", consent="header"), ["/a?b=c&d"], {}, ()
)
LISTENS = Event(BEGAN_NS, "listener", "app", "only the processes that listen there (python3) were watched")
FULL_CPU: dict[str, Any] = {
    "levels": {"host.cores": 1.0, "listen_queue.length": 12.0, "app.busiest_process_share": 0.97},
    "counters": {"app.cpu_s": 0.98, "host.busy_s": 1.0, "host.steal_s": 0.0},
}


def loaded(rate_rps: float) -> Plan:
    return PLAN.loaded(rate_rps=rate_rps, duration_s=10.0)


def slow(**watched: Any) -> Recording:
    samples = a_queue(200, 100, 10, seed=1)
    return a_recording(samples, plan=loaded(200), events=[LISTENS], **watched)


def calm(**watched: Any) -> Recording:
    return a_recording(some_samples(evenly(100, 10)), plan=loaded(100), events=[LISTENS], **watched)


def verdict_of(recording: Recording) -> Verdict:
    summary = summarise(recording)
    doubts = doubts_of(recording, summary)
    return conclude(summary, judge(summary, doubts, recording.plan.limits))


def document_of(recording: Recording) -> Document:
    summary = summarise(recording)
    doubts = doubts_of(recording, summary)
    verdict = verdict_of(recording)
    return Document(
        prony="0",
        verb="run",
        title=recording.plan.title,
        campaign=1,
        started_at="2026-11-28T08:00:00+00:00",
        status="done",
        machine={},
        trials=(trial_of(recording.plan, believed(summary, doubts), doubts),),
        doubts=tuple(doubts),
        verdicts=(verdict,),
        next=advise(verdict, recording.plan, summary),
    )


def test_what_a_stack_would_have_told_is_one_note_and_voids_nothing() -> None:
    recording = calm(**FULL_CPU)
    doubts = {each.name: each for each in doubts_of(recording, summarise(recording))}
    assert (doubts["not_watched"].kind, doubts["not_watched"].text) == ("note", LISTENS.text)
    assert not {"gauge_silent", "neighbours", "no_store", "mix_guessed"} & doubts.keys()


def test_limits_that_held_did_hold() -> None:
    verdict = verdict_of(calm())
    assert (verdict.cause, verdict.tier) == ("none", "none")


@pytest.mark.parametrize("watched", [{}, FULL_CPU], ids=["elsewhere", "here"])
def test_slowness_names_no_tier_and_says_so(watched: dict[str, Any]) -> None:
    verdict = verdict_of(slow(**watched))
    assert (verdict.tier, verdict.tier_grade) == ("unknown", "unknown")
    assert (verdict.cause, verdict.cause_grade) == ("not_watched", "unknown")
    assert any("http://shop.example.com:8000 was not watched" in line for line in verdict.evidence)
    seen = " ".join(verdict.evidence)
    assert ("0.98 of a core; the busiest of them 97% of one" in seen) == bool(watched)
    assert ("12 connections waited" in seen) == bool(watched)
    assert ("1 core(s), the generator's among them, were 100% busy" in seen) == bool(watched)
    assert "app.cpu_share" in verdict.figures or not watched


def test_failures_that_come_with_right_answers_name_no_tier() -> None:
    outcomes = [0 if n % 3 else 1 for n in range(1000)]
    samples = some_samples(evenly(100, 10), status=[200 if n % 3 else 503 for n in range(1000)], outcome=outcomes)
    verdict = verdict_of(a_recording(samples, plan=loaded(100)))
    assert (verdict.cause, verdict.tier) == ("not_watched", "unknown")
    assert any("334 × 503" in line for line in verdict.evidence)


def test_wrong_answers_are_wrong_whoever_gives_them() -> None:
    samples = some_samples(evenly(100, 10), status=302, outcome=1)
    verdict = verdict_of(a_recording(samples, plan=loaded(100)))
    assert verdict.cause == "wrong_answers"


def test_what_to_try_next_can_be_typed_as_it_stands() -> None:
    held, broken = document_of(calm()), document_of(slow())
    wrong = document_of(a_recording(some_samples(evenly(100, 10), status=302, outcome=1), plan=loaded(100)))
    quoted = "'http://shop.example.com:8000/a?b=c&d'"
    assert [each.command for each in held.next] == [f"prony find --url {quoted}"]
    assert [each.command for each in broken.next] == ["prony init", f"prony find --url {quoted}"]
    assert [each.command for each in wrong.next] == [f"curl -i {quoted}"]


@pytest.mark.parametrize("recording", [calm(), slow(), slow(**FULL_CPU)], ids=["held", "elsewhere", "here"])
def test_it_is_told_at_the_terminal_as_a_page_and_as_json(recording: Recording) -> None:
    document = document_of(recording)
    series = {recording.id: series_of(recording)}
    printed = io.StringIO()
    terminal.show(Console(width=140, file=printed), document, series)
    text = printed.getvalue()
    page = html.render(document, series)
    plan = document.trials[0].plan
    assert plan["destination"]["url"] == "http://shop.example.com:8000"
    assert (plan["app"], plan["server"], plan["slots"], plan["database"]) == (None, None, None, None)
    assert msgspec.json.decode(msgspec.json.encode(document), type=Document) == document
    assert "http://shop.example.com:8000" in page
    assert "not watched" in page or document.verdicts[0].cause == "none"
    assert "What limits it" in text
    assert "not_watched" in text
    assert "None" not in text
    assert "db conns" not in text


def test_a_plan_with_a_destination_is_stored_and_read_back() -> None:
    plan = loaded(100).redacted()
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan
    assert structs.replace(plan, destination=None) != plan
    assert "not_watched" in CAUSES
