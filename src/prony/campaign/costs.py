"""A plan in, what each of its routes costs by itself out: its time alone, its own capacity, the CPU of one request.

None of it depends on how often each route is asked for, so it holds whatever the mix.
"""

from __future__ import annotations

import time

from msgspec import structs

from prony.campaign.bench import Bench, Measured
from prony.campaign.find import busy_users
from prony.document import RouteCost
from prony.doubts import late, voids_all
from prony.plan import Plan, Request
from prony.summary import RouteFigures

ASKED_S = (2.0, 6.0)  # the least and the most time in which one visitor asks for every route
EACH_S = 0.5  # of that, for each route
ALONE_S = (1.2, 4.0)  # a route by itself: the least, and the most where it is slow
DRAIN_S = 6.0  # at most, for those who asked last
ANSWERS = 6  # that one visitor's time should be good for, in such a trial
LEAST_S = 8.0  # for the costliest by themselves, however long the start and what came before took
OVERHEAD_S = 0.8  # that a trial takes besides


def measure(bench: Bench, plan: Plan, budget_s: float) -> tuple[tuple[RouteCost, ...], Measured]:
    """Every route, asked by one visitor at a time; then the slowest by themselves, under full load, while time lasts.

    Args:
        bench: What measures.
        plan: Whose routes; its weights and its own load are ignored.
        budget_s: No trial is begun after so long; but the costliest routes have `LEAST_S` in any case.

    Returns:
        The costliest first; and the trial of the one visitor.
    """
    deadline_s = time.monotonic() + budget_s
    requests = plan.traffic.requests
    even = _asking(plan, tuple(structs.replace(request, weight=1.0) for request in requests))
    asked_s = min(max(EACH_S * len(requests), ASKED_S[0]), ASKED_S[1])
    one = bench.measure(
        even.loaded(users=1, duration_s=asked_s, drain_s=2.0, think_s=0), "each page by itself", "costs"
    )
    deadline_s = max(deadline_s, time.monotonic() + LEAST_S)
    found = {figures.name: _timed(figures, one) for figures in one.summary.routes}
    by_time = sorted(requests, key=lambda request: -(found[_name(request)].time_s or 0.0))
    for number, request in enumerate(by_time, 1):
        cost = found[_name(request)]
        duration_s = min(max(ALONE_S[0], ANSWERS * (cost.time_s or 0.0)), ALONE_S[1])
        if time.monotonic() + duration_s + OVERHEAD_S > deadline_s:
            left = len(by_time) - number + 1
            bench.teller.say(f"  Time is up: the quickest {left} of {len(by_time)} pages are not loaded by themselves.")
            break
        if not cost.requests or cost.errors == 1.0:
            continue  # nothing valid could be measured
        found[_name(request)] = _alone(bench, plan, request, cost, duration_s)
    return tuple(sorted(found.values(), key=_weight, reverse=True)), one


def _name(request: Request) -> str:
    return request.name or request.path


def _weight(cost: RouteCost) -> tuple[float, float]:
    return (1 / cost.alone_rps if cost.alone_rps else 0.0, cost.time_s or 0.0)


def _asking(plan: Plan, requests: tuple[Request, ...]) -> Plan:
    return structs.replace(plan, traffic=structs.replace(plan.traffic, requests=requests, journeys=()))


def _timed(figures: RouteFigures, one: Measured) -> RouteCost:
    """The median is taken of however many there were: a few answers are enough for it, and their number is told."""
    wrong = voids_all(one.doubts) or figures.errors == 1.0
    return RouteCost(
        name=figures.name,
        time_s=None if wrong else figures.service_time_s["p50"],
        requests=figures.requests,
        errors=figures.errors,
        bytes=figures.bytes,
        trials=(one.id,),
    )


def _alone(bench: Bench, plan: Plan, request: Request, cost: RouteCost, duration_s: float) -> RouteCost:
    users = busy_users(plan)
    drain_s = min(1.0 + users * (cost.time_s or 0.0), DRAIN_S)  # the last to ask stand behind all others
    loaded = _asking(plan, (request,)).loaded(users=users, duration_s=duration_s, drain_s=drain_s, think_s=0)
    full = bench.measure(loaded, f"nothing but {_name(request)}", "costs", fresh=False)
    summary, route = full.summary, full.summary.routes[0]
    right = cost.requests * (1 - cost.errors) + route.requests * (1 - route.errors)
    asked = cost.requests + route.requests
    believed = not voids_all(full.doubts) and route.errors <= plan.limits.errors
    late_only = late(full.doubts)  # a closed loop that sent late asked for less than it could have
    return structs.replace(
        cost,
        errors=1 - right / asked if asked else 0.0,
        alone_rps=summary.achieved_rps if believed and not late_only else None,
        app_cpu_s=summary.tiers["app"]["cpu_s_per_request"] if believed else None,
        database_cpu_s=summary.tiers["database"]["cpu_s_per_request"] if believed else None,
        trials=(*cost.trials, full.id),
    )
