"""What runs that are over have left in, a list of it out: processes, folders, cgroups; and their removal."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from prony.stack import cgroups, folders

TAG = "PRONY_RUN"
GONE_S = 3.0


@dataclass(frozen=True, slots=True)
class Stray:
    """One thing that outlived its run.

    Attributes:
        kind: "process", "folder" or "cgroup".
        what: Its pid and command, or its path.
        process: The process; None for others.
        path: The folder's or cgroup's; None for processes.
    """

    kind: str
    what: str
    process: psutil.Process | None = None
    path: Path | None = None


def find(run: Path | None = None) -> list[Stray]:
    """All that is left of this user's runs that nobody holds any more, or of one run alone.

    A run in the making is not mistaken for one that is over, nor another user's for this one's.

    Args:
        run: That run's folder; None for every run below this user's folder.
    """
    own = folders.own_folder()
    with folders.turn():
        ended: dict[Path, bool] = {}

        def is_over(folder: Path) -> bool:
            if run is not None:
                return folder == run
            if folder.parent != own or not folder.name.startswith("run-"):
                return False
            if folder not in ended:
                ended[folder] = folders.over(folder)
            return ended[folder]

        found = []
        for process, folder in _tagged():
            # A process may have another /var/tmp, as systemd gives services: its run may live where this one sees none.
            its = Path(f"/proc/{process.pid}/root{folder}")
            if is_over(folder) and process.pid != os.getpid() and (run is not None or folders.over(its)):
                with contextlib.suppress(psutil.Error):
                    command = " ".join(" ".join(process.cmdline()).split())[:80] or process.name()
                    found.append(Stray("process", f"{process.pid} {command} ({folder.name})", process=process))
        left = [run] if run is not None and run.exists() else sorted(own.glob("run-*")) if run is None else []
        found += [Stray("folder", str(path), path=path) for path in left if is_over(path)]
        for path in cgroups.stale(os.getuid()):
            if run is None or path.name.endswith(f"-{run.name.removeprefix('run-')}"):
                count = len(cgroups.pids([path]))
                found.append(Stray("cgroup", f"{path}, processes in it: {count}", path=path))
        return found


def clean(strays: list[Stray]) -> list[Stray]:
    """Removes them; what could not be removed."""
    deadline = time.monotonic() + GONE_S
    for stray in strays:
        if stray.process is not None:
            with contextlib.suppress(psutil.Error):
                stray.process.kill()  # no other that got its pid since
    cgroups.clean([each.path for each in strays if each.kind == "cgroup" and each.path is not None])
    while any(_there(each) for each in strays if each.process) and time.monotonic() < deadline:
        time.sleep(0.02)
    for stray in strays:
        if stray.kind == "folder" and stray.path is not None:
            if stray.path.is_dir() and not stray.path.is_symlink():
                shutil.rmtree(stray.path, ignore_errors=True)
            else:
                stray.path.unlink(missing_ok=True)
    return [each for each in strays if _there(each)]


def sweep() -> None:
    """Removes what runs that are over have left, where a folder or a cgroup says that there were any."""
    with folders.turn():
        of_folders = any(folders.over(path) for path in folders.own_folder().glob("run-*"))
        any_left = of_folders or bool(cgroups.stale(os.getuid()))
    if any_left:
        clean(find())


def _there(stray: Stray) -> bool:
    if stray.process is None:
        return stray.path is not None and os.path.lexists(stray.path)
    try:
        return stray.process.is_running() and stray.process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _tagged() -> Iterator[tuple[psutil.Process, Path]]:
    """Every process that this user may look at and that bears the tag of a run, with that run's folder.

    Programs that give themselves another title write over their environment: these, and no shell that somebody has gone
    there with, are told by the folder they are in.
    """
    for process in psutil.process_iter():
        place = Path("/proc", str(process.pid))
        with contextlib.suppress(OSError):
            entries = (place / "environ").read_bytes().split(b"\0")
            environ = dict(entry.split(b"=", 1) for entry in entries if b"=" in entry)
            if environ.get(TAG.encode()):
                yield process, Path(os.fsdecode(environ[TAG.encode()]))
            elif b"PATH" not in environ:
                here = Path(str((place / "cwd").readlink()).removesuffix(" (deleted)"))
                yield from ((process, each) for each in (here, *here.parents) if each.name.startswith("run-"))
