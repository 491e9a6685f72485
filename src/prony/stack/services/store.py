"""What every store can do, and where one lives: its folder, log, cores and user."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from prony import plan
from prony.errors import StackError
from prony.stack import binaries
from prony.stack.launch import Launcher, Process

READY_S = 30.0
END_S = 10.0
ROWS_MAX = 10_000
ROWS_MS = 10_000

Key = tuple[object, ...]


class Store(Protocol):
    """One store behind the app.

    The order is: start; then, once for each prepared state, empty, the app's prepare commands, keep; and before each
    start of the app, restore. What was prepared outlives a restart with other settings. Between `keep` and the first
    `restore` the store may hold nothing. Ports stay as they are over restarts, where nobody took them.

    Attributes:
        kind: As in the plan.
        name: The table's name: "database", "cache".
        version: The program's own; empty before the first start.
        port: Where it listens on the stack's loopback; 0 for one without a server.
        process: The program's first process; None while stopped, and for one without a server.
        log: Its log file.
    """

    kind: str
    name: str
    version: str
    port: int
    process: Process | None
    log: Path

    def start(self, settings: plan.Store, port: int = 0) -> None:
        """Brings it up, ready to serve; restarts it where these settings differ from those it runs with.

        Args:
            settings: The plan's; under `at` the user, password and database that there must be.
            port: Where it must listen on the stack's loopback; 0: where it likes.

        Raises:
            StackError: it did not come up; its last log lines are in the error.
            MachineError: the program is missing; how to get it is in the error.
        """

    def url(self, port: int) -> str:
        """What the app gets in its environment, when it reaches the store at `port`."""

    def empty(self) -> None:
        """Makes it as it was when it was new."""

    def keep(self, key: Key) -> None:
        """Notes that what is in it now is the prepared state `key`."""

    def prepared(self, key: Key) -> bool:
        """Whether that state was kept."""

    def restore(self, key: Key) -> None:
        """Makes it hold what it held at `keep(key)`."""

    def stop(self) -> None:
        """Ends it; does nothing where it does not run."""


def own_knobs(settings: plan.Store) -> dict[str, Any]:
    """The knobs that are the store's own: a round trip is put before it by others, and is no reason to restart it."""
    return {key: value for key, value in settings.knobs.items() if key != "round_trip"}


class Home:
    """Where one program of the stack lives.

    Attributes:
        folder: Its files; closed to everybody but the user it runs as.
        log: What it prints.
        title: What errors call it: its table in the plan and its program.
    """

    def __init__(self, launcher: Launcher, folder: Path, log: Path, cores: tuple[int, ...], title: str) -> None:
        self.launcher = launcher
        self.folder = folder
        self.log = log
        self.title = title
        self._cores = cores
        self._uid = binaries.unprivileged_uid()
        folder.mkdir(mode=0o700, exist_ok=True)
        self.give(folder)

    def give(self, path: Path) -> None:
        """Makes a path the property of the user that the program runs as."""
        if self._uid is not None:
            os.chown(path, self._uid, self._uid)

    def write(self, name: str, text: str) -> Path:
        """A file that only the program may read."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        self.give(path)
        return path

    def copy(self, source: Path, target: Path) -> None:
        """Copies a file or a whole folder within the program's property; what was at the target goes."""
        self.remove(target)
        if source.is_file():
            shutil.copyfile(source, target)
            target.chmod(0o600)
            self.give(target)
            return
        shutil.copytree(source, target, symlinks=True)
        for folder, _, files in os.walk(target):
            self.give(Path(folder))
            for file in files:
                self.give(Path(folder, file))

    def remove(self, path: Path) -> None:
        """Removes a file or a folder, if it is there."""
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def spawn(
        self, argv: list[str], *, env: dict[str, str] | None = None, stop_signal: int = signal.SIGKILL
    ) -> Process:
        """Starts a program as the user it runs as, with as many open files as this user may have."""
        return self.launcher.spawn(
            self.title,
            argv,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"} | (env or {}),
            cwd=self.folder,
            log=self.log,
            cores=self._cores,
            uid=self._uid,
            stop_signal=stop_signal,
            descriptors=True,
        )

    @staticmethod
    def moved(port: int, fixed: int, wanted: int) -> tuple[int, int]:
        """(the port it had, the one it must have) once it must have `wanted` (0: any) in place of `fixed`."""
        return (port if wanted == fixed else 0), wanted

    def port(self, before: int, fixed: int = 0) -> int:
        """The port it must have, or else the one it had before, where that still is free; else a free one."""
        if fixed:
            return fixed
        if before:
            with self.launcher.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", before))
                except OSError:
                    pass
                else:
                    return before
        return self.launcher.free_port()

    def await_up(self, process: Process, up: Callable[[], bool]) -> None:
        """Waits until `up()`; what does not come up is ended.

        Raises:
            StackError: it ended, or was not up in time.
        """

        def decided() -> bool:
            return not process.alive or up()

        if self.launcher.wait_until(decided, READY_S) and process.alive:
            return
        what = f"did not come up within {READY_S:.0f} s"
        if not process.alive:
            what = f"ended while starting (exit code {process.code})"
        self.end(process, signal.SIGKILL)
        raise StackError(f"{self.title} {what}.", log=process.last_lines())

    def end(self, process: Process | None, number: int = signal.SIGKILL) -> None:
        """Ends a process and all that it forked: by this signal, and by SIGKILL where that is not obeyed."""
        if process is None:
            return
        if process.alive and number != signal.SIGKILL:
            self.launcher.signal(process, number)
            self.launcher.wait(process, END_S)
        self.launcher.kill_group(process)
        self.launcher.wait(process, END_S)
