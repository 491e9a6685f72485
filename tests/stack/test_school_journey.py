"""The journey of docs/howto/journeys.md against a Django log-in with CSRF protection; the database says what it did."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import psycopg
import pytest

import prony
from prony.campaign.bench import Bench
from prony.plan import read_file
from prony.recording import Store

SCHOOL = Path(prony.__file__).parent / "workloads" / "school"
HOWTO = Path(__file__).parents[2] / "docs" / "howto" / "journeys.md"
TEXT = "See you on Monday & Tuesday."


def fenced(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", HOWTO.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


@pytest.mark.long
def test_teachers_log_in_read_and_write_messages(tmp_path: Path) -> None:
    folder = tmp_path / "school"
    shutil.copytree(SCHOOL, folder, ignore=shutil.ignore_patterns("__pycache__", ".prony"))
    (folder / "journeys.py").write_text(fenced("python"), encoding="utf-8")
    (folder / "users.csv").write_text(fenced("csv"), encoding="utf-8")
    plan_file = folder / "prony.toml"
    head = plan_file.read_text(encoding="utf-8").partition("# What can be seen")[0]
    head = head.replace("[app]", f'[app]\npython = "{sys.executable}"').replace(
        "seed_school", "seed_school --students 20"
    )
    head = head.replace("seed_school", "seed_school --students 20")
    plan_file.write_text(head + fenced("toml"), encoding="utf-8")
    before = {path.name for path in folder.iterdir()}
    store = Store(tmp_path / "state" / "prony.db")
    with Bench(store, "run", "school", tmp_path / "state") as bench:
        measured = bench.measure(read_file(folder).loaded(users=4, duration_s=12.0, drain_s=20.0), "test", "run")
        postgres = bench.stack.postgres
        assert postgres is not None
        where = f"host={postgres._home.folder} port={postgres.port} dbname={postgres.database} user=postgres"
        with psycopg.connect(where) as link:
            query = "SELECT count(*) FROM school_message m JOIN auth_user u ON u.id = m.sender_id"
            row = link.execute(f"{query} WHERE u.username = 'guest' AND text = %s", (TEXT,)).fetchone()
            session = link.execute("SELECT count(*) FROM django_session").fetchone()
    recording = store.recording(measured.id)
    store.close()
    routes = {route.name: route for route in measured.summary.routes}
    told = f"{ {name: (r.requests, r.errors) for name, r in routes.items()} } {measured.summary.errors}"
    assert measured.summary.errors.by_outcome.keys() <= {"ok", "unanswered"}, told
    assert set(routes) >= {
        "/login/",
        "POST /login/",
        "/grades/",
        "/",
        "/students/{id}/",
        "/messages/",
        "POST /messages/",
    }
    written = routes["POST /messages/"]
    assert row is not None
    assert 1 <= row[0] <= written.requests, told
    assert row[0] >= written.requests * (1 - written.errors), told
    assert session is not None
    assert session[0] >= row[0], "each visitor logged in for themselves"
    assert not {"journey_raised", "journey_remark"} & {doubt.name for doubt in measured.doubts}
    assert recording.load is not None
    assert "guest" not in str(recording.load)
    assert {path.name for path in folder.iterdir()} - before <= {"__pycache__"}
