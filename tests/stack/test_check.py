"""A shop with every ailment, under a real server: what a check finds, learns and never asks for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prony.errors import PlanError
from prony.plan import Plan, read_document
from prony.stack.stack import Stack, Start
from prony.traffic.learned import apply
from prony.visit.params import resolve
from prony.visit.results import Checked
from prony.visit.survey import Survey, survey

AILING = Path(__file__).parent.parent / "apps" / "ailing"
DANGEROUS = ("/logout/", "/pay/", "delete", "purge", "/notes/", "/django-admin/", "/order/")


class Shop:
    """The shop on a stack that is up, and its first check."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.hits_file = folder.parent / "hits"  # in the folder itself it would lie under the cover
        self.plan = self.written()
        self.start = stack.boot(self.plan)
        self.found = survey(stack, self.start, self.plan)
        self.hits = self.hits_file.read_text(encoding="utf-8").splitlines()

    def written(self, traffic: dict[str, Any] | None = None) -> Plan:
        document: dict[str, Any] = {
            "app": {
                "entry": "wsgi:application",
                "python": sys.executable,
                "prepare": ["python make.py"],
                "env": {"HITS": str(self.hits_file)},
            },
            "stores": {"database": {"kind": "sqlite"}},
            "server": {"kind": "gunicorn", "workers": 1},
        }
        return read_document(document | ({"traffic": traffic} if traffic else {}), "prony.toml", self.folder)

    def page(self, template: str, found: Survey | None = None) -> Checked:
        return next(each for each in (found or self.found).pages if each.template == template)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop") / "project"
    shutil.copytree(AILING, folder, ignore=shutil.ignore_patterns("__pycache__"))
    with Stack(folder.parent / "logs", own_folder=folder.parent / "own") as stack:
        yield Shop(stack, folder)


def test_every_right_page_is_found_and_what_a_right_answer_is_like_is_learned(shop: Shop) -> None:
    right = {each.template for each in shop.found.pages if each.right}
    assert right == {
        "/", "/products/{pk}/", "/categories/{slug}/", "/login/", "/about/", "/empty/", "/cookie/", "/count/",
        "/data.json", "/search/", "/api/products/", "/api/products/{number}/",
    }  # fmt: skip
    traffic = apply(shop.plan, shop.found.learned).traffic
    assert {each.path for each in traffic.requests} == right
    assert not traffic.declared
    product = next(each for each in traffic.requests if each.path == "/products/{pk}/")
    assert product.expect.contains == " – Shop</title>"
    assert len(product.paths) == 35, "every product but the five drafts, which answer 404"
    assert next(each for each in traffic.requests if each.path == "/count/").expect.contains == "</title>"


@pytest.mark.parametrize(
    ("template", "cause", "text"),
    [
        ("/hook/", "csrf", "CSRF"),
        ("/broken/", "exception", "ValueError: the tea is cold (shop/views.py, line"),
        ("/tables/", "migrations", "no such table: shop_forgotten"),
        ("/manifest/", "static_manifest", "shop/tea.css"),
        ("/mail/", "egress", "tried to reach api.stripe.com"),
        ("/secure/", "https_redirect", "https"),
        ("/away/", "other_host", "www.shop.example"),
        ("/loop/", "redirect_loop", "circle"),
        ("/limit/", "throttled", "429"),
        ("/empty/", "empty", "No orders yet"),
        ("/cookie/", "secure_cookies", "session"),
        ("/count/", "unsteady", "Heads"),
        ("/data.json", "type", "markup"),
    ],
)
def test_each_ailment_is_told_by_its_cause_with_what_to_write(shop: Shop, template: str, cause: str, text: str) -> None:
    [found] = shop.page(template).findings
    assert (found.cause, found.wrong) == (cause, not shop.page(template).right)
    assert text in found.text
    assert found.remedy


def test_pages_for_those_who_are_logged_in_are_left_out_where_nothing_says_how(shop: Shop) -> None:
    left = {each.template: each.remedy for each in shop.found.learned.left_out if each.reason == "login"}
    assert set(left) == {"/account/", "/members/"}
    assert all(remedy.startswith("[login]") for remedy in left.values())
    named = shop.written({"request": [{"path": "/account/"}]})
    [page] = survey(shop.stack, shop.start, named).pages
    assert not page.right, "one that is named is to be right"
    assert [each.cause for each in page.findings] == ["login"]


def test_files_that_are_not_served_are_said_of_the_whole(shop: Shop) -> None:
    [found] = shop.found.findings
    assert found.cause == "static_files"
    assert "/static/lost.css" in found.text
    assert "[proxy.static]" in found.remedy


def test_nothing_dangerous_was_asked_for_and_each_is_listed(shop: Shop) -> None:
    assert len(shop.hits) > 60
    assert {line.split()[0] for line in shop.hits} == {"GET"}
    touched = [line for line in shop.hits if any(word in line for word in DANGEROUS)]
    assert touched == []
    reasons = {each.template: each.reason for each in shop.found.learned.left_out}
    assert (
        reasons.items()
        >= {
            "/logout/": "danger",
            "/pay/": "danger",
            "/products/{pk}/delete/": "danger",
            "/unlinked/purge/": "danger",
            "/notes/{number}/x/": "danger",
            "/django-admin/": "admin",
            "/order/": "method",
            "/archive/{year}/{word}/": "values",
            "/nowhere/": "gone",
        }.items()
    )


def test_a_mix_that_is_declared_is_all_that_is_visited(shop: Shop) -> None:
    requests: list[dict[str, Any]] = [
        {"path": "/products/{id}/"},
        {"path": "/categories/{slug}/", "params": {"slug": "SELECT slug FROM shop_category"}},
        {"path": "/away/", "expect": {"status": 302}},
        {"path": "/about/", "expect": {"contains": "A pub"}},
        {"path": "/archive/{y}/{w}/"},
    ]
    plan = shop.written({"request": requests})
    found = survey(shop.stack, shop.start, plan)
    assert [each.template for each in found.pages] == [each["path"] for each in requests[:4]]
    assert [each.right for each in found.pages] == [True, True, True, False]
    assert found.pages[1].known == 4
    assert [each.cause for each in found.pages[3].findings] == ["unlike_declared"]
    assert [(each.template, each.reason) for each in found.learned.left_out] == [("/archive/{y}/{w}/", "values")]
    loaded = apply(plan, found.learned).traffic
    assert len(loaded.requests[0].paths) == 35
    assert len(resolve(shop.stack, apply(plan, found.learned)).traffic.requests[1].paths) == 4


@pytest.mark.parametrize(
    ("query", "told"),
    [("SELECT id FROM nowhere", "no such table"), ("SELECT id FROM shop_product WHERE id < 0", "finds nothing")],
)
def test_a_select_that_cannot_be_answered_names_what_the_database_says(shop: Shop, query: str, told: str) -> None:
    plan = shop.written({"request": [{"path": "/products/{id}/", "params": {"id": query}}]})
    with pytest.raises(PlanError) as caught:
        resolve(shop.stack, plan)
    assert told in caught.value.message
    assert "prony.toml" in caught.value.message


def test_a_host_that_the_app_refuses_is_the_one_cause_of_all(shop: Shop) -> None:
    plan = shop.written({"host": "tea.example"})
    found = survey(shop.stack, shop.start, plan)
    assert {finding.cause for page in found.pages for finding in page.findings} == {"allowed_hosts"}
    assert not found.right


@pytest.mark.long
def test_a_select_is_run_on_postgres_as_the_app_and_writes_nothing(tmp_path: Path) -> None:
    import prony

    school = Path(prony.__file__).parent / "workloads" / "page"
    folder = tmp_path / "page"
    shutil.copytree(school, folder, ignore=shutil.ignore_patterns("__pycache__", ".prony"))
    from prony.plan import read_file

    plan = read_file(folder, ())
    with Stack(tmp_path / "logs", own_folder=tmp_path / "own") as stack:
        start: Start = stack.boot(plan)
        assert start.plan.database is not None
        rows = stack.stores.rows("SELECT id FROM pages_page ORDER BY id")
        assert rows
        with pytest.raises(ValueError, match="read-only"):
            stack.stores.rows("SELECT nextval('pages_page_id_seq')")
        with pytest.raises(ValueError, match="permission denied"):
            stack.stores.rows("SELECT pg_read_file('/etc/passwd')")


@pytest.mark.long
def test_routes_of_real_flask_and_fastapi_are_told(tmp_path: Path) -> None:
    """Their own classes, in an interpreter that has them; what they look like is known from unit tests."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "-q", "install", "flask", "fastapi>=0.137"], check=True)
    (tmp_path / "fa.py").write_text(FASTAPI, encoding="utf-8")
    (tmp_path / "fl.py").write_text(FLASK, encoding="utf-8")
    fast, flask = (told(python, tmp_path, entry) for entry in ("fa:wrapped", "fl:create_app()"))
    assert (fast["framework"], flask["framework"]) == ("fastapi", "flask")
    found = {each["template"]: each for each in fast["routes"]}
    assert found["/api/r/x/{a}"]["params"]["a"]["kind"] == "int"
    assert found["/api/r/x/{a}"]["query"] == {"q": {"kind": "str", "values": []}}
    assert found["/api/r/in/s/{k}"]["params"]["k"]["choices"] == ["green", "black"]
    assert found["/api/r/ws"]["marks"] == ["websocket"]
    assert found["/sub/hi/{n}"]["params"]["n"]["kind"] == "path"
    assert found["/static/{path}"]["marks"] == ["static"]
    found = {each["template"]: each for each in flask["routes"]}
    assert found["/shop/{id}/"]["params"] == {"id": {"kind": "int"}}
    assert found["/shop/{c}"]["params"]["c"]["choices"] == ["blue", "red"]
    assert found["/static/{filename}"]["marks"] == ["static"]
    assert found["/x"]["methods"] == ["POST"]


FASTAPI = """
import enum
from fastapi import APIRouter, FastAPI, WebSocket
from fastapi.staticfiles import StaticFiles
from starlette.middleware.gzip import GZipMiddleware
app, r, s, sub = FastAPI(), APIRouter(prefix="/r"), APIRouter(prefix="/s"), FastAPI()
Kind = enum.Enum("Kind", {"green": "green", "black": "black"}, type=str)
@s.get("/{k}")
def deep(k: Kind): ...
@r.get("/x/{a}")
def shown(a: int, q: str, z: int = 3): ...
@r.websocket("/ws")
async def ws(w: WebSocket): ...
@sub.get("/hi/{n:path}")
def hi(n: str): ...
r.include_router(s, prefix="/in")
app.include_router(r, prefix="/api")
app.mount("/sub", sub)
app.mount("/static", StaticFiles(directory="."))
wrapped = GZipMiddleware(app)
"""
FLASK = """
from flask import Blueprint, Flask
def create_app():
    app, b = Flask(__name__), Blueprint("shop", __name__, url_prefix="/shop")
    b.add_url_rule("/<int:id>/", "one", lambda id: "")
    b.add_url_rule("/<any(red,blue):c>", "colour", lambda c: "")
    app.register_blueprint(b)
    app.add_url_rule("/x", "x", lambda: "", methods=["POST"])
    return app
"""


def told(python: Path, folder: Path, entry: str) -> dict[str, Any]:
    import prony_gauge.install

    prony_gauge.install.lay_out(str(folder / "gauge"))
    (folder / "task").write_text(json.dumps({"entry": entry, "values": False}), encoding="utf-8")
    argv = [str(python), "-m", "prony_gauge.routes", "task", "answer"]
    subprocess.run(argv, cwd=folder, env={"PYTHONPATH": str(folder / "gauge")}, check=True)
    answer: dict[str, Any] = json.loads((folder / "answer").read_text(encoding="utf-8"))
    assert "error" not in answer, answer
    return answer
