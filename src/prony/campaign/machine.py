"""This machine in, what documents say of it out: CPU, cores, memory, system, Python."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import psutil

import prony


def machine() -> dict[str, Any]:
    """What this machine is, as documents hold it."""
    return {
        "prony": prony.__version__,
        "cpu": _cpu_name(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "python": platform.python_version(),
    }


def _cpu_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()
