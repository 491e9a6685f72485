"""When a start has become steady: on made-up series whose warm-up is known, and on recordings."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pytest
from msgspec import structs
from numpy.typing import NDArray
from rich.console import Console

from prony.recording import Recording
from prony.report import html, terminal
from prony.summary import WarmUp, warm_up_of
from prony.summary.warming import steady_from
from tests.unit import report_case
from tests.unit.recording_case import a_plan, a_recording, some_samples

BINS = 60
SEEDS = range(40)


def series(seed: int, spread: float = 0.05) -> NDArray[np.float64]:
    """Medians of tenths of a second, in milliseconds, of what is steady."""
    return np.asarray(20 * np.exp(np.random.default_rng(seed).normal(0, spread, BINS)))


@pytest.mark.parametrize("spread", [0.0, 0.02, 0.1, 0.4])
def test_where_there_is_no_warm_up_hardly_ever_is_one_found(spread: float) -> None:
    found = [steady_from(series(seed, spread)) for seed in SEEDS]
    assert sum(each != 0 for each in found) <= 2


@pytest.mark.parametrize("bins", [1, 5, 12, 25])
@pytest.mark.parametrize("times", [1.5, 10.0])
def test_a_slow_beginning_is_found_and_cut_by_a_batch_too_long_at_most(bins: int, times: float) -> None:
    for seed in SEEDS:
        values = series(seed)
        values[:bins] *= times
        found = steady_from(values)
        assert found is not None
        assert bins <= found <= bins + 4


def test_a_beginning_that_differs_by_less_than_single_values_do_is_found_by_its_batches() -> None:
    found = []
    for seed in SEEDS:
        values = series(seed, 0.1)
        values[:20] *= 1.38
        found.append(steady_from(values))
    assert sum(each in range(15, 26) for each in found) >= 35, found


def test_one_that_dies_away_is_cut_where_little_of_it_is_left() -> None:
    found = [steady_from(series(seed) * (1 + 4 * np.exp(-np.arange(BINS) / 5))) for seed in SEEDS]
    assert all(each is not None and 9 <= each <= 25 for each in found), found  # 4 e^-2 = 0.5, 4 e^-5 = 0.03


def test_a_beginning_that_was_quicker_is_no_more_steady() -> None:
    values = series(1)
    values[:10] /= 2
    assert steady_from(values) == pytest.approx(10, abs=1)


@pytest.mark.parametrize("at", [3, 15, 29, 45])
def test_a_pause_in_the_middle_is_no_warm_up(at: int) -> None:
    for seed in SEEDS:
        values = series(seed)
        values[at] *= 20
        assert steady_from(values) == 0


def test_what_changes_in_the_second_half_was_not_steady_in_time() -> None:
    values = series(1)
    values[:40] *= 3
    assert steady_from(values) is None


@pytest.mark.parametrize("every", [3, 4, 7])
def test_what_comes_evenly_is_steady_though_its_counts_differ_by_one(every: int) -> None:
    counts = np.diff(np.arange(61) * (every + 0.34) // 1)
    assert steady_from(counts, step=1) == 0
    counts[:15] = every // 3
    assert steady_from(counts, step=1) == 15


def test_few_values_tell_nothing() -> None:
    assert steady_from([50.0, 1, 1, 1, 1, 1, 1, 1, 1]) == 0
    assert steady_from([]) == 0


def closed(slow_s: float, duration_s: float = 6.0) -> Recording:
    """Ten users without a pause: 100 ms an answer at first, then 20 ms."""
    due, took = [], []
    for user in range(10):
        now_s = 0.002 * user
        while now_s < duration_s:
            due.append(now_s)
            took.append(0.1 if now_s < slow_s else 0.02)
            now_s += took[-1]
    samples = some_samples(due, service_s=took, lag_s=0.0)
    plan = a_plan().loaded(users=10, duration_s=duration_s)
    return a_recording(samples, duration_s=duration_s, plan=plan)


def test_a_recording_says_after_how_long_it_was_steady_and_so_long_is_discarded() -> None:
    found = warm_up_of(closed(1.0), 3.0)
    assert found.found_s == pytest.approx(1.0, abs=0.21)
    assert found.discarded_s == found.found_s
    assert (found.trial, found.looked_s) == ("1.1", 6.0)
    assert f"took {found.found_s:.1f} s" in found.text
    assert "not counted" in found.text


def test_one_without_warm_up_discards_nothing_and_says_so() -> None:
    found = warm_up_of(closed(0.0), 3.0)
    assert (found.found_s, found.discarded_s) == (0.0, 0.0)
    assert "nothing was discarded" in found.text


def test_no_more_is_discarded_than_is_allowed_however_long_it_takes() -> None:
    assert warm_up_of(closed(1.0), 0.5).discarded_s == 0.5
    never = warm_up_of(closed(4.0), 3.0)
    assert (never.found_s, never.discarded_s) == (None, 3.0)
    assert "was not over in 3.0 s" in never.text


def test_a_recording_without_an_answer_tells_of_no_warm_up() -> None:
    assert warm_up_of(a_recording(some_samples([])), 3.0).found_s == 0.0


def test_what_was_discarded_is_told_at_the_terminal_and_in_the_report() -> None:
    warm_up = WarmUp(trial="7.1", looked_s=6.0, found_s=0.8, discarded_s=0.8)
    document = structs.replace(report_case.a_replay(), warm_up=warm_up)
    with StringIO() as told:
        terminal.show(Console(file=told, width=300), document, {})
        assert warm_up.text in told.getvalue()
    assert warm_up.text in html.render(document, {})
