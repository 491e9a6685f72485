"""A plan in, its app servers and workers running afresh out: ready by real requests, counted by the gauge."""

from __future__ import annotations

import http.client
import re
import shutil
import signal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from prony.app import entry
from prony.app.overlay import overlay
from prony.errors import PlanError, StackError
from prony.plan import Plan, Server, Traffic
from prony.probes.gauge import GaugeReader
from prony.stack import servers
from prony.stack.environment import command_of, environment, refusals_folder
from prony.stack.launch import Launcher, Process
from prony.stack.servers import Launch
from prony.stack.services.link import Link
from prony.stack.tiers import Ground

READY_S = 60.0
PREPARE_S = 600.0
STOP_S = 3.0
PORT_S = 2.0
FIRST_ANSWER_S = 30.0
ENTRY = "prony_gauge.entry:application"
LINES_READ = 200
LINES_SHOWN = 12
_LOADS = "/prony_gauge/target.py"  # in a traceback: below it the user's entry is imported or made


@dataclass(frozen=True, slots=True)
class Checked:
    """What a try in the app's interpreter found; `overlay` is where its server comes from, empty for there."""

    python: str
    versions: dict[str, str]
    interface: str
    overlay: str = ""


@dataclass(slots=True)
class Instance:
    """One running app server: `port` is its own, `reached` the one it is reached by, through a link perhaps.

    Servers that can do so tell of themselves at `stats`, a Unix socket, or at `metrics_port` (0: they do not).
    """

    server: Server
    port: int
    reached: int
    process: Process
    stats: Path
    metrics_port: int = 0


@dataclass(slots=True)
class AppTier:
    """The app servers and workers of one stack; with `detail`, the gauge sees what requests do inside the app."""

    ground: Ground
    own_folder: Path
    say: Callable[[str], None] = lambda _: None
    detail: bool = True
    instances: list[Instance] = field(default_factory=list)
    workers: dict[str, list[Process]] = field(default_factory=dict)
    _checked: dict[tuple[str, ...], Checked] = field(default_factory=dict)
    _ports: dict[tuple[str, int], int] = field(default_factory=dict)
    _links: dict[tuple[str, int], Link] = field(default_factory=dict)

    # ---- before anything is started

    def check(self, plan: Plan, server: Server, handed: Mapping[str, str]) -> Checked:
        """Once a campaign, entry and server: the app imports, its server is there, and the two fit each other.

        Raises:
            PlanError: the app does not import, or its server cannot serve what it is.
            MachineError: its server is not installed, and no overlay could be made.
        """
        name = server.entry or plan.app.entry
        app = plan.app
        key = (name, app.python, app.folder, app.interface, server.kind, server.worker_class, *servers.needs(server))
        if key not in self._checked:
            self._checked[key] = self._try(plan, server, name, handed)
        return self._checked[key]

    def _try(self, plan: Plan, server: Server, name: str, handed: Mapping[str, str]) -> Checked:
        found = self._ask(plan, name, handed)
        interface = plan.app.interface if plan.app.interface != "auto" else found["interface"]
        why = servers.refusal(server, interface, found["versions"])
        if why:
            table = "server" if server.name == "app" else f"servers.{server.name}"
            raise PlanError(
                f"{plan.source}: [{table}]: {server.kind} {server.worker_class}".rstrip()
                + f" cannot serve {name}: {why}.",
                hint="another [server] kind; docs/reference/servers.md says which serve what",
            )
        missing = tuple(each for each in servers.needs(server) if each not in found["versions"])
        place = ""
        if missing:
            self.say(f"{server.title}: {', '.join(missing)} not in the app's interpreter; making an overlay.")
            version = (int(found["python"].split(".")[0]), int(found["python"].split(".")[1]))
            wanted = servers.requirements(server, version, missing)
            made = overlay(plan.app.python, wanted, self.own_folder / "overlays", self.say)
            place = made.path or ""
            found["versions"] |= made.added
        return Checked(found["python"], found["versions"], interface, place)

    def _ask(self, plan: Plan, name: str, handed: Mapping[str, str]) -> dict[str, Any]:
        printed = self.ground.logs / "check.log"
        printed.write_text("", encoding="utf-8")
        process = self.ground.launcher.spawn(
            "the app's interpreter",
            entry.check_command(plan.app.python, name),
            env=environment(self.ground, plan.app, handed),
            cwd=Path(plan.app.folder),
            log=printed,
            cores=self.ground.cores.stack,
        )
        if not self.ground.launcher.wait(process, READY_S):
            self.ground.launcher.signal(process, signal.SIGKILL)
            raise StackError(f"{name} was not imported after {READY_S:.0f} s.", log=process.last_lines())
        return entry.found(plan, name, printed.read_text(encoding="utf-8", errors="replace"))

    def prepare(self, plan: Plan, handed: Mapping[str, str]) -> None:
        """Runs the app's prepare commands, contained like the app.

        Raises:
            StackError: one of them failed, or did not end in time.
        """
        launcher = self.ground.launcher
        for number, line in enumerate(plan.app.prepare):
            self.say(f"Preparing: {line}")
            process = launcher.spawn(
                f"prepare: {line}",
                command_of(line, plan.app.python),
                env=environment(self.ground, plan.app, handed),
                cwd=Path(plan.app.folder),
                log=self.ground.logs / f"prepare-{number}.log",
                cores=self.ground.cores.stack,
            )
            try:
                done = launcher.wait(process, PREPARE_S)
            finally:
                launcher.kill_group(process)  # what it may have left in the background has no business in a trial
            if not done:
                raise StackError(
                    f"[app] prepare: `{line}` was not done after {PREPARE_S:.0f} s.", log=process.last_lines()
                )
            if process.code != 0:
                raise StackError(
                    f"[app] prepare: `{line}` ended with exit code {process.code}.",
                    hint=_mending(process.last_lines(), process.log, plan.app.python),
                    log=process.last_lines(),
                )

    # ---- up

    def start(self, plan: Plan, number: int, gauges: Path, handed: Mapping[str, str]) -> dict[str, Checked]:
        """Starts every app server and worker, and waits until all are ready; what each check found, by server."""
        checked = {server.name: self.check(plan, server, handed) for server in plan.servers}
        links = {link.name: link for link in plan.links}
        wanted = {(server.name, index) for server in plan.servers for index in range(server.instances)}
        for key in [key for key in self._links if key not in wanted or key[0] not in links]:
            self._links.pop(key).stop()
        for server in plan.servers:
            for index in range(server.instances):
                env = environment(self.ground, plan.app, handed, checked[server.name].overlay)
                env["PRONY_GAUGE_DIR"] = str(gauges)
                env.setdefault("PRONY_GAUGE_DETAIL", "on" if self.detail else "off")
                instance = self._spawn(plan, server, index, checked[server.name], number=number, env=env)
                link = links.get(server.name)
                if link is not None:
                    instance.reached = self._link(server.name, index, instance.port, link)
                self.instances.append(instance)
        self._await_ready(plan, gauges)
        self._start_workers(plan, number, handed)
        return checked

    def _spawn(
        self, plan: Plan, server: Server, index: int, checked: Checked, *, number: int, env: Mapping[str, str]
    ) -> Instance:
        port = self._port(server.name, index)
        scratch = self.ground.run_folder / f"server-{server.name}-{index}"
        scratch.mkdir(exist_ok=True)
        tells = servers.tells_at_a_port(server, checked.versions)
        launch = Launch(
            python=plan.app.python,
            entry=ENTRY,
            port=port,
            server=server,
            interface=checked.interface,
            scratch=scratch,
            proxied=plan.proxy is not None,
            metrics_port=self._port(f"{server.name} metrics", index) if tells else 0,
        )
        title = server.title if server.name == "app" else f"[servers.{server.name}] {server.title}"
        label = "app" if server.name == "app" else f"app-{server.name}"
        suffix = f"-{index + 1}" if server.instances > 1 else ""
        process = self.ground.launcher_of(server.name).spawn(
            title,
            servers.command(launch),
            env={
                **env,
                "PRONY_GAUGE_ENTRY": server.entry or plan.app.entry,
                "PRONY_GAUGE_INTERFACE": checked.interface,
                "PRONY_GAUGE_SLOTS": str(server.slots_per_process),
                **servers.environment(launch),
            },
            cwd=Path(plan.app.folder),
            log=self.ground.logs / f"{label}-{number}{suffix}.log",
            cores=self.ground.cores.stack,
            stop_signal=signal.SIGKILL,
        )
        return Instance(server, port, port, process, launch.stats, launch.metrics_port)

    def _port(self, name: str, index: int) -> int:
        """The same port for every start, so that what stands before it can stay; another where somebody took it."""
        launcher = self.ground.launcher
        port = self._ports.get((name, index))
        # The processes of the start before may hold it for a moment longer than their master lived.
        if port is None or not launcher.wait_until(partial(_is_free, launcher, port), PORT_S):
            port = self._ports[name, index] = launcher.free_port()
        return port

    def _link(self, name: str, index: int, port: int, wanted: Any) -> int:
        ground = self.ground
        link = self._links.get((name, index))
        if link is None:
            link = self._links[name, index] = Link(
                ground.launcher, ground.logs, ground.run_folder, ground.cores.side, f"{name}.{index + 1}"
            )
        link.start(port, wanted)
        return link.port

    @property
    def links(self) -> dict[str, list[Link]]:
        """The links before instances, by their server's name."""
        found: dict[str, list[Link]] = {}
        for (name, _), link in self._links.items():
            found.setdefault(name, []).append(link)
        return found

    def _start_workers(self, plan: Plan, number: int, handed: Mapping[str, str]) -> None:
        refusals = {"PRONY_GAUGE_DIR": str(refusals_folder(self.ground, number))}
        for worker in plan.workers:
            self.workers[worker.name] = [
                self.ground.launcher_of(worker.name).spawn(
                    f"[workers.{worker.name}]",
                    command_of(worker.command, plan.app.python),
                    env=environment(self.ground, plan.app, handed) | refusals,
                    cwd=Path(plan.app.folder),
                    log=self.ground.logs / f"worker-{worker.name}-{number}-{index + 1}.log",
                    cores=self.ground.cores.stack,
                    stop_signal=signal.SIGTERM,
                )
                for index in range(worker.instances)
            ]

    # ---- ready

    def _await_ready(self, plan: Plan, gauges: Path) -> None:
        """Waits until every worker process has booted and every instance answers, whatever the status."""
        reader = GaugeReader(gauges)
        wanted = sum(server.processes for server in plan.servers if not server.knobs.get("preload"))

        def booted() -> bool:
            self._all_alive("while starting")
            return reader.read().processes >= wanted

        try:
            if not self.ground.launcher.wait_until(booted, READY_S):
                raise StackError(
                    f"{plan.server.title}: not every worker had booted after {READY_S:.0f} s"
                    f"{self.ground.out_of_memory('app')}.",
                    log=last_words(self.instances[0].process),
                )
        finally:
            reader.close()
        first = plan.traffic.first
        for each in self.instances:
            if not self.ground.launcher.wait_until(lambda one=each: self._answers(one, plan.traffic), READY_S):  # type: ignore[misc]
                raise StackError(
                    f"{each.server.title} gave no answer to {first.first} in {READY_S:.0f} s.",
                    log=each.process.last_lines(),
                )

    def _all_alive(self, when: str) -> None:
        for each in self.instances:
            if not each.process.alive:
                raise StackError(
                    f"{each.server.title} ended {when} ({ended(each.process)})"
                    f"{self.ground.out_of_memory(each.server.name)}.",
                    log=last_words(each.process),
                )

    def _answers(self, instance: Instance, traffic: Traffic) -> bool:
        self._all_alive("before it had answered")
        return answers(self.ground.launcher, instance.port, traffic)

    # ---- down

    def stop(self, *, gently: bool) -> None:
        """Ends app servers and workers, and all that they forked.

        Between starts they are killed: stores are restored in any case, and a server's own way out takes most of a
        second, which a campaign of sixty starts would pay sixty times.
        """
        launcher = self.ground.launcher
        processes = [process for group in self.workers.values() for process in group]
        processes += [each.process for each in self.instances]
        if gently:
            for each in self.instances:
                launcher.signal(each.process, servers.stop_signal(each.server))
            for group in self.workers.values():
                for process in group:
                    launcher.signal(process, signal.SIGTERM)
            launcher.wait_until(lambda: not any(process.alive for process in processes), STOP_S)
        for process in processes:
            launcher.kill_group(process)
        for process in processes:
            launcher.wait(process, STOP_S)
        for server in {each.server.name for each in self.instances}:
            for path in self.ground.run_folder.glob(f"server-{server}-*"):
                shutil.rmtree(path, ignore_errors=True)
        self.instances.clear()
        self.workers.clear()


def ended(process: Process) -> str:
    """How a process ended, in words."""
    if process.code is None:
        return "still running"
    if process.code < 0:
        return f"killed by {signal.Signals(-process.code).name}"
    return f"exit code {process.code}"


def last_words(process: Process) -> tuple[str, ...]:
    """The end of a server's log, or why the app did not import: some servers go on with tracebacks of their own."""
    lines = process.last_lines(LINES_READ)
    loads = [at for at, line in enumerate(lines) if _LOADS in line]
    begins = next((at for at in range(loads[-1] + 1, len(lines)) if lines[at].startswith("  File")), 0) if loads else 0
    return lines[begins:][:LINES_SHOWN] if begins else lines[-LINES_SHOWN:]


def answers(launcher: Any, port: int, traffic: Traffic) -> bool:
    """Whether a server on the stack's loopback gives any answer to the first request of the traffic."""
    first = traffic.first
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=FIRST_ANSWER_S)
    try:
        connection.sock = launcher.connect(port, FIRST_ANSWER_S)
        fields = traffic.headers | {"Host": traffic.host or f"127.0.0.1:{port}"}
        connection.request(first.method, first.first, headers=fields)
        connection.getresponse().read(1)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def _mending(said: Iterable[str], log: Path, python: str) -> str:
    """What to do about a prepare command that failed, by its last lines."""
    text = "\n".join(said)
    if match := re.search(r'extension "([\w-]+)" is not available', text):
        return (
            f'[stores.database] source = "system", for this machine\'s own Postgres, where that has {match[1]} '
            "(apt-get install postgresql); else take it out of [app] prepare"
        )
    if match := re.search(r"ModuleNotFoundError: No module named '([\w.]+)'", text):
        module = match[1].partition(".")[0]
        return f"{python} -m pip install PACKAGE, the one that {module} comes in; else take it out of [app] prepare"
    return f"read the whole of {log}; mend [app] prepare, or what it needs under [app] env"


def _is_free(launcher: Launcher, port: int) -> bool:
    try:
        with launcher.socket() as probe:
            probe.setsockopt(1, 2, 1)  # SOL_SOCKET, SO_REUSEADDR: connections that linger are in nobody's way
            probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
