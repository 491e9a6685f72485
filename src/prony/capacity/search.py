"""Trials' outcomes in, the next rate to try out, and in the end capacity as an interval: rising, then bisected.

A decision at a rate takes at least two trials, each on a start of its own; when they disagree, a third. Where trials
at one rate disagreed, that rate bounds nothing: the interval reaches past it to the nearest rates on which all trials
agreed. A trial that is not to be believed is repeated, and not counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec import Struct

RISE = 1.5
OUTWARDS = 1.15
TRIALS_PER_DECISION = 2
INVALID_MAX = 4


class Ask(NamedTuple):
    """The next trial: its offered rate, and whether it wants a fresh start."""

    rate_rps: float
    fresh: bool


class Capacity(Struct, frozen=True, kw_only=True):
    """The highest offered rate that holds the limits: between low_rps and high_rps.

    Attributes:
        low_rps: The highest rate at which every trial held; None when none did.
        high_rps: The lowest rate above it at which no trial held; None when none failed: then "at least low_rps".
        at_least: Why there is no upper end; the empty text where there is one.
        starts: On how many starts the trials ran.
        trials: How many trials counted.
    """

    title: str = ""
    low_rps: float | None
    high_rps: float | None
    at_least: str
    starts: int
    trials: int
    limits: str = ""
    trial_ids: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The interval in words."""
        if self.low_rps is None:
            return f"unknown ({self.at_least})" if self.high_rps is None else f"below {self.high_rps:.0f} rps"
        if self.high_rps is None:
            return f"at least {self.low_rps:.0f} rps ({self.at_least})"
        return f"{self.low_rps:.0f} to {self.high_rps:.0f} rps"

    @property
    def short(self) -> str:
        """The interval as a table shows it, in requests per second."""
        if self.low_rps is None:
            return "unknown" if self.high_rps is None else f"< {self.high_rps:.0f}"
        return f"≥ {self.low_rps:.0f}" if self.high_rps is None else f"{self.low_rps:.0f} – {self.high_rps:.0f}"


@dataclass(slots=True)
class _Votes:
    held: int = 0
    failed: int = 0
    invalid: int = 0

    @property
    def count(self) -> int:
        return self.held + self.failed

    @property
    def split(self) -> bool:
        return bool(self.held and self.failed)

    @property
    def decided(self) -> bool:
        wanted = TRIALS_PER_DECISION + 1 if self.split else TRIALS_PER_DECISION
        return self.count >= wanted

    @property
    def passes(self) -> bool:
        return self.held > self.failed


@dataclass(slots=True)
class Search:
    """The search itself: `ask()` for the next trial, run it, `tell()` how it went, until `ask()` is None.

    Attributes:
        start_rps: The first rate to try.
        width: It ends when high ÷ low ≤ 1 + width.
        trials_max: It ends after so many trials in any case.
        least_rps: Below this it does not look.
        most_rps: Above this it does not look.
    """

    start_rps: float
    width: float = 0.1
    trials_max: int = 40
    least_rps: float = 1.0
    most_rps: float = 200_000.0
    _votes: dict[float, _Votes] = field(default_factory=dict)
    _trials: int = 0
    _current: float | None = None
    _stopped: str = ""

    def ask(self) -> Ask | None:
        """The next trial, or None when the search is over."""
        if self._stopped or self._trials >= self.trials_max:
            return None
        if self._current is None or self._votes[self._current].decided:
            self._current = self._next_rate()
            if self._current is None:
                return None
            fresh = self._trials == 0
        else:
            # Every further trial at a rate runs on a start of its own: replication spans starts, not requests.
            fresh = self._votes[self._current].count > 0
        self._votes.setdefault(self._current, _Votes())
        return Ask(self._current, fresh)

    def tell(self, held: bool | None) -> None:  # noqa: FBT001 - the answer itself
        """How the asked trial went: held the limits, broke them, or (None) is not to be believed."""
        if self._current is None:
            raise ValueError("tell() without ask()")
        votes = self._votes[self._current]
        self._trials += 1
        if held is None:
            votes.invalid += 1
            if votes.invalid >= INVALID_MAX:
                self._stopped = f"trials at {self._current:.0f} rps were not to be believed"
        elif held:
            votes.held += 1
        else:
            votes.failed += 1

    def known(self) -> tuple[float | None, float | None]:
        """Low and high as steering sees them: by majority."""
        passed = [rate for rate, v in self._votes.items() if v.decided and v.passes]
        failed = [rate for rate, v in self._votes.items() if v.decided and not v.passes]
        low = max(passed, default=None)
        high = min((rate for rate in failed if low is None or rate > low), default=None)
        return low, high

    def _next_rate(self) -> float | None:
        low, high = self.known()
        if low is None and high is None:
            return self.start_rps
        if high is None:
            rate = (low or 0) * RISE
            return rate if rate <= self.most_rps else None
        if low is None:
            rate = high / RISE**2
            return rate if rate >= self.least_rps else None
        if high / low > 1 + self.width:
            return float((low * high) ** 0.5)
        return self._outwards()

    def _outwards(self) -> float | None:
        """Where trials at the ends disagreed, the next rates beyond them: until both ends are agreed on."""
        sure_low, sure_high = self._agreed()
        if sure_high is None and max(self._votes) * OUTWARDS <= self.most_rps:
            return max(self._votes) * OUTWARDS
        if sure_low is None and min(self._votes) / OUTWARDS >= self.least_rps:
            return min(self._votes) / OUTWARDS
        return None

    def _agreed(self) -> tuple[float | None, float | None]:
        """The highest rate below the limit at which all trials held, and the lowest above it at which none did."""
        low, high = self.known()
        held = [r for r, v in self._votes.items() if v.held >= TRIALS_PER_DECISION and not v.failed]
        failed = [r for r, v in self._votes.items() if v.failed >= TRIALS_PER_DECISION and not v.held]
        sure_low = max((rate for rate in held if high is None or rate < high), default=None)
        sure_high = min((rate for rate in failed if rate > (low or 0)), default=None)
        return sure_low, sure_high

    def result(
        self, title: str = "", limits: str = "", trial_ids: tuple[str, ...] = (), *, starts: int = 0
    ) -> Capacity:
        """What is known by now; also when the search was broken off. `starts`: how many the trials ran on."""
        sure_low, sure_high = self._agreed()
        why = ""
        if sure_high is None:
            disagreed = any(v.failed for v in self._votes.values())
            why = self._stopped or ("trials disagreed, or time was up" if disagreed else "no rate failed")
        return Capacity(
            title=title,
            low_rps=sure_low,
            high_rps=sure_high,
            at_least=why,
            starts=starts,
            trials=sum(v.count for v in self._votes.values()),
            limits=limits,
            trial_ids=trial_ids,
        )
