"""Process trees in, their CPU seconds and memory out, by /proc."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from prony.recording import Event, Reading

SHORTEST_NS = 1_000_000_000  # a burst shorter than that says nothing of a process
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Tree:
    """One tier's processes and all below them.

    CPU is the sum over the living of their own and their reaped children's time, so that short-lived processes
    (Postgres starts one for each connection) count once their parent has reaped them.
    """

    def __init__(self, tier: str, *pids: int) -> None:
        self.tier = tier
        self.roots = pids
        self._first: dict[int, tuple[int, float]] = {}
        self._full: set[int] = set()

    def cpu(self) -> list[Reading]:
        """Cumulative CPU seconds of the tree, and the share of a core its busiest process used since first seen."""
        now_ns = time.monotonic_ns()
        total_s, busiest = 0.0, 0.0
        for pid, fields in self._stats():
            own_s = (int(fields[11]) + int(fields[12])) * _TICK_S
            total_s += own_s + (int(fields[13]) + int(fields[14])) * _TICK_S
            then_ns, then_s = self._first.setdefault(pid, (now_ns, own_s))
            if now_ns - then_ns >= SHORTEST_NS:
                busiest = max(busiest, (own_s - then_s) / ((now_ns - then_ns) / 1e9))
        return [
            Reading(now_ns, self.tier, "cpu_s", total_s),
            Reading(now_ns, self.tier, "busiest_process_share", busiest),
        ]

    def memory(self) -> list[Reading]:
        """Memory of the tree in bytes: proportional set size, so that pages shared by workers count once."""
        total = 0
        for pid in self.pids():
            try:
                text = Path("/proc", str(pid), "smaps_rollup").read_text(encoding="ascii")
            except OSError:
                continue
            for line in text.splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
                    break
        return [Reading(time.monotonic_ns(), self.tier, "memory_bytes", float(total))] if total else []

    def descriptors(self) -> list[Reading | Event]:
        """Open descriptors of the process that is nearest to its limit, and that limit; an event when it is reached."""
        fullest: tuple[float, int, int, int] | None = None
        for pid in self.pids():
            try:
                count = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - counted, each second, for every process
                limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
            except OSError:  # gone, or another user's
                continue
            if limit > 0 and (fullest is None or count / limit > fullest[0]):
                fullest = (count / limit, count, limit, pid)
        if fullest is None:
            return []
        now_ns = time.monotonic_ns()
        _, count, limit, pid = fullest
        found: list[Reading | Event] = [
            Reading(now_ns, self.tier, "descriptors", float(count)),
            Reading(now_ns, self.tier, "descriptors_limit", float(limit)),
        ]
        if count >= limit and pid not in self._full:
            self._full.add(pid)
            found.append(Event(now_ns, "descriptors_exhausted", self.tier, f"process {pid}: {count} of {limit} open"))
        return found

    def pids(self) -> list[int]:
        """The process and all below it."""
        return [pid for pid, _ in self._stats()]

    def _stats(self) -> list[tuple[int, list[bytes]]]:
        found, queue = [], list(self.roots)
        while queue:
            pid = queue.pop()
            try:
                stat = Path("/proc", str(pid), "stat").read_bytes()
                children = Path("/proc", str(pid), "task", str(pid), "children").read_bytes()
            except OSError:
                continue
            found.append((pid, stat[stat.rindex(b")") + 2 :].split()))
            queue += [int(child) for child in children.split()]
        return found


class Host:
    """The stack's cores as the kernel accounts for them: busy and stolen seconds, summed over these cores."""

    def __init__(self, cores: tuple[int, ...]) -> None:
        self.cores = cores

    def read(self) -> list[Reading]:
        """Cumulative busy and stolen seconds, and how many cores."""
        busy = stolen = 0.0
        wanted = {f"cpu{core}" for core in self.cores}
        for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
            name, *fields = line.split()
            if name in wanted:
                user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in fields[:8])
                busy += (user + nice + system + irq + softirq + steal) * _TICK_S
                stolen += steal * _TICK_S
        now_ns = time.monotonic_ns()
        return [
            Reading(now_ns, "host", "busy_s", busy),
            Reading(now_ns, "host", "steal_s", stolen),
            Reading(now_ns, "host", "cores", float(len(self.cores))),
        ]
