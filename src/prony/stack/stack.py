"""A plan in, its running stack out: stores restored to their prepared state, the app tier booted afresh."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import prony_gauge.install
from prony.errors import PlanError, StackError
from prony.plan import Plan
from prony.probes.gauge import GaugeReader
from prony.stack import cores as core_division
from prony.stack import folders
from prony.stack.apptier import READY_S, AppTier, Checked, Instance, answers, ended
from prony.stack.egress import Egress
from prony.stack.environment import refusals_folder
from prony.stack.launch import Launcher, Process
from prony.stack.services.link import Link
from prony.stack.services.nginx import Nginx
from prony.stack.services.outside import OutsideService
from prony.stack.services.postgres import Postgres
from prony.stack.stores import Stores
from prony.stack.tiers import Ground, Remark, Watched


@dataclass(slots=True)
class Start:
    """One fresh boot of the app tier.

    Attributes:
        number: Counts the starts of a campaign, from 1.
        port: Where the load goes, on the stack's loopback: the proxy, or the one app server.
        instances: The app servers; workers are below their processes.
        gauges: Folder of the gauge's mapped files.
        checked: What was found in the app's interpreter, by server.
        versions: Program and version of each store and proxy.
    """

    number: int
    plan: Plan
    port: int
    instances: list[Instance]
    gauges: Path
    checked: dict[str, Checked] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def app(self) -> Process:
        """The main server's first process."""
        return self.instances[0].process


class Stack:
    """The processes of one campaign. Use as a context manager: leaving stops every one of them.

    Args:
        logs: Folder of the log files.
        cores: Who runs where.
        namespace: Whether to try for a network of the stack's own.
        own_folder: The project's .prony, where servers are kept that its interpreter lacks.
        say: Hears of long work.
    """

    def __init__(
        self,
        logs: Path,
        cores: core_division.Cores | None = None,
        *,
        namespace: bool = True,
        own_folder: Path | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.cores = cores or core_division.divide()
        self.logs = logs
        logs.mkdir(parents=True, exist_ok=True)
        self.run_folder = folders.run_folder()
        try:
            prony_gauge.install.lay_out(str(self.run_folder / "gauge"))
            self.launcher = Launcher(self.run_folder, namespace=namespace)
        except BaseException:
            shutil.rmtree(self.run_folder, ignore_errors=True)
            raise
        self.ground = Ground(self.launcher, self.run_folder, logs, self.cores)
        self.stores = Stores(self.ground)
        self.app = AppTier(self.ground, own_folder or folders.own_folder(), say)
        self.start: Start | None = None
        self.proxy: Nginx | None = None
        self.services: dict[str, OutsideService] = {}
        self._egress = Egress(self.ground)
        self._links: dict[str, Link] = {}
        self._starts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def postgres(self) -> Postgres | None:
        """The database, where it is a Postgres of ours."""
        return self.stores.postgres

    @property
    def remarks(self) -> list[Remark]:
        """What is to be said of every trial on this stack."""
        return self.ground.remarks

    def close(self) -> None:
        """Stops everything, in reverse order, and removes the run's folder."""
        try:
            self.stop_app()
            if self.proxy is not None:
                self.proxy.stop()
            for service in self.services.values():
                service.stop()
            self.stores.stop()
        finally:
            self._egress.close()
            self.launcher.close()
            shutil.rmtree(self.run_folder, ignore_errors=True)

    def boot(self, plan: Plan) -> Start:
        """A fresh start: stores as prepared, the app tier booted anew, ready by a real request.

        Raises:
            StackError: something would not come up; its last log lines are in the error.
            PlanError: the app does not import, or its server cannot serve it.
            MachineError: a program is missing, or a server that no overlay could bring.
        """
        self.stop_app(gently=False)
        moved = self.ground.make_boxes(plan)
        self._egress.open(plan.app.egress)
        handed = self._services(plan)
        self.stores.start(plan, moved, lambda urls: self.app.prepare(plan, {**handed, **urls}))
        handed |= self.stores.environment(plan)
        self._starts += 1
        gauges = self.run_folder / f"gauges-{self._starts}"
        gauges.mkdir()
        try:
            checked = self.app.start(plan, self._starts, gauges, handed)
            self._front(plan, moved)
        except BaseException:
            self.app.stop(gently=False)
            raise
        port = self._entrance(plan)
        self.start = Start(self._starts, plan, port, list(self.app.instances), gauges, checked, self._versions())
        self._await_entrance(plan, port)
        return self.start

    def stop_app(self, *, gently: bool = True) -> None:
        """Ends the app tier, and its workers with it."""
        if self.start is not None:
            self.app.stop(gently=gently)
            shutil.rmtree(self.start.gauges, ignore_errors=True)
            self.start = None

    def idle(self) -> bool:
        """Whether no request is inside the app that runs, and none has been there for a moment."""
        if self.start is None:
            return True
        reader = GaugeReader(self.start.gauges)
        try:
            first = reader.read()
            self.launcher.wait_until(lambda: False, 0.06)
            last = reader.read()
        finally:
            reader.close()
        return first.in_flight == last.in_flight == 0 and first.begun == last.begun

    def refused(self) -> dict[str, int]:
        """How often the app, its commands and workers tried to leave, by host and code line, since the last start."""
        folders_of = [refusals_folder(self.ground)] + ([] if self.start is None else [self.start.gauges])
        found: dict[str, int] = {}
        for folder in folders_of:
            reader = GaugeReader(folder)
            try:
                for text, count in reader.read().refused.items():
                    found[text] = found.get(text, 0) + count
            finally:
                reader.close()
        return found

    # ---- while it runs

    def watched(self) -> list[Watched]:
        """Every tier's processes: "app" for all app servers, the others by their names."""
        found = [Watched("app", tuple(each.process for each in self.app.instances))] if self.app.instances else []
        found += self.stores.watched()
        if self.proxy is not None and self.proxy.process is not None:
            found.append(Watched("proxy", (self.proxy.process,)))
        found += [Watched(name, tuple(group)) for name, group in self.app.workers.items()]
        found += [
            Watched(f"outside.{name}", (each.process,))
            for name, each in self.services.items()
            if each.process is not None
        ]
        return found

    def alive(self) -> bool:
        """Whether any app server still runs."""
        self.launcher.poll()
        return any(each.process.alive for each in self.app.instances)

    def dead(self) -> Iterator[tuple[str, Process, str]]:
        """(tier, process, how it ended) of whatever should be running and is not."""
        self.launcher.poll()
        for tier, processes in self.watched():
            for process in processes:
                if not process.alive:
                    yield tier, process, ended(process)

    def change(self, name: str, values: Mapping[str, Any]) -> None:
        """Changes a link or a slow service while it runs: `change("link.database", {"round_trip_s": 0.05})`.

        Raises:
            PlanError: there is none of that name.
        """
        group, _, tier = name.partition(".")
        if group == "services" and tier in self.services:
            self.services[tier].change(**values)
            return
        links = [*self.app.links(tier), *filter(None, [self.stores.link(tier), self._links.get(tier)])]
        if group != "link" or not links:
            raise PlanError(
                f"{name}: found no such thing in this stack; allowed: "
                f"{', '.join(sorted(self.changeable())) or 'nothing: it has neither [link.NAME] nor [services.NAME]'}."
            )
        for link in links:
            link.change(**values)

    def changeable(self) -> set[str]:
        """The names that `change` takes."""
        plan = self.start.plan if self.start is not None else None
        links = {f"link.{link.name}" for link in plan.links} if plan is not None else set()
        return links | {f"services.{name}" for name in self.services}

    # ---- around the app

    def _services(self, plan: Plan) -> dict[str, str]:
        """Brings the slow outside services up; the variables that hand them to the app."""
        ground = self.ground
        wanted = {service.name: service for service in plan.services}
        for name in [name for name in self.services if name not in wanted]:
            self.services.pop(name).stop()
        links = {link.name: link for link in plan.links}
        handed = {}
        for name, settings in wanted.items():
            service = self.services.get(name)
            if service is None:
                launcher = ground.launcher_of(name)
                service = OutsideService(launcher, ground.logs, ground.run_folder, ground.cores.side, name)
                self.services[name] = service
            service.start(settings)
            port = self._link(name, service.port, links)
            handed[settings.env] = service.url().replace(f":{service.port}", f":{port}")
        return handed

    def _front(self, plan: Plan, moved: set[str]) -> None:
        """The proxy before the app servers, where the plan has one."""
        if plan.proxy is None:
            if self.proxy is not None:
                self.proxy.stop()
                self.proxy = None
            return
        if self.proxy is None:
            ground = self.ground
            self.proxy = Nginx(ground.launcher_of("proxy"), ground.run_folder, ground.logs, ground.cores.stack)
        elif "proxy" in moved:
            self.proxy.stop()
        upstreams: dict[str, list[int]] = {}
        for each in self.app.instances:
            upstreams.setdefault(each.server.name, []).append(each.reached)
        self.proxy.start(plan.proxy, upstreams, Path(plan.app.folder))

    def _entrance(self, plan: Plan) -> int:
        if self.proxy is None:
            return self.app.instances[0].reached
        return self._link("proxy", self.proxy.port, {link.name: link for link in plan.links})

    def _link(self, name: str, port: int, links: Mapping[str, Any]) -> int:
        running = self._links.get(name)
        if name not in links:
            if running is not None:
                self._links.pop(name).stop()
            return port
        if running is None:
            ground = self.ground
            running = Link(ground.launcher, ground.logs, ground.run_folder, ground.cores.side, name)
            self._links[name] = running
        running.start(port, links[name])
        return running.port

    def _await_entrance(self, plan: Plan, port: int) -> None:
        """A real request by the way that the load will take; a frozen or dropping link is left to show itself."""
        if any(link.frozen or link.drop for link in plan.links):
            return
        first = plan.traffic.requests[0]
        if not self.launcher.wait_until(lambda: answers(self.launcher, port, first.method, first.path), READY_S):
            log = self.proxy.log if self.proxy is not None else self.start.app.log if self.start else None
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:] if log and log.exists() else []
            raise StackError(f"The stack's entrance gave no answer to {first.path}.", log=tuple(lines))

    def _versions(self) -> dict[str, str]:
        found = self.stores.versions()
        if self.proxy is not None:
            found["proxy"] = f"nginx {self.proxy.version}"
        return found


__all__ = ["Stack", "Start"]
