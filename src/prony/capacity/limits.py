"""A trial's figures and the limits in, whether they held out: yes, no, or not to be believed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prony.doubts import Doubt, disturbed, late, voids_all
from prony.plan import Limits
from prony.summary import Summary


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether the limits held; None where the trial is not to be believed. `broken` names each limit that did not.

    `disturbed` says that the machine was: what broke may have been broken by that.
    """

    held: bool | None
    broken: tuple[str, ...]
    disturbed: bool = False


def judge(summary: Summary, doubts: Iterable[Doubt], limits: Limits) -> Judgement:
    """Holds a trial's figures against the limits.

    Too few samples make a quantile a poor number, but not a poor test: it is judged all the same, and decisions take
    more than one trial. A generator that sent late only ever adds to latency: limits that held all the same, did hold;
    latencies that broke may have been broken by us, and the trial is not to be believed; wrong answers were not. A
    machine that was disturbed only ever adds to it, too, but by nothing of ours: the trial counts, and weighs little.
    """
    doubts = list(doubts)
    broken = []
    if summary.errors.share > limits.errors:
        broken.append(f"errors {summary.errors.share:.1%}, limit {limits.errors:.1%}")
    for name, limit_s in limits.latency_s.items():
        value_s = summary.latency_s[name]
        if value_s is None:
            broken.append(f"{name}: nothing was answered")
            continue
        if value_s > limit_s:
            broken.append(f"{name} {value_s:.2f} s, limit {limit_s:g} s")
    if summary.backlog.growing:
        broken.append(f"backlog grew by {summary.backlog.slope_per_s:.0f} requests a second")
    only_late = late(doubts) and broken and summary.errors.share <= limits.errors
    if voids_all(doubts) or not summary.requests or summary.cut_off or only_late:
        return Judgement(None, tuple(broken))
    return Judgement(not broken, tuple(broken), disturbed(doubts))
