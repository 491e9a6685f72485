"""A plan and a running start in, a recording out: load on, probes on, everything written as it happens."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import structs

from prony.app.environment import state_folder
from prony.errors import PlanError, StackError
from prony.load.spec import Expectation, JourneySpec, LoadResult, LoadSpec, LoadTick, RequestSpec
from prony.plan import Plan
from prony.probes import logs
from prony.probes.app import Workers
from prony.probes.box import BoxProbe
from prony.probes.canary import canary
from prony.probes.database import Database
from prony.probes.listen import FAMILY, ListenQueue
from prony.probes.processes import Host, Tree
from prony.probes.refusals import Refusals
from prony.probes.sampler import Probe, Sampler
from prony.recording import ROUTE, SAMPLE, Event, Reading, TrialWriter
from prony.samples import from_bytes
from prony.stack.cores import Cores
from prony.stack.launch import Launcher, Process
from prony.stack.services.postgres import RESERVED
from prony.stack.stack import Stack, Start

WRITE_EVERY_S = 0.25
LATE_S = 20.0
WRONG_SPEC = 2  # the load engine's exit code
PORTS = 28_000  # the kernel's own range of local ports, 32768 to 60999
RECYCLING = ("max_requests", "workers_max_rss")  # knobs that make a server replace workers of its own accord

Visitors = tuple[dict[str, str], ...]


class Progress(NamedTuple):
    """How far a trial is: seconds of its sending window, and the engine's latest account of itself."""

    elapsed_s: float
    duration_s: float
    tick: LoadTick | None


class Surroundings(Protocol):
    """What the load engine runs beside: a stack, or what stands in for one where load goes alone."""

    @property
    def launcher(self) -> Launcher: ...
    @property
    def cores(self) -> Cores: ...
    def dead(self) -> Iterable[tuple[str, Process, str]]: ...


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
    writer.write(_none(), [], _about(stack, start, plan))
    writer.write(_none(), _canaries(stack))
    run_folder = stack.run_folder / f"load-{writer.trial}"
    run_folder.mkdir()
    spec = spec_of(plan, start.port, run_folder / "segment", visitors)
    engine = launch(stack, run_folder, spec)
    follower = Follower(plan, run_folder, writer)
    recycles = any(server.knobs.get(knob) for server in start.plan.servers for knob in RECYCLING)
    workers = Workers(start.gauges, recycles=recycles)
    refusals = Refusals(start.refusals, start.told)
    listen = ListenQueue(stack.launcher.socket(FAMILY), {each.port for each in start.instances}, start.app.pid)
    status = "interrupted"
    try:
        asked = [*_probes(stack, start, workers, listen), Probe("refusals", 1.0, refusals.events)]
        with Sampler(asked) as sampler:
            died = follow(stack, engine, follower=follower, sampler=sampler, progress=progress)
        follower.collect(sampler, died)
        status = "done" if follower.result is not None else "failed"
    finally:
        stack.launcher.signal(engine, signal.SIGTERM)
        workers.close()
        refusals.close()
        listen.close()
        if stack.idle():  # an app that still works off its queue would be in the canary's way
            writer.write(_none(), _canaries(stack))
        result = follower.result
        last = engine.last_lines()  # its log is in the folder
        shutil.rmtree(run_folder, ignore_errors=True)
        writer.finish(status, None if result is None else msgspec.to_builtins(result))
    if follower.result is None:
        if engine.code == WRONG_SPEC and plan.traffic.journeys:
            raise in_journeys(plan, last)
        raise StackError(f"The load engine ended early (exit code {engine.code}).", log=last)


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
    stack: Surroundings,
    engine: Process,
    *,
    follower: Follower,
    sampler: Sampler,
    progress: Callable[[Progress], None],
) -> list[Event]:
    """Writes what comes in until the engine has ended; a server that dies meanwhile is an event."""
    traffic = follower.plan.traffic
    began_s = time.monotonic()
    deadline_s = began_s + traffic.duration_s + traffic.drain_s + LATE_S
    died: list[Event] = []
    told: set[int] = set()
    while engine.alive:
        if time.monotonic() > deadline_s:
            stack.launcher.signal(engine, signal.SIGTERM)
            deadline_s += LATE_S
        stack.launcher.wait(engine, WRITE_EVERY_S)
        for tier, process, how in stack.dead():
            if process.pid not in told:
                told.add(process.pid)
                lines = " | ".join(process.last_lines(3))
                died.append(Event(time.monotonic_ns(), "died", tier, f"{process.name}: {how}: {lines}"[:1000]))
        follower.collect(sampler, [])
        progress(Progress(time.monotonic() - began_s, traffic.duration_s, follower.tick))
    return died


class Follower:
    """Takes whole rows from the engine's segment and lines from its output, and writes them to the recording."""

    def __init__(self, plan: Plan, folder: Path, writer: TrialWriter) -> None:
        self.plan = plan
        self._segment = folder / "segment"
        self._output = folder / "out"
        self._writer = writer
        self._offset = 0
        self._out_offset = 0
        self._decoder = msgspec.json.Decoder(LoadTick | LoadResult)
        self.tick: LoadTick | None = None
        self.result: LoadResult | None = None
        self._named: set[int] = set()

    def collect(self, sampler: Sampler, events: list[Event]) -> None:
        """Writes all that is new."""
        readings, found = sampler.take()
        readings += self._lines()
        self._writer.write(from_bytes(self._rows()), readings, [*found, *events, *self._new_routes()])

    def _new_routes(self) -> list[Event]:
        """The names of routes that journeys' steps have added."""
        said = (*(() if self.tick is None else (self.tick,)), *(() if self.result is None else (self.result,)))
        new = {number: name for each in said for number, name in each.routes.items() if number not in self._named}
        self._named |= new.keys()
        return [Event(time.monotonic_ns(), ROUTE, "traffic", f"{number} {name}") for number, name in new.items()]

    def _rows(self) -> bytes:
        raw = _read_from(self._segment, self._offset)
        whole = len(raw) // SAMPLE.itemsize * SAMPLE.itemsize
        self._offset += whole
        return raw[:whole]

    def _lines(self) -> list[Reading]:
        raw = _read_from(self._output, self._out_offset)
        end = raw.rfind(b"\n") + 1
        self._out_offset += end
        found: list[Reading] = []
        for line in raw[:end].splitlines():
            message = self._decoder.decode(line)
            if isinstance(message, LoadResult):
                self.result = message
                continue
            self.tick = message
            names = ("scheduled", "sent", "done", "in_flight", "waiting", "connections_opened", "cpu_s")
            found += [Reading(message.t_ns, "generator", name, float(getattr(message, name))) for name in names]
        return found


def _read_from(path: Path, offset: int) -> bytes:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(offset)
        return file.read()
    return b""


def spec_of(plan: Plan, port: int, segment: Path, visitors: Visitors = ()) -> LoadSpec:
    """What the engine is to do for a plan, on loopback."""
    traffic = plan.traffic
    return LoadSpec(
        host="127.0.0.1",
        port=port,
        requests=tuple(
            RequestSpec(
                method=r.method,
                path=r.path,
                weight=r.weight,
                name=r.name,
                headers=traffic.headers,
                expect=Expectation(**structs.asdict(r.expect)),
                paths=r.paths,
                anonymous=r.anonymous,
            )
            for r in traffic.requests
        ),
        journeys=tuple(JourneySpec(**structs.asdict(each)) for each in traffic.journeys),
        headers=traffic.headers,
        routes=traffic.routes | {r.path: r.name for r in traffic.requests if "?" not in r.path},
        arrivals=traffic.arrivals,  # type: ignore[arg-type] # the plan allows the same three
        rate_rps=traffic.rate_rps if traffic.users is None else None,
        users=traffic.users,
        duration_s=traffic.duration_s,
        think_s=traffic.think_s if traffic.users is not None else 0,
        timeout_s=traffic.timeout_s,
        drain_s=traffic.drain_s,
        connections=most_connections(),
        seed=traffic.seed,
        host_header=traffic.host,
        visitors=visitors,
        segment=str(segment),
    )


def most_connections() -> int:
    """How many connections the engine may hold: what ports and descriptors leave it, so that it hardly waits."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return min(PORTS, hard - 256) if hard != resource.RLIM_INFINITY else PORTS


def launch(stack: Surroundings, folder: Path, spec: LoadSpec) -> Process:
    """Starts the engine on its core; `folder` takes its spec, its samples and what it says."""
    path = folder / "spec.json"
    path.touch(mode=0o600)  # visitors' cookies may be in it; the folder goes with the trial
    path.write_bytes(msgspec.json.encode(spec))
    return stack.launcher.spawn(
        "the load engine",
        [sys.executable, "-P", "-m", "prony.load.worker", str(path)],
        env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "PYTHONUNBUFFERED": "1"}
        | ({"XDG_STATE_HOME": str(state_folder().parent)} if spec.consent else {}),  # where the secret is
        cwd=folder,
        log=folder / "err",
        stdout=folder / "out",
        cores=stack.cores.generator,
        descriptors=True,
        urgent=True,
    )


def _probes(stack: Stack, start: Start, workers: Workers, listen: ListenQueue) -> list[Probe]:
    """Everything that is watched: the gauge and the queue at 50 ms, the CPU at 200 ms, the rest each second."""
    host = Host(stack.cores.stack)
    found = [
        Probe("gauge", 0.05, workers.levels),
        Probe("gauge counters", 1.0, workers.counters),
        Probe("listen queue", 0.05, listen.length),
        Probe("listen overflows", 1.0, listen.overflows),
        Probe("host", 0.2, host.read),
    ]
    for tier, processes in stack.watched():
        tree = Tree(tier, *(process.pid for process in processes))
        found += [Probe(f"{tier} CPU", 0.2, tree.cpu), Probe(f"{tier} memory", 1.0, tree.memory)]
        found.append(Probe(f"{tier} descriptors", 1.0, tree.descriptors))
        if tier != "database" or stack.postgres is None:
            paths = dict.fromkeys(process.log for process in processes)
            found += [Probe(f"{tier} log", 0.5, logs.Log(tier, path, logs.APP).read) for path in paths]
    for name, box in stack.ground.boxes.items():
        if box["paths"]:
            found.append(Probe(f"box {name}", 1.0, BoxProbe(f"box.{name}", box["paths"]).read))
    postgres, settings = stack.postgres, start.plan.database
    if postgres is None or postgres.process is None or settings is None:
        return found
    database = Database(postgres.ask, settings.max_connections, settings.max_connections - RESERVED)
    return [
        *found,
        Probe("database activity", 0.25, database.activity),
        Probe("database sessions", 1.0, database.sessions),
        Probe("database log", 0.5, logs.Log("database", postgres.log, logs.POSTGRES).read),
    ]


def _about(stack: Stack, start: Start, plan: Plan) -> list[Event]:
    """What is to be said of every trial on this machine and this plan."""
    now_ns = time.monotonic_ns()
    found = [Event(now_ns, "versions", name, text) for name, text in _versions(start).items()]
    if stack.cores.shared:
        found.append(Event(now_ns, "one_core", "host", "the generator and the stack share a core"))
    elif plan.stores:
        names = ", ".join(str(core) for core in stack.cores.stack)
        found.append(Event(now_ns, "shared_core", "host", f"app and {', '.join(plan.stores)} share core {names}"))
    if not plan.stores:
        found.append(Event(now_ns, "no_store", "app", "no store of prony's own behind the app"))
    if not stack.launcher.namespace:
        found.append(Event(now_ns, "hook_only", "host", stack.launcher.why_no_namespace))
    if not plan.traffic.declared:
        found.append(Event(now_ns, "mix_guessed", "traffic", _guessed(plan)))
    found += [Event(now_ns, remark.kind, remark.tier, remark.text) for remark in stack.remarks]
    return found


def _guessed(plan: Plan) -> str:
    count = len(plan.traffic.requests)
    return f"{count} pages, each asked for equally often" if count > 1 else f"only {plan.traffic.requests[0].path}"


def _versions(start: Start) -> dict[str, str]:
    """What runs, by tier: programs and the distributions in the app's interpreter, and where its server comes from."""
    found = dict(start.versions)
    for name, checked in start.checked.items():
        texts = [f"Python {checked.python}", *(f"{each} {version}" for each, version in checked.versions.items())]
        found[name] = ", ".join(texts) + (", its server from an overlay" if checked.overlay else "")
    return found


def _canaries(stack: Stack) -> list[Reading]:
    return [*canary("stack", stack.cores.stack), *canary("generator", stack.cores.generator)]


def _none() -> Any:
    return from_bytes(b"")
