from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from prony.load.schedule import NEVER, Closed, Open, Sessions, Thinking, due_times, schedule_of
from prony.load.spec import LoadSpec, RequestSpec
from prony.traffic import population
from prony.traffic.profiles import Stretch

START_NS = 5_000_000_000
SECOND_NS = 1_000_000_000
RAMP_DOWN = (Stretch(2.0, 4, 4), Stretch(4.0, 4, 0), Stretch(2.0, 0, 0), Stretch(2.0, 4, 4))


def spec_of(**fields: Any) -> LoadSpec:
    given: dict[str, Any] = {"arrivals": "poisson", "duration_s": 10.0} | fields
    return LoadSpec(host="127.0.0.1", port=1, requests=(RequestSpec(),), segment="x", **given)


def served(schedule: Open | Closed | Sessions, service_ns: int, until_ns: int) -> list[tuple[int, int]]:
    """(due, user) of every request due before an instant, each answered after so long."""
    schedule.starts_at(START_NS)
    found: list[tuple[int, int]] = []
    under_way: list[tuple[int, int]] = []
    while True:
        ends_ns = under_way[0][0] if under_way else NEVER
        now_ns = min(schedule.next_ns, ends_ns)
        if now_ns >= until_ns:
            return found
        if ends_ns <= schedule.next_ns:
            _, user = under_way.pop(0)
            if not isinstance(schedule, Sessions | Closed):
                continue
            schedule.put(ends_ns, user)
        else:
            user = schedule.take()
            found.append((now_ns - START_NS, user))
            under_way.append((now_ns + service_ns, user))


@pytest.mark.parametrize("arrivals", ["poisson", "constant"])
def test_an_open_loop_follows_its_profile_and_shards_take_it_in_turn(arrivals: str) -> None:
    profile = (Stretch(5.0, 0, 400), Stretch(5.0, 400, 400))
    whole = due_times(spec_of(arrivals=arrivals, profile=profile)).tolist()
    parts = [
        served(
            schedule_of(spec_of(arrivals=arrivals, profile=profile, shard=k, shards=3)), 1, START_NS + 10 * SECOND_NS
        )
        for k in range(3)
    ]
    assert sorted(due for part in parts for due, _ in part) == whole
    assert sorted(user for part in parts for _, user in part) == list(range(len(whole)))


def test_users_who_have_gone_send_nothing_more_until_they_come_again() -> None:
    spec = spec_of(arrivals="closed", profile=RAMP_DOWN)
    found = served(Closed(spec), 50_000_000, START_NS + 10 * SECOND_NS)
    since_ns, until_ns, users = population.stays(RAMP_DOWN)
    for due_ns, user in found:
        own = users == user
        assert ((since_ns[own] <= due_ns) & (due_ns < until_ns[own])).any()
    for user in range(4):  # without a pause: back to back while they are there
        own_due = [due for due, each in found if each == user]
        assert own_due == sorted(own_due)
        assert len(own_due) == pytest.approx(
            sum(min(u, 10e9) - s for s, u, k in zip(since_ns, until_ns, users, strict=True) if k == user) / 5e7, abs=4
        )


def test_a_request_still_under_way_when_its_user_comes_again_is_not_sent_twice() -> None:
    profile = (Stretch(1.0, 2, 2), Stretch(1.0, 1, 1), Stretch(2.0, 2, 2))
    found = served(
        Closed(spec_of(arrivals="closed", duration_s=4.0, profile=profile)), 1_500_000_000, START_NS + 4 * SECOND_NS
    )
    assert [due for due, user in found if user == 1] == [50_000_000, 2 * SECOND_NS, 3_500_000_000]


def test_users_go_on_at_once_where_nobody_thinks_and_nobody_goes() -> None:
    ramp = (Stretch(10.0, 1, 50),)
    assert Closed(spec_of(arrivals="closed", users=5)).goes_on
    assert Closed(spec_of(arrivals="closed", profile=ramp)).goes_on
    assert not Closed(spec_of(arrivals="closed", profile=ramp, think_s=0.1)).goes_on
    assert not Closed(spec_of(arrivals="closed", profile=RAMP_DOWN)).goes_on
    assert not Open(spec_of(rate_rps=5.0)).goes_on
    assert not Sessions(spec_of(rate_rps=5.0, session=3.0)).goes_on


def test_closed_users_of_all_shards_are_the_profiles_users() -> None:
    spec = {"arrivals": "closed", "profile": (Stretch(10.0, 1, 20),), "think_s": 1.0}
    parts = [served(Closed(spec_of(**spec, shard=k, shards=3)), SECOND_NS, START_NS + 10 * SECOND_NS) for k in range(3)]
    whole = served(Closed(spec_of(**spec)), SECOND_NS, START_NS + 10 * SECOND_NS)
    assert sorted(each for part in parts for each in part) == sorted(whole)


def test_sessions_arrive_as_an_open_loop_and_have_their_number_of_requests() -> None:
    spec = spec_of(rate_rps=40.0, session=4.0, seed=9)
    schedule = Sessions(spec)
    found = served(schedule, 3_000_000, START_NS + 60 * SECOND_NS)
    arrived = due_times(spec)
    firsts: dict[int, int] = {}
    for due_ns, user in found:
        firsts.setdefault(user, due_ns)
    assert [firsts[user] for user in range(len(arrived))] == arrived.tolist()
    sizes = Counter(user for _, user in found)
    assert [sizes[user] for user in range(len(arrived))] == population.lengths(4.0, len(arrived), 9).tolist()
    own = [due for due, user in found if user == max(sizes, key=lambda each: sizes[each])]
    assert set(np.diff(own)) == {3_000_000}, "each request follows the end of the former"
    assert schedule.next_ns == NEVER


def test_sessions_of_all_shards_are_the_whole_schedules() -> None:
    spec = {"rate_rps": 40.0, "session": 4.0}
    parts = [served(Sessions(spec_of(**spec, shard=k, shards=3)), 1000, START_NS + 10 * SECOND_NS) for k in range(3)]
    whole = served(Sessions(spec_of(**spec)), 1000, START_NS + 10 * SECOND_NS)
    assert sorted(each for part in parts for each in part) == sorted(whole)


def test_pauses_come_from_the_seed_user_by_user_whoever_asks_first() -> None:
    spec = spec_of(arrivals="closed", users=3, think_s=2.0, think_sigma=0.8)
    one, other = Thinking(spec), Thinking(spec)
    forth = {user: [one.pause_ns(user) for _ in range(40)] for user in range(3)}
    back = {user: [other.pause_ns(user) for _ in range(40)] for user in reversed(range(3))}
    assert forth == back
    assert forth[1] == population.thoughts(2.0, 0.8, user=1, seed=1, count=40).tolist()
    fixed = Thinking(spec_of(arrivals="closed", users=3, think_s=2.0))
    assert {fixed.pause_ns(user) for user in range(3)} == {2 * SECOND_NS}
