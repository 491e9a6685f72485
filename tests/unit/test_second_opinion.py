"""Two searches of the same simulated system, ours and MLRsearch's (fd.io, an older draft of RFC 9971): they agree."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from MLRsearch import AbstractMeasurer, Config, MeasurementResult, MultipleLossRatioSearch, SearchGoal

from prony.capacity import Search

BENCH = Path(__file__).parent.parent.parent / "bench"
TRIAL_S = 5.0
WIDTH = 0.04
LOST = 0.01  # of the requests, by which a trial breaks the limit: that is what "p99 within the limit" says
Trial = Callable[[float, float], float]  # a load and a trial's length into the share of requests that were too slow


class Measurer(AbstractMeasurer):  # type: ignore[misc] # it ships no types
    """A system, as MLRsearch measures one: requests that were too slow are its lost packets."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def measure(self, intended_duration: float, intended_load: float) -> MeasurementResult:
        count = 1_000_000
        lost = round(self._trial(intended_load, intended_duration) * count)
        return MeasurementResult(
            intended_duration=intended_duration, intended_load=intended_load, offered_count=count, loss_count=lost
        )


def by_mlrsearch(trial: Trial, most: float) -> tuple[float, float, float]:
    """Its relevant bounds and its conditional throughput, where half of the trials may exceed the goal."""
    config = Config()
    goal = SearchGoal(
        loss_ratio=LOST,
        exceed_ratio=0.5,
        relative_width=WIDTH / 2,
        initial_trial_duration=TRIAL_S / 2,
        final_trial_duration=TRIAL_S,
        duration_sum=21 * TRIAL_S,
    )
    config.goals = [goal]
    config.min_load = 1.0  # first, for it must lie below the most at any time
    config.max_load = most
    config.warmup_duration = 0.0
    config.search_duration_max = 60.0
    found = MultipleLossRatioSearch(config=config).search(Measurer(trial))[goal]
    throughput = found.conditional_throughput
    return float(found.relevant_lower_bound), float(found.relevant_upper_bound), float(throughput)


def by_us(trial: Trial, start: float) -> tuple[float, float]:
    search = Search(start=start, width=WIDTH, trials_max=60)
    while (ask := search.ask()) is not None:
        search.tell(trial(ask.load, TRIAL_S / 2 if ask.short else TRIAL_S) <= LOST)
    found = search.result()
    assert found.low_rps is not None
    assert found.high_rps is not None
    return found.low_rps, found.high_rps


def agree(ours: tuple[float, float], theirs: tuple[float, float, float]) -> bool:
    """Whether the intervals overlap, and their throughput lies within ours by no more than the widths asked for."""
    low, high, throughput = theirs
    overlap = ours[0] <= high and low <= ours[1]
    return overlap and ours[0] / (1 + WIDTH) <= throughput <= ours[1] * (1 + WIDTH)


def a_server(truth: float, noise: float, seed: int) -> Trial:
    """It serves so many in time and no more, each trial by some noise otherwise."""
    random = np.random.default_rng(seed)

    def trial(load: float, _: float) -> float:
        able = truth * math.exp(random.normal(0, noise)) * (1 - LOST)
        return max(0.0, 1 - able / load)

    return trial


@pytest.mark.parametrize("truth", [23.0, 180.0, 2900.0])
def test_without_noise_both_enclose_the_truth(truth: float) -> None:
    ours = by_us(a_server(truth, 0, 1), truth / 3)
    theirs = by_mlrsearch(a_server(truth, 0, 1), 20 * truth)
    assert ours[0] <= truth <= ours[1]
    assert theirs[0] <= truth <= theirs[1]
    assert agree(ours, theirs)


@pytest.mark.parametrize("noise", [0.005, 0.02])
def test_with_a_little_noise_they_agree(noise: float) -> None:
    agreed = [
        agree(by_us(a_server(180, noise, seed), 60), by_mlrsearch(a_server(180, noise, 1000 + seed), 2000))
        for seed in range(30)
    ]
    assert sum(agreed) >= 28


def test_on_a_queue_before_four_slots_they_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """M/D/4, p99 within 100 ms: each trial's own arrivals are the noise."""
    monkeypatch.syspath_prepend(str(BENCH))
    try:
        from simulated import fixed
    finally:
        sys.modules.pop("simulated", None)

    def a_queue(seed: int) -> Trial:
        random = np.random.default_rng(seed)

        def trial(load: float, duration_s: float) -> float:
            _, latency_s = fixed(random, load, duration_s, 4, 0.02)
            return float(np.mean(latency_s > 0.1))

        return trial

    agreed = [agree(by_us(a_queue(seed), 100), by_mlrsearch(a_queue(1000 + seed), 1000)) for seed in range(10)]
    assert sum(agreed) >= 9
