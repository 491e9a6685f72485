"""What the benches that pair prony with a peer share: cores to run on, CPU time, and how measures are told."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import sys
from typing import Any


def pinned(core: int, *command: str) -> list[str]:
    """The command on one core, where cores can be chosen."""
    taskset = shutil.which("taskset")
    return [taskset, "-c", str(core), *command] if taskset else list(command)


def children_cpu_s() -> float:
    """CPU time of all children that have ended, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def arguments(description: str | None) -> argparse.Namespace:
    """What the command line says: `json`, `quick`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--quick", action="store_true", help="the same, shorter")
    return parser.parse_args()


def two_cores() -> tuple[int, int]:
    """The generator's core and the server's; ends the program where there is but one."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    if len(cores) < 2:
        print(f"{sys.argv[0]} needs two cores: one for the server, one for the generators", file=sys.stderr)
        raise SystemExit(3)
    return cores[0], cores[1]


def measured(name: str, value: float, unit: str, target: float | None, peers: dict[str, float]) -> dict[str, Any]:
    """One measure as DESIGN has it."""
    meets = None if target is None else value <= target
    return {"name": name, "value": value, "unit": unit, "target": target, "meets": meets, "peers": peers}


def tell(measures: list[dict[str, Any]], *, as_json: bool, **how: Any) -> None:
    """Prints the measures, and in the document what machine it was and how they were taken."""
    machine = {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "load_average": os.getloadavg(),
        **how,
    }
    if as_json:
        print(json.dumps({"machine": machine, "measures": measures}, indent=2))
        return
    for row in measures:
        peers = ", ".join(f"{name} {value:.2f}" for name, value in row["peers"].items()) or "no peer"
        target = "" if row["target"] is None else f"; target {row['target']} {'met' if row['meets'] else 'missed'}"
        print(f"{row['name']:<60} {row['value']:>8.3f} {row['unit']}  ({peers}{target})")
