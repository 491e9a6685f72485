"""What verbs share: options, the store they use, and how progress and results reach the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from prony.app.environment import state_folder
from prony.errors import PlanError
from prony.knobs.values import NotAllowedError, read
from prony.recording import Store
from prony.report import html
from prony.report.document import Document
from prony.report.series import Series


def options(*chosen: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several click options as one decorator, in the order in which help shows them."""

    def decorate(command: Any) -> Any:
        for option in reversed(chosen):
            command = option(command)
        return command

    return decorate


project = click.option(
    "--project", type=click.Path(path_type=Path), default=".", show_default=True, help="Folder with a prony.toml."
)
sets = click.option(
    "--set", "sets", multiple=True, metavar="NAME=VALUE", help="Change a knob, such as server.workers=5; repeatable."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout (docs/json.md).")
debug = click.option("--debug", is_flag=True, help="Show a traceback when something fails.")
no_namespace = click.option(
    "--no-namespace", is_flag=True, help="Contain the app by the audit hook alone, in this machine's network."
)


class Duration(click.ParamType[float]):
    """A duration such as 250ms, 10s or 5m, as seconds."""

    name = "duration"

    def __init__(self, low: float, high: float) -> None:
        self.low = low
        self.high = high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return float(read("duration", value, self.low, self.high))
        except NotAllowedError as error:
            return float(self.fail(f"found {value}; allowed: {error}.", param, ctx))


class Shown:
    """Tells progress on stderr: one live line on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._live: Live | None = None
        self._last = ""

    @contextmanager
    def running(self) -> Iterator[Shown]:
        """While something runs."""
        if not self.console.is_terminal:
            yield self
            return
        with Live(console=self.console, refresh_per_second=8, transient=True) as self._live:
            yield self
        self._live = None

    def stage(self, text: str) -> None:
        """A new part begins."""
        self.console.print(
            f"\n[bold]{text}[/bold]" if self.console.is_terminal else f"\n{text}", markup=self.console.is_terminal
        )

    def say(self, text: str) -> None:
        """A result worth a line."""
        self.console.print(text, markup=False, soft_wrap=True)

    def progress(self, what: str, detail: str, share: float | None) -> None:
        """What is being done now."""
        if self._live is None:
            if what != self._last:
                self._last = what
                self.console.print(f"  … {what}", markup=False, soft_wrap=True)
            return
        line = Table.grid(padding=(0, 1))
        bar = Spinner("dots") if share is None else ProgressBar(total=1.0, completed=share, width=24)
        line.add_row(bar, Text(f"{what}: {detail}" if detail else what))
        self._live.update(line)


def project_folder(folder: Path) -> Path | None:
    """The project's folder when it has a prony.toml, else None."""
    folder = folder.parent if folder.is_file() else folder
    return folder if (folder / "prony.toml").exists() else None


def open_store(folder: Path | None) -> tuple[Store, Path]:
    """The store of a project, or the one under the XDG state folder; and the folder it lies in."""
    place = state_folder() if folder is None else folder / ".prony"
    return Store(place / "prony.db"), place


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")


def write_html(path: Path, document: Document, series: dict[str, Series]) -> None:
    """The report as one HTML file; raises PlanError where it cannot be written."""
    try:
        path.write_text(html.render(document, series), encoding="utf-8")
    except OSError as error:
        raise PlanError(
            f"{path}: the report cannot be written: {error.strerror}.", hint="prony report --html FILE"
        ) from error


def results() -> Console:
    """Where results are printed: stdout, wide enough for a table when it is no terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=140)
