"""What verbs share on the way out: progress on stderr, results on stdout, the report in its file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from prony.document import Document
from prony.errors import PlanError
from prony.plan import Plan
from prony.report import html, screen
from prony.report.live import Course
from prony.report.series import Series
from prony.trial import Progress

REFRESH_PER_S = 4  # no more: prony runs beside the load generator


class Shown:
    """Tells progress on stderr: a live screen on a terminal that can show one, plain lines elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self._live: Live | None = None
        self._last = ""

    @contextmanager
    def running(self) -> Iterator[Shown]:
        """While something runs."""
        if not self._has_screen():
            yield self
            return
        with Live(console=self.console, refresh_per_second=REFRESH_PER_S, transient=True) as self._live:
            yield self
        self._live = None

    def _has_screen(self) -> bool:
        """Whether this is a terminal with room for the screen, on which nobody asked for plain lines."""
        console, size = self.console, self.console.size
        plain = console.is_dumb_terminal or console.no_color or not console.encoding.startswith("utf")
        room = size.width >= screen.WIDTH_LEAST and size.height >= screen.HEIGHT_LEAST
        return console.is_terminal and console.file.isatty() and room and not plain

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

    def watch(self, label: str, plan: Plan) -> Callable[[Progress], None]:
        """A trial begins: what shows how it goes, from what is written of it."""
        course = Course(plan.traffic, plan.stores)
        every_s = screen.every_s(plan.traffic.duration_s)
        told_s = 0.0
        self.progress(label, "", 0.0)

        def follow(now: Progress) -> None:
            nonlocal told_s
            course.add(now.t_ns, now.samples, [*now.readings, *now.events], now.tick)
            if self._live is not None:
                self._live.update(screen.screen(f"{label} · {plan.title}", course, now.t_ns, self.console.width))
                return
            elapsed_s = course.elapsed_s(now.t_ns)
            if told_s + every_s <= elapsed_s <= plan.traffic.duration_s:
                told_s = elapsed_s // every_s * every_s
                self.say(screen.line(course, now.t_ns))

        return follow


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
