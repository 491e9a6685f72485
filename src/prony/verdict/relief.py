"""A verdict that blames database connections in, the trials that test it out, and with their figures its proof.

Relief gives the suspect more, in two steps, and nothing else; a placebo changes a knob that should move nothing, with
the same restarts. The verdict is proven only when the errors go with the first and stay with the second. Where one
round of these trials leaves it open, more are run, and each step's median counts: one start is one sample.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from msgspec import structs

from prony.knobs.server import KNOBS
from prony.plan import Plan
from prony.summary import Summary
from prony.verdict.model import Verdict

KNOB = "stores.database.max_connections"
CEILING = 5000  # the knob's own: more backends than that are no experiment but a load
GONE = 0.1  # of the errors may be left after the last step
STAYED = 0.7  # of the errors at least remain under the placebo
WENT = 0.5  # of the errors may be left after the last step where more rounds are worth their time
ROUNDS = 3  # at most


class Step(NamedTuple):
    """One trial of the experiment: what changes against the blamed plan, under the same load."""

    label: str
    changes: Mapping[str, Any]
    placebo: bool


class ConnectionsRelief:
    """The experiment on max_connections for one blamed plan; ask for `steps`, run each, then `conclude`.

    There are no steps where max_connections cannot be raised enough.
    """

    def __init__(self, plan: Plan, summary: Summary) -> None:
        if plan.database is None:
            raise ValueError("no database, no connections to relieve")
        self.plan = plan
        self.before = summary
        now = plan.database.max_connections
        demand = self._demand()
        enough = min(CEILING, max(2 * now, math.ceil(1.1 * demand) + 10))
        between = round(math.sqrt(now * enough))
        self.steps: tuple[Step, ...] = ()
        if now < between < enough:
            self.steps = (
                Step(f"max_connections {now} → {between}", {KNOB: between}, placebo=False),
                self._placebo(),
                Step(f"max_connections {now} → {enough}", {KNOB: enough}, placebo=False),
            )

    def _placebo(self) -> Step:
        server = self.plan.server
        knob = next((k for k in KNOBS[server.kind, server.worker_class] if k.inert is not None), None)
        if knob is None:
            raise ValueError(f"{server.title} has no knob that plays no part: there is no placebo")
        now = server.knobs[knob.key]
        other = knob.inert if now != knob.inert else knob.default
        return Step(f"placebo: {knob.key} {now} → {other}", {knob.name: other}, placebo=True)

    def _demand(self) -> int:
        """The most connections that could be wanted at once: one for each request in flight, at most one a slot."""
        in_flight = self.plan.traffic.most_users or math.ceil(3 * self.before.backlog.mean)
        slots = self.plan.server.slots
        return min(in_flight, slots) if slots else in_flight

    def open(self, rounds: Sequence[Sequence[Summary]]) -> bool:
        """Whether another round may settle it: errors went when connections were added, but there is no proof yet."""
        was, shares = self.before.errors.share, self._shares(rounds)
        gone, stayed = self._tested(shares)
        return len(rounds) < ROUNDS and not (gone and stayed) and shares[-1] <= WENT * was

    def _shares(self, rounds: Sequence[Sequence[Summary]]) -> list[float]:
        """Each step's share of errors: the median over the rounds."""
        for summaries in rounds:
            if len(summaries) != len(self.steps):
                raise ValueError(f"{len(self.steps)} steps, and {len(summaries)} trials in a round")
        return [median(summary.errors.share for summary in step) for step in zip(*rounds, strict=True)]

    def _tested(self, shares: Sequence[float]) -> tuple[bool, bool]:
        """Whether the errors went with each step of the relief, and whether they stayed under the placebo.

        What is left below GONE is not compared between the steps: those few may come from anything.
        """
        was = self.before.errors.share
        pairs = list(zip(self.steps, shares, strict=True))
        raised = [share for step, share in pairs if not step.placebo]
        fell = all(b <= max(a + 0.02, GONE * was) for a, b in zip([was, *raised], raised, strict=False))
        stayed = all(share >= STAYED * was for step, share in pairs if step.placebo)
        return raised[-1] <= GONE * was and fell, stayed

    def conclude(self, verdict: Verdict, rounds: Sequence[Sequence[Summary]]) -> Verdict:
        """The verdict, graded by what the trials showed; in each round one summary a step, in the order of `steps`."""
        was, shares = self.before.errors.share, self._shares(rounds)
        gone, stayed = self._tested(shares)
        times = f" (the median of {len(rounds)} rounds)" if len(rounds) > 1 else ""
        evidence = [
            f"Relief, {step.label}: {was:.1%} of requests failed before, {share:.1%} after{times}."
            for step, share in zip(self.steps, shares, strict=True)
        ]
        figures = dict(verdict.figures)
        figures |= {f"relief.errors_share.{i}": share for i, share in enumerate(shares)}
        if gone and stayed:
            evidence.append("The errors went when connections were added, and stayed under the placebo: proven.")
            grade = "proven"
        elif not stayed:
            evidence.append("The errors went under the placebo as well: connections are not proven to be the cause.")
            grade = "unknown"
        else:
            evidence.append("The errors did not go when connections were added: something else is at work.")
            grade = "unknown"
        return structs.replace(
            verdict,
            tier_grade=grade,
            cause_grade=grade,
            evidence=(*verdict.evidence, *evidence),
            figures=figures,
        )
