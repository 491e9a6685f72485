"""The gauge's totals in, readings of the workers and events of what went wrong in the app out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from prony.probes.gauge import GaugeReader, GaugeTotals
from prony.probes.meters import rows_of, since
from prony.probes.timed import text_of
from prony.recording import Event, Reading

TABLE = "gauge_table"  # the kind of event that holds one row of a trial's tables, as JSON: summary.gauged reads it
TIMED = "gauge_timed"  # the same of a sampled request: summary.sampled reads it
OFF, MISSING = "hook_off", "this hook failed and is off; what it would tell is missing"
LEVELS = ("tokens_used", "tokens_waited_for")


class Workers:
    """Reads the gauge of one start: levels often, counters each second.

    Args:
        folder: Where its files are.
        recycles: Whether a server of this start replaces workers of its own accord, after so many requests.
    """

    def __init__(self, folder: Path, *, recycles: bool = False) -> None:
        self._reader = GaugeReader(folder)
        self._told: dict[tuple[str, str], int] = {}
        self._recycles = recycles
        first = self._reader.read()
        self._ended_before = first.processes_ended
        self._started = first.processes + first.processes_ended
        self._before = self._reader.meters()
        self._reader.spans()  # those of earlier trials on this start
        self._reader.timings()
        for kind, counts in _kinds(first):
            if kind != OFF:  # it stays off: each trial on this start lacks what it would tell
                self._told |= {(kind, name): n for name, n in counts.items()}

    def levels(self) -> list[Reading]:
        """Requests inside the app, and how many could be."""
        in_flight, slots, loop = self._reader.levels()
        now_ns = time.monotonic_ns()
        return [
            Reading(now_ns, "workers", "in_flight", float(in_flight)),
            Reading(now_ns, "workers", "slots", float(slots)),
            *(Reading(now_ns, "workers", name, float(loop[name])) for name in LEVELS if loop["tokens"]),
        ]

    def counters(self) -> list[Reading | Event]:
        """Requests, time, connections and exceptions so far."""
        totals = self._reader.read()
        now_ns = time.monotonic_ns()
        counters = {
            "processes": totals.processes,
            "processes_ended": totals.processes_ended - self._ended_before,
            "begun": totals.begun,
            "ended": totals.ended,
            "busy_s": totals.busy_ns / 1e9,
            "connects": totals.connects,
            "connect_s": totals.connect_ns / 1e9,
            "connect_failed": totals.connect_failed,
            **{_seconds(name): value / _unit(name) for name, value in {**totals.counters, **totals.loop}.items()},
        }
        found: list[Reading | Event] = [Reading(now_ns, "workers", name, float(v)) for name, v in counters.items()]
        spans = self._reader.spans()
        if len(spans):
            in_app_s = np.sort(spans[:, 1] - spans[:, 0]) / 1e9
            for name, q in (("in_app_p50_s", 0.5), ("in_app_p99_s", 0.99)):
                found.append(Reading(now_ns, "workers", name, float(np.quantile(in_app_s, q, method="inverted_cdf"))))
        return found + self._events(totals, now_ns) + self.timed()

    def timed(self) -> list[Event]:
        """The sampled requests since the last call, an event each."""
        now_ns = time.monotonic_ns()
        return [Event(now_ns, TIMED, "app", text_of(timing)) for timing in self._reader.timings()]

    def _events(self, totals: GaugeTotals, now_ns: int) -> list[Event]:
        found = []
        started = totals.processes + totals.processes_ended
        if started > self._started:
            kind, why = ("recycled", "after its share of requests") if self._recycles else ("restarted", "in its place")
            text = f"a serving process ended, and its server started another {why}"
            found.append(Event(now_ns, kind, "app", text, started - self._started))
            self._started = started
        for kind, counts in _kinds(totals):
            for name, count in counts.items():
                new = count - self._told.get((kind, name), 0)
                if new > 0:
                    found.append(Event(now_ns, kind, "app", f"{name}: {MISSING}" if kind == OFF else name, new))
                    self._told[kind, name] = count
        return found

    def tables(self) -> list[Event]:
        """What each route, statement, host and cache command took in this trial: asked at its end, one event each."""
        added = since(self._before, self._reader.meters())
        now_ns = time.monotonic_ns()
        return [Event(now_ns, TABLE, "app", msgspec.json.encode(row).decode()) for row in rows_of(added)]

    def close(self) -> None:
        """Unmaps the files."""
        self._reader.close()


def _seconds(name: str) -> str:
    return name.removesuffix("_ns") + "_s" if name.endswith("_ns") else name


def _unit(name: str) -> float:
    return 1e9 if name.endswith("_ns") else 1.0


def _kinds(totals: GaugeTotals) -> list[tuple[str, Mapping[str, int]]]:
    return [
        ("exception", totals.exceptions),
        ("connect_error", totals.connect_errors),
        (OFF, totals.hooks_off),
    ]
