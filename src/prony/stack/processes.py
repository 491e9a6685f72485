"""A Procfile's lines in, their processes running, contained and watched, out: `prony up` without a prony.toml."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Self

import prony_gauge.install
from prony.errors import MachineError, PlanError, StackError
from prony.plan import App
from prony.plan.procfile import read_env, read_procfile
from prony.probes.gauge import GaugeReader
from prony.stack import cores, folders
from prony.stack.apptier import PREPARE_S, STOP_S, ended
from prony.stack.environment import command_of, environment, refusals_folder
from prony.stack.guard import descendants
from prony.stack.launch import Launcher, Process
from prony.stack.services import nginx
from prony.stack.tiers import Ground, Watched

FIRST_PORT = 5000  # as honcho and foreman hand them out: 5000, 5100, ...
STEP = 100
PORT_MAX = 65_535
RELEASE = "release"  # what Heroku runs once before the others
_LISTENS = "0A"  # the state of a listening socket in /proc/net/tcp
# Addresses there that a connection to 127.0.0.1 reaches: 127.0.0.1, 0.0.0.0, ::, ::ffff:127.0.0.1.
_REACHED = {"0100007F", "00000000", "0" * 32, "0000000000000000FFFF00000100007F"}


def procfile_of(folder: Path) -> dict[str, str]:
    """The folder's Procfile, by name.

    Raises:
        PlanError: it cannot be read, a line of it is none of a Procfile, or it has none.
    """
    lines = read_procfile(folder / "Procfile")
    if not lines:
        raise PlanError(
            f'{folder / "Procfile"}: found no line in it; allowed: lines such as "web: gunicorn shop.wsgi".',
            hint=f"edit {folder / 'Procfile'}",
        )
    return lines


class Processes:
    """The processes of a Procfile. Use as a context manager: leaving stops every one of them.

    Args:
        folder: Where the lines are run, and whose .env they get.
        python: Their interpreter; its folder comes first on their PATH.
        namespace: Whether to try for a network of their own.
        say: Hears of long work.
    """

    def __init__(
        self, folder: Path, python: str, *, namespace: bool = True, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self.folder = folder
        self.say = say
        self._env = read_env(folder / ".env")
        self._app = App(entry="-", folder=str(folder), python=python, env=self._env)
        self._running: dict[str, Process] = {}
        self._seen: set[str] = set()
        self.run_folder = folders.run_folder()
        self.launcher = Launcher(self.run_folder, namespace=namespace)
        try:
            prony_gauge.install.lay_out(str(self.run_folder / "gauge"))
            logs = self.run_folder / "logs"
            logs.mkdir()
            self.ground = Ground(self.launcher, self.run_folder, logs, cores.divide())
            self._path = self._with_nginx()
        except BaseException:
            self.launcher.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with contextlib.suppress(StackError):  # the guard is gone, and all with it
                for process in self._running.values():
                    self.launcher.signal(process, signal.SIGTERM)
                self.launcher.wait_until(lambda: not any(each.alive for each in self._running.values()), STOP_S)
        finally:
            self.launcher.close()
            shutil.rmtree(self.run_folder, ignore_errors=True)

    def start(self, lines: Mapping[str, str], first_port: int | None = None) -> None:
        """Starts each line with a PORT of its own: from `first_port`, or .env's PORT, or 5000, in hundreds.

        A line named release is run first, to its end, and the others when it has ended well, as on Heroku.

        Raises:
            PlanError: the ports are none.
            MachineError: a program is not there.
            StackError: the release line failed, or did not end.
        """
        rest = {name: line for name, line in lines.items() if name != RELEASE or len(lines) == 1}
        ports = {name: self._port(first_port, number) for number, name in enumerate(rest)}
        if len(rest) < len(lines):
            self._release(lines[RELEASE], ports)
        for name, line in rest.items():
            self._running[name] = self._spawn(name, line, ports[name])

    def new_ports(self) -> dict[int, str]:
        """Ports that a line has begun to listen on since the last call, and the line's name, empty where unknown.

        In the stack's own network anything that listens is a line's; where it has none, only what is seen to be.
        """
        process = next((each for each in self._running.values() if each.alive), None)
        if process is None:
            return {}
        listening = {inode: port for name in ("tcp", "tcp6") for inode, port in _listening(process.pid, name)}
        fresh = {inode: port for inode, port in listening.items() if inode not in self._seen}
        self._seen = set(listening)
        if not fresh:
            return {}
        found: dict[int, str] = {}
        for name, each in self._running.items():
            for inode in _sockets([each.pid, *descendants(each.pid)]) & fresh.keys():
                found.setdefault(fresh[inode], name)
        if self.launcher.namespace:
            for port in fresh.values():
                found.setdefault(port, "")
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

    def _spawn(self, name: str, line: str, port: int) -> Process:
        env = environment(self.ground, self._app, {"PORT": str(port)})
        return self.launcher.spawn(
            name,
            command_of(line, self._app.python),
            env=env | {"PATH": os.pathsep.join([env["PATH"], *self._path])},
            cwd=self.folder,
            log=self.ground.logs / f"{name}.log",
            cores=self.ground.cores.stack,
            stop_signal=signal.SIGTERM,
        )

    def _release(self, line: str, ports: Mapping[str, int]) -> None:
        self.say(f"{RELEASE}: {line}")
        process = self._spawn(RELEASE, line, next(iter(ports.values())))
        try:
            done = self.launcher.wait(process, PREPARE_S)
        finally:
            self.launcher.kill_group(process)
        if not done or process.code != 0:
            how = f"ended ({ended(process)})" if done else f"was not done after {PREPARE_S:.0f} s"
            raise StackError(f"The Procfile's {RELEASE} line {how}: {line}", log=process.last_lines())

    def _port(self, first: int | None, number: int) -> int:
        text = str(first or self._env.get("PORT") or FIRST_PORT)
        port = int(text) + STEP * number if text.isdecimal() else 0
        if not 0 < port <= PORT_MAX:
            source = "--port" if first else f"{self.folder / '.env'}: PORT"
            raise PlanError(
                f"{source}: found {text}, which makes the PORT of line {number + 1} no port; allowed: a number whose "
                f"hundreds for every line stay within 1 to {PORT_MAX}.",
                hint=f"--port {FIRST_PORT}",
            )
        return port

    def _with_nginx(self) -> list[str]:
        """A folder for the end of PATH with nginx in it, where there is one but not on PATH; else nothing."""
        if shutil.which("nginx", path=environment(self.ground, self._app, {})["PATH"]):
            return []
        try:
            binary, _ = nginx.locate()
        except MachineError:
            return []
        folder = self.run_folder / "bin"
        folder.mkdir()
        (folder / "nginx").symlink_to(binary)
        return [str(folder)]


def _listening(pid: int, name: str) -> Iterator[tuple[str, int]]:
    """(inode, port) of each listening socket of the network that a process is in, if 127.0.0.1 reaches it."""
    try:
        lines = Path("/proc", str(pid), "net", name).read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        address, _, port = fields[1].rpartition(":")
        if fields[3] == _LISTENS and address in _REACHED:
            yield fields[9], int(port, 16)


def _sockets(pids: list[int]) -> set[str]:
    """The inodes of the sockets that some processes have open."""
    found = set()
    for pid in pids:
        try:
            descriptors = list(os.scandir(f"/proc/{pid}/fd"))
        except OSError:
            continue
        for each in descriptors:
            with contextlib.suppress(OSError):
                kind, _, inode = str(Path(each.path).readlink()).partition(":[")
                if kind == "socket":
                    found.add(inode.rstrip("]"))
    return found
