"""`prony find`: the capacity of one configuration, as an interval, and the curve it lies on."""

from __future__ import annotations

import time
from typing import Any

import click
from msgspec import structs

from prony.alone.arrival import arrive
from prony.campaign import costs, curve, warming
from prony.campaign import find as finding
from prony.campaign.bench import Bench
from prony.campaign.explain import explain
from prony.capacity import Goal, Search
from prony.cli import alone, options, output
from prony.document import Document, RouteCost
from prony.errors import PlanError
from prony.plan import Limits, Plan
from prony.plan.read import limits_of
from prony.report import terminal

USERS_MAX = 2000
RATE_MAX = 200_000.0
CURVE = 0.2  # of the budget, at most: kept for trials that only the curve needs
COSTS_S = 20.0  # for each page's own cost, where the mix is guessed; beside the budget


@click.command()
@alone.url_options
@options.several(
    options.project,
    click.option(
        "--budget",
        type=options.Duration(20, 86_400),
        default="2m",
        show_default=True,
        help="Time for all trials, the curve's among them.",
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
def find(**given: Any) -> None:
    """Capacity: the highest offered rate that holds the limits, as an interval over many fresh starts.

    And the curve it lies on: rates served, latency, errors and the use of each tier below, at and past it.

    With --url: of what runs there already, which prony cannot start afresh.

    \b
    Example:  prony find --budget 3m
              prony find --set server.workers=5 --json
              prony find --limits p99=200ms,errors=0.1%
              prony find --users
              prony find --url http://127.0.0.1:8000/
    """
    shown = output.Shown()
    beside = alone.named(given)
    project, as_json = given["project"], given["as_json"]
    further = tuple(_limits(text) for text in given["more"])
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
        document, found = _found(bench, plan, further, given, shown)
        bench.conclude(document)
    if as_json:
        output.print_json(document)
    else:
        terminal.show(output.results(), document, {})
    if beside:
        alone.tell_where(given, document.campaign)
    if found.error is not None:
        raise found.error  # what was known when it ended the search has been told
    click.get_current_context().exit(130 if document.status == finding.INTERRUPTED else 0 if found.capacity.low else 1)


def _found(
    bench: Bench, plan: Plan, further: tuple[Limits, ...], given: dict[str, Any], shown: output.Shown
) -> tuple[Document, finding.Hunt]:
    """The search, for these sets of limits too, and its document."""
    plan, start = bench.learn(plan), given["start"]
    routes: tuple[RouteCost, ...] = ()
    if not plan.traffic.declared:  # what holds whatever the mix comes first
        shown.stage("What each page costs by itself")
        routes, _ = costs.measure(bench, plan, COSTS_S)
    users = given["users"]
    beside = plan.destination is not None
    if start is None or not beside:  # what is started here is warmed up
        how = finding.saturate if beside else warming.calibrate
        saturated = how(bench, plan, min(given["trial"], 5.0), "saturation").summary.achieved_rps
        start = start or (float(finding.busy_users(plan)) if users else 0.7 * saturated)
    search = Search(
        start=max(start, 1.0),
        goals=tuple(Goal(name=each.text) for each in (plan.limits, *further)),
        width=given["width"],
        users=users,
        most=USERS_MAX if users else RATE_MAX,
    )
    found = finding.Hunt(plan, search, given["trial"], more=further)
    deadline_s = time.monotonic() + given["budget"]
    finding.hunt(bench, found, given["budget"], CURVE)
    curve.trace(bench, found, deadline_s)
    verdicts = () if found.worst is None else (explain(bench, found.worst, relieve=False).verdict,)
    document = bench.document(
        capacities=found.capacities, curves=(curve.curve_of(found),), verdicts=verdicts, routes=routes
    )
    if found.interrupted:
        document = structs.replace(document, status=finding.INTERRUPTED)
    return document, found


def _limits(text: str) -> Limits:
    """A set of limits as --limits gives it."""
    table = dict(part.partition("=")[::2] for part in text.replace(" ", "").split(","))
    return limits_of({"limits": table}, "--limits")
