"""`prony run` and `prony explain`: one trial of the project as it is configured, and what limits it."""

from __future__ import annotations

from pathlib import Path

import click

from prony.campaign import explain as explaining
from prony.campaign.bench import Bench
from prony.cli import options, output
from prony.plan import Plan
from prony.plan.traffic import DUE_MAX
from prony.report import terminal
from prony.report.series import drawings

USERS = 10


def _load_options(command: click.Command) -> click.Command:
    found: click.Command = options.several(
        options.project,
        click.option("--rate", type=click.FloatRange(0.1, 200_000), help="Open loop: requests per second."),
        click.option("--users", type=click.IntRange(1, 20_000), help="Closed loop: users without a pause."),
        click.option("--duration", type=options.Duration(0.5, 86_400), help="How long to send, such as 10s or 5m."),
        options.sets,
        options.as_json,
        options.no_namespace,
        options.debug,
    )(command)
    return found


@click.command()
@_load_options  # type: ignore[arg-type] # click's decorators take functions and commands alike
def run(**given: object) -> None:
    """One trial: starts the stack, loads it, says what was seen, and stops everything.

    \b
    Example:  prony run --rate 50 --duration 20s
              prony run --users 30 --set server.workers=5
    """
    _trial("run", relieve=False, **given)  # type: ignore[arg-type]


@click.command()
@_load_options  # type: ignore[arg-type] # the same
def explain(**given: object) -> None:
    """What limits it under this load; blame on database connections is tested by relief and placebo.

    \b
    Example:  prony explain --users 200 --set server.worker_class=gevent
    """
    _trial("explain", relieve=True, **given)  # type: ignore[arg-type]


def _trial(
    verb: str,
    *,
    relieve: bool,
    project: Path,
    rate: float | None,
    users: int | None,
    duration: float | None,
    sets: tuple[str, ...],
    as_json: bool,
    no_namespace: bool,
    debug: bool,  # noqa: ARG001 - main() looks for it
) -> None:
    shown = output.Shown()
    plan = under_load(options.plan_of(project, sets, shown.say), rate, users, duration)
    store, place = options.open_store(options.project_folder(project))
    with (
        shown.running(),
        Bench(store, verb, plan.title, place, shown, namespace=not no_namespace) as bench,
    ):
        measured = bench.measure(plan, verb, "run")
        explained = explaining.explain(bench, measured, relieve=relieve)
        document = bench.document(verdicts=(explained.verdict,))
        bench.conclude(document)
    if as_json:
        output.print_json(document)
    else:
        terminal.show(output.results(), document, drawings(store, document, 1.0))
    held = measured.judgement.held
    click.get_current_context().exit(4 if held is None else 0 if held else 1)


def under_load(plan: Plan, rate: float | None, users: int | None, duration: float | None) -> Plan:
    """The plan under the load asked for on the command line, in prony.toml, or, where neither says, 10 users.

    Raises:
        click.UsageError: both a rate and users.
    """
    if rate is not None and users is not None:
        raise click.UsageError("found both --rate and --users; allowed: --rate (open loop) or --users (closed loop).")
    if rate is None and users is None:
        rate, users = plan.traffic.rate_rps, plan.traffic.users
        if rate is None and users is None:
            click.echo(f"No load was asked for (--rate or --users): {USERS} users without a pause.", err=True)
            users = USERS
    loaded = plan.loaded(rate_rps=rate, users=users, duration_s=duration)
    if (loaded.traffic.rate_rps or 0) * loaded.traffic.duration_s > DUE_MAX:
        raise click.UsageError(f"found a rate and a duration that make over {DUE_MAX} requests; allowed: fewer.")
    return loaded
