"""A plan in, its running stack out: stores restored to their prepared state, the app tier booted afresh."""

from __future__ import annotations

import http.client
import os
import shlex
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import prony_gauge.install
from prony.app import entry
from prony.errors import StackError
from prony.plan import Plan
from prony.probes.gauge import GaugeReader
from prony.stack import cores as core_division
from prony.stack import folders
from prony.stack.launch import Launcher, Process
from prony.stack.services import appserver, delay
from prony.stack.services.postgres import APP_DATABASE, Postgres

READY_S = 60.0
PREPARE_S = 600.0
STOP_S = 3.0
FIRST_ANSWER_S = 30.0

# The app gets these of prony's own environment and no more: whatever keys a developer's shell holds stay out of reach.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "TMPDIR")


@dataclass(slots=True)
class Start:
    """One fresh boot of the app tier.

    Attributes:
        number: Counts the starts of a campaign, from 1.
        port: Where the app listens on the stack's loopback.
        app: The server's first process; its workers are below it.
        gauges: Folder of the gauge's mapped files.
        versions: What is installed in the app's interpreter, as its check found.
    """

    number: int
    plan: Plan
    port: int
    app: Process
    gauges: Path
    versions: dict[str, Any] = field(default_factory=dict)


class Stack:
    """The processes of one campaign. Use as a context manager: leaving stops every one of them."""

    def __init__(self, logs: Path, cores: core_division.Cores | None = None, *, namespace: bool = True) -> None:
        self.cores = cores or core_division.divide()
        self.logs = logs
        logs.mkdir(parents=True, exist_ok=True)
        self.run_folder = folders.run_folder()
        try:
            prony_gauge.install.lay_out(str(self.run_folder / "gauge"))
            (self.run_folder / "empty.py").touch()
            self.launcher = Launcher(self.run_folder, namespace=namespace)
        except BaseException:
            shutil.rmtree(self.run_folder, ignore_errors=True)
            raise
        self.postgres: Postgres | None = None
        self.proxy: Process | None = None
        self.start: Start | None = None
        self._starts = 0
        self._proxy_of: tuple[int, float] | None = None
        self._database_port = 0
        self._checked: dict[tuple[str, ...], dict[str, Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops everything, in reverse order, and removes the run's folder."""
        try:
            self.stop_app()
            if self.postgres is not None:
                self.postgres.stop()
        finally:
            self.launcher.close()
            shutil.rmtree(self.run_folder, ignore_errors=True)

    def boot(self, plan: Plan) -> Start:
        """A fresh start: stores as prepared, the app tier booted anew, ready by a real request.

        Raises:
            StackError: something would not come up; its last log lines are in the error.
            PlanError: the app does not import.
            MachineError: the app's interpreter lacks the server.
        """
        self.stop_app(gently=False)
        self._stores(plan)
        found = self._check(plan)
        self._starts += 1
        gauges = self.run_folder / f"gauges-{self._starts}"
        gauges.mkdir()
        port = self.launcher.free_port()
        process = self.launcher.spawn(
            plan.server.title,
            appserver.command(plan, port, str(self.run_folder / "empty.py")),
            env=self._environment(plan) | self._gauge(plan, gauges),
            cwd=Path(plan.app.folder),
            log=self.logs / f"app-{self._starts}.log",
            cores=self.cores.stack,
            stop_signal=signal.SIGKILL,
        )
        self.start = Start(self._starts, plan, port, process, gauges, versions=found)
        self._await_ready(self.start)
        return self.start

    def stop_app(self, *, gently: bool = True) -> None:
        """Ends the app tier, and its workers with it.

        Between starts it is killed: its stores are restored in any case, and a server's own way out takes most of a
        second, which a campaign of sixty starts would pay sixty times.
        """
        if self.start is None:
            return
        start = self.start
        if gently:
            number = signal.SIGTERM if start.plan.server.kind == "waitress" else signal.SIGQUIT
            self.launcher.signal(start.app, number)
            self.launcher.wait(start.app, STOP_S)
        self.launcher.kill_group(start.app)
        self.launcher.wait(start.app, STOP_S)
        self.start = None
        shutil.rmtree(start.gauges, ignore_errors=True)

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

    def database_url(self) -> str:
        """The app's database as it sees it; the empty text where it has none."""
        return "" if self.postgres is None else self.postgres.url(self._database_port)

    # ---- stores

    def _stores(self, plan: Plan) -> None:
        if plan.database is None:
            self._prepare_without_store(plan)
            return
        if self.postgres is None:
            self.postgres = Postgres(self.launcher, self.run_folder, self.logs, self.cores.stack)
            self.postgres.create()
        self.postgres.start(plan.database)
        key = (plan.app.prepare, plan.app.folder)
        if self.postgres.prepared(key) is None:
            name = self.postgres.new_database()
            self._database_port = self.postgres.port
            self._prepare(plan, self.postgres.url(self.postgres.port, name))
            self.postgres.keep(key, name)
        self.postgres.restore(key)
        self._put_proxy(plan)

    def _prepare_without_store(self, plan: Plan) -> None:
        key = ("prepare", *plan.app.prepare)
        if key not in self._checked:
            self._prepare(plan, "")
            self._checked[key] = {}

    def _put_proxy(self, plan: Plan) -> None:
        """The round trip before the database, where one is asked for."""
        if self.postgres is None or plan.database is None:
            return
        wanted = (self.postgres.port, plan.database.round_trip_s)
        if wanted[1] == 0:
            self._database_port = self.postgres.port
            return
        if wanted != self._proxy_of or self.proxy is None or not self.proxy.alive:
            if self.proxy is not None and self.proxy.alive:
                self.launcher.signal(self.proxy, signal.SIGKILL)
            self.proxy, self._database_port = delay.start(self.launcher, self.logs, self.cores.side, *wanted)
            self._proxy_of = wanted

    def _prepare(self, plan: Plan, url: str) -> None:
        """Runs the app's prepare commands, contained like the app."""
        for number, line in enumerate(plan.app.prepare):
            argv = shlex.split(line)
            if argv[0] in {"python", "python3"}:
                argv[0] = plan.app.python
            process = self.launcher.spawn(
                f"prepare: {line}",
                argv,
                env=self._environment(plan, url)
                | {"PATH": f"{Path(plan.app.python).parent}:{os.environ.get('PATH', '')}"},
                cwd=Path(plan.app.folder),
                log=self.logs / f"prepare-{number}.log",
                cores=self.cores.stack,
            )
            if not self.launcher.wait(process, PREPARE_S):
                self.launcher.signal(process, signal.SIGKILL)
                raise StackError(
                    f"[app] prepare: `{line}` was not done after {PREPARE_S:.0f} s.", log=process.last_lines()
                )
            if process.code != 0:
                raise StackError(
                    f"[app] prepare: `{line}` ended with exit code {process.code}.",
                    hint=f"cd {plan.app.folder} && {line}",
                    log=process.last_lines(),
                )

    # ---- the app tier

    def _environment(self, plan: Plan, url: str | None = None) -> dict[str, str]:
        env = {name: os.environ[name] for name in INHERITED if name in os.environ} | plan.app.env
        env["PYTHONPYCACHEPREFIX"] = str(folders.own_folder() / "pycache")  # no file of ours in the user's project
        own_path = plan.app.env.get("PYTHONPATH", "")
        env["PYTHONPATH"] = os.pathsep.join([str(self.run_folder / "gauge"), *filter(None, [own_path])])
        env["PYTHONUNBUFFERED"] = "1"
        env["PRONY_EGRESS"] = "on"
        env["PRONY_EGRESS_HOSTS"] = ",".join(plan.app.egress)
        env["PRONY_GAUGE_DIR"] = str(self._refusals_folder())
        if plan.database is not None:
            env[plan.database.env] = self.database_url() if url is None else url
        return env

    def _refusals_folder(self) -> Path:
        folder = self.run_folder / "refusals"
        folder.mkdir(exist_ok=True)
        return folder

    def _gauge(self, plan: Plan, gauges: Path) -> dict[str, str]:
        return {
            "PRONY_GAUGE_DIR": str(gauges),
            "PRONY_GAUGE_ENTRY": plan.app.entry,
            "PRONY_GAUGE_SLOTS": str(plan.server.slots_per_process),
        }

    def _check(self, plan: Plan) -> dict[str, Any]:
        """Once a campaign and server: the app imports in its interpreter, and its server is installed there."""
        needs = appserver.needs(plan)
        key = (plan.app.entry, plan.app.python, *needs)
        if key not in self._checked:
            printed = self.logs / "check.log"
            printed.write_text("", encoding="utf-8")
            process = self.launcher.spawn(
                "the app's interpreter",
                entry.check_command(plan, needs),
                env=self._environment(plan),
                cwd=Path(plan.app.folder),
                log=printed,
                cores=self.cores.stack,
            )
            if not self.launcher.wait(process, READY_S):
                self.launcher.signal(process, signal.SIGKILL)
                raise StackError(f"{plan.app.entry} was not imported after {READY_S:.0f} s.", log=process.last_lines())
            self._checked[key] = entry.verdict(plan, printed.read_text(encoding="utf-8", errors="replace"), needs)
        return self._checked[key]

    def _await_ready(self, start: Start) -> None:
        """Waits until every worker has booted and a real request is answered, whatever the status."""
        plan = start.plan
        reader = GaugeReader(start.gauges)

        def booted() -> bool:
            if not start.app.alive:
                raise StackError(
                    f"{plan.server.title} ended while starting (exit code {start.app.code}).",
                    log=start.app.last_lines(),
                )
            return bool(plan.server.knobs.get("preload")) or reader.read().processes >= plan.server.processes

        try:
            if not self.launcher.wait_until(booted, READY_S):
                raise StackError(
                    f"{plan.server.title}: not every worker had booted after {READY_S:.0f} s.",
                    log=start.app.last_lines(),
                )
        finally:
            reader.close()
        if not self.launcher.wait_until(lambda: self._answers(start), READY_S):
            raise StackError(
                f"{plan.server.title} gave no answer to {plan.traffic.requests[0].path} in {READY_S:.0f} s.",
                log=start.app.last_lines(),
            )

    def _answers(self, start: Start) -> bool:
        if not start.app.alive:
            raise StackError(f"{start.plan.server.title} ended before it had answered.", log=start.app.last_lines())
        request = start.plan.traffic.requests[0]
        connection = http.client.HTTPConnection("127.0.0.1", start.port, timeout=FIRST_ANSWER_S)
        try:
            connection.sock = self.launcher.connect(start.port, FIRST_ANSWER_S)
            connection.request(request.method, request.path, headers={"Host": f"127.0.0.1:{start.port}"})
            connection.getresponse().read(1)
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True


__all__ = ["APP_DATABASE", "Stack", "Start"]
