"""A load's spec into who is due next, and on which route: arrivals of an open loop, or users of a closed one."""

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
    """Arrivals that do not wait for answers.

    Args:
        spec: Its rate, duration, seed and weights.
    """

    __slots__ = ("_at", "_block", "_due", "_routes", "_routes_block", "_start_ns", "next_ns")

    def __init__(self, spec: LoadSpec) -> None:
        rate_rps = spec.rate_rps or 0.0
        if spec.arrivals == "poisson":
            self._due = arrivals.poisson(rate_rps, spec.duration_s, spec.seed)
        else:
            self._due = arrivals.constant(rate_rps, spec.duration_s)
        self._routes = arrivals.routes([r.weight for r in spec.requests], len(self._due), spec.seed)
        self._at = 0
        self.next_ns = NEVER

    def starts_at(self, start_ns: int) -> None:
        """Set the instant from which due times count (monotonic), before anything is taken."""
        self._start_ns = start_ns
        self._load_block()

    def _load_block(self) -> None:
        """Plain integers for the next arrivals: numpy's own are slow one by one."""
        self._block = (self._due[self._at : self._at + _BLOCK] + self._start_ns).tolist()
        self._block.reverse()
        self._routes_block = self._routes[self._at : self._at + _BLOCK].tolist()
        self._routes_block.reverse()
        self._at += len(self._block)
        self.next_ns = self._block[-1] if self._block else NEVER

    def take(self) -> int:
        """The route of what is due at `next_ns`, which moves on."""
        route: int = self._routes_block.pop()
        self._block.pop()
        if self._block:
            self.next_ns = self._block[-1]
        else:
            self._load_block()
        return route


class Closed:
    """Users that each send the next request when the former has ended; the first ones spread over `SPREAD_NS`.

    Args:
        spec: Its users, seed and weights.
    """

    __slots__ = ("_block", "_blocks", "_due", "_seed", "_users", "_weights", "next_ns")

    def __init__(self, spec: LoadSpec) -> None:
        self._users = spec.users or 1
        self._due: list[int] = []
        self._weights = [request.weight for request in spec.requests]
        self._seed = spec.seed
        self._blocks = 0
        self._block: list[int] = []
        self.next_ns = NEVER

    def starts_at(self, start_ns: int) -> None:
        """Set the instant at which the first user is due (monotonic), before anything is taken."""
        self._due = [start_ns + user * SPREAD_NS // self._users for user in range(self._users)]
        self.next_ns = self._due[0]

    def take(self) -> int:
        """The route of what is due at `next_ns`, which moves on."""
        heapq.heappop(self._due)
        self.next_ns = self._due[0] if self._due else NEVER
        return self.route()

    def route(self) -> int:
        """The route of a request that is due right now."""
        if len(self._weights) == 1:
            return 0
        if not self._block:
            block: list[int] = arrivals.routes(self._weights, _BLOCK, self._seed + 1_000_003 * self._blocks).tolist()
            self._block = block
            self._blocks += 1
        return self._block.pop()

    def put(self, due_ns: int) -> None:
        """Have a user become due."""
        heapq.heappush(self._due, due_ns)
        self.next_ns = self._due[0]
