"""The accounts' apps as a user meets them: `prony up` in each folder, its pages answer, Ctrl-C, nothing is left."""

from __future__ import annotations

import json
import re
import signal
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

import prony
from prony.plan import read_file
from tests.cli.up_case import UP_S, Up, get, until

WORKLOADS = Path(prony.__file__).parent / "workloads"
INSTALL_S = 600.0  # a virtual environment is made first, with downloads


def files(folder: Path) -> set[str]:
    """What a run may not add to; byte code is other tests' doing."""
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.suffix != ".pyc" and p.name != "__pycache__"}


@contextmanager
def running(name: str, state: Path, *argv: str, where: Path | None = None) -> Iterator[Up]:
    """A workload that is up; skips where this machine lacks what it needs, and says what."""
    folder = WORKLOADS / name
    before = files(folder)
    with Up(where or folder, state, *argv) as up:
        until(lambda: up.over or any("Ctrl-C" in line for line in list(up.lines)), "up", INSTALL_S)
        if up.over and up.ended() == 3:
            pytest.skip(up.lines[-1] if len(up.lines) == 1 else " ".join(up.lines[-3:]))
        yield up
        assert up.stop(signal.SIGINT) == 130
    assert files(folder) == before


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One state folder for all: an environment is made once."""
    return tmp_path_factory.mktemp("state")


class Browser:
    """Keeps cookies, fills forms in."""

    def __init__(self, address: str) -> None:
        self._address = address
        handlers = (urllib.request.HTTPCookieProcessor(CookieJar()), urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    def get(self, path: str) -> str:
        """A page that must be there."""
        with self._opener.open(self._address + path, timeout=UP_S) as answer:
            assert answer.status == 200
            return str(answer.read().decode())

    def fill_in(self, path: str, to: str = "", **fields: str) -> str:
        """The page that comes of sending its form, token and all."""
        token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', self.get(path))
        assert token
        form = urllib.parse.urlencode({"csrfmiddlewaretoken": token[1], **fields})
        return self._post(to or path, form, "x-www-form-urlencoded")

    def post(self, path: str, **fields: object) -> str:
        """JSON there and back."""
        return self._post(path, json.dumps(fields), "json")

    def _post(self, path: str, text: str, kind: str) -> str:
        request = urllib.request.Request(  # noqa: S310 - the address is prony's own
            self._address + path, text.encode(), {"Content-Type": f"application/{kind}"}, method="POST"
        )
        with self._opener.open(request, timeout=UP_S) as answer:
            return str(answer.read().decode())


def as_expected(up: Up, name: str) -> None:
    """Every request of its plan is answered as it expects."""
    for request in read_file(WORKLOADS / name).traffic.requests:
        status, body = get(up.address("app") + request.path)
        assert status in request.expect.status, request.path
        assert (request.expect.contains or "") in body, request.path


def landing(up: Up) -> None:
    for path in ("site.css", "site.js", "picture-1.png", "picture-6.png"):
        assert get(f"{up.address('app')}/static/landing/{path}")[0] == 200


def school(up: Up) -> None:
    browser = Browser(up.address("app"))
    assert "guest" in browser.fill_in("/login/", username="guest", password="guest")  # noqa: S106 - the account's own
    for path in ("/", "/messages/", "/grades/", "/grades/?page=2", "/attendance/"):
        browser.get(path)
    assert "see you at four" in browser.fill_in("/messages/", recipient="parent1", text="see you at four")


def quiz(up: Up) -> None:
    browser = Browser(up.address("app"))
    assert " %" in browser.fill_in("/quiz/1/", "/quiz/1/attempt/", q1="0", q2="3")
    assert json.loads(browser.post("/api/quiz/1/attempt/", q1=0, q2=3))["answers"] == {"q1": 0, "q2": 3}
    for path in ("/progress/", "/me/", "/static/site.css", "/static/logo.svg"):
        browser.get(path)


def microsite(up: Up) -> None:
    browser = Browser(up.address("app"))
    before = json.loads(browser.get("/api/likes/7/"))["likes"]
    browser.post("/api/likes/7/")
    assert json.loads(browser.get("/api/likes/7/"))["likes"] == before + 1
    browser.post("/api/comments/7/", author="ada", text="well worn")
    assert "well worn" in browser.get("/api/comments/7/")
    up.line(r"beat │ .*Sending due task refresh_products")
    up.line(r"celery │ .*refresh_products\[\S+\] succeeded")


def feeds(up: Up) -> None:
    for name in ("app", "async"):
        assert get(f"{up.address(name)}/stream_feed?updates=2")[1].count("waited_s") == 2


def nothing_more(_: Up) -> None:
    """A page workload has its page."""


LONG = (feeds, landing, microsite, quiz, school)  # their environments are made first, with downloads


@pytest.mark.parametrize(
    ("name", "more"),
    [("page", nothing_more), *(pytest.param(each.__name__, each, marks=pytest.mark.long) for each in LONG)],
)
def test_in_each_folder_prony_up_brings_everything_up_and_its_pages_answer(
    name: str, more: Callable[[Up], None], state: Path
) -> None:
    with running(name, state) as up:
        as_expected(up, name)
        more(up)
        assert "refused:" not in up.text, "a shipped app reaches out for nothing"


def test_it_may_be_named_from_elsewhere(state: Path, tmp_path: Path) -> None:
    with running("page", state, "--project", str(WORKLOADS / "page"), where=tmp_path) as up:
        as_expected(up, "page")
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_feeds_runs_as_handed_over_by_its_procfile(state: Path) -> None:
    with running("feeds", state, "--procfile") as up:
        address = up.address("nginx")
        until(lambda: get(f"{address}/check_feed")[0] == 200, "all of them are up")
        assert "waited_s" in get(f"{address}/check_feed")[1]
        assert get(f"{address}/stream_feed?updates=2")[1].count("waited_s") == 2
        up.line(r"^ *threads │ .*gthread")
