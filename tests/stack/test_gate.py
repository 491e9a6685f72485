"""A gate and a comparison on real servers: a planted CPU loss is found; the workflow in the docs does what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml

HOWTO = Path(__file__).parents[2] / "docs" / "howto" / "gate.md"
pytestmark = [pytest.mark.alone, pytest.mark.long]

FAST, SLOW = "20_000", "400_000"
APP = f"""
LOOPS = {FAST}


def app(environ, start_response):
    sum(range(LOOPS))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]
"""
PLAN = f"""
[app]
entry = "shop:app"
python = "{sys.executable}"

[server]
kind = "gunicorn"
worker_class = "sync"
workers = 1

[[traffic.request]]
path = "/"
"""
SHORT = ("--starts", "4")


class Project:
    """A small app in a git repository: one revision, and one after it that costs twenty times the CPU."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "shop"
        self.folder.mkdir()
        self.environment = os.environ | {
            "XDG_STATE_HOME": str(folder / "state"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        for name, text in (
            ("shop.py", APP),
            ("prony.toml", PLAN),
            (".gitignore", ".prony\n"),
            ("requirements.txt", ""),
        ):
            (self.folder / name).write_text(text, encoding="utf-8")
        self.git("init", "--quiet")
        self.git("add", ".")
        self.commit("as it was")

    def git(self, *words: str) -> str:
        who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
        return subprocess.run(
            ["git", *who, *words], cwd=self.folder, env=self.environment, check=True, capture_output=True, text=True
        ).stdout

    def commit(self, what: str) -> None:
        self.git("commit", "--quiet", "--all", "--message", what)

    def costs(self, loops: str) -> None:
        """The app as it is from now on."""
        text = (self.folder / "shop.py").read_text(encoding="utf-8")
        (self.folder / "shop.py").write_text(re.sub(r"LOOPS = .*", f"LOOPS = {loops}", text), encoding="utf-8")

    def prony(self, *argv: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "prony", *argv],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert "Traceback" not in done.stderr
        return done


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """With a baseline of the fast app, and the slow one as its latest revision."""
    found = Project(tmp_path_factory.mktemp("gate"))
    written = found.prony("gate", "--write", *SHORT, "--trial", "1s", "--rate", "60")
    assert written.returncode == 0, written.stderr
    assert "Commit it" in written.stderr
    found.git("add", "prony-baseline.json")
    found.commit("a baseline")
    found.costs(SLOW)
    found.commit("slower")
    return found


def test_the_baseline_holds_what_it_was_measured_under(project: Project) -> None:
    stored = json.loads((project.folder / "prony-baseline.json").read_text(encoding="utf-8"))
    assert stored["load"] == {"GET /": 1.0}
    assert (stored["rate_rps"], stored["trial_s"]) == (60, 1)
    starts = len(stored["figures"]["right_share"])
    assert 4 <= starts <= 12, "those that were not to be believed are made up for"
    assert all(len(values) == starts for values in stored["figures"].values())
    for name in stored["allowed"]:
        assert sum(value is not None and value > 0 for value in stored["figures"][name]) >= 4
    assert stored["allowed"] == {
        "saturated_rps": 0.1,
        "right_share": 0.01,
        "latency_p50_s": 0.1,
        "app_cpu_s_per_request": 0.1,
    }
    assert {1.0, None} >= set(stored["figures"]["right_share"])


def test_a_planted_loss_of_cpu_fails_at_the_gate_and_its_report_draws_it(project: Project) -> None:
    project.costs(SLOW)
    done = project.prony("gate", *SHORT, "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    [comparison] = json.loads(done.stdout)["comparisons"]
    found = {gain["figure"]: gain for gain in comparison["gains"]}
    assert found["app_cpu_s_per_request"]["outcome"] == "failed"
    assert found["app_cpu_s_per_request"]["low"] > 2
    assert project.prony("report", "--html", "report.html").returncode == 0
    page = (project.folder / "report.html").read_text(encoding="utf-8")
    assert "Failed: more than is allowed was lost in" in page
    assert page.count('<svg class="interval"') == 4


@pytest.mark.parametrize(
    ("key", "value", "code", "said"),
    [
        ("machine", "a PDP-11, 1 cores", 4, "measured on another machine (a PDP-11, 1 cores)"),
        ("load", {"GET /": 0.5, "GET /cart/": 0.5}, 2, "GET /cart/: 50% of it there, nothing here"),
        ("how", {"keep_alive": "False"}, 2, "keep_alive: False there, True here"),
        ("boxes", ["app: cpus 0.5, memory all"], 2, "measured in other boxes (app: cpus 0.5, memory all)"),
    ],
)
def test_a_baseline_of_another_machine_or_plan_is_refused_before_anything_is_measured(
    project: Project, key: str, value: Any, code: int, said: str
) -> None:
    stored = json.loads((project.folder / "prony-baseline.json").read_text(encoding="utf-8"))
    (project.folder / "other.json").write_text(json.dumps(stored | {key: value}), encoding="utf-8")
    before = project.prony("list", "--json").stdout
    done = project.prony("gate", "--baseline", "other.json", "--junit", "other.xml")
    assert (done.returncode, done.stdout) == (code, "")
    suite = ET.fromstring((project.folder / "other.xml").read_text(encoding="utf-8"))  # noqa: S314 - our own file
    [error] = suite.iter("error")
    assert said in " ".join(error.attrib["message"].split())
    assert said in " ".join(done.stderr.split())
    assert "prony gate --write" in done.stderr
    assert project.prony("list", "--json").stdout == before


def test_revisions_and_a_recording_are_compared_and_the_planted_loss_is_found(project: Project) -> None:
    project.costs(FAST)
    assert project.prony("run", "--rate", "20", "--duration", "1s").returncode in {0, 1, 4}
    number = json.loads(project.prony("list", "--json").stdout)[-1]["id"]
    sides = ("git:HEAD~1", "git:HEAD", f"run:{number}")
    done = project.prony("compare", *sides, *SHORT, "--trial", "3s", "--rate", "60", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    found = {each["b"]: {gain["figure"]: gain for gain in each["gains"]} for each in document["comparisons"]}
    recording = f"recording {number}, gunicorn sync, 1 worker"
    assert list(found) == ["git:HEAD", recording]
    assert found["git:HEAD"]["saturated_rps"]["verdict"] == "worse"
    assert found["git:HEAD"]["saturated_rps"]["high"] < 0.5
    assert found["git:HEAD"]["app_cpu_s_per_request"]["verdict"] == "worse"
    assert found["git:HEAD"]["app_cpu_s_per_request"]["low"] > 2
    assert found[recording]["app_cpu_s_per_request"]["ratio"] < 2
    assert "database_connections" not in found["git:HEAD"], "there is no database"
    assert project.git("worktree", "list").count("\n") == 1
    assert project.git("status", "--porcelain").split() == ["M", "shop.py", *untracked(project)]


def untracked(project: Project) -> list[str]:
    """What the other tests left in the folder, as git status tells it."""
    names = project.git("ls-files", "--others", "--exclude-standard").split()
    return [word for name in sorted(names) for word in ("??", name)]


# ---- the workflow in the docs


def the_workflow() -> dict[str, Any]:
    [text] = re.findall(r"```yaml\n(.*?)```", HOWTO.read_text(encoding="utf-8"), re.DOTALL)
    found = yaml.safe_load(text)
    assert isinstance(found, dict)
    return found


def test_the_commands_of_the_workflow_in_the_docs_do_what_it_says(project: Project, tmp_path: Path) -> None:
    project.costs(FAST)
    workflow = the_workflow()
    assert {"name", "permissions", "concurrency", "jobs"} < set(workflow)
    [job] = workflow["jobs"].values()
    assert all(("uses" in step) != ("run" in step) for step in job["steps"])
    summary = tmp_path / "summary.md"
    summary.touch()
    code = 0
    for step in job["steps"]:
        if "run" in step and (code == 0 or step.get("if") == "always()"):
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],  # as GitHub runs them
                cwd=project.folder,
                env=project.environment | {"GITHUB_STEP_SUMMARY": str(summary)},
                capture_output=True,
                text=True,
                check=False,
                timeout=400,
            )
            code = code or done.returncode
            assert done.returncode in {0, 4}, done.stderr  # a busy machine may cost belief
    assert "### prony gate: gunicorn sync, 1 worker" in summary.read_text(encoding="utf-8")
    suite = ET.parse(project.folder / "gate.xml").getroot()  # noqa: S314 - our own
    assert suite.attrib["tests"] == "4"
    assert suite.attrib["failures"] == "0"
    [uploaded] = [step for step in job["steps"] if "upload-artifact" in step.get("uses", "")]
    for name in uploaded["with"]["path"].split():
        assert (project.folder / name).stat().st_size > 200
