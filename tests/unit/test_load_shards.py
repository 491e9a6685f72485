"""Shards of one load: together they are the whole, and their lags add up."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from prony.load.account import LoadResult, LoadTick
from prony.load.mix import Mix
from prony.load.schedule import NEVER, Closed, Open
from prony.load.segment import LagCounts, quantile_s
from prony.load.spec import LoadSpec, RequestSpec
from prony.trial.generators import merged, together

PATHS = tuple(f"/{number}" for number in range(5))


def spec(shards: int, shard: int, **fields: Any) -> LoadSpec:
    requests = (RequestSpec(path="/a", paths=PATHS, weight=2), RequestSpec(path="/b"))
    given_: dict[str, Any] = {"arrivals": "poisson", "rate_rps": 500.0} | fields
    return LoadSpec(
        host="127.0.0.1", port=80, requests=requests, duration_s=3, segment="s", shards=shards, shard=shard, **given_
    )


def taken(schedule: Open | Closed) -> list[tuple[int, int]]:
    schedule.starts_at(0)
    found = []
    while schedule.next_ns < NEVER:
        found.append((schedule.next_ns, schedule.take()))
    return found


@given(st.integers(1, 7))
def test_the_arrivals_of_all_shards_are_those_of_one_load_each_once(shards: int) -> None:
    whole = taken(Open(spec(1, 0)))
    parts = [taken(Open(spec(shards, shard))) for shard in range(shards)]
    assert sorted(each for part in parts for each in part) == whole
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@given(st.integers(1, 7), st.integers(1, 40))
def test_the_users_of_all_shards_are_those_of_one_load_each_once(shards: int, users: int) -> None:
    fields: dict[str, Any] = {"arrivals": "closed", "rate_rps": None, "users": users}
    whole = taken(Closed(spec(1, 0, **fields)))
    assert sorted(each for shard in range(shards) for each in taken(Closed(spec(shards, shard, **fields)))) == whole


@given(st.integers(1, 7))
def test_an_arrival_asks_for_the_same_whichever_shard_sends_it(shards: int) -> None:
    whole = Mix(spec(1, 0))
    wanted = [whole.take(user)[1] for user in range(3000)]
    parts = [Mix(spec(shards, shard)) for shard in range(shards)]
    assert [parts[user % shards].take(user)[1] for user in range(3000)] == wanted


@given(st.lists(st.lists(st.integers(0, 200_000_000), min_size=1, max_size=50), min_size=1, max_size=4))
def test_lags_are_merged_by_their_counts_never_by_their_quantiles(lags_ns: list[list[int]]) -> None:
    alone = LagCounts()
    added: dict[int, int] = {}
    for part in lags_ns:
        counts = LagCounts()
        for lag_ns in part:
            counts.add(lag_ns)
            alone.add(lag_ns)
        for at, count in counts.counts().items():
            added[at] = added.get(at, 0) + count
    ordered = np.sort(np.concatenate(lags_ns))
    for q in (0.01, 0.5, 0.99, 1.0):
        assert quantile_s(added, q) == alone.quantile_s(q)
        exact_s = ordered[int(np.ceil(q * len(ordered))) - 1] / 1e9
        assert exact_s <= quantile_s(added, q) <= exact_s + 0.0011


def a_result(**fields: Any) -> LoadResult:
    given_: dict[str, Any] = {
        "started_ns": 10, "ended_ns": 20, "drained_ns": 30, "scheduled": 5, "sent": 5, "done": 4,
        "connections_opened": 2, "retried": 1, "cpu_s": 0.5, "cpu_share": 0.2, "lag_p50_s": 0.0, "lag_p99_s": 0.0,
        "interrupted": False,
    }  # fmt: skip
    return LoadResult(**given_ | fields)


def test_the_account_of_a_load_is_that_of_its_shards() -> None:
    first = a_result(lags={0: 3, 5: 1}, failed_checks={"no": 1}, routes={4: "/x"})
    second = a_result(
        drained_ns=40, cpu_share=0.7, lags={0: 1, -2: 1}, failed_checks={"no": 2, "what": 1}, interrupted=True
    )
    found = merged([first, second])
    assert (found.scheduled, found.sent, found.done, found.connections_opened, found.cpu_s) == (10, 10, 8, 4, 1.0)
    assert (found.started_ns, found.ended_ns, found.drained_ns) == (10, 20, 40)
    assert found.cpu_share == 0.7, "the busiest one's"
    assert found.lags == {0: 4, 5: 1, -2: 1}
    assert found.lag_p50_s == quantile_s({0: 1}, 1.0)
    assert found.failed_checks == {"no": 3, "what": 1}
    assert found.interrupted
    assert merged([first]) is first


def test_the_state_of_a_load_is_the_sum_of_its_shards() -> None:
    one = LoadTick(
        t_ns=1, scheduled=1, sent=1, done=1, in_flight=1, waiting=1, connections_opened=1, cpu_s=1.0, ports_share=0.2
    )
    two = LoadTick(
        t_ns=3, scheduled=2, sent=2, done=2, in_flight=2, waiting=2, connections_opened=2, cpu_s=2.0, ports_share=0.1
    )
    found = together([one, two])
    assert (found.t_ns, found.scheduled, found.in_flight, found.cpu_s, found.ports_share) == (3, 3, 3, 3.0, 0.2)
