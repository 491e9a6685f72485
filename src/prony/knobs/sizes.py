"""The name of something one can rent in, its CPU, memory and scheduler period out: sizes.toml, checked."""

from __future__ import annotations

import difflib
import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prony.knobs.values import NotAllowedError

FILE = Path(__file__).with_name("sizes.toml")
SHARES = ("dedicated", "shared", "burstable")
SIZES: dict[str, Size]  # every named size, in the file's order; read once, when first asked for

WRITTEN = "2026-11-21"  # what bears no date of its own is as known then


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A named size: what a box of that name may use.

    Attributes:
        name: As written in prony.toml: "droplet-512mb".
        cpus: CPU it can count on for long, in cores.
        memory_mb: Memory, in MB of 1024 x 1024 bytes.
        period_ms: The scheduler's period in which the platform hands that CPU out.
        share: "dedicated", "shared" (neighbours may take some of it) or "burstable" (more of it for a while).
        source: The page that says so.
        date: That page's own date; empty where it bears none, or was not read.
        checked: Whether cpus (or what they are derived from) and memory were read off that page.
        price_usd_month: What it costs a month; None where that depends on use or is not known.
        round_trip_ms: A managed database's round trip as we assume it; None for what is no database.
        max_connections: How many connections a managed database takes; None where that is not published.
        note: How a figure was derived that the platform does not give.
    """

    name: str
    cpus: float
    memory_mb: int
    source: str
    date: str = ""
    share: str = "dedicated"
    period_ms: float = 100.0
    checked: bool = False
    price_usd_month: float | None = None
    round_trip_ms: float | None = None
    max_connections: int | None = None
    note: str = ""

    @property
    def memory_bytes(self) -> int:
        """Memory in bytes."""
        return self.memory_mb * 1024 * 1024

    @property
    def period_s(self) -> float:
        """The scheduler's period in seconds."""
        return self.period_ms / 1000

    @property
    def database(self) -> bool:
        """Whether it is a managed database's."""
        return self.round_trip_ms is not None


@functools.cache
def _sizes() -> dict[str, Size]:
    """SIZES, read from the file."""
    with FILE.open("rb") as file:
        table = tomllib.load(file)
    return {name: Size(name=name, **values) for name, values in table.items()}


def size(name: str) -> Size:
    """The size of that name.

    Raises:
        NotAllowedError: there is none; its text names the nearest.
    """
    known = _sizes()
    if name not in known:
        near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.4)
        which = f"{' or '.join(near)}, the nearest names" if near else f"one of {', '.join(known)}"
        raise NotAllowedError(f"{which}; or cpus and memory in place of a size")
    return known[name]


def __getattr__(name: str) -> Any:
    if name == "SIZES":
        return _sizes()
    raise AttributeError(name)
