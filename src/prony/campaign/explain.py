"""A measured trial in, its verdict out, tested by relief where there is a relief for what it blames."""

from __future__ import annotations

from dataclasses import dataclass

from prony.campaign.bench import Bench, Measured
from prony.doubts import voids_all
from prony.errors import StackError
from prony.plan import Plan, changed
from prony.verdict import ConnectionsRelief, Step, Verdict, conclude

RELIEF_S = 6.0


@dataclass(frozen=True, slots=True)
class Explained:
    """A verdict, and the trials of the experiment that tested it."""

    verdict: Verdict
    relief: tuple[Measured, ...] = ()


def explain(bench: Bench, measured: Measured, *, relieve: bool = True) -> Explained:
    """What limits this trial; when connections are blamed, the blame is put to the test under the same load."""
    verdict = conclude(measured.summary, measured.judgement)
    if verdict.cause != "connections_exhausted" or not relieve or measured.plan.database is None:
        return Explained(verdict)
    experiment = ConnectionsRelief(measured.plan, measured.summary)
    if not experiment.steps:
        return Explained(verdict)
    bench.teller.say("  Connections are blamed: testing that, with a placebo beside it.")
    rounds: list[list[Measured]] = []
    while not rounds or experiment.open([[m.summary for m in found] for found in rounds]):
        if rounds:
            bench.teller.say("  That leaves it open: once more.")
        rounds.append([])
        for step in experiment.steps:
            try:
                rounds[-1].append(_tried(bench, measured.plan, step))
            except StackError as error:
                bench.teller.say(f"  {step.label}: {error.message} The blame stays untested.")
                return Explained(verdict, _all(rounds))
        if any(voids_all(m.doubts) for m in rounds[-1]):
            bench.teller.say("  A trial of the experiment is not to be believed: the blame stays untested.")
            return Explained(verdict, _all(rounds))
    concluded = experiment.conclude(verdict, [[m.summary for m in found] for found in rounds])
    return Explained(concluded, _all(rounds))


def _tried(bench: Bench, blamed: Plan, step: Step) -> Measured:
    """One trial of the experiment: the blamed plan with the step's changes, under the same load."""
    plan = changed(blamed, step.changes)
    plan = plan.loaded(
        rate_rps=plan.traffic.rate_rps, users=plan.traffic.users, duration_s=min(RELIEF_S, plan.traffic.duration_s)
    )
    found = bench.measure(plan, f"relief: {step.label}", "placebo" if step.placebo else "relief")
    bench.teller.say(f"  {step.label}: {found.summary.errors.share:.1%} of requests fail")
    return found


def _all(rounds: list[list[Measured]]) -> tuple[Measured, ...]:
    return tuple(measured for found in rounds for measured in found)
