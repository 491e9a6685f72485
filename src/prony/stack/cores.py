"""This machine's cores in, who runs where out: the generator never shares a core with the app where there are two."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

_ONE_IN: Final = 4  # cores is the generator's


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores each part may use.

    Attributes:
        generator: The load generator's: one in four, alone there where there are four or more.
        side: For prony itself, its probes and the proxies that stand in for a network.
        stack: For the app tier and its stores, which share them.
    """

    generator: tuple[int, ...]
    side: tuple[int, ...]
    stack: tuple[int, ...]

    @property
    def shared(self) -> bool:
        """Whether the generator and the stack share a core: then capacity is only ever "at least"."""
        return bool(set(self.generator) & set(self.stack))


def divide(cores: tuple[int, ...] | None = None) -> Cores:
    """The cores this process may use, divided."""
    if cores is None:
        cores = (
            tuple(sorted(os.sched_getaffinity(0)))
            if hasattr(os, "sched_getaffinity")
            else tuple(range(os.cpu_count() or 1))
        )
    if len(cores) == 1:
        return Cores(cores, cores, cores)
    count = len(cores) // _ONE_IN
    if not count:
        return Cores(cores[:1], cores[:1], cores[1:])
    return Cores(cores[:count], cores[count : count + 1], cores[count + 1 :])
