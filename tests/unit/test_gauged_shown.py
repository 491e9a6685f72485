"""What the gauge saw of a trial comes from the recording's events, and is shown at the terminal and in the page."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import msgspec
from rich.console import Console

from prony.document import Document
from prony.recording import Event
from prony.report.gauged import gauged
from prony.report.html import render
from prony.summary.gauged import EACH, TABLE, Metered, gauged_of
from tests.unit.recording_case import a_clean_recording
from tests.unit.report_case import a_trial

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
    assert 2**26 / 1e9 <= route.p50_s <= route.p99_s <= 2**27 / 1e9
    assert statement.each == {}


def test_the_terminal_and_the_page_show_both() -> None:
    console = Console(file=io.StringIO(), width=180, highlight=False)
    console.print(gauged(found()))
    text = console.file.getvalue()  # type: ignore[attr-defined] # the file it was given
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
