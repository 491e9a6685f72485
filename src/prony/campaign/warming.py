"""A first trial on a fresh start in, warm-up found from it out: later starts serve so long before they are counted."""

from __future__ import annotations

from prony.campaign.bench import Bench, Measured
from prony.campaign.find import busy_users, saturate
from prony.plan import Plan
from prony.summary import warm_up_of

MOST_S = 3.0


def calibrate(bench: Bench, plan: Plan, duration_s: float, label: str) -> Measured:
    """A longer `saturate`, on a start that has served nothing; what it says of warm-up holds from then on.

    Up to 3 s are discarded, or the length of a trial where that is shorter; the trial lasts twice as long. Of several
    plans the longest warm-up holds for all, so that all are treated alike.
    """
    most_s = min(MOST_S, duration_s)
    before, bench.warm_up, bench.warming = bench.warm_up, None, None
    found = saturate(bench, plan, max(duration_s, 2 * most_s), label)
    now = warm_up_of(bench.store.recording(found.id), most_s)
    warm_up = now if before is None or now.discarded_s > before.discarded_s else before
    bench.warm_up = warm_up
    discard(bench, warm_up.discarded_s)
    bench.teller.say(f"  {now.text}")
    return found


def discard(bench: Bench, seconds: float) -> None:
    """From now on a fresh start serves so long before it is counted, as many users as keep every slot busy."""
    if seconds:
        bench.warming = lambda plan: plan.loaded(users=busy_users(plan), duration_s=seconds, think_s=0)
