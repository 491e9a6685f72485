"""Trials' outcomes in, the next load to try out, and in the end capacity as an interval: short trials, then long ones.

After RFC 9971 (MLRsearch): short trials rise or fall until one holds and one fails, and halve what lies between; they
only steer. Then trials of full length, each on a start of its own, at loads where the belief (`belief`) is least sure.
Trials that disagree are weighed, not settled by the last. Several goals share every trial. A trial that is not to be
believed is repeated, and not counted; one that failed while the machine was disturbed weighs as little as a short one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec import Struct

from prony.capacity.belief import Belief

RISE = 1.5
NEAR = 1.12  # short trials end when what holds and what fails are as near as this
ASK_AT = 0.15  # trials at these quantiles of the belief, by turns
NEARBY = 0.2  # a trial that far from the middle, as a share, says little of it
SURE = 0.95
FULL_LEAST = 6  # trials of full length, each on a start of its own
INVALID_MAX = 3  # of one goal, in a row at one load
INVALID_ALL = 12  # of one goal


class Goal(Struct, frozen=True, kw_only=True):
    """What one capacity is about.

    Attributes:
        name: Its limits, in words.
        exceed_ratio: The share of starts that may fail at the capacity; one half: the median start.
    """

    name: str = ""
    exceed_ratio: float = 0.5


class Ask(NamedTuple):
    """The next trial: its load (rate or users), whether it wants a fresh start, whether a short one does, for whom."""

    load: float
    fresh: bool
    short: bool
    goal: int = 0


class Capacity(Struct, frozen=True, kw_only=True):
    """The highest offered rate that holds the limits: between low_rps and high_rps.

    Attributes:
        low_rps: A rate that was tried and held, and lies below the capacity; None where none did.
        high_rps: A rate that was tried and failed, and lies above it; None: "at least low_rps".
        at_least: Why there is no upper end; the empty text where there is one.
        starts: On how many starts the trials ran.
        trials: How many trials counted.
        sure: How sure it is, by what is believed after these trials: 0.95 is 95 %. Of one end alone nothing is
            reckoned: its trials held, or failed.
        low_users: The same in users of a closed loop; then the rates are null.
        high_users: The same.
    """

    title: str = ""
    low_rps: float | None
    high_rps: float | None
    at_least: str
    starts: int
    trials: int
    limits: str = ""
    trial_ids: tuple[str, ...] = ()
    low_users: int | None = None
    high_users: int | None = None
    sure: float = SURE

    @property
    def low(self) -> float | None:
        """The lower end, in rates or users."""
        return self.low_rps if self.low_users is None else self.low_users

    @property
    def high(self) -> float | None:
        """The upper end, in rates or users."""
        return self.high_rps if self.high_users is None else self.high_users

    @property
    def unit(self) -> str:
        """What the ends count."""
        return "rps" if self.low_users is None and self.high_users is None else "users"

    @property
    def text(self) -> str:
        """The interval in words."""
        low, high = self.low, self.high
        if low is None:
            return f"unknown ({self.at_least})" if high is None else f"below {high:.0f} {self.unit}"
        if high is None:
            return f"at least {low:.0f} {self.unit} ({self.at_least})"
        return f"{low:.0f} to {high:.0f} {self.unit}"

    @property
    def short(self) -> str:
        """The interval as a table shows it, without its unit."""
        low, high = self.low, self.high
        if low is None:
            return "unknown" if high is None else f"< {high:.0f}"
        return f"≥ {low:.0f}" if high is None else f"{low:.0f} – {high:.0f}"


@dataclass(slots=True)
class _Tried:
    """One trial that counted: for each goal whether it held, None where that is not to be believed.

    `weak` says that failures in it weigh little.
    """

    load: float
    short: bool
    held: tuple[bool | None, ...]
    weak: bool


@dataclass(slots=True)
class Search:
    """The search itself: `ask()` for the next trial, run it, `tell()` how it went, until `ask()` is None.

    Attributes:
        start: The first load to try.
        goals: The sets of limits; each has a capacity of its own.
        width: It ends when high ÷ low ≤ 1 + width for every goal.
        trials_max: It ends after so many trials in any case.
        least: Below this it does not look.
        most: Above this it does not look.
        users: Whether loads are whole numbers of users.
        sure: How sure an interval is to be, by the belief: 0.95 is 95 %.
    """

    start: float
    goals: Sequence[Goal] = (Goal(),)
    width: float = 0.06
    trials_max: int = 1000
    least: float = 1.0
    most: float = 200_000.0
    users: bool = False
    sure: float = SURE
    _tried: list[_Tried] = field(default_factory=list)
    _beliefs: dict[int, Belief] = field(default_factory=dict)
    _asked: Ask | None = None
    _again: Ask | None = None
    _told: int = 0
    _invalid: int = 0
    _invalid_all: dict[int, int] = field(default_factory=dict)
    _bounds: dict[int, tuple[float, str]] = field(default_factory=dict)
    _closed: dict[int, str] = field(default_factory=dict)
    _stopped: str = ""

    def ask(self, left: float = math.inf) -> Ask | None:
        """The next trial, or None when the search is over.

        Args:
            left: For how many trials of full length there still is time. The last ones are for ends that an interval
                lacks: loads that surely lie below or above, by the belief, and that were not tried yet. Where it
                lacks none the very last is at an end: within, it might move the belief past one.
        """
        if self._told >= self.trials_max:
            self._stopped = self._stopped or f"{self.trials_max} trials were made"
        if self._stopped:
            return None
        closing = self._closing() if self._tried else []
        if closing and left < len(closing) + 1:
            self._asked = closing[0]
        else:
            self._asked = self._again or self._next()
            if self._asked is not None and self._again is None and left < 2:
                self._asked = self._last() or self._asked
        return self._asked

    def _last(self) -> Ask | None:
        """A trial at the least sure end, of all intervals that are too wide and have both; None without such."""
        margins = []
        for goal in range(len(self.goals)):
            low, high = self._ends(goal)
            if goal in self._closed or low is None or high is None:
                continue
            if goal in self._beliefs and self._done(goal):
                continue
            belief = self._beliefs.get(goal) or self._belief(goal)
            sure_low, sure_high = belief.quantiles((1 - self.sure) / 2, (1 + self.sure) / 2)
            ends = ((sure_low / low, low, goal), (high / sure_high, high, goal))
            margins += [each for each in ends if self.least <= each[1] <= self._most(goal)]
        return Ask(min(margins)[1], fresh=True, short=False, goal=min(margins)[2]) if margins else None

    def _closing(self) -> list[Ask]:
        """A trial for each end that an interval lacks and could have."""
        found = []
        for goal in range(len(self.goals)):
            low, high = self._ends(goal)
            told = any(trial.held[goal] is not None for trial in self._tried)
            if told and goal not in self._closed and (low is None or high is None):
                belief = self._beliefs.get(goal) or self._belief(goal)
                sure_low, sure_high = belief.quantiles((1 - self.sure) / 2, (1 + self.sure) / 2)
                wanted = ([sure_low] if low is None else []) + ([sure_high] if high is None else [])
                inside = [load for load in wanted if self.least < load < self._most(goal)]
                loads = [self._allowed(load, goal, up=load == sure_high) for load in inside]
                found += [Ask(load, fresh=False, short=False, goal=goal) for load in loads]
        return found

    def tell(self, *held: bool | None, weak: bool = False, why: str = "") -> None:
        """How the asked trial went, for each goal: held the limits, broke them, or (None) is not to be believed.

        Args:
            held: See above.
            weak: Whether the machine was disturbed meanwhile: limits that held, did hold; those that broke may not
                have been broken by the load.
            why: What kept it from being believed.
        """
        if self._asked is None:
            raise ValueError("tell() without ask()")
        ask, self._asked = self._asked, None
        self._told += 1
        tried = _Tried(ask.load, ask.short, tuple(None if each is None else bool(each) for each in held), weak)
        if any(each is not None for each in tried.held):
            self._tried.append(tried)
        for goal, belief in self._beliefs.items():
            _told(belief, tried, goal)
        if tried.held[ask.goal] is not None:
            self._invalid, self._again = 0, None
            return
        # What the others lack of it, they ask for when it is their turn.
        self._invalid += 1
        self._invalid_all[ask.goal] = self._invalid_all.get(ask.goal, 0) + 1
        # Another start: what is wrong may be this one's.
        self._again = ask._replace(fresh=True)
        if self._invalid >= INVALID_MAX:
            self._turn_away(ask, why or "trials were not to be believed")
        if self._invalid_all[ask.goal] >= INVALID_ALL:
            self._close(ask.goal, why or "trials were not to be believed")

    def known(self, goal: int = 0) -> tuple[float | None, float | None]:
        """Low and high by now: from the belief where there is one, else as short trials steer."""
        if len(self._full(goal)) >= FULL_LEAST // 2:
            low, high = self._beliefs[goal].quantiles((1 - self.sure) / 2, (1 + self.sure) / 2)
            return low, high
        return self._bracket(goal)

    def result(
        self,
        title: str = "",
        limits: str = "",
        trial_ids: tuple[str, ...] = (),
        *,
        goal: int = 0,
        starts: int = 0,
        why: str = "",
    ) -> Capacity:
        """What is known by now; also when the search was broken off, and then `why`. `starts`: the trials ran on."""
        low, high = self._ends(goal)
        at_least = ""
        if high is None:
            failed = any(trial.held[goal] is False for trial in self._tried)
            bound = self._closed.get(goal) or self._bounds.get(goal, (0.0, ""))[1]
            at_least = bound or self._stopped or why or ("time was up" if failed else "no load failed")
        rates = (None, None) if self.users else (low, high)
        return Capacity(
            title=title,
            low_rps=rates[0],
            high_rps=rates[1],
            at_least=at_least,
            starts=starts,
            trials=sum(trial.held[goal] is not None for trial in self._tried),
            limits=limits or self.goals[goal].name,
            trial_ids=trial_ids,
            sure=self.sure,
            low_users=round(low) if self.users and low is not None else None,
            high_users=round(high) if self.users and high is not None else None,
        )

    def _next(self) -> Ask | None:
        goals = [goal for goal in range(len(self.goals)) if goal not in self._closed]
        for goal in goals:
            if goal not in self._beliefs and (load := self._coarse(goal)) is not None:
                return Ask(load, fresh=not self._tried, short=True, goal=goal)
            if goal not in self._beliefs:
                self._beliefs[goal] = self._belief(goal)
        # The goal whose interval is widest is served first; every trial tells all of them.
        open_ = [goal for goal in goals if not self._done(goal)]
        if not open_:
            return None
        goal = max(open_, key=self._openness)
        low, median, high = self._beliefs[goal].quantiles(ASK_AT, 0.5, 1 - ASK_AT)
        near = self._near(goal)
        below = sum(trial.load < median for trial in near)
        load = low if 2 * below <= len(near) else high
        # The nearest number of users; the middle one once, else those next to a small capacity would never be tried.
        middle = self._allowed(round(median), goal)
        if self.users and all(trial.load != middle for trial in self._full(goal)):
            load = middle
        return Ask(self._allowed(round(load) if self.users else load, goal), fresh=True, short=False, goal=goal)

    def _openness(self, goal: int) -> float:
        low, high = self._beliefs[goal].quantiles((1 - self.sure) / 2, (1 + self.sure) / 2)
        return high / low

    def _coarse(self, goal: int) -> float | None:
        """The next short trial of a goal; None where they have said what they can."""
        low, high = self._bracket(goal)
        if low is None and high is None:
            return self._allowed(self.start, goal)
        if high is None:
            return None if low is None or low >= self._most(goal) else self._allowed(low * RISE, goal, up=True)
        if low is None:
            return None if high <= self.least else self._allowed(high / RISE**2, goal)
        if high / low <= NEAR or (self.users and high - low <= 1):
            return None
        load = self._allowed(float((low * high) ** 0.5), goal)
        return load if low < load < high else None

    def _belief(self, goal: int) -> Belief:
        """What is believed of a goal: by all trials, so also where the search was broken off among short ones."""
        low, high = self._bracket(goal)
        belief = Belief(float((low or high or 1.0) * (high or low or 1.0)) ** 0.5, self.goals[goal].exceed_ratio)
        for trial in self._tried:
            _told(belief, trial, goal)
        return belief

    def _bracket(self, goal: int) -> tuple[float | None, float | None]:
        """As trials say by now, the last at a load deciding: the highest that held below the lowest to fail."""
        last = {trial.load: trial.held[goal] for trial in self._tried if trial.held[goal] is not None}
        high = min((load for load, held in last.items() if not held), default=None)
        low = max((load for load, held in last.items() if held and (high is None or load < high)), default=None)
        return low, high

    def _done(self, goal: int) -> bool:
        median = self._beliefs[goal].quantiles(0.5)[0]
        if median >= self._most(goal) or median <= self.least:
            return len(self._full(goal)) >= FULL_LEAST
        if len(self._near(goal)) < FULL_LEAST:
            return False
        low, high = self._ends(goal)
        if low is None or high is None:
            return False
        return high / low <= 1 + self.width or (self.users and high - low <= 1)

    def _ends(self, goal: int) -> tuple[float | None, float | None]:
        """Loads that were tried, below and above the capacity as surely as is wanted."""
        held = [trial.load for trial in self._tried if trial.held[goal]]
        failed = [trial.load for trial in self._tried if trial.held[goal] is False]
        if not failed or not held:
            return max(held, default=None), min(failed, default=None)
        belief = self._beliefs.get(goal) or self._belief(goal)
        sure_low, sure_high = belief.quantiles((1 - self.sure) / 2, (1 + self.sure) / 2)
        low = max((load for load in held if load <= sure_low), default=None)
        return low, min((load for load in failed if load >= sure_high), default=None)

    def _full(self, goal: int) -> list[_Tried]:
        """The trials of full length that say something of this goal."""
        if goal not in self._beliefs:
            return []
        return [trial for trial in self._tried if trial.held[goal] is not None and not trial.short]

    def _near(self, goal: int) -> list[_Tried]:
        """The full trials that say something of this goal; others were asked for another's sake."""
        median = self._beliefs[goal].quantiles(0.5)[0]
        reach = NEARBY * median + 1.0 if self.users else max(1.0, NEARBY * median)  # loads of users are rounded
        return [trial for trial in self._full(goal) if abs(trial.load - median) <= reach]

    def _turn_away(self, ask: Ask, why: str) -> None:
        """Trials at a load are not to be had for a goal: it bounds what may be tried for it."""
        self._again, self._invalid = None, 0
        believed = any(trial.held[ask.goal] is not None for trial in self._tried)
        self._bounds[ask.goal] = (ask.load / (1.1 if believed else RISE**2), why)
        if ask.load <= self.least * RISE:
            self._close(ask.goal, why)

    def _close(self, goal: int, why: str) -> None:
        """Nothing more is asked for a goal."""
        self._again, self._invalid = None, 0
        self._closed[goal] = why

    def _most(self, goal: int) -> float:
        """Above this it does not look for that goal."""
        most = self._bounds[goal][0] if goal in self._bounds else self.most
        return float(int(most)) if self.users else most

    def _allowed(self, load: float, goal: int, *, up: bool = False) -> float:
        load = min(self._most(goal), max(self.least, load))
        if not self.users:
            return load
        return float(max(1, int(load) + (up and load > int(load))))


def _told(belief: Belief, trial: _Tried, goal: int) -> None:
    """Tells a goal's belief what a trial says of it, where it says anything."""
    held = trial.held[goal]
    if held is not None:
        belief.tell(trial.load, held=held, short=trial.short or (trial.weak and not held))
