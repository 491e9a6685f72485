"""`prony list` and `prony report`: what the store holds, from the store alone."""

from __future__ import annotations

from pathlib import Path

import click

from prony.campaign.recall import recall
from prony.cli import options, output
from prony.report import terminal
from prony.report.series import drawings

_demo = click.option(
    "--demo", is_flag=True, help="Look at the recordings of no project, the demo's and those of --url, also inside one."
)
_where = options.several(options.project, _demo, options.as_json, options.debug)


@click.command("list")
@_where
def list_(*, project: Path, demo: bool, as_json: bool, debug: bool) -> None:  # noqa: ARG001 - main() looks for --debug
    """All recordings: of the project in this folder, or, where there is none, of the demo.

    \b
    Example:  prony list
    """
    store, place = options.open_store(None if demo else options.project_folder(project))
    campaigns = store.campaigns()
    if as_json:
        output.print_json(campaigns)
    else:
        terminal.show_list(output.results(), campaigns, str(place / "prony.db"))


@click.command()
@click.argument("number", metavar="[ID]", type=click.IntRange(1), required=False)
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the report as one HTML file.")
@_where
def report(*, number: int | None, html: Path | None, project: Path, demo: bool, as_json: bool, debug: bool) -> None:  # noqa: ARG001 - the same
    """One recording, the latest where no ID is given; also of a run that was killed, up to its last finished second.

    \b
    Example:  prony report
              prony report 3 --html report.html
    """
    store, _ = options.open_store(None if demo else options.project_folder(project))
    document = recall(store, store.campaign(number))
    if html is not None:
        output.write_html(html, document, drawings(store, document))
        click.echo(f"Written: {html.absolute()}", err=True)
    if as_json:
        output.print_json(document)
    elif html is None:
        terminal.show(output.results(), document, drawings(store, document, 1.0))
