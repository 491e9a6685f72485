"""What was tried on this machine in, the same at a later time out, as long as the machine has not changed."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from prony.app.environment import state_folder

# As prony was started: a campaign narrows its own cores down, and the machine is the same for all that.
CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
Found = TypeVar("Found", bound=Struct)


def keep(name: str, found: Struct) -> None:
    """Writes what was found into a file of this name; its field `machine` says where."""
    path = _path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(found))


def kept(name: str, kind: type[Found]) -> Found | None:
    """What is remembered of this machine; None where it was not tried, or has changed since."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        found = msgspec.json.decode(_path(name).read_bytes(), type=kind)
        if getattr(found, "machine", None) == this_machine():
            return found
    return None


def this_machine() -> str:
    """What a measurement depends on, in words: CPU, cores, kernel, Python."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return f"{line.partition(':')[2].strip()}, {CPUS} CPUs, {platform.release()}, {sys.version.split()[0]}"
    return f"{platform.machine()}, {CPUS} CPUs, {platform.release()}, {sys.version.split()[0]}"


def _path(name: str) -> Path:
    return state_folder() / f"{name}.json"
