"""A plan in, its capacity out: the search asks, the bench measures, until the interval is narrow or time is up."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from msgspec import structs

from prony import stats, summary
from prony.campaign.bench import Bench, Measured
from prony.capacity import Capacity, Search
from prony.doubts import late
from prony.plan import Plan
from prony.recording import Store

DRAIN_S = 1.0


@dataclass(slots=True)
class Hunt:
    """One plan's search for capacity, a decision at a time, so that several can take turns.

    Attributes:
        plan: The configuration; its own rate is ignored.
        search: What asks for rates.
        trial_s: Length of one trial.
        label: What its trials are called.
        done: Whether there is nothing more to ask.
    """

    plan: Plan
    search: Search
    trial_s: float
    label: str = ""
    done: bool = False
    held: list[Measured] = field(default_factory=list)
    failed: list[Measured] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    starts: set[int] = field(default_factory=set)

    def decide(self, bench: Bench, deadline_s: float) -> None:
        """Runs trials until one rate is decided; begins none after the deadline (monotonic seconds)."""
        rate_rps = None
        while time.monotonic() < deadline_s:
            ask = self.search.ask()
            if ask is None:
                self.done = True
                return
            if rate_rps is not None and ask.rate_rps != rate_rps:
                return
            rate_rps = ask.rate_rps
            low, high = self.search.known()
            known = f"{low:.0f} holds" if low else "nothing holds yet"
            known += f", {high:.0f} does not" if high else ""
            seed = len(self.ids) + 1
            loaded = self.plan.loaded(rate_rps=rate_rps, duration_s=self.trial_s, drain_s=DRAIN_S, seed=seed)
            measured = bench.measure(loaded, f"{self.label}{rate_rps:.0f} rps ({known})", "capacity", fresh=ask.fresh)
            self.search.tell(measured.judgement.held)
            self.ids.append(measured.id)
            self.starts.add(measured.start)
            (self.held if measured.judgement.held else self.failed).append(measured)

    @property
    def capacity(self) -> Capacity:
        """What is known by now; no upper end where the generator shares the app's core."""
        found = self.search.result(self.plan.title, self.plan.limits.text, tuple(self.ids), starts=len(self.starts))
        if any(doubt.name == "one_core" for m in self.failed for doubt in m.doubts):
            return structs.replace(found, high_rps=None, at_least="the generator shares the app's core")
        return found

    def p99_at_low_s(self, store: Store) -> float | None:
        """p99 latency at the highest rate that holds, over its trials' samples together; None where they are few."""
        low = self.capacity.low_rps
        trials = [m for m in self.held if m.plan.traffic.rate_rps == low and not late(m.doubts)]
        latency_s = [summary.latencies_s(store.recording(m.id)) for m in trials]
        together = np.sort(np.concatenate(latency_s)) if latency_s else np.empty(0)
        return stats.quantile(together, 0.99) if len(together) >= stats.samples_wanted(0.99) else None

    @property
    def worst(self) -> Measured | None:
        """The trial at the lowest rate that broke the limits."""
        broken = [m for m in self.failed if m.judgement.held is False]
        return min(broken, key=lambda m: m.plan.traffic.rate_rps or 0.0, default=None)


def saturate(bench: Bench, plan: Plan, duration_s: float, label: str) -> Measured:
    """A closed loop with four users for each slot (8 to 200): what it achieves is about what the plan can do."""
    loaded = plan.loaded(users=busy_users(plan), duration_s=duration_s, think_s=0)
    return bench.measure(loaded, label, "saturation")


def busy_users(plan: Plan) -> int:
    """As many users as keep every slot busy."""
    return min(200, max(8, 4 * plan.server.slots)) if plan.server.slots else 64


def capacity(
    bench: Bench, plan: Plan, start_rps: float, *, budget_s: float, trial_s: float, width: float = 0.1
) -> Hunt:
    """The capacity of one plan.

    Args:
        bench: What measures.
        plan: The configuration; its own rate is ignored.
        start_rps: The first rate to try.
        budget_s: No trial is begun after so long.
        trial_s: Length of one trial.
        width: Width of the interval at which to stop, as a share.
    """
    hunt = Hunt(plan, Search(start_rps=max(start_rps, 1.0), width=width), trial_s)
    deadline_s = time.monotonic() + budget_s
    while not hunt.done and time.monotonic() < deadline_s:
        hunt.decide(bench, deadline_s)
    return hunt
