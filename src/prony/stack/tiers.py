"""What every tier is started on: the guard, the folders of this run, its cores, and the box it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from prony.plan import Box, Plan
from prony.probes.box import BoxProbe
from prony.recording import Reading
from prony.stack.cores import Cores
from prony.stack.launch import Launcher, Process


class Remark(NamedTuple):
    """Something to be said of every trial on this stack: an event's kind, tier and text."""

    kind: str
    tier: str
    text: str


class Watched(NamedTuple):
    """One tier's processes, as probes and logs follow them."""

    tier: str
    processes: tuple[Process, ...]


@dataclass(slots=True)
class Ground:
    """The ground a stack stands on; tiers of one box get launchers that put what they start into it.

    Attributes:
        launcher: Starts processes, in no box.
        boxes: Where the use of each of the plan's boxes is accounted for: {box: {"how", "why", "paths"}}.
        remarks: What is to be said of this stack as it runs now.
        opened: Hosts of the user's own stores, which the app may reach.
        closed: Ports of loopback that the app may not reach, where the stack has no network of its own.
    """

    launcher: Launcher
    run_folder: Path
    logs: Path
    cores: Cores
    boxes: dict[str, dict[str, Any]] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    opened: tuple[str, ...] = ()
    closed: frozenset[int] = frozenset()
    _launchers: dict[str, Launcher] = field(default_factory=dict)
    _made: dict[str, tuple[Box, dict[str, Any]]] = field(default_factory=dict)
    _box_of: dict[str, str] = field(default_factory=dict)
    _moved: set[str] = field(default_factory=set)
    _killed: dict[str, float] = field(default_factory=dict)

    def make_boxes(self, plan: Plan) -> None:
        """Makes the plan's boxes, or gives them its limits; notes tiers that only get into theirs by a new start."""
        self.forget("box_not_held")
        self.forget("box_beyond_cores")
        self.boxes = {}
        for box in plan.boxes:
            was, found = self._made.get(box.name, (None, {}))
            if was != box:
                found = self.launcher.box(box.name, box.cpus, box.memory_bytes, box.period_s)
                self._made[box.name] = (box, found)
            self.boxes[box.name] = found
            if found.get("why"):
                self.remark("box_not_held", box.name, f"[box.{box.name}] is held by {found['how']}: {found['why']}")
            count = len(self.cores.stack)
            if box.cpus is not None and box.cpus > count:
                text = f"[box.{box.name}] has {box.cpus:g} CPUs, and the stack {count} of this machine's cores"
                self.remark("box_beyond_cores", box.name, text)
            self._killed[box.name] = _kills(found)
        now = {tier: box.name for box in plan.boxes for tier in box.services}
        self._moved |= {tier for tier in {*now, *self._box_of} if now.get(tier, "") != self._box_of.get(tier, "")}
        self._box_of = now
        for tier, launcher in self._launchers.items():
            launcher.into_box(now.get(tier, ""))

    def out_of_memory(self, tier: str) -> str:
        """What to add to the news of a process's end: that memory ran out in its box since the boot began."""
        name = self._box_of.get(tier, "")
        killed = _kills(self.boxes.get(name, {})) - self._killed.get(name, 0.0)
        if killed <= 0:
            return ""
        limit_mb = (self._made[name][0].memory_bytes or 0) / 1024**2
        return f": the kernel killed {killed:.0f} for want of memory in [box.{name}], whose limit is {limit_mb:.0f} MB"

    def moved(self, tier: str) -> bool:
        """Whether a tier now belongs to another box than when this was last asked; who asks stops it, if it runs.

        A boot that fails half-way leaves the others noted, for the next.
        """
        moved = tier in self._moved
        self._moved.discard(tier)
        return moved

    def remark(self, kind: str, tier: str, text: str) -> None:
        """Notes what is to be said of every trial, once."""
        if Remark(kind, tier, text) not in self.remarks:
            self.remarks.append(Remark(kind, tier, text))

    def forget(self, kind: str) -> None:
        """Takes back the remarks of a kind, before they are made anew."""
        self.remarks[:] = [each for each in self.remarks if each.kind != kind]

    def launcher_of(self, tier: str) -> Launcher:
        """The launcher that puts a tier's processes into its box."""
        if tier not in self._launchers:
            self._launchers[tier] = self.launcher.boxed(self._box_of.get(tier, ""))
        return self._launchers[tier]


def _kills(box: dict[str, Any]) -> float:
    """How many processes of a box the kernel has killed at its memory limit so far."""
    readings = BoxProbe("box", box.get("paths") or {}).read() if box.get("paths") else []
    return sum(each.value for each in readings if isinstance(each, Reading) and each.name == "out_of_memory_kills")


Say = Callable[[str], None]
