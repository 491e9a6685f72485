from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from rich.console import Console

from prony.load.account import LoadTick
from prony.plan import Plan, read_document
from prony.plan.requests import Phase
from prony.recording import SAMPLE, Event, Reading
from prony.report import screen
from prony.report.live import BINS, Course
from prony.samples import EVENT_GAP, FIRST_EVENT, TIMEOUT, UNANSWERED
from prony.stats import quantile
from tests.unit.recording_case import BEGAN_NS, SECOND, a_plan, evenly, some_samples

QUARTER = SECOND // 4


def plan(duration_s: float = 10.0, users: int | None = None) -> Plan:
    loaded = a_plan().loaded(rate_rps=None if users else 100, users=users, duration_s=duration_s)
    assert loaded.traffic.duration_s == duration_s
    return loaded


def tick(at_s: float, **other: Any) -> LoadTick:
    given = {"scheduled": 0, "sent": 0, "done": 0, "in_flight": 0, "waiting": 0, "connections_opened": 0, "cpu_s": 0.0}
    return LoadTick(t_ns=BEGAN_NS + round(at_s * SECOND), **(given | other))


def followed(course: Course, samples: Any, until_s: float) -> int:
    """Gives a course every quarter of a second what has been done by then; returns the instant of the last."""
    at_ns = BEGAN_NS
    before_ns = 0
    while at_ns < BEGAN_NS + until_s * SECOND:
        at_ns += QUARTER
        done_ns = samples["done_ns"]
        course.add(at_ns, samples[(done_ns > before_ns) & (done_ns <= at_ns)])
        before_ns = at_ns
    return at_ns


def drawn(course: Course, t_ns: int, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=24, force_terminal=True, color_system=None)
    with console.capture() as got:
        console.print(screen.screen("a trial", course, t_ns, width))
    return got.get().splitlines()


# ---- the figures


def test_before_anything_came_nothing_is_claimed() -> None:
    state = Course(plan().traffic).state(BEGAN_NS)
    assert (state.elapsed_s, state.ended, state.failed, state.rates) == (0.0, 0, {}, ())
    assert [state.right_rps, state.p50_s, state.p99_s, state.lag_p99_s, state.offered_rps, state.cpu_share] == [
        None
    ] * 6


def test_the_rate_and_percentiles_are_of_the_last_two_seconds() -> None:
    due_s = evenly(100, 10)
    course = Course(plan().traffic)
    t_ns = followed(course, some_samples(due_s, service_s=np.where(due_s < 6, 0.5, 0.01), lag_s=0.001), 10.0)
    state = course.state(t_ns)
    assert state.elapsed_s == pytest.approx(10.0)
    assert state.right_rps == pytest.approx(100, rel=0.02)
    assert state.p50_s == pytest.approx(0.011, rel=0.011)
    assert state.p99_s == pytest.approx(0.011, rel=0.011), "what was slow is over two seconds ago"
    assert state.lag_p99_s == pytest.approx(0.001, rel=0.011)


def test_the_course_has_a_value_for_each_whole_stretch_of_the_trial() -> None:
    due_s = evenly(100, 10)
    course = Course(plan().traffic)
    t_ns = followed(course, some_samples(due_s, service_s=np.where(due_s < 5, 0.02, 0.2)), 9.75)
    state = course.state(t_ns)
    assert state.bin_s == 0.5
    assert len(state.rates) == len(state.p99s) == 19
    assert state.rates[3:9] == pytest.approx([100] * 6, rel=0.03)
    assert state.p99s[3] == pytest.approx(0.02, rel=0.02)
    assert state.p99s[15] == pytest.approx(0.2, rel=0.02)


@given(st.lists(st.floats(2e-6, 900), min_size=1, max_size=200), st.integers(1, 4))
def test_a_percentile_is_right_to_one_per_cent_however_the_rows_came(service_s: list[float], parts: int) -> None:
    samples = some_samples([0.0] * len(service_s), service_s=service_s, lag_s=0.0)
    course = Course(plan(1000.0).traffic)
    for number, part in enumerate(np.array_split(samples, parts)):
        course.add(BEGAN_NS + 1000 * SECOND + number, part)
    state = course.state(BEGAN_NS + 1000 * SECOND + parts)
    exact = np.sort(samples["done_ns"] - samples["due_ns"]) / 1e9
    for q, found in ((0.5, state.p50_s), (0.9, state.p90_s), (0.99, state.p99_s)):
        assert found == pytest.approx(quantile(exact, q), rel=0.0101)


def test_failures_are_counted_by_outcome_over_the_whole_trial() -> None:
    outcomes = np.array([0] * 90 + [TIMEOUT] * 7 + [UNANSWERED] * 3)
    samples = some_samples(evenly(100, 1), outcome=outcomes, status=np.where(outcomes == 0, 200, 0))
    course = Course(plan().traffic)
    t_ns = followed(course, samples, 9.0)
    state = course.state(t_ns)
    assert state.failed == {"timeout": 7, "unanswered": 3}
    assert state.ended == 100
    assert "errors 10 % (7 timeout, 3 others)" in screen.line(course, t_ns)


def test_a_streamed_answer_is_there_with_its_first_event() -> None:
    document = {"app": {"entry": "shop:app"}, "traffic": {"request": [{"path": "/feed", "stream": {"for": "5s"}}]}}
    streamed = read_document(document, "prony.toml", Path("/nowhere"), {}).loaded(rate_rps=10, duration_s=10)
    rows = some_samples([0.0, 0.0, 1.0], service_s=[5.0, 0.05, 0.5], lag_s=0.0)
    rows["kind"] = [FIRST_EVENT, EVENT_GAP, 0]  # in the order in which they were done
    course = Course(streamed.traffic)
    course.add(BEGAN_NS + 5 * SECOND, rows)
    state = course.state(BEGAN_NS + 5 * SECOND)
    assert state.ended == 1
    assert state.p50_s == pytest.approx(0.05, rel=0.0101)


def test_the_rate_offered_and_the_generator_s_cpu_are_what_its_accounts_say() -> None:
    course = Course(plan().traffic)
    none = np.zeros(0, SAMPLE)
    course.add(BEGAN_NS + SECOND, none, tick=tick(1, scheduled=100, cpu_s=0.1))
    assert course.state(BEGAN_NS + SECOND).offered_rps is None
    course.add(BEGAN_NS + SECOND + QUARTER, none, tick=tick(1, scheduled=100, cpu_s=0.1))
    course.add(BEGAN_NS + 3 * SECOND, none, tick=tick(3, scheduled=500, cpu_s=0.7, cores=2))
    state = course.state(BEGAN_NS + 3 * SECOND)
    assert state.offered_rps == pytest.approx(200)
    assert state.cpu_share == pytest.approx(0.15), "of two cores"


def test_its_memory_does_not_grow_with_the_trial() -> None:
    course = Course(plan(3600.0).traffic)
    samples = some_samples(evenly(2000, 0.25))
    readings = [Reading(0, "workers", "in_flight", 1.0)] * 5

    def follow(first: int, count: int) -> None:
        rows = samples.copy()
        for number in range(first, first + count):
            for name in ("due_ns", "sent_ns", "first_byte_ns", "done_ns"):
                rows[name] = samples[name] + number * QUARTER
            course.add(BEGAN_NS + (number + 1) * QUARTER, rows, readings)

    follow(0, 100)
    tracemalloc.start()
    follow(100, 2000)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 2000 * samples.nbytes / 100, "the pieces of the last two seconds, and none of the rows"


def test_even_a_very_long_trial_is_drawn_in_so_many_values() -> None:
    course = Course(plan(36_000.0).traffic)
    course.add(BEGAN_NS + 40_000 * SECOND, some_samples([0.0, 39_000.0]))
    state = course.state(BEGAN_NS + 40_000 * SECOND)
    assert len(state.rates) == BINS
    assert sum(state.rates) * state.bin_s == pytest.approx(1), "what comes after the window is not in it"


# ---- the screen


def watched(users: int | None = None) -> tuple[Course, int]:
    course = Course(plan(users=users).traffic)
    t_ns = followed(course, some_samples(evenly(100, 5)), 5.0)
    levels = {
        ("database", "active"): 1.0,
        ("connections", "count"): 4.0,
        ("connections", "usable"): 17.0,
        ("workers", "in_flight"): 3.0,
        ("workers", "slots"): 3.0,
        ("listen_queue", "length"): 12.0,
    }
    for number in range(5):
        at_ns = t_ns - (4 - number) * QUARTER
        cpu = [Reading(at_ns, tier, "cpu_s", number * 0.1) for tier in ("database", "app", "proxy", "host", "box.app")]
        found = [*(Reading(at_ns, *key, value) for key, value in levels.items()), *cpu]
        course.add(at_ns, np.zeros(0, SAMPLE), found, tick(4.0 + number / 4, scheduled=number * 25, in_flight=7))
    return course, t_ns


def test_tiers_stand_in_the_order_in_which_a_request_meets_them() -> None:
    course, _ = watched()
    assert [row[:3] for row in screen.tiers(course)] == [
        ("proxy", "0.40 cores", "–"),
        ("listen queue", "–", "12"),
        ("workers", "3 of 3", "–"),
        ("app", "0.40 cores", "–"),
        ("connections", "4 of 17", "–"),
        ("database", "0.40 cores", "–"),
        ("box.app", "0.40 cores", "–"),
    ]


def test_each_tier_tells_what_is_in_use_and_who_waits_there() -> None:
    course, t_ns = watched()
    levels = {"servers_active": 2.0, "servers_limit": 2.0, "clients_waiting": 9.0}
    found = [Reading(t_ns, "pooler", name, value) for name, value in levels.items()]
    found += [Reading(t_ns, "workers", "tokens_waited_for", 5.0), Reading(t_ns, "database", "lock_waits", 2.0)]
    found += [Reading(t_ns, "box.app", "cpu_quota_cores", 0.5), Reading(t_ns, "probes", "cpu_s", 1.0)]
    grown = {("proxy", "run_delay_s"): 1.5, ("box.app", "periods"): 10.0, ("box.app", "throttled_periods"): 4.0}
    for (tier, name), value in grown.items():
        found += [Reading(t_ns - SECOND, tier, name, 0.0), Reading(t_ns, tier, name, value)]
    course.add(t_ns, np.zeros(0, SAMPLE), found)
    told = {row.tier: (row.used, row.waiting) for row in screen.tiers(course)}
    assert told["proxy"] == ("0.40 cores", "1.5 for a core")
    assert told["workers"] == ("3 of 3", "5 for a thread")
    assert told["pooler"] == ("2 of 2", "9 clients")
    assert told["database"] == ("0.40 cores", "2 for a lock")
    assert told["box.app"] == ("0.40 of 0.5 cores", "40 % stopped")
    assert "probes" not in told


def went_wrong() -> tuple[Course, int]:
    """Errors in the proxy and the app, none among the workers, and no word of the listen queue's."""
    course, t_ns = watched()
    events = {("proxy", "upstream_failed"): 10, ("proxy", "limited"): 1, ("database", "blocked"): 40}
    course.add(
        t_ns,
        np.zeros(0, SAMPLE),
        [
            Reading(t_ns - SECOND, "workers", "begun", 7.0),
            *(Reading(t_ns - SECOND + n * SECOND, "proxy", "own_errors", 4.0 + 12.0 * n) for n in (0, 1)),
            *(Event(t_ns, kind, tier, "why", times) for (tier, kind), times in events.items()),
            Event(t_ns, "exception", "app", "django.db.utils.OperationalError[53300]", 3),
        ],
    )
    return course, t_ns


def test_each_tier_s_errors_are_counted_since_the_trial_began_and_those_that_nobody_looks_for_are_not_known() -> None:
    course, t_ns = went_wrong()
    course.add(t_ns + QUARTER, np.zeros(0, SAMPLE), [Event(t_ns, "exception", "app", "ValueError", 1)])
    errors = {row.tier: row.errors for row in screen.tiers(course)}
    assert errors["proxy"] == {"upstream_failed": 10, "limited": 1, "own_errors": 1}, "the log told of the other eleven"
    assert errors["app"] == {"OperationalError[53300]": 3, "ValueError": 1}
    assert errors["workers"] == {}
    assert errors["listen queue"] is errors["database"] is errors["box.app"] is None


@pytest.mark.parametrize(
    ("width", "proxy", "app"),
    [(120, "12, 10 upstream failed", "3 OperationalError[53300]"), (screen.WIDTH_LEAST, "12", "3")],
)
def test_the_most_frequent_error_is_named_where_there_is_room(width: int, proxy: str, app: str) -> None:
    lines = drawn(*went_wrong(), width)
    head = next(n for n, line in enumerate(lines) if line.startswith("tier"))
    at = lines[head].index("errors")
    told = {line.split("  ")[0]: line[at:].rstrip() for line in lines[head + 1 :]}
    assert told["proxy"] == proxy
    assert told["app"] == app
    assert told["workers"] == "0"
    assert told["listen queue"] == "–"


@pytest.mark.parametrize("width", [120, 80, 60, screen.WIDTH_LEAST])
def test_the_screen_fits_into_the_terminal(width: int) -> None:
    course, t_ns = watched()
    lines = drawn(course, t_ns, width)
    assert len(lines) < screen.HEIGHT_LEAST
    assert all(len(line) <= width for line in lines)
    text = "\n".join(lines)
    assert "5.0 s of 10.0 s, 5.0 s left" in text
    assert "offered 100 rps, served" in text
    assert ("█" in text) is (width >= 80), "drawings where there is room beside the figures"


def test_with_users_the_screen_says_how_many() -> None:
    course, t_ns = watched(users=20)
    assert any(line.startswith("users") and "20, 7 under way" in line for line in drawn(course, t_ns, 80))


@pytest.mark.parametrize(("elapsed_s", "users"), [(0.0, 1), (5.0, 5), (9.99, 9), (10.0, 10), (15.0, 10), (99.0, 10)])
def test_users_that_come_over_time_are_told_as_they_are_meant_to_be(elapsed_s: float, users: int) -> None:
    phases = (
        Phase(shape="ramp", stretches=((10.0, 1.0, 10.0),)),
        Phase(shape="hold", stretches=((10.0, 10.0, 10.0),)),
    )
    traffic = structs.replace(plan().traffic, arrivals="closed", rate_rps=None, phases=phases, duration_s=20.0)
    assert Course(traffic).users(elapsed_s) == users


def test_one_line_says_the_same_to_whoever_has_no_terminal() -> None:
    course, t_ns = watched()
    line = screen.line(course, t_ns)
    assert line.startswith("    5 s: offered 100 rps, served ")
    assert "p50 10 ms  p99 10 ms; errors none; lag p99 " in line
