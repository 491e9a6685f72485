"""Plans in, figures of several fresh starts of each out, their starts taking turns in a random order."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from prony.campaign.bench import Bench, Measured
from prony.campaign.find import busy_users, saturate
from prony.comparison import Comparison, compare
from prony.errors import DoubtError
from prony.plan import Plan

SHARE = 0.6  # of what the first plan serves with every slot busy: the rate at which all are compared
SATURATED = "saturated_rps"
FIGURES = (
    SATURATED,
    "latency_p50_s",
    "latency_p90_s",
    "latency_p99_s",
    "app_cpu_s_per_request",
    "app_memory_bytes",
    "database_connections",
)
HIGHER_IS_BETTER = frozenset({SATURATED})
Figures = dict[str, list[float]]


def rate_of(bench: Bench, plan: Plan, trial_s: float) -> float:
    """A rate at which a plan is busy and not overloaded."""
    served = saturate(bench, plan, trial_s, "how much the first one serves").summary.achieved_rps
    if served <= 0:
        raise DoubtError(f"{plan.title} answered nothing right under load.", hint="prony check")
    return max(1.0, SHARE * served)


def turns(sides: int, starts: int, seed: int) -> list[int]:
    """The order in which sides take turns: in every round each once, shuffled, so that a drift meets all alike."""
    order = random.Random(seed)  # noqa: S311 - an order, recorded with its seed
    rounds = []
    for _ in range(starts):
        round_ = list(range(sides))
        order.shuffle(round_)
        rounds += round_
    return rounds


def figures(
    bench: Bench,
    names: Sequence[str],
    plans: Sequence[Plan],
    *,
    rate_rps: float,
    starts: int,
    trial_s: float,
    seed: int,
) -> list[Figures]:
    """For each plan the figures of its starts, in the order of FIGURES: NaN where one is not to be believed.

    Each start serves `rate_rps` for `trial_s`, then as many users as keep every slot busy for as long.
    """
    found: list[Figures] = [{name: [] for name in FIGURES} for _ in plans]
    order = turns(len(plans), starts, seed)
    for number, side in enumerate(order):
        plan = plans[side]
        label = f"start {number + 1} of {len(order)}: {names[side]}"
        loaded = plan.loaded(rate_rps=rate_rps, duration_s=trial_s, drain_s=1.0, seed=seed + number // len(plans))
        measured = bench.measure(loaded, label, "compare")
        busy = bench.measure(_busy(plan, trial_s), f"{label}, every slot busy", "compare", fresh=False)
        for name, value in _figures(measured, busy).items():
            found[side][name].append(math.nan if value is None else value)
    return found


def _busy(plan: Plan, trial_s: float) -> Plan:
    return plan.loaded(users=busy_users(plan), duration_s=trial_s)


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


def comparisons(names: Sequence[str], found: Sequence[Figures], seed: int) -> tuple[Comparison, ...]:
    """Every later side against the first; errors are kept over all figures of all of them together."""
    alpha = 0.05 / max(1, len(found) - 1)
    first = found[0]
    result = []
    for name, other in zip(names[1:], found[1:], strict=True):
        pairs = {figure: (first[figure], other[figure]) for figure in FIGURES}
        gains = compare(pairs, higher_is_better=HIGHER_IS_BETTER, seed=seed, alpha=alpha)
        result.append(Comparison(a=names[0], b=name, seed=seed, gains=tuple(gains)))
    return tuple(result)
