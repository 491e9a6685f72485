"""`prony run` and `prony explain`: one trial of the project as it is configured, and what limits it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from msgspec import structs

from prony.alone.arrival import arrive
from prony.campaign import explain as explaining
from prony.campaign import first
from prony.campaign.bench import Bench, Measured
from prony.cli import alone, options, output
from prony.document import Document
from prony.plan import Plan
from prony.plan.checks import without_secret
from prony.plan.traffic import DUE_MAX
from prony.recording import Store
from prony.report import terminal
from prony.report.series import drawings
from prony.verdict import Suggestion, advise

USERS = 10
OPEN = ("poisson", "constant")


def _load_options(command: click.Command) -> click.Command:
    found: click.Command = options.several(
        options.project,
        click.option("--rate", type=click.FloatRange(0.1, 200_000), help="Open loop: requests per second."),
        click.option(
            "--users", type=click.IntRange(1, 20_000), help="Closed loop: users, who pause for [traffic] think."
        ),
        click.option(
            "--arrivals", type=click.Choice(OPEN), help="Open loop: at random (poisson, the default) or evenly."
        ),
        click.option("--duration", type=options.Duration(0.5, 86_400), help="How long to send, such as 10s or 5m."),
        options.sets,
        options.as_json,
        options.no_namespace,
        options.debug,
    )(command)
    return found


@click.command()
@alone.url_options
@_load_options  # type: ignore[arg-type] # click's decorators take functions and commands alike
def run(**given: object) -> None:
    """The first answer, or one trial under a load of your choice.

    With no load named here or in prony.toml: what each page costs by itself, a light and a heavy load, what limits it
    and what to try next, in about a minute. With one: a single trial under that load. --rate or --users stand in place
    of the rate, users or [[traffic.phase]] tables of prony.toml.

    With --url: a single trial of what runs there already, without a stack. A host that is not loopback must have
    consented: prony doctor --consent HOST.

    \b
    Example:  prony run
              prony run --rate 50 --duration 20s
              prony run --rate 50 --arrivals constant
              prony run --users 30 --set server.workers=5
              prony run --url http://127.0.0.1:8000/ --users 50 --duration 5s
    """
    _run(**given)


@click.command()
@_load_options  # type: ignore[arg-type] # the same
def explain(**given: object) -> None:
    """What limits it under this load; blame on database connections is tested by relief and placebo.

    \b
    Example:  prony explain --users 200 --set server.worker_class=gevent
    """
    shown = output.Shown()
    plan = options.plan_of(given["project"], given["sets"], shown.say)  # type: ignore[arg-type] # click checked them
    _trial("explain", plan, shown, relieve=True, **given)


def _run(**given: Any) -> None:
    if alone.named(given):
        _run_alone(**given)
        return
    asked = [given[name] for name in ("rate", "users", "duration", "arrivals")]
    shown = output.Shown()
    began_s = time.monotonic()
    plan = options.plan_of(given["project"], given["sets"], shown.say)
    if plan.traffic.journeys or plan.traffic.named_load or any(each is not None for each in asked):
        _trial("run", plan, shown, relieve=False, **given)
        return

    def answered(bench: Bench) -> tuple[Document, Measured]:
        document, light = first.answer(bench, bench.learn(plan), began_s)
        following = tuple(here(each, given["project"], given["sets"]) for each in document.next)
        return structs.replace(document, next=following), light

    _measured("run", plan, shown, answered, **given)


def _trial(verb: str, plan: Plan, shown: output.Shown, *, relieve: bool, **given: Any) -> None:
    loaded = under_load(plan, given["rate"], given["users"], given["duration"], given["arrivals"])

    def one(bench: Bench) -> tuple[Document, Measured]:
        measured = bench.measure(bench.learn(loaded), verb, "run")
        explained = explaining.explain(bench, measured, relieve=relieve)
        return bench.document(verdicts=(explained.verdict,)), measured

    _measured(verb, loaded, shown, one, **given)


def _run_alone(**given: Any) -> None:
    """One trial of what runs already, and what to try next."""
    shown = output.Shown()
    plan = alone.plan_of(given, shown)
    loaded = under_load(plan, given["rate"], given["users"], given["duration"], given["arrivals"])
    loaded = arrive(loaded, shown.say)
    bench, store = alone.bench("run", loaded, given, shown)
    with shown.running(), bench:
        measured = bench.measure(loaded, "run", "run")
        verdict = explaining.explain(bench, measured).verdict
        document = bench.document(verdicts=(verdict,), next=advise(verdict, loaded, measured.summary))
        bench.conclude(document)
    _show(store, document, as_json=given["as_json"])
    alone.tell_where(given, document.campaign)
    _exit(measured)


def _measured(
    verb: str,
    plan: Plan,
    shown: output.Shown,
    work: Callable[[Bench], tuple[Document, Measured]],
    *,
    project: Path,
    as_json: bool,
    no_namespace: bool,
    **_: object,
) -> None:
    """Runs a campaign and shows what it came to; ends with whether the trial it hangs on held the limits."""
    store, place = options.open_store(options.project_folder(project))
    with (
        shown.running(),
        Bench(store, verb, plan.title, place, shown, namespace=not no_namespace) as bench,
    ):
        document, measured = work(bench)
        bench.conclude(document)
    _show(store, document, as_json=as_json)
    _exit(measured)


def _show(store: Store, document: Document, *, as_json: bool) -> None:
    if as_json:
        output.print_json(document)
    else:
        terminal.show(output.results(), document, drawings(store, document, 1.0))


def _exit(measured: Measured) -> None:
    """Ends with whether the limits held."""
    held = measured.judgement.held
    click.get_current_context().exit(4 if held is None else 0 if held else 1)


def here(suggestion: Suggestion, project: Path, sets: tuple[str, ...]) -> Suggestion:
    """The same command as it is to be typed where this one was: of this project, with what was changed for it.

    What the suggestion itself changes goes last, so that it wins. Values that may be secrets are left out: the command
    is printed and stored.
    """
    verb, *rest = suggestion.command.removeprefix("prony ").split(" ")
    if verb == "doctor":
        return suggestion
    where = [] if project == Path() else ["--project", shlex.quote(str(project))]
    kept = [word for each in sets for word in ("--set", shlex.quote(without_secret(each)))]
    return structs.replace(suggestion, command=" ".join(["prony", verb, *where, *kept, *rest]))


def under_load(
    plan: Plan, rate: float | None, users: int | None, duration: float | None, arrivals: str | None = None
) -> Plan:
    """The plan under the load asked for on the command line, in prony.toml, or, where neither says, 10 users.

    Raises:
        click.UsageError: both a rate and users, or what does not go with the phases of prony.toml.
    """
    if rate is not None and users is not None:
        raise click.UsageError("found both --rate and --users; allowed: --rate (open loop) or --users (closed loop).")
    if users is not None and arrivals is not None:
        raise click.UsageError(
            f"found --arrivals {arrivals} beside --users; allowed: with --rate, or phases of a rate."
        )
    if rate is None and users is None:
        rate, users = plan.traffic.rate_rps, plan.traffic.users
        if plan.traffic.phases and duration is not None:
            raise click.UsageError(
                "found --duration beside the [[traffic.phase]] tables of prony.toml; allowed: one of them. Phases last "
                "as long as they say; with --rate or --users they are left out."
            )
        phased = bool(plan.traffic.phases) and (arrivals is None or plan.traffic.arrivals != "closed")
        if arrivals is not None and rate is None and not phased:
            raise click.UsageError(
                f"found --arrivals {arrivals} without a rate; allowed: with --rate, or phases of a rate. "
                "Users send when they have been answered."
            )
        if rate is None and users is None and not phased:
            click.echo(f"No load was asked for (--rate or --users): {USERS} users without a pause.", err=True)
            users = USERS
    loaded = plan.loaded(rate_rps=rate, users=users, duration_s=duration, arrivals=arrivals)
    if (loaded.traffic.rate_rps or 0) * loaded.traffic.duration_s * (loaded.traffic.session or 1) > DUE_MAX:
        raise click.UsageError(f"found a rate and a duration that make over {DUE_MAX} requests; allowed: fewer.")
    return loaded
