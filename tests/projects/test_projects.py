"""Small projects as their authors lay them out: init, check and run, each with no edit of anything."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SHORT = ("--rate", "10", "--duration", "2s")
OURS = {"prony.toml", ".prony"}
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path(tempfile.gettempdir(), f"prony-tests-{os.getuid()}"))


@dataclass(frozen=True)
class Case:
    """What is to be found in one project. `server` is the program and its worker class."""

    name: str
    framework: str
    entry: str
    server: str
    stores: dict[str, str]
    pages: set[str]
    inside: frozenset[str] = frozenset()


CASES = {
    case.name: case
    for case in (
        Case(
            "django_classic", "django", "mysite.wsgi:application", "gunicorn sync", {"database": "sqlite"},
            {"/polls/", "/polls/{pk}/", "/polls/{pk}/results/", "/accounts/login/"},
            frozenset({"/polls/mine/"}),
        ),
        Case(
            "django_split", "django", "config.wsgi:application", "gunicorn sync", {"database": "postgres"},
            {"/", "/c/{slug}/", "/p/{slug}/", "/search/", "/healthz", "/login/"}, frozenset({"/account/"}),
        ),
        Case(
            "django_asgi", "django", "gigs.asgi:application", "uvicorn", {"database": "postgres"},
            {"/", "/api/stats", "/health"},
        ),
        Case(
            "flask_factory", "flask", "board:create_app()", "gunicorn sync", {"database": "sqlite"},
            {"/", "/post/{post_id}", "/feed.json", "/auth/login", "/auth/register"}, frozenset({"/create"}),
        ),
        Case(
            "flask_single", "flask", "app:app", "gunicorn sync", {"database": "sqlite"},
            {"/", "/entry/{entry_id}", "/sign", "/api/entries"},
        ),
        Case(
            "fastapi_async", "fastapi", "app.main:app", "uvicorn", {"database": "postgres"},
            {"/health", "/api/v1/books", "/api/v1/books/{book_id}", "/api/v1/authors", "/api/v1/authors/{author_id}"},
            frozenset({"/api/v1/me"}),
        ),
        Case(
            "fastapi_sync", "fastapi", "sql_app.main:app", "uvicorn", {"database": "sqlite"},
            {"/", "/users/", "/users/{user_id}", "/items/"},
        ),
        Case(
            "starlette_app", "starlette", "app:app", "uvicorn", {},
            {"/", "/recipes/{slug}", "/api/recipes", "/api/recipes/{slug}"},
        ),
        Case("poetry_project", "flask", "shortener.app:app", "waitress", {"redis": "valkey"}, {"/", "/info/{key}"}),
        Case(
            "uv_project", "fastapi", "jotter.app:create_app()", "uvicorn", {"database": "postgres"},
            {"/notes", "/notes/{slug}"},
        ),
        Case(
            "procfile_only", "flask", "server:app", "gunicorn gthread", {"redis": "valkey"},
            {"/", "/jobs/recent", "/ping"},
        ),
    )
}  # fmt: skip
QUICK = ("flask_factory",)


def wanted_by(source: Path) -> list[str]:
    """What its author's tool installs, as arguments of pip."""
    if (source / "requirements.txt").is_file():
        return ["-r", str(source / "requirements.txt")]
    told = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))
    if "project" in told:
        return [str(each) for each in told["project"]["dependencies"]]
    bounds = {name: str(each) for name, each in told["tool"]["poetry"]["dependencies"].items() if name != "python"}
    return [f"{name}>={bound.lstrip('^')}" for name, bound in bounds.items()]


def environment(source: Path) -> Path:
    """An environment with a project's requirements, kept from run to run for as long as they stay the same."""
    files = sorted([*source.rglob("requirements*.txt"), *source.glob("requirements/*.txt"), *source.glob("*.toml")])
    key = hashlib.sha256(sys.version.encode() + b"".join(each.read_bytes() for each in files)).hexdigest()[:16]
    kept = CACHE / "environments" / key
    if not (kept / "made").exists():
        shutil.rmtree(kept, ignore_errors=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", kept], check=True, timeout=120)
        pip = [str(kept / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *wanted_by(source)], check=True, timeout=400)
        (kept / "made").touch()
    return kept


def laid_out(name: str, folder: Path) -> Path:
    """A copy of a project with a .venv of its own, as after its author's first steps."""
    project = folder / name
    kept = environment(HERE / name)
    shutil.copytree(HERE / name, project, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    shutil.copytree(kept, project / ".venv", symlinks=True)
    for script in (project / ".venv" / "bin").iterdir():
        if script.is_file() and not script.is_symlink():
            script.write_bytes(script.read_bytes().replace(os.fsencode(kept), os.fsencode(project / ".venv")))
    return project


def contents(folder: Path) -> dict[str, str]:
    """A hash of every file, by its path, without what prony may write."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if name.parts[0] not in OURS:
            found[str(name)] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    return found


def prony(folder: Path, *argv: str) -> tuple[int, dict[str, Any], str]:
    ended = subprocess.run(
        [sys.executable, "-m", "prony", *argv, "--json"],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert "Traceback" not in ended.stderr, ended.stderr
    assert ended.stdout, ended.stderr
    return ended.returncode, json.loads(ended.stdout), ended.stderr


def taken_through(case: Case, folder: Path, load: tuple[str, ...]) -> None:
    """Init, check and run with no edit; what each says is as it should be, and the project is as it was."""
    project = laid_out(case.name, folder)
    before = contents(project)

    code, told, said = prony(project, "init", "--yes")
    assert code == 0, said
    found = {each["what"]: each["value"] for each in told["found"]}
    assert found["app"] == case.entry
    assert found["framework"].split()[0] == case.framework
    assert found["server"].startswith(case.server)
    written = tomllib.loads((project / "prony.toml").read_text(encoding="utf-8"))
    assert {name: each["kind"] for name, each in written.get("stores", {}).items()} == case.stores

    code, told, said = prony(project, "check")
    wrong = [(each["template"], each["findings"]) for each in told["pages"] if not each["right"]]
    assert (code, wrong) == (0, []), said
    assert case.pages <= {each["template"] for each in told["pages"]}
    assert case.inside <= {each["template"] for each in told["left_out"] if each["reason"] == "login"}

    code, told, said = prony(project, "run", *load)
    assert code in {0, 1}, said
    trials = told["trials"]
    assert sum(each["errors"]["by_outcome"].get("ok", 0) for each in trials) > 0
    assert told["verdicts"]
    assert load or all(each["command"].startswith("prony ") for each in told["next"])
    assert load or told["next"]
    assert contents(project) == before, "the project is as it was"


@pytest.mark.parametrize("name", QUICK)
def test_a_small_project_is_read_checked_and_loaded_without_an_edit(name: str, tmp_path: Path) -> None:
    taken_through(CASES[name], tmp_path, SHORT)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(set(CASES) - set(QUICK)))
def test_every_other_project_too(name: str, tmp_path: Path) -> None:
    taken_through(CASES[name], tmp_path, SHORT)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(CASES))
def test_the_first_answer_needs_no_option(name: str, tmp_path: Path) -> None:
    taken_through(CASES[name], tmp_path, ())
