"""Loads that run in, their recordings out: everything is written as it happens, until all of them have ended."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from prony.errors import PlanError, StackError
from prony.load.account import LoadTick
from prony.plan import Plan
from prony.probes.sampler import Sampler
from prony.recording import Event, Reading, TrialWriter
from prony.samples import Samples, from_bytes
from prony.stack.launch import Process
from prony.trial.generators import Fresh, Generators, soon

WRITE_EVERY_S = 0.25
LATE_S = 20.0
WRONG_SPEC = 2  # the load engine's exit code


class Progress(NamedTuple):
    """How far a trial is: what has just been written of it, for whoever watches.

    Attributes:
        t_ns: When (monotonic).
        samples: The newest rows.
        readings: The newest readings.
        tick: The engine's latest account of itself; None before the first.
        events: What has newly happened.
    """

    t_ns: int
    samples: Samples
    readings: list[Reading]
    tick: LoadTick | None
    events: Sequence[Event] = ()


class Following:
    """What is written of one trial while its load runs.

    Attributes:
        engines: The load's processes.
        plan: What they send.
        died: Servers that should be running and are not, as events.
        cpu_s: CPU seconds of the stack so far; None where there is none.
    """

    def __init__(
        self,
        engines: Generators,
        plan: Plan,
        *,
        dead: Callable[[], Iterable[tuple[str, Process, str]]],
        writer: TrialWriter,
        sampler: Sampler,
        progress: Callable[[Progress], None],
        cpu_s: Callable[[], float] | None = None,
    ) -> None:
        self.engines = engines
        self.plan = plan
        self.died: list[Event] = []
        self.cpu_s = cpu_s
        self.writer = writer
        self._dead = dead
        self._sampler = sampler
        self._progress = progress
        self._told: set[int] = set()
        self._deadline_s = math.inf
        self._late = False

    def begins(self) -> None:
        """From now on it has as long as its plan says, and `LATE_S`."""
        self._deadline_s = time.monotonic() + self.plan.traffic.duration_s + self.plan.traffic.drain_s + LATE_S

    def step(self, wait_s: float) -> bool:
        """Waits so long, or until the load has ended, and writes what has come; whether it still runs."""
        engines = self.engines
        if time.monotonic() > self._deadline_s:
            engines.end(at_once=self._late)  # one that is stuck in a check hears of nothing else
            self._late = True
            self._deadline_s += LATE_S
        engines.wait(wait_s)
        died = []
        for tier, process, how in self._dead():
            if process.pid not in self._told:
                self._told.add(process.pid)
                lines = " | ".join(process.last_lines(3))
                died.append(Event(time.monotonic_ns(), "died", tier, f"{process.name}: {how}: {lines}"[:1000]))
        self.died += died
        fresh = self.write([])
        happened = [*fresh.events, *died]
        self._progress(Progress(time.monotonic_ns(), fresh.samples, fresh.readings, engines.tick, happened))
        return engines.alive

    def write(self, events: list[Event]) -> Fresh:
        """Writes all that is new, and gives it back."""
        readings, found = self._sampler.take()
        new = self.engines.fresh()
        fresh = Fresh(new.samples, [*readings, *new.readings], [*found, *events, *new.events])
        self.writer.write(*fresh)
        return fresh


def follow(*found: Following) -> None:
    """Writes what comes in until all loads have ended."""
    for each in found:
        each.begins()
    left = list(found)
    while left:
        left = [each for each in left if each.engines.alive and each.step(WRITE_EVERY_S / len(left))]


def together(loads: Sequence[contextlib.AbstractContextManager[Following]]) -> None:
    """Several trials that take turns (see `plan.turns`), from beginning to end; their loads are held.

    What the stacks of the others used is a reading of each, `cpu_s` of the tier "beside".
    """
    with contextlib.ExitStack() as held:
        found = [held.enter_context(load) for load in loads]
        _beside(found)
        at_ns = soon()
        for each in found:
            each.engines.begin(at_ns)
        follow(*found)
        _beside(found)


def _beside(found: Sequence[Following]) -> None:
    used = [None if each.cpu_s is None else each.cpu_s() for each in found]
    for number, each in enumerate(found):
        others = [s for other, s in enumerate(used) if other != number and s is not None]
        if others:
            each.writer.write(nothing(), [Reading(time.monotonic_ns(), "beside", "cpu_s", sum(others))])


def finish(writer: TrialWriter, status: str, engines: Generators) -> None:
    """Ends a trial's recording with the engines' own account."""
    result = engines.result
    writer.finish(status, None if result is None else msgspec.to_builtins(result))


def ended_well(plan: Plan, engines: Generators, last: tuple[str, ...]) -> None:
    """Raises PlanError or StackError, with its `last` words, where the load engine gave no account of itself."""
    if engines.result is None:
        if engines.code == WRONG_SPEC and plan.traffic.journeys:
            raise in_journeys(plan, last)
        raise StackError(f"The load engine ended early (exit code {engines.code}).", log=last)


def in_journeys(plan: Plan, lines: tuple[str, ...]) -> PlanError:
    """A journey's file raised as it was run, or has not what the plan says: what reading it could not show."""
    *log, last = lines or ("",)
    what = last.partition("prony.load.worker: ")[2] or last
    files = ", ".join(dict.fromkeys(each.file for each in plan.traffic.journeys))
    return PlanError(
        f"{plan.source}: [[traffic.journey]] run: {what.rstrip('.')}.",
        hint=f"edit {files}; journeys run in prony's Python, where your app's packages are not",
        log=tuple(log),
    )


def nothing() -> Samples:
    """No samples: for a writer that is given something else."""
    return from_bytes(b"")
