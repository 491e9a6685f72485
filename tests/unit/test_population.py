from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from prony.traffic import population, profiles
from prony.traffic.population import FOR_EVER, SPREAD_NS
from prony.traffic.profiles import Stretch

LEVELS = st.one_of(st.integers(0, 40), st.floats(0, 40))
PROFILES = (
    st.lists(st.builds(Stretch, st.floats(0.3, 5), LEVELS, LEVELS), min_size=1, max_size=5)
    .map(tuple)
    .filter(lambda p: any(s.start or s.end for s in p))
)
SEEDS = st.integers(0, 2**63)


def here(profile: tuple[Stretch, ...], t_ns: int) -> list[int]:
    since_ns, until_ns, users = population.stays(profile)
    return sorted(users[(since_ns <= t_ns) & (t_ns < until_ns)].tolist())


@given(profile=PROFILES, share=st.floats(0, 1))
def test_as_many_users_are_there_as_the_profile_says(profile: tuple[Stretch, ...], share: float) -> None:
    """The whole part of N(t), the first of them; for 100 ms after a jump, as at the beginning, they still come."""
    breaks_ns = np.cumsum([0, *(round(s.duration_s * 1e9) for s in profile)])
    t_ns = round(share * breaks_ns[-1])
    wanted = float(profiles.rate_at(profile, t_ns / 1e9))
    found = here(profile, t_ns)
    since_a_break_ns = min(abs(int(at) - t_ns) for at in breaks_ns)
    if since_a_break_ns > SPREAD_NS + 10:
        assert found == list(range(len(found)))
        if abs(wanted - round(wanted)) > 1e-6:
            assert len(found) == math.floor(wanted)
    assert len(found) <= math.ceil(max(max(s.start, s.end) for s in profile) + 1e-9)


@given(profile=PROFILES)
def test_a_user_is_there_once_at_a_time(profile: tuple[Stretch, ...]) -> None:
    since_ns, until_ns, users = population.stays(profile)
    assert (since_ns < until_ns).all()
    assert (np.diff(since_ns) >= 0).all()
    for user in set(users.tolist()):
        own = users == user
        assert (until_ns[own][:-1] <= since_ns[own][1:]).all()


def test_users_who_come_at_one_instant_start_one_after_the_other() -> None:
    since_ns, until_ns, users = population.stays((Stretch(1.0, 4, 4),))
    assert since_ns.tolist() == [0, 25_000_000, 50_000_000, 75_000_000]
    assert users.tolist() == [0, 1, 2, 3]
    assert set(until_ns.tolist()) == {FOR_EVER}


def test_a_ramp_brings_a_user_each_time_it_reaches_a_whole_number_and_takes_the_last_one_first() -> None:
    since_ns, until_ns, users = population.stays((Stretch(10.0, 0, 5), Stretch(5.0, 5, 0)))
    assert since_ns.tolist() == [2e9, 4e9, 6e9, 8e9]
    assert until_ns.tolist() == [14e9, 13e9, 12e9, 11e9]
    assert users.tolist() == [0, 1, 2, 3]


def test_too_many_comings_and_goings_are_refused() -> None:
    with pytest.raises(ValueError, match="come and go"):
        population.stays(tuple(Stretch(1.0, 0, 65_000) for _ in range(40)))


@pytest.mark.parametrize(("median_s", "sigma"), [(2.0, 0.8), (0.5, 1.5)])
def test_thoughts_are_lognormal(median_s: float, sigma: float) -> None:
    found = np.concatenate([population.thoughts(median_s, sigma, user=u, seed=7, count=200) for u in range(50)])
    assert stats.kstest(found / 1e9, stats.lognorm(sigma, scale=median_s).cdf).pvalue > 0.01


@given(seed=SEEDS, user=st.integers(0, 65_535), start=st.integers(0, 50))
def test_a_users_thoughts_are_the_same_for_a_seed_in_whatever_blocks_they_are_drawn(
    seed: int, user: int, start: int
) -> None:
    whole = population.thoughts(1.0, 0.8, user=user, seed=seed, count=70)
    assert np.array_equal(
        whole[start:], population.thoughts(1.0, 0.8, user=user, seed=seed, count=70 - start, start=start)
    )
    assert not np.array_equal(whole, population.thoughts(1.0, 0.8, user=user + 1, seed=seed, count=70))
    assert (whole > 0).all()


def test_a_fixed_thought_is_always_the_same() -> None:
    assert population.thoughts(0.25, 0, user=3, seed=1, count=3).tolist() == [250_000_000] * 3


@pytest.mark.parametrize("mean", [1.5, 5, 40])
def test_session_lengths_are_geometric(mean: float) -> None:
    found = population.lengths(mean, 20_000, 3)
    most = int(stats.geom.ppf(0.99, 1 / mean))
    seen = np.bincount(np.minimum(found, most), minlength=most + 1)[1:]
    wanted = stats.geom.pmf(np.arange(1, most + 1), 1 / mean)
    wanted[-1] = stats.geom.sf(most - 1, 1 / mean)
    assert stats.chisquare(seen, wanted * 20_000).pvalue > 0.01


@given(mean=st.floats(1, 100), seed=SEEDS)
def test_sessions_have_at_least_one_request_and_are_the_same_for_a_seed(mean: float, seed: int) -> None:
    found = population.lengths(mean, 300, seed)
    assert found.min() >= 1
    assert np.array_equal(found[:100], population.lengths(mean, 100, seed))


@pytest.mark.parametrize("mean", [0.9, 101, math.nan])
def test_a_mean_length_out_of_range_is_refused(mean: float) -> None:
    with pytest.raises(ValueError, match="session"):
        population.lengths(mean, 1, 1)
