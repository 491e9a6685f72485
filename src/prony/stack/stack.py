"""A plan in, its running stack out: stores restored to their prepared state, the app tier booted afresh."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from msgspec import structs

import prony_gauge.install
from prony.errors import PlanError, StackError
from prony.plan import Plan
from prony.plan.production import warnings
from prony.plan.refusals import advice, told
from prony.probes.gauge import GaugeReader
from prony.probes.refusals import Refusals
from prony.stack import child, folders
from prony.stack import cores as core_division
from prony.stack.apptier import READY_S, AppTier, Checked, Instance, answers, ended
from prony.stack.cover import Cover
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
        refusals: Folders of those in which refusals are counted: the same, the workers', the prepare commands'.
        told: How often each refusal has been told by the trials on it.
        handed: The variables that hand its stores and services to the app; nothing to be shown or kept.
        checked: What was found in the app's interpreter, by server.
        versions: Program and version of each store and proxy.
    """

    number: int
    plan: Plan
    port: int
    instances: list[Instance]
    gauges: Path
    refusals: tuple[Path, ...]
    checked: dict[str, Checked] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)
    handed: dict[str, str] = field(default_factory=dict, repr=False)

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
        detail: bool = True,
    ) -> None:
        self.cores = cores or core_division.divide()
        self.logs = logs
        logs.mkdir(parents=True, exist_ok=True)
        self.run_folder = folders.run_folder()
        self.launcher = Launcher(self.run_folder, namespace=namespace)  # whose guard makes that folder, and removes it
        try:
            prony_gauge.install.lay_out(str(self.run_folder / "gauge"))
        except BaseException:
            self.launcher.close()
            raise
        self.ground = Ground(self.launcher, self.run_folder, logs, self.cores)
        own = own_folder or folders.own_folder()
        self.stores = Stores(self.ground, Cover(self.ground, (logs, own)))
        self.app = AppTier(self.ground, own, say, detail)
        self.start: Start | None = None
        self.proxy: Nginx | None = None
        self.services: dict[str, OutsideService] = {}
        self._egress = Egress(self.ground)
        self._links: dict[str, Link] = {}
        self._starts = 0
        self._say = say
        self._warned: set[str] = set()

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
        self._warn(plan)
        self.stop_app(gently=False)
        self.ground.make_boxes(plan)
        self._egress.open(plan)
        calm = _without_trouble(plan)
        handed = self._services(calm)
        self.stores.start(calm, lambda urls: self.app.prepare(plan, {**handed, **urls}))
        handed |= self.stores.environment(plan)
        self._starts += 1
        gauges = self.run_folder / f"gauges-{self._starts}"
        gauges.mkdir()
        refusals = (gauges, refusals_folder(self.ground, self._starts), refusals_folder(self.ground))
        try:
            checked = self.app.start(calm, self._starts, gauges, handed)
            self._front(plan)
            port = self._entrance(calm)
            self._await_entrance(plan, port)
            for link in plan.links:
                if link.drop or link.frozen:
                    self.change(f"link.{link.name}", {"drop": link.drop, "frozen": link.frozen})
        except BaseException as error:
            self.app.stop(gently=False)
            refused = _counted(refusals)
            if isinstance(error, StackError) and refused:  # gunicorn answers nothing when an app raises an OSError
                error.hint = error.hint or f"{told(refused)}: {advice(refused)}"
            shutil.rmtree(gauges, ignore_errors=True)
            raise
        instances = list(self.app.instances)
        self.start = Start(
            self._starts, plan, port, instances, gauges, refusals, checked, self._versions(), handed=handed
        )
        return self.start

    def _warn(self, plan: Plan) -> None:
        """Says once of each store of the user's own that it looks like production."""
        for text in warnings(plan.stores):
            if text not in self._warned:
                self._warned.add(text)
                self._say(text)

    def stop_app(self, *, gently: bool = True) -> None:
        """Ends the app tier, and its workers with it."""
        self.app.stop(gently=gently)
        if self.start is not None:
            for folder in self.start.refusals[:2]:  # what prepared the stores is said of every start
                shutil.rmtree(folder, ignore_errors=True)
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
        return _counted([refusals_folder(self.ground)] if self.start is None else self.start.refusals)

    # ---- while it runs

    def ask(self, module: str, task: Mapping[str, Any], timeout_s: float) -> Any:
        """What one of the gauge's programs answers from within the interpreter of the app that runs; see `child`.

        Raises:
            StackError: nothing runs, or it gave no answer in time.
        """
        if self.start is None:
            raise StackError("Nothing runs that could be asked.")
        return child.answer(self.ground, self.start.plan.app, self.start.handed, module, task, timeout_s=timeout_s)

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
        for name, links in self._all_links().items():
            for link in links:
                if link.process is not None and not link.process.alive:
                    yield f"link.{name}", link.process, ended(link.process)

    def change(self, name: str, values: Mapping[str, Any]) -> None:
        """Changes a link or a slow service while it runs: `change("link.database", {"round_trip_s": 0.05})`.

        Raises:
            PlanError: there is none of that name.
        """
        group, _, tier = name.partition(".")
        if group == "services" and tier in self.services:
            self.services[tier].change(**values)
            return
        links = self._all_links().get(tier, [])
        if group != "link" or not links:
            raise PlanError(
                f"{name}: found no such thing in this stack; allowed: "
                f"{', '.join(sorted(self.changeable())) or 'nothing: it has neither [link.NAME] nor [services.NAME]'}."
            )
        for link in links:
            link.change(**values)

    def changeable(self) -> set[str]:
        """The names that `change` takes."""
        return {f"link.{name}" for name in self._all_links()} | {f"services.{name}" for name in self.services}

    def entrance(self, start: Start, *, https: bool = False) -> int:
        """The port that load goes to: the start's own, or the proxy's for https.

        Raises:
            PlanError: https is asked for, and no proxy listens for it.
        """
        if not https:
            return start.port
        if self.proxy is None or not self.proxy.tls_port:
            raise PlanError(
                f"{start.plan.source}: [traffic] https: found true; allowed: only where a proxy listens for https.",
                hint="[proxy] tls = true",
            )
        return self.proxy.tls_port

    def _all_links(self) -> dict[str, list[Link]]:
        """Every link that runs, by the tier it stands before; instances have one each."""
        found = dict(self.app.links)
        for name, link in (self.stores.ways.links | self._links).items():
            found[name] = [link]
        return found

    # ---- around the app

    def _services(self, plan: Plan) -> dict[str, str]:
        """Brings the slow outside services up; the variables that hand them to the app."""
        ground = self.ground
        wanted = {service.name: service for service in plan.services}
        for name in [name for name in self.services if name not in wanted]:
            self.services.pop(name).stop()
        links = {link.name: link for link in plan.links}
        for name in set(self._links) - set(links):
            self._links.pop(name).stop()
        handed = {}
        for name, settings in wanted.items():
            moved = ground.moved(name)
            service = self.services.get(name)
            if service is None:
                launcher = ground.launcher_of(name)
                service = OutsideService(launcher, ground.logs, ground.run_folder, ground.cores.side, name)
                self.services[name] = service
            elif moved:
                service.stop()
            service.start(settings)
            port = self._link(name, service.port, links)
            handed[settings.env] = service.url().replace(f":{service.port}", f":{port}")
        return handed

    def _front(self, plan: Plan) -> None:
        """The proxy before the app servers, where the plan has one."""
        moved = self.ground.moved("proxy")
        if self.proxy is not None and (moved or plan.proxy is None):
            self.proxy.stop()
        if plan.proxy is None:
            self.proxy = None
            return
        if self.proxy is None:
            ground = self.ground
            self.proxy = Nginx(ground.launcher_of("proxy"), ground.run_folder, ground.logs, ground.cores.stack)
        upstreams: dict[str, list[int]] = {}
        for each in self.app.instances:
            upstreams.setdefault(each.server.name, []).append(each.reached)
        self.proxy.start(plan.proxy, upstreams, Path(plan.app.folder))

    def _entrance(self, plan: Plan) -> int:
        if self.proxy is None:
            return self.app.instances[0].reached
        return self._link("proxy", self.proxy.port, {link.name: link for link in plan.links})

    def _link(self, name: str, port: int, links: Mapping[str, Any]) -> int:
        if name not in links:
            return port
        if name not in self._links:
            ground = self.ground
            self._links[name] = Link(ground.launcher, ground.logs, ground.run_folder, ground.cores.side, name)
        self._links[name].start(port, links[name])
        return self._links[name].port

    def _await_entrance(self, plan: Plan, port: int) -> None:
        """A real request by the way that the load will take."""
        first = plan.traffic.first
        if not self.launcher.wait_until(lambda: answers(self.launcher, port, plan.traffic), READY_S):
            front = self.proxy.process if self.proxy is not None else None
            last = (front or self.app.instances[0].process).last_lines()
            raise StackError(f"The stack's entrance gave no answer to {first.first} in {READY_S:.0f} s.", log=last)

    def _versions(self) -> dict[str, str]:
        found = self.stores.versions()
        if self.proxy is not None:
            found["proxy"] = f"nginx {self.proxy.version}"
        return found


def _without_trouble(plan: Plan) -> Plan:
    """The plan with links that let everything through: a stack must be up before its links can freeze and drop."""
    return structs.replace(plan, links=tuple(structs.replace(each, drop=0.0, frozen=False) for each in plan.links))


def _counted(folders: Iterable[Path]) -> dict[str, int]:
    reader = Refusals(folders, {})
    try:
        return reader.counts()
    finally:
        reader.close()


__all__ = ["Stack", "Start"]
