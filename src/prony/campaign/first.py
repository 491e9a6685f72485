"""A plan and no question in, a first answer out: each page's cost, a light and a heavy load, what limits it."""

from __future__ import annotations

import time

from prony.campaign import costs, find
from prony.campaign.bench import Bench, Measured
from prony.campaign.explain import explain
from prony.document import Document, RouteCost
from prony.figures import rate
from prony.plan import Plan
from prony.verdict import advise

BUDGET_S = 60.0
LOADS_S = 24.0  # of that, for the loads over all pages
SATURATE_S = 2.0
LIGHT = 0.2  # of the rate at which all slots are busy
HEAVY = 2.0
LEAST_RPS = 1.0
MOSTLY = 0.5  # of the answers wrong, and there is no use in more load
LIGHT_S = 6.0
HEAVY_S = 6.0
DRAIN_S = 2.0


def answer(bench: Bench, plan: Plan, began_s: float) -> tuple[Document, Measured]:
    """The first answer, in about a minute from `began_s` (monotonic); and the trial under the light load.

    Where hardly an answer is right, it ends there and says so: a load on wrong answers tests nothing.
    """
    teller = bench.teller
    teller.stage("What each page costs by itself")
    routes, one = costs.measure(bench, plan, began_s + BUDGET_S - LOADS_S - time.monotonic())
    if one.summary.errors.share > MOSTLY:
        light = heavy = most = one
    else:
        teller.stage("All pages together")
        most = find.saturate(bench, plan, SATURATE_S, "as much as it takes")
        light, heavy = _loads(bench, plan, max(most.summary.achieved_rps, LEAST_RPS))
    verdict = explain(bench, heavy, relieve=False).verdict
    name = _costliest(routes)
    document = bench.document(
        declared=_declared(plan, routes, most),
        verdicts=(verdict,),
        routes=routes,
        next=advise(verdict, plan, heavy.summary, name),
    )
    return document, light


def _costliest(routes: tuple[RouteCost, ...]) -> str:
    """The page that costs the app the most CPU time; empty where the slowest of them was not loaded by itself."""
    slowest = max(routes, key=lambda each: each.time_s or 0.0, default=None)
    if slowest is None or not slowest.app_cpu_s or len(routes) == 1:
        return ""
    return max(routes, key=lambda each: each.app_cpu_s or 0.0).name


def _loads(bench: Bench, plan: Plan, most_rps: float) -> tuple[Measured, Measured]:
    """A light load and a heavy one, by what it served with every slot busy."""
    light = _load(bench, plan, max(LIGHT * most_rps, LEAST_RPS), LIGHT_S, "light load")
    if light.summary.errors.share > MOSTLY:
        return light, light
    heavy = _load(bench, plan, HEAVY * most_rps, HEAVY_S, "heavy load")
    if heavy.judgement.held:  # a disturbance had made it look slower than it is
        heavy = _load(bench, plan, HEAVY**2 * most_rps, HEAVY_S, "heavier load")
    return light, heavy


def _load(bench: Bench, plan: Plan, rate_rps: float, duration_s: float, label: str) -> Measured:
    loaded = plan.loaded(rate_rps=rate_rps, duration_s=duration_s, drain_s=DRAIN_S)
    found = bench.measure(loaded, label, "run", fresh=False)
    bench.teller.say(f"  {label}: {rate(found.summary.offered_rps)} offered, {rate(found.summary.achieved_rps)} served")
    return found


def _declared(plan: Plan, routes: tuple[RouteCost, ...], most: Measured) -> tuple[str, ...]:
    stores = ", ".join(
        f"{store.kind} for {name}" if name != store.kind else name for name, store in plan.stores.items()
    )
    found = [f"As it is configured: {plan.title}" + (f"; {stores}" if stores else "")]
    if not plan.traffic.declared:
        found.append(
            f"The mix of its {len(routes)} pages is guessed; each page's own cost, below, does not depend on it."
            if len(routes) > 1
            else "No other page is known than this one; each page's own cost does not depend on the mix."
        )
    if (
        most.plan.traffic.users != 1
        and most.judgement.held is not None
        and most.summary.errors.share <= plan.limits.errors
    ):
        served = rate(most.summary.achieved_rps)
        found.append(f"With every slot busy it served about {served} of this mix, for {SATURATE_S:.0f} s.")
    return tuple(found)
