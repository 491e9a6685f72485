"""The gauge's totals in, readings of the workers and events of what went wrong in the app out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from prony.probes.gauge import GaugeReader, GaugeTotals
from prony.recording import Event, Reading


class Workers:
    """Reads the gauge of one start: levels often, counters each second."""

    def __init__(self, folder: Path) -> None:
        self._reader = GaugeReader(folder)
        self._told: dict[tuple[str, str], int] = {}
        first = self._reader.read()
        self._reader.spans()  # those of earlier trials on this start
        for kind, counts in _kinds(first):
            self._told |= {(kind, name): n for name, n in counts.items()}

    def levels(self) -> list[Reading]:
        """Requests inside the app, and how many could be."""
        totals = self._reader.read()
        now_ns = time.monotonic_ns()
        return [
            Reading(now_ns, "workers", "in_flight", float(totals.in_flight)),
            Reading(now_ns, "workers", "slots", float(totals.slots)),
        ]

    def counters(self) -> list[Reading | Event]:
        """Requests, time, connections and exceptions so far."""
        totals = self._reader.read()
        now_ns = time.monotonic_ns()
        counters = {
            "processes": totals.processes,
            "begun": totals.begun,
            "ended": totals.ended,
            "busy_s": totals.busy_ns / 1e9,
            "connects": totals.connects,
            "connect_s": totals.connect_ns / 1e9,
            "connect_failed": totals.connect_failed,
        }
        found: list[Reading | Event] = [Reading(now_ns, "workers", name, float(v)) for name, v in counters.items()]
        spans = self._reader.spans()
        if len(spans):
            in_app_s = np.sort(spans[:, 1] - spans[:, 0]) / 1e9
            for name, q in (("in_app_p50_s", 0.5), ("in_app_p99_s", 0.99)):
                found.append(Reading(now_ns, "workers", name, float(np.quantile(in_app_s, q, method="inverted_cdf"))))
        return found + self._events(totals, now_ns)

    def _events(self, totals: GaugeTotals, now_ns: int) -> list[Event]:
        found = []
        for kind, counts in _kinds(totals):
            for name, count in counts.items():
                new = count - self._told.get((kind, name), 0)
                if new > 0:
                    found.append(Event(now_ns, kind, "app", name, new))
                    self._told[kind, name] = count
        return found

    def close(self) -> None:
        """Unmaps the files."""
        self._reader.close()


def _kinds(totals: GaugeTotals) -> list[tuple[str, Mapping[str, int]]]:
    return [
        ("exception", totals.exceptions),
        ("connect_error", totals.connect_errors),
        ("egress_refused", totals.refused),
    ]
