"""`prony list` and `prony report`: what the store holds, from the store alone, and taken elsewhere."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from prony.campaign.recall import recall, recall_request, recall_trial
from prony.cli import options, output
from prony.errors import PlanError, RecordingError
from prony.recording import Campaign, Recording, Store
from prony.report import hdrlog, samples_csv, samples_parquet, spent, terminal
from prony.report.series import drawings
from prony.summary import Part, sending_window

_demo = click.option(
    "--demo", is_flag=True, help="Look at the recordings of no project, the demo's and those of --url, also inside one."
)
_where = options.several(options.project, _demo, options.as_json, options.debug)

WRITERS: dict[str, Callable[[Path, Iterable[Recording], Part], int]] = {
    "csv": samples_csv.write,
    "parquet": samples_parquet.write,
    "hdr": hdrlog.write,
}


class Named(click.ParamType[str]):
    """A recording by its number, or one of its trials: 3, or 3.2."""

    name = "recording"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(r"[1-9]\d{0,17}(\.[1-9]\d{0,17})?", value):
            self.fail(f"found {value}; allowed: a recording's number such as 3, or a trial's such as 3.2.", param, ctx)
        return str(value)


def _file(flag: str, what: str) -> Callable[[Any], Any]:
    return click.option(flag, metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help=what)


@click.command("list")
@click.argument("number", metavar="[ID]", type=click.IntRange(1), required=False)
@_where
def list_(*, number: int | None, project: Path, demo: bool, as_json: bool, debug: bool) -> None:  # noqa: ARG001 - main() looks for --debug
    """All recordings: of the project in this folder, or, where there is none, of the demo. With an ID, its trials.

    \b
    Example:  prony list
              prony list 3
    """
    store, place = options.open_store(None if demo else options.project_folder(project))
    campaigns = store.campaigns() if number is None else [store.campaign(number)]
    if as_json:
        output.print_json(campaigns)
    elif number is None:
        terminal.show_list(output.results(), campaigns, str(place / "prony.db"))
    else:
        terminal.show_trials(output.results(), campaigns[0])


@click.command()
@click.argument("named", metavar="[ID]", type=Named(), required=False)
@click.option("--route", metavar="NAME", help="Of one trial: only requests of this route.")
@click.option("--from", "from_s", type=options.Duration(0, 86_400), help="Of one trial: only requests due since.")
@click.option("--to", "to_s", type=options.Duration(0, 86_400), help="Of one trial: only requests due before.")
@click.option("--request", metavar="REQUEST", help="One sampled request, part by part: its id, slowest, or median.")
@_file("--html", "Write the report as one HTML file.")
@_file("--csv", "Write every sample as a line.")
@_file("--parquet", "Write the same as Parquet; needs prony[parquet].")
@_file("--hdr", "Write one trial's latencies as an HdrHistogram log.")
@_where
def report(*, named: str | None, project: Path, demo: bool, as_json: bool, debug: bool, **given: Any) -> None:  # noqa: ARG001 - the same
    """One recording, the latest where no ID is given; also of a run that was killed, up to its last finished second.

    With an ID such as 3.2 it is one trial of it; --route, --from and --to give the exact figures of a part of that
    trial's requests, and are heeded by the exports.

    \b
    Example:  prony report
              prony report 3 --html report.html
              prony report 3.2 --route / --from 5s --to 10s
              prony report 3.2 --request slowest
              prony report 3.2 --csv samples.csv
    """
    store, _ = options.open_store(None if demo else options.project_folder(project))
    campaign, trial = _found(store, named)
    part = Part(given["route"], given["from_s"], given["to_s"])
    request = given["request"]
    if trial is None and (any(each is not None for each in part) or given["hdr"] or request):
        trial = _the_one(campaign, "--hdr" if given["hdr"] else "--request" if request else "--route, --from and --to")
    if request is not None:
        document = recall_request(store, campaign, str(trial), request)
        if as_json:
            output.print_json(document)
        else:
            for each in document.requests:
                output.results().print(spent.request(each))
        return
    if any(each is not None for each in part):
        _check(store.recording(str(trial)), part)
    sliced = part if any(each is not None for each in part) else None
    document = recall(store, campaign) if trial is None else recall_trial(store, campaign, trial, sliced)
    if given["html"] is not None:
        output.write_html(given["html"], document, drawings(store, document))
        click.echo(f"Written: {given['html'].absolute()}", err=True)
    _export(store, [row.id for row in campaign.trials] if trial is None else [trial], part, given)
    if as_json:
        output.print_json(document)
    elif not any(given[name] for name in ("html", "csv", "parquet", "hdr")):
        terminal.show(output.results(), document, drawings(store, document, 1.0))


def _found(store: Store, named: str | None) -> tuple[Campaign, str | None]:
    """The recording that is meant, and the trial, where one was named."""
    number, _, trial = (named or "").partition(".")
    campaign = store.campaign(int(number) if number else None)
    if trial and named not in {row.id for row in campaign.trials}:
        raise RecordingError(
            f"Recording {campaign.id} has {len(campaign.trials)} trials, and no {named}.",
            hint=f"prony list {campaign.id}",
        )
    return campaign, named if trial else None


def _the_one(campaign: Campaign, flags: str) -> str:
    """The only trial of a recording."""
    if len(campaign.trials) == 1:
        return campaign.trials[0].id
    last = campaign.trials[-1].id if campaign.trials else ""
    raise PlanError(
        f"{flags}: one trial is wanted, and recording {campaign.id} has {len(campaign.trials)}: percentiles of "
        "different loads are not to be mixed.",
        hint=f"prony report {last}: any of those that prony list {campaign.id} shows" if last else "prony list",
    )


def _check(recording: Recording, part: Part) -> None:
    """Raises PlanError where a trial has no such part."""
    names = list(dict.fromkeys(recording.routes))
    if part.route is not None and part.route not in names:
        near = difflib.get_close_matches(part.route, names, 1)
        raise PlanError(
            f"--route: found {part.route}; trial {recording.id} has {', '.join(names)}.",
            hint=f"--route '{(near or names or ['/'])[0]}'",
        )
    length_s = sending_window(recording).duration_s
    from_s, to_s = part.from_s or 0.0, length_s if part.to_s is None else part.to_s
    if from_s >= to_s or from_s >= length_s:
        raise PlanError(
            f"--from, --to: found from {from_s:g}s to {to_s:g}s; allowed: a stretch of the {length_s:g} s in which "
            f"trial {recording.id} was sent.",
            hint=f"--from 0s --to {min(length_s, 5.0):.3g}s",
        )


def _export(store: Store, trials: list[str], part: Part, given: dict[str, Any]) -> None:
    """Writes the files that were asked for; of a whole recording, trial after trial."""
    writers: dict[str, Callable[[Path, Iterable[Recording], Part], int]] = {
        "csv": samples_csv.write,
        "parquet": samples_parquet.write,
        "hdr": hdrlog.write,
    }
    for name, write in writers.items():
        path = given[name]
        if path is None:
            continue
        try:
            count = write(path, (store.recording(trial) for trial in trials), part)
        except OSError as error:
            raise PlanError(
                f"{path}: the samples cannot be written: {error.strerror or error}.", hint=f"prony report --{name} FILE"
            ) from error
        click.echo(f"Written: {path.absolute()} ({count} {'latencies' if name == 'hdr' else 'rows'})", err=True)
