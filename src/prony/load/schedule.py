"""A load's spec into who is due next: arrivals of an open loop, or users of a closed one."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

from prony.traffic import arrivals

if TYPE_CHECKING:
    from prony.load.spec import LoadSpec

NEVER: Final = 2**62
SPREAD_NS: Final = 100_000_000  # the users of a closed loop start one after the other within this time
_BLOCK: Final = 4096


class Open:
    """Arrivals that do not wait for answers; each is a user of its own, numbered from 0.

    Args:
        spec: Its rate, duration and seed.
    """

    __slots__ = ("_at", "_block", "_due", "_start_ns", "_step", "_user", "next_ns")

    def __init__(self, spec: LoadSpec) -> None:
        rate_rps = spec.rate_rps or 0.0
        if spec.arrivals == "poisson":
            self._due = arrivals.poisson(rate_rps, spec.duration_s, spec.seed)
        else:
            self._due = arrivals.constant(rate_rps, spec.duration_s)
        self._due = self._due[spec.shard :: spec.shards]
        self._at = 0
        self._step = spec.shards
        self._user = spec.shard - spec.shards
        self.next_ns = NEVER

    def starts_at(self, start_ns: int) -> None:
        """Set the instant from which due times count (monotonic), before anything is taken."""
        self._start_ns = start_ns
        self._load_block()

    def _load_block(self) -> None:
        """Plain integers for the next arrivals: numpy's own are slow one by one."""
        self._block = (self._due[self._at : self._at + _BLOCK] + self._start_ns).tolist()
        self._block.reverse()
        self._at += len(self._block)
        self.next_ns = self._block[-1] if self._block else NEVER

    def take(self) -> int:
        """The user who is due at `next_ns`, which moves on."""
        self._block.pop()
        if self._block:
            self.next_ns = self._block[-1]
        else:
            self._load_block()
        self._user += self._step
        return self._user


class Closed:
    """Users that each send the next request when the former has ended; the first ones spread over `SPREAD_NS`.

    Args:
        spec: Its users.
    """

    __slots__ = ("_due", "_own", "_users", "next_ns")

    def __init__(self, spec: LoadSpec) -> None:
        self._users = spec.users or 1
        self._own = range(spec.shard, self._users, spec.shards)
        self._due: list[tuple[int, int]] = []
        self.next_ns = NEVER

    def starts_at(self, start_ns: int) -> None:
        """Set the instant at which the first user is due (monotonic), before anything is taken."""
        self._due = [(start_ns + user * SPREAD_NS // self._users, user) for user in self._own]
        self.next_ns = self._due[0][0] if self._due else NEVER

    def take(self) -> int:
        """The user who is due at `next_ns`, which moves on."""
        _, user = heapq.heappop(self._due)
        self.next_ns = self._due[0][0] if self._due else NEVER
        return user

    def put(self, due_ns: int, user: int) -> None:
        """Have a user become due."""
        heapq.heappush(self._due, (due_ns, user))
        self.next_ns = self._due[0][0]
