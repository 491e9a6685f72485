"""Limits on CPU and memory in, cgroups that hold to them out; where none can be made, affinity and rlimits.

Used inside the guard, which has one thread: `enter` runs in each child between fork and exec. Version 1 of cgroups has
been run for real; version 2 and systemd's delegated scopes have been tried against a tree of plain files only.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import resource
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CGROUP_V1 = "cgroup v1"
CGROUP_V2 = "cgroup v2"
FALLBACK = "affinity and rlimit"
ROOT = Path("/sys/fs/cgroup")
PROC = Path("/proc")
END_S = 2.0
SYSTEMD_S = 3.0

_LEAST_QUOTA_US = 1000  # the kernel takes no quota below a millisecond
_PERIOD_US_MAX = 1_000_000
_WANTED = ("cpu", "memory")
_BEGINS_WITH_PID = re.compile(r"^[0-9]+(-|$)")
_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")


@dataclass(slots=True)
class _Box:
    """One box as made: its cgroups by controller ("cgroup" for version 2), and its limits."""

    cpus: float | None
    memory_bytes: int | None
    period_s: float
    first_core: int
    paths: dict[str, Path] = field(default_factory=dict)
    why: str = ""


class Boxes:
    """The boxes of one run, each a cgroup prony-UID-RUN/box-NAME below the one this process is in.

    Args:
        run_id: The run's folder: "run-PID-…" or "PID-…" of prony. By that process id the leavings of a dead run are
            known; where the name bears none, this process's own is put before it.
        root: Where cgroups are mounted.
        proc: Where processes are listed.
    """

    def __init__(self, run_id: str, root: Path = ROOT, proc: Path = PROC) -> None:
        run_id = run_id.removeprefix("run-")
        run_id = run_id if _BEGINS_WITH_PID.match(run_id) else f"{os.getpid()}-{run_id}"
        self._run = f"prony-{os.getuid()}-{run_id}"
        self._boxes: dict[str, _Box] = {}
        self._homes: dict[str, Path] = {}
        self._made: list[Path] = []
        self._moved_from: Path | None = None
        self.how, self.why = FALLBACK, ""
        try:
            if (root / "cgroup.controllers").is_file():
                self._homes, self._moved_from = _homes_v2(root, proc)
                self.how = CGROUP_V2
            else:
                self._homes = _homes_v1(root, proc)
                self.how = CGROUP_V1
        except OSError as error:
            self.why = _reason(error)

    def make(self, name: str, cpus: float | None, memory_bytes: int | None, period_s: float = 0.1) -> dict[str, Any]:
        """Makes a box, or gives the one of that name other limits.

        Args:
            name: The box's name: letters, digits, and _ . - after the first.
            cpus: Most CPU, in cores; None for no limit.
            memory_bytes: Most memory, swap included, for all that runs in it; None for no limit.
            period_s: The scheduler's period, in which the share of CPU is handed out: 1 ms to 1 s.

        Returns:
            {"how": by what it is held, "why": why by no cgroup, "paths": {controller: folder}}.

        Raises:
            OSError: the kernel refuses a box that is there other limits.
        """
        if not _NAME.match(name):
            raise ValueError(f"a box is named with letters, digits, _ . and -, not {name!r}")
        if name in self._boxes:
            box = self._boxes[name]
            box.period_s = period_s
            self.change(name, cpus, memory_bytes)
        else:
            taken = sum(math.ceil(other.cpus or 1) for other in self._boxes.values())
            box = self._boxes[name] = _Box(cpus, memory_bytes, period_s, taken, why=self.why)
            try:
                box.paths = {kind: self._folder(home, name) for kind, home in self._homes.items()}
                self._limit(box)
            except OSError as error:
                box.paths, box.why = {}, _reason(error)
        how = self.how if box.paths else FALLBACK
        return {"how": how, "why": box.why, "paths": {kind: str(path) for kind, path in box.paths.items()}}

    def change(self, name: str, cpus: float | None, memory_bytes: int | None) -> bool:
        """Other limits for a box; True when what runs in it is bound by them already, False when only what starts.

        Raises:
            OSError: the kernel refuses, as with a memory limit below what is in use.
        """
        box = self._boxes[name]
        box.cpus, box.memory_bytes = cpus, memory_bytes
        self._limit(box)
        return bool(box.paths)

    def enter(self, name: str, cores: tuple[int, ...] = ()) -> None:
        """Puts this process into a box: in the child after fork, BEFORE its uid changes; raises OSError.

        Args:
            name: A box that was made.
            cores: The cores it may run on; where no cgroup holds it, as many of them as it has CPUs, rounded up.
        """
        box = self._boxes[name]
        for path in box.paths.values():
            _write(path / "cgroup.procs", "0")
        if box.paths:
            return
        if box.cpus is not None and hasattr(os, "sched_setaffinity"):
            allowed = sorted(cores or os.sched_getaffinity(0))
            count = min(len(allowed), math.ceil(box.cpus))
            os.sched_setaffinity(0, {allowed[(box.first_core + n) % len(allowed)] for n in range(count)})
        if box.memory_bytes is not None:
            hard = resource.getrlimit(resource.RLIMIT_AS)[1]
            most = box.memory_bytes if hard == resource.RLIM_INFINITY else min(hard, box.memory_bytes)
            resource.setrlimit(resource.RLIMIT_AS, (most, most))

    def pids(self, name: str) -> list[int]:
        """The processes in a box; none are known of a box that no cgroup holds."""
        return sorted(_pids(self._boxes[name].paths.values()))

    def kill_all(self) -> bool:
        """Kills whatever is in any box; True when all of it is gone within two seconds."""
        return _kill(self._made)

    def remove(self) -> list[Path]:
        """Removes every cgroup of this run, once they are empty; returns those that would not go."""
        if self._moved_from is not None:
            own = self._moved_from
            for folder in (*self._made, own):
                with contextlib.suppress(OSError):
                    _write(folder / "cgroup.subtree_control", "-cpu -memory")
            with contextlib.suppress(OSError):
                _write(own / "cgroup.procs", "0")
        left = _remove(self._made)
        self._boxes.clear()
        self._made.clear()
        return left

    def _folder(self, home: Path, name: str) -> Path:
        """One box's cgroup below the run's, both made where missing."""
        run = home / self._run
        if run not in self._made:
            run.mkdir(exist_ok=True)
            self._made.append(run)
            if self.how == CGROUP_V2:
                self._hand_down(home, run)
        folder = run / f"box-{name}"  # with box- before it no name is one of the kernel's own files
        folder.mkdir(exist_ok=True)
        return folder

    def _hand_down(self, home: Path, run: Path) -> None:
        """Version 2: controllers reach a box only through ancestors that have no process of their own."""
        if home == self._moved_from:
            (run / "guard").mkdir(exist_ok=True)
            _write(run / "guard" / "cgroup.procs", "0")
        for folder in (home, run):
            if not _has(folder / "cgroup.subtree_control"):
                _write(folder / "cgroup.subtree_control", "+cpu +memory")

    def _limit(self, box: _Box) -> None:
        if not box.paths:
            return
        quota, period = _quota(box.cpus, box.period_s)
        memory = box.memory_bytes
        if self.how == CGROUP_V2:
            path = box.paths["cgroup"]
            _write(path / "cpu.max", f"{'max' if quota is None else quota} {period}")
            _write(path / "memory.max", "max" if memory is None else memory)
            with contextlib.suppress(FileNotFoundError, PermissionError):  # a kernel without swap has no such file
                _write(path / "memory.swap.max", "max" if memory is None else 0)
            _write(path / "memory.oom.group", 0)
            return
        cpu, held = box.paths["cpu"], box.paths["memory"]
        _write(cpu / "cpu.cfs_quota_us", -1)  # so that no order of the two is ever out of range
        _write(cpu / "cpu.cfs_period_us", period)
        _write(cpu / "cpu.cfs_quota_us", -1 if quota is None else quota)
        swap = held / "memory.memsw.limit_in_bytes"
        if swap.exists():
            _write(swap, -1)
        _write(held / "memory.limit_in_bytes", -1 if memory is None else memory)
        if swap.exists():
            _write(swap, -1 if memory is None else memory)


def scope_prefix(root: Path = ROOT) -> list[str]:
    """What to put before the guard's command so that systemd hands this user a cgroup of its own; empty where not.

    Not root, cgroup v2, systemd's user instance running and the cpu and memory controllers delegated to it. It has not
    been run under a systemd yet: its tests stand in for one.
    """
    uid = os.getuid()
    service = root / "user.slice" / f"user-{uid}.slice" / f"user@{uid}.service"
    run, ask = shutil.which("systemd-run"), shutil.which("systemctl")
    if uid == 0 or run is None or ask is None or not _has(service / "cgroup.controllers"):
        return []
    try:
        asked = subprocess.run(
            [ask, "--user", "is-system-running"], capture_output=True, text=True, timeout=SYSTEMD_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    if asked.stdout.strip() not in {"running", "degraded"}:
        return []
    return [run, "--user", "--scope", "--quiet", "--collect", "-p", "Delegate=yes", "--"]


def stale(uid: int, root: Path = ROOT, proc: Path = PROC) -> list[Path]:
    """The cgroups of a user's runs whose prony is dead, as the `prony-UID-PID-…` of each hierarchy."""
    ours = re.compile(rf"^prony-{uid}-([0-9]+)(?:-|$)")
    found = []
    for folder, below, _ in os.walk(root):
        for name in list(below):
            match = ours.match(name)
            if match:
                below.remove(name)
                path = Path(folder, name)
                if not (proc / match[1]).exists() and not path.is_symlink():
                    found.append(path)
    return sorted(found)


def clean(paths: list[Path]) -> list[Path]:
    """Kills what is in cgroups that `stale` found and removes them; returns those that would not go."""
    _kill(paths)
    return _remove(paths)


def _homes_v1(root: Path, proc: Path) -> dict[str, Path]:
    """The cgroup this process is in, by controller; in a container that is what is mounted itself."""
    own: dict[str, str] = {}
    for line in (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines():
        _, names, path = line.split(":", 2)
        own |= dict.fromkeys(names.split(","), path)
    homes: dict[str, Path] = {}
    for kind in (*_WANTED, "cpuacct"):
        mount = root / kind
        if kind not in own or not mount.is_dir():
            if kind in _WANTED:
                raise OSError(f"the {kind} controller is not mounted")
            continue
        home = mount / own[kind].lstrip("/")
        home = home if home.is_dir() else mount
        if not os.access(home, os.W_OK):
            raise PermissionError(f"{home} is not writable by this user")
        if kind != "cpuacct" or not home.samefile(homes["cpu"]):  # mounted together as a rule
            homes[kind] = home
    return homes


def _homes_v2(root: Path, proc: Path) -> tuple[dict[str, Path], Path | None]:
    """The cgroup to make boxes below, and it again where this process must leave it first.

    That is its own where it is alone there (a delegated scope); else the nearest above that already hands cpu and
    memory down. What limits this process itself is never climbed out of.
    """
    lines = (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    path = next((line.split("::", 1)[1] for line in lines if line.startswith("0::")), "/")
    own = root / path.lstrip("/")
    if path.startswith("/..") or not own.is_dir():
        own = root
    why = f"{own} does not hand down cpu and memory"
    if os.access(own, os.W_OK) and _has(own / "cgroup.controllers"):
        if not (own / "cgroup.type").exists():  # the root of all: it may have processes and children alike
            return {"cgroup": own}, None
        if _pids([own], nested=False) <= {os.getpid()}:
            return {"cgroup": own}, own
        why = f"{own} holds other processes too"
    here = own
    while here != root and not _limited(here):
        here = here.parent
        if os.access(here, os.W_OK) and _has(here / "cgroup.subtree_control"):
            return {"cgroup": here}, None
    raise OSError(f"{why}, and no cgroup above it that this user may write to does")


def _limited(folder: Path) -> bool:
    """Whether a version 2 cgroup has a limit of its own."""
    for name in ("cpu.max", "memory.max"):
        with contextlib.suppress(OSError):
            if not (folder / name).read_text(encoding="ascii").startswith("max"):
                return True
    return False


def _has(file: Path) -> bool:
    """Whether a list of controllers names both that a box needs."""
    try:
        return set(_WANTED) <= set(file.read_text(encoding="ascii").split())
    except OSError:
        return False


def _quota(cpus: float | None, period_s: float) -> tuple[int | None, int]:
    """Quota and period in µs; a quota too small for the kernel keeps its share in a longer period."""
    period = min(_PERIOD_US_MAX, max(_LEAST_QUOTA_US, round(period_s * 1e6)))
    if cpus is None:
        return None, period
    period = min(_PERIOD_US_MAX, max(period, math.ceil(_LEAST_QUOTA_US / cpus)))
    return max(_LEAST_QUOTA_US, round(cpus * period)), period


def _write(file: Path, value: object) -> None:
    # One write and no file made: the kernel takes each write as a whole, and says no at once.
    descriptor = os.open(file, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(descriptor, str(value).encode())
    finally:
        os.close(descriptor)


def _pids(folders: Any, *, nested: bool = True) -> set[int]:
    found: set[int] = set()
    for top in folders:
        for folder in [top, *(path for path in _below(top) if nested)]:
            with contextlib.suppress(OSError):
                found |= {int(pid) for pid in (folder / "cgroup.procs").read_text(encoding="ascii").split()}
    return found - {0}


def _below(top: Path) -> list[Path]:
    """All cgroups below one, the deepest first."""
    return [Path(folder) for folder, _, _ in os.walk(top, topdown=False) if folder != str(top)]


def _kill(folders: list[Path]) -> bool:
    """Kills all that is in cgroups and below them but this process; False when some is left after two seconds."""
    deadline = time.monotonic() + END_S
    while left := _pids(folders) - {os.getpid()}:
        if time.monotonic() > deadline:
            return False
        for folder in folders:
            for box in folder.glob("box-*"):
                with contextlib.suppress(OSError):
                    _write(box / "cgroup.kill", 1)  # version 2, Linux 5.14 and later
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    return True


def _remove(folders: list[Path]) -> list[Path]:
    deadline = time.monotonic() + END_S
    left = list(folders)
    while True:
        for top in left:
            for folder in [*_below(top), top]:
                with contextlib.suppress(OSError):  # a process in it has not quite ended
                    folder.rmdir()
        left = [top for top in left if top.exists()]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.01)


def _reason(error: OSError) -> str:
    """An error as one reads it: in our own words where it has no number."""
    if error.errno is None or not error.strerror:
        return str(error)
    return f"{error.filename or 'cgroups'}: {error.strerror}"
