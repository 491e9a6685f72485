"""`prony init`: reads a project and writes its prony.toml; says what it found, where, and what it could not tell."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

import prony
from prony.app.project import needs, write
from prony.app.project.model import Project
from prony.app.project.read import Reading, checked_folder
from prony.cli import options, output
from prony.errors import MachineError, PlanError
from prony.stack.inquiry import Inquiry

NAME = "prony.toml"


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=".")
@options.several(
    click.option("--yes", "-y", is_flag=True, help="Never ask; what cannot be told is left to be filled in."),
    click.option("--force", is_flag=True, help=f"Write over a {NAME} that is there."),
    click.option(
        "--entry", metavar="MODULE:CALLABLE", default="", help="The app, where there are several or it is not found."
    ),
    click.option("--python", metavar="PATH", default="", help="Its interpreter, where another is found."),
    options.as_json,
    options.no_namespace,
    options.debug,
)
def init(
    *,
    path: Path,
    yes: bool,
    force: bool,
    entry: str,
    python: str,
    as_json: bool,
    no_namespace: bool,
    debug: bool,  # noqa: ARG001 - main() looks for it
) -> None:
    """Reads a project in PATH (default: here) and writes its prony.toml; changes nothing else in it.

    Looks for the app and its interpreter, what it needs, how its data is made, and the server it uses today: in files
    of many kinds, and by importing it, in its own interpreter, contained and on a copy. Asks only where it cannot tell.

    \b
    Example:  prony init
              prony init ~/projects/shop --yes
              prony init --entry shop.app:create_app()
    """
    folder = checked_folder(path)
    target = folder / NAME
    if os.path.lexists(target) and not force:
        raise PlanError(f"{target} is there already.", hint="prony init --force, to write over it; or prony check")
    shown = output.Shown()
    asks = not yes and not as_json and sys.stdin.isatty() and sys.stderr.isatty()
    reading = Reading(
        folder,
        lambda where, interpreter: Inquiry(where, interpreter, namespace=not no_namespace),
        entry=entry,
        python=python,
        pick=_pick if asks else None,
        say=lambda text: shown.progress(text, "", None),
    )
    if asks:  # a live line and a question cannot share a terminal
        project = reading.run()
    else:
        with shown.running():
            project = reading.run()
    text = write.render(project, folder)
    _write(target, text)
    if as_json:
        output.print_json(document_of(project, target))
        return
    _show(project, target)


def _pick(question: str, answers: list[str], proposed: int) -> int:
    for number, answer in enumerate(answers, 1):
        click.echo(f"  {number}  {answer}", err=True)
    return int(click.prompt(question, default=proposed + 1, type=click.IntRange(1, len(answers)), err=True)) - 1


def _write(target: Path, text: str) -> None:
    """The whole file or none."""
    scratch = target.with_name(f".{NAME}-{secrets.token_hex(4)}")
    try:
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(target)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise MachineError(
            f"{target} cannot be written: {error.strerror}.", hint=f"make {target.parent} writable"
        ) from error


def found_in(project: Project) -> Iterator[tuple[str, str, str]]:
    """(what, its value, where it was found), as a person reads it; no value of a variable among them."""
    yield "app", project.entry.value, project.entry.source
    if project.framework or project.interface:
        yield "framework", " ".join(filter(None, (project.framework, f"({project.interface})"))), "the app itself"
    yield "interpreter", f"{project.python.python} (Python {project.python.version})", project.python.how
    if project.env_file is not None:
        yield "variables", project.env_file.value, "the project's folder"
    for name, fact in project.env.items():
        yield "variable", name, fact.source
    for store in project.stores:
        names = ", ".join(needs.variables_of(store)) or ("by its address" if store.at else store.file)
        yield store.name, f"{store.kind}, {names}", store.source
    for step in project.steps:
        yield "data", step.command if step.sure else f"perhaps: {step.command}", step.source
    if project.server is not None:
        knobs = ", ".join(f"{name} {value}" for name, value in project.server.knobs.items())
        title = f"{project.server.kind} {project.server.worker_class}".strip()
        yield "server", ", ".join(filter(None, (title, knobs))), project.server.source
    for worker in project.workers:
        yield "worker", worker.process or worker.command, worker.source + ("" if worker.runs else " (left aside)")
    if project.host is not None:
        yield "host", project.host.value, project.host.source
    if project.headers is not None:
        yield "headers", ", ".join(project.headers.value), project.headers.source


def _show(project: Project, target: Path) -> None:
    console = output.results()
    table = Table(box=None, pad_edge=False, show_header=True, header_style="bold")
    for title in ("found", "", "from"):
        table.add_column(title, overflow="fold")
    for what, found, source in found_in(project):
        table.add_row(Text(what), Text(found), Text(source, style="dim"))
    console.print(table)
    for each in project.unknown:
        console.print(Text(f"could not tell {each.what}: fill in {each.key}: {each.todo}"), soft_wrap=True)
    for remark in project.remarks:
        console.print(Text(f"note: {remark}"), soft_wrap=True)
    console.print(Text(f"\nWrote {target}. Next: ").append(_next(target), style="bold"), soft_wrap=True)


def _next(target: Path) -> str:
    try:
        here = target.parent.samefile(Path.cwd())
    except OSError:
        here = False
    return "prony check" if here else f"prony check --project {target.parent}"


def document_of(project: Project, target: Path) -> dict[str, Any]:
    """What --json prints: what was found and where; no value of a variable."""
    return {
        "prony": prony.__version__,
        "verb": "init",
        "file": str(target),
        "found": [{"what": what, "value": value, "source": source} for what, value, source in found_in(project)],
        "unknown": [{"what": each.what, "key": each.key, "todo": each.todo} for each in project.unknown],
        "notes": project.remarks,
        "next": _next(target),
    }
