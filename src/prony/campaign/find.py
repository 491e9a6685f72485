"""A plan in, its capacities out: the search asks, the bench measures, until the intervals are narrow or time is up."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from msgspec import structs

from prony import stats, summary
from prony.campaign.bench import Bench, Measured
from prony.capacity import Capacity, Search, Tracing, judge
from prony.doubts import late
from prony.errors import ConsentError, PlanError, PronyError, StackError
from prony.figures import share
from prony.plan import Limits, Plan
from prony.recording import Store

DRAIN_S = 1.0
SHORT = 0.5  # of a full trial, while the search only steers
INTERRUPTED = "interrupted"
FAILED_STARTS_MAX = 3  # in a row


@dataclass(slots=True)
class Hunt:
    """One plan's search for capacity, a trial at a time, so that several can take turns.

    Attributes:
        plan: The configuration; its own load is ignored.
        search: What asks for loads; its goals are the plan's limits, then `more`.
        trial_s: Length of one trial at full length; short ones take half of it.
        label: What its trials are called.
        more: Further sets of limits, judged from the same trials.
        done: Whether there is nothing more to ask.
        why: Why it ended early; the empty text where it did not.
        measured: Every trial so far, the curve's too.
        missing: Loads that the curve lacks in the end.
        longest_s: What the longest trial took, its start included.
        interrupted: Whether Ctrl-C or an error ended it.
        error: The error that ended it; None where none did.
        failed_starts: How many starts in a row have failed by now.
        budget_s: How long it may take, of which its trials' labels tell what is used; infinite: they do not.
        began_s: When it began, in monotonic seconds.
    """

    plan: Plan
    search: Search
    trial_s: float
    label: str = ""
    more: tuple[Limits, ...] = ()
    done: bool = False
    why: str = ""
    held: list[Measured] = field(default_factory=list)
    failed: list[Measured] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    starts: set[int] = field(default_factory=set)
    measured: list[Measured] = field(default_factory=list)
    missing: tuple[float, ...] = ()
    longest_s: float = 0.0
    interrupted: bool = False
    error: PlanError | None = None
    failed_starts: int = 0
    budget_s: float = math.inf
    began_s: float = 0.0

    def step(self, bench: Bench, left: float = math.inf) -> None:
        """Runs one trial; `left`: for how many there still is time. A start that fails is made again.

        Raises:
            StackError: the very first start failed.
        """
        ask = self.search.ask(left)
        if ask is None:
            self.done = True
            return
        duration_s = self.trial_s * (SHORT if ask.short else 1.0)
        began_s = time.monotonic()
        try:
            measured = self.measure(bench, ask.load, duration_s, self.known, fresh=ask.fresh)
        except StackError as error:
            if not self.ids:
                raise
            self.longest_s = max(self.longest_s, time.monotonic() - began_s)
            self.failed_starts += 1
            self.done = self.failed_starts >= FAILED_STARTS_MAX
            self.why = f"{self.failed_starts} starts in a row failed, the last so: {error}" if self.done else ""
            bench.teller.say(f"  A start failed{'' if self.done else ' and is made again'}: {error}")
            return
        self.failed_starts = 0
        others = (judge(measured.summary, measured.doubts, limits).held for limits in self.more)
        disturbed = measured.judgement.disturbed
        self.search.tell(measured.judgement.held, *others, weak=disturbed, why=_why(measured))
        self.ids.append(measured.id)
        self.starts.add(measured.start)
        (self.held if measured.judgement.held else self.failed).append(measured)

    def measure(self, bench: Bench, load: float, duration_s: float, why: str, *, fresh: bool) -> Measured:
        """One trial at a load, its label with why it is run."""
        began_s = time.monotonic()
        asked = {"users": round(load)} if self.search.users else {"rate_rps": load}
        loaded = self.plan.loaded(**asked, duration_s=duration_s, drain_s=DRAIN_S, seed=len(self.measured) + 1)
        measured = bench.measure(loaded, f"{self.label}{load:.0f} {self.unit} ({why})", "capacity", fresh=fresh)
        self.measured.append(measured)
        self.longest_s = max(self.longest_s, time.monotonic() - began_s)
        return measured

    @property
    def tracing(self) -> Tracing:
        """What a curve through the trials so far lacks."""
        capacity, search = self.capacity, self.search
        full = [m for m in self.measured if m.plan.traffic.duration_s >= self.trial_s and m.judgement.held is not None]
        loads = [_load(m) for m in full]
        return Tracing(capacity.low, capacity.high, loads, search.least, search.most, search.users)

    @property
    def unit(self) -> str:
        """What loads count."""
        return "users" if self.search.users else "rps"

    @property
    def known(self) -> str:
        """What is known so far, in words, of each set of limits, and how much of the budget is used."""
        if self.more:
            names = names_of((self.plan.limits, *self.more))
            told = [f"{name}: {_short(*self.search.known(goal))}" for goal, name in enumerate(names)]
        else:
            low, high = self.search.known()
            held = f"{low:.0f} holds" if low else "nothing holds yet"
            told = [f"{held}, {high:.0f} does not" if high else held]
        return self.with_budget("; ".join(told))

    def with_budget(self, text: str) -> str:
        """A text for a label, and how much of the budget is used by now."""
        if not math.isfinite(self.budget_s):
            return text
        used = min(1.0, (time.monotonic() - self.began_s) / self.budget_s)
        return f"{text}; {share(round(used, 2))} of the budget used"

    def cut(self, error: KeyboardInterrupt | PlanError) -> None:
        """Ctrl-C or an error ends it: what is known is kept."""
        self.interrupted = True
        self.error = error if isinstance(error, PlanError) else None

    @property
    def capacities(self) -> tuple[Capacity, ...]:
        """What is known by now, for each set of limits; no upper end where the generator shares the app's core."""
        one_core = any(doubt.name == "one_core" for m in self.failed for doubt in m.doubts)
        found = []
        for goal, limits in enumerate((self.plan.limits, *self.more)):
            each = self.search.result(
                self.plan.title, limits.text, tuple(self.ids), goal=goal, starts=len(self.starts), why=self.why
            )
            if one_core:
                why = "the generator shares the app's core"
                each = structs.replace(each, high_rps=None, high_users=None, at_least=why)
            found.append(each)
        return tuple(found)

    @property
    def capacity(self) -> Capacity:
        """That of the plan's own limits."""
        return self.capacities[0]

    def p99_at_low_s(self, store: Store) -> float | None:
        """p99 latency at the highest rate that holds, over its trials' samples together; None where they are few."""
        low = self.capacity.low
        trials = [m for m in self.held if _load(m) == low and not late(m.doubts)]
        latency_s = [summary.latencies_s(store.recording(m.id)) for m in trials]
        together = np.sort(np.concatenate(latency_s)) if latency_s else np.empty(0)
        return stats.quantile(together, 0.99) if len(together) >= stats.samples_wanted(0.99) else None

    @property
    def worst(self) -> Measured | None:
        """The trial at the lowest rate that broke the limits."""
        broken = [m for m in self.failed if m.judgement.held is False]
        return min(broken, key=_load, default=None)


def names_of(sets: Sequence[Limits]) -> list[str]:
    """What each set of limits is called: what tells it from the others, in as few words as may be."""
    parts = [each.text.split(", ") for each in sets]
    own = [[part for part in each if not all(part in other for other in parts)] for each in parts]
    for told in ([each[:1] for each in own], own):
        names = [", ".join(each) for each in told]
        if all(names) and len(set(names)) == len(names):
            return names
    return [f"limits {number}" for number in range(1, len(parts) + 1)]


def _short(low: float | None, high: float | None) -> str:
    """An interval as it is known by now, in a few characters."""
    if low and high:
        return f"{low:.0f} – {high:.0f}"
    return f"≥ {low:.0f}" if low else f"< {high:.0f}" if high else "nothing yet"


def ending(error: KeyboardInterrupt | PronyError) -> str:
    """What ended something before its end, in a few words."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return "the host no longer consents" if isinstance(error, ConsentError) else "an error ended it"


def _load(measured: Measured) -> float:
    traffic = measured.plan.traffic
    return float(traffic.users or traffic.rate_rps or 0.0)


def saturate(bench: Bench, plan: Plan, duration_s: float, label: str) -> Measured:
    """A closed loop with four users for each slot (8 to 200): what it achieves is about what the plan can do."""
    loaded = plan.loaded(users=busy_users(plan), duration_s=duration_s, think_s=0)
    return bench.measure(loaded, label, "saturation")


def busy_users(plan: Plan) -> int:
    """As many users as keep every slot busy."""
    return min(200, max(8, 4 * plan.server.slots)) if plan.server.slots else 64


def _why(measured: Measured) -> str:
    """What kept a trial from being believed, as a reason for "at least"."""
    voids = [doubt for doubt in measured.doubts if doubt.kind == "void"]
    return f"{voids[0].name}: {voids[0].text}" if voids else ""


def hunt(bench: Bench, found: Hunt, budget_s: float, curve: float = 0.0) -> None:
    """Searches until the intervals are narrow or time is up; Ctrl-C or an error ends it and keeps what is known.

    No trial is begun that by the trials so far would pass the budget. Of that, time for the trials that the curve lacks
    is kept, up to the share `curve`.

    Raises:
        KeyboardInterrupt: nothing is known yet.
        PlanError: the same; as where what is loaded no longer consents, or cannot be logged in to.
    """
    began_s = found.began_s = time.monotonic()
    found.budget_s = budget_s
    try:
        while not found.done:
            kept_s = min(curve * budget_s, len(found.tracing.missing()) * found.longest_s) if curve else 0.0
            left_s = began_s + budget_s - kept_s - time.monotonic()
            if found.longest_s > left_s:
                found.why = "time was up"
                return
            found.step(bench, left_s / found.longest_s if found.longest_s else math.inf)
    except (KeyboardInterrupt, PlanError) as error:
        if not found.ids:
            raise
        found.cut(error)
        found.why = ending(error)
