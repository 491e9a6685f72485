"""Cgroups by name in, those of runs that are over found, and what is in them killed and removed, out."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from prony.stack import folders

ROOT = Path("/sys/fs/cgroup")
PROC = Path("/proc")
END_S = 2.0
# Hierarchies in which a group limits nothing, so that merely to be in one changes no measurement: folder, and how
# /proc/PID/cgroup names it. Version 2 alone, or beside version 1; then those of version 1 that divide nothing.
_COUNTING = (
    ("", ""),
    ("unified", ""),
    ("pids", "pids"),
    ("freezer", "freezer"),
    ("systemd", "name=systemd"),
)


def own(proc: Path = PROC) -> dict[str, str]:
    """The cgroup this process is in, by controller; "" is version 2."""
    found: dict[str, str] = {}
    for line in (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines():
        _, names, path = line.split(":", 2)
        found |= dict.fromkeys(names.split(","), path)
    return found


def below(mount: Path, path: str) -> Path:
    """A cgroup's folder; in a container, which may see no more of the path, that is what is mounted itself."""
    home = mount / path.lstrip("/")
    return home if home.is_dir() and not path.startswith("/..") else mount


def counting(root: Path = ROOT, proc: Path = PROC) -> Iterator[Path]:
    """This process's own cgroups below which a group may be made that limits nothing; the best first."""
    mine = own(proc)
    for place, name in _COUNTING:
        mount = root / place
        if name in mine and (mount / "cgroup.procs").is_file():
            home = below(mount, mine[name])
            if os.access(home, os.W_OK):
                yield home


def stale(uid: int, root: Path = ROOT) -> list[Path]:
    """The cgroups prony-UID-… of a user's runs that nobody holds any more, in each hierarchy."""
    found = []
    for folder, names, _ in os.walk(root):
        for name in list(names):
            if name.startswith(f"prony-{uid}-"):
                names.remove(name)
                path = Path(folder, name)
                if folders.over(path) and not path.is_symlink():
                    found.append(path)
    return sorted(found)


def clean(paths: list[Path]) -> list[Path]:
    """Kills what is in cgroups that `stale` found and removes them; returns those that would not go."""
    kill(paths)
    return remove(paths)


def write(file: Path, value: object) -> None:
    """One write and no file made: the kernel takes each write as a whole, and says no at once (OSError)."""
    descriptor = os.open(file, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(descriptor, str(value).encode())
    finally:
        os.close(descriptor)


def pids(tops: Iterable[Path], *, nested: bool = True) -> set[int]:
    """The processes in cgroups and, where nested, below them."""
    found: set[int] = set()
    for top in tops:
        for folder in [top, *(path for path in _within(top) if nested)]:
            with contextlib.suppress(OSError):
                found |= {int(pid) for pid in (folder / "cgroup.procs").read_text(encoding="ascii").split()}
    return found - {0}


def kill(tops: list[Path]) -> bool:
    """Kills all that is in cgroups and below them but this process; False when some is left after two seconds."""
    deadline = time.monotonic() + END_S
    while left := pids(tops) - {os.getpid()}:
        if time.monotonic() > deadline:
            return False
        for top in tops:
            for each in [*_within(top), top]:
                if os.getpid() not in pids([each]):
                    with contextlib.suppress(OSError):
                        write(each / "cgroup.kill", 1)  # version 2, Linux 5.14 and later: nothing forks out of it
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    return True


def remove(tops: list[Path]) -> list[Path]:
    """Removes cgroups once they are empty; returns those that would not go within two seconds."""
    deadline = time.monotonic() + END_S
    left = list(tops)
    while True:
        for top in left:
            for folder in [*_within(top), top]:
                with contextlib.suppress(OSError):  # a process in it has not quite ended
                    folder.rmdir()
        left = [top for top in left if top.exists()]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.01)


def _within(top: Path) -> list[Path]:
    """All cgroups below one, the deepest first."""
    return [Path(folder) for folder, _, _ in os.walk(top, topdown=False) if folder != str(top)]
