"""The child that makes sessions finds the Flask app in what the entry is, and answers whatever happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prony_gauge import minting


class Flask:
    session_interface = None

    def test_request_context(self) -> None: ...

    def wsgi_app(self, environ: object) -> None: ...


class Wrapper:
    def __init__(self, app: object) -> None:
        self.app = app


def test_a_flask_app_is_found_under_what_wraps_it() -> None:
    app = Flask()
    wrapped: list[Any] = [app, Wrapper(app), Wrapper(Wrapper(app.wsgi_app)), app.wsgi_app]
    for entry in wrapped:
        assert minting.flask_within(entry) is app
    around: Any = Wrapper("app")
    around.app = around
    others: list[Any] = [Wrapper("app"), len, around, None]
    for entry in others:
        assert minting.flask_within(entry) is None


@pytest.mark.parametrize(
    ("entry", "error", "remedy"),
    [
        ("os:getcwd", "the entry is neither Django nor a Flask app", 'kind = "form"'),
        ("os:nothing", "AttributeError: module 'os' has no attribute 'nothing'", ""),
        ("nowhere:app", "ModuleNotFoundError: No module named 'nowhere'", ""),
    ],
)
def test_what_cannot_be_done_is_an_answer_too(tmp_path: Path, entry: str, error: str, remedy: str) -> None:
    task = {"entry": entry, "users": 1, "names": [], "sessions": [{}], "agent": "prony"}
    (tmp_path / "task").write_text(json.dumps(task), encoding="utf-8")
    minting.main(["minting", str(tmp_path / "task"), str(tmp_path / "answer")])
    answer = json.loads((tmp_path / "answer").read_text(encoding="utf-8"))
    assert error in answer["error"]
    assert remedy in answer["try"]


def test_a_flask_app_without_values_for_its_session_is_told_to_be_asked_for_them() -> None:
    with pytest.raises(minting.CannotError) as caught:
        minting.flask_cookies(Flask(), [{}], "prony")
    assert "_user_id" in caught.value.remedy
