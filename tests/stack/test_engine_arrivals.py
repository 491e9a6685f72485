"""A server of ours counts what arrives while the load changes: its stamps against the schedule's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prony.load.account import LoadResult
from prony.load.engine import Engine
from prony.load.retrying import RetryLoad
from prony.load.schedule import due_times
from prony.load.spec import LoadSpec, RequestSpec
from prony.samples import SAMPLE, Samples, from_bytes
from prony.traffic import population, profiles
from prony.traffic.profiles import Stretch

pytestmark = pytest.mark.alone

HERE = Path(__file__).parent
SPIKE = (Stretch(0.8, 100, 100), Stretch(0.4, 1200, 1200), Stretch(0.8, 100, 100))
RAMP = (Stretch(2.0, 20, 600),)
UP_AND_DOWN = (Stretch(1.0, 0, 12), Stretch(0.5, 12, 12), Stretch(1.0, 12, 0), Stretch(0.5, 4, 4))


def measured(folder: Path, late_s: float = 0.0, **fields: Any) -> tuple[LoadSpec, LoadResult, Samples, Any]:
    """A load on a counting server: what was asked, what the engine says, and what the server saw, from the start."""
    with subprocess.Popen(
        [sys.executable, str(HERE / "counting.py"), str(late_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout
        port = int(server.stdout.readline())
        duration_s = profiles.duration_s(fields["profile"]) if "profile" in fields else fields.pop("duration_s")
        spec = LoadSpec(
            host="127.0.0.1",
            port=port,
            requests=(RequestSpec(path="/"),),
            segment=str(folder / f"segment{fields.get('shard', 0)}"),
            duration_s=duration_s,
            **fields,
        )
        result = (RetryLoad if spec.retries else Engine)(spec).run()
        seen, _ = server.communicate("", timeout=10)
    samples = from_bytes(Path(spec.segment).read_bytes())
    assert samples.dtype == SAMPLE
    assert len(samples) == result.scheduled == result.done
    stamps = np.array(json.loads(seen), dtype=np.int64).reshape(-1, 2)
    assert len(stamps) == result.sent
    return spec, result, samples, (stamps - result.started_ns) / 1e9


@pytest.mark.parametrize("arrivals", ["poisson", "constant"])
@pytest.mark.parametrize("profile", [SPIKE, RAMP], ids=["spike", "ramp"])
def test_what_arrives_follows_the_rate(tmp_path: Path, arrivals: str, profile: tuple[Stretch, ...]) -> None:
    spec, result, samples, seen_s = measured(tmp_path, arrivals=arrivals, profile=profile)
    due_ns = due_times(spec)
    assert np.array_equal(np.sort(samples["due_ns"]) - result.started_ns, due_ns)
    total = len(due_ns)
    came = np.sort(seen_s[:, 0])
    grid_s = np.arange(0.1, spec.duration_s + 0.01, 0.1)
    by_then = np.searchsorted(came, grid_s)
    asked = np.searchsorted(due_ns / 1e9, grid_s)
    assert (np.abs(by_then - asked) <= 0.05 * total).all(), "the server's own count by each instant"
    expected = profiles.expected(profile, grid_s)
    assert np.abs(asked - expected).max() <= (1.01 if arrivals == "constant" else 5 * np.sqrt(total))
    for since_s, until_s in ((0.1, 0.7), (0.85, 1.15), (1.3, 1.9)) if profile is SPIKE else ():
        there = np.count_nonzero((came >= since_s) & (came < until_s))
        wanted = float(np.diff(profiles.expected(profile, [since_s, until_s]))[0])
        assert abs(there - wanted) <= 5 * np.sqrt(wanted) + 3


def test_as_many_users_are_at_the_server_as_the_profile_says(tmp_path: Path) -> None:
    """Without a pause each user has one request there at any time, of 20 ms; who has gone ends that one."""
    _, _, _, seen_s = measured(tmp_path, late_s=0.02, arrivals="closed", profile=UP_AND_DOWN)
    found = []
    for t_s in np.arange(0.2, 2.9, 0.05):
        near = [t_s - 0.01, t_s, t_s + 0.01]  # in one of them nobody is just between two requests
        there = max(np.count_nonzero((seen_s[:, 0] <= t) & (seen_s[:, 1] > t)) for t in near)
        wanted = float(profiles.rate_at(UP_AND_DOWN, t_s))
        if 2.45 < t_s < 2.7:
            continue  # who comes at a jump comes within 100 ms
        found.append(abs(there - int(wanted + 1e-9)))
    assert max(found) <= 3
    assert np.median(found) <= 1
    assert seen_s[:, 0].max() > 2.9, "users came again after all had gone"


def test_a_users_pauses_are_the_seeds(tmp_path: Path) -> None:
    _, _, samples, _ = measured(
        tmp_path, arrivals="closed", users=1, think_s=0.02, think_sigma=0.8, duration_s=0.6, seed=5
    )
    pauses_ns = samples["due_ns"][1:] - samples["done_ns"][:-1]
    assert len(pauses_ns) > 5
    assert pauses_ns.tolist() == population.thoughts(0.02, 0.8, user=0, seed=5, count=len(pauses_ns)).tolist()


@pytest.mark.parametrize("retries", [0, 2])
def test_sessions_arrive_at_random_and_their_requests_follow_each_other(tmp_path: Path, retries: int) -> None:
    spec, result, samples, _ = measured(
        tmp_path,
        late_s=0.002,
        arrivals="poisson",
        rate_rps=100,
        session=3.0,
        think_s=0.001,
        duration_s=1.0,
        retries=retries,
    )
    arrived = due_times(spec)
    due_ns = np.sort(samples["due_ns"]) - result.started_ns
    assert np.isin(arrived, due_ns).all()
    lengths = population.lengths(3.0, len(arrived), spec.seed)
    whole = lengths[arrived < 0.8e9].sum()  # who came in the last fifth may not have got to the end
    assert whole <= len(samples) <= lengths.sum()
    later = samples[~np.isin(samples["due_ns"] - result.started_ns, arrived)]
    assert np.isin(later["due_ns"] - 1_000_000, samples["done_ns"]).all(), "due a pause after an answer came"


def test_shards_of_a_profile_send_all_of_it_together(tmp_path: Path) -> None:
    due = []
    for shard in range(2):
        spec, result, samples, _ = measured(tmp_path, arrivals="poisson", profile=RAMP, shard=shard, shards=2)
        due.append(samples["due_ns"] - result.started_ns)
    assert np.array_equal(np.sort(np.concatenate(due)), due_times(spec))
