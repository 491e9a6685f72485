"""What the engine records of a server that keeps to a plan: never less than the plan has, a freeze included.

How near it comes is bench/accuracy.py's to measure: other work on this machine only ever adds to latency.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prony.load.spec import RequestSpec
from prony.stats import quantile
from tests.stack.engine_case import load

pytestmark = pytest.mark.alone

BENCH = Path(__file__).parent.parent.parent / "bench"
RATE_RPS, SECONDS = 500.0, 2.0
FREEZE_AT_S, FREEZE_S = 0.5, 0.5
QUANTILES = (0.5, 0.9, 0.99, 0.999)


def planned_s(due_s: float, hold_s: float) -> float:
    """A request's latency, step by step as the server does it: read, held, answered, each once it is not frozen."""
    end_s = FREEZE_AT_S + FREEZE_S

    def thawed(at_s: float) -> float:
        return end_s if FREEZE_AT_S <= at_s < end_s else at_s

    return thawed(thawed(due_s) + hold_s) - due_s


def recorded(tmp_path: Path, **arrivals: Any) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """The samples of one load on the holding server in order, how long it was to hold each, when each arrived."""
    holds_s = np.random.default_rng(3).lognormal(np.log(0.01), 0.5, 20_000)
    (tmp_path / "plan").write_bytes(holds_s.astype("<f8").tobytes())
    command = [sys.executable, str(BENCH / "holding.py"), "plan", "stamps", str(FREEZE_AT_S), str(FREEZE_S)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as server:
        assert server.stdout
        port = int(server.stdout.readline())
        _, samples = load(port, tmp_path, RequestSpec(), duration_s=SECONDS, drain_s=10.0, **arrivals)
        server.communicate("", timeout=30)
    assert (samples["outcome"] == 0).all()
    stamps = np.fromfile(tmp_path / "stamps", dtype="<i8").tolist()
    return np.sort(samples, order="due_ns"), holds_s, stamps


def test_an_open_loop_records_no_less_than_the_plan_has(tmp_path: Path) -> None:
    samples, holds_s, stamps = recorded(tmp_path, arrivals="constant", rate_rps=RATE_RPS)
    due_s = (samples["due_ns"] - samples["due_ns"][0]) / 1e9
    wanted = np.sort([planned_s(due, hold) for due, hold in zip(due_s, holds_s, strict=False)])
    found = np.sort((samples["done_ns"] - samples["due_ns"]) / 1e9)
    for q in QUANTILES:
        assert quantile(found, q) > 0.98 * quantile(wanted, q)
    assert quantile(wanted, 0.99) > 0.4, "the freeze is what most of the slowest met"
    assert len(stamps) == len(samples)
    assert (np.array(stamps) >= np.sort(samples["sent_ns"])).all(), "nothing arrives before it was sent, by its server"


def test_a_closed_loop_s_service_times_hide_what_the_freeze_kept_from_being_sent(tmp_path: Path) -> None:
    samples, _, _ = recorded(tmp_path, arrivals="closed", users=4)
    service_s = np.sort((samples["done_ns"] - samples["sent_ns"]) / 1e9)
    assert (service_s > 0.4).sum() <= 4, "each user met it once"
