"""A stored baseline and fresh figures in, whether any lost more than is allowed out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from msgspec import Struct, structs

from prony.comparison.contest import Contest
from prony.comparison.ratio import Gain

Outcome = Literal["passed", "failed", "unknown"]


class Baseline(Struct, frozen=True, kw_only=True):
    """What `prony gate --write` stores: a file to be committed.

    Attributes:
        prony: The version that wrote it.
        title: The plan it was measured on.
        machine: The machine; another one's figures are no baseline for this.
        load: What it was measured under: each request of the mix, with its share.
        how: How that was sent and judged, by what it is about; empty in baselines of before it was kept.
        boxes: What CPU and memory its tiers had, in words.
        rate_rps: The rate of its trials.
        trial_s: Their length in seconds.
        figures: By figure, a value for each start; null where one was not to be believed.
        allowed: By figure, the loss that is allowed, as a share; a figure without one is kept, and not judged.
        warm_up_s: How long each start served before it was counted.
    """

    prony: str
    title: str
    machine: str
    load: dict[str, float]
    boxes: tuple[str, ...]
    rate_rps: float
    trial_s: float
    figures: dict[str, tuple[float | None, ...]]
    allowed: dict[str, float]
    warm_up_s: float = 0.0
    how: dict[str, str] = {}


class Gate:
    """A contest of one side against a baseline, that ends as soon as each allowed loss is surely kept or passed.

    Args:
        baseline: What is compared with.
        most: How many starts at most.
        higher_is_better: Names of figures of which more is better.
        seed: Of the bootstrap.
    """

    def __init__(self, baseline: Baseline, *, most: int, higher_is_better: Collection[str], seed: int = 1) -> None:
        self._baseline = baseline
        self.contest = Contest(
            1,
            most=most,
            seed=seed,
            figures=tuple(baseline.allowed),
            higher_is_better=higher_is_better,
            stored=values_of(baseline.figures),
            clear=lambda gains: all(map(self._decided, gains)),
        )

    @property
    def judged(self) -> tuple[Gain, ...]:
        """Each figure with an allowed loss: failed where the whole of its interval lies past that loss."""
        return tuple(
            structs.replace(gain, allowed=self._baseline.allowed[gain.figure], outcome=self._outcome(gain))
            for gain in self.contest.gains()
        )

    def _losses(self, gain: Gain) -> tuple[float, float]:
        """What the ratio is at least and at most, as a loss: above 1 is worse. A rate 0.8 times as high lost 0.2."""
        low, high = gain.low or 1.0, gain.high or 1.0
        return (2 - high, 2 - low) if gain.higher_is_better else (low, high)

    def _outcome(self, gain: Gain) -> Outcome:
        if gain.low is None or gain.high is None:
            return "unknown"
        return "failed" if self._losses(gain)[0] > 1 + self._baseline.allowed[gain.figure] else "passed"

    def _decided(self, gain: Gain) -> bool:
        """Whether a figure surely failed, or surely kept what is allowed."""
        if gain.low is None:
            return False
        return self._outcome(gain) == "failed" or self._losses(gain)[1] <= 1 + self._baseline.allowed[gain.figure]


def values_of(stored: Mapping[str, Sequence[float | None]]) -> dict[str, list[float]]:
    """Stored figures with NaN for null."""
    return {name: [float("nan") if each is None else each for each in values] for name, values in stored.items()}


def text_of(gain: Gain) -> str:
    """A figure at the gate in words."""
    if gain.low is None or gain.high is None:
        return f"too few starts to be believed: {gain.starts[0]} in the baseline, {gain.starts[1]} now"
    return f"{gain.low - 1:+.1%} to {gain.high - 1:+.1%} against the baseline; allowed loss {gain.allowed or 0:.0%}"


def verdict(judged: Sequence[Gain]) -> Outcome:
    """All together: failed where one failed; unknown where none did and at least one could not be told."""
    outcomes = {gain.outcome for gain in judged}
    return "failed" if "failed" in outcomes else "unknown" if "unknown" in outcomes or not judged else "passed"
