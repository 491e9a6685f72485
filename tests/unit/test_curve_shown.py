"""A curve at the terminal, in the HTML report and in JSON: every trial a row and a dot, no figure that is not known."""

from __future__ import annotations

import io

import msgspec
import pytest
from msgspec import structs
from rich.console import Console

from prony.capacity import Capacity, Curve, Point
from prony.document import Document
from prony.report import terminal
from prony.report.html import render
from tests.unit.report_case import a_trial
from tests.unit.test_report_html import Reader, an_empty

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


def test_a_plan_of_many_tiers_goes_without_the_picture_before_a_figure_is_cut() -> None:
    used = {
        "app": 0.31,
        "workers": 0.47,
        "database": 0.2,
        "host": 0.5,
        "cache": 0.02,
        "proxy": 0.08,
        "connections": 1.0,
    }
    points = tuple(structs.replace(point, utilisation=used) for point in CURVE.points)
    document = a_document(structs.replace(CURVE, points=points))
    for width in (140, 120, 102):
        lines = at_the_terminal(document, width)
        assert not [line for line in lines if "…" in line], width
        assert " proxy " in "\n".join(lines)
        assert "░" not in "\n".join(lines)
    assert "proxy CPU" in render(document, {})


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


def test_a_trial_that_was_shorter_than_others_is_marked() -> None:
    points = (*CURVE.points[:-1], structs.replace(CURVE.points[-1], duration_s=2.5))
    document = a_document(structs.replace(CURVE, points=points))
    lines = at_the_terminal(document)
    assert "unsure*" in row(lines, "1.6")
    assert "*" not in " ".join(row(lines, "1.5"))
    for text in ("\n".join(lines), Reader(render(document, {})).text):
        assert "*: a shorter trial" in text
    assert "*: a shorter trial" not in "\n".join(at_the_terminal(a_document()))


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
