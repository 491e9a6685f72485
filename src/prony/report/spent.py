"""Turns sampled requests into where their time went: one of them part by part, or groups beside each other."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from prony.figures import duration
from prony.summary import Sampled, Spent

WIDTH = 40  # characters of a bar
NAMES = {
    "lateness": "sent late",
    "way_in": "to the app",
    "pool": "waiting for the pool",
    "connect": "connecting",
    "statement": "SQL",
    "outbound": "calls out",
    "cache": "cache",
    "app": "the app's own",
    "way_out": "to the last byte",
}


def kinds_of(found: Iterable[Spent]) -> list[str]:
    """The kinds of parts that took any time, in the order in which a request meets them."""
    seen = {kind for each in found for kind, value in each.parts_s.items() if value > 0}
    return [kind for kind in NAMES if kind in seen]


def group_of(each: Spent) -> str:
    """A group in words."""
    return "about the median" if each.group == "median" else f"the slowest {each.requests} of {each.of}"


FILTERS = {"part_kinds": kinds_of, "part_name": lambda kind: NAMES.get(kind, kind), "group_name": group_of}  # of HTML


def spent(found: tuple[Spent, ...]) -> RenderableType:
    """A row a group, a column a kind of part."""
    kinds = kinds_of(found)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"of {found[0].of} sampled requests")
    for name in ("latency", *(NAMES[kind] for kind in kinds)):
        table.add_column(name, justify="right")
    for each in found:
        parts = (duration(each.parts_s.get(kind, 0.0)) for kind in kinds)
        table.add_row(group_of(each), duration(each.latency_s), *parts)
    return Padding(table, (0, 0, 0, 2))


def request(found: Sampled) -> RenderableType:
    """One request as a waterfall."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    whole_ns = max(1, found.parts[-1].ended_ns)
    for part in found.parts:
        first = min(WIDTH - 1, round(WIDTH * max(0, part.began_ns) / whole_ns))
        last = max(first + 1, round(WIDTH * part.ended_ns / whole_ns))
        bar = " " * first + "█" * (last - first)
        taken = duration((part.ended_ns - part.began_ns) / 1e9)
        table.add_row(NAMES.get(part.kind, part.kind), taken, bar[:WIDTH].ljust(WIDTH), escape(part.label))
    head = (
        f"[bold]Request {found.id}[/bold] {escape(found.name)} ({escape(found.route)}): {found.status}, due at "
        f"{found.due_s:.3f} s, latency [bold]{duration(found.latency_s)}[/bold]"
    )
    return Group(head, Padding(table, (0, 0, 0, 2)))
