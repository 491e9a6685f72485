"""What `prony compare` and `prony gate` share: their options, which plans they take, and the contest they hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from prony.campaign import compare as campaign
from prony.campaign.bench import Bench
from prony.cli import options, output
from prony.comparison import Contest
from prony.errors import PlanError
from prony.plan import Plan

STARTS = 20
TRIAL_S = 5.0

starts = click.option(
    "--starts",
    type=click.IntRange(4, 100),
    default=STARTS,
    show_default=True,
    help="Fresh starts of each, at most: it ends early where all is clear.",
)
ends = options.several(options.sets, options.as_json, options.no_namespace, options.debug)


def trial(when: str = "") -> Any:
    """The option --trial; `when`: with what else it is allowed."""
    return click.option(
        "--trial", type=options.Duration(1, 3600), help=f"{when}Length of one trial; default: {TRIAL_S:g}s."
    )


def rate(when: str, whose: str) -> Any:
    """The option --rate."""
    return click.option(
        "--rate",
        type=click.FloatRange(0.1, 200_000),
        help=f"{when}Requests a second; default: 60 % of {whose} most.",
    )


def check(plan: Plan) -> None:
    """Raises PlanError where a plan's load is not made of requests by themselves."""
    found = "[[traffic.journey]]: found journeys" if plan.traffic.journeys else ""
    if plan.traffic.session is not None:
        found = "[traffic] requests_per_session: found sessions"
    if found:
        raise PlanError(
            f"{plan.source}: {found}; compared is how [[traffic.request]] tables are served, each request by itself.",
            hint="prony run --rate 5 for each",
        )


def hold(
    bench: Bench,
    contest: Contest,
    sides: Sequence[tuple[str, Plan]],
    shown: output.Shown,
    *,
    rate_rps: float,
    trial_s: float,
    answer_s: float | None = None,
) -> None:
    """Holds a contest to its end, and says how it went."""
    what = "fresh starts" if sides[0][1].destination is None else "trials"
    turns = "loaded by turns" if answer_s is not None else "in random order"
    each = f" of each, {turns}" if len(sides) > 1 else ""
    shown.stage(
        f"At most {contest.most} {what}{each} (seed {contest.seed}), at {rate_rps:.0f} rps and with every slot busy"
    )
    names = [name for name, _ in sides]
    plans = [plan for _, plan in sides]
    campaign.hold(bench, contest, names, plans, rate_rps=rate_rps, trial_s=trial_s, answer_s=answer_s)
    if contest.looked and contest.looked[-1] < contest.most:
        shown.say(f"  Clear after {contest.looked[-1]} of {contest.most}: no more are needed.")
