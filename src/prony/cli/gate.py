"""`prony gate`: is the project slower than its stored baseline; an exit code for CI."""

from __future__ import annotations

import math
from pathlib import Path

import click
import msgspec

import prony
from prony.campaign import compare as comparing
from prony.campaign.bench import Bench
from prony.cli import options, output
from prony.comparison import Comparison
from prony.comparison.gate import Baseline, Check, checks, verdict
from prony.document import Document
from prony.errors import PlanError
from prony.report import gate as reports
from prony.report import terminal

ALLOWED = {comparing.SATURATED: 0.1, "latency_p50_s": 0.1, "app_cpu_s_per_request": 0.1}
EXITS = {"passed": 0, "failed": 1, "unknown": 4}


@click.command()
@options.several(
    options.project,
    click.option(
        "--baseline",
        type=click.Path(path_type=Path, dir_okay=False),
        default="prony-baseline.json",
        show_default=True,
        help="The stored baseline: a file to be committed.",
    ),
    click.option("--write", is_flag=True, help="Measure and store the baseline instead of comparing with it."),
    click.option(
        "--allow",
        multiple=True,
        metavar="FIGURE=SHARE",
        help="With --write: an allowed loss, such as latency_p99_s=15%.",
    ),
    click.option("--starts", type=click.IntRange(4, 100), default=10, show_default=True, help="Fresh starts."),
    click.option("--trial", type=options.Duration(1, 3600), help="With --write: length of one trial; default 5s."),
    click.option("--rate", type=click.FloatRange(0.1, 200_000), help="With --write: default 60 % of the most served."),
    click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Write JUnit XML here."),
    click.option("--markdown", type=click.Path(path_type=Path, dir_okay=False), help="Append a Markdown summary here."),
    options.sets,
    options.as_json,
    options.no_namespace,
    options.debug,
)
def gate(
    *,
    project: Path,
    baseline: Path,
    write: bool,
    allow: tuple[str, ...],
    starts: int,
    trial: float | None,
    rate: float | None,
    junit: Path | None,
    markdown: Path | None,
    sets: tuple[str, ...],
    as_json: bool,
    no_namespace: bool,
    debug: bool,  # noqa: ARG001 - main() looks for it
) -> None:
    """Compare with a stored baseline: exit 0 held, 1 lost more than is allowed, 4 not to be believed.

    \b
    Example:  prony gate --write --allow latency_p99_s=15%
              prony gate --junit gate.xml --markdown "$GITHUB_STEP_SUMMARY"
    """
    shown = output.Shown()
    stored = None if write else _read(baseline)
    allowed = _allowed(allow)
    plan = options.plan_of(project, sets, shown.say)
    trial_s = stored.trial_s if stored else trial or 5.0
    store, place = options.open_store(options.project_folder(project))
    with shown.running(), Bench(store, "gate", plan.title, place, shown, namespace=not no_namespace) as bench:
        plan = bench.learn(plan)
        rate_rps = stored.rate_rps if stored else rate or comparing.rate_of(bench, plan, trial_s)
        (now,) = comparing.figures(
            bench, [plan.title], [plan], rate_rps=rate_rps, starts=starts, trial_s=trial_s, seed=1
        )
        machine = f"{bench.machine['cpu']}, {bench.machine['cpus']} cores"
        found = checks(stored, now, higher_is_better=comparing.HIGHER_IS_BETTER) if stored else []
        gains = tuple(check.gain for check in found)
        document = bench.document(
            comparisons=(Comparison(a=str(baseline), b=plan.title, seed=1, gains=gains),) if stored else ()
        )
        bench.conclude(document)
    if stored is None:
        _store(baseline, plan.title, machine, rate_rps, trial_s, now, allowed)
        shown.say(f"{baseline}: {starts} starts at {rate_rps:.0f} rps. Commit it; then: prony gate")
        click.get_current_context().exit(0)
    outcome = verdict(found)
    if stored.machine != machine:
        shown.say(
            f"The baseline was measured on another machine ({stored.machine}): its figures are no measure for this."
        )
        outcome = "unknown"
    _show(document, found, junit, markdown, as_json=as_json)
    click.get_current_context().exit(EXITS[outcome])


def _show(document: Document, found: list[Check], junit: Path | None, markdown: Path | None, *, as_json: bool) -> None:
    if junit:
        _write(junit, reports.junit(document.title, found))
    if markdown:
        _write(markdown, reports.markdown(document.title, found), append=True)
    if as_json:
        output.print_json(document)
        return
    terminal.show(output.results(), document, {})
    for check in found:
        click.echo(f"  {check.outcome:<8} {check.gain.figure}: {check.text}")


def _store(  # noqa: PLR0917 - the baseline's own fields, in its order
    path: Path,
    title: str,
    machine: str,
    rate_rps: float,
    trial_s: float,
    now: comparing.Figures,
    allowed: dict[str, float],
) -> None:
    kept = {name: tuple(None if math.isnan(v) else v for v in values) for name, values in now.items()}
    new = Baseline(
        prony=prony.__version__,
        title=title,
        machine=machine,
        rate_rps=rate_rps,
        trial_s=trial_s,
        figures=kept,
        allowed=allowed,
    )
    _write(path, msgspec.json.format(msgspec.json.encode(new), indent=2).decode() + "\n")


def _read(path: Path) -> Baseline:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Baseline)
    except OSError as error:
        raise PlanError(f"{path}: no baseline there: {error.strerror}.", hint="prony gate --write") from error
    except msgspec.DecodeError as error:
        raise PlanError(f"{path} is no baseline of prony's: {error}.", hint="prony gate --write") from error


def _allowed(given: tuple[str, ...]) -> dict[str, float]:
    allowed = dict(ALLOWED)
    for each in given:
        name, _, share = each.partition("=")
        try:
            value = float(share.removesuffix("%")) / (100 if share.endswith("%") else 1)
        except ValueError:
            value = -1.0
        if name not in comparing.FIGURES or not 0 <= value <= 10:
            raise click.UsageError(
                f"--allow: found {each}; allowed: FIGURE=SHARE such as latency_p99_s=15%, with one of "
                f"{', '.join(comparing.FIGURES)}."
            )
        allowed[name] = value
    return allowed


def _write(path: Path, text: str, *, append: bool = False) -> None:
    try:
        with path.open("a" if append else "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise PlanError(f"{path} cannot be written: {error.strerror}.", hint="name another file") from error
