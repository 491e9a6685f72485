from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from time import monotonic

import msgspec
import psutil
import pytest

import prony
from prony.document import Document
from prony.stack import folders

pytestmark = pytest.mark.alone

PAGE = Path(prony.__file__).parent / "workloads" / "page"


def until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Poll until it holds."""
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        Event().wait(0.02)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    left = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
        except psutil.NoSuchProcess:
            continue
    return left


def command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # a database connection's process ends with its request
        return ""


def run_folders(pid: int) -> list[Path]:
    return list(folders.own_folder().glob(f"run-{pid}-*"))


class Project:
    """A copy of the page workload, and prony run on it as its author would."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.folder = folder / "page"
        shutil.copytree(PAGE, self.folder, ignore=shutil.ignore_patterns("__pycache__", ".prony"))
        self.shipped = files(self.folder)

    def start(self, *argv: str) -> subprocess.Popen[str]:
        # `python -m prony` rather than the script, so that the process is prony itself and no wrapper.
        return subprocess.Popen(
            [sys.executable, "-m", "prony", *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**os.environ, "XDG_STATE_HOME": str(self.state), "HOME": str(self.state)},
        )

    def prony(self, *argv: str, code: int | None = 0) -> tuple[str, str]:
        with self.start(*argv) as process:
            out, err = process.communicate(timeout=120)
        assert code in {None, process.returncode}, err
        return out, err

    def document(self, *argv: str, code: int | None = 0) -> Document:
        out, _ = self.prony(*argv, "--json", code=code)
        return msgspec.convert(json.loads(out), Document, strict=True)

    def answered(self, pid: int) -> int:
        """Requests that the store holds of that process's campaign."""
        with closing(sqlite3.connect(f"file:{self.folder}/.prony/prony.db?mode=ro", uri=True, timeout=5)) as database:
            query = (
                "SELECT coalesce(sum(samples.count), 0) FROM samples JOIN trial ON trial.id = samples.trial"
                " JOIN campaign ON campaign.id = trial.campaign WHERE campaign.pid = ?"
            )
            return int(database.execute(query, (pid,)).fetchone()[0])

    @contextmanager
    def loaded(self, *argv: str) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
        """A run in the middle of its load, and every process below it."""
        with self.start("run", *argv) as process:
            try:
                until((self.folder / ".prony" / "prony.db").exists, "a store")
                until(lambda: process.poll() is not None or self.answered(process.pid) > 50, "fifty answers stored")
                assert process.poll() is None, process.communicate()
                started = psutil.Process(process.pid).children(recursive=True)
                names = " ".join(map(command, started))
                assert all(part in names for part in ("prony.stack.guard", "postgres", "gunicorn", "prony.load.worker"))
                yield process, started
            finally:
                process.kill()
                process.communicate()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def measured(project: Project) -> Document:
    """One run within its limits."""
    sets = ["--set", "limits.p99=10s", "--set", "limits.errors=5%"]
    return project.document("run", "--users", "6", "--duration", "3s", *sets)


def test_a_run_prints_one_document_and_ends_well(project: Project, measured: Document) -> None:
    assert (measured.verb, measured.status, measured.prony) == ("run", "done", prony.__version__)
    [trial] = measured.trials
    [verdict] = measured.verdicts
    assert trial.scheduled == trial.sent == trial.requests > 30
    assert trial.errors.by_status == {"200": trial.requests}
    assert trial.achieved_rps is not None
    assert (trial.latency_s["p50"] is None) == ("late_sends" in trial.doubts)
    assert (verdict.cause, verdict.trial) == ("none", trial.id)
    assert trial.plan["database"]["max_connections"] == 20
    assert "only-for-the-bench" not in json.dumps(msgspec.to_builtins(measured))
    assert measured.machine["cpus"] == len(os.sched_getaffinity(0))
    new = {name for name in files(project.folder) - project.shipped if not name.startswith(".prony")}
    assert new == set()


def test_afterwards_list_and_report_show_it(project: Project, measured: Document) -> None:
    out, err = project.prony("list")
    assert err == ""
    assert all(text in out for text in (str(measured.campaign), "run", "done"))
    listed = json.loads(project.prony("list", "--json")[0])
    assert [(row["id"], row["verb"], row["status"]) for row in listed][:1] == [(measured.campaign, "run", "done")]
    out, err = project.prony("report", str(measured.campaign))
    assert err == ""
    assert f"{measured.trials[0].requests} × 200" in out
    assert project.document("report", str(measured.campaign)) == measured


def test_a_report_is_written_as_html(project: Project, measured: Document, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    out, err = project.prony("report", str(measured.campaign), "--html", str(path))
    assert (out, err.strip()) == ("", f"Written: {path}")
    page = path.read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert measured.title in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    _, err = project.prony("report", "--html", str(tmp_path / "nowhere" / "report.html"), code=2)
    assert "cannot be written" in err


def test_outside_its_limits_a_run_ends_with_1(project: Project) -> None:
    found = project.document(
        "run", "--users", "40", "--duration", "2s", "--set", "server.workers=1", "--set", "limits.p99=50ms", code=1
    )
    assert found.verdicts[0].cause != "none"
    assert any("Limit broken: p99" in line for line in found.verdicts[0].evidence)


def test_without_json_the_result_is_on_stdout_and_progress_elsewhere(project: Project) -> None:
    out, err = project.prony("run", "--rate", "20", "--duration", "1s", "--set", "limits.p99=10s", code=None)
    assert "What limits it" in out
    assert "right answers" in out
    assert "right answers" not in err
    assert "Traceback" not in err


def test_an_app_that_does_not_import_is_one_paragraph(project: Project) -> None:
    out, err = project.prony("run", "--users", "1", "--json", "--set", "app.entry=config.nothing:app", code=2)
    assert out == ""
    assert "No module named 'config.nothing'" in err
    assert "Traceback" not in err
    assert json.loads(project.prony("list", "--json")[0])[-1]["status"] == "failed"


def test_a_killed_run_leaves_nothing_but_its_finished_seconds(project: Project) -> None:
    with project.loaded("--users", "4", "--duration", "60s") as (process, started):
        pid = process.pid
        assert len(run_folders(pid)) == 1
        process.kill()
        until(lambda: not living(started) and not run_folders(pid), "the end of all", 2)
        assert process.wait(10) == -signal.SIGKILL
    found = project.document("report")
    assert found.status == "killed"
    [trial] = found.trials
    assert trial.requests > 50
    assert trial.errors.by_status["200"] > 50
    assert "cut_off" in trial.doubts
    assert "killed" in project.prony("list")[0]
    out, _ = project.prony("report")
    assert "cut_off" in out


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_an_interrupted_run_stops_everything(project: Project, number: signal.Signals) -> None:
    with project.loaded("--users", "4", "--duration", "60s", "--json") as (process, started):
        pid = process.pid
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert living(started) == []
        assert run_folders(pid) == []
        assert (process.returncode, out) == (130, "")
        assert "prony: interrupted" in err
        assert "Traceback" not in err
    found = project.document("report")
    assert found.status == "interrupted"
    assert found.trials[0].requests > 50
    assert "cut_off" in found.trials[0].doubts
