"""Cores in, the time that small fixed pieces of work take on each out: a noisy neighbour shows here, not in steal."""

from __future__ import annotations

import functools
import hashlib
import os
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from prony.recording import Reading

_BLOCK = b"\0" * 65_536
_BLOCKS = 40
_OBJECTS = 12_000  # with what they hold some 4 MB: more than a core's own caches
_WALKED = 6_000  # of them in one piece
_TIMES = 5  # at least, and for so long: on a quick machine five are over before a neighbour has its turn
_FOR_S = 0.02
_CORES_MOST = 8


def canary(core_of: str, cores: tuple[int, ...]) -> list[Reading]:
    """Two pieces of work on each core, each five times and for 20 ms at least: the median seconds of each.

    One hashes a block: that is computing alone. The other walks over Python's objects, as an app does, and shows as
    well who shares the caches behind the core's own: docs/measuring.md has by how much.

    Of the first core the readings are called `stack_s` and `stack_memory_s`, or `generator_s` and so on; of further
    ones `stack_2_s`, `stack_2_memory_s`, up to 8.
    """
    before = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else None
    objects, found = _objects(), []
    try:
        for number, core in enumerate(cores[:_CORES_MOST] if before is not None else cores[:1], start=1):
            if before is not None:
                os.sched_setaffinity(0, {core})
            name = core_of if number == 1 else f"{core_of}_{number}"
            for reading, work in ((f"{name}_s", _hash), (f"{name}_memory_s", functools.partial(_walk, objects))):
                taken_s = _timed_s(work)
                found.append(Reading(time.monotonic_ns(), "canary", reading, taken_s))
    finally:
        if before is not None:
            os.sched_setaffinity(0, before)
    return found


def _timed_s(work: Callable[[], object]) -> float:
    times_s: list[float] = []
    while len(times_s) < _TIMES or sum(times_s) < _FOR_S:
        began_ns = time.perf_counter_ns()
        work()
        times_s.append((time.perf_counter_ns() - began_ns) / 1e9)
    return statistics.median(times_s)


def _hash() -> None:
    digest = hashlib.sha256()
    for _ in range(_BLOCKS):
        digest.update(_BLOCK)


def _walk(objects: list[dict[str, Any]]) -> int:
    found = 0
    for each in objects:
        found += each["number"] + len(each["name"]) + len(each["values"])
    return found


@functools.cache
def _objects() -> list[dict[str, Any]]:
    made = [{"number": i, "name": str(i), "values": [i] * 5} for i in range(1000, 1000 + _OBJECTS)]
    return random.Random(1).sample(made, _WALKED)  # noqa: S311 - an order that the processor does not foresee
