"""A script's configurations in, the table of what each can do and the recommended one out."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass

from prony.campaign import find
from prony.campaign.bench import Bench, Measured
from prony.campaign.script import Script, ScriptConfiguration
from prony.capacity import Search
from prony.document import Configuration, Recommended
from prony.figures import rate, share
from prony.plan import Plan
from prony.stack.servers import procfile_line

TRIAL_S = 2.5
FIRST_TURN = 4
WIDTH = 0.15
SURE = 0.8  # of each interval: there is time for a few trials each
START = 0.8  # of the rate served under the rush: the first rate to try
CONFIRM_S = 6.0
CONFIRM_STARTS = 2
RESERVE_S = 1.5 * (CONFIRM_STARTS * (CONFIRM_S + 3))  # kept for re-measuring the chosen one


@dataclass(frozen=True, slots=True)
class Known:
    """What a replay knows before its table is begun.

    Attributes:
        plans: Each configuration's plan, by its name.
        rushed: Trials under the rush that need not be repeated.
        r_rps: The rate at which the base saturates.
        seed: Of the order in which searches take turns.
        deadline_s: When all is to be done, in monotonic seconds.
    """

    plans: dict[str, Plan]
    rushed: tuple[Measured, ...]
    r_rps: float
    seed: int
    deadline_s: float


def measure(bench: Bench, script: Script, known: Known) -> tuple[list[Configuration], Recommended | None]:
    """Every configuration under the same rush, then its capacity; and the one to recommend, measured anew."""
    plans = known.plans
    bench.teller.stage(f"Every configuration under a rush of {script.rush.clients} clients")
    rushes: dict[str, Measured] = {}
    for row in script.configuration:
        loaded = plans[row.name].loaded(users=script.rush.clients, duration_s=script.rush.duration_s, drain_s=3.0)
        done = next((m for m in known.rushed if _same_rush(m.plan, loaded)), None)
        rushes[row.name] = done or bench.measure(loaded, f"rush: {row.name}", "rush")
        errors = rushes[row.name].summary.errors.share
        bench.teller.say(f"  {row.title}: {share(errors)} failed, {rate(rushes[row.name].summary.achieved_rps)}")
    hunts = {row.name: _hunt(row, plans[row.name], rushes[row.name], known.r_rps) for row in script.configuration}
    bench.teller.stage("The capacity of each: the searches take turns, in random order")
    _take_turns(bench, hunts, known.deadline_s - RESERVE_S, known.seed)
    rows = [_row(bench, row, plans[row.name], rushes[row.name], hunts[row.name]) for row in script.configuration]
    for found in rows:
        bench.teller.say(f"  {found.title}: {found.capacity.text}")
    return rows, _recommend(bench, rows, plans, known.deadline_s)


def _hunt(row: ScriptConfiguration, plan: Plan, rush: Measured, r_rps: float) -> find.Hunt:
    """A search that begins a little below what the configuration served under the rush."""
    served = rush.summary.achieved_rps if rush.summary.errors.share < 0.2 else r_rps
    return find.Hunt(plan, Search(start=max(1.0, START * served), width=WIDTH, sure=SURE), TRIAL_S, f"{row.name}: ")


def _take_turns(bench: Bench, hunts: dict[str, find.Hunt], deadline_s: float, seed: int) -> None:
    """Some trials each, in an order drawn anew every round: a drift of the machine meets them all alike.

    Several at first, because they mostly share a start, and a turn costs a boot.
    """
    trials, longest_s = FIRST_TURN, 0.0
    order = random.Random(seed)  # noqa: S311 - an order, recorded with its seed
    while time.monotonic() < deadline_s and not all(hunt.done for hunt in hunts.values()):
        names = [name for name, hunt in hunts.items() if not hunt.done]
        order.shuffle(names)
        for hunt in (hunts[name] for name in names for _ in range(trials)):
            began_s = time.monotonic()
            if began_s < deadline_s and not hunt.done:
                each_s = longest_s * len(names)
                hunt.step(bench, (deadline_s - began_s) / each_s if each_s else math.inf)
                longest_s = max(longest_s, time.monotonic() - began_s)
        trials = 1


def _same_rush(one: Plan, other: Plan) -> bool:
    """Whether two plans differ in nothing but how long the rush lasts."""
    return one.stack == other.stack and one.traffic.users == other.traffic.users


def _row(bench: Bench, row: ScriptConfiguration, plan: Plan, rush: Measured, hunt: find.Hunt) -> Configuration:
    believed = rush.believed
    tiers = rush.summary.tiers
    return Configuration(
        name=row.name,
        title=row.title,
        changes={**row.set, **({"server.threads": plan.server.knobs["threads"]} if row.threads_fit_database else {})},
        capacity=hunt.capacity,
        p99_s=hunt.p99_at_low_s(bench.store),
        rush_rps=rush.entry.achieved_rps,
        rush_errors=rush.summary.errors.share,
        rush_p99_s=believed.latency_s["p99"],
        memory_bytes=tiers["app"]["memory_bytes"],
        connections=tiers["connections"]["most"],
        rush_trial=rush.id,
        procfile=procfile_line(plan.server, plan.app.entry, plan.app.interface),
    )


def _recommend(
    bench: Bench, rows: list[Configuration], plans: dict[str, Plan], deadline_s: float
) -> Recommended | None:
    """The highest capacity among those that also stood the rush; where intervals overlap, what asks for least."""
    allowed = {name: plan.limits.errors for name, plan in plans.items()}
    stood = [row for row in rows if (row.rush_errors or 0) <= allowed[row.name] and row.capacity.low_rps]
    if not stood:
        bench.teller.say("  No configuration both stood the rush and held the limits at a rate: none is recommended.")
        return None
    top = max(stood, key=lambda row: row.capacity.low_rps or 0)
    tied = [row for row in stood if _reaches(row, top.capacity.low_rps or 0)]
    chosen = min(tied, key=lambda row: (_asked(row.connections), _asked(row.memory_bytes)))
    bench.teller.stage(f"Measuring the chosen one anew: {chosen.title}")
    confirmed_rps, trials, text = _confirm(bench, plans[chosen.name], chosen, deadline_s)
    bench.teller.say(f"  {text}")
    return Recommended(
        name=chosen.name,
        plan=chosen.title,
        changes=chosen.changes,
        why=_why(chosen, tied, [row for row in rows if (row.rush_errors or 0) > allowed[row.name]], rows),
        procfile=chosen.procfile,
        environment=tuple(
            f"{name.removeprefix('app.env.')}={value}"
            for name, value in chosen.changes.items()
            if name.startswith("app.env.")
        ),
        remeasured=text,
        confirmed_rps=confirmed_rps,
        soaked=False,
        trials=trials,
    )


def _reaches(row: Configuration, rate_rps: float) -> bool:
    """Whether a row's capacity is this rate as far as the searches can tell: to their own width."""
    return (row.capacity.low_rps or 0) * (1 + WIDTH) >= rate_rps


def _asked(figure: float | None) -> float:
    """What a configuration asks for; what was not measured is no small demand."""
    return float("inf") if figure is None else figure


def _confirm(
    bench: Bench, plan: Plan, row: Configuration, deadline_s: float
) -> tuple[float | None, tuple[str, ...], str]:
    """Fresh starts that had no part in the choice: at the rate found, or, where that does not hold, below it."""
    trials: list[str] = []
    missed: list[str] = []
    for part in (1.0, 0.85, 0.7):
        if missed and time.monotonic() > deadline_s:
            break
        rate_rps = part * (row.capacity.low_rps or 0)
        held = []
        for number in range(CONFIRM_STARTS):
            loaded = plan.loaded(rate_rps=rate_rps, duration_s=CONFIRM_S, drain_s=1.0, seed=1000 + number)
            measured = bench.measure(loaded, f"confirm {rate_rps:.0f} rps", "confirm")
            if measured.judgement.held is None:  # not to be believed: once more
                trials.append(measured.id)
                measured = bench.measure(loaded, f"confirm {rate_rps:.0f} rps", "confirm")
            trials.append(measured.id)
            held.append(measured.judgement.held is True)
            if not held[-1]:
                break
        if all(held):
            above = f" It did not hold {', '.join(missed)} there." if missed else ""
            return (
                rate_rps,
                tuple(trials),
                (f"Held {rate(rate_rps)} on {CONFIRM_STARTS} fresh starts that had no part in choosing it.{above}"),
            )
        missed.append(rate(rate_rps))
    return None, tuple(trials), f"Measured anew it did not hold {', '.join(missed)}: treat its capacity as unknown."


def _why(chosen: Configuration, tied: list[Configuration], fell: list[Configuration], rows: list[Configuration]) -> str:
    said = [f"It holds {chosen.capacity.text} and failed {share(chosen.rush_errors)} of the rush."]
    others = [row.title for row in tied if row is not chosen]
    if others:
        said.append(
            f"Its capacity cannot be told from that of {' and '.join(others)} here; "
            "it asks for fewer database connections or less memory."
        )
    base = next((row for row in rows if not row.changes), None)
    if base is not None and base is not chosen and base.capacity.high_rps and chosen.capacity.low_rps:
        ratio = chosen.capacity.low_rps / base.capacity.high_rps
        if ratio > 1:
            said.append(f"That is at least {ratio:.1f} times what {base.title} holds.")
    failed = [f"{row.title} ({share(row.rush_errors)})" for row in fell]
    if failed:
        said.append(f"Ruled out by errors under the rush: {', '.join(failed)}.")
    return " ".join(said)
