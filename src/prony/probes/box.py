"""One box's cgroup in, its CPU and memory out, with events for its first throttling and for each process killed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path

from prony.probes.processes import pressure_s
from prony.recording import Event, Reading

_NO_LIMIT = 1 << 60  # version 1 says "none" with a number near 2**63
_MB = 1024 * 1024


class BoxProbe:
    """What the kernel counts for one box, by the cgroups that `Boxes.make` named; nothing where there are none.

    Readings: cpu_s (used since the box was made), cpu_quota_cores, periods, throttled_periods, throttled_s (summed over
    its cores), memory_bytes (in use, without file pages that can be dropped at once), memory_limit_bytes,
    memory_limit_hits, out_of_memory_kills; cpu_pressure_s, memory_pressure_s, io_pressure_s. Limits that are not set
    are not read.

    Args:
        tier: Whose readings these are. Not a tier that a process tree is read for too: both have a cpu_s.
        paths: Cgroup folders: "cgroup" (version 2), or "cpu", "memory" and, where it is apart, "cpuacct".
    """

    def __init__(self, tier: str, paths: Mapping[str, str | Path]) -> None:
        self._tier = tier
        folders = {kind: Path(path) for kind, path in paths.items()}
        self._v2 = "cgroup" in folders
        self._cpu = folders.get("cgroup") or folders.get("cpu")
        self._memory = folders.get("cgroup") or folders.get("memory")
        self._usage = folders.get("cpuacct") or self._cpu
        self._was: dict[str, float] | None = None
        self._throttled = False

    def read(self) -> list[Reading | Event]:
        """All readings now, and what happened since the last call."""
        now_ns = time.monotonic_ns()
        found = {**self._read_cpu(), **self._read_memory(), **self._read_pressure()}
        if not found:
            return []
        items: list[Reading | Event] = [Reading(now_ns, self._tier, name, value) for name, value in found.items()]
        was, self._was = self._was or found, found
        grown = {name: value - was.get(name, 0.0) for name, value in found.items()}
        if grown.get("throttled_periods", 0) > 0 and not self._throttled:
            self._throttled = True
            text = (
                f"in {grown['throttled_periods']:.0f} of {grown['periods']:.0f} periods, for {grown['throttled_s']:.3g}"
                f" s in all, under a quota of {found.get('cpu_quota_cores', 0):g} cores"
            )
            items.append(Event(now_ns, "throttled", self._tier, text))
        kills = grown.get("out_of_memory_kills", 0)
        if kills > 0:
            text = (
                f"a process was killed at a limit of {found.get('memory_limit_bytes', 0) / _MB:.0f} MB, which was hit"
                f" {grown.get('memory_limit_hits', 0):.0f} times; {found['memory_bytes'] / _MB:.0f} MB in use after it"
            )
            items.append(Event(now_ns, "out_of_memory", self._tier, text, int(kills)))
        return items

    def _read_cpu(self) -> dict[str, float]:
        if self._cpu is None or self._usage is None:
            return {}
        stat = _table(self._cpu / "cpu.stat")
        found = {}
        if self._v2:
            used_s, throttled_s = stat.get("usage_usec", 0) / 1e6, stat.get("throttled_usec", 0) / 1e6
            quota, _, period = _text(self._cpu / "cpu.max").partition(" ")
        else:
            used_s, throttled_s = float(_text(self._usage / "cpuacct.usage") or 0) / 1e9, stat["throttled_time"] / 1e9
            quota, period = _text(self._cpu / "cpu.cfs_quota_us"), _text(self._cpu / "cpu.cfs_period_us")
        found["cpu_s"] = used_s
        if quota not in {"max", "-1", ""}:
            found["cpu_quota_cores"] = float(quota) / float(period)
        found["periods"] = stat.get("nr_periods", 0.0)
        found["throttled_periods"] = stat.get("nr_throttled", 0.0)
        found["throttled_s"] = throttled_s
        return found

    def _read_pressure(self) -> dict[str, float]:
        """Only version 2 accounts for it, and only where the kernel was built to."""
        if self._cpu is None or not self._v2:
            return {}
        found = {}
        for what in ("cpu", "memory", "io"):
            with contextlib.suppress(OSError):
                waited_s = pressure_s(_text(self._cpu / f"{what}.pressure"))
                if waited_s is not None:
                    found[f"{what}_pressure_s"] = waited_s
        return found

    def _read_memory(self) -> dict[str, float]:
        if self._memory is None:
            return {}
        folder, stat = self._memory, _table(self._memory / "memory.stat")
        if self._v2:
            events = _table(folder / "memory.events")
            used, limit = _text(folder / "memory.current"), _text(folder / "memory.max")
            hits, kills, idle = events.get("max", 0.0), events.get("oom_kill", 0.0), stat.get("inactive_file", 0.0)
        else:
            used, limit = _text(folder / "memory.usage_in_bytes"), _text(folder / "memory.limit_in_bytes")
            hits, idle = float(_text(folder / "memory.failcnt") or 0), stat.get("total_inactive_file", 0.0)
            kills = _table(folder / "memory.oom_control").get("oom_kill", 0.0)
        found = {"memory_bytes": max(0.0, float(used) - idle)}
        if limit not in {"max", ""} and float(limit) < _NO_LIMIT:
            found["memory_limit_bytes"] = float(limit)
        return {**found, "memory_limit_hits": hits, "out_of_memory_kills": kills}


def _text(file: Path) -> str:
    return file.read_text(encoding="ascii").strip()


def _table(file: Path) -> dict[str, float]:
    """A file of "name value" lines."""
    found = {}
    for line in _text(file).splitlines():
        name, _, value = line.partition(" ")
        with contextlib.suppress(ValueError):
            found[name] = float(value)
    return found
