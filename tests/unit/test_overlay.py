"""Which interpreter a project gets, and what an installer's output comes down to; nothing is installed here."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from prony.app import overlay as overlays
from prony.app.interpreter import find
from prony.app.overlay import overlay, versions
from prony.errors import MachineError, PlanError

PIP = """
Collecting uvicorn==0.30.0
ERROR: Cannot install uvicorn==0.30.0 because these package versions have conflicting dependencies.

The conflict is caused by:
    uvicorn 0.30.0 depends on h11>=0.8
    The user requested (constraint) h11==0.7.0

To fix this you could try to:
1. loosen the range of package versions you've specified
ERROR: ResolutionImpossible: for help visit https://pip.example
"""
UV = """Using Python 3.9.18 environment at: x
  × No solution found when resolving dependencies:
  ╰─▶ Because you require flask<1 and flask==3.1.3, we can conclude that
      your requirements are unsatisfiable.
"""
PIP_OFFLINE = """WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'
ERROR: Could not find a version that satisfies the requirement uvicorn (from versions: none)
ERROR: No matching distribution found for uvicorn
"""


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def environment(folder: Path, version: str = "3.12.1") -> Path:
    """What passes for a virtual environment's interpreter of that version."""
    return program(folder / "bin" / "python", f"echo {version}")


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No tool of this machine is on PATH, and no environment is active; tools can be put into the folder."""
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    for name in ("VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    return tools


def test_the_folder_s_own_environments_come_before_the_active_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    active = environment(tmp_path / "active")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "active"))
    project.mkdir()
    assert (found := find(project)).how == "VIRTUAL_ENV"
    assert found.python == str(active)
    for name in ("env", "venv", ".venv"):
        python = environment(project / name)
        found = find(project)
        assert (found.how, found.python, found.version) == (name, str(python), "3.12.1")


@pytest.mark.usefixtures("alone")
def test_the_one_environment_under_a_name_of_its_own_is_found_and_two_are_not_guessed_between(tmp_path: Path) -> None:
    python = environment(tmp_path / "shop-venv")
    (tmp_path / "shop-venv" / "pyvenv.cfg").touch()
    assert (find(tmp_path).how, find(tmp_path).python) == ("shop-venv", str(python))
    environment(tmp_path / "other")
    (tmp_path / "other" / "pyvenv.cfg").touch()
    assert find(tmp_path).how == "prony's own"


def test_prony_s_own_environment_is_not_taken_for_the_project_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    found = find(tmp_path)
    assert (found.how, found.python) == ("prony's own", sys.executable)
    assert found.version == "{}.{}.{}".format(*sys.version_info[:3])


def test_a_virtual_environment_s_link_is_not_resolved(tmp_path: Path) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert find(tmp_path).python == str(python)
    assert find(tmp_path, ".venv/bin/python").how == "named"


def test_poetry_pipenv_and_uv_are_asked_for_their_own_projects_only(
    tmp_path: Path, alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = environment(tmp_path / "kept")
    program(alone / "poetry", f"echo told >> {tmp_path}/asked; echo {tmp_path}/kept")
    program(alone / "pipenv", f"echo {tmp_path}/kept")
    project = tmp_path / "project"
    project.mkdir()
    assert find(project).how == "prony's own"
    assert not (tmp_path / "asked").exists()
    (project / "Pipfile").touch()
    assert find(project).how == "pipenv"
    (project / "pyproject.toml").write_text("[tool.poetry.dependencies]\n")
    assert (find(project).how, find(project).python) == ("poetry", str(python))
    (project / "uv.lock").touch()
    monkeypatch.setenv("UV_PROJECT_ENVIRONMENT", str(tmp_path / "kept"))
    assert find(project).how == "uv"


def test_a_tool_that_knows_of_no_environment_is_passed_over(tmp_path: Path, alone: Path) -> None:
    program(alone / "poetry", "echo no environment >&2; exit 1")
    (tmp_path / "poetry.lock").touch()
    assert find(tmp_path).how == "prony's own"


def test_python_version_is_looked_up_with_pyenv_and_then_on_path(tmp_path: Path, alone: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / ".python-version").write_text("3.12.1\n")
    with pytest.raises(PlanError, match=r"asks for Python 3\.12\.1, and neither pyenv nor PATH has it"):
        find(project) if not Path("/usr/bin/python3.12").exists() else _skip()
    on_path = program(alone / "python3.12", "echo 3.12.9")
    assert find(project).python == str(on_path)
    python = environment(tmp_path / "versions" / "3.12.1")
    program(alone / "pyenv", f'echo "{tmp_path}/versions/$2"')
    found = find(project)
    assert (found.how, found.python) == (".python-version", str(python))


def _skip() -> None:
    pytest.skip("this machine has a Python 3.12 beside the system's own")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 3.8.18", r"which is Python 3\.8\.18\. Allowed: Python 3\.9 or newer"),
        ("echo 2.7.18", r"which is Python 2\.7\.18"),
        ("echo cannot load libpython >&2; exit 127", r"which does not run: exit code 127"),
        ("echo hello", r"which does not run"),
    ],
)
@pytest.mark.parametrize("named", ["", "venv/bin/python"])
def test_an_interpreter_that_does_not_serve_is_refused_with_the_reason(
    tmp_path: Path, script: str, said: str, named: str
) -> None:
    python = program(tmp_path / "venv" / "bin" / "python", script)
    with pytest.raises(PlanError, match=said) as caught:
        find(tmp_path, named)
    assert str(python) in caught.value.message
    assert ("(by venv)" in caught.value.message) is (not named)
    assert "[app] python" in caught.value.hint


def test_a_broken_environment_is_told_of_rather_than_passed_over(tmp_path: Path) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(tmp_path / "uninstalled")
    with pytest.raises(PlanError, match="a link that leads nowhere"):
        find(tmp_path)
    with pytest.raises(PlanError, match="no interpreter is there"):
        find(tmp_path, "elsewhere/python")


def test_versions_are_listed_by_normalised_name() -> None:
    found = versions(sys.executable)
    assert found["msgspec"]
    assert found["psycopg-binary"]
    assert not {name for name in found if name != name.lower() or "_" in name}


def test_nothing_is_made_where_nothing_is_lacking(tmp_path: Path) -> None:
    found = overlay(sys.executable, ("msgspec", "Psycopg_Binary"), tmp_path / "overlays")
    assert (found.path, found.added) == (None, {})
    assert found.versions == versions(sys.executable)
    assert not (tmp_path / "overlays").exists()


def test_an_interpreter_that_cannot_say_is_the_plan_s_mistake(tmp_path: Path) -> None:
    python = program(tmp_path / "python", "echo broken >&2; exit 3")
    with pytest.raises(PlanError, match="cannot say what is installed in it") as caught:
        versions(str(python))
    assert caught.value.log == ("broken",)


def test_without_any_installer_the_machine_lacks_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlays, "_installed", lambda _: (["cpython-399"], {"pip": "9.0.1"}))
    with pytest.raises(MachineError, match=r"no pip 22\.2 or newer") as caught:
        overlay("python", ("gunicorn",), tmp_path / "overlays")
    assert caught.value.exit_code == 3
    assert list((tmp_path / "overlays").iterdir()) == [tmp_path / "overlays" / ".gitignore"]


@pytest.mark.parametrize(
    ("printed", "kind", "said"),
    [
        (PIP, PlanError, "uvicorn 0.30.0 depends on h11>=0.8; The user requested (constraint) h11==0.7.0."),
        (UV, PlanError, "Because you require flask<1 and flask==3.1.3, we can conclude that your requirements"),
        (PIP_OFFLINE, MachineError, "the package index cannot be reached"),
        ("error: dns error: failed to lookup", MachineError, "the package index cannot be reached"),
        ("ERROR: No matching distribution found for x", MachineError, "ended with exit code 1"),
    ],
)
def test_a_failed_install_is_one_paragraph(printed: str, kind: type[Exception], said: str) -> None:
    error = overlays._failure(printed, "uvicorn==0.30.0", 1)
    assert type(error) is kind
    assert said in error.message
    assert error.message.startswith("The app's environment lacks uvicorn==0.30.0")
    assert "\n" not in error.message


@pytest.mark.parametrize(
    "version", ["1.0", "2024.1", "1!2.0", "1.0rc1", "4.0b2", "0.1.dev0+g12ab", "1.0.post1", "2.1+cu118"]
)
def test_what_can_be_pinned_is_pinned(version: str) -> None:
    assert overlays._USABLE.match(version)


@pytest.mark.parametrize("version", ["", "unknown", "1.0-SNAPSHOT", "0.0.0 (local)"])
def test_what_pip_would_not_read_as_a_version_is_left_out(version: str) -> None:
    assert not overlays._USABLE.match(version)


def test_scratch_of_a_dead_prony_is_cleared_and_a_living_one_s_kept(tmp_path: Path) -> None:
    folder = tmp_path / "overlays"
    for pid in (2**22 + 1, os.getpid()):
        (folder / f".scratch-{pid}-ab" / "files").mkdir(parents=True)
    overlays._prepare(folder)
    assert sorted(path.name for path in folder.iterdir()) == [".gitignore", f".scratch-{os.getpid()}-ab"]
    assert (folder / ".gitignore").read_text() == "*\n"
