"""Simulated systems in, how often and how narrowly the search for capacity encloses the truth out, beside its peers."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from paired import at_least, measured, tell
from simulated import (
    OUTLIERS,
    START_SD,
    Noise,
    System,
    many_servers,
    middle_of,
    noise,
    noisy,
    one_shared,
    queue,
    replayed,
    shared,
)

from prony.campaign.compare import FIGURES, FOLLOWS, HIGHER_IS_BETTER, SATURATED
from prony.capacity import Search
from prony.comparison import Contest

TRIAL_S = 5.0
# Seeds below 1000 are for looking into what goes wrong. Those from 100 000 on were held out once: runs with --quick
# on them led to a mended search, so they no longer are, nor are those from 300 000 on: what they showed of recorded
# noise and of processor sharing led to another belief, chosen on seeds from 1000 on. Those from here on are only
# reported.
HELD_OUT = 400_000
VOTES_MAX = 15
FAILED_START_S = 3.0
STARTS = 20  # as prony compare has by default
LOSSES = (0.10, 0.05)


class Found(NamedTuple):
    """One campaign: whether the truth was enclosed, the interval's width as a share, and seconds of load."""

    inside: bool
    width: float
    load_s: float


def prony(system: System, start: float, width: float, budget_s: float) -> Found:
    """This project's search."""
    search = Search(start=start, width=width, trials_max=1000)
    spent_s = 0.0
    spent_s += boot(system)
    while (ask := search.ask((budget_s - spent_s) / TRIAL_S)) is not None:
        duration_s = TRIAL_S / 2 if ask.short else TRIAL_S
        if spent_s + duration_s > budget_s:
            break
        if ask.fresh:
            spent_s += boot(system)
        spent_s += duration_s
        search.tell(system.trial(ask.load, duration_s))
    found = search.result()
    low, high = found.low_rps or 0.0, found.high_rps or np.inf
    return Found(low <= system.truth <= high, high / low - 1 if low else np.inf, spent_s)


def boot(system: System) -> float:
    """A start, made again for as long as it fails: seconds that were lost by that."""
    lost_s = 0.0
    while not system.boot():
        lost_s += FAILED_START_S
    return lost_s


def bisection(system: System, start: float, width: float, votes: int, *, doubling: bool) -> Found:
    """Doubling (Nighthawk) or steps of one half, then bisection until as narrow; each load by a majority of trials."""
    spent_s = 0.0

    def holds(load: float) -> bool:
        nonlocal spent_s
        held = 0
        for _ in range(votes):
            system.boot()
            held += system.trial(load, TRIAL_S)
            spent_s += TRIAL_S
        return 2 * held > votes

    factor = 2.0 if doubling else 1.5
    low = high = start
    if holds(start):
        while holds(high := high * factor):
            low = high
    else:
        while not holds(low := low / factor):
            high = low
    while high / low > 1 + width:
        load = (low + high) / 2
        low, high = (load, high) if holds(load) else (low, load)
    return Found(low <= system.truth <= high, high / low - 1, spent_s)


def campaigns(
    number: int, make: Callable[[int], System], run: Callable[[System, float], Found]
) -> tuple[float, float, float]:
    """The share of campaigns that enclosed the truth, the median width, and the median seconds of load."""
    found = []
    for seed in range(HELD_OUT, HELD_OUT + number):
        system = make(seed)
        off = float(np.exp(np.random.default_rng([seed, 1]).normal(-0.35, 0.3)))
        found.append(run(system, system.truth * off))
    columns = np.array([(each.inside, each.width, each.load_s) for each in found])
    return float(columns[:, 0].mean()), float(np.median(columns[:, 1])), float(np.median(columns[:, 2]))


def measure(
    name: str,
    value: float,
    unit: str,
    target: float | None,
    *,
    least: bool = False,
    peers: dict[str, float] | None = None,
) -> dict[str, Any]:
    """One measure; `least`: its target is a lower bound."""
    if least and target is not None:
        return at_least(name, value, unit, target, peers)
    return measured(name, value, unit, target, peers or {})


def searches(number: int) -> Iterator[dict[str, Any]]:
    """Coverage, width and load under the issue's noise, with drift, and on queues."""
    inside, width, load_s = campaigns(number, noisy, lambda s, at: prony(s, at, 0.06, 180))
    yield measure("truth inside, 180 s", inside, "share", 0.95, least=True)
    yield measure("median width, 180 s", width, "share", 0.06)
    peers: dict[str, float] = {}
    for peer, doubling in (("nighthawk", True), ("bisection", False)):
        for votes in (1, 3, *range(5, VOTES_MAX + 1, 2)):
            few = max(60, number // 5)
            told = campaigns(few, noisy, lambda s, at, v=votes, d=doubling: bisection(s, at, 0.06, v, doubling=d))  # type: ignore[misc]
            if votes == (1 if doubling else 3):
                peers |= {f"{peer} as it is, inside": told[0], f"{peer} as it is, s": told[2]}
            if told[0] >= inside - 0.02:
                break
        peers |= {f"{peer}, {votes} trials a load, inside": told[0], f"{peer}, {votes} trials a load, s": told[2]}
    equal = [value for name, value in peers.items() if name.endswith("a load, s")]
    yield measure("load of one search", load_s, "s", min(equal), peers=peers)
    inside, width, _ = campaigns(number, noisy, lambda s, at: prony(s, at, 0.04, 1200))
    yield measure("truth inside, 20 min", inside, "share", 0.95, least=True)
    yield measure("median width, 20 min", width, "share", 0.04)
    inside, _, _ = campaigns(number, lambda seed: noisy(seed, drift=0.03), lambda s, at: prony(s, at, 0.06, 180))
    yield measure("truth inside, capacity drifting 3 % in 10 min", inside, "share", 0.95, least=True)
    inside, _, _ = campaigns(number, lambda seed: noisy(seed, failing=0.1), lambda s, at: prony(s, at, 0.06, 180))
    yield measure("truth inside, one start in ten failing", inside, "share", 0.95, least=True)
    for of, make in replays(noise()):
        inside, width, _ = campaigns(number, make, lambda s, at: prony(s, at, 0.06, 180))
        yield measure(f"truth inside, {of} replayed", inside, "share", 0.95, least=True)
        yield measure(f"median width, {of} replayed", width, "share", None)
    random = np.random.default_rng(1)
    few = max(20, number // 20)
    four = middle_of(lambda load: many_servers(random, load, TRIAL_S, 4, 0.04), 0.3, 100)
    inside, _, _ = campaigns(
        few,
        lambda seed: queue(seed, four, servers=4, service_s=0.04, limit_s=0.3),
        lambda s, at: prony(s, at, 0.06, 180),
    )
    yield measure("truth inside, M/M/4", inside, "share", 0.95, least=True)
    one = middle_of(lambda load: one_shared(random, load, TRIAL_S, 0.01), 0.15, 100)
    inside, _, _ = campaigns(
        few, lambda seed: shared(seed, one, service_s=0.01, limit_s=0.15), lambda s, at: prony(s, at, 0.06, 180)
    )
    yield measure("truth inside, processor sharing", inside, "share", 0.95, least=True)


def replays(recorded: Noise) -> Iterator[tuple[str, Callable[[int], System]]]:
    """Systems with recorded noise, and whose it is."""
    yield "a real app's noise", lambda seed: replayed(seed, recorded, app=True)
    yield "a real machine's canary", lambda seed: replayed(seed, recorded, app=False)


def contest(seed: int, loss: float) -> Contest:
    """A contest of two plans as `prony compare` holds it, with its looks, of which the second serves less."""
    # What follows others draws by itself: what is judged by itself is the same with it and without.
    leaders, followers = np.random.default_rng(seed), np.random.default_rng((seed, 1))
    held = Contest(2, most=STARTS, seed=seed, figures=FIGURES, higher_is_better=HIGHER_IS_BETTER, follows=FOLLOWS)
    while (side := held.ask()) is not None:
        told = {}
        for name in FIGURES:
            random = followers if name in FOLLOWS else leaders
            sd = START_SD if name == SATURATED else 0.04
            scale = 1 - loss if side and name == SATURATED else 1.0
            told[name] = scale * float(np.exp(random.normal(0, sd))) * (0.8 if random.random() < OUTLIERS else 1.0)
        held.tell(told)
    return held


def comparisons(number: int) -> Iterator[dict[str, Any]]:
    """Two identical plans called different, and planted losses found, in contests of at most STARTS starts each."""

    def verdicts(loss: float) -> tuple[float, float]:
        called, starts = 0, []
        for seed in range(HELD_OUT, HELD_OUT + number):
            held = contest(seed, loss)
            gains = {gain.figure: gain.verdict for gain in held.gains()}
            different = any(each in {"better", "worse"} for each in gains.values())
            called += different if loss == 0 else gains[SATURATED] == "worse"
            starts.append(held.looked[-1])
        return called / number, float(np.median(starts))

    share, starts = verdicts(0.0)
    yield measure("A/A: identical plans called different", share, "share", 0.05, peers={"starts, median": starts})
    for loss, target in zip(LOSSES, (0.9, None), strict=True):
        share, starts = verdicts(loss)
        name = f"a loss of {loss:.0%} found"
        yield measure(name, share, "share", target, least=True, peers={"starts, median": starts})


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--quick", action="store_true", help="fewer campaigns: under a minute")
    chosen = parser.parse_args()
    began_s = time.monotonic()
    number = 100 if chosen.quick else 1000
    measures = [*searches(number), *comparisons(number)]
    tell(measures, as_json=chosen.json, campaigns=number, took_s=round(time.monotonic() - began_s, 1))


if __name__ == "__main__":
    main()
