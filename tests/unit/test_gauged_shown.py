"""What the gauge saw of a trial comes from the recording's events, and is shown at the terminal and in the page."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import msgspec
from rich.console import Console, RenderableType

from prony.document import Document, Trial, trial_of
from prony.recording import Event
from prony.report.gauged import gauged
from prony.report.histogram import bars, in_characters
from prony.report.html import render
from prony.report.inside import subject
from prony.report.terminal import show
from prony.summary import Incident, summarise
from prony.summary.gauged import EACH, TABLE, Metered, gauged_of
from tests.unit.recording_case import a_clean_recording
from tests.unit.report_case import a_replay, a_trial, a_verdict

ROW = {
    "kind": "route",
    "label": "GET /shop/[b]<int:pk>",
    "count": 4,
    "most_s": 0.3,
    "total_s": 0.4,
    **dict.fromkeys(EACH, 0),
    "statements": 12,
    "statement_s": 0.1,
    "lookups": 8,
    "hits": 6,
    "buckets": [[27, 4]],
}


def found() -> tuple[Metered, ...]:
    statement = {**ROW, "kind": "statement", "label": "SELECT ?", "total_s": 2.0}
    events = tuple(Event(0, TABLE, "app", json.dumps(row)) for row in (ROW, statement))
    return gauged_of(replace(a_clean_recording(), events=events))


def test_a_route_s_figures_are_means_of_one_request() -> None:
    statement, route = found()
    assert (statement.label, route.label) == ("SELECT ?", ROW["label"])
    assert (route.count, route.mean_s, route.hit_share) == (4, 0.1, 0.75)
    assert (route.each["statements"], route.each["statement_s"], route.each["cpu_s"]) == (3.0, 0.025, None)
    assert 2**26 / 1e9 <= route.p50_s <= 2**27 / 1e9
    assert statement.each == {}


def of(**figures: object) -> Metered:
    events = (Event(0, TABLE, "app", json.dumps({**ROW, **figures})),)
    return gauged_of(replace(a_clean_recording(), events=events))[0]


def test_a_p99_is_told_of_four_hundred_or_more() -> None:
    assert of(count=399, buckets=[[27, 399]]).p99_s is None
    p99_s = of(count=400, buckets=[[27, 399], [28, 1]]).p99_s
    assert p99_s is not None
    assert 2**26 / 1e9 <= p99_s <= 2**27 / 1e9


def test_the_histogram_has_its_bounds_in_seconds_and_no_empty_bucket() -> None:
    buckets = of(buckets=[[20, 6], [21, 0], [22, 1], [24, 12]]).buckets
    assert [(each.below_s, each.count) for each in buckets] == [(2**20 / 1e9, 6), (2**22 / 1e9, 1), (2**24 / 1e9, 12)]
    drawn = bars(buckets)
    assert [round(bar.height, 2) for bar in drawn] == [0.5, 0, 0.08, 0, 1]
    assert drawn[0].says == "524 µs to 1.0 ms: 6"
    assert in_characters(buckets) == "524 µs ▄ ▁ █ 17 ms"
    assert in_characters(()) == "–"


def shown_at_the_terminal(what: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=180, highlight=False)
    console.print(what)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return] # the file it was given


def test_the_terminal_and_the_page_show_both() -> None:
    text = shown_at_the_terminal(gauged(found()))
    assert "67 ms █ 134 ms" in text
    assert "GET /shop/[b]<int:pk>" in text
    assert "SELECT ?" in text
    trial = a_trial("1.1", "one", offered=10.0, achieved=10.0, p50=0.01)
    document = Document(
        prony="0",
        verb="run",
        title="t",
        campaign=1,
        started_at="2026-11-25T10:00:00+00:00",
        status="done",
        machine={},
        trials=(msgspec.structs.replace(trial, gauged=found()),),
    )
    page = render(document, {})
    assert "GET /shop/[b]&lt;int:pk&gt;" in page
    assert "SELECT ?" in page
    assert "<title>67 ms to 134 ms: 4</title>" in page


def a_whole_trial(number: str, label: str) -> Trial:
    """One that the terminal can show too."""
    recording = a_clean_recording()
    return msgspec.structs.replace(trial_of(recording.plan, summarise(recording), ()), id=number, label=label)


def test_of_many_trials_the_one_of_the_verdict_is_shown_from_the_inside_and_named() -> None:
    trials = tuple(msgspec.structs.replace(a_whole_trial(f"1.{n}", f"load {n}"), gauged=found()) for n in (1, 2, 3))
    document = Document(
        prony="0", verb="run", title="", campaign=1, started_at="", status="done", machine={}, trials=trials
    )
    verdict = a_verdict("1.2", "workers", "connection_per_request")
    with_verdict = msgspec.structs.replace(document, verdicts=(verdict,))
    for each, trial in ((document, trials[2]), (with_verdict, trials[1])):
        assert subject(each) == trial
        console = Console(file=io.StringIO(), width=180, highlight=False)
        show(console, each, {})
        text = console.file.getvalue()  # type: ignore[attr-defined] # the file it was given
        assert f"Inside trial {trial.id} {trial.label}" in text
        assert text.count("SELECT ?") == 1
        assert "  host " in text
        page = render(each, {})
        assert f"In trial {trial.id}: {trial.label}." in page
        assert f"over the whole of trial {trial.id}." in page
    assert subject(msgspec.structs.replace(document, tests=a_replay().tests)) is None
    assert subject(msgspec.structs.replace(document, trials=())) is None
    searched = msgspec.structs.replace(document, capacities=(a_replay().configurations[0].capacity,))
    assert subject(searched) is None
    assert subject(msgspec.structs.replace(searched, verdicts=(verdict,))) == trials[1]


def test_exceptions_and_incidents_are_shown_at_the_terminal_and_in_the_page() -> None:
    trial = msgspec.structs.replace(
        a_whole_trial("1.1", "one"),
        exceptions={"django.db.utils.OperationalError[53300]": 12},
        incidents=(Incident("hook_off", "app", "redis: off", 1),),
    )
    document = Document(
        prony="0", verb="run", title="", campaign=1, started_at="", status="done", machine={}, trials=(trial,)
    )
    console = Console(file=io.StringIO(), width=180, highlight=False)
    show(console, document, {})
    text = console.file.getvalue()  # type: ignore[attr-defined] # the file it was given
    assert "raised    12 × django.db.utils.OperationalError[53300]" in text
    assert "hook_off (app) redis: off" in text
    page = render(document, {})
    assert "exception: django.db.utils.OperationalError[53300]" in page
    assert "hook_off: redis: off" in page


def test_the_page_has_the_time_of_connecting_and_a_cache_s_hits() -> None:
    row = {**ROW, "connect_s": 0.004}
    cache = {**ROW, "kind": "cache", "label": "redis GET"}
    events = tuple(Event(0, TABLE, "app", json.dumps(each)) for each in (row, cache))
    seen = gauged_of(replace(a_clean_recording(), events=events))
    trial = msgspec.structs.replace(a_trial("1.1", "one", offered=10, achieved=10, p50=0.01), gauged=seen)
    page = render(msgspec.structs.replace(a_replay(), tests=(), trials=(trial,)), {})
    assert "Connecting, ms" in page
    assert '<td class="number">1</td>' in page
    assert '<td class="number">75 %</td>' in page
