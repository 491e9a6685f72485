"""The search on simulated systems: queues, a shared core, drift, outliers and starts that fail."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

BENCH = Path(__file__).parents[2] / "bench"
CAMPAIGNS = 20


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    """bench/search.py, whose systems these are."""
    sys.path.insert(0, str(BENCH))
    try:
        import search

        yield search
    finally:
        sys.path.remove(str(BENCH))
        for name in ("search", "simulated", "paired"):
            sys.modules.pop(name, None)


def systems(bench: ModuleType) -> dict[str, Callable[[int], Any]]:
    """By name, what makes one from a seed."""
    random = np.random.default_rng(1)
    four = bench.middle_of(lambda load: bench.many_servers(random, load, 5, 4, 0.04), 0.3, 100)
    one = bench.middle_of(lambda load: bench.one_shared(random, load, 5, 0.01), 0.15, 100)
    return {
        "noise and outliers": bench.noisy,
        "drift": lambda seed: bench.noisy(seed, drift=0.03),
        "failing starts": lambda seed: bench.noisy(seed, failing=0.2),
        "M/M/4": lambda seed: bench.queue(seed, four, servers=4, service_s=0.04, limit_s=0.3),
        "processor sharing": lambda seed: bench.shared(seed, one, service_s=0.01, limit_s=0.15),
    }


def test_of_each_kind_of_system_the_truth_is_enclosed(bench: ModuleType) -> None:
    """95 % of 20 are 19; of 500 such samples one would have fewer than 16."""
    for name, make in systems(bench).items():
        found = [bench.prony(system, 0.7 * system.truth, 0.06, 180) for system in map(make, range(CAMPAIGNS))]
        assert sum(each.inside for each in found) >= 16, name
        assert all(each.load_s <= 180 + bench.FAILED_START_S for each in found), name


def test_of_a_queue_without_a_queue_latency_is_its_service_time(bench: ModuleType) -> None:
    """M/M/c of many servers and hardly any load (mean 1 ÷ mu), and processor sharing of one: both are exponential."""
    random = np.random.default_rng(3)
    for latency_s in (bench.many_servers(random, 5, 4000, 50, 0.04), bench.one_shared(random, 0.05, 400_000, 0.04)):
        assert latency_s.mean() == pytest.approx(0.04, rel=0.05)


def test_processor_sharing_has_the_mean_latency_of_the_textbook(bench: ModuleType) -> None:
    """Kleinrock, Queueing Systems II, 4.4: S ÷ (1 - rho), whatever the distribution of S; the same for M/M/1."""
    random = np.random.default_rng(4)
    latency_s = bench.one_shared(random, 60, 4000, 0.01)
    assert latency_s.mean() == pytest.approx(0.01 / (1 - 0.6), rel=0.05)
    latency_s = bench.many_servers(random, 60, 4000, 1, 0.01)
    assert latency_s.mean() == pytest.approx(0.01 / (1 - 0.6), rel=0.05)
