"""`prony compare`: what it takes and refuses; what runs already, and recordings of it, on servers of ours."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from prony.cli import options, output, sides
from prony.errors import PlanError
from prony.plan import Plan
from prony.recording import Store
from prony.traffic import learned
from prony.traffic.learned import Learned, LearnedRoute
from tests.cli.test_cli import ENTRY, Terminal
from tests.cli.test_url import Served
from tests.unit.recording_case import a_plan

ONE, OTHER = "http://127.0.0.1:1/", "http://127.0.0.1:2/"


@pytest.fixture
def prony_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    found = Terminal(tmp_path / "here", capsys)
    found.project(ENTRY)
    return found


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "found 0 plans to compare"),
        (["."], "found 1 plans to compare"),
        ([ONE, "."], f"found {ONE}, which runs already, beside ., which prony starts itself"),
        ([ONE, "--with", "server.workers=5"], "beside with server.workers=5"),
        ([ONE, "ftp://127.0.0.1/"], "B: found"),
        ([ONE, "http://somebody:secret@127.0.0.1/"], "B: found somebody's name"),
        ([ONE, OTHER], "A: found nobody who listens on 127.0.0.1:1"),
        (["http://0.0.0.0:8000/", ONE], "no address of any machine"),
        ([ONE, OTHER, "--set", "server.workers=5"], "--set"),
        ([ONE, OTHER, "-H", "no colon"], "--header: found a text without a name"),
        ([".", ".", "-H", "A: 1"], "found --header without a URL"),
        ([".", ".", "--expect-status", "404"], "found --expect-status without a URL"),
        ([".", "nowhere"], "nowhere"),
        ([".", "run:7"], "holds no recording 7"),
        ([".", "7"], "Try: prony list"),
        ([".", "run:x"], "allowed: run: and a recording's number"),
        (["run:1", ".", "--set", "server.workers=5"], "--set: found beside the recording run:1"),
        ([".", "git:main"], "git rev-parse"),
        ([".", ".", "--starts", "3"], "4<=x<=100"),
    ],
)
def test_a_wrong_command_is_one_paragraph_and_measures_nothing(prony_: Terminal, argv: list[str], said: str) -> None:
    found = prony_("compare", *argv)
    assert (found.code, found.out) == (2, "")
    assert said in " ".join(found.err.split())
    assert "secret" not in found.err
    for place in (prony_.folder / ".prony", prony_.folder.parent / "state" / "prony"):
        assert not (place / "prony.db").exists() or not Store(place / "prony.db").campaigns()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[[traffic.journey]]\nrun = "j.py:visit"\n', "[[traffic.journey]]: found journeys"),
        ("[traffic]\nrate = 5\nrequests_per_session = 3\n", "requests_per_session: found sessions"),
    ],
)
def test_journeys_and_sessions_are_neither_compared_nor_gated(prony_: Terminal, table: str, said: str) -> None:
    (prony_.folder / "j.py").write_text("async def visit(visitor):\n    await visitor.get('/')\n", encoding="utf-8")
    prony_.project(ENTRY + table)
    for argv in (["compare", ".", "."], ["gate", "--write"]):
        found = prony_(*argv)
        assert found.code == 2
        assert said in " ".join(found.err.split())


# ---- recordings


def recorded(prony_: Terminal, *plans: Plan) -> None:
    """One recording, with a trial of each plan."""
    store = Store(prony_.folder / ".prony" / "prony.db")
    with closing(store):
        campaign = store.begin_campaign("run", "it", {})
        for plan in plans:
            store.begin_trial(campaign, plan, "it", "run", 1).finish("done", None)


def test_a_recording_of_several_configurations_wants_a_trial_named(prony_: Terminal) -> None:
    recorded(prony_, a_plan({"server.workers": 3}), a_plan({"server.workers": 4}))
    found = prony_("compare", "1", ".")
    assert found.code == 2
    assert "holds trials of several configurations" in found.err
    assert "prony list 1, then run:1.1" in found.err
    missing = prony_("compare", "run:1.3", ".")
    assert "has 2 trials, and no 1.3" in missing.err
    recorded(prony_)
    assert "Recording 2 has no trial" in prony_("compare", "2", ".").err


def test_a_recording_whose_project_is_gone_says_what_to_name_instead(prony_: Terminal) -> None:
    recorded(prony_, a_plan())
    found = prony_("compare", "1.1", ".")
    assert found.code == 2
    assert "recording 1.1: its prony.toml" in " ".join(found.err.split()) or "is gone" in found.err
    assert "Try: name a folder, or git:REVISION" in found.err


# ---- what runs already


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Served]]:
    with (
        closing(Served(tmp_path_factory.mktemp("one"))) as one,
        closing(Served(tmp_path_factory.mktemp("other"))) as other,
    ):
        yield one, other


def compared(prony: Callable[..., Any], *argv: str) -> Any:
    return prony("compare", *argv, "--starts", "4", "--trial", "1s", "--seed", "5")


@pytest.mark.alone
@pytest.mark.long
def test_what_runs_already_is_compared_by_repeated_trials_and_its_recordings_again(pair: tuple[Served, Served]) -> None:
    one, other = pair
    found = compared(one.document, f"{one.url}/a", other.url, "-H", "X-Test: 1", "--rate", "50")
    [comparison] = found["comparisons"]
    assert (comparison["a"], comparison["b"]) == (f"{one.url}/a", other.url)
    assert (comparison["seed"], comparison["fresh"], comparison["looks"]) == (5, False, [4])
    figures = [gain["figure"] for gain in comparison["gains"]]
    assert figures == ["saturated_rps", "right_share", *(f"latency_{each}_s" for each in ("p50", "p90", "p95", "p99"))]
    ports = [trial["plan"]["destination"]["port"] for trial in found["trials"]]
    assert ports[::2] == ports[1::2]
    assert sorted(ports) == sorted([one.port, other.port] * 8)
    assert all(trial["errors"]["share"] == 0 for trial in found["trials"])
    assert not (one.folder / ".prony").exists()
    text, _ = one.prony("report", str(found["campaign"]))
    assert "not started afresh" in " ".join(text.split())

    number = found["campaign"]
    _, err = one.prony("compare", f"run:{number}.1", f"run:{number}.3", code=2)
    assert "found no value for X-Test" in err
    trials = {port: f"run:{number}.{place}" for place, port in enumerate(ports, 1)}
    again = compared(one.document, trials[one.port], trials[other.port], "-H", "X-Test: 1", "--rate", "50")
    assert [re.sub(r"\d+\.\d+, ", "", again["comparisons"][0][side]) for side in "ab"] == [
        f"recording {one.url}",
        f"recording {other.url}",
    ]
    assert {trial["plan"]["destination"]["port"] for trial in again["trials"]} == {one.port, other.port}


# ---- git


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
    command = ["git", *who, *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def given(project: Path, *found: str, **more: Any) -> dict[str, Any]:
    """A command line as click hands it over."""
    return {"project": project, "sides": found, "changes": (), "sets": (), "headers": (), "statuses": None} | more


def test_a_revision_is_run_with_what_no_repository_holds(tmp_path: Path) -> None:
    project = tmp_path / "shop"
    (project / "web").mkdir(parents=True)
    python = project / "web" / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    written = '[app]\nentry = "shop:app"\npython = "venv/bin/python"\nenv_file = ".env"\n[server]\nworkers = {}\n'
    (project / "web" / "prony.toml").write_text(written.format(3), encoding="utf-8")
    (project / "web" / ".env").write_text("KEY=hunter2\n", encoding="utf-8")
    (project / ".gitignore").write_text(".env\nvenv\n.prony\n", encoding="utf-8")
    git(project, "init", "--quiet")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message", "three")
    (project / "web" / "prony.toml").write_text(written.format(5), encoding="utf-8")
    git(project, "commit", "--quiet", "--all", "--message", "five")
    route = LearnedRoute(name="/cart/", template="/cart/", paths=("/cart/",))
    learned.save(options.own_place(project / "web"), Learned(entry="shop:app", routes=(route,)))
    with sides.opened(given(project / "web", "git:HEAD~1", "git:HEAD"), output.Shown()) as (before, after):
        assert (before.name, after.name) == ("git:HEAD~1", "git:HEAD")
        assert [each.plan.server.knobs["workers"] for each in (before, after)] == [3, 5]
        assert before.plan.app.folder != after.plan.app.folder != str(project / "web")
        assert Path(before.plan.app.folder).name == "web"
        for each in (before, after):
            assert each.plan.app.python == str(python)
            assert each.plan.app.env == {"KEY": "hunter2"}
            assert [request.path for request in each.plan.traffic.requests] == ["/cart/"]
        assert git(project, "worktree", "list").count("\n") == 3
    assert not Path(before.plan.app.folder).exists()
    with (
        pytest.raises(PlanError, match=r"there is no nowhere") as missing,
        sides.opened(given(project / "web", "git:HEAD", "git:nowhere"), output.Shown()),
    ):
        pass
    assert "git -C" in missing.value.hint
    assert git(project, "worktree", "list").count("\n") == 1


def test_changes_are_made_to_the_project_and_sets_to_every_folder(prony_: Terminal) -> None:
    both = given(prony_.folder, ".", changes=("server.workers=5,server.timeout=9", "server.workers=7"))
    with sides.opened(both | {"sets": ("server.backlog=99",)}, output.Shown()) as found:
        assert [each.name for each in found] == [".", "with server.workers=5,server.timeout=9", "with server.workers=7"]
        knobs = [each.plan.server.knobs for each in found]
        assert [each["workers"] for each in knobs[1:]] == [5, 7]
        assert knobs[1]["timeout"] == 9
        assert {each["backlog"] for each in knobs} == {99}
