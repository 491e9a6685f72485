"""Probes in, a stream of readings and events out: threads that ask each in its own rhythm while a trial runs."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prony.recording import Event, Reading

Items = Sequence[Reading | Event]

QUICK_S = 0.5  # what is asked more often has a thread of its own: no service that answers late holds it up
FIRST_S, END_S = 5.0, 5.0  # how long a round of all probes may take before the load, and after it
SLOW = 0.5  # of its period, for one look
SLOW_SHARE = 0.05  # of a probe's looks
COST_EVERY_S = 1.0


def _nothing() -> Items:
    return ()


@dataclass(slots=True)
class Probe:
    """One thing to ask, and how often; a probe that fails or is slow is an event, once, and never a crash.

    Attributes:
        name: What a person calls it.
        every_s: Its rhythm.
        read: What it finds now.
        end: What it has to say at the end of the trial, besides.
        close: Gives back what it holds.
    """

    name: str
    every_s: float
    read: Callable[[], Items]
    end: Callable[[], Items] = _nothing
    close: Callable[[], None] = lambda: None
    failures: int = 0
    looks: int = 0
    slow: int = 0
    longest_s: float = 0.0


class _Round(threading.Thread):
    """One thread: asks its probes at once, then each in its rhythm, and all once more before it ends."""

    def __init__(self, probes: Sequence[Probe], put: Callable[[Items], None], stop: threading.Event) -> None:
        super().__init__(name="prony-sampler", daemon=True)
        self.probes, self._put, self._stopped = probes, put, stop
        self.first = threading.Event()
        self.asking: Probe | None = None
        self.cpu_s = 0.0

    def run(self) -> None:
        for probe in self.probes:
            self._ask(probe, probe.read)
        self.first.set()
        now_s = time.monotonic()
        due_s = [now_s + probe.every_s for probe in self.probes]
        while not self._stopped.wait(max(0.0, min(due_s) - time.monotonic())):
            now_s = time.monotonic()  # the same for all of a rhythm, which then come in one go
            for number, probe in enumerate(self.probes):
                if due_s[number] <= now_s and not self._stopped.is_set():
                    due_s[number] = max(due_s[number], now_s - probe.every_s) + probe.every_s
                    self._ask(probe, probe.read)
            self.cpu_s = time.thread_time()
        for probe in self.probes:
            self._ask(probe, probe.read)
            self._ask(probe, probe.end)
        self.cpu_s = time.thread_time()

    def _ask(self, probe: Probe, what: Callable[[], Items]) -> None:
        began_s = time.monotonic()
        self.asking = probe
        try:
            self._put(what())
        except Exception as error:  # noqa: BLE001 - whatever a probe meets, the trial goes on and says so
            probe.failures += 1
            if probe.failures == 1:
                self._put([failed(probe, f"{type(error).__name__}: {error}")])
        self.asking = None
        if what is not probe.read:
            return
        took_s = time.monotonic() - began_s
        probe.looks += 1
        probe.slow += took_s > SLOW * probe.every_s
        probe.longest_s = max(probe.longest_s, took_s)


class Sampler:
    """Asks its probes until stopped. Use as a context manager: each is asked once more on leaving, then closed.

    Its own cost is a reading too: `cpu_s` of the tier "probes".
    """

    def __init__(self, probes: Sequence[Probe]) -> None:
        self._found: queue.SimpleQueue[Items] = queue.SimpleQueue()
        self._stop = threading.Event()
        own = Probe("the probes' own cost", COST_EVERY_S, self._cost)
        quick = [probe for probe in probes if probe.every_s < QUICK_S]
        rest = [*(probe for probe in probes if probe.every_s >= QUICK_S), own]
        self._rounds = [_Round(each, self._found.put, self._stop) for each in (quick, rest) if each]

    def __enter__(self) -> Sampler:  # noqa: PYI034 - final by intent
        for each in self._rounds:
            each.start()
        for each in self._rounds:
            each.first.wait(FIRST_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for each in self._rounds:
            each.join(END_S)
            stuck = each.asking if each.is_alive() else None
            if stuck is not None:
                self._found.put([failed(stuck, f"no answer in {END_S:.0f} s")])
            for probe in each.probes:
                if probe.slow > SLOW_SHARE * probe.looks:
                    self._found.put([slow(probe)])
                if probe is not stuck:
                    with contextlib.suppress(Exception):
                        probe.close()

    @property
    def cpu_s(self) -> float:
        """CPU time that all of its threads have used."""
        return sum(each.cpu_s for each in self._rounds)

    def take(self) -> tuple[list[Reading], list[Event]]:
        """What was found since the last call."""
        readings: list[Reading] = []
        events: list[Event] = []
        while True:
            try:
                items = self._found.get_nowait()
            except queue.Empty:
                return readings, events
            for item in items:
                if isinstance(item, Reading):
                    readings.append(item)
                else:
                    events.append(item)

    def _cost(self) -> Items:
        return [Reading(time.monotonic_ns(), "probes", "cpu_s", self.cpu_s)]


def failed(probe: Probe, why: str) -> Event:
    """The event of a probe whose figures are missing."""
    return Event(time.monotonic_ns(), "probe_failed", "prony", f"{probe.name}: {why}"[:300])


def slow(probe: Probe) -> Event:
    """The event of a probe that took too much of its period too often."""
    text = (
        f"{probe.name}: {probe.slow} of {probe.looks} looks took over half of the {probe.every_s:g} s between them, "
        f"the longest {probe.longest_s:.2g} s"
    )
    return Event(time.monotonic_ns(), "probe_slow", "prony", text)
