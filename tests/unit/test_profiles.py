from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import integrate, stats

from prony.traffic import arrivals, profiles
from prony.traffic.profiles import Stretch

RATES = st.one_of(st.just(0.0), st.floats(0.5, 3000))
STRETCHES = st.builds(Stretch, st.floats(0.01, 2), RATES, RATES)
PROFILES = st.lists(STRETCHES, min_size=1, max_size=5).map(tuple).filter(lambda p: any(s.start or s.end for s in p))
SEEDS = st.integers(0, 2**63)
RAMP = (Stretch(60.0, 1.0, 199.0),)
SPIKE = (Stretch(2.0, 50.0, 50.0), Stretch(1.0, 1000.0, 1000.0), Stretch(2.0, 50.0, 50.0))


@given(profile=PROFILES, share=st.floats(0, 1))
def test_arrivals_expected_by_an_instant_are_the_integral_of_the_rate(
    profile: tuple[Stretch, ...], share: float
) -> None:
    t_s = share * profiles.duration_s(profile)
    breaks = [0.0, *itertools.accumulate(s.duration_s for s in profile)]
    whole = 0.0
    for since_s, until_s in itertools.pairwise(breaks):
        grid = np.linspace(since_s, min(until_s, t_s), 9)[1:-1]  # inside, where the rate goes in a straight line
        if until_s <= since_s or t_s <= since_s:
            continue
        inner = integrate.trapezoid(profiles.rate_at(profile, grid), grid)
        whole += float(inner) * 8 / 6 if len(grid) else 0.0
    assert float(profiles.expected(profile, t_s)) == pytest.approx(whole, rel=1e-6, abs=1e-6)


@given(profile=PROFILES)
def test_evenly_spaced_arrivals_are_where_the_integral_reaches_whole_numbers(profile: tuple[Stretch, ...]) -> None:
    due_ns = profiles.constant(profile)
    assert due_ns.dtype == np.int64
    assert (np.diff(due_ns) >= 0).all()
    assert not len(due_ns) or due_ns[-1] < round(profiles.duration_s(profile) * 1e9)
    total = float(profiles.expected(profile, math.inf))
    assert abs(len(due_ns) - total) <= 1 + 1e-6
    slack = 1e-6 * total + 3000 * 1e-9  # a nanosecond at the highest rate
    assert np.abs(profiles.expected(profile, due_ns / 1e9) - np.arange(len(due_ns))).max(initial=0) <= slack


@given(profile=PROFILES, seed=SEEDS)
def test_random_arrivals_are_in_order_in_the_window_as_many_as_expected_and_the_same_for_a_seed(
    profile: tuple[Stretch, ...], seed: int
) -> None:
    due_ns = profiles.poisson(profile, seed)
    assert (np.diff(due_ns) >= 0).all()
    assert not len(due_ns) or (due_ns[0] >= 0 and due_ns[-1] < round(profiles.duration_s(profile) * 1e9))
    mean = float(profiles.expected(profile, math.inf))
    assert abs(len(due_ns) - mean) <= 7 * math.sqrt(mean) + 12
    assert np.array_equal(due_ns, profiles.poisson(profile, seed))


@given(rate=st.floats(0.1, 20_000), duration_s=st.floats(0.001, 2), parts=st.integers(1, 3), seed=SEEDS)
def test_one_rate_throughout_gives_what_a_rate_gives_to_the_bit(
    rate: float, duration_s: float, parts: int, seed: int
) -> None:
    profile = (Stretch(duration_s, rate, rate),) * parts
    whole_s = math.fsum([duration_s] * parts)
    assert np.array_equal(profiles.constant(profile), arrivals.constant(rate, whole_s))
    assert np.array_equal(profiles.poisson(profile, seed), arrivals.poisson(rate, whole_s, seed))


@given(first=PROFILES, rest=PROFILES, seed=SEEDS)
def test_a_profile_begins_with_its_first_part_whatever_follows(
    first: tuple[Stretch, ...], rest: tuple[Stretch, ...], seed: int
) -> None:
    for alone, together in (
        (profiles.poisson(first, seed), profiles.poisson(first + rest, seed)),
        (profiles.constant(first), profiles.constant(first + rest)),
    ):
        safe = max(len(alone) - 1, 0)  # the last one may be put on either side of the seam by rounding
        assert len(together) >= safe
        assert np.abs(together[:safe] - alone[:safe]).max(initial=0) <= 1000


@given(
    first=st.lists(st.builds(Stretch, st.just(2.0), st.integers(0, 500), st.integers(1, 500)), min_size=1, max_size=3),
    rest=st.lists(st.builds(Stretch, st.just(1.0), st.integers(1, 500), st.integers(0, 500)), min_size=1, max_size=3),
)
def test_profiles_put_together_are_one_after_the_other(first: list[Stretch], rest: list[Stretch]) -> None:
    """Where the first has a whole number of arrivals, the second begins anew at its end."""
    assume(rest[0].start > 0)
    end_ns = round(profiles.duration_s(first) * 1e9)
    shifted = np.concatenate((profiles.constant(first), profiles.constant(rest) + end_ns))
    together = profiles.constant((*first, *rest))
    assert len(together) == len(shifted)
    assert np.abs(together - shifted).max() <= 1000


def test_a_ramp_has_the_arrivals_that_its_formula_gives() -> None:
    """Of r = a + s t the integral is a t + s t²/2: from 0 to 100 rps in 10 s the hundredth is due after √20 s."""
    due_ns = profiles.constant((Stretch(10.0, 0.0, 100.0),))
    assert len(due_ns) == 500
    assert due_ns[100] == round(math.sqrt(20) * 1e9)
    assert due_ns[0] == 0


def test_arrivals_keep_away_from_pauses() -> None:
    profile = (Stretch(1.0, 100.0, 100.0), Stretch(3.0, 0.0, 0.0), Stretch(1.0, 100.0, 100.0))
    for due_ns in (profiles.constant(profile), profiles.poisson(profile, 3)):
        assert not ((due_ns >= 1e9) & (due_ns < 4e9)).any()
        assert (due_ns >= 4e9).sum() > 50


def against_exponential(gaps: npt.NDArray[np.float64]) -> float:
    """A² (1 + 0.6 / n) of gaps against exponential ones of the same mean."""
    n = len(gaps)
    scaled = np.sort(np.maximum(gaps, 1e-12)) / gaps.mean()
    weights = (2 * np.arange(1, n + 1) - 1) / n
    squared = -n - float((weights * (np.log(-np.expm1(-scaled)) - scaled[::-1])).sum())
    return squared * (1 + 0.6 / n)


@pytest.mark.parametrize("profile", [RAMP, SPIKE], ids=["ramp", "spike"])
def test_gaps_are_exponential_once_time_is_changed(profile: tuple[Stretch, ...]) -> None:
    """Anderson-Darling with the scale estimated, in subsamples of 2000: as many exceed the 5 % point as ought to.

    D'Agostino and Stephens 1986, chapter 4: A² (1 + 0.6 / n) exceeds 1.321 in 5 % of samples.
    """
    many = tuple(stretch._replace(start=stretch.start * 4, end=stretch.end * 4) for stretch in profile)
    exceeding: list[bool] = []
    for seed in range(60):
        own = np.diff(profiles.expected(many, profiles.poisson(many, seed) / 1e9))
        exceeding += [against_exponential(own[at : at + 2000]) > 1.321 for at in range(0, len(own) - 1999, 2000)]
    assert len(exceeding) >= 100
    assert stats.binomtest(sum(exceeding), len(exceeding), 0.05).pvalue > 0.001


def test_gaps_of_a_ramp_are_not_exponential_by_the_wall_clock() -> None:
    """That the test above can fail: without the change of time nearly all subsamples exceed."""
    steep = (Stretch(10.0, 0.0, 2000.0),)
    found = [against_exponential(np.diff(profiles.poisson(steep, seed))[:2000] / 1e9) for seed in range(5)]
    assert min(found) > 1.321


@pytest.mark.parametrize("seed", range(3))
def test_numbers_in_bins_have_the_mean_and_the_variance_of_the_integral(seed: int) -> None:
    edges = np.linspace(0, 60, 601)
    mean = np.diff(profiles.expected(RAMP, edges))
    seen = np.histogram(profiles.poisson(RAMP, seed) / 1e9, edges)[0]
    squared = ((seen - mean) ** 2 / mean).sum()
    assert 0.001 < stats.chi2.cdf(squared, len(mean)) < 0.999


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ((), "stretches"),
        ((Stretch(0, 1, 1),), "last"),
        ((Stretch(math.nan, 1, 1),), "last"),
        ((Stretch(86_400, 1, 1), Stretch(1, 1, 1)), "last"),
        ((Stretch(1, -1, 1),), "goes through"),
        ((Stretch(1, 1, math.inf),), "goes through"),
        ((Stretch(1, math.nan, 1),), "goes through"),
        ((Stretch(1, 0, 0),), "nothing"),
        ((Stretch(100, 1e6, 2e6),), "requests"),
    ],
)
def test_what_is_no_profile_is_refused(profile: tuple[Stretch, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        profiles.constant(profile)
    with pytest.raises(ValueError, match=said):
        profiles.poisson(profile, 1)
