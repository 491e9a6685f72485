"""`prony doctor`: whether this machine is fit to measure on, what it lacks and how to get it, what was left behind."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.text import Text

import prony
from prony import trial
from prony.alone import consent, reach
from prony.campaign import noise as noises
from prony.campaign.bench import Bench
from prony.campaign.machine import machine
from prony.cli import comparing, options, output
from prony.errors import PlanError
from prony.plan import changed, destination, read_file
from prony.stack import fitness, strays

PAGE = Path(prony.__file__).parent / "workloads" / "page"
# With connections that are kept, and the database near, it is its CPU that limits it: what noise meets first.
QUICK = {"app.env.CONN_MAX_AGE": "600", "stores.database.round_trip": "0ms"}
MARKS = {"ok": ("✓", "green"), "without": ("–", "yellow"), "lacking": ("✗", "bold red")}


@click.command()
@click.option("--calibrate", is_flag=True, help="Try what this machine's load generator can do, for some 6 s.")
@click.option(
    "--noise",
    is_flag=True,
    help="Measure how much figures differ here though nothing does: a shipped app, compared with itself.",
)
@click.option("--clean", is_flag=True, help="Remove what crashed runs left: processes, folders, cgroups.")
@click.option(
    "--consent", "host", metavar="HOST", help="Print the token by which a host agrees to be loaded, and where it goes."
)
@options.as_json
@options.debug
def doctor(
    *,
    calibrate: bool,
    noise: bool,
    clean: bool,
    host: str | None,
    as_json: bool,
    debug: bool,  # noqa: ARG001 - main() looks for it
) -> None:
    """Is this machine fit to measure on: what is here, what is missing and how to get it, what crashed runs left.

    Ends with 0 when all is well; 3 when something is missing that prony needs; 1 when a crashed run has left something.
    What living runs hold, and other users', is never touched.

    With --noise: the smallest difference that prony compare can see here, and how steady the cores are. It takes a
    minute or two, and wants nothing else to run meanwhile.

    With --consent: how a host that is not loopback agrees to be loaded by prony run --url; nothing else is looked at.

    \b
    Example:  prony doctor
              prony doctor --calibrate
              prony doctor --noise
              prony doctor --clean
              prony doctor --consent staging.example.com
    """
    if host is not None:
        _consent(host, as_json=as_json)
        return
    found = strays.find()
    left = strays.clean(found) if clean else found
    console = output.results()
    findings = []
    for each in itertools.chain(fitness.look(), _generator(calibrate=calibrate), _noise(measure=noise)):
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
                "noise": msgspec.to_builtins(noises.known()),
                "strays": [{"kind": each.kind, "what": each.what, "removed": each not in left} for each in found],
            }
        )
    else:
        _show_strays(found, left, clean=clean)
    click.get_current_context().exit(3 if lacking else 1 if left else 0)


def _show_strays(found: list[strays.Stray], left: list[strays.Stray], *, clean: bool) -> None:
    """What crashed runs left, and whether it is there still."""
    console = output.results()
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


def _consent(text: str, *, as_json: bool) -> None:
    """The token of a host, and the ways in which it can be published."""
    if "/" in text or "@" in text:
        raise PlanError("--consent: found more than a host; allowed: a host alone, such as staging.example.com.")
    host = destination.host_of(text, "--consent")
    if reach.of_this_machine(host):
        raise PlanError(f"--consent: found {host}; allowed: a host that is not loopback, which needs no consent.")
    token = consent.token_of(host)
    ways = consent.ways(host, token)
    if as_json:
        shown = [{"where": where, "what": what} for where, what in ways]
        output.print_json({"prony": machine()["prony"], "verb": "doctor", "host": host, "token": token, "ways": shown})
        return
    console = output.results()
    console.print(f"{host} agrees to be loaded by this user of this machine while it publishes, in one of these ways:")
    for where, what in ways:
        console.print(f"  {where}:", markup=False)
        console.print(f"    {what}", markup=False, soft_wrap=True)
    shown_host = f"[{host}]" if ":" in host else host
    console.print(f"Then: prony run --url http://{shown_host}/ --rate 10", markup=False)
    console.print("Take it away when you are done: without it load is refused again.", markup=False)


def _generator(*, calibrate: bool) -> Iterator[fitness.Finding]:
    """What the load generator can do here, tried now or before."""
    found = trial.calibrate(lambda text: click.echo(f"Trying {text} …", err=True)) if calibrate else trial.known()
    if found is None:
        yield fitness.Finding("generator", "without", "not tried yet on this machine", "prony doctor --calibrate")
    else:
        yield fitness.Finding("generator", "ok", found.text)


def _noise(*, measure: bool) -> Iterator[fitness.Finding]:
    """How small a difference can be seen here, measured now or before."""
    found = _compared_with_itself() if measure else noises.known()
    if found is None:
        yield fitness.Finding("noise", "without", "not measured yet on this machine", "prony doctor --noise")
    else:
        yield fitness.Finding("noise", "ok", found.text)


def _compared_with_itself() -> noises.Noise:
    shown = output.Shown()
    store, place = options.open_store(None)
    with shown.running():
        plan = changed(read_file(PAGE), QUICK | {"app.python": options.python_of(PAGE, shown.say)})
        with Bench(store, "doctor", "this machine's noise", place, shown, stacks=2) as bench:
            return noises.measure(bench, plan, app="the page app", compared=comparing.STARTS)
