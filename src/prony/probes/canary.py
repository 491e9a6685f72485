"""Cores in, the time that a small fixed piece of work takes on each out: a noisy neighbour shows here, not in steal."""

from __future__ import annotations

import hashlib
import os
import statistics
import time

from prony.recording import Reading

_BLOCK = b"\0" * 65_536
_BLOCKS = 40
_TIMES = 5  # at least, and for so long: on a quick machine five are over before a neighbour has its turn
_FOR_S = 0.02
_CORES_MOST = 8


def canary(core_of: str, cores: tuple[int, ...]) -> list[Reading]:
    """Hashes a fixed block on each core, five times and for 20 ms at least, and gives the median seconds.

    Of the first core the reading is called `stack_s` or `generator_s`, of further ones `stack_2_s` and so on, up to 8.
    """
    before = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else None
    found = []
    try:
        for number, core in enumerate(cores[:_CORES_MOST] if before is not None else cores[:1], start=1):
            if before is not None:
                os.sched_setaffinity(0, {core})
            name = f"{core_of}_s" if number == 1 else f"{core_of}_{number}_s"
            found.append(Reading(time.monotonic_ns(), "canary", name, _timed_s()))
    finally:
        if before is not None:
            os.sched_setaffinity(0, before)
    return found


def _timed_s() -> float:
    times_s: list[float] = []
    while len(times_s) < _TIMES or sum(times_s) < _FOR_S:
        began_ns = time.perf_counter_ns()
        digest = hashlib.sha256()
        for _ in range(_BLOCKS):
            digest.update(_BLOCK)
        times_s.append((time.perf_counter_ns() - began_ns) / 1e9)
    return statistics.median(times_s)
