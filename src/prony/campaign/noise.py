"""A shipped app's plan, compared with itself over fresh starts, in; how small a difference can be seen here out."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from msgspec import Struct

from prony.campaign import compare
from prony.campaign.bench import Bench, Measured
from prony.comparison import Contest
from prony.figures import duration
from prony.plan import Plan
from prony.trial.remembered import keep, kept, this_machine

STARTS = 4  # of each of the two sides: the fewest that can be compared
TRIAL_S = 3.0
DRAWS = 40  # comparisons that are drawn from the spread that was measured
NAME = "noise"
TOLD = {
    compare.SATURATED: "throughput with every slot busy",
    "latency_p50_s": "p50",
    "latency_p99_s": "p99",
    "app_cpu_s_per_request": "CPU per request",
}
MACHINES = (
    *("neighbours", "steal", "canary_moved", "memory_moved"),
    *("late_sends", "uneven_sends", "sent_short", "generator_busy"),
)


class Seen(Struct, frozen=True, kw_only=True):
    """One figure of an app that is compared with itself.

    Attributes:
        figure: Its name, with its unit.
        starts: On how many starts it was measured and believed.
        spread: Standard deviation from start to start, as a share of the median; None on fewer than two.
        least_seen: The smallest difference that would be seen, as a share; None where it was believed on too few.
        different: Whether the two sides, which are the same, were called different.
    """

    figure: str
    starts: int
    spread: float | None
    least_seen: float | None
    different: bool


class Canary(Struct, frozen=True, kw_only=True):
    """What a small fixed piece of work took on one core, before and after each trial, in seconds.

    `piece`: which: "memory" is a walk over it, the empty text computing alone.
    """

    core_of: str
    times: int
    median_s: float
    low_s: float
    high_s: float
    piece: str = ""

    @property
    def spread(self) -> float:
        """How much longer the longest was than the shortest, as a share."""
        return self.high_s / self.low_s - 1


class Noise(Struct, frozen=True, kw_only=True):
    """How much this machine's figures differ though nothing does.

    Attributes:
        machine: What was measured on: CPU, cores, system, Python.
        at: When, in UTC.
        took_s: How long the measurement took.
        campaign: Its number in the store under the XDG state folder.
        app: What was measured.
        starts: How many fresh starts there were, over both sides.
        trial_s: Length of each trial in seconds.
        rate_rps: The rate at which latencies were measured.
        compared: The starts of each side for which `least_seen` holds.
        figures: What was found of each figure.
        canary: Of each of the two cores.
        doubts: Doubts about the machine, and in how many trials each was raised.
        trials: How many trials there were.
    """

    machine: str
    at: str
    took_s: float
    campaign: int
    app: str
    starts: int
    trial_s: float
    rate_rps: float
    compared: int
    figures: tuple[Seen, ...]
    canary: tuple[Canary, ...]
    doubts: dict[str, int]
    trials: int

    @property
    def text(self) -> str:
        """A line for each thing that was measured."""
        lines = [
            f"differences that prony compare sees here with {self.compared} starts of each (measured {self.at[:10]})",
            *(_seen_text(each) for each in self.figures if each.figure in TOLD),
        ]
        wrong = [TOLD.get(each.figure, each.figure) for each in self.figures if each.different]
        told = f"different in {', '.join(wrong)}, as one in twenty may be" if wrong else "no different"
        how = f"{self.starts} starts, trials of {self.trial_s:g} s"
        lines.append(f"{self.app}, compared with itself ({how}), was {told}")
        lines += [
            f"a fixed {'walk over memory' if each.piece else 'piece of work'} on the {each.core_of}'s core: "
            f"{duration(each.median_s)}, from {duration(each.low_s)} to {duration(each.high_s)}"
            for each in self.canary
        ]
        if self.doubts:
            raised = ", ".join(f"{name} in {times}" for name, times in self.doubts.items())
            lines.append(f"doubts about the machine: {raised} of {self.trials} trials; repeat when it is calm")
        return "\n    ".join(lines)


def measure(bench: Bench, plan: Plan, *, app: str, compared: int, trial_s: float = TRIAL_S) -> Noise:
    """Compares a plan with itself, and remembers what came of it.

    Args:
        bench: Where it runs.
        plan: A plan that names its pages.
        app: What a person calls it.
        compared: The starts of each side to foresee for.
        trial_s: Length of each trial in seconds.

    Raises:
        DoubtError: it answers nothing right.
    """
    began_s = time.monotonic()
    names = (app, f"{app} again")
    contest = Contest(
        2,
        most=STARTS,
        seed=1,
        figures=compare.FIGURES,
        higher_is_better=compare.HIGHER_IS_BETTER,
        follows=compare.FOLLOWS,
    )
    bench.teller.stage(f"{app}, compared with itself: {contest.total} fresh starts")
    pace = compare.pace_of(bench, [plan], trial_s)
    plans = [plan, plan]
    answer_s = compare.answer_s_of_turns(bench, plans, pace)
    compare.hold(bench, contest, names, plans, rate_rps=pace.rate_rps, trial_s=trial_s, answer_s=answer_s)
    comparisons = compare.comparisons(contest, names, fresh=True)
    bench.conclude(bench.document(comparisons=comparisons))
    found = Noise(
        machine=this_machine(),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        took_s=time.monotonic() - began_s,
        campaign=bench.campaign,
        app=app,
        starts=contest.told,
        trial_s=trial_s,
        rate_rps=pace.rate_rps,
        compared=compared,
        figures=seen(contest, compared),
        canary=_canaries(bench),
        doubts=_doubts(bench.measured),
        trials=len(bench.measured),
    )
    keep(NAME, found)
    return found


def known() -> Noise | None:
    """What was remembered of this machine; None where it was not measured, or has changed since."""
    return kept(NAME, Noise)


def seen(contest: Contest, compared: int) -> tuple[Seen, ...]:
    """Each figure of a contest of one plan with itself, with what would be seen on `compared` starts of each side."""
    first, second = contest.found
    values = {name: _finite([*first[name], *second[name]]) for name in first}
    least = foreseen({name: _apart(first[name], second[name]) for name in first}, compared)
    different = {gain.figure for gain in contest.gains() if gain.verdict in {"better", "worse"}}
    return tuple(
        Seen(
            figure=name,
            starts=len(each),
            spread=float(np.std(np.log(each), ddof=1)) if len(each) > 1 else None,
            least_seen=least[name],
            different=name in different,
        )
        for name, each in values.items()
    )


def foreseen(apart: Mapping[str, Sequence[float]], compared: int, seed: int = 1) -> dict[str, float | None]:
    """The smallest difference that would be seen in each figure, as a share, with `compared` starts of each side.

    Comparisons of as many rounds are drawn from those that were measured, either way round, for both sides were the
    same, and held as `prony compare` holds them, to their end; of each figure the median of what they say is given.

    Args:
        apart: By figure, the logarithm of the ratio of the two starts of each round, of one plan.
        compared: How many starts of each.
        seed: Of what is drawn.

    Returns:
        None for a figure on fewer than four rounds.
    """
    enough = {name: np.asarray(values) for name, values in apart.items() if len(values) >= STARTS}
    random = np.random.default_rng(seed)
    said: dict[str, list[float]] = {name: [] for name in enough}
    for draw in range(DRAWS if enough else 0):
        contest = Contest(
            2, most=compared, seed=draw, figures=tuple(enough), clear=lambda _: False, follows=compare.FOLLOWS
        )
        while order := contest.ask_round():
            drawn = {name: random.choice(values) * random.choice((-1, 1)) for name, values in enough.items()}
            for side in order:
                contest.tell({name: float(np.exp(value)) if side else 1.0 for name, value in drawn.items()})
        for gain in contest.gains():
            if gain.least_seen is not None:
                said[gain.figure].append(gain.least_seen)
    return {name: float(np.median(said[name])) if said.get(name) else None for name in apart}


def _apart(first: Sequence[float], second: Sequence[float]) -> list[float]:
    pairs = zip(first, second, strict=True)
    return [math.log(b / a) for a, b in pairs if math.isfinite(a) and math.isfinite(b) and a > 0 and b > 0]


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if math.isfinite(value) and value > 0]


def _canaries(bench: Bench) -> tuple[Canary, ...]:
    recordings = [bench.store.recording(each.id) for each in bench.measured]
    found = []
    for core_of, piece in itertools.product(("stack", "generator"), ("", "memory")):
        name = f"{core_of}_{piece}_s" if piece else f"{core_of}_s"
        times_s = [float(value) for each in recordings for value in each.values("canary", name)]
        if times_s:
            low_s, median_s, high_s = min(times_s), float(np.median(times_s)), max(times_s)
            taken = {"median_s": median_s, "low_s": low_s, "high_s": high_s}
            found.append(Canary(core_of=core_of, times=len(times_s), piece=piece, **taken))
    return tuple(found)


def _doubts(measured: Sequence[Measured]) -> dict[str, int]:
    names = [name for each in measured for name in {doubt.name for doubt in each.doubts}]
    return {name: names.count(name) for name in MACHINES if name in names}


def _seen_text(each: Seen) -> str:
    if each.least_seen is None:
        return f"{TOLD[each.figure]}: cannot be told, believed on {each.starts} starts"
    return f"{TOLD[each.figure]}: {each.least_seen:.1%} (it varied by {each.spread or 0:.1%} from start to start)"
