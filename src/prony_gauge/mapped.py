"""Turns what happens in this process into aligned stores in one mapped file, which another process reads."""

# ruff: noqa: SIM105, PTH105, PTH118 (what need not be imported into somebody's interpreter is not)

from __future__ import annotations

import os
import sys
from _thread import RLock, get_ident  # the originals, taken before gevent puts its own in their place
from time import monotonic_ns

from prony_gauge import layout
from prony_gauge.layout import BEGUN, BUSY, ENDED, LAST_ENTRY, LAST_EXIT, RING, RING_AT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Optional


class Gauge:
    """One process's numbers. The file is made at the first of them, or when the entry has been loaded.

    Nothing here raises into the app: where no file can be made, the numbers go to memory that nobody reads.
    A request's entry time is held by its caller, as several are in flight on one row under gevent.

    Attributes:
        folder: Where the file goes; empty means that the gauge is off.
        slots: How many requests this process can serve at once.
    """

    def __init__(self, folder: str, slots: int) -> None:
        self.folder = folder
        self.slots = slots
        self.role = layout.OTHER
        self.parent = 0
        self._empty()

    def _empty(self) -> None:
        self.lock = RLock()
        self.pid = 0  # of the process the file is for; 0 while there is none
        self.created = 0
        self.octets = memoryview(b"")
        self.words = self.octets.cast("Q")
        self.rows: dict[int, int] = {}
        self.names: dict[tuple[int, str], int] = {}
        self.meters: dict[tuple[int, str], int] = {}
        self.statements: dict[str, int] = {}  # meters by the text as the app wrote it: see statements.py
        self.descriptor: Optional[int] = None

    def serving(self) -> None:
        """The entry has been loaded here: from now on this is a booted worker, or a master that preloads."""
        self.role = layout.LOADED
        self._open()
        self.words[layout.ROLE_AT] = self.role

    def forked(self) -> None:
        """This is a child: leave the parent's file alone, and have one of one's own where the entry is loaded."""
        parent, descriptor = self.pid, self.descriptor
        self._empty()  # which lets go of the parent's mapping
        try:
            if descriptor is not None:
                os.close(descriptor)
        except OSError:
            pass  # the app closed it before us
        try:
            if self.role != layout.OTHER:
                self.role, self.parent = layout.FORKED, parent
                self._open()
        except Exception:
            pass

    def begin(self) -> int:
        """A request enters: its entry time, to be handed to `end`."""
        try:
            at = self.rows[get_ident()]
        except KeyError:
            at = self._row()
        words = self.words
        now = monotonic_ns()
        words[at + BEGUN] += 1
        words[at + LAST_ENTRY] = now
        return now

    def end(self, entry: int) -> None:
        """The request that entered then is over."""
        if entry < self.created:
            return  # it entered in the process that forked this one, and ends there
        try:
            at = self.rows[get_ident()]
        except KeyError:
            at = self._row()
        words = self.words
        now = monotonic_ns()
        ended = words[at + ENDED]
        pair = at + RING_AT + 2 * (ended % RING)
        words[pair] = entry
        words[pair + 1] = now
        words[at + BUSY] += now - entry
        words[at + LAST_EXIT] = now
        words[at + ENDED] = ended + 1  # last: a reader takes the ring up to here

    def connected(self, began: int, *, failed: bool) -> None:
        """A database connection was tried from `began` until now."""
        if not self.folder:
            return
        at = self.rows.get(get_ident()) or self._row()
        words = self.words
        words[at + layout.CONNECTS] += 1
        words[at + layout.CONNECT_NS] += monotonic_ns() - began
        words[at + layout.CONNECT_FAILED] += failed

    def add(self, *pairs: int) -> None:
        """Add to this thread's counters: (counter, by how much) in turn."""
        at = self.rows.get(get_ident()) or self._row()
        words = self.words
        for i in range(0, len(pairs), 2):
            words[at + pairs[i]] += pairs[i + 1]

    def meter(self, kind: int, text: str) -> int:
        """Where the meter of that label stands, made when there is none; beyond the last, one for all others."""
        at = self.meters.get((kind, text))
        if at is not None:
            return at
        with self.lock:
            self._open()
            first, cap = layout.METER_FIRST[kind], layout.METER_CAPS[kind]
            index = sum(1 for each, _ in self.meters if each == kind)
            full = index >= cap - 1
            index, label = (cap - 1, layout.OTHERS) if full else (index, text)
            at = layout.METERS_AT + (first + index) * layout.METER_WORDS
            octets = label.encode("utf-8", "replace")[: layout.METER_BYTES]
            start = (at + layout.METER_TEXT) * 8
            self.octets[start : start + len(octets)] = octets
            self.words[at] = kind << 32 | len(octets)
            if not full:
                self.meters[kind, text] = at
            return at

    def spend(self, at: int, taken: int, times: int = 1, figures: Sequence[int] = ()) -> None:
        """Add to a meter: nanoseconds, over so many times, and a route's other figures from the fourth on."""
        words = self.words
        figure = at + layout.FIGURES_AT
        bucket = at + layout.BUCKETS_AT + min((taken // times if times > 1 else taken).bit_length(), layout.BUCKETS - 1)
        with self.lock:  # threads share a meter, and an addition is not one step
            for i, value in enumerate(figures):
                if value:
                    words[figure + 3 + i] += value
            words[figure + layout.M_NS] += taken
            words[figure + layout.M_MOST] = max(words[figure + layout.M_MOST], taken)
            words[bucket] += times
            words[figure] += times

    def failed(self, text: str) -> None:
        """A request ended in the exception of this name."""
        if not self.folder:
            return
        at = self.rows.get(get_ident()) or self._row()
        self.words[at + layout.ERRORS] += 1
        self.count(layout.EXCEPTION, text)

    def count(self, kind: int, text: str) -> None:
        """Count one more of this name."""
        if not self.folder:
            return
        try:
            with self.lock:
                self._open()
                at = self.names.get((kind, text)) or self._name(kind, text)
                self.words[at] += 1
        except Exception:
            pass

    def _name(self, kind: int, text: str) -> int:
        index = len(self.names)
        if index >= layout.NAMES - layout.KINDS:
            index, text = layout.NAMES - kind, layout.OTHERS
        at = layout.NAMES_AT + index * layout.NAME_WORDS
        octets = text.encode("utf-8", "replace")[: layout.NAME_BYTES]
        start = (at + layout.TEXT) * 8
        self.octets[start : start + len(octets)] = octets
        self.words[at + layout.KIND_LENGTH] = kind << 32 | len(octets)
        if index < layout.NAMES - layout.KINDS:
            self.names[kind, text] = at
        return at

    def _row(self) -> int:
        """This thread's row, made when it has none; beyond the last, one of a thread that has gone, or shared."""
        ident = get_ident()
        with self.lock:
            self._open()
            used = self.words[layout.USED_AT]
            at = layout.ROWS_AT + used * layout.ROW_WORDS if used < layout.ROWS else self._left()
            self.rows[ident] = at
            self.words[layout.USED_AT] = min(used + 1, layout.ROWS)
            return at

    def _left(self) -> int:
        running = sys._current_frames()  # noqa: SLF001 - threads that are in Python: others look for their row anew
        for ident, at in self.rows.items():
            if ident not in running:
                del self.rows[ident]
                return at
        return layout.ROWS_AT + (layout.ROWS - 1) * layout.ROW_WORDS

    def _open(self) -> None:
        with self.lock:
            if self.pid:
                return
            self.pid = os.getpid()
            self.created = monotonic_ns()
            path = os.path.join(self.folder, str(self.pid) + layout.SUFFIX)
            try:
                self.octets = self._file(path + ".new")
            except Exception:
                self.octets = memoryview(bytearray(layout.SIZE_BYTES))
            words = self.words = self.octets.cast("Q")
            words[layout.VERSION_AT] = layout.VERSION
            words[layout.PID_AT] = self.pid
            words[layout.PARENT_AT] = self.parent
            words[layout.SLOTS_AT] = self.slots
            words[layout.CREATED_AT] = self.created
            words[layout.ROLE_AT] = self.role
            words[layout.MAGIC_AT] = layout.MAGIC
            if self.descriptor is not None:
                try:
                    os.replace(path + ".new", path)  # a dead process's file of the same pid gives way
                except OSError:
                    pass

    def _file(self, path: str) -> memoryview:
        import mmap

        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.truncate(descriptor, layout.SIZE_BYTES)
            mapping = mmap.mmap(descriptor, layout.SIZE_BYTES)
            os.lockf(descriptor, os.F_TLOCK, 0)
        except BaseException:
            os.close(descriptor)
            raise
        self.descriptor = descriptor  # never closed: closing it would let go of the lock
        return memoryview(mapping)


def _from_environment() -> Gauge:
    slots = os.environ.get("PRONY_GAUGE_SLOTS", "")
    return Gauge(os.environ.get("PRONY_GAUGE_DIR", ""), int(slots) if slots.isdigit() else 1)


GAUGE = _from_environment()
_follows = False


def follow_forks() -> None:
    """Give every child that this process forks a gauge of its own."""
    global _follows
    if GAUGE.folder and not _follows:
        _follows = True
        os.register_at_fork(after_in_child=GAUGE.forked)
