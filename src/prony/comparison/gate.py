"""A stored baseline and fresh figures in, whether any lost more than is allowed out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from prony.comparison.ratio import Gain, compare


class Baseline(Struct, frozen=True, kw_only=True):
    """What `prony gate --write` stores: a file to be committed.

    Attributes:
        prony: The version that wrote it.
        title: The plan it was measured on.
        machine: The machine; another one's figures are no baseline for this.
        rate_rps: The rate of its trials.
        trial_s: Their length in seconds.
        figures: By figure, a value for each start; null where one was not to be believed.
        allowed: By figure, the loss that is allowed, as a share; a figure without one is told and not judged.
    """

    prony: str
    title: str
    machine: str
    rate_rps: float
    trial_s: float
    figures: dict[str, tuple[float | None, ...]]
    allowed: dict[str, float]


class Check(Struct, frozen=True, kw_only=True):
    """One figure at the gate: `failed` where its loss surely passes what is allowed."""

    gain: Gain
    allowed: float
    outcome: Literal["passed", "failed", "unknown"]

    @property
    def text(self) -> str:
        """The outcome in words."""
        if self.outcome == "unknown":
            return f"too few starts to be believed: {self.gain.starts[0]} in the baseline, {self.gain.starts[1]} now"
        low, high = ((self.gain.low or 1.0) - 1, (self.gain.high or 1.0) - 1)
        return f"{low:+.1%} to {high:+.1%} against the baseline; allowed loss {self.allowed:.0%}"


def checks(
    baseline: Baseline, now: Mapping[str, Sequence[float]], *, higher_is_better: Collection[str], seed: int = 1
) -> list[Check]:
    """Each figure with an allowed loss: failed where the whole of its interval lies past that loss."""
    figures = {
        name: ([float("nan") if value is None else value for value in baseline.figures.get(name, ())], now[name])
        for name in baseline.allowed
    }
    found = []
    for gain in compare(figures, higher_is_better=higher_is_better, seed=seed):
        allowed = baseline.allowed[gain.figure]
        outcome: Literal["passed", "failed", "unknown"] = "unknown"
        if gain.low is not None and gain.high is not None:
            lost = gain.high < 1 - allowed if gain.figure in higher_is_better else gain.low > 1 + allowed
            outcome = "failed" if lost else "passed"
        found.append(Check(gain=gain, allowed=allowed, outcome=outcome))
    return found


def verdict(found: Sequence[Check]) -> Literal["passed", "failed", "unknown"]:
    """All together: failed where one failed; unknown where none did and at least one could not be told."""
    outcomes = {check.outcome for check in found}
    return "failed" if "failed" in outcomes else "unknown" if "unknown" in outcomes or not found else "passed"
