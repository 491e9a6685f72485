"""`prony find`: the capacity of one configuration, as an interval."""

from __future__ import annotations

from pathlib import Path

import click
from msgspec import structs

from prony.campaign import costs
from prony.campaign import find as finding
from prony.campaign.bench import Bench
from prony.campaign.explain import explain
from prony.capacity import Goal, Search
from prony.cli import options, output
from prony.document import RouteCost
from prony.errors import PlanError
from prony.plan import Limits
from prony.plan.read import limits_of
from prony.report import terminal

USERS_MAX = 2000
COSTS_S = 20.0  # for each page's own cost, where the mix is guessed; beside the budget


@click.command()
@options.several(
    options.project,
    click.option(
        "--budget", type=options.Duration(20, 86_400), default="2m", show_default=True, help="Time for all trials."
    ),
    click.option(
        "--trial", type=options.Duration(1, 3600), default="5s", show_default=True, help="Length of one trial."
    ),
    click.option(
        "--start", type=click.FloatRange(0.1, 200_000), help="First load to try; default: from a short saturated run."
    ),
    click.option("--users", is_flag=True, help="Users in a closed loop instead of a rate: usable up to so many."),
    click.option(
        "--width",
        type=click.FloatRange(0.01, 1.0),
        default=0.06,
        show_default=True,
        help="End when the interval is as narrow as this share.",
    ),
    click.option(
        "--limits",
        "more",
        multiple=True,
        metavar="NAME=VALUE,...",
        help="Another set of limits, found by the same trials, such as p99=200ms,errors=0.1%; repeatable.",
    ),
    options.sets,
    options.as_json,
    options.no_namespace,
    options.debug,
)
def find(
    *,
    project: Path,
    budget: float,
    trial: float,
    start: float | None,
    users: bool,
    width: float,
    more: tuple[str, ...],
    sets: tuple[str, ...],
    as_json: bool,
    no_namespace: bool,
    debug: bool,  # noqa: ARG001 - main() looks for it
) -> None:
    """Capacity: the highest offered rate that holds the limits, as an interval over many fresh starts.

    \b
    Example:  prony find --budget 3m
              prony find --set server.workers=5 --json
              prony find --limits p99=200ms,errors=0.1%
              prony find --users
    """
    shown = output.Shown()
    plan = options.plan_of(project, sets, shown.say)
    if plan.traffic.journeys:
        raise PlanError(
            f"{plan.source}: [[traffic.journey]]: found journeys; a capacity is found in requests a second, of the "
            "[[traffic.request]] tables alone.",
            hint="prony run --rate 5: how five journeys begun each second are served",
        )
    further = tuple(_limits(text) for text in more)
    store, place = options.open_store(options.project_folder(project))
    with (
        shown.running(),
        Bench(store, "find", plan.title, place, shown, namespace=not no_namespace) as bench,
    ):
        plan = bench.learn(plan)
        routes: tuple[RouteCost, ...] = ()
        if not plan.traffic.declared:  # what holds whatever the mix comes first
            shown.stage("What each page costs by itself")
            routes, _ = costs.measure(bench, plan, COSTS_S)
        if start is None:
            saturated = finding.saturate(bench, plan, min(trial, 5.0), "saturation").summary.achieved_rps
            start = float(finding.busy_users(plan)) if users else 0.7 * saturated
        goals = tuple(Goal(name=each.text) for each in (plan.limits, *further))
        search = Search(start=max(start, 1.0), goals=goals, width=width, users=users, most=USERS_MAX if users else 2e5)
        found = finding.Hunt(plan, search, trial, more=further)
        finding.hunt(bench, found, budget)
        verdicts = () if found.worst is None else (explain(bench, found.worst, relieve=False).verdict,)
        document = bench.document(capacities=found.capacities, verdicts=verdicts, routes=routes)
        interrupted = found.why == finding.INTERRUPTED
        if interrupted:
            document = structs.replace(document, status="interrupted")
        bench.conclude(document)
    if as_json:
        output.print_json(document)
    else:
        terminal.show(output.results(), document, {})
    click.get_current_context().exit(130 if interrupted else 0 if found.capacity.low else 1)


def _limits(text: str) -> Limits:
    """A set of limits as --limits gives it."""
    table = dict(part.partition("=")[::2] for part in text.replace(" ", "").split(","))
    return limits_of({"limits": table}, "--limits")
