"""Plans that run beside each other on real servers: each is loaded by itself, though all are up."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from msgspec import structs

from prony.campaign import compare
from prony.campaign.bench import Bench
from prony.comparison import Contest
from prony.errors import PlanError
from prony.plan import Plan
from prony.plan.model import Store
from prony.plan.turns import Turns, dealt
from prony.recording import Recording
from tests.stack.test_trial import Rig
from tests.stack.tiers_case import until
from tests.stack.turns_case import BURNS, burning, opened

pytestmark = pytest.mark.alone

TOML = """
[app]
entry = "one:application"
python = "{python}"

[app.env]
BURN_S = "0.001"

[server]
workers = 1

[[traffic.request]]
path = "/"
"""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with opened(tmp_path_factory.mktemp("rig")) as found:
        yield found


def by_turns(plans: list[Plan], turns: list[Turns]) -> list[Plan]:
    """Eight users of each plan, by turns."""
    return [plan.loaded(users=8, duration_s=own.duration_s, turns=own) for plan, own in zip(plans, turns, strict=True)]


def turns_of(recording: Recording, instants: Any) -> Any:
    """Into which turn each instant falls, of both plans', counted from 0."""
    assert recording.load is not None
    traffic = recording.plan.traffic
    assert traffic.turns is not None
    return (instants - recording.load["started_ns"]) // round(traffic.turns.length_s * 1e9)


def test_two_plans_are_up_at_once_and_each_is_loaded_in_its_own_turns(rig: Rig) -> None:
    plans = [burning(rig, "quick", 0.001), burning(rig, "slow", 0.002)]
    turns = dealt(2, 2.0, 0.016, 1)
    loaded = by_turns(plans, turns)
    found = rig.bench.measure_in_turns(loaded, ["quick", "slow"], "compare", fresh=True, watched="both")
    recordings = [rig.store.recording(each.id) for each in found]
    starts_ns = [recording.load["started_ns"] for recording in recordings if recording.load is not None]
    assert abs(starts_ns[0] - starts_ns[1]) < 5_000_000, "they begin together"
    assert len({each.start for each in found}) == 2
    for recording, own in zip(recordings, turns, strict=True):
        sent = turns_of(recording, recording.samples["sent_ns"])
        assert set(sent.tolist()) == set(own.own)
        answered = turns_of(recording, recording.samples["done_ns"])
        assert np.mean(sent == answered) > 0.9, "the rest at a turn's end is long enough for what was sent"
    quick, slow = (each.summary for each in found)
    assert quick.errors.share == slow.errors.share == 0
    assert 1.2 < quick.achieved_rps / slow.achieved_rps < 3
    cpu_s = [each.tiers["app"]["cpu_s_per_request"] or 0.0 for each in (quick, slow)]
    assert cpu_s[0] == pytest.approx(0.001, rel=0.6)
    assert cpu_s[1] - cpu_s[0] == pytest.approx(0.001, rel=0.4)
    nice = [os.getpriority(os.PRIO_PROCESS, stack.app.instances[0].process.pid) for stack in rig.bench.stacks]
    assert nice[0] == nice[1], "neither gives way to the other"
    again = rig.bench.measure_in_turns(loaded, ["quick", "slow"], "compare", fresh=False, watched="both")
    assert [each.start for each in again] == [each.start for each in found]


@pytest.mark.long
def test_a_contest_of_plans_beside_each_other_finds_what_costs_twice_as_much(rig: Rig) -> None:
    plans = [burning(rig, "quick", 0.001), burning(rig, "slow", 0.002)]
    contest = Contest(
        2, most=4, seed=3, figures=compare.FIGURES, higher_is_better=compare.HIGHER_IS_BETTER, follows=compare.FOLLOWS
    )
    compare.hold(rig.bench, contest, ["quick", "slow"], plans, rate_rps=50, trial_s=1.0, answer_s=0.02)
    [comparison] = compare.comparisons(contest, ["quick", "slow"], fresh=True)
    verdicts = {gain.figure: gain.verdict for gain in comparison.gains}
    assert verdicts["saturated_rps"] == verdicts["app_cpu_s_per_request"] == "worse", contest.found
    assert np.isfinite(contest.found[0]["saturated_rps"]).all()
    numbers = [measured.start for measured in rig.bench.measured[-16:]]
    assert len(set(numbers)) == 8, "each start serves both loads"


def test_where_one_trial_cannot_begin_none_does_and_all_that_began_are_ended(rig: Rig) -> None:
    plans = [burning(rig, "quick", 0.001), burning(rig, "slow", 0.002)]
    loaded = by_turns(plans, dealt(2, 2.0, 0.016, 1))
    wrong = structs.replace(loaded[1], traffic=structs.replace(loaded[1].traffic, users=100_000))
    with pytest.raises(ValueError, match="not 100000"):
        rig.bench.measure_in_turns([loaded[0], wrong], ["a", "b"], "compare", fresh=True, watched="both")
    assert [stack.idle() for stack in rig.bench.stacks] == [True, True]
    assert not [line for line in environs() if "prony.load.worker" in line]


@pytest.mark.long
def test_the_command_compares_a_change_and_two_urls_by_turns(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(BURNS.format(burn_s="float(__import__('os').environ['BURN_S'])"), encoding="utf-8")
    (tmp_path / "prony.toml").write_text(TOML.format(python=sys.executable), encoding="utf-8")
    flags = ["--starts", "4", "--trial", "1s", "--json"]
    found = compared(tmp_path, "--with", "app.env.BURN_S=0.004", *flags)
    verdicts = {gain["figure"]: gain["verdict"] for gain in found["comparisons"][0]["gains"]}
    assert verdicts["saturated_rps"] == "worse"
    assert any(trial["plan"]["traffic"]["turns"] for trial in found["trials"])
    with serving(tmp_path, "0.001") as quick, serving(tmp_path, "0.004") as slow:
        found = compared(tmp_path, quick, slow, *flags)
    verdicts = {gain["figure"]: gain["verdict"] for gain in found["comparisons"][0]["gains"]}
    assert verdicts["saturated_rps"] == "worse"
    assert not found["comparisons"][0]["fresh"]


def compared(folder: Path, *arguments: str) -> Any:
    """What `prony compare` prints."""
    command = [sys.executable, "-m", "prony", "compare", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextlib.contextmanager
def serving(folder: Path, burn_s: str) -> Iterator[str]:
    """An app server that prony did not start; its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "one:application"]
    with subprocess.Popen(command, cwd=folder, env=os.environ | {"BURN_S": burn_s}) as server:
        try:
            until(lambda: answers(port), "gunicorn answers")
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False


def test_what_ends_one_of_them_ends_all_and_leaves_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.bench = Bench(rig.store, "compare", "tests", tmp_path / "state", stacks=2)
    with closing(rig.store):
        with rig.bench:
            if rig.bench.apart_because((), 0):
                pytest.skip(rig.bench.apart_because((), 0))
            plans = [burning(rig, "quick", 0.001), burning(rig, "broken", 0.001)]
            plans[1] = structs.replace(plans[1], app=structs.replace(plans[1].app, entry="one:nothing"))
            turns = dealt(2, 2.0, 0.016, 1)
            loaded = by_turns(plans, turns)
            folders = [stack.run_folder for stack in rig.bench.stacks]
            with pytest.raises(PlanError, match="nothing"):
                rig.bench.measure_in_turns(loaded, ["a", "b"], "compare", fresh=True, watched="both")
            running = [environ for environ in environs() if str(folders[0]) in environ]
            assert running, "the first of them was up by then"
        assert not any(folder.exists() for folder in folders)
        assert not [environ for environ in environs() if any(str(folder) in environ for folder in folders)]


def environs() -> Iterator[str]:
    """Command lines and environments of all processes that can be read: what prony starts names its run's folder."""
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            yield f"{each.cmdline()} {each.environ()}"


def test_plans_that_would_write_to_one_place_or_lack_the_memory_start_one_after_the_other(rig: Rig) -> None:
    plan = burning(rig, "quick", 0.001)
    own = structs.replace(plan, stores={"database": Store(kind="url", url="postgres://127.0.0.1:1/mine")})
    bare = structs.replace(plan, app=structs.replace(plan.app, scratch=False))
    assert not rig.bench.apart_because([plan, plan], 1e6)
    assert "[stores.database] is your own" in rig.bench.apart_because([plan, own], 1e6)
    assert "one folder" in rig.bench.apart_because([plan, bare], 1e6)
    assert "MB of memory" in rig.bench.apart_because([plan, plan], 1e15)
