"""What is sent, and what counts as served well, as frozen data: requests, their expectations, arrivals, limits."""

from __future__ import annotations

import math

from msgspec import Struct, field

from prony.plan.params import Params, placeholders
from prony.plan.turns import Stretch, Turns


class Expect(Struct, frozen=True, kw_only=True):
    """What a right answer looks like: `prony.load.spec.Expectation` says what each field means."""

    status: tuple[int, ...] = (200,)
    contains: str | None = None
    type: str | None = None
    header: dict[str, str] = {}
    matches: str | None = None
    json: dict[str, str | int | float | bool] = {}
    min_bytes: int | None = None
    max_bytes: int | None = None
    sha256: str | None = None


class Stream(Struct, frozen=True, kw_only=True):
    """How long a streamed answer is read, such as server-sent events: to its end, or to one of these.

    Attributes:
        events: So many events.
        for_s: Seconds from its first byte.
    """

    events: int | None = None
    for_s: float | None = None


class Request(Struct, frozen=True, kw_only=True):
    """One request of the mix: its share is weight ÷ sum of weights.

    Attributes:
        path: As it is written, perhaps with placeholders: "/products/{id}/".
        params: What may stand for each placeholder: values, or a SELECT that gives them.
        paths: The concrete paths it stands for, one of them at random each time; empty: `path` alone, or not known yet.
        expected: Whether the user said what a right answer is.
        anonymous: Whether it is sent without a visitor's cookies and header fields.
        redirects: Whether redirects are followed.
        stream: That its answer is streamed; None for one that is awaited whole.
    """

    path: str = "/"
    method: str = "GET"
    weight: float = 1.0
    name: str = ""
    expect: Expect = Expect()
    params: Params = {}
    paths: tuple[str, ...] = ()
    expected: bool = False
    anonymous: bool = False
    redirects: bool = False
    stream: Stream | None = None

    @property
    def first(self) -> str:
        """One path to ask for."""
        return self.paths[0] if self.paths else self.path

    @property
    def filled(self) -> bool:
        """Whether it is known what to ask for."""
        return bool(self.paths) or not placeholders(self.path)


class RateSeries(Struct, frozen=True, kw_only=True):
    """A rate as it was recorded: each of `rps` (requests per second) holds for `step_s` seconds."""

    step_s: float
    rps: tuple[float, ...]


class Phase(Struct, frozen=True, kw_only=True):
    """One phase of a load: stretches one after the other, in each of which its level goes in a straight line.

    Attributes:
        shape: How it was written: one of `keys.PHASES`.
        stretches: (seconds, from, to) of each: requests per second, or users in a closed loop.
    """

    shape: str
    stretches: tuple[Stretch, ...]

    @property
    def duration_s(self) -> float:
        """Its length in seconds."""
        return math.fsum(seconds for seconds, _, _ in self.stretches)

    @property
    def least(self) -> float:
        """The lowest level it goes through."""
        return min(min(start, end) for _, start, end in self.stretches)

    @property
    def most(self) -> float:
        """The highest level it goes through."""
        return max(max(start, end) for _, start, end in self.stretches)

    @property
    def text(self) -> str:
        """It in a few words, without the unit: "ramp 1 → 200 in 60 s"."""
        start, end = self.stretches[0][1], self.stretches[-1][2]
        levels = {
            "hold": f"{start:g}",
            "spike": f"{start:g}, at most {self.most:g}",
            "recorded": f"{self.least:g} to {self.most:g}",
        }.get(self.shape, f"{start:g} → {end:g}")
        return f"{self.shape} {levels} in {self.duration_s:g} s"


class Journey(Struct, frozen=True, kw_only=True):
    """An `async def` of the user's own that is given a visitor: its share of arrivals is weight ÷ sum of weights.

    Attributes:
        name: As it is written, `journeys.py:buy`.
        file: Absolute path of its file, which the load engine's process runs.
        function: Its name there.
        users: Absolute path of a CSV file whose rows its visitors take in turn; empty for none.
        anonymous: Whether its visitors begin as nobody, where [login] has logged them in.
    """

    name: str
    file: str
    function: str
    weight: float = 1.0
    users: str = ""
    anonymous: bool = False


class Traffic(Struct, frozen=True, kw_only=True):
    """What is sent and when: open loop at a rate (rps), or closed loop with users.

    Attributes:
        journeys: Beside the requests; where there are any, the rate and the users count those who arrive, be it for one
            request or a journey, and there may be no requests.
        declared: Whether the mix is the user's own; False where prony guessed it.
        routes: Paths that the app is known to have, perhaps with placeholders, and what reports call them: by these
            journeys' steps are named.
        declared: Whether the mix is the user's own; False where prony guessed its weights.
        named: Whether the plan names the pages, itself or by a file; False where prony looks for them.
        host: The Host that every request names; empty: the address it is sent to.
        headers: Header fields that every request carries.
        connect_timeout_s: Longest time to a connection; None: `timeout_s` alone counts.
        first_byte_timeout_s: Longest time to an answer's first byte; None: the same.
        keep_alive: Whether connections are used again.
        connections: Most that are open at one time; None: what ports and descriptors leave.
        https: Whether requests go over TLS.
        retries: How often a client tries a failed GET or HEAD again, after `backoff_s`, doubled each time.
        generators: Processes that send the load; None: one for each of the generator's cores.
        recorded: The rate over the day of the log that the mix was imported from; None where it has none.
        phases: How the rate (open loop) or the number of users (closed) goes over time, in place of `rate_rps` and
            `users`; `duration_s` is then their length in all.
        think_s: Pause of a user, or within a session, between an answer and the next request; the median where
            `think_sigma` is above 0, and pauses are lognormal.
        session: Partly open: requests of each visitor that arrives, on average; None: each arrival is one request.
        turns: When it is loaded at the rate or with the users, and when not; None: all the time.
    """

    requests: tuple[Request, ...] = (Request(),)
    journeys: tuple[Journey, ...] = ()
    arrivals: str = "poisson"
    rate_rps: float | None = None
    users: int | None = None
    duration_s: float = 10.0
    think_s: float = 0.0
    timeout_s: float = 30.0
    connect_timeout_s: float | None = None
    first_byte_timeout_s: float | None = None
    keep_alive: bool = True
    connections: int | None = None
    https: bool = False
    retries: int = 0
    backoff_s: float = 0.1
    generators: int | None = None
    drain_s: float = 5.0
    seed: int = 1
    declared: bool = True
    routes: dict[str, str] = {}
    named: bool = True
    host: str = ""
    headers: dict[str, str] = {}
    recorded: RateSeries | None = None
    phases: tuple[Phase, ...] = ()
    think_sigma: float = 0.0
    session: float | None = None
    turns: Turns | None = None

    @property
    def profile(self) -> tuple[Stretch, ...]:
        """The stretches of all phases or turns, one after the other; none where there are neither."""
        if self.turns is not None:
            return self.turns.stretches(float(self.users or self.rate_rps or 0.0))
        return tuple(stretch for phase in self.phases for stretch in phase.stretches)

    @property
    def most_users(self) -> int | None:
        """The most users at one time; None in an open loop."""
        if self.arrivals != "closed" or not self.phases:
            return self.users
        return math.floor(max(phase.most for phase in self.phases) + 1e-9)

    @property
    def named_load(self) -> bool:
        """Whether the plan says itself how much is sent."""
        return bool(self.rate_rps is not None or self.users is not None or self.phases)

    @property
    def first(self) -> Request:
        """What is asked for to see whether anything answers."""
        return self.requests[0] if self.requests else Request()


class Limits(Struct, frozen=True, kw_only=True):
    """What counts as serving well: latency percentiles in seconds by name ("p99"), and the share of errors."""

    latency_s: dict[str, float] = field(default_factory=lambda: {"p99": 1.0})
    errors: float = 0.01

    @property
    def text(self) -> str:
        """The limits in one line."""
        parts = [f"{name} ≤ {value:g} s" for name, value in self.latency_s.items()]
        return ", ".join([*parts, f"errors ≤ {self.errors * 100:.3g} %", "backlog not growing"])
