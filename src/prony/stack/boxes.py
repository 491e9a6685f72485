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
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prony.stack import cgroups, folders
from prony.stack.cgroups import PROC, ROOT

CGROUP_V1 = "cgroup v1"
CGROUP_V2 = "cgroup v2"
FALLBACK = "affinity and rlimit"
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
        run_id: The run's folder: "run-PID-…" or "PID-…" of prony; where the name bears no process id, this process's
            own is put before it, so that no two are the same.
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
        self._held: list[int] = []
        self._moved_from: Path | None = None
        self._came_from: Path | None = None
        self._root, self._proc = root, proc
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
            cgroups.write(path / "cgroup.procs", "0")
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
        return sorted(cgroups.pids(self._boxes[name].paths.values()))

    def gather(self) -> None:
        """Puts this process, and so all it starts, into a cgroup of the run's own, where one can be made.

        It limits nothing. It is what finds whatever forked twice and changed its name, when this process is no more.
        To be called before any box is made.
        """
        for came_from, home in self._gathering():
            run = home / self._run
            try:
                self._take(run)
                (run / "guard").mkdir(exist_ok=True)
                cgroups.write(run / "guard" / "cgroup.procs", "0")
            except OSError:
                self.remove()  # nothing else has been made yet
                continue
            self._came_from = came_from
            return

    def _gathering(self) -> Iterator[tuple[Path, Path]]:
        """(where this process is, where a group for it could be made): of version 2 there is one with the boxes."""
        with contextlib.suppress(OSError):
            for place in cgroups.counting(self._root, self._proc):
                yield place, self._homes.get("cgroup", place)

    def kill_all(self) -> bool:
        """Kills whatever is in any cgroup of this run; True when all of it is gone within two seconds."""
        return cgroups.kill(self._made)

    def remove(self) -> list[Path]:
        """Removes every cgroup of this run, once they are empty; returns those that would not go."""
        back = self._came_from or self._moved_from
        if self._moved_from is not None:
            for folder in (*self._made, self._moved_from):
                with contextlib.suppress(OSError):
                    cgroups.write(folder / "cgroup.subtree_control", "-cpu -memory")
        if back is not None:
            with contextlib.suppress(OSError):
                cgroups.write(back / "cgroup.procs", "0")
        left = cgroups.remove(self._made)
        for descriptor in self._held:
            os.close(descriptor)
        self._boxes.clear()
        self._made.clear()
        self._held.clear()
        self._came_from = None
        return left

    def _folder(self, home: Path, name: str) -> Path:
        """One box's cgroup below the run's, both made where missing."""
        run = home / self._run
        self._take(run)
        if self.how == CGROUP_V2:
            self._hand_down(home, run)
        folder = run / f"box-{name}"  # with box- before it no name is one of the kernel's own files
        folder.mkdir(exist_ok=True)
        return folder

    def _take(self, run: Path) -> None:
        if run not in self._made:
            self._held.append(folders.take(run))
            self._made.append(run)

    def _hand_down(self, home: Path, run: Path) -> None:
        """Version 2: controllers reach a box only through ancestors that have no process of their own."""
        if home == self._moved_from and self._came_from is None:
            (run / "guard").mkdir(exist_ok=True)
            cgroups.write(run / "guard" / "cgroup.procs", "0")
        for folder in (home, run):
            if not _has(folder / "cgroup.subtree_control"):
                cgroups.write(folder / "cgroup.subtree_control", "+cpu +memory")

    def _limit(self, box: _Box) -> None:
        if not box.paths:
            return
        quota, period = _quota(box.cpus, box.period_s)
        memory = box.memory_bytes
        if self.how == CGROUP_V2:
            path = box.paths["cgroup"]
            cgroups.write(path / "cpu.max", f"{'max' if quota is None else quota} {period}")
            cgroups.write(path / "memory.max", "max" if memory is None else memory)
            with contextlib.suppress(FileNotFoundError, PermissionError):  # a kernel without swap has no such file
                cgroups.write(path / "memory.swap.max", "max" if memory is None else 0)
            cgroups.write(path / "memory.oom.group", 0)
            return
        cpu, held = box.paths["cpu"], box.paths["memory"]
        cgroups.write(cpu / "cpu.cfs_quota_us", -1)  # so that no order of the two is ever out of range
        cgroups.write(cpu / "cpu.cfs_period_us", period)
        cgroups.write(cpu / "cpu.cfs_quota_us", -1 if quota is None else quota)
        swap = held / "memory.memsw.limit_in_bytes"
        if swap.exists():
            cgroups.write(swap, -1)
        cgroups.write(held / "memory.limit_in_bytes", -1 if memory is None else memory)
        if swap.exists():
            cgroups.write(swap, -1 if memory is None else memory)


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


def _homes_v1(root: Path, proc: Path) -> dict[str, Path]:
    """The cgroup this process is in, by controller; in a container that is what is mounted itself."""
    own = cgroups.own(proc)
    homes: dict[str, Path] = {}
    for kind in (*_WANTED, "cpuacct"):
        mount = root / kind
        if kind not in own or not mount.is_dir():
            if kind in _WANTED:
                raise OSError(f"the {kind} controller is not mounted")
            continue
        home = cgroups.below(mount, own[kind])
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
    own = cgroups.below(root, cgroups.own(proc).get("", "/"))
    why = f"{own} does not hand down cpu and memory"
    if os.access(own, os.W_OK) and _has(own / "cgroup.controllers"):
        if not (own / "cgroup.type").exists():  # the root of all: it may have processes and children alike
            return {"cgroup": own}, None
        if cgroups.pids([own], nested=False) <= {os.getpid()}:
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


def _reason(error: OSError) -> str:
    """An error as one reads it: in our own words where it has no number."""
    if error.errno is None or not error.strerror:
        return str(error)
    return f"{error.filename or 'cgroups'}: {error.strerror}"
