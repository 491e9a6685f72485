from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import pytest

import prony
from prony.cli import cli, main

VERBS = (
    "demo",
    "doctor",
    "init",
    "import",
    "check",
    "up",
    "change",
    "run",
    "explain",
    "find",
    "compare",
    "gate",
    "replay",
    "list",
    "report",
)
ENTRY = '[app]\nentry = "shop:app"\n'


class Said:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err


class Terminal:
    """Runs commands in an empty folder, with a state folder of their own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *argv: str) -> Said:
        with pytest.raises(SystemExit) as ended:
            main(list(argv))
        assert isinstance(ended.value.code, int)
        out, err = self._capsys.readouterr()
        assert "Traceback" not in out + err
        return Said(ended.value.code, out, err)

    def project(self, text: str) -> None:
        (self.folder / "prony.toml").write_text(text, encoding="utf-8")


@pytest.fixture
def prony_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return Terminal(folder, capsys)


def test_the_verbs_are_these(prony_: Terminal) -> None:
    assert set(cli.commands) == set(VERBS)
    said = prony_("--help")
    assert said.code == 0
    assert all(f"\n  {verb} " in said.out for verb in VERBS)
    assert "prony demo" in said.out


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_the_help_of_each_verb_has_an_example(prony_: Terminal, verb: str, flag: str) -> None:
    said = prony_(verb, flag)
    assert (said.code, said.err) == (0, "")
    assert f"Example:  prony {verb}" in said.out
    assert "--json" in said.out or verb == "up", "every verb that ends"


def test_the_version_is_the_distribution_s(prony_: Terminal) -> None:
    said = prony_("--version")
    assert (said.code, said.err) == (0, "")
    assert prony.__version__ in said.out
    assert importlib.metadata.version("prony") == prony.__version__


def test_without_a_verb_the_help_is_shown(prony_: Terminal) -> None:
    said = prony_()
    assert said.code in {0, 2}
    assert "prony demo" in said.out + said.err


@pytest.mark.parametrize(
    ("argv", "names"),
    [
        (["rnu"], ["rnu"]),
        (["run", "--uesrs", "3"], ["--uesrs"]),
        (["run", "--users", "many"], ["--users", "many"]),
        (["run", "--users", "0"], ["--users", "0"]),
        (["run", "--rate", "0"], ["--rate", "0"]),
        (["run", "--duration", "10"], ["--duration", "found 10", "a duration such as"]),
        (["run", "--duration", "0s"], ["--duration", "found 0s"]),
        (["find", "--budget", "1s"], ["--budget", "found 1s"]),
        (["replay", "no-such-account"], ["no-such-account", "connected-content"]),
        (["replay"], ["connected-content"]),
        (["report", "first"], ["first"]),
        (["demo", "--shuffle", "-1"], ["--shuffle", "-1"]),
    ],
)
def test_a_wrong_command_line_is_one_paragraph_and_exit_code_2(
    prony_: Terminal, argv: list[str], names: list[str]
) -> None:
    said = prony_(*argv)
    assert (said.code, said.out) == (2, "")
    assert all(name in said.err for name in names), said.err
    assert len(said.err.strip().splitlines()) <= 6


@pytest.mark.parametrize("verb", ["run", "explain", "find"])
def test_without_a_project_there_is_nothing_to_run(prony_: Terminal, verb: str) -> None:
    said = prony_(verb)
    assert (said.code, said.out) == (2, "")
    assert "prony.toml: there is no such file" in said.err
    assert "--project" in said.err
    assert not list(prony_.folder.iterdir())


@pytest.mark.parametrize("verb", ["run", "explain"])
def test_a_rate_and_users_together_are_refused(prony_: Terminal, verb: str) -> None:
    prony_.project(ENTRY)
    said = prony_(verb, "--rate", "5", "--users", "5")
    assert (said.code, said.out) == (2, "")
    assert "found both --rate and --users" in said.err


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[app\n", ["is not TOML"]),
        ("", ["[app] entry is missing"]),
        ('[app]\nentri = "shop:app"\n', ["entri", "Did you mean entry?"]),
        (ENTRY + '[server]\nworkers = "two"\n', ["[server] workers", '"two"', "a whole number"]),
        (ENTRY + "[server]\nworkers = 0\n", ["[server] workers", "found 0", "from 1 to 64"]),
        (ENTRY + '[server]\nkind = "apache"\n', ["[server] kind", '"apache"', "gunicorn, uvicorn"]),
        (ENTRY + '[limits]\np99 = "fast"\n', ["[limits] p99", '"fast"', "a duration"]),
        (ENTRY + '[[traffic.request]]\npath = "shop"\n', ["path", '"shop"', "begins with /"]),
        (ENTRY + "[traffic]\nrate = 5\nusers = 5\n", ["found both rate and users"]),
        ('[app]\nentry = "shop:app"\npython = "no/python"\n', ["[app] python", "no/python"]),
    ],
)
@pytest.mark.parametrize("verb", ["run", "find"])
def test_a_mistake_in_the_file_is_one_paragraph_on_stderr(
    prony_: Terminal, verb: str, text: str, names: list[str]
) -> None:
    prony_.project(text)
    said = prony_(verb)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("prony: ")
    assert "prony.toml" in said.err
    assert all(name in said.err for name in names), said.err
    assert not (prony_.folder / ".prony").exists()


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ("server.workers", ["--set server.workers", "NAME=VALUE"]),
        ("server.wrokers=3", ["wrokers", "Did you mean workers?"]),
        ("server.workers=many", ["[server] workers", '"many"']),
        ("app.entry.deep=1", ["--set app.entry.deep"]),
    ],
)
def test_a_mistake_in_a_set_is_one_paragraph(prony_: Terminal, change: str, names: list[str]) -> None:
    prony_.project(ENTRY)
    said = prony_("run", "--set", change)
    assert (said.code, said.out) == (2, "")
    assert all(name in said.err for name in names), said.err


def test_debug_shows_the_traceback_that_is_otherwise_kept(prony_: Terminal) -> None:
    with pytest.raises(prony.errors.PlanError, match="no such file"):
        main(["run", "--debug"])
    assert prony_("run").code == 2


def test_an_empty_store_lists_nothing_and_reports_nothing(prony_: Terminal) -> None:
    said = prony_("list")
    assert said.code == 0
    said = prony_("list", "--json")
    assert (said.code, json.loads(said.out), said.err) == (0, [], "")
    said = prony_("report")
    assert (said.code, said.out) == (2, "")
    assert "no recording yet" in said.err
    assert not list(prony_.folder.iterdir())


def test_a_report_of_an_unknown_number_is_refused(prony_: Terminal) -> None:
    said = prony_("report", "17")
    assert (said.code, said.out) == (2, "")
    assert "no recording 17" in said.err
    assert "Try: prony list" in said.err


def test_a_file_that_is_no_store_is_told(prony_: Terminal) -> None:
    prony_.project(ENTRY)
    (prony_.folder / ".prony").mkdir()
    (prony_.folder / ".prony" / "prony.db").write_text("no database, but a longer text than a page's header" * 100)
    said = prony_("list")
    assert (said.code, said.out) == (2, "")
    assert "cannot be opened" in said.err


def test_a_project_s_store_ignores_itself_in_git(prony_: Terminal) -> None:
    prony_.project(ENTRY)
    assert prony_("list").code == 0
    assert (prony_.folder / ".prony" / ".gitignore").read_text() == "*\n"


def test_only_names_tests_that_there_are(prony_: Terminal) -> None:
    said = prony_("demo", "--only", "test-9", "--report", str(prony_.folder / "report.html"))
    assert (said.code, said.out) == (2, "")
    assert "--only: found test-9" in said.err
    assert "test-1" in said.err
