"""A plan in, its capacity out: the search asks, the bench measures, until the interval is narrow or time is up."""

from __future__ import annotations

import time
from dataclasses import dataclass

from prony.campaign.bench import Bench, Measured
from prony.capacity import Capacity, Search
from prony.plan import Plan


@dataclass(frozen=True, slots=True)
class Found:
    """A capacity, and the trials that bound it: the last that held and the first that did not, where there were any."""

    capacity: Capacity
    best: Measured | None
    worst: Measured | None


def saturate(bench: Bench, plan: Plan, duration_s: float, label: str) -> Measured:
    """A closed loop with four users for each slot (8 to 200): what it achieves is about what the plan can do."""
    users = min(200, max(8, 4 * plan.server.slots))
    return bench.measure(plan.loaded(users=users, duration_s=duration_s), label, "saturation")


def capacity(
    bench: Bench, plan: Plan, start_rps: float, *, budget_s: float, trial_s: float, width: float = 0.1, label: str = ""
) -> Found:
    """The capacity of one plan.

    Args:
        bench: What measures.
        plan: The configuration; its own rate is ignored.
        start_rps: The first rate to try.
        budget_s: No trial is begun after so long.
        trial_s: Length of one trial.
        width: Width of the interval at which to stop, as a share.
        label: What its trials are called.
    """
    search = Search(start_rps=max(start_rps, 1.0), width=width)
    deadline_s = time.monotonic() + budget_s
    held: list[Measured] = []
    failed: list[Measured] = []
    ids = []
    seed = 0
    while (ask := search.ask()) is not None and time.monotonic() < deadline_s:
        seed += 1
        low, high = search.known()
        known = f"{low:.0f} holds" if low else "nothing holds yet"
        known += f", {high:.0f} does not" if high else ""
        loaded = plan.loaded(rate_rps=ask.rate_rps, duration_s=trial_s, drain_s=1.0, seed=seed)
        measured = bench.measure(loaded, f"{label}{ask.rate_rps:.0f} rps ({known})", "capacity", fresh=ask.fresh)
        search.tell(measured.judgement.held)
        ids.append(measured.id)
        (held if measured.judgement.held else failed).append(measured)
    result = search.result(plan.title, plan.limits.text, tuple(ids))
    best = max(
        (m for m in held if not result.low_rps or m.summary.offered_rps <= 1.1 * result.low_rps),
        key=_rate,
        default=None,
    )
    worst = min((m for m in failed if m.judgement.held is False), key=_rate, default=None)
    return Found(result, best, worst)


def _rate(measured: Measured) -> float:
    return measured.plan.traffic.rate_rps or 0.0
