"""The built wheel, installed elsewhere, runs: as this user, and under root as an ordinary one, too."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import prony
from prony.document import Document

ROOT = Path(__file__).parent.parent.parent
# An ordinary user that is known (initdb asks for its name) and runs nothing else: not nobody, who runs root's Postgres.
STRANGER = next((user.pw_uid for user in pwd.getpwall() if user.pw_name in {"games", "news", "uucp", "lp"}), None)
FOLDERS = Path("/var/tmp")  # noqa: S108 - where prony keeps a run's folder


def base_python() -> str:
    """An interpreter that every user may run: root's own may lie in a closed folder."""
    if os.getuid() == 0 and Path("/usr/bin/python3").exists():
        code = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
        if subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True, check=False).returncode == 0:
            return "/usr/bin/python3"
    return sys.executable


def as_user(uid: int | None) -> dict[str, object]:
    return {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}


class Installed:
    """The wheel in a virtual environment of its own, far from the checkout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder / "dist"), str(ROOT)]
        self.run(command, os.environ)
        [self.wheel] = (folder / "dist").glob("*.whl")
        self.run([base_python(), "-m", "venv", str(folder / "venv")], os.environ)
        pip = [str(folder / "venv/bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        self.run([*pip, str(self.wheel)], os.environ)
        self.state = folder / "state"

    def run(
        self,
        command: list[str],
        env: os._Environ[str] | dict[str, str],
        *,
        cwd: Path | None = None,
        uid: int | None = None,
    ) -> str:
        done = subprocess.run(
            command,
            env=dict(env),
            cwd=cwd or self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            **as_user(uid),  # type: ignore[call-overload]
        )
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return str(done.stdout)

    def prony(self, *argv: str, home: Path, uid: int | None = None) -> str:
        """What prony prints, in an empty environment with a home of its own."""
        env = {"PATH": "/usr/bin:/bin", "HOME": str(home), "XDG_STATE_HOME": str(self.state), "LANG": "C.UTF-8"}
        if uid is None and "PIP_CACHE_DIR" not in env:
            env["PIP_CACHE_DIR"] = os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip"))
        if uid is not None:
            env["XDG_STATE_HOME"] = str(home / "state")
        env |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_INDEX", "PIP_CERT"))}
        env |= {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
        return self.run([str(self.folder / "venv/bin/prony"), *argv], env, cwd=home, uid=uid)

    def document(self, *argv: str, home: Path, uid: int | None = None) -> Document:
        found = msgspec.convert(json.loads(self.prony(*argv, "--json", home=home, uid=uid)), Document, strict=True)
        assert found.prony == prony.__version__
        return found

    def app_python(self) -> Path:
        """The interpreter that the demo made for its app."""
        [python] = (self.state / "prony" / "environments").glob("page-*/bin/python")
        return python


@pytest.fixture(scope="module")
def installed() -> Iterator[Installed]:
    folder = Path(tempfile.mkdtemp(prefix="wheel-", dir=FOLDERS))
    folder.chmod(0o755)
    try:
        yield Installed(folder)
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def demo(installed: Installed) -> Document:
    """The demo's second test, by an installation that lacks the app's requirements."""
    home = installed.folder / "home"
    home.mkdir()
    return installed.document("demo", "--only", "test-2", "--report", str(home / "report.html"), home=home)


def home_of(folder: Path, uid: int) -> Path:
    home = folder / f"home-{uid}"
    home.mkdir()
    os.chown(home, uid, uid)
    return home


def test_the_wheel_holds_what_the_demo_needs(installed: Installed) -> None:
    code = "import json, zipfile, sys; print(json.dumps(zipfile.ZipFile(sys.argv[1]).namelist()))"
    names = json.loads(installed.run([sys.executable, "-c", code, str(installed.wheel)], os.environ))
    assert "prony/workloads/page/requirements.txt" in names
    assert "prony/replays/connected-content.toml" in names
    assert "prony_gauge/sitecustomize.py" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith(("tests", "bench"))]


def test_the_installed_command_helps(installed: Installed) -> None:
    assert "prony demo" in installed.prony("--help", home=installed.folder)
    assert prony.__version__ in installed.prony("--version", home=installed.folder)


def test_the_demo_makes_its_app_s_environment_and_gives_a_verdict(installed: Installed, demo: Document) -> None:
    [test] = demo.tests
    assert (test.name, bool(test.verdict.evidence)) == ("test-2", True)
    [trial] = [trial for trial in demo.trials if trial.id == test.trial]
    assert trial.errors.by_status == {"200": trial.requests}
    assert (installed.app_python().parent / "gunicorn").exists()
    assert (installed.folder / "home" / "report.html").stat().st_size > 10_000


@pytest.mark.skipif(os.getuid() != 0 or STRANGER is None, reason="only root can become another user, if there is one")
def test_an_ordinary_user_measures_too_and_leaves_nothing(installed: Installed, demo: Document) -> None:
    assert demo.tests
    assert STRANGER is not None
    if base_python() == sys.executable:
        pytest.skip("no interpreter that another user may run")
    home = home_of(installed.folder, STRANGER)
    page = home / "page"
    [package] = (installed.folder / "venv" / "lib").glob("python*/site-packages/prony")
    shutil.copytree(package / "workloads" / "page", page, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (page, *page.rglob("*")):
        os.chown(path, STRANGER, STRANGER)
    own = FOLDERS / f"prony-{STRANGER}"
    (installed.state / "prony").chmod(0o755)  # so that the app's interpreter, made once, serves here too
    try:
        found = installed.document(
            *("run", "--project", str(page), "--users", "4", "--duration", "2s"),
            *("--set", f"app.python={installed.app_python()}", "--set", "limits.p99=10s"),
            home=home,
            uid=STRANGER,
        )
        [trial] = found.trials
        assert trial.errors.by_status == {"200": trial.requests}
        assert trial.requests > 20
        assert {path.name for path in own.iterdir()} <= {"bin", "pycache"}
        assert own.stat().st_uid == STRANGER
        left = subprocess.run(["pgrep", "-U", str(STRANGER)], capture_output=True, text=True, check=False)
        assert (left.returncode, left.stdout) == (1, "")
        assert str(found.campaign) in installed.prony("list", "--project", str(page), home=home, uid=STRANGER)
    finally:
        shutil.rmtree(own, ignore_errors=True)
