"""`prony compare`: which of two or more plans is better, figure by figure, and with what certainty."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from prony.campaign import compare as comparing
from prony.campaign.bench import Bench
from prony.cli import options, output
from prony.errors import PlanError
from prony.plan import Plan, changed
from prony.report import terminal

STARTS = 10


@click.command()
@options.several(
    click.argument("sides", nargs=-1, metavar="[A B [C...]]"),
    options.project,
    click.option(
        "--with", "changes", multiple=True, metavar="NAME=VALUE,...", help="Compare the project with this; repeatable."
    ),
    click.option(
        "--starts", type=click.IntRange(4, 100), default=STARTS, show_default=True, help="Fresh starts of each."
    ),
    click.option(
        "--trial", type=options.Duration(1, 3600), default="5s", show_default=True, help="Length of one trial."
    ),
    click.option("--rate", type=click.FloatRange(0.1, 200_000), help="Requests a second; default: 60 % of A's most."),
    click.option("--seed", type=click.IntRange(0), help="Of the order of starts; default: drawn, and recorded."),
    options.sets,
    options.as_json,
    options.no_namespace,
    options.debug,
)
def compare(
    *,
    sides: tuple[str, ...],
    project: Path,
    changes: tuple[str, ...],
    starts: int,
    trial: float,
    rate: float | None,
    seed: int | None,
    sets: tuple[str, ...],
    as_json: bool,
    no_namespace: bool,
    debug: bool,  # noqa: ARG001 - main() looks for it
) -> None:
    """Which is better, figure by figure: better, worse, or a tie with the smallest difference that could be seen.

    Each of A, B, ... is a folder with a prony.toml, or git:REVISION of the project.

    \b
    Example:  prony compare --with server.workers=5
              prony compare git:main git:HEAD
              prony compare ../one ../other --starts 20
    """
    shown = output.Shown()
    if not changes and len(sides) < 2:
        raise click.UsageError(
            f"found {len(sides)} plans to compare; allowed: two or more folders or git:REVISION, or --with NAME=VALUE."
        )
    with _plans(project, sides, changes, sets, shown) as plans:
        for _, plan in plans:
            if plan.traffic.journeys:
                raise PlanError(
                    f"{plan.source}: [[traffic.journey]]: found journeys; compared are [[traffic.request]] tables.",
                    hint="prony run --rate 5 for each",
                )
        names = tuple(name for name, _ in plans)
        seed = secrets.randbelow(10**6) if seed is None else seed
        store, place = options.open_store(options.project_folder(project))
        with (
            shown.running(),
            Bench(store, "compare", " against ".join(names), place, shown, namespace=not no_namespace) as bench,
        ):
            learned = [bench.learn(plan) for _, plan in plans]
            rate = comparing.rate_of(bench, learned[0], trial) if rate is None else rate
            shown.stage(f"{starts} starts of each at {rate:.0f} rps, in random order (seed {seed})")
            found = comparing.figures(bench, names, learned, rate_rps=rate, starts=starts, trial_s=trial, seed=seed)
            document = bench.document(comparisons=comparing.comparisons(names, found, seed))
            bench.conclude(document)
    if as_json:
        output.print_json(document)
    else:
        terminal.show(output.results(), document, {})
    believed = any(gain.verdict != "unknown" for each in document.comparisons for gain in each.gains)
    click.get_current_context().exit(0 if believed else 4)


@contextmanager
def _plans(
    project: Path, sides: tuple[str, ...], changes: tuple[str, ...], sets: tuple[str, ...], shown: output.Shown
) -> Iterator[list[tuple[str, Plan]]]:
    """The plans, each with a name that tells it from the others; revisions lie in a folder that goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="prony-compare-") as scratch:
        trees: list[Path] = []
        try:
            plans = []
            for side in sides or (str(project),):
                folder = Path(side)
                if side.startswith("git:"):
                    folder = _checked_out(project, side.removeprefix("git:"), Path(scratch) / str(len(trees)), trees)
                plan = options.plan_of(folder, sets, shown.say)
                if side.startswith("git:"):
                    here = options.written_plan(project, (), shown.say)
                    plan = changed(plan, {"app.python": str(here.app.python)})
                plans.append((side if sides else plan.title, plan))
            for each in changes:
                plan = options.plan_of(project, (*sets, *each.split(",")), shown.say)
                plans.append((f"with {each}", plan))
            yield plans
        finally:
            for tree in trees:
                _git(project, "worktree", "remove", "--force", str(tree))


def _checked_out(project: Path, revision: str, tree: Path, trees: list[Path]) -> Path:
    """The project's folder as it was at a revision."""
    top = Path(_git(project, "rev-parse", "--show-toplevel"))
    _git(project, "worktree", "add", "--detach", str(tree), revision)
    trees.append(tree)
    return tree / project.resolve().relative_to(top.resolve())


def _git(project: Path, *words: str) -> str:
    git = shutil.which("git")
    if git is None:
        raise PlanError("git:REVISION needs git, which is not on PATH.", hint="name two folders instead")
    command = [git, "-C", str(project), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except subprocess.CalledProcessError as error:
        raise PlanError(
            f"git {words[0]} in {project}: {error.stderr.strip()}.",
            hint="git -C PROJECT rev-parse REVISION, with the revision you mean",
        ) from error
    return done.stdout.strip()
