"""`prony find` on real servers: an interval and its curve within the budget; Ctrl-C keeps what is known."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from contextlib import closing

import msgspec
import pytest

from prony.campaign.recall import recall
from prony.document import Document
from prony.recording import Store
from prony.report.html import render
from tests.stack.chaos_case import Project, Trace, free_port, patience, until

pytestmark = pytest.mark.alone

APP = """
import time

def app(environ, start_response):
    time.sleep(0.02)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"all there"]
"""
PLAN = """
[app]
entry = "app:app"
python = "{python}"

[server]
kind = "gunicorn"
workers = 2

[[traffic.request]]
path = "/"
expect = {{ status = 200, contains = "all there" }}
"""
BEGUN = re.compile(r"^  … \d+ rps \((.*)\)$", re.MULTILINE)
FIND_S = 120.0


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """An app that needs nothing but its server: quick to bring up, and at its limit for want of slots."""
    project = Project(tmp_path_factory.mktemp("find"), daemon=False)
    (project.folder / "app.py").write_text(APP)
    (project.folder / "prony.toml").write_text(PLAN.format(python=sys.executable))
    return project


def stored(project: Project) -> Document:
    """The latest campaign as the store tells it."""
    with closing(Store(project.folder / ".prony" / "prony.db")) as store:
        return recall(store, store.campaigns()[-1])


def test_ctrl_c_after_a_trial_prints_what_is_known_and_leaves_nothing_running(project: Project) -> None:
    with project.start("find", "--start", "40", "--trial", "1s") as process:
        try:
            # the second trial has begun, so one is known
            until(
                lambda: len(BEGUN.findall(project.printed())) > 1 or process.poll() is not None,
                project.printed,
                FIND_S,
            )
            assert process.poll() is None, project.printed()
            trace = Trace(process.pid, project, free_port())
            assert trace.left(), "its processes are seen while it runs"
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130, project.printed()
        finally:
            process.kill()
    until(lambda: not trace.left(), trace.left, patience())
    printed = project.printed()
    assert "Traceback" not in printed
    assert "interrupted" in printed
    assert re.search(r"^Capacity of gunicorn sync, 2 workers: ", printed, re.MULTILINE)
    document = stored(project)
    assert document.status == "interrupted"
    [capacity], [curve] = document.capacities, document.curves
    assert capacity.trials >= 1
    assert capacity.high_rps is not None or "interrupted" in capacity.at_least
    assert {point.trial for point in curve.points} == set(capacity.trial_ids)
    assert f"The curve of gunicorn sync, 2 workers: {len(curve.points)} trial" in printed
    assert '<figure class="curve" data-curve="0">' in render(document, {})
    project.check_store()


@pytest.mark.long
def test_a_search_ends_within_its_budget_with_an_interval_or_its_reason_and_its_curve(project: Project) -> None:
    argv = [sys.executable, "-m", "prony", "find", "--budget", "30s", "--trial", "1s", "--json"]
    told = subprocess.run(argv, cwd=project.folder, capture_output=True, text=True, check=False, timeout=FIND_S)
    assert told.returncode in {0, 1}, told.stderr
    document = msgspec.json.decode(told.stdout, type=Document)
    [capacity], [curve] = document.capacities, document.curves
    on_curve = {point.trial for point in curve.points}
    assert set(capacity.trial_ids) <= on_curve <= {trial.id for trial in document.trials}
    loads = [point.load for point in curve.points]
    assert loads == sorted(loads)
    assert all(point.utilisation["app"] is not None for point in curve.points)
    assert [point for point in curve.points if point.held is True], "something holds on any machine"
    for point in curve.points:
        if point.backlog_per_s is not None:
            assert set(point.latency_s.values()) == {None}


def test_a_set_of_limits_that_is_none_is_refused_before_anything_runs(project: Project) -> None:
    before = [*(project.folder / ".prony").glob("*.db")]
    with project.start("find", "--limits", "p98=200ms") as process:
        assert process.wait(60) == 2
    assert "p98" in project.printed()
    assert [*(project.folder / ".prony").glob("*.db")] == before


@pytest.mark.long
def test_two_sets_of_limits_are_found_by_the_same_trials_as_wide_as_asked(project: Project) -> None:
    """Two slots of 20 ms serve a hundred a second; a p99 of 40 ms leaves less of that than one of a second."""
    with project.start("find", "--budget", "60s", "--trial", "2s", "--width", "0.3", "--limits", "p99=60ms") as process:
        assert process.wait(FIND_S) == 0, project.printed()
    loose, tight = stored(project).capacities
    assert loose.trial_ids == tight.trial_ids
    assert tight.limits.startswith("p99 ≤ 0.06 s")
    assert loose.low_rps is not None
    assert loose.low_rps < 101
    assert loose.high_rps is None or loose.high_rps > 80
    assert tight.high_rps is not None
    assert loose.high_rps is None or tight.high_rps < loose.high_rps


@pytest.mark.long
def test_a_capacity_in_users_is_a_whole_number_of_them(project: Project) -> None:
    with project.start("find", "--users", "--budget", "40s", "--trial", "2s", "--set", "limits.p99=100ms") as process:
        assert process.wait(FIND_S) == 0, project.printed()
    [capacity] = stored(project).capacities
    assert capacity.unit == "users"
    assert capacity.low_users is not None
    assert 2 <= capacity.low_users <= 12, "two are served at once, each in 20 ms: ten wait 100 ms"
