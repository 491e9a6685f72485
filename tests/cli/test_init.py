"""`prony init` as a stranger runs it: on small projects, in prony's own interpreter, which has Django and gunicorn."""

from __future__ import annotations

import json
import os
import socket
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from prony.app.project import trials
from prony.cli import main
from prony.plan import Plan, read_file

FLASK = '''"""Enough of Flask for an app to be found and called."""
class Flask:
    def __init__(self, name):
        self.import_name, self.config, self.extensions = name, {}, {}
        self.cli = type("Group", (), {"commands": {}})()

    def __call__(self, environ, start_response):
        start_response("200 OK", [])
        return [b"right"]
'''
APP = "from flask import Flask\napp = Flask(__name__)\n"
SETTINGS = """
import os
SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = os.environ.get("DEBUG") == "1"
ALLOWED_HOSTS = ["shop.example.com"]
ROOT_URLCONF = "config.urls"
INSTALLED_APPS = ["django.contrib.contenttypes", "shop"]
if "DB_HOST" in os.environ:
    DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "HOST": os.environ["DB_HOST"],
        "NAME": os.environ["DB_NAME"], "USER": os.environ["DB_USER"], "PASSWORD": os.environ["DB_PASSWORD"]}}
else:
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
"""
COMMAND = "from django.core.management.base import BaseCommand\nclass Command(BaseCommand):\n    help = 'Makes data.'\n"
DJANGO = {
    "manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'config.settings')\n",
    "config/__init__.py": "",
    "config/settings.py": SETTINGS,
    "config/urls.py": "urlpatterns = []\n",
    "config/wsgi.py": "import os\nfrom django.core.wsgi import get_wsgi_application\n"
    "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'config.settings')\napplication = get_wsgi_application()\n",
    "shop/__init__.py": "",
    "shop/migrations/__init__.py": "",
    "shop/models.py": "from django.db import models\nclass Item(models.Model):\n    ours = models.IntegerField()\n",
    "shop/management/__init__.py": "",
    "shop/management/commands/__init__.py": "",
    "shop/management/commands/seed_shop.py": COMMAND,
    "Procfile": "web: gunicorn config.wsgi --workers ${WEB_CONCURRENCY:-2} --threads 4\n",
}


def laid_out(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def prony(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(argv))
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    return int(str(ended.value.code)), printed.out, printed.err


def init(capsys: pytest.CaptureFixture[str], folder: Path, *options: str) -> tuple[Plan, dict[str, Any]]:
    """The plan that is written, and what is printed; nothing else in the folder may change."""
    before = files(folder)
    before.pop("prony.toml", None)
    code, out, err = prony(capsys, "init", str(folder), "--json", *options)
    assert code == 0, err
    after = files(folder)
    assert after.pop("prony.toml")
    assert after == before
    return read_file(folder), json.loads(out)


def refused(capsys: pytest.CaptureFixture[str], folder: Path, *options: str) -> str:
    code, _, err = prony(capsys, "init", str(folder), "--yes", *options)
    assert code == 2
    assert not (folder / "prony.toml").exists()
    return err


def test_a_django_project_is_read_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, told = init(capsys, laid_out(tmp_path, DJANGO))
    assert plan.app.entry == "config.wsgi:application"
    assert plan.app.env["DJANGO_SETTINGS_MODULE"] == "config.settings"
    assert plan.app.env["SECRET_KEY"]
    assert plan.app.prepare == ("python manage.py migrate --noinput", "python manage.py seed_shop")
    assert plan.server.title == "gunicorn gthread, 2 workers × 4 threads"
    assert plan.traffic.host == "shop.example.com"
    found = {(each["what"], each["value"]): each["source"] for each in told["found"]}
    assert found["app", "config.wsgi:application"] == "Procfile, line 1"
    assert found["variable", "SECRET_KEY"].startswith("invented")
    text = (tmp_path / "prony.toml").read_text(encoding="utf-8")
    assert 'DB_HOST = "{host}", DB_NAME = "{name}", DB_USER = "{user}", DB_PASSWORD = "{password}"' in text
    assert told["next"] == f"prony check --project {tmp_path}"


def test_what_is_found_is_printed_with_its_place_and_no_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    laid_out(tmp_path, DJANGO | {".env": "SECRET_KEY=their-secret\nDB_PASSWORD=other-secret\n"})
    code, out, err = prony(capsys, "init", str(tmp_path), "--yes")
    assert code == 0
    assert "Procfile, line 1" in out
    assert "Next: prony check" in out
    written = (tmp_path / "prony.toml").read_text(encoding="utf-8")
    assert "secret" not in (out + err + written).replace("SECRET", "")


def test_an_app_alone_gets_a_usual_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, told = init(capsys, laid_out(tmp_path, {"app.py": APP, "flask.py": FLASK}))
    assert (plan.app.entry, plan.server.title) == ("app:app", "gunicorn sync, 3 workers")
    assert any("no server was found" in each["source"] for each in told["found"])


def test_an_app_in_a_folder_of_its_own_is_imported_from_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, _ = init(capsys, laid_out(tmp_path, {"backend/main.py": APP, "backend/flask.py": FLASK}))
    assert (plan.app.entry, plan.app.env["PYTHONPATH"]) == ("main:app", "backend")


def test_what_an_app_writes_on_import_is_not_written_into_the_project(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writes = (
        "import os, pathlib, sqlite3\nopen('a.log', 'w').close()\npathlib.Path(__file__).with_name('b.log').touch()\n"
    )
    writes += "sqlite3.connect('c.db').execute('create table t (x)')\n"
    init(capsys, laid_out(tmp_path, {"app.py": writes + APP, "flask.py": FLASK}))


def test_a_prony_toml_that_is_there_stays_unless_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    laid_out(tmp_path, {"app.py": APP, "flask.py": FLASK, "prony.toml": "theirs"})
    code, _, err = prony(capsys, "init", str(tmp_path), "--yes")
    assert code == 2
    assert "--force" in err
    assert (tmp_path / "prony.toml").read_text(encoding="utf-8") == "theirs"
    init(capsys, tmp_path, "--force")


def test_an_app_that_cannot_be_reached_from_outside_is_contained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reaches = "import socket\nsocket.create_connection(('192.0.2.1', 80), 1)\n"
    plan, told = init(capsys, laid_out(tmp_path, {"app.py": reaches + APP, "flask.py": FLASK}))
    assert plan.app.entry == "app:app"
    assert any("none answered" in each for each in told["notes"])


# ---- bad projects


@pytest.mark.parametrize(
    ("broken", "said", "todo"),
    [
        (
            {"config/settings.py": "X = (\n"},
            "config/settings.py, line 1: '(' was never closed",
            "edit config/settings.py",
        ),
        ({"config/settings.py": "INSTALLED_APPS = ['rest_framework']\n"}, "no module rest_framework", "pip install"),
        (
            {"config/wsgi.py": DJANGO["config/wsgi.py"].replace("config.s", "config.prod_s")},
            "config.prod_settings",
            "settings",
        ),
        ({"config/settings.py": SETTINGS + "import sys\nsys.exit(3)\n"}, "SystemExit: 3", "__main__"),
        (
            {"config/settings.py": SETTINGS + "raise TypeError('odd')\n"},
            "TypeError: odd (config/settings.py, line 1",
            ".env",
        ),
    ],
    ids=["syntax", "requirement", "settings", "exit", "error"],
)
def test_a_broken_django_project_says_where_and_what_to_do(
    broken: dict[str, str], said: str, todo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manage = {"manage.py": DJANGO["manage.py"].replace("config.settings", "config.prod_settings")}
    project = DJANGO | broken | (manage if "prod_settings" in said else {})
    err = refused(capsys, laid_out(tmp_path, project))
    assert said in err
    assert todo in err.partition("Try:")[2]


def test_a_port_in_use_on_import_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        opens = f"import socket\ns = socket.socket()\ns.bind(('127.0.0.1', {port}))\n"
        laid_out(tmp_path, {"app.py": opens + APP, "flask.py": FLASK})
        assert "in use (app.py, line 3)" in refused(capsys, tmp_path, "--no-namespace")


def test_a_hung_import_names_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "IMPORT_S", 2.0)
    hangs = "import threading\nthreading.Event().wait()\n"
    err = refused(capsys, laid_out(tmp_path, {"app.py": hangs + APP, "flask.py": FLASK}))
    assert "it hung in app.py, line 2: threading.Event().wait()" in err


def test_no_app_and_two_apps_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "found no app" in refused(capsys, laid_out(tmp_path / "none", {"x.py": "1\n"}))
    two = laid_out(tmp_path / "two", {"a.py": APP, "b.py": APP, "flask.py": FLASK})
    assert "a:app (a.py, line 2); b:app (b.py, line 2)" in refused(capsys, two)
    plan, _ = init(capsys, two, "--entry", "b:app")
    assert plan.app.entry == "b:app"


def test_what_is_no_project_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.touch()
    for place, said in ((file, "is a file"), (tmp_path / "nowhere", "no such folder")):
        code, _, err = prony(capsys, "init", str(place), "--yes")
        assert code == 2
        assert said in err


def test_an_interpreter_that_is_broken_or_too_old_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    laid_out(tmp_path, {"app.py": APP, ".venv/bin/python": "#!/bin/sh\necho 3.8.1\n"})
    assert "does not run" in refused(capsys, tmp_path)
    (tmp_path / ".venv/bin/python").chmod(0o755)
    assert "Python 3.8.1. Allowed: Python 3.9 or newer" in refused(capsys, tmp_path)


def test_the_named_interpreter_is_the_one_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    laid_out(tmp_path, {"app.py": APP, "flask.py": FLASK})
    init(capsys, tmp_path, "--python", sys.executable)
    written = tomllib.loads((tmp_path / "prony.toml").read_text(encoding="utf-8"))
    assert written["app"]["python"] == sys.executable


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    laid_out(tmp_path, {"app.py": APP, "flask.py": FLASK}).chmod(0o555)
    code, _, err = prony(capsys, "init", str(tmp_path), "--yes")
    assert code == 3
    assert "cannot be written" in err
