"""`prony replay NAME` and `prony demo`: an account's experiment, retold on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from prony.app.environment import interpreter_for
from prony.campaign import replay as replaying
from prony.campaign import script
from prony.campaign.bench import Bench
from prony.cli import options, output
from prony.errors import PlanError
from prony.plan.read import parse_sets
from prony.report import terminal
from prony.report.series import drawings

DEMO = "connected-content"

_options = options.several(
    click.option(
        "--only", multiple=True, metavar="TEST", help="Run this test alone, such as test-4; repeatable. No table then."
    ),
    click.option("--seeded", is_flag=True, help="Seed the data before every test, also where the account did not."),
    click.option("--shuffle", type=click.IntRange(0), metavar="SEED", help="Run the tests in another order."),
    click.option(
        "--budget",
        type=options.Duration(60, 86_400),
        default="340s",
        show_default=True,
        help="Time for tests and table.",
    ),
    click.option(
        "--report",
        type=click.Path(path_type=Path, dir_okay=False),
        default="report.html",
        show_default=True,
        help="The report.",
    ),
    options.sets,
    options.as_json,
    options.no_namespace,
    options.debug,
)


@click.command()
@click.argument("name", type=click.Choice(script.names()))
@_options
def replay(name: str, **given: object) -> None:
    """Retell an account's load tests on this machine, with a verdict for each, a table and one answer.

    \b
    Example:  prony replay connected-content
              prony replay connected-content --only test-4 --set stores.database.max_connections=500
    """
    _replay(name, "replay", **given)  # type: ignore[arg-type]


@click.command()
@_options
def demo(**given: object) -> None:
    """Retell the first account, in under six minutes: the same as `prony replay connected-content`.

    \b
    Example:  prony demo
              prony demo --json > demo.json
    """
    _replay(DEMO, "demo", **given)  # type: ignore[arg-type]


def _replay(
    name: str,
    verb: str,
    *,
    only: tuple[str, ...],
    seeded: bool,
    shuffle: int | None,
    budget: float,
    report: Path,
    sets: tuple[str, ...],
    as_json: bool,
    no_namespace: bool,
    debug: bool,  # noqa: ARG001 - main() looks for it
) -> None:
    play = script.load(name)
    names = [test.name for test in play.test]
    for test in only:
        if test not in names:
            raise PlanError(f"--only: found {test}; allowed: {', '.join(names)}.", hint=f"--only {names[0]}")
    shown = output.Shown()
    store, place = options.open_store(None)
    with shown.running():
        shown.say(f"{play.title}: {play.about}")
        python = interpreter_for(play.folder, shown.say)
        chosen = replaying.Options(only=only, seeded=seeded, shuffle=shuffle, python=python, budget_s=budget)
        with Bench(store, verb, play.title, place, shown, namespace=not no_namespace) as bench:
            document = replaying.Replay(bench, play, chosen, parse_sets(sets)).run()
    series = drawings(store, document)
    if as_json:
        output.print_json(document)
    else:
        terminal.show(output.results(), document, series)
    output.write_html(report, document, series)
    click.echo(
        f"\nThe report: {report.absolute()}   Again at any time: prony report {document.campaign} --demo", err=True
    )
