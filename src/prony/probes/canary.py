"""A core in, the time that a small fixed piece of work takes on it out: a noisy neighbour shows here, not in steal."""

from __future__ import annotations

import hashlib
import os
import statistics
import time

from prony.recording import Reading

_BLOCK = b"\0" * 65_536
_BLOCKS = 40
_TIMES = 5


def canary(core_of: str, cores: tuple[int, ...]) -> list[Reading]:
    """Hashes a fixed block on one core, five times, and gives the median seconds; about 10 ms in all."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else None
    try:
        if before is not None:
            os.sched_setaffinity(0, cores[:1])
        times_s = []
        for _ in range(_TIMES):
            began_ns = time.perf_counter_ns()
            digest = hashlib.sha256()
            for _ in range(_BLOCKS):
                digest.update(_BLOCK)
            times_s.append((time.perf_counter_ns() - began_ns) / 1e9)
    finally:
        if before is not None:
            os.sched_setaffinity(0, before)
    return [Reading(time.monotonic_ns(), "canary", f"{core_of}_s", statistics.median(times_s))]
