"""What a trial has just written in, how it stands at this moment out: rates, percentiles, errors and tiers.

It reads what goes into the recording, and keeps none of it: counts in buckets, so its memory does not grow with the
trial. A percentile here is right to 1 %; the report's, from the recording, is exact.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from prony.load.account import LoadTick
from prony.plan import Traffic
from prony.recording import OUTCOMES, Event, Reading, Samples
from prony.samples import EVENT_GAP, FIRST_EVENT, OK, REQUEST, UNANSWERED
from prony.summary.tier_errors import COUNTERS, Tally, errors_of, note

RECENT_S = 2.0  # what "now" is: long enough for a p99 at some hundred requests a second, short enough to follow
LEVEL_S = 1.0
BINS = 60
BIN_LEAST_S = 0.5
LEAST_S, STEP = 1e-6, 1.02  # the first bucket's lower end, and how much higher each further one begins
BUCKETS = 1048  # up to 1 000 s
LEVELS_MAX = 64  # readings of one kind that are kept: over a second's worth of the quickest
WATCHED = {
    "length", "in_flight", "slots", "tokens_waited_for", "cpu_s", "run_delay_s", "count", "usable", "lock_waits",
    "clients_waiting", "servers_active", "servers_limit", "cpu_quota_cores", "periods", "throttled_periods",
}  # fmt: skip

Counts = npt.NDArray[np.int64]


class State(NamedTuple):
    """How a trial stands: durations in seconds, rates per second; None where nothing is known yet.

    Attributes:
        elapsed_s: Since the first request was due.
        offered_rps: Requests that became due, between the generator's last two accounts of itself.
        right_rps: Right answers of the last two seconds, as are the latencies and the send lag.
        failed: Requests that failed so far, by outcome.
        ended: Requests that ended so far.
        tick: The generator's latest account.
        cpu_share: What the generator used of the cores that its processes have.
        rates: Right answers a second over the trial, a value for each whole stretch of `bin_s`.
        p99s: The p99 latency of the answers that came in each.
    """

    elapsed_s: float
    duration_s: float
    offered_rps: float | None
    right_rps: float | None
    p50_s: float | None
    p90_s: float | None
    p99_s: float | None
    lag_p99_s: float | None
    failed: dict[str, int]
    ended: int
    tick: LoadTick | None
    cpu_share: float | None
    bin_s: float
    rates: tuple[float, ...]
    p99s: tuple[float | None, ...]


class _Piece(NamedTuple):
    """What came at one time."""

    t_ns: int
    right: int
    latency: Counts
    lag: Counts


class Course:
    """One trial as it goes; give it all that is written, as it is written.

    Args:
        traffic: What is sent.
        stores: The names of the plan's stores.
    """

    def __init__(self, traffic: Traffic, stores: Collection[str] = ()) -> None:
        self.traffic = traffic
        self._stores = stores
        self._streamed = np.array([n for n, each in enumerate(traffic.requests) if each.stream is not None], np.int64)
        bins = max(1, min(BINS, math.ceil(traffic.duration_s / BIN_LEAST_S)))
        self._bin_s = traffic.duration_s / bins
        self._right = np.zeros(bins, np.int64)
        self._latency = np.zeros((bins, BUCKETS), np.int32)
        self._outcomes = np.zeros(len(OUTCOMES), np.int64)
        self._recent: deque[_Piece] = deque(maxlen=64)
        self._ticks: deque[LoadTick] = deque(maxlen=2)
        self._levels: dict[tuple[str, str], deque[tuple[int, float]]] = {}
        self._first: dict[tuple[str, str], float] = {}
        self._grown: dict[tuple[str, str], float] = {}
        self._happened: Tally = Counter()
        self._began_ns = 0
        self._before_ns = 0

    def add(
        self,
        t_ns: int,
        samples: Samples,
        found: Iterable[Reading | Event] = (),
        tick: LoadTick | None = None,
    ) -> None:
        """Takes in what was written at `t_ns` (CLOCK_MONOTONIC): rows of dtype SAMPLE of every kind, and what else."""
        if not self._began_ns and len(samples):
            self._began_ns = int(samples["due_ns"].min())
        self._before_ns = self._before_ns or self._began_ns
        if tick is not None and (not self._ticks or tick.t_ns > self._ticks[-1].t_ns):
            self._ticks.append(tick)
        for each in found:
            if isinstance(each, Event):
                note(self._happened, each)
            else:
                self._read(each)
        requests = samples[samples["kind"] == REQUEST]
        self._outcomes += np.bincount(requests["outcome"], minlength=len(OUTCOMES))[: len(OUTCOMES)]
        answered = self._answered(samples)
        latency = _buckets((answered["done_ns"] - answered["due_ns"]) / 1e9)
        right = requests[requests["outcome"] == OK]
        sent = requests[requests["sent_ns"] > 0]
        lag = _buckets((sent["sent_ns"] - sent["due_ns"]) / 1e9)
        self._recent.append(
            _Piece(t_ns, len(right), *(np.bincount(each, minlength=BUCKETS) for each in (latency, lag)))
        )
        where, inside = self._bin(right["done_ns"])
        self._right += np.bincount(where[inside], minlength=len(self._right))
        where, inside = self._bin(answered["done_ns"])
        np.add.at(self._latency, (where[inside], latency[inside]), 1)
        while len(self._recent) > 1 and t_ns - self._recent[0].t_ns > RECENT_S * 1e9:
            self._before_ns = self._recent.popleft().t_ns

    def _read(self, reading: Reading) -> None:
        key = (reading.tier, reading.name)
        if reading.name in WATCHED:
            kept = self._levels.setdefault(key, deque(maxlen=LEVELS_MAX))
            kept.append((reading.t_ns, reading.value))
        if reading.name in COUNTERS:
            self._grown[key] = reading.value - self._first.setdefault(key, reading.value)

    def _answered(self, samples: Samples) -> Samples:
        """What counts as an answer; one that is streamed is there with its first event."""
        came = (samples["first_byte_ns"] > 0) & (samples["done_ns"] > 0) & (samples["outcome"] < UNANSWERED)
        if len(self._streamed):
            streamed = np.isin(samples["route"], self._streamed)
            came &= ~(streamed & (samples["kind"] == REQUEST))
            came |= samples["kind"] == FIRST_EVENT
        found: Samples = samples[came & (samples["kind"] != EVENT_GAP)]
        return found

    def _bin(self, instants_ns: Any) -> tuple[Any, Any]:
        where = ((instants_ns - self._began_ns) / 1e9 // self._bin_s).astype(np.int64)
        return where, (where >= 0) & (where < len(self._right))

    def elapsed_s(self, t_ns: int) -> float:
        """Seconds since the first request was due; 0 before one is known."""
        return (t_ns - self._began_ns) / 1e9 if self._began_ns else 0.0

    def state(self, t_ns: int) -> State:
        """How it stands at `t_ns`."""
        elapsed_s = self.elapsed_s(t_ns)
        span_s = (self._recent[-1].t_ns - self._before_ns) / 1e9 if self._recent and self._before_ns else 0.0
        latency = sum((piece.latency for piece in self._recent), np.zeros(BUCKETS, np.int64))
        lag = sum((piece.lag for piece in self._recent), np.zeros(BUCKETS, np.int64))
        whole = min(len(self._right), int(elapsed_s / self._bin_s))
        return State(
            elapsed_s=elapsed_s,
            duration_s=self.traffic.duration_s,
            offered_rps=self._between_ticks("scheduled"),
            right_rps=sum(piece.right for piece in self._recent) / span_s if span_s > 0 else None,
            p50_s=_quantiles_s(latency, 0.5)[0],
            p90_s=_quantiles_s(latency, 0.9)[0],
            p99_s=_quantiles_s(latency, 0.99)[0],
            lag_p99_s=_quantiles_s(lag, 0.99)[0],
            failed={
                name: int(n) for name, n in zip(OUTCOMES, self._outcomes, strict=True) if n and name != OUTCOMES[OK]
            },
            ended=int(self._outcomes.sum()),
            tick=self._ticks[-1] if self._ticks else None,
            cpu_share=self._cpu_share(),
            bin_s=self._bin_s,
            rates=tuple(float(n) / self._bin_s for n in self._right[:whole]),
            p99s=_quantiles_s(self._latency[:whole], 0.99),
        )

    def users(self, elapsed_s: float) -> int | None:
        """How many there should be by then; None in an open loop."""
        if self.traffic.arrivals != "closed" or not self.traffic.phases:
            return self.traffic.users
        for length_s, start, end in self.traffic.profile:
            if elapsed_s < length_s:
                return math.floor(start + (end - start) * max(elapsed_s, 0.0) / length_s + 1e-9)
            elapsed_s -= length_s
        return math.floor(self.traffic.profile[-1][2] + 1e-9)

    def _between_ticks(self, name: str) -> float | None:
        """How fast a count of the generator's rose between its last two accounts, per second."""
        if len(self._ticks) < 2:
            return None
        before, last = self._ticks
        return float(getattr(last, name) - getattr(before, name)) / ((last.t_ns - before.t_ns) / 1e9)

    def _cpu_share(self) -> float | None:
        used = self._between_ticks("cpu_s")
        return None if used is None else used / self._ticks[-1].cores

    @property
    def tiers(self) -> list[str]:
        """The tiers whose CPU is watched, without the generator and the whole machine."""
        named = (tier for tier, name in self._levels if name == "cpu_s")
        return [tier for tier in named if tier not in {"generator", "host", "probes"} and not tier.startswith("box.")]

    @property
    def boxes(self) -> list[str]:
        """The boxes that are watched, as tiers: "box.app"."""
        return [tier for tier, name in self._levels if name == "cpu_s" and tier.startswith("box.")]

    def errors(self, tier: str) -> dict[str, int] | None:
        """A tier's errors since the trial began, by kind, the most frequent first; None where nobody looks."""
        return errors_of(tier, self._grown, self._happened, self._stores)

    def level(self, tier: str, name: str) -> float | None:
        """The mean of a reading over the last second."""
        kept = self._levels.get((tier, name))
        if not kept:
            return None
        values = [value for t_ns, value in kept if kept[-1][0] - t_ns <= LEVEL_S * 1e9]
        return sum(values) / len(values)

    def rate(self, tier: str, name: str) -> float | None:
        """How fast a counter rose of late, per second."""
        kept = self._levels.get((tier, name), deque())
        recent = [(t_ns, value) for t_ns, value in kept if kept[-1][0] - t_ns <= RECENT_S * 1e9]
        if len(recent) < 2 or recent[-1][0] == recent[0][0]:
            return None
        return (recent[-1][1] - recent[0][1]) / ((recent[-1][0] - recent[0][0]) / 1e9)


def _buckets(values_s: Any) -> Any:
    """The bucket of each duration."""
    at = np.log(np.maximum(values_s, LEAST_S) / LEAST_S) / math.log(STEP)
    return np.minimum(at, BUCKETS - 1).astype(np.int64)


def _quantiles_s(counts: Any, q: float) -> tuple[float | None, ...]:
    """The q-quantile of durations counted in buckets, as the middle of its bucket; None where there are none.

    `counts` has a row for each quantile that is wanted, or is the only one.
    """
    up_to = np.cumsum(np.atleast_2d(counts), axis=1)
    total = up_to[:, -1]
    rank = np.maximum(1, np.ceil(q * total - 1e-9))
    middle_s = LEAST_S * STEP ** ((up_to >= rank[:, None]).argmax(axis=1) + 0.5)
    return tuple(s if n else None for s, n in zip(middle_s.tolist(), total.tolist(), strict=True))
