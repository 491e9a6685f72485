"""What a crashed run may have left in, a list of it out: processes, folders, cgroups; and their removal."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from prony.stack import boxes, folders

GONE_S = 3.0
_TAG = b"PRONY_RUN="


@dataclass(frozen=True, slots=True)
class Stray:
    """One thing that outlived its run.

    Attributes:
        kind: "process", "folder" or "cgroup".
        what: Its pid and command, or its path.
        pid: The process's; 0 for others.
        path: The folder's or cgroup's; None for processes.
    """

    kind: str
    what: str
    pid: int = 0
    path: Path | None = None


def find() -> list[Stray]:
    """Everything of this user's whose run is over: processes tagged by their environment, run folders, cgroups."""
    found = []
    for process in psutil.process_iter():
        run = _run_of(process.pid)
        if run and process.pid != os.getpid() and not alive(run):
            with contextlib.suppress(psutil.Error):
                command = " ".join(process.cmdline())[:80] or process.name()
                found.append(Stray("process", f"{process.pid} {command} ({run})", pid=process.pid))
    own = folders.ROOT / f"prony-{os.getuid()}"
    if own.is_dir():
        found += [Stray("folder", str(path), path=path) for path in sorted(own.glob("run-*")) if not alive(path.name)]
    return found + [Stray("cgroup", str(path), path=path) for path in boxes.stale(os.getuid())]


def clean(strays: list[Stray]) -> list[Stray]:
    """Removes them; what could not be removed."""
    for stray in strays:
        if stray.kind == "process":
            with contextlib.suppress(OSError):
                os.kill(stray.pid, signal.SIGKILL)
    deadline = time.monotonic() + GONE_S
    while any(psutil.pid_exists(each.pid) for each in strays if each.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    for stray in strays:
        if stray.kind == "folder" and stray.path is not None:
            shutil.rmtree(stray.path, ignore_errors=True)
            stray.path.unlink(missing_ok=True)
    boxes.clean([each.path for each in strays if each.kind == "cgroup" and each.path is not None])
    left = {(each.kind, each.what) for each in find()}
    return [each for each in strays if (each.kind, each.what) in left]


def alive(run: str) -> bool:
    """Whether the prony that made a run still is: its pid is in the run's name."""
    pid = run.split("-")[1].partition(".")[0] if run.startswith("run-") else ""
    return pid.isdigit() and psutil.pid_exists(int(pid))


def _run_of(pid: int) -> str:
    """The run that a process belongs to by its environment; empty for those of others, and those one may not read."""
    try:
        environ = Path("/proc", str(pid), "environ").read_bytes()
    except OSError:
        return ""
    for entry in environ.split(b"\0"):
        if entry.startswith(_TAG):
            return entry[len(_TAG) :].decode("utf-8", "replace")
    return ""
