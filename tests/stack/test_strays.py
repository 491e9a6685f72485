"""What is left where prony and its guard are killed at once, and who may remove it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from prony.stack import cgroups, folders, strays
from prony.stack.launch import Launcher
from tests.stack.strays_case import Held, holding, there, until

pytestmark = pytest.mark.alone


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of these tests' own, or any other that begins on this machine would sweep what they leave."""
    monkeypatch.setattr(folders, "ROOT", tmp_path)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    with holding(tmp_path / "daemon") as found:
        yield found


def test_a_run_that_lasts_is_no_stray_and_is_not_swept(held: Held) -> None:
    assert held.left() == []
    strays.sweep()
    assert there(held.daemon)
    assert held.folder.is_dir()


def test_what_is_left_is_a_process_a_folder_and_a_cgroup_and_cleaning_removes_them(held: Held) -> None:
    held.crash()
    assert there(held.daemon)
    left = held.left()
    kinds = {each.kind for each in left}
    assert {"process", "folder"} <= kinds
    assert [each.process for each in left if each.process] == [held.daemon]
    paths = [each.path for each in left if each.path]
    assert strays.clean(left) == []
    assert not there(held.daemon)
    assert not any(path.exists() for path in paths)
    assert held.left() == []


def test_a_run_whose_prony_is_dead_but_whose_guard_still_clears_up_is_left_to_it(held: Held) -> None:
    held.guard.suspend()
    held.prony.kill()
    held.prony.wait(20)
    assert held.left() == []
    held.guard.resume()
    until(lambda: not there(held.daemon) and not held.folder.exists(), "the guard's work", 10)


def test_the_next_run_removes_what_a_crashed_one_left(held: Held, tmp_path: Path) -> None:
    held.crash()
    assert there(held.daemon)
    with Launcher(tmp_path / "run"):
        assert not there(held.daemon)
        assert held.left() == []
        assert not held.folder.exists()


def test_a_folder_that_cannot_be_looked_at_is_not_taken_for_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folders.over(tmp_path / "gone")

    def refused(*_: object) -> int:
        raise PermissionError(13, "not yours")

    monkeypatch.setattr(os, "open", refused)
    assert not folders.over(tmp_path)


def test_a_pid_that_somebody_else_got_does_not_save_what_was_left() -> None:
    folder = folders.own_folder() / f"run-{os.getpid()}-{os.urandom(4).hex()}"  # this very process is alive
    descriptor = folders.take(folder)
    assert not [each for each in strays.find() if each.path == folder]
    os.close(descriptor)
    [left] = [each for each in strays.find() if each.path == folder]
    assert strays.clean([left]) == []
    assert not folder.exists()


@pytest.mark.parametrize("place", ["prony-4242/run-1-aa", "elsewhere/run-1-aa", "run-1-aa", "."])
def test_processes_of_other_users_runs_and_of_none_of_ours_are_let_be(place: str) -> None:
    environment = {"PATH": "/usr/bin:/bin", strays.TAG: str(folders.ROOT / place)}
    with subprocess.Popen(["/bin/sleep", "60"], env=environment) as other:
        try:
            assert not [each for each in strays.find() if each.process and each.process.pid == other.pid]
        finally:
            other.kill()


def test_somebody_s_shell_in_a_run_s_folder_is_no_stray_but_what_has_no_environment_left_is() -> None:
    folder = folders.own_folder() / f"run-1-{os.urandom(4).hex()}"
    os.close(folders.take(folder))
    shell = {"PATH": "/usr/bin:/bin"}
    try:
        with (
            subprocess.Popen(["/bin/sleep", "60"], cwd=folder, env=shell) as visitor,
            subprocess.Popen(["/bin/sleep", "60"], cwd=folder, env={}) as renamed,
        ):
            try:
                pids = [each.process.pid for each in strays.find() if each.process]
            finally:
                visitor.kill()
                renamed.kill()
        assert (visitor.pid in pids, renamed.pid in pids) == (False, True)
    finally:
        folder.rmdir()


def test_a_cgroup_without_its_folder_is_found_by_itself(held: Held) -> None:
    held.crash()
    cut_off = [path for path in cgroups.stale(os.getuid()) if path.name.endswith(held.name)]
    if not cut_off:
        pytest.skip("no cgroup can be made here")
    strays.clean([each for each in held.left() if each.kind == "folder"])
    assert there(held.daemon)
    assert cgroups.clean(cut_off) == []
    until(lambda: not there(held.daemon), "the daemon's end")


def test_the_signal_that_ends_the_guard_well_cleans_up(held: Held) -> None:
    held.guard.send_signal(signal.SIGTERM)
    until(lambda: not there(held.daemon) and not held.folder.exists(), "the guard's work", 10)
