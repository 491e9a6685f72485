"""The gauges of all that is contained in, an event for each way out that was refused to it out."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from prony.probes.gauge import GaugeReader
from prony.recording import Event


class Refusals:
    """Tells each refusal once: in the trial in which it happened, or in the first after it.

    Args:
        folders: Where gauges count: the app's, its workers', its commands'.
        told: How often each had been told already; kept up to date.
    """

    def __init__(self, folders: Iterable[Path], told: dict[str, int]) -> None:
        self._readers = [GaugeReader(folder) for folder in folders]
        self._told = told

    def events(self) -> list[Event]:
        """Those that are new, as "host:port at shop/mail.py:12"."""
        now_ns = time.monotonic_ns()
        found = []
        for text, count in self.counts().items():
            new = count - self._told.get(text, 0)
            if new > 0:
                found.append(Event(now_ns, "egress_refused", "app", text, new))
                self._told[text] = count
        return found

    def counts(self) -> dict[str, int]:
        """How often each was refused so far."""
        found: dict[str, int] = {}
        for reader in self._readers:
            for text, count in reader.read().refused.items():
                found[text] = found.get(text, 0) + count
        return found

    def close(self) -> None:
        """Unmaps the files."""
        for reader in self._readers:
            reader.close()
