from __future__ import annotations

import json
from pathlib import Path

import pytest

from prony.visit.diagnosis import Facts
from prony.visit.files import build_of, lost_files

DJANGO = Facts(framework="django", settings={"static_url": "/s/", "static_root": "/srv/s"})


def test_files_that_nobody_serves_want_a_proxy_and_where_they_are_collected(tmp_path: Path) -> None:
    found = lost_files(["/s/a.css", "/s/b.js"], 3, DJANGO, {}, tmp_path)
    assert found.text == "2 of 3 static files are not served: /s/a.css, /s/b.js"
    assert found.remedy.startswith('[proxy.static] "/s/" = "/srv/s", and [app] prepare')


def test_files_that_a_proxy_would_serve_and_has_not_are_still_to_be_built(tmp_path: Path) -> None:
    found = lost_files(["/s/bundle.js"], 3, DJANGO, {"/s/": "/srv/s"}, tmp_path)
    assert "in none of the folders that [proxy.static] names: /s/bundle.js" in found.text
    assert "[app] prepare" in found.remedy
    (tmp_path / "frontend").mkdir()
    (tmp_path / "frontend/package.json").write_text(json.dumps({"scripts": {"lint": "x", "build": "y"}}))
    found = lost_files(["/s/bundle.js"], 3, DJANGO, {"/s/": "/srv/s"}, tmp_path)
    assert found.remedy == f"cd {tmp_path}/frontend && npm install && npm run build; then prony check"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"scripts": []}', '{"scripts": {"test": "x"}}'])
def test_a_package_json_that_builds_nothing_is_no_answer(tmp_path: Path, text: str) -> None:
    (tmp_path / "package.json").write_text(text)
    assert build_of(tmp_path) == ""
