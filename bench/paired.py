"""What the benches that pair prony with a peer share: cores to run on, CPU time, and how measures are told."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from prony.load.account import LoadResult
from prony.load.spec import LoadSpec, RequestSpec
from prony.samples import OUTCOMES, SAMPLE


def pinned(core: int, *command: str) -> list[str]:
    """The command on one core, where cores can be chosen."""
    taskset = shutil.which("taskset")
    return [taskset, "-c", str(core), *command] if taskset else list(command)


def children_cpu_s() -> float:
    """CPU time of all children that have ended, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Load(NamedTuple):
    """One load of prony's generator: its own account, CPU seconds of the whole process, and what its samples say."""

    result: LoadResult
    cpu_s: float
    outcomes: set[str]
    lag_s: Any
    sent_within: int


def samples_of(
    port: int, core: int, duration_s: float, folder: Path, *, urgent: bool = True, **fields: Any
) -> tuple[Any, tuple[int, int]]:
    """One load's samples, and the instants between which it was sent."""
    result, samples, _ = _run(port, core, duration_s, folder, urgent=urgent, **fields)
    return samples, (result.started_ns, result.started_ns + round(duration_s * 1e9))


def one_load(port: int, core: int, duration_s: float, folder: Path, *, urgent: bool = False, **fields: Any) -> Load:
    """Loads that port of loopback from one core; `urgent` as prony's own trials do, where this user may."""
    result, samples, cpu_s = _run(port, core, duration_s, folder, urgent=urgent, **fields)
    sent = samples[samples["sent_ns"] > 0]
    return Load(
        result=result,
        cpu_s=cpu_s,
        outcomes={OUTCOMES[each] for each in np.unique(samples["outcome"])},
        lag_s=(sent["sent_ns"] - sent["due_ns"]) / 1e9,
        sent_within=int(np.count_nonzero(sent["sent_ns"] < result.started_ns + round(duration_s * 1e9))),
    )


def _run(
    port: int, core: int, duration_s: float, folder: Path, *, urgent: bool, **fields: Any
) -> tuple[LoadResult, Any, float]:
    given: dict[str, Any] = {"host": "127.0.0.1", "port": port, "requests": (RequestSpec(),), "duration_s": duration_s}
    spec = LoadSpec(**given | fields, segment=str(folder / "segment"))
    path = folder / "spec.json"
    path.write_bytes(msgspec.json.encode(spec))
    command = pinned(core, sys.executable, "-m", "prony.load.worker", str(path))
    if urgent and os.geteuid() == 0:
        command = ["nice", "-n", "-10", *command]
    before_s = children_cpu_s()
    lines = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.splitlines()
    cpu_s = children_cpu_s() - before_s
    samples = np.fromfile(spec.segment, dtype=SAMPLE)
    Path(spec.segment).unlink()
    return msgspec.json.decode(lines[-1], type=LoadResult), samples, cpu_s


def arguments(description: str | None, parts: Sequence[str] = ()) -> argparse.Namespace:
    """What the command line says: `json`, `quick`, and where there are parts `only`, those to measure (all of them)."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--quick", action="store_true", help="the same, shorter")
    if parts:
        parser.add_argument("--only", nargs="+", choices=parts, default=list(parts), help="which parts to measure")
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


def at_least(
    name: str, value: float, unit: str, target: float, peers: dict[str, float] | None = None
) -> dict[str, Any]:
    """One measure whose target is a lower bound."""
    return measured(name, value, unit, target, peers or {}) | {"meets": value >= target, "least": True}


def reported(name: str, value: float, unit: str, peers: dict[str, float] | None = None) -> dict[str, Any]:
    """One measure without a target."""
    return measured(name, value, unit, None, peers or {})


def repeated(
    name: str, values: list[float], unit: str, target: float | None, peers: dict[str, float]
) -> dict[str, Any]:
    """One measure from its repeats: their median, and as `interval` the lowest and highest of them."""
    row = measured(name, statistics.median(values), unit, target, peers)
    return row | {"interval": [min(values), max(values)]}


def tell(measures: list[dict[str, Any]], *, as_json: bool, **how: Any) -> None:
    """Prints the measures, what machine it was and how they were taken."""
    machine = {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg(),
        **how,
    }
    if as_json:
        print(json.dumps({"machine": machine, "measures": measures}, indent=2))
        return
    for row in measures:
        spread = f" ({row['interval'][0]:.3g}–{row['interval'][1]:.3g})" if "interval" in row else ""
        sign = "≥" if row.get("least") else "≤"
        met = (
            ""
            if row["target"] is None
            else f"  target {sign} {row['target']:.3g}: {'met' if row['meets'] else 'MISSED'}"
        )
        print(f"{row['name']:<66} {row['value']:>9.3f} {row['unit']:<2}{spread}{met}")
        if row["peers"]:
            print("    " + ", ".join(f"{name} {value:.3g}" for name, value in row["peers"].items()))
    for name, value in machine.items():
        text = ", ".join(f"{key} {each}" for key, each in value.items()) if isinstance(value, dict) else value
        print(f"{name.replace('_', ' ')}: {text}")
