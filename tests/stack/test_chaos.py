"""prony killed at any instant: two seconds later nothing of it is left, and the store opens clean."""

from __future__ import annotations

import random
import shutil
import signal
from threading import Event

import psutil
import pytest

from prony.stack import strays
from tests.stack.chaos_case import Project, Trace, free_port, patience, until

pytestmark = pytest.mark.alone

LATEST_S = 6.0
SAMPLE, ALL = 4, 100


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    found = Project(tmp_path_factory.mktemp("chaos"))
    with found.start("run", "--users", "2", "--duration", "1s") as process:  # caches are made once, not 100 times
        assert process.wait(300) in {0, 1, 4}, found.printed()
    return found


def instants() -> list[object]:
    chance = random.Random(3)  # noqa: S311 - the same instants every time
    drawn = [(("up", "run")[number % 2], round(chance.uniform(0, LATEST_S), 3)) for number in range(ALL)]
    return [
        pytest.param(*each, marks=() if number < SAMPLE else pytest.mark.long, id=f"{each[0]}-{each[1]}")
        for number, each in enumerate(drawn)
    ]


@pytest.mark.parametrize(("verb", "instant_s"), instants())
def test_whenever_prony_is_killed_nothing_of_it_is_left(project: Project, verb: str, instant_s: float) -> None:
    port = free_port()
    argv = ["up", "--port", str(port)] if verb == "up" else ["run", "--users", "2", "--duration", "5s"]
    with project.start(*argv) as process:
        try:
            Event().wait(instant_s)  # the instant itself is what is tested
            assert process.poll() is None, project.printed()
            trace = Trace(process.pid, project, port)
        finally:
            process.kill()
    until(lambda: not trace.left(), trace.left, patience())
    assert process.returncode == -signal.SIGKILL
    project.check_store()


def test_when_the_guard_is_killed_too_the_next_run_finds_a_clean_machine(project: Project) -> None:
    port = free_port()
    with project.start("up", "--port", str(port)) as process:
        try:
            until(lambda: "Ctrl-C stops everything" in project.printed(), project.printed, 120)
            trace = Trace(process.pid, project, port)
            below = psutil.Process(process.pid).children(recursive=True)
            guard = next(each for each in below if "prony.stack.guard" in each.cmdline())
            guard.suspend()
        finally:
            process.kill()
        guard.kill()
    strays.clean(strays.find())
    until(lambda: not trace.left(), trace.left, patience())
    project.check_store()


def test_a_kill_while_caches_are_made_leaves_none_half_made(project: Project) -> None:
    """The first second of a first run: the store is being made."""
    shutil.rmtree(project.folder / ".prony")
    for instant_s in (0.3, 0.5, 0.7):
        with project.start("run", "--users", "2", "--duration", "1s") as process:
            Event().wait(instant_s)
            trace = Trace(process.pid, project, free_port())
            process.kill()
        until(lambda trace=trace: not trace.left(), trace.left, patience())  # type: ignore[misc]
        project.check_store()
