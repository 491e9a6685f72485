"""A plan and a running start in, a recording out: load on, probes on, everything written as it happens."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from prony.errors import PlanError, StackError
from prony.load.account import LoadTick
from prony.plan import Plan
from prony.probes.app import Workers
from prony.probes.listen import FAMILY, ListenQueue
from prony.probes.refusals import Refusals
from prony.probes.sampler import Probe, Sampler
from prony.recording import Event, Reading, TrialWriter
from prony.samples import Samples, from_bytes
from prony.stack.launch import Process
from prony.stack.stack import Stack, Start
from prony.trial.calibration import known
from prony.trial.generators import Fresh, Generators
from prony.trial.spec import Visitors, spec_of
from prony.trial.watched import about, canaries, probes

WRITE_EVERY_S = 0.25
LATE_S = 20.0
WRONG_SPEC = 2  # the load engine's exit code
RECYCLING = ("max_requests", "workers_max_rss")  # knobs that make a server replace workers of its own accord


class Progress(NamedTuple):
    """How far a trial is: what has just been written of it, for whoever watches.

    Attributes:
        t_ns: When (monotonic).
        samples: The newest rows.
        readings: The newest readings.
        tick: The engine's latest account of itself; None before the first.
        processes: How many send the load.
    """

    t_ns: int
    samples: Samples
    readings: list[Reading]
    tick: LoadTick | None
    processes: int


def run(
    stack: Stack,
    start: Start,
    plan: Plan,
    writer: TrialWriter,
    progress: Callable[[Progress], None] = lambda _: None,
    *,
    visitors: Visitors = (),
) -> None:
    """One trial on a running start: `plan` differs from the start's own in its traffic only.

    `visitors` are the header fields of each visitor as whom requests go out; without any they go out as nobody.

    Raises:
        StackError: the load engine would not run.
        KeyboardInterrupt: passed on, with what was recorded kept.
    """
    writer.write(_none(), [], about(stack, start, plan))
    writer.write(_none(), [*canaries(stack), *calibrated(plan, stack.cores.generator)])
    run_folder = stack.run_folder / f"load-{writer.trial}"
    run_folder.mkdir()
    cores = stack.cores.generator
    port = stack.entrance(start, https=plan.traffic.https)
    count = plan.traffic.generators or max(1, len(cores))
    engines = Generators(stack.launcher, cores, run_folder, spec_of(plan, port, visitors, timed=True), count)
    recycles = any(server.knobs.get(knob) for server in start.plan.servers for knob in RECYCLING)
    workers = Workers(start.gauges, recycles=recycles)
    refusals = Refusals(start.refusals, start.told)
    listen = ListenQueue(stack.launcher.socket(FAMILY), {each.port for each in start.instances}, start.app.pid)
    status = "interrupted"
    try:
        asked = [*probes(stack, start, workers, listen), Probe("refusals", 1.0, refusals.events)]
        with Sampler(asked) as sampler:
            died = follow(engines, plan, stack.dead, writer=writer, sampler=sampler, progress=progress)
        writer.write(_none(), [], workers.tables())
        write(writer, engines, sampler, died)
        status = "done" if engines.result is not None else "failed"
    finally:
        engines.end()
        workers.close()
        refusals.close()
        listen.close()
        if stack.idle():  # an app that still works off its queue would be in the canary's way
            writer.write(_none(), canaries(stack))
        result = engines.result
        last = engines.last_lines()  # its log is in the folder
        shutil.rmtree(run_folder, ignore_errors=True)
        writer.finish(status, None if result is None else msgspec.to_builtins(result))
    if result is None:
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


def follow(
    engines: Generators,
    plan: Plan,
    dead: Callable[[], Iterable[tuple[str, Process, str]]],
    *,
    writer: TrialWriter,
    sampler: Sampler,
    progress: Callable[[Progress], None],
) -> list[Event]:
    """Writes what comes in until the engines have ended; a server that is `dead` meanwhile is an event."""
    traffic = plan.traffic
    began_s = time.monotonic()
    deadline_s = began_s + traffic.duration_s + traffic.drain_s + LATE_S
    died: list[Event] = []
    told: set[int] = set()
    while engines.alive:
        if time.monotonic() > deadline_s:
            engines.end()
            deadline_s += LATE_S
        engines.wait(WRITE_EVERY_S)
        for tier, process, how in dead():
            if process.pid not in told:
                told.add(process.pid)
                lines = " | ".join(process.last_lines(3))
                died.append(Event(time.monotonic_ns(), "died", tier, f"{process.name}: {how}: {lines}"[:1000]))
        fresh = write(writer, engines, sampler, [])
        progress(Progress(time.monotonic_ns(), fresh.samples, fresh.readings, engines.tick, engines.count))
    return died


def write(writer: TrialWriter, engines: Generators, sampler: Sampler, events: list[Event]) -> Fresh:
    """Writes all that is new, and gives it back."""
    readings, found = sampler.take()
    new = engines.fresh()
    fresh = Fresh(new.samples, [*readings, *new.readings], [*found, *events, *new.events])
    writer.write(*fresh)
    return fresh


def calibrated(plan: Plan, cores: tuple[int, ...]) -> list[Reading]:
    """What the generators, on cores of their own, could do by what one of them did when it was tried here."""
    found = known()
    if found is None:
        return []
    count = min(plan.traffic.generators or len(cores), max(1, len(cores)))
    return [Reading(time.monotonic_ns(), "generator", "calibrated_rps", found.closed_rps * max(1, count))]


def _none() -> Any:
    return from_bytes(b"")
