"""Projects that cannot be read: each gets one message that a person can act on, and no prony.toml."""

from __future__ import annotations

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
