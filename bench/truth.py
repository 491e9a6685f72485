"""Servers of ours with a known capacity in, how often `prony find --url` encloses it over sockets out: table or JSON.

Each server (slots.py) has some slots and a fixed time of service, both drawn from a seed with the limit on p99; it is
searched by the engine, bench and search that `prony find --url` runs. Its true capacity is computed (M/D/c) from the
mean time for which its slots were really taken, by its own account: a sleep lasts a little longer than it is asked to.

Capacity is about trials of some length. In a short trial a queue that begins empty has no time to grow long, so a load
holds that would not hold for ever. Both are computed: what holds for a trial (half of the trials of that length hold),
which is what the search is after, and what holds for ever, which is what a sceptic means.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from msgspec import structs
from paired import arguments, at_least, pinned, reported, tell, two_cores
from simulated import fixed_for_a_trial, fixed_for_ever

from prony.alone.arrival import arrive
from prony.campaign import find as finding
from prony.campaign.alone import AloneBench
from prony.capacity import Capacity, Search
from prony.plan import Limits
from prony.plan import alone as planned
from prony.plan import destination as destinations
from prony.recording import Store

SEED = 7
SLOTS = (1, 2, 4, 8, 16)
RATES_RPS = (150.0, 800.0)  # slots ÷ time of service
SERVICES_S = (0.004, 0.06)
LIMITS = (3, 5, 10, None)  # of p99, in times of service; None: the default, 1 s
TRIAL_S = 2.0
BUDGET_S = 27.0
WIDTH = 0.06


class Case(NamedTuple):
    """One server, and the limit on p99 to search it with."""

    slots: int
    service_s: float
    limit_s: float


class Found(NamedTuple):
    """What one search said, and the truth: what holds for a trial of its length, and what holds for ever."""

    case: Case
    capacity: Capacity
    service_s: float
    trial_rps: float
    ever_rps: float

    def encloses(self, rate_rps: float) -> bool:
        """Whether the interval has that rate within it; one without an upper end has not."""
        low, high = self.capacity.low_rps, self.capacity.high_rps
        return low is not None and high is not None and low <= rate_rps <= high


def cases(number: int) -> list[Case]:
    """The first so many servers of the seed."""
    random = np.random.default_rng(SEED)
    found: list[Case] = []
    while len(found) < number:
        slots = int(random.choice(SLOTS))
        service_s = slots / float(np.exp(random.uniform(*np.log(RATES_RPS))))
        times = LIMITS[int(random.integers(len(LIMITS)))]
        if SERVICES_S[0] <= service_s <= SERVICES_S[1]:
            found.append(Case(slots, service_s, times * service_s if times else 1.0))
    return found


@contextlib.contextmanager
def served(core: int, case: Case, log: Path) -> Iterator[int]:
    """The port of that server; its log is there once it has ended."""
    program = [sys.executable, str(Path(__file__).with_name("slots.py")), str(case.slots), str(case.service_s)]
    command = pinned(core, *program, str(log))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline() if process.stdout else 0)
        finally:
            process.communicate("", timeout=30)


def searched(case: Case, core: int, *, trial_s: float = TRIAL_S, budget_s: float = BUDGET_S) -> Found:
    """One search, beside the truth."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with served(core, case, folder / "slots") as port:
            where, targets = destinations.read([f"http://127.0.0.1:{port}/"])
            plan = structs.replace(
                planned.plan_for(where, targets, {}, ()), limits=Limits(latency_s={"p99": case.limit_s})
            )
            plan = arrive(plan, lambda _: None)
            with (
                contextlib.closing(Store(folder / "prony.db")) as store,
                AloneBench(store, "find", plan.title, folder) as bench,
            ):
                served_rps = finding.saturate(bench, plan, trial_s, "saturation").summary.achieved_rps
                hunt = finding.Hunt(plan, Search(start=max(1.0, 0.7 * served_rps), width=WIDTH), trial_s)
                finding.hunt(bench, hunt, budget_s)
        taken = np.fromfile(folder / "slots", dtype="<i8").reshape(-1, 2)
    service_s = float((taken[:, 1] - taken[:, 0]).mean()) / 1e9
    return Found(
        case,
        hunt.capacity,
        service_s,
        fixed_for_a_trial(case.slots, service_s, case.limit_s, trial_s),
        fixed_for_ever(case.slots, service_s, case.limit_s),
    )


def told(found: Found) -> str:
    """One search in a line."""
    case, capacity = found.case, found.capacity
    return (
        f"{case.slots} slots of {found.service_s * 1e3:.2f} ms (asked {case.service_s * 1e3:.2f}), p99 ≤ "
        f"{case.limit_s * 1e3:.0f} ms: {capacity.text}, {capacity.trials} trials; holds for a trial "
        f"{found.trial_rps:.1f}, for ever {found.ever_rps:.1f}"
    )


def measures(searches: list[Found]) -> list[dict[str, Any]]:
    """The rows of the table."""
    number = len(searches)
    widths = [
        each.capacity.high_rps / each.capacity.low_rps - 1
        for each in searches
        if each.capacity.low_rps and each.capacity.high_rps
    ]
    over = [each.trial_rps / each.ever_rps - 1 for each in searches]
    least = 0.95 * number
    return [
        at_least(
            f"of {number} servers, what holds for a trial of {TRIAL_S:g} s within the interval",
            sum(each.encloses(each.trial_rps) for each in searches),
            "",
            least,
        ),
        reported(
            "  of them, what holds for ever within it", sum(each.encloses(each.ever_rps) for each in searches), ""
        ),
        reported(f"what holds for {TRIAL_S:g} s over what holds for ever, median", float(np.median(over)), "share"),
        reported("median width of the intervals", float(np.median(widths)) if widths else float("nan"), "share"),
    ]


def main() -> None:
    """Measures and prints."""
    chosen = arguments(__doc__)
    _, core = two_cores()
    began_s = time.monotonic()
    searches = []
    for case in cases(2 if chosen.quick else 20):
        searches.append(searched(case, core))
        print(told(searches[-1]), file=sys.stderr)
    tell(measures(searches), as_json=chosen.json, took_s=round(time.monotonic() - began_s, 1))


if __name__ == "__main__":
    main()
