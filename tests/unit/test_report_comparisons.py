"""Comparisons on the HTML page: figures in words and as intervals on one scale, the gate's with what it allows."""

from __future__ import annotations

import math
from typing import Any

import pytest
from msgspec import structs

from prony.comparison import Comparison, Gain
from prony.comparison.ratio import called
from prony.report.html import render
from prony.report.intervals import lead, sections
from tests.unit.test_report_html import HOSTILE, Reader, an_empty


def gain(figure: str, low: float | None, high: float | None, **more: Any) -> Gain:
    up = figure == "saturated_rps"
    told = low is not None and high is not None
    return Gain(
        figure=figure,
        a=100.0,
        b=90.0 if told else None,
        ratio=math.sqrt(low * high) if low is not None and high is not None else None,
        low=low,
        high=high,
        least_seen=more.pop("least_seen", 0.05 if told else None),
        verdict=called(low, high, up=up) if low is not None and high is not None else "unknown",
        starts=(10, 10) if told else (10, 2),
        higher_is_better=up,
        **more,
    )


GAINS = (
    gain("saturated_rps", 0.8, 0.9),
    gain("latency_p50_s", 0.7, 0.95),
    gain("latency_p90_s", 0.97, 1.04),
    gain("latency_p99_s", None, None),
    gain("app_memory_bytes", 1.5, 2.0),
)


def a_comparison(*gains: Gain, **more: Any) -> Comparison:
    fields: dict[str, Any] = {"a": "one", "b": "other", "seed": 7, "most": 10, "looks": (4, 6)} | more
    return Comparison(gains=gains, **fields)


def page_of(*found: Comparison) -> Reader:
    page = Reader(render(an_empty("compare", comparisons=found), {}))
    assert page.open == []
    return page


def test_each_figure_is_told_in_words_with_the_smallest_difference_that_could_be_seen() -> None:
    text = page_of(a_comparison(*GAINS)).text
    assert "B is better in p50 latency, and worse in most served and app memory; no other difference is sure" in text
    assert "−20 % to −10 %" in text
    assert "tie: ±5.0 % could have been seen" in text
    assert "unknown: 10 and 2 starts to be believed, where 4 are needed" in text
    assert "order by seed 7" in text
    assert "Ended after 6 of at most 10 starts of each" in text
    assert text.count("less is better") == 4
    assert text.count("more is better") == 1


def test_intervals_of_a_table_lie_on_one_scale_about_the_same_in_the_middle() -> None:
    [section] = sections([a_comparison(*GAINS)])
    assert section.ticks == ("×0.5", "×2")
    pictures = {line.gain.figure: line.picture for line in section.lines}
    assert pictures["latency_p99_s"] is None
    memory, tie = pictures["app_memory_bytes"], pictures["latency_p90_s"]
    assert memory is not None
    assert tie is not None
    assert memory.start + memory.width == pytest.approx(100)
    assert memory.start == pytest.approx(50 + 50 * math.log2(1.5), abs=0.01)
    assert tie.start < 50 < tie.start + tie.width
    assert tie.band[0] + tie.band[1] / 2 == pytest.approx(50, abs=0.02)
    assert memory.cut == tie.cut == ""


def test_what_lies_off_the_scale_is_cut_off_and_says_so() -> None:
    [section] = sections([a_comparison(gain("latency_p50_s", 0.01, 9.0), gain("app_memory_bytes", 5.0, 8.0))])
    wide, beyond = (line.picture for line in section.lines)
    assert wide is not None
    assert beyond is not None
    assert (wide.start, wide.width, wide.cut) == (0, 100, "both")
    assert (beyond.start, beyond.middle, beyond.cut) == (100, 100, "high")
    assert [tag for tag, _ in page_of(section.comparison).tags].count("text") == 3


def test_a_gate_shows_what_is_allowed_and_leads_with_its_outcome() -> None:
    failed = structs.replace(gain("saturated_rps", 0.6, 0.7), allowed=0.1, outcome="failed")
    passed = structs.replace(gain("latency_p50_s", 0.97, 1.04), allowed=0.1, outcome="passed")
    unknown = structs.replace(gain("latency_p99_s", None, None), allowed=0.1, outcome="unknown")
    assert lead((failed, passed, unknown)) == "Failed: more than is allowed was lost in most served"
    assert lead((passed, unknown)) == "Cannot be told: too few starts are to be believed for p99 latency"
    assert lead((passed,)) == "Passed: nothing surely lost more than is allowed"
    page = page_of(a_comparison(failed, passed))
    assert "At the gate" in page.text
    assert "failed: 10 % may be lost" in page.text
    assert [tag for tag, fields in page.tags if fields.get("class") == "allowed"] == ["line", "line"]
    [section] = sections([a_comparison(failed, passed)])
    below, above = (line.picture.allowed for line in section.lines if line.picture)
    assert below is not None
    assert above is not None
    assert below < 50 < above


def test_nothing_sure_and_nothing_told_are_said() -> None:
    assert lead(GAINS[2:4]) == "No difference is sure"
    assert lead(GAINS[3:4]).startswith("Nothing can be told")


def test_names_of_plans_are_escaped() -> None:
    page = page_of(a_comparison(*GAINS, a=HOSTILE, b=HOSTILE))
    assert len(page.scripts) == 2
    assert page.text.count(HOSTILE) == 2
