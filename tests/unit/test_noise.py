"""How small a difference can be seen: foreseen from the starts of an app that was compared with itself."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from prony.campaign import compare, noise
from prony.comparison import Contest
from prony.trial import remembered

FOUND = noise.Noise(
    machine=remembered.this_machine(),
    at="2026-01-02T03:04:05+00:00",
    took_s=80.0,
    campaign=7,
    app="the page app",
    starts=8,
    trial_s=3.0,
    rate_rps=200.0,
    compared=10,
    figures=(
        noise.Seen(figure="saturated_rps", starts=8, spread=0.02, least_seen=0.031, different=False),
        noise.Seen(figure="latency_p99_s", starts=2, spread=0.2, least_seen=None, different=False),
    ),
    canary=(noise.Canary(core_of="stack", times=34, median_s=0.002, low_s=0.0019, high_s=0.0022),),
    doubts={"neighbours": 3},
    trials=17,
)


def starts(spread: float, count: int = 8, seed: int = 1) -> list[float]:
    return [float(each) for each in 100 * np.exp(np.random.default_rng(seed).normal(0, spread, count))]


def held(first: list[float], second: list[float]) -> Contest:
    contest = Contest(2, most=len(first), seed=1, figures=("saturated_rps", "latency_p50_s"))
    sides = [iter(first), iter(second)]
    while (side := contest.ask()) is not None:
        contest.tell({"saturated_rps": next(sides[side]), "latency_p50_s": None})
    return contest


def rounds(spread: float, count: int = 8, seed: int = 1) -> list[float]:
    """Logarithms of ratios of two starts that differ by a spread each."""
    first, second = starts(spread, count, seed), starts(spread, count, seed + 500)
    return [float(np.log(b / a)) for a, b in zip(first, second, strict=True)]


def test_what_varies_twice_as_much_is_seen_from_differences_twice_as_large() -> None:
    values = rounds(0.02)
    found = noise.foreseen({"one": values, "two": [2 * each for each in values]}, 10)
    assert found["one"] is not None
    assert found["two"] is not None
    assert np.log1p(found["two"]) == pytest.approx(2 * np.log1p(found["one"]), rel=0.35)


def test_more_starts_see_smaller_differences() -> None:
    few, many = (noise.foreseen({"one": rounds(0.05)}, compared)["one"] for compared in (5, 40))
    assert few is not None
    assert many is not None
    assert many < 0.7 * few


def test_what_is_foreseen_is_what_comparisons_of_that_spread_then_say() -> None:
    """Over many machines of a known spread, on both ways: from eight rounds, and by comparing for real."""
    spread, foretold, real = 0.04, [], []
    for seed in range(30):
        each = noise.foreseen({"one": rounds(spread, 8, seed)}, 10)["one"]
        assert each is not None
        foretold.append(each)
        contest = Contest(2, most=10, seed=seed, figures=("one",), clear=lambda _: False)
        for value in starts(spread, 20, 1000 + seed):
            contest.tell({"one": value})
        [gain] = contest.gains()
        assert gain.least_seen is not None
        real.append(gain.least_seen)
    assert np.median(foretold) == pytest.approx(np.median(real), rel=0.3)


def test_what_both_starts_of_a_round_have_in_common_does_not_count() -> None:
    drift = [1.0, 1.3, 0.8, 1.2]
    steady, drifting = starts(0.01, 4), [a * b for a, b in zip(starts(0.01, 4), drift, strict=True)]
    others = starts(0.01, 4, 2), [a * b for a, b in zip(starts(0.01, 4, 2), drift, strict=True)]
    least = [noise.seen(held(*sides), 10)[0].least_seen for sides in ((steady, others[0]), (drifting, others[1]))]
    assert least[0] == pytest.approx(least[1])


def test_a_figure_on_fewer_than_four_rounds_foresees_nothing() -> None:
    assert noise.foreseen({"one": rounds(0.02, 3), "two": []}, 10) == {"one": None, "two": None}


def test_starts_that_were_all_alike_see_any_difference() -> None:
    found = noise.foreseen({"one": [0.0] * 8}, 10)["one"]
    assert found == pytest.approx(0, abs=1e-9)


def test_a_figure_is_told_with_its_spread_and_one_that_was_never_believed_without() -> None:
    seen = {each.figure: each for each in noise.seen(held(starts(0.02, 4), starts(0.02, 4, 2)), 10)}
    throughput, never = seen["saturated_rps"], seen["latency_p50_s"]
    assert (throughput.starts, throughput.different) == (8, False)
    assert throughput.spread == pytest.approx(0.02, rel=0.6)
    assert throughput.least_seen is not None
    assert (never.starts, never.spread, never.least_seen) == (0, None, None)


def test_sides_that_are_called_different_though_they_are_the_same_are_owned_up_to() -> None:
    apart = held(starts(0.001, 4), [2 * each for each in starts(0.001, 4, 2)])
    throughput = noise.seen(apart, 10)[0]
    assert throughput.different
    told = structs.replace(FOUND, figures=(throughput,)).text
    assert "was different in throughput with every slot busy, as one in twenty may be" in told


def test_the_words_have_every_figure_the_canary_and_what_disturbed_it() -> None:
    lines = FOUND.text.splitlines()
    assert lines[0].endswith("with 10 starts of each (measured 2026-01-02)")
    assert "throughput with every slot busy: 3.1% (it varied by 2.0% from start to start)" in lines[1]
    assert "p99: cannot be told, believed on 2 starts" in lines[2]
    assert "the page app, compared with itself (8 starts, trials of 3 s), was no different" in lines[3]
    assert "the stack's core: 2.0 ms, from 1.9 ms to 2.2 ms" in lines[4]
    assert "neighbours in 3 of 17 trials; repeat when it is calm" in lines[5]
    assert FOUND.canary[0].spread == pytest.approx(0.158, abs=0.001)


def test_every_figure_that_is_told_is_one_that_prony_compare_compares() -> None:
    assert set(noise.TOLD) <= set(compare.FIGURES)


def test_it_is_remembered_of_this_machine_and_of_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert noise.known() is None
    remembered.keep(noise.NAME, FOUND)
    assert noise.known() == FOUND
    remembered.keep(noise.NAME, structs.replace(FOUND, machine="another one"))
    assert noise.known() is None


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be taken away here")
def test_the_machine_is_the_same_while_a_campaign_keeps_prony_to_one_core() -> None:
    cores, before = os.sched_getaffinity(0), remembered.this_machine()
    os.sched_setaffinity(0, {min(cores)})
    try:
        assert remembered.this_machine() == before
    finally:
        os.sched_setaffinity(0, cores)
