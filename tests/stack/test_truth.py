"""A server of ours whose capacity follows from its slots, searched as `prony find --url` does, over real sockets."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

BENCH = Path(__file__).parent.parent.parent / "bench"

pytestmark = [
    pytest.mark.alone,
    pytest.mark.long,
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="with one core a capacity has no upper end"),
]
OFF = 1.1  # what an interval that is 95 % sure may miss the truth by


@pytest.fixture(autouse=True)
def bench_on_the_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(BENCH))
    yield
    for name in ("truth", "paired", "simulated"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(("slots", "service_s", "limit_s"), [(4, 0.02, 0.1), (2, 0.005, 1.0)])
def test_what_the_slots_can_do_lies_within_the_interval(slots: int, service_s: float, limit_s: float) -> None:
    import truth

    core = max(os.sched_getaffinity(0))
    found = truth.searched(truth.Case(slots, service_s, limit_s), core)
    low, high = found.capacity.low_rps, found.capacity.high_rps
    assert service_s < found.service_s < 1.2 * service_s, "a sleep is somewhat longer than it was asked to be"
    assert low is not None, found.capacity.text
    assert high is not None, found.capacity.text
    assert low / OFF <= found.trial_rps <= high * OFF, truth.told(found)
    assert found.ever_rps < slots / found.service_s
