"""`prony import`: the mix of an access log or an OpenAPI document, written beside prony.toml, which then reads it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from msgspec import structs
from rich.console import Console
from rich.table import Table
from rich.text import Text

import prony
from prony.cli import options, output
from prony.errors import PlanError
from prony.traffic import imports, learned, openapi, written
from prony.traffic.imports import Import

BLOCKS = "▁▂▃▄▅▆▇█"
SHOWN_MAX = 25
WIDTH = 72


@click.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(1, 1000), default=50, show_default=True, help="Most routes to take in.")
@click.option("--include-static", is_flag=True, help="Take static files in as well.")
@click.option("--dry-run", is_flag=True, help="Show what was found, and write nothing.")
@options.project
@options.as_json
@options.debug
def import_(
    *,
    files: tuple[str, ...],
    top: int,
    include_static: bool,
    dry_run: bool,
    project: Path,
    as_json: bool,
    debug: bool,  # noqa: ARG001 - main() looks for it
) -> None:
    """Take the mix of requests, and the rate over the day, from access logs; or a mix from an OpenAPI document.

    Logs of nginx and Apache (combined and common), gunicorn, uvicorn, hypercorn and granian are read, also several,
    also gzipped; - is standard input. The mix is written to prony.traffic.toml beside prony.toml, which gets one line
    that names it. Neither addresses nor user names nor what lets somebody in are stored.

    \b
    Example:  prony import /var/log/nginx/access.log*
              zcat access.log.*.gz | prony import - --dry-run
              prony import openapi.json
    """
    shown = output.Shown()
    folder = options.project_folder(project)
    if folder is None and not dry_run:
        raise PlanError(
            f"{project / 'prony.toml'}: there is no such file.",
            hint="name its folder with --project PATH; or --dry-run, which only shows what was found",
        )
    found = _read(files, top, folder, shown, static=include_static)
    text = written.toml(found.routes, found.rates, about(found), guessed=found.guessed)
    path, reads, change = None, False, ""
    if folder is not None:
        toml = folder / "prony.toml"
        if not dry_run:
            path = folder / written.FILE
            written.put(path, text)
        reads, change = written.link(toml, write=not dry_run)
    if as_json:
        output.print_json(
            {"prony": prony.__version__, "verb": "import"}
            | structs.asdict(found)
            | {"written": str(path) if path else None, "read_by_prony_toml": reads, "change": change}
        )
        return
    show(output.results(), found)
    if path is not None:
        shown.say(f"\nWritten: {path}")
    if change:
        shown.say(change)
    if not dry_run:
        shown.say("Try: prony check")


def _read(files: tuple[str, ...], top: int, folder: Path | None, shown: output.Shown, *, static: bool) -> Import:
    documents = [path for path in files if openapi.looks_like_one(path)]
    if documents and len(files) > 1:
        raise PlanError(
            f"{documents[0]}: an OpenAPI document is imported by itself.", hint=f"prony import {documents[0]}"
        )
    if documents:
        found = openapi.read(documents[0], login=folder is not None and _has_login(folder / "prony.toml"))
        return structs.replace(found, routes=found.routes[:top], kept=min(top, found.kept))
    known = learned.load(folder / ".prony") if folder is not None else None
    templates = [route.template for route in known.routes] if known is not None else []
    with shown.running():
        return imports.from_logs(
            files, templates, top, lambda text: shown.progress("reading", text, None), static=static
        )


def _has_login(path: Path) -> bool:
    try:
        return "login" in tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False  # what is wrong with it is said where it is changed


def about(found: Import) -> Iterator[str]:
    """The comments at the top of the file: from which log, what is in it and what is not."""
    for source in found.sources:
        counted = f", {source.lines} lines, {source.requests} requests" if source.lines else ""
        unread = f", {source.unread} lines that are none" if source.unread else ""
        yield f"From {_line(source.name)}: {source.format}{counted}{unread}."
    if found.begins:
        yield f"From {found.begins} to {found.ends}, by the log's own clock."
    if not found.guessed:
        yield f"In the mix: {found.kept} of {found.requests} requests. The weights are counts."
    yield from (_line(note) for note in found.notes)
    for each in found.left_out:
        yield ""
        yield f"Left out: {each.requests} {_line(each.text)}"
        yield from (f"    {_line(name)}{f' × {count}' if count > 1 else ''}" for name, count in each.routes[:10])


def _line(text: str) -> str:
    """A text on one line, of what a comment may hold."""
    return "".join(c if c.isprintable() else "?" for c in text)[:300]


def show(console: Console, found: Import) -> None:
    """The mix as a table, the rate over the day as a line, and what was left out."""
    total = sum(route.weight for route in found.routes)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("route", overflow="fold")
    for head in ("requests", "share", "paths"):
        table.add_column(head, justify="right")
    table.add_column("status")
    for route in found.routes[:SHOWN_MAX]:
        table.add_row(
            Text(route.template if route.method == "GET" else f"{route.method} {route.template}"),
            "–" if found.guessed else str(route.weight),
            f"{route.weight / total:.1%}",
            str(route.distinct) if route.distinct < 1000 else "≥1000",
            ", ".join(map(str, route.status)),
        )
    console.print(table)
    if len(found.routes) > SHOWN_MAX:
        console.print(f"… and {len(found.routes) - SHOWN_MAX} more in the file", markup=False)
    console.print()
    for line in about(found):
        if line and not line.startswith("    "):
            console.print(line, markup=False, soft_wrap=True)
    if (rates := found.rates) is not None:
        series: Sequence[float] = rates.rps
        console.print(f"\nRate of the mix from {rates.begins} on, up to {max(series):g} rps in a minute:", markup=False)
        console.print(spark(series), markup=False)
        console.print(
            f"mean {rates.mean_rps:g} rps; peak hour {rates.peak_hour}: {rates.peak_hour_rps:g} rps; "
            f"peak minute {rates.peak_minute}: {rates.peak_minute_rps:g} rps"
            + (f" ({found.all_peak_minute_rps:g} with all that is left out)" if found.all_peak_minute_rps else ""),
            markup=False,
            soft_wrap=True,
        )


def spark(series: Sequence[float], width: int = WIDTH) -> str:
    """A series as one line of blocks, each the mean of its part; empty where all is nothing."""
    width = min(width, len(series))
    parts: list[Any] = [series[i * len(series) // width : (i + 1) * len(series) // width] for i in range(width)]
    means = [sum(part) / len(part) for part in parts]
    high = max(means, default=0)
    return "".join(BLOCKS[min(len(BLOCKS) - 1, int(mean / high * len(BLOCKS)))] for mean in means) if high else ""
