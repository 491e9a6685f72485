"""Visitors are logged in for real: by forms with CSRF, tokens, basic and minted sessions, proved, and loaded with."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import prony
from prony.campaign.bench import Bench, Silent
from prony.errors import PlanError, StackError
from prony.plan import Plan, read_document, read_file
from prony.recording import Store
from prony.stack.stack import Stack
from prony.visit.browser import Browser
from prony.visit.login import as_visitor, log_in
from prony.visit.survey import Survey, survey

SCHOOL = Path(prony.__file__).parent / "workloads" / "school"
APP = Path(__file__).parent.parent / "apps" / "guarded.py"
GUEST = {"page": "/login/", "fields": {"username": "guest", "password": "guest"}, "proof": "/grades/"}
MINTED = {"kind": "minted", "proof": "/grades/"}
FORM = {"page": "/enter", "fields": {"user": "user{n}", "pass": "secret-{n}"}, "proof": "/inside"}
TOKEN = {**FORM, "kind": "token", "page": "/token", "proof": "/api", "token": "data.access"}
BASIC = {"kind": "basic", "user": "user{n}", "password": "secret-{n}", "proof": "/basic"}


class Site:
    """A stack that is up, and a plan of it with one [login] or another."""

    def __init__(self, stack: Stack, plan: Plan) -> None:
        self.stack = stack
        self.plan = plan
        self.start = stack.boot(plan)
        self.said: list[str] = []

    def with_login(self, **login: object) -> Plan:
        document = self.plan.document | {"login": login}
        return read_document(document, "prony.toml", Path(self.plan.app.folder))

    def log_in(self, **login: object) -> tuple[dict[str, str], ...]:
        return log_in(self.stack, self.start, self.with_login(**login), self.said.append)

    def refused(self, **login: object) -> str:
        with pytest.raises(StackError) as caught:
            self.log_in(**login)
        return caught.value.paragraph()

    def seen_by(self, fields: dict[str, str], path: str) -> str:
        """A page as somebody with these header fields sees it."""
        with Browser(self.stack.launcher, self.start.port, self.plan.traffic) as browser:
            page = as_visitor(browser, fields).get(path, follow=False)
        assert page.status == 200
        return page.text


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("login") / "school"
    shutil.copytree(SCHOOL, folder, ignore=shutil.ignore_patterns("__pycache__", ".prony"))
    with Stack(folder.parent / "logs", own_folder=folder.parent / "own") as stack:
        yield Site(stack, read_file(folder))


def project(folder: Path) -> Plan:
    folder.mkdir()
    shutil.copy(APP, folder)
    document = {"app": {"entry": "guarded:application", "python": sys.executable}}
    document["traffic"] = {"request": [{"path": "/inside", "expect": {"contains": "Inside"}}]}  # type: ignore[dict-item]
    return read_document(document, "prony.toml", folder)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("guarded")
    plan = project(folder / "project")
    with Stack(folder / "logs", own_folder=folder / "own") as stack:
        yield Site(stack, plan)


# ---- Django


def test_a_django_form_with_csrf_logs_in_and_each_time_in_a_session_of_its_own(school: Site) -> None:
    found = school.log_in(**GUEST, users=3)
    assert len({fields["Cookie"] for fields in found}) == 3
    assert all(set(fields) == {"Cookie"} for fields in found)
    assert "Signed in as guest" in school.seen_by(found[2], "/grades/")
    assert school.said == ["logging in 1 of 3", "logging in 2 of 3", "logging in 3 of 3"]


@pytest.mark.long
def test_a_django_site_that_is_told_it_is_behind_https_takes_the_form_too(school: Site) -> None:
    headers = {"X-Forwarded-Proto": "https"}
    env = {**school.plan.document["app"]["env"], "DJANGO_SETTINGS_MODULE": "behind"}
    code = "from config.settings import *\nSECURE_PROXY_SSL_HEADER = ('HTTP_X_FORWARDED_PROTO', 'https')\n"
    code += "SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = True\n"
    Path(school.plan.app.folder, "behind.py").write_text(code, encoding="utf-8")
    document = school.plan.document | {"app": school.plan.document["app"] | {"env": env}, "login": GUEST}
    folder = Path(school.plan.app.folder)
    plain = read_document(document, "prony.toml", folder)
    told = read_document(document | {"traffic": {"headers": headers}}, "prony.toml", folder)
    try:
        start = school.stack.boot(told)
        assert len(log_in(school.stack, start, told)) == 1
        with pytest.raises(StackError) as caught:
            log_in(school.stack, start, plain)
        assert "redirects to https, again and again" in caught.value.message
        assert "X-Forwarded-Proto" in caught.value.hint
    finally:
        school.start = school.stack.boot(school.plan)


def test_what_django_says_of_a_wrong_password_is_said_and_the_password_is_not(school: Site) -> None:
    text = school.refused(**GUEST | {"fields": {"username": "guest", "password": "hunter2"}}, users=50)
    assert 'says "Please enter a correct username and password' in text
    assert "hunter2" not in text
    assert "Try: the users that your seed makes" in text


def test_a_field_that_the_form_does_not_have_is_named_with_those_it_has(school: Site) -> None:
    text = school.refused(**GUEST | {"fields": {"email": "guest", "password": "guest"}})
    assert "has no field called email; its fields are username, password." in text
    assert 'Try: fields = { username = "…", … } in place of email' in text


def test_minted_sessions_are_those_of_the_first_active_users(school: Site) -> None:
    found = school.log_in(**MINTED, users=3)
    pages = [school.seen_by(fields, "/grades/") for fields in found]
    names = ["guest", "teacher1", "teacher2"]
    assert [name in page for name, page in zip(names, pages, strict=True)] == [True] * 3
    assert "252 active users, and 1000 are asked for" in school.refused(**MINTED, users=1000)


def test_minted_sessions_may_be_those_of_users_in_a_file(school: Site) -> None:
    file = Path(school.plan.app.folder) / "users.csv"
    file.write_text("username\nparent7\nguest\n", encoding="utf-8")
    found = school.log_in(**MINTED, users="users.csv")
    assert "Signed in as parent7" in school.seen_by(found[0], "/grades/")
    file.write_text("username\nguest\nnobody\n", encoding="utf-8")
    text = school.refused(**MINTED, users="users.csv")
    assert "1 of the 2 users in the file are not in the database; the first is on its line 3" in text


@pytest.mark.long
@pytest.mark.parametrize("engine", ["cached_db", "signed_cookies", "cache"])
def test_minted_sessions_work_with_every_backend_that_processes_share(school: Site, engine: str) -> None:
    env = {**school.plan.document["app"]["env"], "DJANGO_SETTINGS_MODULE": f"by_{engine}"}
    code = f"from config.settings import *\nSESSION_ENGINE = 'django.contrib.sessions.backends.{engine}'\n"
    Path(school.plan.app.folder, f"by_{engine}.py").write_text(code, encoding="utf-8")
    document = school.plan.document | {"app": school.plan.document["app"] | {"env": env}, "login": MINTED}
    plan = read_document(document, "prony.toml", Path(school.plan.app.folder))
    try:
        start = school.stack.boot(plan)
        if engine != "cache":
            assert len(log_in(school.stack, start, plan)) == 1
            return
        with pytest.raises(StackError) as caught:
            log_in(school.stack, start, plan)
        assert "keeps sessions in LocMemCache, the memory of one process alone" in caught.value.message
    finally:
        school.start = school.stack.boot(school.plan)


# ---- any app


def test_a_form_a_token_and_basic_each_log_their_users_in(guarded: Site) -> None:
    form, token = guarded.log_in(**FORM, users=3), guarded.log_in(**TOKEN, users=3)
    basic = guarded.log_in(**BASIC, users=3)
    assert [f"user{n}" in guarded.seen_by(form[n - 1], "/inside") for n in (1, 2, 3)] == [True] * 3
    assert [json.loads(guarded.seen_by(token[n - 1], "/api"))["user"] for n in (1, 2, 3)] == ["user1", "user2", "user3"]
    assert all(set(fields) == {"Authorization"} for fields in (*token, *basic))
    assert len({fields["Authorization"] for fields in basic}) == 3


def test_each_way_that_fails_says_what_the_app_said(guarded: Site) -> None:
    wrong = {"user": "user1", "pass": "hunter2"}
    assert 'says "Nobody of that name has that password."' in guarded.refused(**FORM | {"fields": wrong})
    assert 'answers 401 and says "{"detail": "no"}"' in guarded.refused(**TOKEN | {"fields": wrong})
    assert "/basic answers 401" in guarded.refused(**BASIC | {"password": "hunter2"})
    assert "nothing at access_token; there is data." in guarded.refused(**TOKEN | {"token": "access_token"})
    assert "neither Django nor a Flask app" in guarded.refused(**MINTED | {"proof": "/inside"})
    assert "the log-in page /api answers 401" in guarded.refused(**FORM | {"page": "/api"})


def test_a_proof_page_that_everybody_sees_proves_nothing(guarded: Site) -> None:
    text = guarded.refused(**FORM | {"proof": "/about"})
    assert "the proof page /about proves nothing: it is shown to a visitor who is not logged in, too" in text
    assert "proof_contains" in text


def test_a_load_goes_out_as_the_visitors_and_nothing_of_them_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    plan = project(tmp_path / "project")
    document = plan.document | {"login": {**FORM, "users": 3}}
    plan = read_document(document, "prony.toml", tmp_path / "project").loaded(rate_rps=40, duration_s=1.0, drain_s=1.0)
    logged_in: list[str] = []

    class Told(Silent):
        def progress(self, what: str, detail: str, share: float | None) -> None:  # noqa: ARG002 - the protocol's
            logged_in.extend([detail] * detail.startswith("logging in"))

    store = Store(folder / "prony.db")
    with Bench(store, "run", "tests", folder, Told()) as bench:
        found = bench.measure(plan, "first")
        assert found.summary.errors.share == 0
        assert len(logged_in) == 3
        assert bench.measure(plan, "again", fresh=False).summary.errors.share == 0
        assert len(logged_in) == 3, "on the same start they are logged in still"
        start = bench.stack.start
        assert start is not None
        with Browser(bench.stack.launcher, start.port, plan.traffic) as browser:
            assert json.loads(browser.visitor().get("/seen").text) == ["user1", "user2", "user3"]
    stored = store.recording(found.id).plan
    assert stored.login is not None
    assert set(stored.login.fields.values()) == {"(redacted)"}
    sys.path.insert(0, str(APP.parent))
    try:
        from guarded import token_of  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(APP.parent))
    kept = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    for number in (1, 2, 3):
        assert token_of(f"user{number}").encode() not in kept
        assert f"secret-{number}".encode() not in kept


def test_a_journeys_file_that_raises_as_it_is_run_is_told_as_a_mistake_of_the_plan(tmp_path: Path) -> None:
    plan = project(tmp_path / "project")
    (tmp_path / "project" / "j.py").write_text(
        "import os\nimport guarded_not\nasync def go(v): ...\n", encoding="utf-8"
    )
    document = plan.document | {"traffic": {"journey": [{"run": "j.py:go"}]}}
    plan = read_document(document, "prony.toml", tmp_path / "project").loaded(users=1, duration_s=1.0)
    store = Store(tmp_path / "state" / "prony.db")
    with Bench(store, "run", "tests", tmp_path / "state") as bench, pytest.raises(PlanError) as caught:
        bench.measure(plan, "first")
    assert caught.value.message == (
        "prony.toml: [[traffic.journey]] run: j.py:2: ModuleNotFoundError: No module named 'guarded_not'."
    )
    assert "your app's packages are not" in caught.value.hint


# ---- Flask

FLASK = """
from flask import Flask, redirect, session
from flask_login import LoginManager, UserMixin, login_required, current_user

class User(UserMixin):
    def __init__(self, number):
        self.id = number

def create_app():
    app = Flask(__name__)
    app.secret_key = "only for the tests"
    manager = LoginManager(app)
    manager.session_protection = "strong"
    manager.user_loader(lambda number: User(number) if int(number) <= 5 else None)

    @app.get("/account")
    @login_required
    def account():
        return f"account {current_user.id}"

    @app.get("/own")
    def own():
        number = session.get("user_id")
        return f"own {number}" if isinstance(number, int) else redirect("/")

    @app.get("/")
    def home():
        return "home"

    return app
"""


@pytest.mark.long
def test_flask_sessions_are_minted_by_the_apps_own_code(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "shop.py").write_text(FLASK, encoding="utf-8")
    subprocess.run([sys.executable, "-m", "venv", folder / ".venv"], check=True)
    pip = [str(folder / ".venv/bin/python"), "-m", "pip", "install", "--quiet", "flask", "flask-login", "gunicorn"]
    done = subprocess.run(pip, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no Flask to be had here: {done.stderr[-200:]}")
    plan = read_document({"app": {"entry": "shop:create_app()"}}, "prony.toml", folder)
    assert plan.app.python == str(folder / ".venv/bin/python")
    with Stack(tmp_path / "logs", own_folder=tmp_path / "own") as stack:
        site = Site(stack, plan)
        login = {"kind": "minted", "proof": "/account", "session": {"_user_id": "{n}", "_fresh": True}}
        found = site.log_in(**login, users=5)
        assert [site.seen_by(fields, "/account") for fields in found] == [f"account {n}" for n in range(1, 6)]
        assert "visitor 6 could not be logged in" in site.refused(**login, users=6)
        [own] = site.log_in(kind="minted", proof="/own", session={"user_id": "{n:d}"})
        assert site.seen_by(own, "/own") == "own 1"
        assert "which has to be said" in site.refused(kind="minted", proof="/own")


def test_pages_for_others_than_those_who_log_in_are_left_out_of_a_mix_that_is_looked_for(guarded: Site) -> None:
    document = {key: value for key, value in guarded.plan.document.items() if key != "traffic"}
    folder = Path(guarded.plan.app.folder)

    def found(number: int) -> Survey:
        fields = {"user": f"user{number}", "pass": f"secret-{number}"}
        plan = read_document(document | {"login": FORM | {"fields": fields}}, "prony.toml", folder)
        return survey(guarded.stack, guarded.start, plan)

    visitor = found(2)
    assert visitor.right
    assert {page.template for page in visitor.pages} == {"/", "/inside", "/menu"}
    [left] = [each for each in visitor.learned.left_out if each.reason == "forbidden"]
    assert (left.template, "another user" in left.remedy) == ("/staff", True)
    assert "/staff" in {page.template for page in found(1).pages}, "whom it is for has it in"
