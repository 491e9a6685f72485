"""A plan with a destination in, a recording out: the same load as on a stack, and what can be watched from outside."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec import structs

from prony.alone.answer import ask
from prony.alone.consent import AGAIN_S, still
from prony.load import consent
from prony.load.spec import LoadSpec
from prony.plan import Destination, Plan
from prony.probes.canary import canary
from prony.probes.listen import FAMILY, ListenQueue
from prony.probes.listener import listeners, may_run_on
from prony.probes.processes import Account, Host, Tree
from prony.probes.sampler import Probe, Sampler
from prony.recording import Event, Reading, TrialWriter
from prony.stack import folders
from prony.stack.cores import Cores, divide
from prony.stack.launch import Launcher
from prony.trial import Progress
from prony.trial.following import Following, ended_well, finish, follow, nothing
from prony.trial.generators import Generators
from prony.trial.run import calibrated
from prony.trial.spec import spec_of

FOUND = "listener"  # the kind of event that says what is watched of a destination
BEGINS_S = 60.0  # a trial of whose consent `consenting` has just made sure begins within that


class Alone:
    """What stands where a stack would: the guard that ends the engine with prony, the cores, a folder for the run."""

    def __init__(self, cores: Cores | None = None) -> None:
        self.cores = cores or divide()
        self.run_folder = folders.run_folder()
        self.launcher = Launcher(self.run_folder, namespace=False)  # what is loaded lives outside

    def close(self) -> None:
        """Ends whatever was started."""
        self.launcher.close()


@contextlib.contextmanager
def running(
    alone: Alone,
    plan: Plan,
    writer: TrialWriter,
    progress: Callable[[Progress], None] = lambda _: None,
    *,
    held: bool = False,
) -> Iterator[Following]:
    """One trial of what the plan's destination names, at the address it is pinned to, to be followed to its end.

    A load that is `held` begins when it is told to.

    Raises:
        ConsentError: what is to be loaded no longer consents.
        StackError: the load engine would not run.
        ValueError: the plan has no destination, or no address of it.
        KeyboardInterrupt: passed on, with what was recorded kept.
    """
    destination = plan.destination
    if destination is None or not destination.address:
        raise ValueError("a load alone needs to know where to go")
    watched = listeners(destination.address, destination.port) if not destination.consent else {}
    before = [*_canaries(alone, destination), *calibrated(plan, alone.cores.generator)]
    writer.write(nothing(), before, _about(alone, destination, watched))
    run_folder = alone.run_folder / f"load-{writer.trial}"
    run_folder.mkdir()
    cores = alone.cores.generator
    count = plan.traffic.generators or max(1, len(cores))
    engines = Generators(alone.launcher, cores, run_folder, _spec(plan, destination), count, held=held)
    listen = ListenQueue(socket.socket(*FAMILY), {destination.port}, os.getpid())
    status, calm = "interrupted", False
    try:
        with Sampler(_probes(alone, destination, tuple(watched), listen)) as sampler:
            found = Following(engines, plan, dead=tuple, writer=writer, sampler=sampler, progress=progress)
            yield found
        found.write([])
        status = "done" if engines.result is not None else "failed"
        calm = _worked_off(plan, destination)
    finally:
        engines.end()
        listen.close()
        if calm:
            writer.write(nothing(), _canaries(alone, destination))
        last = engines.last_lines()  # its log is in the folder
        shutil.rmtree(run_folder, ignore_errors=True)
        finish(writer, status, engines)
    ended_well(plan, engines, last)


def run(alone: Alone, plan: Plan, writer: TrialWriter, progress: Callable[[Progress], None] = lambda _: None) -> None:
    """One trial from beginning to end; see `running`."""
    with running(alone, plan, writer, progress) as found:
        follow(found)


def consenting(plan: Plan) -> None:
    """Asks for consent again, where it is due: before a trial has begun, so that none is left unfinished by a refusal.

    Raises:
        ConsentError: what is to be loaded no longer consents.
    """
    destination = plan.destination
    if destination is not None and destination.consent:
        still(destination, plan.traffic.first.first)


def _worked_off(plan: Plan, destination: Destination) -> bool:
    """Whether what a trial left in the queues is done: a request that comes after it was answered, within 10 s."""
    first = plan.traffic.first
    if first.method != "GET":
        return True
    try:
        ask(destination, first.first, plan.traffic.headers, host=plan.traffic.host)
    except TimeoutError:
        return False
    except (OSError, ValueError):
        return True
    return True


def _spec(plan: Plan, destination: Destination) -> LoadSpec:
    """What the engine is to do; elsewhere than on loopback with the signature that it wants to see."""
    spec = spec_of(plan, destination.port)
    signature = ""
    if destination.consent:
        still(destination, plan.traffic.first.first, AGAIN_S + BEGINS_S)
        signature = consent.sign(destination.address, destination.port, spec.host_header)
    return structs.replace(spec, host=destination.address, consent=signature)


def _probes(alone: Alone, destination: Destination, pids: tuple[int, ...], listen: ListenQueue) -> list[Probe]:
    """What there is to see of something that prony did not start: nothing, where it is not on this machine."""
    if destination.consent:
        return []
    cores = alone.cores  # whoever started it may have let it run on any of them
    host = Host(tuple(sorted({*cores.generator, *cores.side, *cores.stack})))
    found = [
        Probe("host pressure", 1.0, host.rest),
        Probe("listen queue", 0.05, listen.length),
        Probe("listen overflows", 1.0, listen.overflows),
    ]
    trees = [Tree("app", *pids)] if pids else []
    account = Account(host, trees)
    found.append(Probe("CPU account", 0.05, account.read, close=account.close))
    found += [Probe("app processes", 1.0, tree.rest) for tree in trees]
    return found


def _about(alone: Alone, destination: Destination, watched: Mapping[int, str]) -> list[Event]:
    now_ns = time.monotonic_ns()
    found = []
    if alone.cores.shared and not destination.consent:
        found.append(Event(now_ns, "one_core", "host", "the generator and what it loads share a core"))
    return [*found, Event(now_ns, FOUND, "app", _seen(destination, watched.values()) + _shared(alone.cores, watched))]


def _seen(destination: Destination, names: Iterable[str]) -> str:
    """What is watched, in words."""
    if destination.consent:
        return f"{destination.url} at {destination.place} is not on this machine, and nothing of it was watched"
    found = ", ".join(sorted(set(names)))
    if not found:
        return f"of {destination.url} only the listen queue was watched: whose processes they are, this user cannot see"
    return f"of {destination.url} only the listen queue and the processes that listen there ({found}) were watched"


def _shared(cores: Cores, pids: Iterable[int]) -> str:
    """What to say of processes that may run on the generator's cores, where there are others."""
    if cores.shared or not may_run_on(pids) & set(cores.generator):
        return ""
    ours, others = (",".join(map(str, each)) for each in (cores.generator, cores.stack))
    return f"; they may run on core {ours} and make the generator late (start them with taskset -c {others})"


def _canaries(alone: Alone, destination: Destination) -> list[Reading]:
    ours = canary("generator", alone.cores.generator)
    return ours if destination.consent else [*canary("stack", alone.cores.stack), *ours]
