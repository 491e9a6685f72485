"""What a start comes to in a contest, and a contest some of whose starts fail; no servers."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from prony.campaign.bench import Bench, Measured, Silent
from prony.campaign.compare import FIGURES, HIGHER_IS_BETTER, figures_of, hold
from prony.capacity import judge
from prony.comparison import Contest
from prony.doubts import doubts_of
from prony.errors import StackError
from prony.plan import Plan
from prony.samples import OK, WRONG_STATUS
from prony.summary import summarise
from tests.unit.recording_case import a_plan, a_recording, evenly, some_samples

COUNTERS = {"app.cpu_s": 0.5, "host.busy_s": 0.5, "host.steal_s": 0.0}
LEVELS = {"workers.slots": 1.0, "app.memory_bytes": 1e8, "canary.stack_s": 0.005, "canary.generator_s": 0.005}


def measured(*, failing: float = 0.0, cpu_share: float = 0.1) -> Measured:
    """A trial of 1 000 requests, of which that share fails at once, and a generator that used so much of its core."""
    fails = np.arange(1000) < 1000 * failing
    samples = some_samples(
        evenly(100, 10),
        service_s=np.where(fails, 0.001, 0.01),
        status=np.where(fails, 500, 200),
        outcome=np.where(fails, WRONG_STATUS, OK),
    )
    recording = a_recording(samples, levels=LEVELS, counters=COUNTERS, load={"cpu_share": cpu_share})
    summary = summarise(recording)
    doubts = tuple(doubts_of(recording, summary))
    return Measured(recording.plan, summary, doubts, judge(summary, doubts, recording.plan.limits), 1)


def test_requests_that_fail_are_a_figure_of_their_own() -> None:
    right, failing = figures_of(measured(), measured()), figures_of(measured(failing=0.3), measured(failing=0.3))
    assert right["right_share"] == 1.0
    assert failing["right_share"] == pytest.approx(0.7, abs=0.001)
    assert failing["latency_p50_s"] is not None
    nothing = figures_of(measured(failing=1.0), measured(failing=1.0))["right_share"]
    assert nothing is not None
    assert 0 < nothing < 0.001, "a ratio wants no zero"


def test_a_side_that_fails_three_of_ten_requests_is_worse_however_quick_it_is() -> None:
    contest = Contest(2, most=10, seed=1, figures=FIGURES, higher_is_better=HIGHER_IS_BETTER)
    while (side := contest.ask()) is not None:
        contest.tell(figures_of(measured(failing=0.3 * side), measured(failing=0.3 * side)))
    verdicts = {gain.figure: gain.verdict for gain in contest.gains()}
    assert verdicts["right_share"] == "worse"


def test_of_a_trial_that_is_not_to_be_believed_no_figure_is_taken() -> None:
    busy = measured(cpu_share=0.95)
    assert any("all" in doubt.voids for doubt in busy.doubts)
    found = figures_of(busy, busy)
    assert set(found) == set(FIGURES)
    assert all(value is None for value in found.values())


class Failing:
    """Stands where a bench would; the starts of these numbers, counted from 0, fail."""

    def __init__(self, *failing: int) -> None:
        self.teller = Silent()
        self.asked = -1
        self._failing = failing

    def measure(self, plan: Plan, label: str, role: str, *, fresh: bool = True) -> Measured:  # noqa: ARG002 - a bench's
        self.asked += fresh
        if fresh and self.asked in self._failing:
            raise StackError("gunicorn ended before it answered.")
        return MEASURED


MEASURED = measured()


def held(bench: Failing) -> Contest:
    contest = Contest(2, most=6, seed=1, figures=FIGURES, higher_is_better=HIGHER_IS_BETTER)
    plans = [a_plan(), a_plan()]
    hold(cast("Bench", bench), contest, ["A", "B"], plans, rate_rps=10, trial_s=1.0)
    return contest


def test_a_round_in_which_a_start_failed_is_begun_anew() -> None:
    assert held(Failing(3, 5)).told == held(Failing()).told > 2


@pytest.mark.parametrize("failing", [(0,), (2, 3, 4)])
def test_a_first_start_that_fails_or_three_rounds_in_a_row_end_it(failing: tuple[int, ...]) -> None:
    with pytest.raises(StackError, match="gunicorn ended"):
        held(Failing(*failing))


class Said(Silent):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def say(self, text: str) -> None:
        self.heard.append(text)


class Differing:
    """Stands where a bench would; three of ten requests to B fail, and none to others."""

    def __init__(self) -> None:
        self.teller = Said()

    def measure(self, plan: Plan, label: str, role: str, *, fresh: bool = True) -> Measured:  # noqa: ARG002 - a bench's
        return FAILING if ": B" in label else MEASURED


FAILING = measured(failing=0.3)


def test_of_several_sides_what_is_known_meanwhile_says_of_which() -> None:
    bench = Differing()
    contest = Contest(3, most=6, seed=1, figures=FIGURES, higher_is_better=HIGHER_IS_BETTER, clear=lambda _: False)
    hold(cast("Bench", bench), contest, ["A", "B", "C"], [a_plan()] * 3, rate_rps=10, trial_s=1.0)
    [heard] = bench.teller.heard
    assert heard.startswith("  after 4 starts of each: ")
    assert "B: right_share worse" in heard
    assert "C: " not in heard
