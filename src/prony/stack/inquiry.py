"""A question to an app's interpreter in, what it printed out: contained like the app, on a copy of its folder."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import prony_gauge.install
from prony.errors import StackError
from prony.plan import App
from prony.stack import cores, folders
from prony.stack.environment import environment
from prony.stack.launch import Launcher
from prony.stack.tiers import Ground

COPY_BYTES_MAX = 512 * 1024 * 1024
FILE_BYTES_MAX = 32 * 1024 * 1024
FILES_MAX = 50_000
LEFT_OUT = {
    ".git", ".hg", ".svn", "node_modules", "__pycache__", ".tox", ".nox", ".mypy_cache", ".ruff_cache",
    ".pytest_cache", ".prony", ".idea", ".vscode",
}  # fmt: skip
PRINTED_MAX = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program said.

    Attributes:
        code: Its exit code, negative for a signal; None where it did not end in time and was killed.
        printed: Its standard output.
        errors: Its standard error.
    """

    code: int | None
    printed: str
    errors: str


class Inquiry:
    """Runs commands of a project, one at a time, where they can reach and change nothing of it.

    Use as a context manager: leaving removes the copy, and ends whatever a command has left behind.

    Args:
        folder: The project's folder. Commands run in a copy of it, so that what the app writes beside itself is
            written there: its virtual environment, repository and the like are not copied.
        python: Its interpreter, whose folder comes first on PATH.
        namespace: Whether to try for a network with loopback alone.
    """

    def __init__(self, folder: Path, python: str, *, namespace: bool = True) -> None:
        self.run_folder = folders.run_folder()
        self.python = python
        self.launcher = Launcher(self.run_folder, namespace=namespace)
        try:
            prony_gauge.install.lay_out(str(self.run_folder / "gauge"))
            logs = self.run_folder / "logs"
            logs.mkdir()
            self.ground = Ground(self.launcher, self.run_folder, logs, cores.divide())
            self.folder = self.run_folder / "copy" / (folder.absolute().name or "project")
            _copy(folder.absolute(), self.folder)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends it."""
        try:
            self.launcher.close()
        finally:
            shutil.rmtree(self.run_folder, ignore_errors=True)
            # installed packages' byte code is kept for the next; that of a copy would never be asked for again
            cached = folders.own_folder() / "pycache" / self.run_folder.relative_to("/")
            shutil.rmtree(cached, ignore_errors=True)

    def ask(self, argv: list[str], env: Mapping[str, str], timeout_s: float, within: str = ".") -> Answer:
        """What a command says, run in the copy's folder `within` with these variables besides the usual few.

        Raises:
            MachineError: the program is not there.
            StackError: it cannot be started.
        """
        app = App(entry="-", folder=str(self.folder), python=self.python, env=dict(env))
        printed, errors = self.ground.logs / "printed", self.ground.logs / "errors"
        for path in (printed, errors):
            path.write_text("", encoding="utf-8")
        process = self.launcher.spawn(
            argv[0],
            argv,
            env=environment(self.ground, app, {}),
            cwd=self.folder / within,
            log=errors,
            stdout=printed,
            cores=self.ground.cores.stack,
        )
        try:
            done = self.launcher.wait(process, timeout_s)
            if not done:
                self.launcher.signal(process, signal.SIGKILL)
        finally:
            self.launcher.kill_group(process)
        return Answer(process.code if done else None, _read(printed), _read(errors))


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(PRINTED_MAX).decode("utf-8", "replace")
    except OSError as error:
        raise StackError(f"{path} cannot be read: {error.strerror}.") from error


def _copy(source: Path, target: Path) -> None:
    """Copies what an import may need: not repositories, environments and caches, no devices, nothing enormous."""
    left = COPY_BYTES_MAX
    count = 0
    for here, names, files in os.walk(source):
        place = target / Path(here).relative_to(source)
        place.mkdir(parents=True, exist_ok=True)
        kept = []
        for name in names:
            path = Path(here, name)
            if path.is_symlink():
                _link(path, place / name, source)
            elif name not in LEFT_OUT and not (path / "pyvenv.cfg").exists():
                kept.append(name)
        names[:] = kept
        for name in files:
            path = Path(here, name)
            if path.is_symlink():
                _link(path, place / name, source)
                continue
            try:
                size = path.stat().st_size
                if path.is_file() and size <= min(left, FILE_BYTES_MAX) and count < FILES_MAX:
                    shutil.copyfile(path, place / name)
                    shutil.copymode(path, place / name)
                    left -= size
                    count += 1
            except OSError:
                continue  # what cannot be read cannot be imported either, and is told there


def _link(path: Path, copy: Path, source: Path) -> None:
    """A link that leads within the project goes on doing so; one that leads out of it is left out."""
    try:
        leads = path.readlink()
        inside = path.resolve().is_relative_to(source.resolve())
        if not leads.is_absolute() and inside:
            copy.symlink_to(leads)
    except (OSError, RuntimeError):
        return
