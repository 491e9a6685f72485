"""The queues that say what a server of ours can do (bench/simulated.py), against what the books say of them."""

from __future__ import annotations

import heapq
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCH = Path(__file__).parent.parent.parent / "bench"


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(BENCH))
    import simulated

    yield simulated
    sys.modules.pop("simulated", None)


@pytest.mark.parametrize("utilisation", [0.3, 0.7, 0.9])
def test_one_slot_waits_as_pollaczek_and_khinchine_say(simulated: ModuleType, utilisation: float) -> None:
    """M/D/1: the mean wait is half of utilisation ÷ (1 − utilisation) times the service."""
    service_s, load = 0.01, utilisation / 0.01
    _, latency_s = simulated.fixed(np.random.default_rng(1), load, 1_000_000 / load, 1, service_s)
    expected_s = service_s + service_s * utilisation / (2 * (1 - utilisation))
    assert latency_s.mean() == pytest.approx(expected_s, rel=0.02)


@pytest.mark.parametrize("slots", [1, 3, 16])
def test_in_closed_form_it_is_the_queue_that_is_worked_off_one_by_one(simulated: ModuleType, slots: int) -> None:
    service_s = 0.02
    due_s, latency_s = simulated.fixed(np.random.default_rng(2), 1.05 * slots / service_s, 2.0, slots, service_s)
    free = [0.0] * slots
    for due, latency in zip(due_s, latency_s, strict=True):
        begun = max(due, heapq.heappop(free))
        heapq.heappush(free, begun + service_s)
        assert latency == pytest.approx(begun + service_s - due)


def test_what_holds_for_ever_is_less_than_what_holds_for_a_trial_and_than_the_slots_could_do(
    simulated: ModuleType,
) -> None:
    slots, service_s = 4, 0.02
    ever = simulated.fixed_for_ever(slots, service_s, 0.1)
    trial = simulated.fixed_for_a_trial(slots, service_s, 0.1, 2.0)
    assert 0.8 * slots / service_s < ever < slots / service_s
    assert ever < trial < 1.3 * ever


def test_recorded_noise_is_replayed_about_the_truth(simulated: ModuleType) -> None:
    recorded = simulated.noise()
    for app in (True, False):
        held = []
        for seed in range(200):
            system = simulated.replayed(seed, recorded, app=app)
            system.boot()
            held.append(system.trial(system.truth, 5.0))
            assert system.trial(system.truth / 10, 5.0)
        assert 0.4 < np.mean(held) < 0.6
