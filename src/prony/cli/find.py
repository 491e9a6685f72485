"""`prony find`: the capacity of one configuration, as an interval."""

from __future__ import annotations

from typing import Any

import click

from prony.alone.arrival import arrive
from prony.campaign import costs
from prony.campaign import find as finding
from prony.campaign.bench import Bench
from prony.campaign.explain import explain
from prony.cli import alone, options, output
from prony.document import Document, RouteCost
from prony.errors import PlanError
from prony.plan import Plan
from prony.report import terminal

COSTS_S = 20.0  # for each page's own cost, where the mix is guessed; beside the budget


@click.command()
@alone.url_options
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
def find(**given: Any) -> None:
    """Capacity: the highest offered rate that holds the limits, between two rates, over several fresh starts.

    With --url: of what runs there already, which prony cannot start afresh.

    \b
    Example:  prony find --budget 3m
              prony find --set server.workers=5 --json
              prony find --url http://127.0.0.1:8000/
    """
    shown = output.Shown()
    beside = alone.named(given)
    project, as_json = given["project"], given["as_json"]
    plan = alone.plan_of(given, shown) if beside else options.plan_of(project, given["sets"], shown.say)
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
    bench: Bench
    if beside:
        plan = arrive(plan, shown.say)
        bench, _ = alone.bench("find", plan, given, shown)
    else:
        store, place = options.open_store(options.project_folder(project))
        bench = Bench(store, "find", plan.title, place, shown, namespace=not given["no_namespace"])
    with shown.running(), bench:
        document, found = _found(bench, plan, given, shown)
        bench.conclude(document)
    if as_json:
        output.print_json(document)
    else:
        terminal.show(output.results(), document, {})
    if beside:
        alone.tell_where(given, document.campaign)
    click.get_current_context().exit(0 if found.capacity.low_rps else 1)


def _found(bench: Bench, plan: Plan, given: dict[str, Any], shown: output.Shown) -> tuple[Document, finding.Hunt]:
    """The search, and its document."""
    plan, start = bench.learn(plan), given["start"]
    routes: tuple[RouteCost, ...] = ()
    if not plan.traffic.declared:  # what holds whatever the mix comes first
        shown.stage("What each page costs by itself")
        routes, _ = costs.measure(bench, plan, COSTS_S)
    if start is None:
        saturated = finding.saturate(bench, plan, min(given["trial"], 5.0), "saturation")
        start = 0.7 * saturated.summary.achieved_rps
    found = finding.capacity(bench, plan, start, budget_s=given["budget"], trial_s=given["trial"])
    verdicts = () if found.worst is None else (explain(bench, found.worst, relieve=False).verdict,)
    return bench.document(capacities=(found.capacity,), verdicts=verdicts, routes=routes), found
