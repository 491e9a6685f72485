"""Loads that were tried and a capacity in, the loads that its curve still lacks out: below, at and past the knee.

By ask and tell, as the search is. A trial of full length that is there already serves; percentiles of several trials
at one load are points beside each other, and never averaged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from msgspec import Struct

BELOW = (0.25, 0.5, 0.75)  # of the capacity
PAST = 1.2
CLEAR = 1.05  # past the knee is so far above the interval's upper end at least
NEAR = 1.12  # a trial serves for what is as near as this: the curve bends little over so short a way
TRIES = 2  # at one load, where a trial is not to be believed


class Point(Struct, frozen=True, kw_only=True):
    """One trial on a curve; None where a figure is void, or where there were too few answers for it.

    Attributes:
        load: What was asked for, in the curve's unit.
        offered_rps: Requests that were due a second.
        achieved_rps: Right answers a second.
        latency_s: p50, p90 and p99, from when a request was due: none where the backlog grew.
        errors: The share of requests that failed.
        backlog_per_s: By how many requests a second the backlog grew; None where it did not grow.
        utilisation: The share in use of each tier's CPU (of its box, else of the stack's cores), of the server's slots
            (`workers`), of the database's connections, of the stack's cores together (`host`) and of the load
            generator's; 1 is all of it.
        trial: Its trial's id.
        start: The start it ran on.
        duration_s: How long it was loaded.
        held: Whether the plan's limits held; None where the trial is not to be believed.
    """

    load: float
    offered_rps: float
    achieved_rps: float | None
    latency_s: dict[str, float | None]
    errors: float | None
    backlog_per_s: float | None
    utilisation: dict[str, float | None]
    trial: str
    start: int
    duration_s: float
    held: bool | None


class Curve(Struct, frozen=True, kw_only=True):
    """How one configuration serves under more and more load: a point for each trial, in order of load.

    Attributes:
        unit: What loads count: rps or users.
        missing: Loads that the picture lacks: time was up, or their trials were not to be believed.
    """

    title: str
    unit: str
    points: tuple[Point, ...]
    missing: tuple[float, ...] = ()


@dataclass(slots=True)
class Tracing:
    """`ask()` for the next load, run it, `tell()` whether it is to be believed, until `ask()` is None.

    Attributes:
        low: The capacity's lower end; None where nothing is known to hold.
        high: Its upper end; None where there is none, and then nothing past it is asked for.
        tried: Loads of trials of full length that were to be believed.
        least: Below this nothing is asked for.
        most: Above this nothing is asked for.
        users: Whether loads are whole numbers of users.
    """

    low: float | None
    high: float | None
    tried: list[float] = field(default_factory=list)
    least: float = 1.0
    most: float = math.inf
    users: bool = False
    _asked: float | None = None
    _failed: list[float] = field(default_factory=list)

    def targets(self) -> list[float]:
        """The loads a whole curve has a trial near to, those that matter most first; none where nothing is known."""
        low, high = self.low or self.high, self.high or self.low
        if not low or not high:
            return []
        middle = math.sqrt(low * high)
        quarter, half, three_quarters = (share * middle for share in BELOW)
        # what lies past a knee is asked for only where both sides of it are known
        past = [min(max(PAST * middle, CLEAR * high), self.most)] if self.low and self.high and self.most > high else []
        wanted = (self._allowed(load) for load in (*past, half, quarter, three_quarters, middle))
        return list(dict.fromkeys(load for load in wanted if self.least <= load <= self.most))

    def missing(self) -> list[float]:
        """The loads that no trial is near to yet, those that matter most first."""
        return [load for load in self.targets() if not any(self._serves(tried, load) for tried in self.tried)]

    def ask(self, left: float = math.inf) -> float | None:
        """The next load, the lowest first; None where there is nothing more to ask.

        Args:
            left: For how many trials there still is time: the ones that matter most are chosen.
        """
        wanted = [load for load in self.missing() if self._failed.count(load) < TRIES]
        chosen = wanted if left >= len(wanted) else wanted[: max(0, int(left))]
        self._asked = min(chosen, default=None)
        return self._asked

    def tell(self, *, believed: bool) -> None:
        """How the asked trial went."""
        if self._asked is None:
            raise ValueError("tell() without ask()")
        (self.tried if believed else self._failed).append(self._asked)
        self._asked = None

    def _serves(self, tried: float, load: float) -> bool:
        """Whether a trial is as good as one at this load; what is to lie past the knee, must."""
        if self.low and self.high and load >= self.high > tried:
            return False
        return load / NEAR <= tried <= load * NEAR

    def _allowed(self, load: float) -> float:
        if not self.users:
            return load
        return float(math.ceil(load) if load >= (self.high or math.inf) else max(1, round(load)))


def utilisation(
    tiers: Mapping[str, Mapping[str, float | None]],
    generator: Mapping[str, float | None],
    boxes: Iterable[tuple[tuple[str, ...], float | None]] = (),
) -> dict[str, float | None]:
    """How much of each tier is in use, as a share of what there is of it.

    Args:
        tiers: The figures of a trial, by tier.
        generator: Those of the load generator.
        boxes: The tiers in each box, and the CPU they share (cores; None: no limit).
    """
    cores = tiers.get("host", {}).get("cores")
    limits = {tier: cpus for services, cpus in boxes for tier in services if cpus}
    found: dict[str, float | None] = {}
    for tier, figures in tiers.items():
        if "cpu_share" in figures:
            there_is = min((each for each in (limits.get(tier), cores) if each), default=None)
            found[tier] = _ratio(figures["cpu_share"], there_is)
    found["workers"] = tiers.get("workers", {}).get("in_flight_share")
    connections = tiers.get("connections", {})
    found["connections"] = _ratio(connections.get("most"), connections.get("usable"))
    found["host"] = tiers.get("host", {}).get("busy_share")
    found["generator"] = generator.get("cpu_share")
    return found


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None
