"""Process trees in, their CPU seconds, waits for a core, memory, threads and descriptors out, by /proc."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Sequence
from pathlib import Path

from prony.recording import Event, Reading

SHORTEST_NS = 1_000_000_000  # a burst shorter than that says nothing of a process
KEPT_LOOKS = 10
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_STAT_BYTES = 1024


class Tree:
    """One tier's processes and all below them.

    CPU is the sum over the living of their own and their reaped children's time, so that short-lived processes
    (Postgres starts one for each connection) count once their parent has reaped them. Who belongs to the tree, and who
    of them does anything, is found by `rest`, once a second; `cpu`, which is asked in a quicker rhythm, reads only the
    latter, by files that it keeps open: half of a stack's processes are there to wait.
    """

    def __init__(self, tier: str, *pids: int) -> None:
        self.tier = tier
        self.roots = pids
        self._first: dict[int, tuple[int, float]] = {}
        self._full: set[int] = set()
        self._ticks: dict[int, int] = {}
        self._known: tuple[tuple[int, ...], int] | None = None  # pids that do something; the ticks of all others
        self._files: dict[int, int] = {}
        self._opened_for: tuple[int, ...] | None = None
        self._memory: dict[int, tuple[bytes, int, int]] = {}
        self._delays_ns: dict[int, int] = {}
        self._delay_ns = 0

    def cpu(self) -> list[Reading]:
        """Cumulative CPU seconds of the tree."""
        if self._known is None:
            self._known = (tuple(self.pids()), 0)
        pids, ticks = self._known
        if self._opened_for is not pids:
            self._open(pids)
        ended = []
        for pid, file in self._files.items():
            try:
                stat = os.pread(file, _STAT_BYTES, 0)
            except OSError:
                ended.append(pid)
                continue
            ticks += _ticks(stat[stat.rindex(b")") + 2 :].split(b" ", 15))
        for pid in ended:
            os.close(self._files.pop(pid))
        return [Reading(time.monotonic_ns(), self.tier, "cpu_s", ticks * _TICK_S)]

    def rest(self) -> list[Reading | Event]:
        """Processes and threads of the tree, the busiest of them, waits for a core, memory, and descriptors."""
        stats = self._stats()
        pids = [pid for pid, _ in stats]
        before, self._ticks = self._ticks, {pid: _ticks(fields) for pid, fields in stats}
        still = {pid: ticks for pid, ticks in self._ticks.items() if before.get(pid) == ticks}
        self._known = (tuple(pid for pid in pids if pid not in still), sum(still.values()))
        now_ns = time.monotonic_ns()
        found: list[Reading | Event] = [
            Reading(now_ns, self.tier, "processes", float(len(pids))),
            Reading(now_ns, self.tier, "busiest_process_share", self._busiest(stats, now_ns)),
            Reading(now_ns, self.tier, "threads", float(sum(int(fields[17]) for _, fields in stats))),
            Reading(now_ns, self.tier, "run_delay_s", self._waited_s(pids)),
        ]
        memory = sum(self._memory_bytes(pid) for pid in pids)
        if memory:
            found.append(Reading(now_ns, self.tier, "memory_bytes", float(memory)))
        return [*found, *self._descriptors(pids)]

    def close(self) -> None:
        """Closes the files it has kept open."""
        while self._files:
            os.close(self._files.popitem()[1])
        self._opened_for = None

    def pids(self) -> list[int]:
        """The process and all below it."""
        return [pid for pid, _ in self._stats()]

    def _open(self, pids: tuple[int, ...]) -> None:
        for pid in set(self._files) - set(pids):
            os.close(self._files.pop(pid))
        for pid in pids:
            if pid not in self._files:
                with contextlib.suppress(OSError):
                    self._files[pid] = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        self._opened_for = pids

    def _busiest(self, stats: list[tuple[int, list[bytes]]], now_ns: int) -> float:
        """The share of a core that the busiest process has used since it was first seen."""
        busiest = 0.0
        for pid, fields in stats:
            own_s = (int(fields[11]) + int(fields[12])) * _TICK_S
            then_ns, then_s = self._first.setdefault(pid, (now_ns, own_s))
            if now_ns - then_ns >= SHORTEST_NS:
                busiest = max(busiest, (own_s - then_s) / ((now_ns - then_ns) / 1e9))
        return busiest

    def _memory_bytes(self, pid: int) -> int:
        """Proportional set size; it costs the kernel most of all that is read here, so only where it can have changed.

        That is where the resident or the shared size has, and every tenth time: others may share its pages no more.
        """
        sizes = _read(f"/proc/{pid}/statm")
        before, pss, times = self._memory.get(pid, (b"", 0, 0))
        if sizes != before or times >= KEPT_LOOKS:
            pss, times = _pss_bytes(pid), 0
        self._memory[pid] = (sizes, pss, times + 1)
        return pss

    def _waited_s(self, pids: list[int]) -> float:
        """Seconds that all threads seen so far were ready to run and had no core."""
        for pid in pids:
            try:
                threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - listed each second, for every process
            except OSError:
                continue
            for thread in threads:
                delay = _read(f"/proc/{pid}/task/{thread}/schedstat").split()
                if len(delay) > 1:
                    waited_ns = int(delay[1])
                    self._delay_ns += waited_ns - self._delays_ns.get(int(thread), 0)
                    self._delays_ns[int(thread)] = waited_ns
        return self._delay_ns / 1e9

    def _descriptors(self, pids: list[int]) -> list[Reading | Event]:
        """Open descriptors of the process that is nearest to its limit, and that limit; an event when it is reached."""
        fullest: tuple[float, int, int, int] | None = None
        for pid in pids:
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

    def _stats(self) -> list[tuple[int, list[bytes]]]:
        found, queue = [], list(self.roots)
        while queue:
            pid = queue.pop()
            stat = _read(f"/proc/{pid}/stat")
            if stat:
                found.append((pid, stat[stat.rindex(b")") + 2 :].split()))
                queue += [int(child) for child in _read(f"/proc/{pid}/task/{pid}/children").split()]
        return found


class Host:
    """The stack's cores as the kernel accounts for them: busy and stolen seconds, summed over these cores."""

    def __init__(self, cores: tuple[int, ...]) -> None:
        self.cores = cores
        self._clocks = [Path(f"/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq") for core in cores]
        self._clocks = [path for path in self._clocks if path.exists()]
        self._wanted = {b"cpu%d" % core for core in cores}

    def read(self) -> list[Reading]:
        """Cumulative busy and stolen seconds."""
        busy = stolen = 0
        for line in _read("/proc/stat", 65_536).split(b"\nintr", 1)[0].splitlines():
            name, *fields = line.split()
            if name in self._wanted:
                user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in fields[:8])
                busy += user + nice + system + irq + softirq + steal
                stolen += steal
        now_ns = time.monotonic_ns()
        return [
            Reading(now_ns, "host", "busy_s", busy * _TICK_S),
            Reading(now_ns, "host", "steal_s", stolen * _TICK_S),
        ]

    def rest(self) -> list[Reading]:
        """How many cores, their clock, and seconds in which anything waited for CPU, memory or IO, where it is told."""
        now_ns = time.monotonic_ns()
        found = [Reading(now_ns, "host", "cores", float(len(self.cores)))]
        for what in ("cpu", "memory", "io"):
            waited_s = pressure_s(_read(f"/proc/pressure/{what}").decode("ascii"))
            if waited_s is not None:
                found.append(Reading(now_ns, "host", f"{what}_pressure_s", waited_s))
        clocks = [int(_read(str(path)) or 0) for path in self._clocks]
        if any(clocks):
            found.append(Reading(now_ns, "host", "clock_hz", 1000.0 * sum(clocks) / len(clocks)))
        return found


class Account:
    """The CPU account of a whole stack: its cores and all of its tiers, in one go."""

    def __init__(self, host: Host, trees: Sequence[Tree]) -> None:
        self._host = host
        self._trees = trees

    def read(self) -> list[Reading]:
        """What `Host.read` and each tree's `cpu` tell."""
        found = self._host.read()
        for tree in self._trees:
            found += tree.cpu()
        return found

    def close(self) -> None:
        """Closes what the trees have kept open."""
        for tree in self._trees:
            tree.close()


def pressure_s(text: str) -> float | None:
    """Cumulative seconds in which something waited, from a file of pressure (PSI); None where it says nothing."""
    for line in text.splitlines():
        if line.startswith("some ") and "total=" in line:
            return int(line.partition("total=")[2]) / 1e6
    return None


def _ticks(fields: list[bytes]) -> int:
    """A process's own CPU time and that of the children it has reaped, from its stat file."""
    return int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])


def _pss_bytes(pid: int) -> int:
    """Proportional set size, so that pages shared by workers count once."""
    text = _read(f"/proc/{pid}/smaps_rollup")
    at = text.find(b"\nPss:")
    return int(text[at + 5 : text.index(b"kB", at)]) * 1024 if at >= 0 else 0


def _read(path: str, most: int = 8192) -> bytes:
    """A file of /proc's; nothing where it is gone."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(file, most)
    except OSError:
        return b""
    finally:
        os.close(file)
