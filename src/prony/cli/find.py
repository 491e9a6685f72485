"""`prony find`: the capacity of one configuration, as an interval."""

from __future__ import annotations

from pathlib import Path

import click

from prony.campaign import costs
from prony.campaign import find as finding
from prony.campaign.bench import Bench
from prony.campaign.explain import explain
from prony.cli import options, output
from prony.document import RouteCost
from prony.errors import PlanError
from prony.report import terminal

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
        "--start", type=click.FloatRange(0.1, 200_000), help="First rate to try; default: from a short saturated run."
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
    sets: tuple[str, ...],
    as_json: bool,
    no_namespace: bool,
    debug: bool,  # noqa: ARG001 - main() looks for it
) -> None:
    """Capacity: the highest offered rate that holds the limits, between two rates, over several fresh starts.

    \b
    Example:  prony find --budget 3m
              prony find --set server.workers=5 --json
    """
    shown = output.Shown()
    plan = options.plan_of(project, sets, shown.say)
    if plan.traffic.journeys:
        raise PlanError(
            f"{plan.source}: [[traffic.journey]]: found journeys; a capacity is found in requests a second, of the "
            "[[traffic.request]] tables alone.",
            hint="prony run --rate 5: how five journeys begun each second are served",
        )
    if plan.traffic.session is not None:
        raise PlanError(
            f"{plan.source}: [traffic] requests_per_session: found sessions; a capacity is found in requests a "
            "second, each by itself.",
            hint="prony run --rate 5: how five visitors arriving each second are served",
        )
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
            start = 0.7 * finding.saturate(bench, plan, min(trial, 5.0), "saturation").summary.achieved_rps
        found = finding.capacity(bench, plan, start, budget_s=budget, trial_s=trial)
        verdicts = () if found.worst is None else (explain(bench, found.worst, relieve=False).verdict,)
        document = bench.document(capacities=(found.capacity,), verdicts=verdicts, routes=routes)
        bench.conclude(document)
    if as_json:
        output.print_json(document)
    else:
        terminal.show(output.results(), document, {})
    click.get_current_context().exit(0 if found.capacity.low_rps else 1)
