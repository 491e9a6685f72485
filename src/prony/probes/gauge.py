"""Turns the files that the app's processes map into totals and spans of requests."""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from prony.probes import ledger
from prony.probes.ledger import NO_SPANS, Ledger, Timing
from prony.probes.meters import Meters, merged, meters_of
from prony_gauge import layout

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

COSTS = {
    "statements": ledger.M_STATEMENTS,
    "statement_ns": ledger.M_STATEMENT_NS,
    "pool_waits": ledger.M_POOL_WAITS,
    "pool_ns": ledger.M_POOL_NS,
    "outbound": ledger.M_OUTBOUND,
    "outbound_ns": ledger.M_OUTBOUND_NS,
    "cache_calls": ledger.M_CACHE_CALLS,
    "cache_ns": ledger.M_CACHE_NS,
    "cache_lookups": ledger.M_LOOKUPS,
    "cache_hits": ledger.M_HITS,
    "request_cpu_ns": ledger.M_CPU_NS,
    "cpu_timed": ledger.M_CPU_TIMED,
    "response_bytes": ledger.M_BYTES,
}
LOOP = {
    "lags": layout.LAGS_AT,
    "lag_ns": layout.LAG_NS_AT,
    "lag_most_ns": layout.LAG_MOST_AT,
    "tokens": layout.TOKENS_AT,
    "tokens_used": layout.TOKENS_USED_AT,
    "tokens_waited_for": layout.TOKENS_WAITED_AT,
    "asgiref_queue": layout.ASGIREF_QUEUE_AT,
}


@dataclass(frozen=True, slots=True)
class GaugeTotals:
    """What all of the app's processes have counted up to now.

    Attributes:
        processes: Live processes that serve: the booted workers.
        slots: How many requests these can serve at once.
        processes_ended: Processes that served and are gone; how, their server's log tells at best.
        in_flight: Requests begun and not ended, in live processes.
        begun: Requests begun so far; in this and the following, dead processes count too.
        ended: Requests ended.
        busy_ns: The sum of exit − entry of the ended ones.
        connects: Database connections tried.
        connect_ns: The time that took.
        connect_failed: How many of them failed.
        exceptions: Requests that ended in an exception, by its name.
        connect_errors: Failed connections, by their exception's name.
        refused: Connections and look-ups that would have left the machine, by host, port and code line:
            "mail.example:25 at shop/mail.py:12".
        hooks_off: Hooks into libraries that failed and switched themselves off, by library.
        counters: Statements, waits for a pool, calls out, cache, CPU and bytes so far, by the names of COSTS.
        loop: Of processes with an event loop: the names of LOOP, summed over living ones; the most lag of any.
    """

    processes: int
    processes_ended: int
    slots: int
    in_flight: int
    begun: int
    ended: int
    busy_ns: int
    connects: int
    connect_ns: int
    connect_failed: int
    exceptions: dict[str, int]
    connect_errors: dict[str, int]
    refused: dict[str, int]
    hooks_off: dict[str, int]
    counters: dict[str, int]
    loop: dict[str, int]


BEGUN, ENDED, CONNECTS, CONNECT_NS, CONNECT_FAILED = range(layout.COUNTERS)
FILLED = layout.RING_WORDS // 4  # of a ring: then it is read whoever asks


class _File:
    """One process's file, mapped."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        if os.fstat(descriptor).st_size < layout.SIZE_BYTES:
            raise ValueError("a file of another make, or half made")
        self.mapping = mmap.mmap(descriptor, layout.SIZE_BYTES, prot=mmap.PROT_READ)
        self.words: NDArray[np.uint64] = np.frombuffer(self.mapping, dtype=np.uint64)
        self.view = memoryview(self.mapping).cast("Q")  # the same, quicker where it is word by word
        if self.words[layout.MAGIC_AT] != layout.MAGIC or self.words[layout.VERSION_AT] != layout.VERSION:
            raise ValueError("no gauge file of this version")
        self.pid = int(self.words[layout.PID_AT])
        self.parent = int(self.words[layout.PARENT_AT])
        self.slots = int(self.words[layout.SLOTS_AT])
        self.names = self.words[layout.NAMES_AT : layout.LABELS_AT].reshape(layout.NAMES, layout.NAME_WORDS)
        self.ledger = Ledger(self.words)

    @property
    def role(self) -> int:
        return int(self.words[layout.ROLE_AT])

    def alive(self) -> bool:
        """Whether the process still holds its lock."""
        try:
            os.lockf(self.descriptor, os.F_TEST, 0)
        except OSError:
            return True
        return self.pid == os.getpid()  # one's own locks do not show

    def counters(self) -> NDArray[np.int64]:
        """Those of the header, from BEGUN_AT on; what they say has ended is added up."""
        ended = int(self.words[layout.ENDED_AT])
        found = self.words[layout.BEGUN_AT : layout.BEGUN_AT + layout.COUNTERS].astype(np.int64)
        found[ENDED] = ended  # read first: no request ends before it began
        self.ledger.take()
        return found

    def in_flight(self) -> int:
        """Requests begun and not ended; a ring that fills is read as well, whoever asks."""
        view = self.view
        if view[layout.HEAD_AT] - self.ledger.seen > FILLED:
            self.ledger.take()
        ended = view[layout.ENDED_AT]  # first: no request ends before it began
        return max(0, view[layout.BEGUN_AT] - ended)

    def named(self) -> Iterable[tuple[int, str, int]]:
        """(kind, text, count) of every name that counts something."""
        for index in np.flatnonzero(self.names[:, layout.COUNT]):
            entry = self.names[index]
            kind, length = divmod(int(entry[layout.KIND_LENGTH]), 1 << 32)
            text = entry[layout.TEXT :].tobytes()[: min(length, layout.NAME_BYTES)]
            yield kind, text.decode("utf-8", "ignore"), int(entry[layout.COUNT])

    def close(self) -> None:
        self.view.release()
        del self.words, self.names, self.ledger
        with contextlib.suppress(BufferError):  # somebody still looks at it: it goes with them
            self.mapping.close()
        os.close(self.descriptor)


class GaugeReader:
    """Reads a folder of gauge files, again and again, while processes come and go; from several threads if need be.

    Which processes serve: one that imported the entry serves, unless it never began a request and has a child that
    was forked from it afterwards: then it is a master that preloads. A forked child serves when it began a request
    itself, or when its parent never did (a worker under preload, rather than a helper that a worker forked).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()  # the levels are read by a thread of their own
        self._files: dict[tuple[str, int], _File] = {}  # by name and inode: a pid can come back
        self._gone: set[tuple[str, int]] = set()
        self._buried = np.zeros(layout.COUNTERS, dtype=np.int64)
        self._buried_meters: Meters = {}
        self._buried_names: Counter[tuple[int, str]] = Counter()
        self._buried_costs: NDArray[np.int64] = np.zeros(ledger.FIGURES, dtype=np.int64)
        self._buried_lost = 0
        self._buried_spans: list[NDArray[np.int64]] = []
        self._buried_timings: list[Timing] = []
        self._served: set[int] = set()  # dead processes that began a request
        self._serving_now: set[tuple[str, int]] = set()  # as of the last look
        self._ended = 0

    def levels(self) -> tuple[int, int, dict[str, int]]:
        """Requests in the app now, how many could be, and LOOP: cheap, of the processes that the last `read` knew."""
        with self._lock:
            live = [(key, file) for key, file in self._files.items() if file.alive()]
            flying = sum(file.in_flight() for _, file in live)
            slots = sum(file.slots for key, file in live if key in self._serving_now)
            return flying, slots, _loops([file for _, file in live])

    def read(self) -> GaugeTotals:
        """The totals of this instant."""
        with self._lock:
            return self._read()

    def _read(self) -> GaugeTotals:
        self._discover()
        live: list[tuple[_File, NDArray[np.int64]]] = []
        totals, names = self._buried.copy(), Counter(self._buried_names)
        sums, lost = self._buried_costs.copy(), self._buried_lost
        for key, file in list(self._files.items()):
            alive = file.alive()  # asked first: what a dead process's file holds is final
            counters = file.counters()
            found: Counter[tuple[int, str]] = Counter()
            for kind, text, count in file.named():
                found[kind, text] += count  # names that were cut can read alike
            totals += counters
            sums += file.ledger.total
            lost += file.ledger.lost
            names.update(found)
            if alive:
                live.append((file, counters))
            else:
                self._bury(key, file, counters, found)
        serving = self._serving(live)
        self._serving_now = {key for key, file in self._files.items() if file in serving}
        flying = sum(max(0, int(each[BEGUN] - each[ENDED])) for _, each in live)
        return GaugeTotals(
            processes=len(serving),
            processes_ended=self._ended,
            slots=sum(file.slots for file in serving),
            in_flight=flying,
            begun=int(totals[BEGUN]),
            ended=int(totals[ENDED]),
            busy_ns=int(sums[ledger.M_NS]),
            connects=int(totals[CONNECTS]),
            connect_ns=int(totals[CONNECT_NS]),
            connect_failed=int(totals[CONNECT_FAILED]),
            exceptions=_of_kind(names, layout.EXCEPTION),
            connect_errors=_of_kind(names, layout.CONNECT_ERROR),
            refused=_of_kind(names, layout.REFUSED),
            hooks_off=_of_kind(names, layout.HOOK_OFF),
            counters={**{name: int(sums[at]) for name, at in COSTS.items()}, "records_lost": lost},
            loop=_loops([file for file, _ in live]),
        )

    def meters(self) -> Meters:
        """What each route, statement, host and cache command has taken so far, in living and dead processes."""
        with self._lock:
            self._read()
            found = merged([self._buried_meters])
            return merged([found, *(meters_of(file.words, file.ledger) for file in self._files.values())])

    def spans(self) -> NDArray[np.int64]:
        """(entry_ns, exit_ns) of requests that ended since the last call, in no order; lost where a ring ran over."""
        with self._lock:
            self._read()
            found, self._buried_spans = self._buried_spans, []
            found += [file.ledger.spans() for file in self._files.values()]
            return np.concatenate(found) if found else NO_SPANS

    def timings(self) -> list[Timing]:
        """The sampled requests that ended since the last call."""
        with self._lock:
            self._read()
            found, self._buried_timings = self._buried_timings, []
            for file in self._files.values():
                found += file.ledger.timings
                file.ledger.timings = []
            return found

    def close(self) -> None:
        """Unmap every file."""
        with self._lock:
            for file in self._files.values():
                file.close()
            self._files.clear()

    def _discover(self) -> None:
        try:
            with os.scandir(self.folder) as entries:
                new = [
                    (entry.path, (entry.name, entry.inode())) for entry in entries if entry.name.endswith(layout.SUFFIX)
                ]
        except OSError:
            return
        for path, key in new:
            if key not in self._files and key not in self._gone:
                self._take(path, key)

    def _take(self, path: str, key: tuple[str, int]) -> None:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            self._files[key] = _File(descriptor)
        except (OSError, ValueError):
            os.close(descriptor)

    def _bury(
        self, key: tuple[str, int], file: _File, counters: NDArray[np.int64], names: Counter[tuple[int, str]]
    ) -> None:
        self._buried += counters
        self._buried_names.update(names)
        self._buried_costs += file.ledger.total
        self._buried_lost += file.ledger.lost
        self._buried_spans.append(file.ledger.spans())
        self._buried_timings += file.ledger.timings
        self._buried_meters = merged([self._buried_meters, meters_of(file.words, file.ledger)])
        if counters[BEGUN]:
            self._served.add(file.pid)
        self._gone.add(key)
        self._ended += bool(counters[BEGUN]) or key in self._serving_now
        del self._files[key]
        file.close()

    def _serving(self, live: list[tuple[_File, NDArray[np.int64]]]) -> list[_File]:
        began = {file.pid for file, counters in live if counters[BEGUN]}
        parents = {file.parent for file, _ in live if file.role == layout.FORKED}
        serving = []
        for file, _ in live:
            if file.role == layout.OTHER:
                continue
            helper = file.role == layout.FORKED and file.parent in began | self._served
            master = file.pid in parents
            if file.pid in began or not (helper or master):
                serving.append(file)
        return serving


def _loops(files: list[_File]) -> dict[str, int]:
    sums = dict.fromkeys(LOOP, 0)
    for file in files:
        for name, value in zip(LOOP, file.view[layout.LAGS_AT : layout.ASGIREF_QUEUE_AT + 1].tolist(), strict=True):
            sums[name] = max(sums[name], value) if name == "lag_most_ns" else sums[name] + value
    return sums


def _of_kind(names: Counter[tuple[int, str]], kind: int) -> dict[str, int]:
    return {text: count for (each, text), count in names.items() if each == kind}
