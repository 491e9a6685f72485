"""Plans and a contest in, figures of their starts told to it out: who starts next is the contest's to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import structs

from prony.campaign.bench import Bench, Measured
from prony.campaign.find import busy_users, saturate
from prony.comparison import Comparison, Contest
from prony.errors import DoubtError
from prony.plan import Plan

SHARE = 0.6  # of what the slowest serves with every slot busy: the rate at which all are compared
SATURATED = "saturated_rps"
SEEN = (SATURATED, "latency_p50_s", "latency_p90_s", "latency_p99_s")
WATCHED = ("app_cpu_s_per_request", "app_memory_bytes", "database_connections")  # of a stack of prony's own only
FIGURES = (*SEEN, *WATCHED)
HIGHER_IS_BETTER = frozenset({SATURATED})


def learned(bench: Bench, plans: Sequence[Plan]) -> list[Plan]:
    """The plans with their mixes; one that names no pages gets the first one's, so that all serve the same load."""
    first = bench.learn(plans[0])
    mix = first.traffic.requests
    return [
        first,
        *(
            plan
            if plan.traffic.named or plan.destination is not None
            else structs.replace(plan, traffic=structs.replace(plan.traffic, requests=mix))
            for plan in plans[1:]
        ),
    ]


def rate_of(
    bench: Bench,
    plans: Sequence[Plan],
    trial_s: float,
    how: Callable[[Bench, Plan, float, str], Measured] = saturate,
) -> float:
    """A rate at which every plan is busy and none is overloaded; `how`: what finds out how much one serves.

    Raises:
        DoubtError: one of them answers nothing right.
    """
    least = float("inf")
    for number, plan in enumerate(plans):
        which = f" ({number + 1} of {len(plans)})" if len(plans) > 1 else ""
        served = how(bench, plan, trial_s, f"how much it serves at most{which}").summary.achieved_rps
        if served <= 0:
            raise DoubtError(f"{plan.title} answered nothing right under load.", hint="prony check")
        least = min(least, served)
    return max(1.0, SHARE * least)


def hold(
    bench: Bench, contest: Contest, names: Sequence[str], plans: Sequence[Plan], *, rate_rps: float, trial_s: float
) -> None:
    """Holds a contest to its end.

    Each start serves `rate_rps` for `trial_s`, then as many users as keep every slot busy for as long.
    """
    while (side := contest.ask()) is not None:
        plan = plans[side]
        label = f"start {contest.told + 1} of at most {contest.total}: {names[side]}"
        seed = contest.seed + contest.told // len(plans)
        loaded = plan.loaded(rate_rps=rate_rps, duration_s=trial_s, drain_s=1.0, seed=seed)
        measured = bench.measure(loaded, label, "compare")
        busy = plan.loaded(users=busy_users(plan), duration_s=trial_s, think_s=0)
        saturated = bench.measure(busy, f"{label}, every slot busy", "compare", fresh=False)
        if contest.tell(_figures(measured, saturated)) and contest.ask() is not None:
            bench.teller.say(f"  after {contest.looked[-1]} starts of each: {_known(contest)}")


def comparisons(contest: Contest, names: Sequence[str], *, fresh: bool) -> tuple[Comparison, ...]:
    """Every pair of a contest, without what no start has, such as connections where there is no store."""
    return tuple(
        structs.replace(each, gains=tuple(g for g in each.gains if g.figure not in WATCHED or any(g.starts)))
        for each in contest.comparisons(names, fresh=fresh)
    )


def _known(contest: Contest) -> str:
    """What is known before the end, in words."""
    gains = [gain for pair in range(contest.pairs) for gain in contest.gains(pair)]
    clear = [f"{gain.figure} {gain.verdict}" for gain in gains if gain.verdict in {"better", "worse"}]
    return f"{', '.join(clear) or 'no difference is sure'}; going on"


def _figures(measured: Measured, busy: Measured) -> dict[str, float | None]:
    entry = measured.entry
    return {
        SATURATED: busy.entry.achieved_rps,
        "latency_p50_s": entry.latency_s["p50"],
        "latency_p90_s": entry.latency_s["p90"],
        "latency_p99_s": entry.latency_s["p99"],
        "app_cpu_s_per_request": entry.tiers["app"]["cpu_s_per_request"],
        "app_memory_bytes": entry.tiers["app"]["memory_bytes"],
        "database_connections": entry.tiers["connections"]["most"],
    }
