"""Plans and a contest in, figures of their starts told to it out: who starts next is the contest's to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from msgspec import structs

from prony.campaign.bench import Bench, Measured
from prony.campaign.find import busy_users, saturate
from prony.comparison import Comparison, Contest
from prony.doubts import voids_all
from prony.errors import DoubtError, StackError
from prony.plan import Plan
from prony.plan.turns import Turns, dealt

SHARE = 0.6  # of what the slowest serves with every slot busy: the rate at which all are compared
DRAIN_S = 1.0
ROLE = "compare"
SATURATED = "saturated_rps"
RIGHT = "right_share"
PERCENTILES = ("p50", "p90", "p95", "p99", "p999")
SEEN = (SATURATED, RIGHT, *(f"latency_{name}_s" for name in PERCENTILES))
FOLLOWS = {"latency_p95_s": "latency_p90_s", "latency_p999_s": "latency_p99_s"}  # see `comparison.following`
WATCHED = ("app_cpu_s_per_request", "app_memory_bytes", "database_connections")  # of a stack of prony's own only
FIGURES = (*SEEN, *WATCHED)
WHERE_THERE = (*WATCHED, "latency_p999_s")  # told of where a start has them at all
HIGHER_IS_BETTER = frozenset({SATURATED, RIGHT})
FAILED_ROUNDS_MAX = 3  # in a row


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


class Pace(NamedTuple):
    """At what pace plans are compared.

    Attributes:
        rate_rps: A rate at which every plan is busy and none is overloaded.
        answer_s: Median latency with every slot busy, of the slowest.
        memory_bytes: Most memory that one of them took, stores and all.
    """

    rate_rps: float
    answer_s: float
    memory_bytes: float


def pace_of(
    bench: Bench,
    plans: Sequence[Plan],
    trial_s: float,
    how: Callable[[Bench, Plan, float, str], Measured] = saturate,
) -> Pace:
    """At what pace plans can be compared; `how`: what finds out how much one serves.

    Raises:
        DoubtError: one of them answers nothing right.
    """
    served, answers_s, memory = [], [0.0], [0.0]
    for number, plan in enumerate(plans):
        which = f" ({number + 1} of {len(plans)})" if len(plans) > 1 else ""
        summary = how(bench, plan, trial_s, f"how much it serves at most{which}").summary
        if summary.achieved_rps <= 0:
            raise DoubtError(f"{plan.title} answered nothing right under load.", hint="prony check")
        served.append(summary.achieved_rps)
        answers_s.append(summary.latency_s["p50"] or 0.0)
        memory.append(sum(tier.get("memory_bytes") or 0.0 for tier in summary.tiers.values()))
    return Pace(max(1.0, SHARE * min(served)), max(answers_s), max(memory))


def answer_s_of_turns(bench: Bench, plans: Sequence[Plan], pace: Pace) -> float | None:
    """What sets the length of turns; None, and it is said why, where plans cannot stand beside each other."""
    why = bench.apart_because(plans, pace.memory_bytes * (len(plans) - 1))
    if why:
        bench.one_stack()
        bench.teller.say(f"  The plans start one after the other, not beside each other: {why}.")
    return None if why else pace.answer_s


def hold(
    bench: Bench,
    contest: Contest,
    names: Sequence[str],
    plans: Sequence[Plan],
    *,
    rate_rps: float,
    trial_s: float,
    answer_s: float | None = None,
) -> None:
    """Holds a contest to its end.

    Each start serves `rate_rps` for `trial_s`, then as many users as keep every slot busy for as long. With `answer_s`
    (see `Pace`) the starts of a round run beside each other and take turns at that; without, one after the other. In
    both the order is the one that was drawn for the round: which stack a plan has, and when it boots, goes by it. A
    round in which answers ran into others' turns is no comparison: it is measured again, and where that happens twice
    in a row, it and all that follow are of one start after the other. A round in which a start failed is begun anew.

    Raises:
        StackError: a start of the very first round failed, or so many rounds in a row did.
    """
    rounds, overlapped, failed = contest.total // len(plans), False, 0
    while order := contest.ask_round():
        seed = contest.seed + contest.round
        labels = [f"start {contest.told + n + 1} of at most {contest.total}: {names[s]}" for n, s in enumerate(order)]
        turns: Sequence[Turns | None] = [None] * len(order)
        if answer_s is not None:
            turns = dealt(len(order), trial_s, answer_s, seed)
        steady, busy = [], []
        for side, own in zip(order, turns, strict=True):
            plan, duration_s = plans[side], trial_s if own is None else own.duration_s
            steady.append(plan.loaded(rate_rps=rate_rps, duration_s=duration_s, drain_s=DRAIN_S, seed=seed, turns=own))
            busy.append(plan.loaded(users=busy_users(plan), duration_s=duration_s, think_s=0, turns=own))
        what = f"round {contest.round + 1} of at most {rounds}"
        try:
            pairs = _round(bench, steady, busy, labels, None if answer_s is None else what)
        except StackError as error:
            failed += 1
            if not contest.told or failed >= FAILED_ROUNDS_MAX:
                raise
            bench.teller.say(f"  A start failed, and the round is begun anew: {error}")
            continue
        failed = 0
        if answer_s is not None:
            before, overlapped = overlapped, _overlap(pairs)
            if overlapped and before:
                bench.teller.say("  Answers ran into others' turns again: from now on one start after the other.")
                bench.one_stack()
                answer_s = None
            elif overlapped:
                bench.teller.say("  Answers ran into others' turns: this round is measured again.")
            if overlapped:
                continue
        for measured, saturated in pairs:
            if contest.tell(figures_of(measured, saturated)):
                _say(bench, contest, names)


def _round(
    bench: Bench, steady: Sequence[Plan], busy: Sequence[Plan], labels: Sequence[str], what: str | None
) -> list[tuple[Measured, Measured]]:
    """A round's starts, one after the other, or, where the round has a name, beside each other."""
    if what is None:
        return [_start(bench, *each) for each in zip(steady, busy, labels, strict=True)]
    return _starts_beside(bench, steady, busy, labels, what)


def _start(bench: Bench, steady: Plan, busy: Plan, label: str) -> tuple[Measured, Measured]:
    """One start by itself."""
    measured = bench.measure(steady, label, ROLE)
    return measured, bench.measure(busy, f"{label}, every slot busy", ROLE, fresh=False)


def _starts_beside(
    bench: Bench, steady: Sequence[Plan], busy: Sequence[Plan], labels: Sequence[str], what: str
) -> list[tuple[Measured, Measured]]:
    """A round's starts, loaded by turns; `what` the round is called while it is watched."""
    measured = bench.measure_in_turns(steady, labels, ROLE, fresh=True, watched=what)
    labels = [f"{label}, every slot busy" for label in labels]
    saturated = bench.measure_in_turns(busy, labels, ROLE, fresh=False, watched=f"{what}, every slot busy")
    return list(zip(measured, saturated, strict=True))


def _overlap(pairs: Sequence[tuple[Measured, Measured]]) -> bool:
    return any(doubt.name == "turns_overlap" for pair in pairs for each in pair for doubt in each.doubts)


def _say(bench: Bench, contest: Contest, names: Sequence[str]) -> None:
    """After a look, what is known, unless that was the last one."""
    if contest.ask() is not None and contest.pairs:
        bench.teller.say(f"  after {contest.looked[-1]} starts of each: {_known(contest, names)}")


def comparisons(contest: Contest, names: Sequence[str], *, fresh: bool, why: str = "") -> tuple[Comparison, ...]:
    """Every pair of a contest, without what no start has, such as connections where there is no store.

    `why`: what cut it short.
    """
    return tuple(
        structs.replace(
            each, gains=tuple(g for g in each.gains if g.figure not in WHERE_THERE or any(g.starts)), why=why
        )
        for each in contest.comparisons(names, fresh=fresh)
    )


def _known(contest: Contest, names: Sequence[str]) -> str:
    """What is known before the end, in words; of several sides, of which."""
    several = contest.pairs > 1
    clear = [
        f"{f'{name}: ' * several}{gain.figure} {gain.verdict}"
        for pair, name in enumerate(names[-contest.pairs :])
        for gain in contest.gains(pair)
        if gain.verdict in {"better", "worse"}
    ]
    return f"{', '.join(clear) or 'no difference is sure'}; going on"


def figures_of(measured: Measured, busy: Measured) -> dict[str, float | None]:
    """What a start came to, by FIGURES: its trial at a fixed rate, and the one with every slot busy.

    None for what is not to be believed.
    """
    entry, requests = measured.entry, measured.summary.requests
    right = requests * (1 - measured.summary.errors.share)
    watched = {} if voids_all(measured.doubts) else entry.tiers
    app = watched.get("app", {})
    return {
        SATURATED: busy.entry.achieved_rps,
        # As if one half of a request more had been right: a ratio wants no zero.
        RIGHT: None if voids_all(measured.doubts) or not requests else (right + 0.5) / (requests + 0.5),
        **{f"latency_{name}_s": entry.latency_s[name] for name in PERCENTILES},
        "app_cpu_s_per_request": app.get("cpu_s_per_request"),
        "app_memory_bytes": app.get("memory_bytes"),
        "database_connections": watched.get("connections", {}).get("most"),
    }
