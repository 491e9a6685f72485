"""Turns what the gauge and Postgres told of one trial into tables: routes' time split, statements, hosts, cache."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from prony.figures import count, duration, share
from prony.report.histogram import in_characters
from prony.summary import Metered, Statement

ROWS_MAX = 10  # of each table
SPLIT = ("cpu_s", "statement_s", "pool_s", "connect_s", "outbound_s", "cache_s")
HEADS = ("CPU", "SQL", "pool", "connect", "calls out", "cache")
OTHERS = {"statement": "SQL statement", "host": "host called", "cache": "cache command"}


def split_of(each: Metered) -> tuple[str, ...]:
    """A route's row: how often, its mean and p99, what of the mean went where, and statements a request."""
    parts = (duration(each.each.get(name)) for name in SPLIT)
    statements = each.each.get("statements")
    return (
        count(each.count),
        duration(each.mean_s),
        duration(each.p99_s),
        *parts,
        "–" if statements is None else f"{statements:.1f}",
    )


def spent_of(each: Metered) -> tuple[str, ...]:
    """Another label's row: a statement's ends with its histogram, others' with their hits."""
    figures = (count(each.count), duration(each.mean_s), duration(each.p50_s), duration(each.p99_s))
    return (*figures, in_characters(each.buckets) if each.kind == "statement" else share(each.hit_share))


def gauged(found: Iterable[Metered]) -> RenderableType:
    """The tables, those that took most first."""
    found = list(found)
    tables: list[RenderableType] = []
    routes = [each for each in found if each.kind == "route"][:ROWS_MAX]
    if routes:
        table = _table("in the app, by its own route", ("count", "mean", "p99", *HEADS, "statements"))
        for each in routes:
            table.add_row(escape(each.label), *split_of(each))
        tables.append(table)
    for kind, head in OTHERS.items():
        rows = [each for each in found if each.kind == kind][:ROWS_MAX]
        if rows:
            last = "histogram" if kind == "statement" else "hits"
            table = _table(head, ("count", "mean", "p50", "p99", last))
            for each in rows:
                table.add_row(escape(each.label), *spent_of(each))
            tables.append(table)
    return Padding(Group(*tables), (0, 0, 0, 2))


def stated(found: Iterable[Statement]) -> RenderableType:
    """What Postgres says of the app's statements, those that took most time first."""
    table = _table("in Postgres, by statement", ("count", "mean", "in all", "rows", "blocks read"))
    for each in list(found)[:ROWS_MAX]:
        figures = (duration(each.mean_s), duration(each.total_s), f"{each.rows:.1f}", f"{each.blocks_read:.1f}")
        table.add_row(escape(each.text), count(each.calls), *figures)
    return Padding(table, (0, 0, 0, 2))


def _table(head: str, columns: Iterable[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(head, overflow="fold")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=name == "histogram")
    return table
