"""A plan and a running start in, a recording out: load on, probes on, everything written as it happens."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator

from prony.plan import Plan
from prony.probes.app import Workers
from prony.probes.listen import FAMILY, ListenQueue
from prony.probes.refusals import Refusals
from prony.probes.sampler import Probe, Sampler
from prony.recording import Reading, TrialWriter
from prony.stack.stack import Stack, Start
from prony.trial.calibration import known
from prony.trial.following import Following, Progress, ended_well, finish, follow, nothing
from prony.trial.generators import Generators
from prony.trial.spec import Visitors, spec_of
from prony.trial.watched import about, canaries, cpu_s, probes

RECYCLING = ("max_requests", "workers_max_rss")  # knobs that make a server replace workers of its own accord


@contextlib.contextmanager
def running(
    stack: Stack,
    start: Start,
    plan: Plan,
    writer: TrialWriter,
    progress: Callable[[Progress], None] = lambda _: None,
    *,
    visitors: Visitors = (),
    held: bool = False,
) -> Iterator[Following]:
    """One trial on a running start, to be followed to its end: `plan` differs from the start's own in its traffic only.

    `visitors` are the header fields of each visitor as whom requests go out; without any they go out as nobody. A load
    that is `held` begins when it is told to.

    Raises:
        StackError: the load engine would not run.
        KeyboardInterrupt: passed on, with what was recorded kept.
    """
    writer.write(nothing(), [], about(stack, start, plan))
    writer.write(nothing(), [*canaries(stack), *calibrated(plan, stack.cores.generator)])
    run_folder = stack.run_folder / f"load-{writer.trial}"
    run_folder.mkdir()
    cores = stack.cores.generator
    port = stack.entrance(start, https=plan.traffic.https)
    count = plan.traffic.generators or max(1, len(cores))
    spec = spec_of(plan, port, visitors, timed=True)
    engines = Generators(stack.launcher, cores, run_folder, spec, count, held=held)
    recycles = any(server.knobs.get(knob) for server in start.plan.servers for knob in RECYCLING)
    workers = Workers(start.gauges, recycles=recycles)
    refusals = Refusals(start.refusals, start.told)
    listen = ListenQueue(stack.launcher.socket(FAMILY), {each.port for each in start.instances}, start.app.pid)
    status = "interrupted"
    try:
        asked = [*probes(stack, start, workers, listen), Probe("refusals", 1.0, refusals.events)]
        with Sampler(asked) as sampler:
            found = Following(
                engines,
                plan,
                dead=stack.dead,
                writer=writer,
                sampler=sampler,
                progress=progress,
                cpu_s=lambda: cpu_s(stack),
            )
            yield found
        writer.write(nothing(), [], workers.tables())
        found.write(found.died)
        status = "done" if engines.result is not None else "failed"
    finally:
        engines.end()
        workers.close()
        refusals.close()
        listen.close()
        if stack.idle():  # an app that still works off its queue would be in the canary's way
            writer.write(nothing(), canaries(stack))
        last = engines.last_lines()  # its log is in the folder
        shutil.rmtree(run_folder, ignore_errors=True)
        finish(writer, status, engines)
    ended_well(plan, engines, last)


def run(
    stack: Stack,
    start: Start,
    plan: Plan,
    writer: TrialWriter,
    progress: Callable[[Progress], None] = lambda _: None,
    *,
    visitors: Visitors = (),
) -> None:
    """One trial from beginning to end; see `running`."""
    with running(stack, start, plan, writer, progress, visitors=visitors) as found:
        follow(found)


def calibrated(plan: Plan, cores: tuple[int, ...]) -> list[Reading]:
    """What the generators, on cores of their own, could do by what one of them did when it was tried here."""
    found = known()
    if found is None:
        return []
    count = min(plan.traffic.generators or len(cores), max(1, len(cores)))
    return [Reading(time.monotonic_ns(), "generator", "calibrated_rps", found.closed_rps * max(1, count))]
