"""A Procfile's lines in, their processes running, contained and watched, out: `prony up` without a prony.toml."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import prony_gauge.install
from prony.app import interpreter
from prony.plan import App
from prony.plan.procfile import read_procfile
from prony.probes.gauge import GaugeReader
from prony.stack import cores, folders
from prony.stack.apptier import ended
from prony.stack.environment import command_of, environment, refusals_folder
from prony.stack.launch import Launcher, Process
from prony.stack.tiers import Ground, Watched

FIRST_PORT = 5000  # as honcho and foreman hand them out: 5000, 5100, ...
STEP = 100
_LISTENS = "0A"  # the state of a listening socket in /proc/net/tcp


def procfile_of(folder: Path) -> dict[str, str]:
    """The folder's Procfile, by name; raises PlanError."""
    return read_procfile(folder / "Procfile")


class Processes:
    """The processes of a Procfile. Use as a context manager: leaving stops every one of them.

    Attributes:
        ports: The PORT of each, inside the stack's network.
    """

    def __init__(self, logs: Path, folder: Path, *, namespace: bool = True) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.run_folder = folders.run_folder()
        try:
            prony_gauge.install.lay_out(str(self.run_folder / "gauge"))
            self.launcher = Launcher(self.run_folder, namespace=namespace)
        except BaseException:
            shutil.rmtree(self.run_folder, ignore_errors=True)
            raise
        self.ground = Ground(self.launcher, self.run_folder, logs, cores.divide())
        self.ports: dict[str, int] = {}
        self._running: dict[str, Process] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.launcher.close()
        shutil.rmtree(self.run_folder, ignore_errors=True)

    def start(self, lines: Mapping[str, str]) -> None:
        """Starts each line in the folder, with the folder's own interpreter first on PATH and a PORT of its own."""
        app = App(entry="-", folder=str(self.folder), python=interpreter.find(self.folder).python)
        for number, (name, line) in enumerate(lines.items()):
            self.ports[name] = FIRST_PORT + STEP * number
            self._running[name] = self.launcher.spawn(
                name,
                command_of(line, app.python),
                env=environment(self.ground, app, {"PORT": str(self.ports[name])}) | _dot_env(self.folder),
                cwd=self.folder,
                log=self.ground.logs / f"{name}.log",
                cores=self.ground.cores.stack,
            )

    def listening(self) -> set[int]:
        """The ports that anything of it listens on, inside the stack's network; only there, where it has its own."""
        found: set[int] = set()
        for process in self._running.values():
            if process.alive:
                for name in ("tcp", "tcp6"):
                    found |= _listening(Path("/proc", str(process.pid), "net", name))
                break
        return found

    def watched(self) -> list[Watched]:
        """Each line's process."""
        return [Watched(name, (process,)) for name, process in self._running.items()]

    def dead(self) -> Iterator[tuple[str, Process, str]]:
        """(name, process, how it ended) of those that have."""
        self.launcher.poll()
        for name, process in self._running.items():
            if not process.alive:
                yield name, process, ended(process)

    def alive(self) -> bool:
        """Whether all still run: as under honcho, one that ends takes the others with it."""
        self.launcher.poll()
        return all(process.alive for process in self._running.values())

    def refused(self) -> dict[str, int]:
        """How often anything tried to leave, by host and code line."""
        reader = GaugeReader(refusals_folder(self.ground))
        try:
            return reader.read().refused
        finally:
            reader.close()


def _dot_env(folder: Path) -> dict[str, str]:
    """The folder's .env, as honcho reads it: NAME=VALUE lines."""
    try:
        text = (folder / ".env").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and name.strip().isidentifier():
            found[name.strip()] = value.strip().strip("'\"")
    return found


def _listening(table: Path) -> set[int]:
    try:
        lines = table.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return set()
    fields = (line.split() for line in lines)
    return {int(each[1].rpartition(":")[2], 16) for each in fields if each[3] == _LISTENS}
