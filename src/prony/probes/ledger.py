"""Turns the records that a gauge file's ring receives into sums by label, spans of requests, and timelines."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prony_gauge import layout

# The figures that are kept of a label: all have the first three, a cache its lookups and hits, a route all of them.
M_COUNT, M_NS, M_MOST = 0, 1, 2
M_CPU_NS, M_CPU_TIMED, M_STATEMENTS, M_STATEMENT_NS, M_POOL_WAITS, M_POOL_NS, M_CONNECTS, M_CONNECT_NS = range(3, 11)
M_OUTBOUND, M_OUTBOUND_NS, M_CACHE_CALLS, M_CACHE_NS, M_LOOKUPS, M_HITS, M_BYTES = range(11, 18)
FIGURES = 18
BUCKETS = 46  # bucket b counts what took 2^(b-1) ns or more, and less than 2^b

STEP_KINDS = {
    layout.S_STATEMENT: "statement",
    layout.S_POOL: "pool",
    layout.S_CONNECT: "connect",
    layout.S_OUTBOUND: "outbound",
    layout.S_CACHE: "cache",
}
PENDING_MOST = 1000  # requests that left parts and have not ended
TIMINGS_MOST = 5000  # kept until they are asked for
NO_SPANS = np.empty((0, 2), dtype=np.int64)
_TIMES = {  # by kind of step, the figures that its times and its nanoseconds go to
    layout.S_STATEMENT: (M_STATEMENTS, M_STATEMENT_NS),
    layout.S_POOL: (M_POOL_WAITS, M_POOL_NS),
    layout.S_CONNECT: (M_CONNECTS, M_CONNECT_NS),
    layout.S_OUTBOUND: (M_OUTBOUND, M_OUTBOUND_NS),
    layout.S_CACHE: (M_CACHE_CALLS, M_CACHE_NS),
}
_LABELLED = (layout.S_STATEMENT, layout.S_OUTBOUND, layout.S_CACHE)

Table = NDArray[np.int64]


class Step(NamedTuple):
    """One part of a request: its kind, its label (empty where it has none), and its two instants in ns."""

    kind: str
    label: str
    began_ns: int
    ended_ns: int


class Timing(NamedTuple):
    """One sampled request as the app saw it, instants in ns of CLOCK_MONOTONIC."""

    id: int
    due_ns: int
    sent_ns: int
    entry_ns: int
    exit_ns: int
    route: str
    steps: tuple[Step, ...]


class Ledger:
    """Adds up one file's records, each once.

    Attributes:
        figures: By label's number, the figures above, shape (LABELS, FIGURES).
        buckets: By label's number, a histogram of powers of two of nanoseconds, shape (LABELS, BUCKETS).
        total: The figures of everything together, requests or not; count and time are those of requests.
        lost: Records that the ring ran over before they were read.
        seen: Words of the ring that were read.
        timings: Requests that carried their instants, until somebody takes them.
    """

    def __init__(self, words: NDArray[np.uint64]) -> None:
        self._words = words
        self._ring = words[layout.RING_AT :]
        self.figures: Table = np.zeros((layout.LABELS, FIGURES), dtype=np.int64)
        self.buckets: Table = np.zeros((layout.LABELS, BUCKETS), dtype=np.int64)
        self.total: NDArray[np.int64] = np.zeros(FIGURES, dtype=np.int64)
        self.lost = 0
        self.timings: list[Timing] = []
        self._spans: list[NDArray[np.int64]] = []
        # By number of a request that left parts: their figures, and their steps where it is a sampled one.
        self._pending: dict[int, tuple[Table, list[Table]]] = {}
        self.seen = 0
        self._number = 0

    def take(self) -> None:
        """Adds up what has come since the last call."""
        head = int(self._words[layout.HEAD_AT])
        if head == self.seen:
            return
        first = self.seen
        if head - first > layout.RING_WORDS - layout.RECORD_MOST:
            first = head - head % layout.RING_WORDS  # a record begins there whatever was overwritten
        at = first % layout.RING_WORDS
        length = head - first
        taken = self._ring[at : at + length]
        if len(taken) < length:
            taken = np.concatenate([taken, self._ring[: length - len(taken)]])
        words = taken.astype(np.int64)
        if int(self._words[layout.HEAD_AT]) - first > layout.RING_WORDS - layout.RECORD_MOST:
            self.seen = head  # it was overwritten while it was copied: the next call tells how much is lost
            return
        self.seen = head
        places = _places(words, layout.RING_WORDS - at)
        if places:
            self._add(words, np.array(places))

    def spans(self) -> NDArray[np.int64]:
        """(entry_ns, exit_ns) of the requests that ended since the last call."""
        found, self._spans = self._spans, []
        return np.concatenate(found) if found else NO_SPANS

    def _add(self, words: NDArray[np.int64], places: NDArray[np.int64]) -> None:
        heads = words[places[:, None] + np.arange(layout.RECORD_WORDS)]
        sizes = heads[:, layout.R_SIZE] & ((1 << layout.SIZE_BITS) - 1)
        number = int(heads[-1, layout.R_SIZE] >> layout.SIZE_BITS)
        self.lost += number - self._number - len(places)
        self._number = number
        counts = (sizes - layout.RECORD_WORDS) // 3
        owner = np.repeat(np.arange(len(places)), counts)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        steps = words[(places[owner] + layout.RECORD_WORDS + 3 * within)[:, None] + np.arange(3)]
        own = self._steps(steps, owner, len(places))
        of, kind = heads[:, layout.R_OF], steps[:, 0] >> layout.KIND_BITS & 15
        requests = (of != layout.ALONE) & (of != layout.PART)
        spent = (heads[:, layout.R_EXIT] - heads[:, layout.R_ENTRY])[requests]
        cpu = np.where(requests, heads[:, layout.R_CPU_NS], 0)
        own[requests, M_COUNT], own[requests, M_NS] = 1, spent
        own[:, M_CPU_NS], own[:, M_CPU_TIMED], own[:, M_BYTES] = cpu, cpu > 0, heads[:, layout.R_BYTES]
        self.total += own.sum(axis=0)
        self._spans.append(heads[requests][:, [layout.R_ENTRY, layout.R_EXIT]])
        ends = np.cumsum(counts)
        left: dict[int, list[Table]] = {}  # by record, the steps of the parts before it
        for index in np.flatnonzero(of == layout.PART):
            its = steps[ends[index] - counts[index] : ends[index]]
            self._keep(int(heads[index, layout.R_CPU_NS]), own[index], its)
        for index in np.flatnonzero(kind == layout.S_PARTS):
            figures, left[owner[index]] = self._pending.pop(int(steps[index, 1]), (0, []))
            own[owner[index]] += figures
        routed = requests & (of != layout.BARE)
        route = of[routed] - 1
        _fold(self.figures, self.buckets, route, own[routed])
        for index in owner[kind == layout.S_TIMING]:
            if len(self.timings) < TIMINGS_MOST and of[index] != layout.PART:
                its = steps[ends[index] - counts[index] : ends[index]]
                self.timings.append(self._timing(heads[index], np.concatenate([*left.get(index, ()), its])))

    def _keep(self, part: int, figures: NDArray[np.int64], steps: NDArray[np.int64]) -> None:
        """What a request has left before its end: its figures, and its steps where it is a sampled one."""
        if part not in self._pending:
            if len(self._pending) >= PENDING_MOST:
                return
            self._pending[part] = (np.zeros(FIGURES, dtype=np.int64), [])
        sums, parts = self._pending[part]
        sums += figures
        if (steps[:, 0] >> layout.KIND_BITS & 15 == layout.S_TIMING).any():
            parts.append(steps.copy())

    def _steps(self, steps: NDArray[np.int64], owner: NDArray[np.int64], records: int) -> Table:
        """Adds steps to their labels; by record, the figures that they come to."""
        own = np.zeros((records, FIGURES), dtype=np.int64)
        what = steps[:, 0]
        kinds = what >> layout.KIND_BITS & 15
        first = what >> layout.FIRST_BITS & layout.COUNT_MOST
        second = what >> layout.SECOND_BITS & layout.COUNT_MOST
        label = what & layout.COUNT_MOST
        taken = np.maximum(steps[:, 2] - steps[:, 1], 0)
        for kind, (count, ns) in _TIMES.items():
            mine = kinds == kind
            if not mine.any():
                continue
            times = first[mine] if kind == layout.S_STATEMENT else np.ones(int(mine.sum()), dtype=np.int64)
            np.add.at(own, (owner[mine], count), times)
            np.add.at(own, (owner[mine], ns), taken[mine])
            added = np.zeros((len(times), FIGURES), dtype=np.int64)
            added[:, M_COUNT], added[:, M_NS] = times, taken[mine]
            if kind == layout.S_CACHE:
                np.add.at(own, (owner[mine], M_LOOKUPS), first[mine])
                np.add.at(own, (owner[mine], M_HITS), second[mine])
                added[:, M_LOOKUPS], added[:, M_HITS] = first[mine], second[mine]
            if kind in _LABELLED:
                _fold(self.figures, self.buckets, label[mine], added)
        return own

    def _timing(self, head: NDArray[np.int64], steps: NDArray[np.int64]) -> Timing:
        found: list[Step] = []
        label = cache(self.label)
        ident = due_ns = sent_ns = 0
        for what, began, ended in steps.tolist():
            kind = what >> layout.KIND_BITS & 15
            if kind == layout.S_TIMING:
                ident, due_ns, sent_ns = what & ((1 << layout.KIND_BITS) - 1), began, ended
            elif kind in STEP_KINDS:
                text = label(what & layout.COUNT_MOST) if kind in _LABELLED else ""
                found.append(Step(STEP_KINDS[kind], text, began, ended))
        of = int(head[layout.R_OF])
        route = self.label(of - 1) if of != layout.BARE else ""
        entry, ended = int(head[layout.R_ENTRY]), int(head[layout.R_EXIT])
        return Timing(ident, due_ns, sent_ns, entry, ended, route, tuple(found))

    def label(self, number: int) -> str:
        """The text of a label."""
        return label_of(self._words, number)[1]


def label_of(words: NDArray[np.uint64], number: int) -> tuple[int, str]:
    """Kind and text of a label, by its number."""
    at = layout.LABELS_AT + number * layout.LABEL_WORDS
    kind, length = divmod(int(words[at]), 1 << 32)
    octets = words[at + 1 : at + layout.LABEL_WORDS].tobytes()[: min(length, layout.LABEL_BYTES)]
    return kind, octets.decode("utf-8", "ignore")


def _places(words: NDArray[np.int64], to_end: int) -> list[int]:
    """Where records begin, given how far it is to the ring's end."""
    found, at, length = [], 0, len(words)
    while at < length:
        head = int(words[at])
        size = head & ((1 << layout.SIZE_BITS) - 1)
        if head >> layout.SIZE_BITS == 0:  # nothing more up to the ring's end
            at = to_end
            continue
        found.append(at)
        at += size
    return found


def _fold(figures: Table, buckets: Table, label: NDArray[np.int64], added: Table) -> None:
    """Adds rows of figures to those of their labels; each row's time is of so many times."""
    if not len(label):
        return
    most = figures[:, M_MOST].copy()
    np.maximum.at(most, label, added[:, M_NS])
    np.add.at(figures, label, added)
    figures[:, M_MOST] = most
    each = added[:, M_NS] // np.maximum(added[:, M_COUNT], 1)
    bucket = np.minimum(np.frexp(each.astype(np.float64))[1], BUCKETS - 1)
    np.add.at(buckets, (label, bucket), added[:, M_COUNT])
