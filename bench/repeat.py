"""Real servers in, how far `prony find` and `prony compare` agree with themselves out: table or JSON.

Five finds of one plan, of the page app under gunicorn sync and of its async twin under uvicorn: how far the middles of
their intervals lie apart, beside the canary, which tells whether the machine was the same. Then ten contests of four
plans, loaded by turns, each judged against the first as `prony compare` judges two, with half its default of starts:
the first once more, and two that cost so much more CPU that the first would lose 10 % and 5 % of its capacity.

Everything takes an hour and a half, by reckoning, and is worth nothing while something else runs; --quick takes four
minutes, and --only picks parts.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pages
from paired import arguments, at_least, measured, reported, tell

from prony.campaign import compare as comparing
from prony.campaign.bench import Bench, Silent
from prony.campaign.find import saturate
from prony.comparison import Contest
from prony.comparison.ratio import ALPHA
from prony.plan import Plan, changed, read_file
from prony.recording import Store

APPS = {
    "sync": ("page app, gunicorn sync", pages.sync),
    "twin": ("its async twin, uvicorn", pages.twin),
}
LOSSES = {"loss10": 0.10, "loss5": 0.05}
PARTS = (*APPS, "aa", *LOSSES)
MACHINE = frozenset(
    {"canary_moved", "memory_moved", "steal", "neighbours", "late_sends"}
)  # doubts that are about the machine
SPREAD = 0.03
COMPARE_S = 600.0


class Size(NamedTuple):
    """How much is done: finds of each app and their budgets, rounds of comparisons, starts of each plan, trials."""

    finds: int
    budget_s: int
    trial_s: float
    rounds: int
    starts: int
    compare_trial_s: float


FULL = Size(5, 120, 5.0, 10, 10, 3.0)
QUICK = Size(2, 25, 2.0, 1, 4, 1.5)


class Found(NamedTuple):
    """One find: the ends of its interval (None where it has none), its canaries, trials with doubts.

    `canary_s` is the median of computing; `memory` says by how much walks over memory differed: their 95th percentile
    over their 5th.
    """

    low: float | None
    high: float | None
    canary_s: float
    memory: float
    doubted: int
    trials: int

    @property
    def middle(self) -> float | None:
        """The middle of the interval, where it has both ends."""
        return None if self.low is None or self.high is None else (self.low * self.high) ** 0.5


def find(folder: Path, size: Size) -> Found:
    """`prony find` of a project, as one would type it."""
    command = [sys.executable, "-m", "prony", "find", "--project", str(folder), "--json"]
    command += ["--budget", f"{size.budget_s}s", "--trial", f"{size.trial_s}s"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 1}:
        raise SystemExit(f"prony find ended with {done.returncode}: {done.stderr[-2000:]}")
    document = json.loads(done.stdout)
    [capacity] = document["capacities"]
    with contextlib.closing(Store(folder / ".prony" / "prony.db")) as store:
        recordings = [store.recording(each["id"]) for each in document["trials"]]
    canary_s, memory_s = (
        np.concatenate([each.values("canary", name) for each in recordings]) for name in ("stack_s", "stack_memory_s")
    )
    doubted = sum(bool(MACHINE & set(each["doubts"])) for each in document["trials"])
    return Found(
        capacity["low_rps"],
        capacity["high_rps"],
        float(np.median(canary_s)),
        float(np.quantile(memory_s, 0.95) / np.quantile(memory_s, 0.05)),
        doubted,
        len(document["trials"]),
    )


def finds(title: str, folder: Path, size: Size) -> list[dict[str, Any]]:
    """The rows about one app."""
    found = []
    for _ in range(size.finds):
        found.append(find(folder, size))
        print(f"{title}: {found[-1]}", file=sys.stderr)
    middles = [each.middle for each in found if each.middle is not None]
    machine = {
        "canary, slowest find over quickest": max(each.canary_s for each in found)
        / min(each.canary_s for each in found),
        "walks over memory, slowest over quickest": statistics.median(each.memory for each in found),
        "trials with a doubt about the machine": sum(each.doubted for each in found)
        / sum(each.trials for each in found),
    }
    rows = [at_least(f"{title}: of {len(found)} finds, with an interval", len(middles), "", len(found), machine)]
    if len(middles) < 2:  # nothing to compare: told above
        return rows
    median = statistics.median(middles)
    widths = [(each.high or 0) / (each.low or 1) - 1 for each in found if each.middle is not None]
    agree = sum((each.low or 0) <= median <= (each.high or float("inf")) for each in found)
    spread = (max(middles) - min(middles)) / median
    return [
        *rows,
        measured(f"{title}: spread of the middles", spread, "share", SPREAD, {"median, rps": median}),
        reported(f"{title}: median width", statistics.median(widths), "share"),
        reported(f"{title}: intervals with the median middle in them", agree, ""),
    ]


def sides(bench: Bench, plan: Plan, parts: Sequence[str], trial_s: float) -> dict[str, Plan]:
    """The plan, the same again, and what costs more CPU: of all that one request costs app and database together."""
    costs = []
    for number in range(3):
        tiers = saturate(bench, plan, trial_s, f"cost {number + 1}").summary.tiers
        costs.append(sum(tiers[tier]["cpu_s_per_request"] or 0.0 for tier in ("app", "database")))
    cost_s = statistics.median(costs)
    found = {"first": plan}
    if "aa" in parts:
        found["aa"] = plan
    for part, loss in LOSSES.items():
        if part in parts:
            found[part] = changed(plan, {"app.env.BURN_S": f"{(1 / (1 - loss) - 1) * cost_s:.9f}"})
    return found


class Telling(Silent):
    """Says on standard error what `prony compare` would say, such as why plans do not go by turns."""

    def say(self, text: str) -> None:
        print(text, file=sys.stderr)


def one_round(bench: Bench, plans: dict[str, Plan], size: Size, seed: int) -> dict[str, list[str]]:
    """For each side but the first, the figures that were called different from the first's, each with its verdict."""
    names = list(plans)
    contest = Contest(
        len(names),
        most=size.starts,
        seed=seed,
        figures=comparing.FIGURES,
        higher_is_better=comparing.HIGHER_IS_BETTER,
        follows=comparing.FOLLOWS,
        alpha=ALPHA * (len(names) - 1),  # each pair as if it were the only one
    )
    listed = list(plans.values())
    pace = comparing.pace_of(bench, listed, size.compare_trial_s)
    answer_s = comparing.answer_s_of_turns(bench, listed, pace)
    trial_s = size.compare_trial_s
    comparing.hold(bench, contest, names, listed, rate_rps=pace.rate_rps, trial_s=trial_s, answer_s=answer_s)
    called = {}
    for compared in comparing.comparisons(contest, names, fresh=True):
        called[compared.b] = [
            f"{gain.figure} {gain.verdict}" for gain in compared.gains if gain.verdict in {"better", "worse"}
        ]
        ratio = next(gain for gain in compared.gains if gain.figure == comparing.SATURATED)
        print(
            f"{compared.b}: {called[compared.b]}; served {ratio.ratio} ({ratio.low} to {ratio.high})", file=sys.stderr
        )
    return called


def compared(folder: Path, parts: Sequence[str], size: Size) -> list[dict[str, Any]]:
    """The rows about comparing."""
    began_s = time.monotonic()
    (folder / ".prony").mkdir(exist_ok=True)
    with (
        contextlib.closing(Store(folder / ".prony" / "prony.db")) as store,
        Bench(store, "compare", "a plan against itself", folder / ".prony", Telling(), stacks=len(parts) + 1) as bench,
    ):
        plans = sides(bench, read_file(folder, ()), parts, size.compare_trial_s)
        rounds = [one_round(bench, plans, size, 100 + number) for number in range(size.rounds)]
        ran = [each for each in bench.measured if each.plan.traffic.turns is not None]
        print(f"{len(ran)} of {len(bench.measured)} trials went by turns", file=sys.stderr)
    of = len(rounds)
    each_s = (time.monotonic() - began_s) / of / (len(plans) / 2)
    rows = []
    if "aa" in parts:
        different = sum(bool(each["aa"]) for each in rounds)
        rows.append(measured(f"A/A: of {of} comparisons, called different", different, "", 0, {}))
    for part, loss in LOSSES.items():
        if part in parts:
            worse = {
                figure: float(sum(f"{figure} worse" in each[part] for each in rounds))
                for figure in (comparing.SATURATED, "app_cpu_s_per_request")
            }
            name = f"a loss of {loss:.0%}: of {of} comparisons, found"
            value = sum(any(text.endswith(" worse") for text in each[part]) for each in rounds)
            row = at_least(name, value, "", 0.9 * of, worse) if part == "loss10" else reported(name, value, "", worse)
            rows.append(row)
    return [*rows, measured("one comparison of two plans", each_s, "s", COMPARE_S, {})]


def main() -> None:
    """Measures and prints."""
    chosen = arguments(__doc__, PARTS)
    size = QUICK if chosen.quick else FULL
    began_s = time.monotonic()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        for part, (title, make) in APPS.items():
            if part in chosen.only:
                rows += finds(title, make(Path(name) / part), size)
        parts = [part for part in ("aa", *LOSSES) if part in chosen.only]
        if parts:
            rows += compared(pages.burning(Path(name) / "burning"), parts, size)
    tell(rows, as_json=chosen.json, took_s=round(time.monotonic() - began_s, 1))


if __name__ == "__main__":
    main()
