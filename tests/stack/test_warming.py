"""Warm-up on a real server: an app whose first requests are slow, a trial that finds it, and later starts."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from prony.campaign import compare, warming
from prony.campaign.bench import WARMING
from prony.campaign.recall import recall
from prony.plan import Plan
from prony.summary import WarmUp
from tests.stack.test_trial import Rig

pytestmark = pytest.mark.alone

SLOW_AT_FIRST = """
import time
served = 0
def application(environ, start_response):
    global served
    served += 1
    time.sleep(0.1 if served <= 12 else 0.02)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"warm by now"]
"""


TRIES = 3  # where something else had the core meanwhile, no end of the warm-up may be seen
MOST_S = 2.0


def test_warm_up_is_found_once_and_later_starts_serve_it_uncounted(tmp_path: Path) -> None:
    for number in range(TRIES):
        (tmp_path / str(number)).mkdir()
        rig = Rig(tmp_path / str(number))
        with closing(rig.store), rig.bench:
            plan = rig.app("slow_at_first", SLOW_AT_FIRST, "[server]\nworkers = 1\n")
            compare.pace_of(rig.bench, [plan], MOST_S, warming.calibrate)
            found = rig.bench.warm_up
            assert found is not None
            if found.found_s is not None:
                serves_it_uncounted(rig, plan, found)
                return
    pytest.fail(f"twelve requests of 0.1 s, one after the other, were seen in none of {TRIES}: {found}")


def serves_it_uncounted(rig: Rig, plan: Plan, found: WarmUp) -> None:
    bench = rig.bench
    assert (found.trial, found.looked_s) == (bench.measured[0].id, 2 * MOST_S)
    assert found.found_s is not None
    assert 0.5 <= found.found_s == found.discarded_s <= MOST_S
    calm, recording = rig.measured(plan.loaded(rate_rps=10, duration_s=1.5))
    assert calm.summary.latency_s["p50"] is not None
    assert calm.summary.latency_s["p50"] < 0.09, "its first requests were served before it was counted"
    again = bench.measure(plan.loaded(rate_rps=10, duration_s=0.5), "again", "run", fresh=False)
    document = bench.document()
    assert document.warm_up == found
    assert [trial.id for trial in document.trials] == [bench.measured[0].id, recording.id, again.id]
    stored = rig.store.campaign(bench.campaign)
    roles = [trial.role for trial in stored.trials]
    assert roles == ["saturation", WARMING, "run", "run"], "one for each fresh start"
    assert [trial.id for trial in recall(rig.store, stored).trials] == [trial.id for trial in document.trials]
