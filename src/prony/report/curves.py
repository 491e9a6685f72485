"""A curve and its capacities in, its table with a small picture at the terminal out, and what the HTML report draws."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from prony.capacity import Capacity, Curve, Point
from prony.figures import count, duration, percent

PICTURE = 20  # characters
WITH_PICTURE = 136  # columns a terminal has for the whole of the table; on others it goes without
WITH_ALL = 102
# Each tier in the order in which a request meets it: how it is headed where there is room, and where there is little.
TIERS = {
    "workers": ("slots", "slots"),
    "app": ("app CPU", "app"),
    "database": ("database CPU", "db"),
    "connections": ("database connections", "conns"),
    "host": ("cores", "cores"),
}
SHORT = 0.75  # of the longest trial
QUANTILES = ("p50", "p90", "p99")
HELD = {True: "held", False: "broken", None: "unsure"}


def show(console: Console, curve: Curve, capacities: Sequence[Capacity]) -> None:
    """Prints a curve; the rows within the first capacity's interval are marked."""
    console.print(table(curve, capacities, console.width))


def table(curve: Curve, capacities: Sequence[Capacity], width: int) -> RenderableType:
    """A row for each trial, in order of load, with as much of it as `width` characters hold."""
    known = intervals(curve, capacities)
    own = known[0] if known and known[0].low is not None and known[0].high is not None else None
    width -= sum(len(tier) + 2 for tier in tiers_of(curve) if tier not in TIERS)  # a plan of many tiers needs more
    tiers = [tier for tier in tiers_of(curve) if width >= WITH_ALL or tier not in {"connections", "host"}]
    shorts = [short(tier) for tier in tiers]
    most = _most(curve)
    quantiles = [name for name in QUANTILES if width >= WITH_ALL or name != "p90"]
    rates = [("due/s", "offered_rps"), ("right/s", "achieved_rps")][width < WITH_ALL :]
    heads = [curve.unit, *(name for name, _ in rates), *quantiles, "failed", *shorts, "backlog/s", "limits", "trial"]
    rows = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1 if width >= WITH_ALL + 14 else 0))
    rows.add_column("", min_width=1)
    for name in heads:
        rows.add_column(name, justify="left" if name == "limits" else "right", no_wrap=True)
    if width >= WITH_PICTURE:
        rows.add_column("█ right  ░ due", width=PICTURE)
    for point in curve.points:
        rows.add_row(
            "┃" if own is not None and inside(point, own) else "",
            count(point.load),
            *(count(getattr(point, name)) for _, name in rates),
            *(duration(point.latency_s[name]) for name in quantiles),
            percent(point.errors),
            *(percent(point.utilisation.get(tier)) for tier in tiers),
            growth(point),
            held(point, curve),
            point.trial,
            *([_bar(point, most)] if width >= WITH_PICTURE else []),
        )
    trials = "1 trial" if len(curve.points) == 1 else f"{len(curve.points)} trials"
    head_ = f"\n[bold]The curve[/bold] of {escape(curve.title)}: {trials}, each a row"
    shares = f"In per cent: failed{'; in use of ' * bool(shorts)}{', '.join(shorts)}."
    lines = [*(["┃: within the capacity's interval."] if own is not None else []), shares, *notes(curve)]
    return Group(head_, Padding(rows, (0, 0, 0, 2)), *(f"[dim]  {line}[/dim]" for line in lines))


def notes(curve: Curve) -> list[str]:
    """What is to be known for reading it."""
    found = ["CPU is a share of what its tier may use. A dash: too few answers for the figure, or it is void."]
    if any(point.backlog_per_s is not None for point in curve.points):
        found.append("Where the backlog grew, latency measures how long the trial ran: none is told.")
    if any(_is_short(point, curve) for point in curve.points):
        found.append(
            "*: a shorter trial, which only steered the search; what grows has had less time to break a limit."
        )
    if curve.missing:
        found.append(f"Not tried: {', '.join(count(load) for load in curve.missing)} {curve.unit}.")
    return found


def growth(point: Point) -> str:
    """By how much the backlog grew a second; empty where it did not."""
    return "" if point.backlog_per_s is None else f"+{count(point.backlog_per_s)}"


def held(point: Point, curve: Curve) -> str:
    """Whether the limits held, with a mark where the trial was shorter than others."""
    return HELD[point.held] + "*" * _is_short(point, curve)


def _is_short(point: Point, curve: Curve) -> bool:
    return point.duration_s < SHORT * max(each.duration_s for each in curve.points)


def tiers_of(curve: Curve) -> list[str]:
    """The tiers of which something is known, as a request meets them; the generator is our own affair."""
    known = {name for point in curve.points for name, value in point.utilisation.items() if value is not None}
    return [name for name in (*TIERS, *sorted(known - TIERS.keys())) if name in known and name != "generator"]


def head(tier: str) -> str:
    """A tier's heading."""
    return TIERS[tier][0] if tier in TIERS else f"{tier} CPU"


def intervals(curve: Curve, capacities: Iterable[Capacity]) -> list[Capacity]:
    """What is known of this curve's capacities: one for each set of limits, the plan's own first."""
    own = (each for each in capacities if each.title == curve.title and each.unit == curve.unit)
    return [each for each in own if each.low is not None or each.high is not None]


def short(tier: str) -> str:
    """The same where there is little room."""
    return TIERS[tier][1] if tier in TIERS else tier


def inside(point: Point, capacity: Capacity) -> bool:
    """Whether a point lies within an interval that has both its ends."""
    return capacity.low is not None and capacity.high is not None and capacity.low <= point.load <= capacity.high


def drawn(curve: Curve, capacities: Iterable[Capacity]) -> dict[str, Any]:
    """What the script draws: points in order of load, and the intervals to shade."""
    points = curve.points
    return {
        "unit": curve.unit,
        "load": [point.load for point in points],
        "held_rps": [point.achieved_rps if point.held else None for point in points],
        "broke_rps": [point.achieved_rps if point.held is False else None for point in points],
        "unsure_rps": [point.achieved_rps if point.held is None else None for point in points],
        "latency_s": {name: [point.latency_s[name] for point in points] for name in QUANTILES},
        "backlog": [point.backlog_per_s is not None for point in points],
        "errors": [point.errors for point in points],
        "utilisation": [
            {"name": head(tier), "values": [point.utilisation.get(tier) for point in points]}
            for tier in tiers_of(curve)
        ],
        "intervals": [{"low": each.low, "high": each.high} for each in intervals(curve, capacities)],
    }


def _most(curve: Curve) -> float:
    return max((max(point.offered_rps, point.achieved_rps or 0.0) for point in curve.points), default=0.0) or 1.0


def _bar(point: Point, most: float) -> str:
    """Right answers as a bar, and what was offered beyond them."""
    right = round(PICTURE * (point.achieved_rps or 0.0) / most)
    return "█" * right + "░" * max(0, round(PICTURE * point.offered_rps / most) - right)
