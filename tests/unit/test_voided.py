"""What a doubt voids is in no table, no tier's words and no stream's figures either."""

from __future__ import annotations

from typing import Any

import pytest

from prony.document import Trial, trial_of
from prony.doubts import KINDS, LATENCY, Doubt, believed
from prony.report.tiers import told
from prony.summary import Metered, Spent, Statement, StreamFigures, Summary, summarise
from tests.unit.recording_case import a_clean_recording, a_plan

TABLES: dict[str, Any] = {
    "gauged": (Metered(kind="statement", label="SELECT ?", count=9, mean_s=0.1, p50_s=0.1, p99_s=None, most_s=0.2),),
    "spent": (Spent(group="median", requests=9, of=90, latency_s=0.1, parts_s={"app": 0.1}),),
    "statements": (
        Statement(text="SELECT $1", calls=9, mean_s=0.1, total_s=0.9, rows=1, blocks_read=0, temp_blocks=0),
    ),
}
SPREAD: dict[str, float | None] = {"mean": 0.1, "p50": 0.1, "p90": 0.1, "p95": 0.1, "p99": 0.2, "p999": 0.2, "max": 0.2}


def a_summary(streams: int = 5000, events: int = 10000) -> Summary:
    recording = a_clean_recording(counters={"workers.busy_s": 0.5, "workers.ended": 100})
    stream = StreamFigures(name="/", streams=streams, events=events, first_event_s=SPREAD, event_gap_s=SPREAD)
    tables = TABLES | {"streams": (stream,)}
    summary = summarise(recording)
    return Summary(**{name: tables.get(name, getattr(summary, name)) for name in Summary.__struct_fields__})


def told_under(name: str, *voids: str) -> Trial:
    doubt = Doubt(name=name, kind="void", voids=voids or KINDS[name].voids, text="", todo="")
    return trial_of(a_plan(), believed(a_summary(), [doubt]), [doubt])


@pytest.mark.parametrize("name", [kind.name for kind in KINDS.values() if kind.voids == ("all",)])
def test_where_all_is_void_no_table_and_no_per_request_figure_is_left(name: str) -> None:
    found = told_under(name)
    assert (found.gauged, found.spent, found.statements) == ((), (), ())
    [stream] = found.streams
    assert set(stream.first_event_s.values()) == set(stream.event_gap_s.values()) == {None}
    assert stream.streams == 5000
    assert found.tiers["app"]["cpu_share"] == pytest.approx(0.3), "a reading of its own"
    assert found.tiers["app"]["cpu_s_per_request"] is None
    words = {tier: text for tier, text, _ in told(found)}
    assert "per request" not in words["workers"]
    assert "busy on average" in words["workers"]


@pytest.mark.parametrize("name", ["late_sends", "uneven_sends", "backlog_growing", "nothing_valid"])
def test_where_latency_is_void_so_are_the_slowest_requests_and_first_events_and_not_what_tiers_did(name: str) -> None:
    found = told_under(name)
    assert found.spent == ()
    [stream] = found.streams
    assert set(stream.first_event_s.values()) == {None}
    assert stream.event_gap_s == SPREAD, "the way from one event to the next"
    assert found.gauged == TABLES["gauged"]
    assert found.statements == TABLES["statements"]
    assert found.tiers == a_summary().tiers


def test_where_one_quantile_is_void_the_first_event_s_is_too_and_the_rest_stays() -> None:
    found = told_under("few_samples", *(f"{figure}.p999" for figure in LATENCY))
    assert found.streams[0].first_event_s == SPREAD | {"p999": None}
    assert found.spent == TABLES["spent"]


def test_a_stream_has_no_quantile_of_too_few_events() -> None:
    found = believed(a_summary(streams=399, events=799), ())
    assert found.streams[0].first_event_s == SPREAD | {"p99": None, "p999": None}
    assert found.streams[0].event_gap_s == SPREAD | {"p999": None}
