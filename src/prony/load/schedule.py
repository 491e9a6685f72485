"""A load's spec into who is due next: arrivals of an open loop, users of a closed one, or visitors' sessions."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

from prony.traffic import arrivals, population, profiles
from prony.traffic.profiles import Stretch

if TYPE_CHECKING:
    from prony.load.spec import LoadSpec

NEVER: Final = population.FOR_EVER
_BLOCK: Final = 4096
_THOUGHTS: Final = 16  # pauses of one user drawn at once
_VISITORS: Final = 1024


def schedule_of(spec: LoadSpec) -> Open | Closed | Sessions:
    """Who is due when under a load."""
    if spec.arrivals == "closed":
        return Closed(spec)
    return Open(spec) if spec.session is None else Sessions(spec)


def due_times(spec: LoadSpec) -> arrivals.DueTimes:
    """When requests, or sessions, of an open loop arrive, of all shards: nanoseconds from the start, in order."""
    if spec.profile:
        if spec.arrivals == "poisson":
            return profiles.poisson(spec.profile, spec.seed)
        return profiles.constant(spec.profile)
    rate_rps = spec.rate_rps or 0.0
    if spec.arrivals == "poisson":
        return arrivals.poisson(rate_rps, spec.duration_s, spec.seed)
    return arrivals.constant(rate_rps, spec.duration_s)


class Open:
    """Arrivals that do not wait for answers; each is a user of its own, numbered from 0.

    Args:
        spec: Its rate or profile, duration and seed.

    Attributes:
        goes_on: Whether whoever was answered sends again at once, without being asked for here.
        next_ns: When the next one is due (monotonic).
    """

    __slots__ = ("_at", "_block", "_due", "_start_ns", "_step", "_user", "next_ns")

    goes_on = False

    def __init__(self, spec: LoadSpec) -> None:
        self._due = due_times(spec)[spec.shard :: spec.shards]
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


class Thinking:
    """How long each user pauses between the end of a request and the next one's due time, by the seed.

    Args:
        spec: Its `think_s`, `think_sigma` and seed. Every `_VISITORS`th visitor of sessions draws from the same pauses,
            one after the other: there may be millions.
    """

    __slots__ = ("_drawn", "_left", "_most", "_seed", "_sigma", "_think_ns", "_think_s")

    def __init__(self, spec: LoadSpec) -> None:
        self._think_s, self._sigma, self._seed = spec.think_s, spec.think_sigma, spec.seed
        self._think_ns = round(spec.think_s * 1e9)
        self._most = NEVER if spec.session is None else _VISITORS
        self._left: dict[int, list[int]] = {}
        self._drawn: dict[int, int] = {}

    def pause_ns(self, user: int) -> int:
        """The user's next pause in nanoseconds."""
        if not self._sigma:
            return self._think_ns
        user %= self._most
        left = self._left.get(user)
        if not left:
            drawn = self._drawn.get(user, 0)
            self._drawn[user] = drawn + _THOUGHTS
            found = population.thoughts(
                self._think_s, self._sigma, user=user, seed=self._seed, count=_THOUGHTS, start=drawn
            )
            left = self._left[user] = found[::-1].tolist()
        return left.pop()


class Closed:
    """Users that each send the next request when the former has ended, while they are there.

    A user whose stay has ended sends nothing after the request that was under way then, until the next stay begins.

    Args:
        spec: Its users or their profile, think time, seed and shard.

    Attributes:
        goes_on: See `Open`; where nobody thinks, and nobody goes.
        next_ns: See `Open`.
    """

    __slots__ = ("_due", "_stays", "goes_on", "next_ns")

    def __init__(self, spec: LoadSpec) -> None:
        profile = spec.profile or (Stretch(spec.duration_s, spec.users or 1, spec.users or 1),)
        since_ns, until_ns, users = population.stays(profile)
        self.goes_on = not spec.think_s and bool((until_ns >= NEVER).all())
        self._stays: dict[int, list[tuple[int, int]]] = {}  # of each user, the first one last
        own = users % spec.shards == spec.shard
        for stay in reversed(
            list(zip(since_ns[own].tolist(), until_ns[own].tolist(), users[own].tolist(), strict=True))
        ):
            self._stays.setdefault(stay[2], []).append(stay[:2])
        self._due: list[tuple[int, int]] = []
        self.next_ns = NEVER

    def starts_at(self, start_ns: int) -> None:
        """Set the instant at which the first user is due (monotonic), before anything is taken."""
        for stays in self._stays.values():
            stays[:] = [(since_ns + start_ns, until_ns + start_ns) for since_ns, until_ns in stays]
        self._due = sorted((stays[-1][0], user) for user, stays in self._stays.items())
        self.next_ns = self._due[0][0] if self._due else NEVER

    def take(self) -> int:
        """The user who is due at `next_ns`, which moves on."""
        _, user = heapq.heappop(self._due)
        self.next_ns = self._due[0][0] if self._due else NEVER
        return user

    def put(self, due_ns: int, user: int) -> None:
        """Have a user become due: then, or when it comes again if it is not there then."""
        stays = self._stays[user]
        while stays and stays[-1][1] <= due_ns:
            stays.pop()
        if stays:
            heapq.heappush(self._due, (max(due_ns, stays[-1][0]), user))
            self.next_ns = self._due[0][0]


class Sessions(Open):
    """Visitors who arrive as in an open loop; each sends its next request when the former has ended and it has thought.

    Args:
        spec: Its rate or profile (of sessions), mean length of a session, think time, seed and shard.
    """

    __slots__ = ("_again", "_arriving_ns", "_left", "_lengths")

    def __init__(self, spec: LoadSpec) -> None:
        super().__init__(spec)
        count = spec.shard + len(self._due) * spec.shards
        self._lengths = population.lengths(spec.session or 1.0, count, spec.seed)
        self._left: dict[int, int] = {}  # requests that a visitor who is there still has to send
        self._again: list[tuple[int, int]] = []

    def starts_at(self, start_ns: int) -> None:
        """As `Open.starts_at`."""
        super().starts_at(start_ns)
        self._arriving_ns = self.next_ns

    def take(self) -> int:
        """The visitor who is due at `next_ns`, which moves on."""
        if self._again and self._again[0][0] <= self._arriving_ns:
            user = heapq.heappop(self._again)[1]
        else:
            user = super().take()
            self._arriving_ns = self.next_ns
            self._left[user] = int(self._lengths[user])
        self._left[user] -= 1
        self.next_ns = min(self._arriving_ns, self._again[0][0]) if self._again else self._arriving_ns
        return user

    def put(self, due_ns: int, user: int) -> None:
        """Have a visitor become due, unless that was the session's last request."""
        if self._left[user]:
            heapq.heappush(self._again, (due_ns, user))
            self.next_ns = min(self._arriving_ns, self._again[0][0])
        else:
            del self._left[user]
