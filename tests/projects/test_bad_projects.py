"""Projects that cannot be read: each gets one message that a person can act on, and no prony.toml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from prony.cli import main

DJANGO = (
    "import os\nfrom django.core.wsgi import get_wsgi_application\n"
    "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.nosuch')\napplication = get_wsgi_application()\n"
)


FLASK = "import flask\napp = flask.Flask(__name__)\n"


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"app.py": "from flask import Flask\napp = Flask(__name__)\ndef broken(:\n    pass\n"}, ("app.py", "line 3")),
        ({"app.py": FLASK}, ("no module flask", "app.py, line 1", "pip install flask")),
        ({"shop/__init__.py": "", "shop/wsgi.py": DJANGO}, ("shop.nosuch",)),
        ({"README.md": "nothing"}, ("--entry",)),
        ({"one.py": FLASK, "two.py": FLASK}, ("one:app", "two:app", "--entry")),
    ],
    ids=["a syntax error", "a missing requirement", "wrong settings", "no app", "two apps"],
)
def test_a_bad_project_gets_a_message_to_act_on(
    files: dict[str, str], named: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["init", str(tmp_path), "--yes"])
    printed = capsys.readouterr()
    assert ended.value.code in {2, 3}
    assert "Traceback" not in printed.err
    assert all(each in printed.err for each in named), printed.err
    assert "Try: " in printed.err
    assert not (tmp_path / "prony.toml").exists()


SETTINGS = """import psycopg

LINK = psycopg.connect({where}, connect_timeout=3)
SECRET_KEY = "x"
ROOT_URLCONF = "shop.urls"
ALLOWED_HOSTS = ["*"]
"""
URLS = """from django.conf import settings
from django.http import HttpResponse
from django.urls import path


def home(request):
    return HttpResponse(f"<title>{settings.LINK.execute('SELECT 42').fetchone()[0]}</title>")


urlpatterns = [path("", home)]
"""


def shop(folder: Path, where: str) -> None:
    """A Django project that asks its database, which is out of reach, as its settings are imported."""
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    (folder / "shop" / "settings.py").write_text(SETTINGS.format(where=where), encoding="utf-8")
    (folder / "shop" / "urls.py").write_text(URLS, encoding="utf-8")
    (folder / "shop" / "wsgi.py").write_text(DJANGO.replace("nosuch", "settings"), encoding="utf-8")


def ended(folder: Path, verb: str, *argv: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "prony", verb, *argv]
    told = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert "Traceback" not in told.stderr + told.stdout
    return told.returncode, told.stderr + told.stdout


def test_a_database_that_is_not_reachable_is_stood_in_for_at_its_own_address(tmp_path: Path) -> None:
    shop(tmp_path, '"postgresql://shop:pw@db.internal:5432/shop"')
    code, told = ended(tmp_path, "init", "--yes", "--python", sys.executable)
    assert (code, "here none answered" in told) == (0, True), told
    code, told = ended(tmp_path, "check")
    assert code == 0, told
    assert "“42”" in told


def test_a_database_whose_address_nobody_can_read_is_named_with_the_line_that_asks_for_it(tmp_path: Path) -> None:
    shop(tmp_path, 'host=".".join(["db", "internal"])')
    assert ended(tmp_path, "init", "--yes", "--python", sys.executable)[0] == 0
    for verb in (("check",), ("run", "--rate", "5", "--duration", "1s")):
        code, told = ended(tmp_path, *verb)
        assert code == 2, told
        assert "db.internal is not reachable" in told
        assert "settings.py, line 3" in told
        assert "Try: " in told
