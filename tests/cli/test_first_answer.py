"""`prony run` with no load named: on a real stack the first answer, whole; its advice as it is to be typed here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from prony.cli.run import here
from prony.verdict import Suggestion

SCHOOL = Path(__file__).parents[2] / "src" / "prony" / "workloads" / "school"


@pytest.mark.parametrize(
    ("command", "project", "sets", "typed"),
    [
        ("prony find", ".", (), "prony find"),
        ("prony doctor", "shop", ("server.workers=5",), "prony doctor"),
        ("prony find", "my shop", (), "prony find --project 'my shop'"),
        (
            "prony run --set server.workers=6",
            "shop",
            ("server.workers=3", "server.timeout=9"),
            "prony run --project shop --set server.workers=3 --set server.timeout=9 --set server.workers=6",
        ),
    ],
)
def test_advice_is_about_the_project_and_the_changes_it_was_given_for(
    command: str, project: str, sets: tuple[str, ...], typed: str
) -> None:
    assert here(Suggestion(command=command, why=""), Path(project), sets).command == typed


@pytest.mark.long
def test_it_tells_each_pages_cost_then_a_light_and_a_heavy_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    command = [sys.executable, "-m", "prony", "run", "--project", str(SCHOOL), "--json"]
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert told.returncode in {0, 1, 4}, told.stderr
    document = json.loads(told.stdout)
    costs = {each["name"]: each for each in document["routes"]}
    assert set(costs) == {"/login/", "/grades/"}
    assert all(each["time_s"] > 0 and each["errors"] == 0 for each in costs.values())
    labels = [each["label"] for each in document["trials"]]
    assert labels[0] == "each page by itself"
    assert next(label for label in labels if label.endswith("load")) == "light load"
    assert "heavy load" in labels
    assert len(document["verdicts"]) == 1
    assert document["next"]
    assert "What each page costs by itself" in told.stderr
