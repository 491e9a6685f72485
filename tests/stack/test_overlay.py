"""Overlays for real: virtual environments without a server, served out of an overlay, and left as they were."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from prony.app import overlay as overlays
from prony.app.overlay import NOTE, Overlay, overlay, versions
from prony.errors import MachineError, PlanError
from prony.stack import folders
from prony.stack.launch import Launcher

GEVENT = ("gunicorn", "gevent", "packaging")
INDEX_NOWHERE = "http://127.0.0.1:9/simple"
# A Flask app that tells where its parts are from.
APP = """
import sys
import flask, gevent, gunicorn
application = flask.Flask(__name__)
@application.get("/")
def where():
    return {"flask": flask.__file__, "gunicorn": gunicorn.__file__, "gevent": gevent.__file__, "last": sys.path[-1]}
"""
# What the gauge does at the start of an interpreter, in one line.
LAST = "import os, sys; sys.path.append(os.environ['PRONY_OVERLAY'])"


def interpreters() -> list[str]:
    """Other Pythons on PATH that run, oldest and newest first, and prony's own."""
    found = []
    for name in ("python3.9", "python3.13", "python3.10", "python3.12", "python3.14"):
        path = shutil.which(name)
        if (
            path
            and subprocess.run([path, "-c", "import venv, ensurepip"], capture_output=True, check=False).returncode == 0
        ):
            found.append(path)
    return found[:2]


def environment(folder: Path, *install: str, python: str = sys.executable, pip: bool = True) -> str:
    """A virtual environment with these installed."""
    subprocess.run([python, "-m", "venv", *([] if pip else ["--without-pip"]), str(folder)], check=True)
    made = folder / "bin" / "python"
    if install:
        quiet = ["--quiet", "--disable-pip-version-check"]
        subprocess.run([str(made), "-m", "pip", "install", *quiet, *install], check=True)
    return str(made)


def state(folder: Path) -> str:
    """One value for every file and folder below, with size and time of change."""
    listed = []
    for path in sorted(folder.rglob("*")):
        stat = path.lstat()
        listed.append((str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
    assert len(listed) > 3
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def answer(python: str, made: Overlay, folder: Path) -> dict[str, str]:
    """What APP answers under gunicorn's gevent worker in that interpreter, with the overlay last on its path."""
    (folder / "app.py").write_text(APP)
    (folder / "sitecustomize.py").write_text(LAST)
    with Launcher(folders.run_folder()) as launcher:
        port = launcher.free_port()
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "PRONY_OVERLAY": str(made.path)}
        env |= {"PYTHONPYCACHEPREFIX": str(folder / "cache"), "HOME": str(folder)}
        argv = [python, "-m", "gunicorn", "--worker-class=gevent", f"--bind=127.0.0.1:{port}", "app"]
        process = launcher.spawn("gunicorn", argv, env=env, cwd=folder, log=folder / "log")

        def answers() -> bool:
            assert process.alive, process.last_lines()
            try:
                launcher.connect(port, 5).close()
            except OSError:
                return False
            return True

        assert launcher.wait_until(answers, 30), process.last_lines()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.sock = launcher.connect(port, 20)
        try:
            connection.request("GET", "/")
            found: dict[str, str] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
    return found


def served_from_an_overlay(folder: Path, python: str) -> None:
    """A Flask app in an environment without a server is served; the environment is left as it was."""
    venv = folder / "venv"
    own = environment(venv, "flask", python=python)
    (folder / "run").mkdir()
    before, said = state(venv), list[str]()
    made = overlay(own, GEVENT, folder / "overlays", said.append)
    assert made.path is not None
    assert {"gunicorn", "gevent", "greenlet", "packaging"} <= set(made.added)
    assert not {"flask", "werkzeug", "click"} & set(made.added)  # what they have is theirs to bring
    assert made.versions == {**versions(own), **made.added}
    assert len(said) == 2
    found = answer(own, made, folder / "run")
    assert found["last"] == made.path
    assert found["gunicorn"].startswith(made.path)
    assert found["gevent"].startswith(made.path)
    assert found["flask"].startswith(str(venv))
    assert state(venv) == before
    assert overlay(own, GEVENT, folder / "overlays", said.append) == made
    assert len(said) == 2  # kept: nothing is looked up again


@pytest.mark.long
def test_an_app_is_served_from_an_overlay_and_its_environment_left_as_it_was(tmp_path: Path) -> None:
    served_from_an_overlay(tmp_path, sys.executable)


@pytest.mark.long
@pytest.mark.parametrize("python", interpreters())
def test_so_it_is_in_other_versions_of_python(tmp_path: Path, python: str) -> None:
    served_from_an_overlay(tmp_path, python)


def test_an_environment_without_pip_is_served_by_prony_s_own(tmp_path: Path) -> None:
    own = environment(tmp_path / "venv", pip=False)
    before = state(tmp_path / "venv")
    made = overlay(own, ("waitress",), tmp_path / "overlays")
    assert set(made.added) == {"waitress"}
    assert (Path(str(made.path)) / "waitress" / "__init__.py").exists()
    assert state(tmp_path / "venv") == before


@pytest.mark.long
def test_a_conflict_with_what_they_have_is_named(tmp_path: Path) -> None:
    own = environment(tmp_path / "venv", "h11==0.7.0")
    before = state(tmp_path / "venv")
    with pytest.raises(PlanError) as caught:
        overlay(own, ("uvicorn==0.30.0",), tmp_path / "overlays")
    assert "uvicorn 0.30.0 depends on h11>=0.8" in caught.value.message
    assert "h11==0.7.0" in caught.value.message
    assert state(tmp_path / "venv") == before
    assert [path.name for path in (tmp_path / "overlays").iterdir()] == [".gitignore"]


def test_their_versions_decide_what_an_overlay_gets(tmp_path: Path) -> None:
    # hypercorn takes any h11; its wsproto from 1.3 on wants h11 0.16.
    own = environment(tmp_path / "venv", "h11==0.14.0")
    made = overlay(own, ("hypercorn",), tmp_path / "overlays")
    assert made.versions["h11"] == "0.14.0"
    assert made.added["wsproto"].startswith("1.2")
    assert "h11" not in made.added
    assert not (Path(str(made.path)) / "h11").exists()


@pytest.mark.long
def test_a_package_installed_as_editable_is_a_constraint_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "mine.py").touch()
    project = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    project += '[project]\nname = "mine"\nversion = "0.1"\n[tool.setuptools]\npy-modules = ["mine"]\n'
    (tmp_path / "mine" / "pyproject.toml").write_text(project)
    own = environment(tmp_path / "venv", "--editable", str(tmp_path / "mine"))
    made = overlay(own, ("waitress",), tmp_path / "overlays")
    assert set(made.added) == {"waitress"}
    assert made.versions["mine"] == "0.1"


def test_without_a_network_it_says_so_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = environment(tmp_path / "venv")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", INDEX_NOWHERE)
    with pytest.raises(MachineError, match="the package index cannot be reached"):
        overlay(own, ("waitress",), tmp_path / "overlays")
    assert [path.name for path in (tmp_path / "overlays").iterdir()] == [".gitignore"]


@pytest.mark.long
def test_an_installer_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = environment(tmp_path / "venv")
    monkeypatch.setattr(overlays, "RESOLVE_S", 0.05)
    with pytest.raises(MachineError, match=r"took longer than 0\.05 s"):
        overlay(own, ("waitress",), tmp_path / "overlays")
    assert [path.name for path in (tmp_path / "overlays").iterdir()] == [".gitignore"]


@pytest.mark.long
def test_two_pronys_at_once_make_one_and_the_same(tmp_path: Path) -> None:
    own = environment(tmp_path / "venv")
    found: list[Overlay] = []
    make: Callable[[], None] = lambda: found.append(overlay(own, ("waitress",), tmp_path / "overlays"))  # noqa: E731
    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(found) == 2
    assert found[0] == found[1]
    left = sorted(path.name for path in (tmp_path / "overlays").iterdir())
    assert left == [".gitignore", Path(str(found[0].path)).name]
    assert json.loads((Path(str(found[0].path)) / NOTE).read_text()) == found[0].added
