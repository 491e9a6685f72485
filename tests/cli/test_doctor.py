from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prony.stack import folders
from tests.stack.strays_case import Held, holding, there

pytestmark = pytest.mark.alone

Doctor = Callable[..., "subprocess.CompletedProcess[str]"]
# A folder for runs of its own, or every run that begins on this machine would sweep what is left there.
SCRIPT = """
import sys
from pathlib import Path
from prony.stack import folders
from prony.cli import main
folders.ROOT = Path(sys.argv[1])
main(["doctor", *sys.argv[2:]])
"""


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    fetched = folders.own_folder() / "bin"
    fetched.mkdir(exist_ok=True)
    monkeypatch.setattr(folders, "ROOT", tmp_path)
    (folders.own_folder() / "bin").symlink_to(fetched)

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", SCRIPT, str(tmp_path), *argv]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    return run


@pytest.fixture
def crashed(doctor: Doctor, tmp_path: Path) -> Iterator[Held]:  # noqa: ARG001 - which sets the folder
    with holding(tmp_path / "daemon") as held:
        held.crash()
        yield held


def test_it_tells_what_is_here_and_what_is_missing_with_how_to_get_it(doctor: Doctor) -> None:
    doctor("--clean")  # cgroups are the machine's, not the folder's: a run killed with its guard may have left some
    told = doctor("--json")
    found = json.loads(told.stdout)
    assert (found["verb"], found["strays"]) == ("doctor", [])
    states = {each["name"]: each["state"] for each in found["findings"]}
    assert {"cores", "containment", "boxes", "Postgres", "nginx", "Valkey", "memcached", "PgBouncer"} <= set(states)
    assert set(states.values()) <= {"ok", "without", "lacking"}
    assert told.returncode == (3 if "lacking" in states.values() else 0)
    assert all(each["text"] for each in found["findings"])
    assert all(each["todo"] for each in found["findings"] if each["state"] == "lacking")
    shown = doctor()
    assert shown.returncode == told.returncode
    assert all(name in shown.stdout for name in states)
    assert "crashed runs: none has left anything" in shown.stdout
    assert "Traceback" not in shown.stderr


def test_what_a_crashed_run_left_is_told_and_still_there_afterwards(doctor: Doctor, crashed: Held) -> None:
    told = doctor()
    assert told.returncode in {1, 3}
    assert f"left by a crashed run, still there: process {crashed.daemon.pid}" in told.stdout
    assert f"left by a crashed run, still there: folder {crashed.folder}" in told.stdout
    assert "prony doctor --clean" in told.stdout
    assert there(crashed.daemon)
    assert crashed.folder.exists()


def test_clean_removes_it_and_says_so(doctor: Doctor, crashed: Held) -> None:
    told = doctor("--clean", "--json")
    assert told.returncode in {0, 3}
    left = {each["kind"]: each["removed"] for each in json.loads(told.stdout)["strays"]}
    assert left["process"] is left["folder"] is True
    assert left.get("cgroup", True) is True
    assert not there(crashed.daemon)
    assert not crashed.folder.exists()
    assert json.loads(doctor("--json").stdout)["strays"] == []


def test_a_run_that_lasts_is_not_touched(doctor: Doctor, tmp_path: Path) -> None:
    with holding(tmp_path / "daemon") as held:
        assert json.loads(doctor("--clean", "--json").stdout)["strays"] == []
        assert there(held.daemon)
        assert held.folder.is_dir()


def test_help_says_how_it_ends(doctor: Doctor) -> None:
    told = doctor("--help")
    assert told.returncode == 0
    text = " ".join(told.stdout.split())
    assert all(part in text for part in ("--clean", "--json", "3 when something is missing", "1 when a crashed run"))


def test_it_tries_the_generator_when_asked_and_remembers_what_it_could_do(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    before = json.loads(doctor("--json").stdout)
    assert before["generator"] is None
    assert {"prony doctor --calibrate"} == {each["todo"] for each in before["findings"] if each["name"] == "generator"}
    tried = json.loads(doctor("--calibrate", "--json").stdout)["generator"]
    assert tried["closed_rps"] > 0
    assert 0 < tried["cpu_s_per_request"] < 1
    assert [each["rate_rps"] for each in tried["sent"]] == [1000, 5000]
    assert json.loads(doctor("--json").stdout)["generator"] == tried


def test_noise_is_not_measured_unasked_and_ctrl_c_ends_the_measurement_with_nothing_left(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    before = json.loads(doctor("--json").stdout)
    assert before["noise"] is None
    assert {"prony doctor --noise"} == {each["todo"] for each in before["findings"] if each["name"] == "noise"}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), "--noise", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "how much it serves at most" in line:
                process.send_signal(signal.SIGINT)
                break
        _, rest = process.communicate(timeout=60)
        assert process.returncode == 130, rest
    after = json.loads(doctor("--json").stdout)
    assert (after["strays"], after["noise"]) == ([], None)
