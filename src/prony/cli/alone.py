"""Load on something that already runs: what `run` and `find` do when --url names it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from prony.campaign.alone import AloneBench
from prony.cli import options, output
from prony.errors import PlanError
from prony.plan import Plan, read_file
from prony.plan import alone as planned
from prony.plan import destination as destinations
from prony.recording import Store
from prony.traffic import learned

_FIELD = re.compile(r"\s*([^:\s]+)\s*:\s*(.*?)\s*")


class Statuses(click.ParamType[tuple[int, ...]]):
    """Status codes such as 200 or 200,304."""

    name = "status"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        words = str(value).split(",")
        if not all(word.strip().isdecimal() and 100 <= int(word) <= 599 for word in words):
            self.fail(f"found {value}; allowed: numbers from 100 to 599, such as 200 or 200,304.", param, ctx)
        return tuple(int(word) for word in words)


def _sent(beside: str) -> Callable[[Any], Any]:
    """How requests are sent to what runs already, and what is right of it."""
    return options.several(
        click.option(
            "-H",
            "--header",
            "headers",
            multiple=True,
            metavar="'NAME: VALUE'",
            help=f"{beside}: sent with every request.",
        ),
        click.option(
            "--expect-status",
            "statuses",
            type=Statuses(),
            metavar="CODES",
            help=f"{beside}: what counts as right, such as 200,304; default: 200.",
        ),
    )


sent_options = _sent("With URLs")
url_options = options.several(
    click.option(
        "--url",
        "urls",
        multiple=True,
        help="Load what runs there already, without a stack; repeatable, for several pages of one host.",
    ),
    _sent("With --url"),
)


def named(given: dict[str, Any]) -> bool:
    """Whether --url was given; the flags that want it were not given without it, or click.UsageError says so."""
    if given["urls"]:
        return True
    for flag, value in (("--header", given["headers"]), ("--expect-status", given["statuses"])):
        if value:
            raise click.UsageError(f"found {flag} without --url; allowed: beside it. For a project: prony.toml.")
    return False


def plan_of(given: dict[str, Any], shown: output.Shown) -> Plan:
    """The plan that the flags describe; where it goes is still to be arrived at.

    Raises:
        PlanError: a flag is wrong.
    """
    where, targets = destinations.read(given["urls"])
    fields = fields_of(given["headers"])
    folder = project_of(given)
    if folder is None:
        if given["sets"]:
            raise PlanError(
                "--set: found with --url; allowed: with a project, whose knobs it changes.",
                hint="--header and --expect-status say what is sent and expected",
            )
        return planned.plan_for(where, targets, fields, given["statuses"] or ())
    if any(target not in {"", "/"} for target in targets) or len(targets) > 1 or given["statuses"]:
        raise PlanError(
            "--url: found pages or --expect-status beside --project; allowed: the host alone, for the project says "
            "what is asked for.",
            hint=f"--url {where.url}",
        )
    project = read_file(folder, given["sets"])
    project = learned.apply(project, learned.load(options.own_place(options.project_folder(folder))), shown.say)
    return planned.sent_to(project, where, fields)


def project_of(given: dict[str, Any]) -> Path | None:
    """The project whose traffic is sent: the one that --project names; the folder one happens to be in is none."""
    explicit = click.get_current_context().get_parameter_source("project") != ParameterSource.DEFAULT
    return given["project"] if explicit else None


def bench(
    verb: str, plan: Plan, given: dict[str, Any], shown: output.Shown, title: str = ""
) -> tuple[AloneBench, Store]:
    """What measures it; recordings go to the project that --project names, or to the XDG state folder."""
    folder = project_of(given)
    store, place = options.open_store(None if folder is None else options.project_folder(folder))
    return AloneBench(store, verb, title or plan.title, place, shown), store


def tell_where(given: dict[str, Any], number: int) -> None:
    """How the recording is looked at again."""
    folder = project_of(given)
    here = options.project_folder(Path())
    flag = f" --project {folder}" if folder is not None else " --demo" if here is not None else ""
    click.echo(f"\nAgain at any time: prony report {number}{flag}", err=True)


def fields_of(texts: Sequence[str]) -> dict[str, str]:
    """The header fields of --header, by name; raises PlanError."""
    found: dict[str, str] = {}
    for text in texts:
        match = _FIELD.fullmatch(text)
        if match is None:
            raise PlanError(
                "--header: found a text without a name and a colon; allowed: one such as 'Accept: text/html'."
            )
        name, value = match[1], match[2]
        if name.lower() in {each.lower() for each in found}:
            raise PlanError(f"--header: found {name} twice; allowed: once, with the values joined by commas.")
        found[name] = value
    return found
