"""Turns buckets of powers of two into bars: characters for the terminal, rectangles for the page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from prony.figures import count, duration
from prony.summary import Bucket

BLOCKS = "▁▂▃▄▅▆▇█"


class Bar(NamedTuple):
    """One bucket: its height as a share of the fullest one's, and what it says."""

    height: float
    says: str


def bars(buckets: Sequence[Bucket]) -> list[Bar]:
    """Every power of two from the first bucket to the last, those without any in between."""
    counts = {round(math.log2(each.below_s * 1e9)): each.count for each in buckets}
    most = max(counts.values(), default=1)
    span = range(min(counts, default=0), max(counts, default=-1) + 1)
    return [Bar(counts.get(b, 0) / most, f"{_between(2**b / 1e9)}: {count(counts.get(b, 0))}") for b in span]


def in_characters(buckets: Sequence[Bucket]) -> str:
    """`0.26 ms ▂█▃ ▁ 8.4 ms`: the bounds at both ends, and a bar for each power of two between them."""
    if not buckets:
        return "–"
    drawn = "".join(_blocks(bars(buckets)))
    return f"{duration(buckets[0].below_s / 2)} {drawn} {duration(buckets[-1].below_s)}"


def _blocks(found: Sequence[Bar]) -> Iterator[str]:
    for bar in found:
        yield BLOCKS[math.ceil(bar.height * len(BLOCKS)) - 1] if bar.height else " "


def _between(below_s: float) -> str:
    return f"{duration(below_s / 2)} to {duration(below_s)}"
