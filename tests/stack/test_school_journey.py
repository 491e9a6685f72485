"""Journeys, that of docs/howto/journeys.md among them, against a Django log-in with CSRF protection.

The database says what they did.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

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


def school(folder: Path, code: str, toml: str) -> Path:
    """A copy of the school with few students and these journeys."""
    shutil.copytree(SCHOOL, folder, ignore=shutil.ignore_patterns("__pycache__", ".prony"))
    (folder / "journeys.py").write_text(code, encoding="utf-8")
    (folder / "users.csv").write_text(fenced("csv"), encoding="utf-8")
    plan_file = folder / "prony.toml"
    head = plan_file.read_text(encoding="utf-8").partition("# What can be seen")[0]
    head = head.replace("[app]", f'[app]\npython = "{sys.executable}"')
    plan_file.write_text(head.replace("seed_school", "seed_school --students 20") + toml, encoding="utf-8")
    return folder


def in_database(bench: Bench, query: str) -> int:
    """A count, as the school's own database has it."""
    return int(bench.stack.stores.rows(query)[0][0])


@pytest.mark.long
def test_teachers_log_in_read_and_write_messages(tmp_path: Path) -> None:
    folder = school(tmp_path / "school", fenced("python"), fenced("toml"))
    before = {path.name for path in folder.iterdir()}
    store = Store(tmp_path / "state" / "prony.db")
    with Bench(store, "run", "school", tmp_path / "state") as bench:
        measured = bench.measure(read_file(folder).loaded(users=4, duration_s=12.0, drain_s=20.0), "test", "run")
        query = "SELECT count(*) FROM school_message m JOIN auth_user u ON u.id = m.sender_id"
        sent = in_database(bench, f"{query} WHERE u.username = 'guest' AND text = '{TEXT}'")
        sessions = in_database(bench, "SELECT count(*) FROM django_session")
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
    assert 1 <= sent <= written.requests, told
    assert sent >= written.requests * (1 - written.errors), told
    assert sessions >= sent, "each visitor logged in for themselves"
    assert not {"journey_raised", "journey_remark"} & {doubt.name for doubt in measured.doubts}
    assert recording.load is not None
    assert "guest" not in str(recording.load)
    assert {path.name for path in folder.iterdir()} - before <= {"__pycache__"}


LOGGED_IN = """
import re

async def write(visitor):
    page = await visitor.get("/messages/")
    visitor.see("Signed in as guest")
    contact = re.search(r"You may write to: (\\w+)", page.text)[1]
    await visitor.submit("form[action='/messages/']", recipient=contact, text="Straight from the log-in.")
    visitor.see("Straight from the log-in.")

async def nobody(visitor):
    await visitor.get("/messages/")
    visitor.check(visitor.page.path.startswith("/login/"), "somebody is shown messages without a log-in")
"""
LOGIN = """
[[traffic.journey]]
run = "journeys.py:write"
[[traffic.journey]]
run = "journeys.py:nobody"
anonymous = true
[login]
page = "/login/"
fields = { username = "guest", password = "guest" }
proof = "/grades/"
users = 3
"""


@pytest.mark.long
def test_a_journey_begins_where_the_plans_log_in_ends(tmp_path: Path) -> None:
    folder = school(tmp_path / "school", LOGGED_IN, LOGIN)
    store = Store(tmp_path / "state" / "prony.db")
    with Bench(store, "run", "school", tmp_path / "state") as bench:
        loaded = read_file(folder).loaded(users=3, duration_s=8.0, drain_s=20.0)
        measured = bench.measure(loaded, "test", "run")
        sent = in_database(bench, "SELECT count(*) FROM school_message WHERE text = 'Straight from the log-in.'")
        sessions = in_database(bench, "SELECT count(*) FROM django_session")
    store.close()
    routes = {route.name: route.requests for route in measured.summary.routes}
    assert measured.summary.errors.by_outcome.keys() <= {"ok", "unanswered"}, measured.summary.errors
    assert routes["POST /messages/"] >= sent >= 1, routes
    assert routes["/login/"] >= 1, "nobody is led there"
    assert "POST /login/" not in routes, "those who write are logged in already"
    assert sessions <= 3 + 1
