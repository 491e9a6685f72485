"""Shards of one load: together they are the whole, and their lags add up."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.load import exhaustion
from prony.load.account import LoadResult, LoadTick
from prony.load.journeys import JourneyLoad
from prony.load.mix import Mix
from prony.load.retrying import RetryLoad
from prony.load.schedule import NEVER, Closed, Open
from prony.load.segment import LagCounts, quantile_s
from prony.load.spec import JourneySpec, LoadSpec, RequestSpec
from prony.trial.generators import Generators, merged, together

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
    found = merged([first, second], 2)
    assert (found.scheduled, found.sent, found.done, found.connections_opened, found.cpu_s) == (10, 10, 8, 4, 1.0)
    assert (found.started_ns, found.ended_ns, found.drained_ns) == (10, 20, 40)
    assert (found.cpu_share, found.cores) == (0.7, 2), "the busiest one's"
    assert merged([first, second], 1).cpu_share == pytest.approx(0.9), "both are on one core"
    assert merged([first, second, first], 2).cpu_share == 0.7, "the first and the last are on one core"
    assert found.lags == {0: 4, 5: 1, -2: 1}
    assert found.lag_p50_s == quantile_s({0: 1}, 1.0)
    assert found.failed_checks == {"no": 3, "what": 1}
    assert found.interrupted
    assert merged([first], 1) is first


def test_the_state_of_a_load_is_the_sum_of_its_shards() -> None:
    one = LoadTick(
        t_ns=1, scheduled=1, sent=1, done=1, in_flight=1, waiting=1, connections_opened=1, cpu_s=1.0, ports_share=0.2
    )
    two = LoadTick(
        t_ns=3, scheduled=2, sent=2, done=2, in_flight=2, waiting=2, connections_opened=2, cpu_s=2.0, ports_share=0.1
    )
    found = together([one, two], 2)
    assert (found.t_ns, found.scheduled, found.in_flight, found.cpu_s, found.cores) == (3, 3, 3, 3.0, 2)
    assert found.ports_share == pytest.approx(0.3), "ports are shared by all"


def test_what_is_left_of_closed_connections_counts_once_however_many_shards_there_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sockstat").write_text("sockets: used 9\nTCP: inuse 5 orphan 0 tw 3000 alloc 7 mem 1\n")
    (tmp_path / "range").write_text("10001 20000\n")
    monkeypatch.setattr(exhaustion, "_SOCKSTAT", tmp_path / "sockstat")
    monkeypatch.setattr(exhaustion, "_RANGE", tmp_path / "range")
    assert exhaustion.ports_share(1000) == pytest.approx(0.4)
    assert sum(exhaustion.ports_share(250, 4) for _ in range(4)) == pytest.approx(0.4)


def shards_of(folder: Path, whole: LoadSpec, count: int) -> list[LoadSpec]:
    """What each of the load's processes is told to do, when none of them is really started."""
    folder.mkdir()
    Generators(cast("Any", Launcher()), (), folder, whole, count)
    written = [(folder / f"{number}/spec.json").read_bytes() for number in range(count)]
    return [msgspec.json.decode(each, type=LoadSpec) for each in written]


class Launcher:
    """Starts nothing, and says that all are ready."""

    def spawn(self, *_: Any, cwd: Path, **__: Any) -> Any:
        (cwd / "segment.ready").touch()
        return SimpleNamespace(alive=True, code=None)

    def wait(self, *_: Any) -> None: ...


def test_shards_share_the_connections_that_a_load_may_have(tmp_path: Path) -> None:
    parts = shards_of(tmp_path / "four", spec(1, 0, connections=10), 4)
    assert [part.connections for part in parts] == [3, 3, 2, 2]
    assert [part.connections for part in shards_of(tmp_path / "few", spec(1, 0, connections=1), 2)] == [1, 1]
    assert [part.connections for part in shards_of(tmp_path / "one", spec(1, 0, connections=10), 1)] == [10]


def test_chance_differs_from_shard_to_shard(tmp_path: Path) -> None:
    (tmp_path / "journeys.py").write_text("async def go(visitor):\n    await visitor.get('/')\n")
    journey = JourneySpec("journeys.py:go", str(tmp_path / "journeys.py"), "go")
    seeds: list[int] = []
    jitters: list[float] = []
    for shard in range(3):
        fields: dict[str, Any] = {"shards": 3, "shard": shard, "arrivals": "poisson", "rate_rps": 5.0, "duration_s": 1}
        fields |= {"host": "127.0.0.1", "port": 80, "segment": str(tmp_path / "segment")}
        load = JourneyLoad(LoadSpec(journeys=(journey,), **fields))
        load._resume = lambda *_: None  # type: ignore[method-assign]
        for user in range(3):
            load._begin(load._journeys[0], 0, user)
        seeds += [run.visitor._seed for run in load._runs.values()]
        again = RetryLoad(LoadSpec(requests=(RequestSpec(),), retries=1, **fields))
        jitters.append(again._random.random())
        for run in load._runs.values():
            run.shut()
        for each in (load, again):
            each.loop.close()
            each._segment.close()
    assert len(set(seeds)) == 9
    assert len(set(jitters)) == 3
