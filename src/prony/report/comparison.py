"""A comparison in, its table at the terminal, as Markdown and as JUnit XML out."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from prony.comparison import Comparison, Gain
from prony.figures import duration, rate, size

STYLES = {"better": "bold green", "worse": "bold red", "tie": "", "unknown": "yellow"}


def show(console: Console, comparisons: Iterable[Comparison]) -> None:
    """Prints each comparison."""
    for each in comparisons:
        console.print(table(each))


def table(found: Comparison) -> RenderableType:
    """Every figure of B against A."""
    rows = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    rows.add_column("figure")
    for name in ("A", "B", "B against A", "verdict"):
        rows.add_column(name, justify="right")
    for gain in found.gains:
        rows.add_row(*cells(gain), style=STYLES[gain.verdict])
    head = f"\n[bold]B[/bold] {escape(found.b)}\nagainst [bold]A[/bold] {escape(found.a)}"
    return Group(head, Padding(rows, (0, 0, 0, 2)), *(f"[dim]  {line}[/dim]" for line in said(found)))


def said(found: Comparison) -> list[str]:
    """What its intervals are, in sentences."""
    of = "starts" if found.fresh else "repeated trials"
    every = " and all looks" if len(found.looks) > 1 else ""
    lines = [f"95 % intervals over {of}, wide enough for all figures{every} together; order by seed {found.seed}."]
    following = [f"{g.figure} is called different only where {g.follows} is" for g in found.gains if g.follows]
    if following:
        lines.append(f"{'; '.join(following)}: so it leaves the others as sure as they were.")
    if found.ended_early:
        why = found.why or "all that can be told was clear"
        lines.append(f"Ended after {found.looks[-1]} of at most {found.most} {of} of each: {why}.")
    if not found.fresh:
        lines.append(
            "It ran already and was not started afresh: how much one start differs from another is not in this. CPU, "
            "memory and connections were not compared."
        )
    return lines


def cells(gain: Gain) -> tuple[str, str, str, str, str]:
    """One figure's row in words."""
    against = "–"
    if gain.low is not None and gain.high is not None:
        against = f"{gain.low - 1:+.1%} to {gain.high - 1:+.1%}"
    verdict: str = gain.verdict
    if gain.verdict == "tie" and gain.least_seen is not None:
        verdict = f"tie (±{gain.least_seen:.1%} could be seen)"
    if gain.verdict == "unknown":
        few = f"{gain.starts[0]} and {gain.starts[1]} starts to be believed"
        verdict = f"unknown ({few})" if gain.low is None else f"unknown (judged where {gain.follows} differs)"
    return gain.figure, value(gain.figure, gain.a), value(gain.figure, gain.b), against, verdict


def value(figure: str, number: float | None) -> str:
    """A figure with its unit, by its name."""
    if figure.endswith("_bytes"):
        return size(number)
    if figure.endswith("_share"):
        return "–" if number is None else f"{number:.2%}"
    if figure.endswith("_rps"):
        return rate(number)
    if "_s" in figure:
        return duration(number)
    return "–" if number is None else f"{number:,.0f}"
