"""Turns what happens in this process into aligned stores in one mapped file, which another process reads."""

# ruff: noqa: SIM105, PTH105, PTH118 (what need not be imported into somebody's interpreter is not)

from __future__ import annotations

import os
from _thread import RLock  # the original, taken before gevent puts its own in its place
from struct import Struct
from time import monotonic_ns

from prony_gauge import layout
from prony_gauge.layout import BARE, BEGUN_AT, ENDED_AT, HEAD_AT, PART, RECORD_WORDS, RING_AT, RING_WORDS, SIZE_BITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Callable, Optional

_RING_BYTES = 8 * RING_AT
_PACKERS: list[Optional[Callable[..., None]]] = [None] * (layout.RECORD_MOST + 1)  # by words of a record


def _packer(size: int) -> Callable[..., None]:
    made = _PACKERS[size] = Struct("=" + str(size) + "Q").pack_into
    return made


class Gauge:
    """One process's numbers. The file is made at the first of them, or when the entry has been loaded.

    Nothing here raises into the app: where no file can be made, the numbers go to memory that nobody reads.
    A request's entry time is held by its caller, as several are in flight at once.

    Attributes:
        folder: Where the file goes; empty means that the gauge is off.
        slots: How many requests this process can serve at once.
    """

    def __init__(self, folder: str, slots: int) -> None:
        self.folder = folder
        self.slots = slots
        self.role = layout.OTHER
        self.parent = 0
        self.statements: dict[str, int] = {}  # steps of one execution by the text as the app wrote it: see work.py
        self.routes: dict[tuple[str, str], int] = {}  # labels and one, by method and pattern
        self._empty()

    def _empty(self) -> None:
        self.lock = RLock()
        self.pid = 0  # of the process the file is for; 0 while there is none
        self.created = 0
        self.octets = memoryview(b"")
        self.words = self.octets.cast("Q")
        self.names: dict[tuple[int, str], int] = {}
        self.labels: dict[tuple[int, str], int] = {}
        self.statements.clear()  # hooks hold on to it
        self.routes.clear()
        self.begun = self.ended = self.head = self.records = self.parts = 0
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
        with self.lock:
            if not self.pid:
                self._open()
            self.begun = self.words[BEGUN_AT] = self.begun + 1
        return monotonic_ns()

    def end(self, entry: int) -> None:
        """The request that entered then is over, and no more is known of it."""
        if entry >= self.created:  # else it entered in the process that forked this one, and ends there
            self.record(BARE, entry, monotonic_ns(), 0, 0, ())

    def connected(self, began: int, *, failed: bool) -> None:
        """A database connection was tried from `began` until now."""
        if not self.folder:
            return
        taken = monotonic_ns() - began
        with self.lock:
            if not self.pid:
                self._open()
            words = self.words
            words[layout.CONNECTS_AT] += 1
            words[layout.CONNECT_NS_AT] += taken
            words[layout.CONNECT_FAILED_AT] += failed

    def label(self, kind: int, text: str) -> int:
        """The number of that label, given when it has none; beyond the last, one for all others."""
        number = self.labels.get((kind, text))
        if number is not None:
            return number
        with self.lock:
            self._open()
            first, cap = layout.LABEL_FIRST[kind], layout.LABEL_CAPS[kind]
            index = sum(1 for each, _ in self.labels if each == kind)
            full = index >= cap - 1
            index, written = (cap - 1, layout.OTHERS) if full else (index, text)
            number = first + index
            at = layout.LABELS_AT + number * layout.LABEL_WORDS
            octets = written.encode("utf-8", "replace")[: layout.LABEL_BYTES]
            self.octets[8 * at + 8 : 8 * at + 8 + len(octets)] = octets
            self.words[at] = kind << 32 | len(octets)
            if not full:
                self.labels[kind, text] = number
            return number

    def record(self, of: int, entry: int, ended: int, cpu: int, size: int, steps: Sequence[int]) -> None:  # noqa: PLR0917
        """One record to the ring: see layout.py. Nothing is added up here: that is the reader's work."""
        length = RECORD_WORDS + len(steps)
        pack = _PACKERS[length] or _packer(length)
        with self.lock:
            if not self.pid:
                self._open()
            words, head = self.words, self.head
            at = head % RING_WORDS
            if at + length > RING_WORDS:
                words[RING_AT + at] = RING_WORDS - at
                head += RING_WORDS - at
                at = 0
            self.records = number = self.records + 1
            pack(self.octets, _RING_BYTES + 8 * at, number << SIZE_BITS | length, of, entry, ended, cpu, size, *steps)
            self.head = words[HEAD_AT] = head + length  # after it: a reader takes the ring up to here
            if of and of != PART:
                self.ended = words[ENDED_AT] = self.ended + 1

    def failed(self, text: str) -> None:
        """A request ended in the exception of this name."""
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
