"""This machine in, how its trials differ out: `python bench/noise.py STARTS` adds them to noise.json.

Each is a fresh start of the page app under gunicorn sync: p99 at 60 % of what the first start served, what it serves
with every slot busy, and the canary before and after both. bench/search.py replays it (`simulated.recorded`).
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import pages

from prony.campaign import compare as comparing
from prony.campaign.bench import Bench, Measured
from prony.campaign.find import busy_users
from prony.plan import Plan, read_file
from prony.recording import Store

FILE = Path(__file__).with_name("noise.json")
TRIAL_S = 3.0
HOW = (
    "python bench/noise.py: the page app (Django, Postgres, kept connections), gunicorn sync with 3 workers, each "
    f"start fresh; p99_s over {TRIAL_S:g} s of Poisson arrivals at 60 % of what the first start served; rps in a "
    f"closed loop that keeps every slot busy for {TRIAL_S:g} s; cpu_s of app and database for one request then; "
    "canary_s before and after each of the two; neighbours: whether prony's own doubts say that other programs used "
    "the stack's core meanwhile"
)


def one_start(bench: Bench, plan: Plan, rate_rps: float, number: int) -> dict[str, Any]:
    """What one fresh start did."""
    loaded = plan.loaded(rate_rps=rate_rps, duration_s=TRIAL_S, drain_s=1.0, seed=number + 1)
    calm = bench.measure(loaded, f"start {number + 1}", "noise")
    full = plan.loaded(users=busy_users(plan), duration_s=TRIAL_S)
    busy = bench.measure(full, f"start {number + 1}, every slot busy", "noise", fresh=False)
    return {
        "rps": round(busy.summary.achieved_rps, 1),
        "p99_s": round(calm.summary.latency_s["p99"] or 0.0, 6),
        "cpu_s": round(sum(busy.summary.tiers[tier]["cpu_s_per_request"] or 0.0 for tier in ("app", "database")), 6),
        "canary_s": [round(each, 6) for trial in (calm, busy) for each in _canary(bench, trial)],
        "neighbours": any(doubt.name in {"neighbours", "steal"} for each in (calm, busy) for doubt in each.doubts),
    }


def _canary(bench: Bench, trial: Measured) -> list[float]:
    return [float(each) for each in bench.store.recording(trial.id).values("canary", "stack_s")]


def record(starts: int) -> list[dict[str, Any]]:
    """So many starts."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = pages.burning(Path(name) / "page")
        (folder / ".prony").mkdir()
        plan = read_file(folder, ())
        with (
            contextlib.closing(Store(folder / ".prony" / "prony.db")) as store,
            Bench(store, "compare", "noise", folder / ".prony") as bench,
        ):
            rate_rps = comparing.pace_of(bench, [plan], TRIAL_S).rate_rps
            return [one_start(bench, plan, rate_rps, number) for number in range(starts)]


def main() -> None:
    """Adds to the file."""
    found = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {"starts": []}
    machine = {
        "cpus": os.cpu_count(),
        "kernel": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "kind": f"virtual machine, {platform.machine()}",
    }
    found = {"how": HOW, "machine": machine, "starts": [*found["starts"], *record(int(sys.argv[1]))]}
    FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
