"""Probes in, a stream of readings and events out: a thread that asks each in its own rhythm while a trial runs."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prony.recording import Event, Reading

Items = Sequence[Reading | Event]


@dataclass(slots=True)
class Probe:
    """One thing to ask, and how often; a probe that fails is an event, once, and never a crash."""

    name: str
    every_s: float
    read: Callable[[], Items]
    due_s: float = 0.0
    failures: int = 0


class Sampler:
    """Asks its probes until stopped. Use as a context manager: each is asked once more on leaving."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        self._probes = list(probes)
        self._found: queue.SimpleQueue[Reading | Event] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prony-sampler", daemon=True)

    def __enter__(self) -> Sampler:  # noqa: PYI034 - final by intent
        for probe in self._probes:
            self._ask(probe)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=10)
        for probe in self._probes:
            self._ask(probe)

    def take(self) -> tuple[list[Reading], list[Event]]:
        """What was found since the last call."""
        readings: list[Reading] = []
        events: list[Event] = []
        while True:
            try:
                item = self._found.get_nowait()
            except queue.Empty:
                return readings, events
            if isinstance(item, Reading):
                readings.append(item)
            else:
                events.append(item)

    def _run(self) -> None:
        while not self._stop.is_set():
            now_s = time.monotonic()
            for probe in self._probes:
                if probe.due_s <= now_s:
                    self._ask(probe)
            soonest_s = min(probe.due_s for probe in self._probes)
            self._stop.wait(max(0.0, soonest_s - time.monotonic()))

    def _ask(self, probe: Probe) -> None:
        probe.due_s = time.monotonic() + probe.every_s
        try:
            for item in probe.read():
                self._found.put(item)
        except Exception as error:  # noqa: BLE001 - whatever a probe meets, the trial goes on and says so
            probe.failures += 1
            if probe.failures == 1:
                text = f"{probe.name}: {type(error).__name__}: {error}"
                self._found.put(Event(time.monotonic_ns(), "probe_failed", "prony", text[:300]))
