"""`prony doctor`: whether this machine is fit to measure on, what it lacks and how to get it, what was left behind."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import click
import msgspec
from rich.text import Text

from prony import trial
from prony.campaign.bench import machine
from prony.cli import options, output
from prony.stack import fitness, strays

MARKS = {"ok": ("✓", "green"), "without": ("–", "yellow"), "lacking": ("✗", "bold red")}


@click.command()
@click.option("--calibrate", is_flag=True, help="Try what this machine's load generator can do, for some 6 s.")
@click.option("--clean", is_flag=True, help="Remove what crashed runs left: processes, folders, cgroups.")
@options.as_json
@options.debug
def doctor(*, calibrate: bool, clean: bool, as_json: bool, debug: bool) -> None:  # noqa: ARG001 - main() looks for --debug
    """Is this machine fit to measure on: what is here, what is missing and how to get it, what crashed runs left.

    Ends with 0 when all is well; 3 when something is missing that prony needs; 1 when a crashed run has left something.
    What living runs hold, and other users', is never touched.

    \b
    Example:  prony doctor
              prony doctor --calibrate
              prony doctor --clean
    """
    found = strays.find()
    left = strays.clean(found) if clean else found
    console = output.results()
    findings = []
    for each in itertools.chain(fitness.look(), _generator(calibrate=calibrate)):
        findings.append(each)
        if not as_json:
            mark, style = MARKS[each.state]
            console.print(Text.assemble((f"{mark} ", style), (each.name, "bold"), f": {each.text}"))
            if each.todo and each.state != "ok":
                console.print(Text(f"    to get it: {each.todo}", style="dim"))
    lacking = any(each.state == "lacking" for each in findings)
    if as_json:
        output.print_json(
            {
                "prony": machine()["prony"],
                "verb": "doctor",
                "machine": machine(),
                "findings": [
                    {"name": each.name, "state": each.state, "text": each.text, "todo": each.todo} for each in findings
                ],
                "generator": msgspec.to_builtins(trial.known()),
                "strays": [{"kind": each.kind, "what": each.what, "removed": each not in left} for each in found],
            }
        )
    else:
        for stray in found:
            removed = stray not in left
            mark, style = MARKS["ok" if removed else "lacking"]
            state = "removed" if removed else "could not be removed" if clean else "still there"
            console.print(
                Text.assemble(
                    (f"{mark} ", style), ("left by a crashed run", "bold"), f", {state}: {stray.kind} {stray.what}"
                )
            )
        if found and not clean:
            console.print("Try: prony doctor --clean (the next run does so too)", markup=False)
        elif not found:
            mark, style = MARKS["ok"]
            console.print(Text.assemble((f"{mark} ", style), ("crashed runs", "bold"), ": none has left anything"))
    click.get_current_context().exit(3 if lacking else 1 if left else 0)


def _generator(*, calibrate: bool) -> Iterator[fitness.Finding]:
    """What the load generator can do here, tried now or before."""
    found = trial.calibrate(lambda text: click.echo(f"Trying {text} …", err=True)) if calibrate else trial.known()
    if found is None:
        yield fitness.Finding("generator", "without", "not tried yet on this machine", "prony doctor --calibrate")
    else:
        yield fitness.Finding("generator", "ok", found.text)
