"""A seed in, a simulated system out that holds or breaks a limit at a load: what bench/search.py searches."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from prony import stats

START_SD = 0.015
P99_NOISE = 0.15
OUTLIERS = 0.05
STRETCH = 8  # recorded starts that are replayed one after the other, on average
NOISE = Path(__file__).with_name("noise.json")
KNEE = 0.95  # utilisation at which the noise-free p99 is at its limit


class System(NamedTuple):
    """Its true capacity; `boot()`: whether a fresh start came up; `trial(load, duration_s)`: whether limits held."""

    truth: float
    boot: Callable[[], bool]
    trial: Callable[[float, float], bool]


def noisy(seed: int, *, drift: float = 0.0, slow: float = 1.0, failing: float = 0.0) -> System:
    """A queue whose p99 goes as 1 ÷ (1 − utilisation), with noise; `drift` over 600 s of load, `slow` a cost.

    The share `failing` of its starts does not come up.

    Between starts the capacity varies with a standard deviation of 1.5 %, p99 by 15 % a trial, and one trial in twenty
    has five times the latency.
    """
    random = np.random.default_rng(seed)
    truth = float(np.exp(random.uniform(np.log(20), np.log(3000)))) / slow
    state = {"start": truth, "spent_s": 0.0}

    def boot() -> bool:
        state["start"] = truth * float(np.exp(random.normal(0, START_SD)))
        return bool(failing == 0 or random.random() >= failing)

    def trial(load: float, duration_s: float) -> bool:
        state["spent_s"] += duration_s
        here = state["start"] * (1 + drift * (state["spent_s"] / 600 - 0.1))
        utilisation = load / here * KNEE
        if utilisation >= 1:
            return False
        p99 = (1 - KNEE) / (1 - utilisation) * float(np.exp(random.normal(0, P99_NOISE)))
        return bool(p99 * (5 if random.random() < OUTLIERS else 1) <= 1)

    return System(truth, boot, trial)


class Noise(NamedTuple):
    """What noise.json holds, each relative to its median: of each start what it served and p99, and every canary."""

    served: np.ndarray
    p99: np.ndarray
    canary: np.ndarray


def noise() -> Noise:
    """The noise that was recorded on a real machine (bench/noise.py)."""
    starts = json.loads(NOISE.read_text(encoding="utf-8"))["starts"]
    served, p99 = (np.array([each[name] for each in starts]) for name in ("rps", "p99_s"))
    canary = np.array([value for each in starts for value in each["canary_s"]])
    return Noise(served / np.median(served), p99 / np.median(p99), canary / np.median(canary))


def replayed(seed: int, recorded: Noise, *, app: bool) -> System:
    """`noisy` with the app's recorded noise, or with the canary's alone: consecutive stretches, in their order.

    Each fresh start is the next one recorded, with what it served and its p99; further trials on it take the p99 of
    those that follow. Of the canary, every trial takes the next one, and the server is as slow as it was.
    """
    random = np.random.default_rng(seed)
    scale = float(np.exp(random.uniform(np.log(20), np.log(3000))))
    count = len(recorded.served if app else recorded.canary)
    state = {"start": int(random.integers(count)), "trial": 0}

    def onward(at: int) -> int:
        return int(random.integers(count)) if random.random() < 1 / STRETCH else (at + 1) % count

    def boot() -> bool:
        state["start"] = state["trial"] = onward(state["start"])
        return True

    def trial(load: float, duration_s: float) -> bool:  # noqa: ARG001 - however long, the noise is as it was recorded
        at, state["trial"] = state["trial"], (state["trial"] + 1) % count if app else onward(state["trial"])
        return bool(load <= breaks[state["start"], at] if app else load <= breaks[at])

    if app:
        tail = (1 - (1 - KNEE) * recorded.p99) / KNEE
        breaks = scale * recorded.served[:, None] * tail[None, :]
        return System(float(np.median(np.diag(breaks))), boot, trial)
    breaks = scale / recorded.canary
    return System(float(np.median(breaks)), boot, trial)


def queue(seed: int, truth: float, *, servers: int, service_s: float, limit_s: float) -> System:
    """An M/M/c queue simulated request by request, each start's speed its own; `truth` comes from `middle_of`."""
    random = np.random.default_rng(seed)
    state = {"speed": 1.0}

    def boot() -> bool:
        state["speed"] = float(np.exp(random.normal(0, START_SD)))
        return True

    def trial(load: float, duration_s: float) -> bool:
        latency_s = many_servers(random, load, duration_s, servers, service_s / state["speed"])
        slow = 5 if random.random() < OUTLIERS else 1
        return bool(np.quantile(latency_s, 0.99) * slow <= limit_s)

    return System(truth, boot, trial)


def shared(seed: int, truth: float, *, service_s: float, limit_s: float) -> System:
    """A processor-sharing server (one core, many requests at once), else as `queue`."""
    random = np.random.default_rng(seed)
    state = {"speed": 1.0}

    def boot() -> bool:
        state["speed"] = float(np.exp(random.normal(0, START_SD)))
        return True

    def trial(load: float, duration_s: float) -> bool:
        latency_s = one_shared(random, load, duration_s, service_s / state["speed"])
        return bool(np.quantile(latency_s, 0.99) * (5 if random.random() < OUTLIERS else 1) <= limit_s)

    return System(truth, boot, trial)


def many_servers(
    random: np.random.Generator, load: float, duration_s: float, servers: int, service_s: float
) -> np.ndarray:
    """Latencies in seconds of a first-come, first-served queue before `servers` servers, with exponential times."""
    count = max(20, int(random.poisson(load * duration_s)))
    due_s = np.sort(random.uniform(0, duration_s, count))
    works_s = random.exponential(service_s, count)
    free = [0.0] * servers
    latency_s = np.empty(count)
    for i in range(count):
        begun = max(due_s[i], heapq.heappop(free))
        heapq.heappush(free, begun + works_s[i])
        latency_s[i] = begun + works_s[i] - due_s[i]
    return latency_s


def one_shared(random: np.random.Generator, load: float, duration_s: float, service_s: float) -> np.ndarray:
    """Latencies in seconds where all requests present share one server evenly, with exponential work."""
    count = max(20, int(random.poisson(load * duration_s)))
    due_s = np.sort(random.uniform(0, duration_s, count))
    works_s = random.exponential(service_s, count)
    latency_s = np.empty(count)
    present: list[tuple[float, int]] = []  # by the level of service at which each is done
    level = now = 0.0
    i = 0
    while i < count or present:
        done = now + (present[0][0] - level) * len(present) if present else np.inf
        if i < count and due_s[i] <= done:
            level += (due_s[i] - now) / len(present) if present else 0.0
            now = due_s[i]
            heapq.heappush(present, (level + works_s[i], i))
            i += 1
        else:
            level, number = heapq.heappop(present)
            now = done
            latency_s[number] = now - due_s[number]
    return latency_s


def fixed(
    random: np.random.Generator, load: float, duration_s: float, slots: int, service_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Due instants and latencies, both in seconds, of a first-come, first-served queue before `slots` slots (M/D/c).

    Where every service takes the same time, request i takes the slot that request i - slots leaves: a recursion with a
    closed form, fit for millions of requests.
    """
    count = max(20, int(random.poisson(load * duration_s)))
    due_s = np.sort(random.uniform(0, duration_s, count))
    rows = -(-count // slots)
    turns_s = np.arange(rows)[:, None] * service_s
    padded_s = np.concatenate([due_s, np.full(rows * slots - count, due_s[-1])]).reshape(rows, slots)
    begun_s = (np.maximum.accumulate(padded_s - turns_s, axis=0) + turns_s).ravel()[:count]
    return due_s, begun_s + service_s - due_s


def held(due_s: np.ndarray, latency_s: np.ndarray, duration_s: float, limit_s: float) -> bool:
    """Whether a trial held "p99 within the limit, backlog not growing", by the rules of prony's `summary.trial`."""
    if stats.quantile(np.sort(latency_s), 0.99) > limit_s:
        return False
    grid_s = np.arange(duration_s / 3, duration_s, 0.1)
    levels = np.searchsorted(due_s, grid_s, side="right") - np.searchsorted(
        np.sort(due_s + latency_s), grid_s, side="right"
    )
    line = stats.trend(grid_s, levels)
    return not (line.slope_per_s > 0.03 * len(due_s) / duration_s and line.rise > 4 + 4 * max(line.mean, 0.0) ** 0.5)


def fixed_for_a_trial(slots: int, service_s: float, limit_s: float, duration_s: float) -> float:
    """The load at which half of the trials of that length hold, each begun on an idle server."""
    random = np.random.default_rng(2)
    low, high = 0.2 * slots / service_s, 2 * slots / service_s
    while high / low > 1.004:
        load = (low * high) ** 0.5
        trials = [held(*fixed(random, load, duration_s, slots, service_s), duration_s, limit_s) for _ in range(300)]
        low, high = (load, high) if np.mean(trials) >= 0.5 else (low, load)
    return float((low * high) ** 0.5)


def fixed_for_ever(slots: int, service_s: float, limit_s: float, requests: int = 1_000_000) -> float:
    """The load up to which p99 stays within the limit, however long it lasts; below slots ÷ service time."""
    low, high = 0.1 * slots / service_s, slots / service_s
    while high / low > 1.001:
        load = (low * high) ** 0.5
        _, latency_s = fixed(np.random.default_rng(3), load, requests / load, slots, service_s)
        low, high = (load, high) if np.quantile(latency_s, 0.99) <= limit_s else (low, load)
    return float((low * high) ** 0.5)


def middle_of(latencies: Callable[[float], np.ndarray], limit_s: float, guess: float) -> float:
    """The load at which half of a median start's trials hold: by bisection with many trials each."""
    low, high = guess / 2, guess * 1.2
    while high / low > 1.005:
        load = (low * high) ** 0.5
        held = np.mean([np.quantile(latencies(load), 0.99) <= limit_s for _ in range(400)])
        low, high = (load, high) if held >= 0.5 else (low, load)
    return float((low * high) ** 0.5)
