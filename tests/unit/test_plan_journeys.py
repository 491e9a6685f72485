"""Journeys of a prony.toml: what is read of them without running them, and each mistake in one paragraph."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec import structs

from prony.cli import cli
from prony.errors import PlanError
from prony.load.site import Site
from prony.load.spec import JourneySpec
from prony.load.visitor import Visitor
from prony.plan import journey_code, read_file
from prony.plan.users import rows_of
from tests.unit.test_load_visitor import SPEC

ENTRY = '[app]\nentry = "shop:app"\n'
JOURNEY = '[[traffic.journey]]\nrun = "journeys.py:buy"\n'
CODE = """
raise RuntimeError("reading a plan runs nothing")
from elsewhere import lent
async def buy(visitor): ...
async def buy_more(visitor, *, much=True): ...
def helper(): ...
async def nothing(): ...
async def two(visitor, more): ...
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "journeys.py").write_text(CODE, encoding="utf-8")
    (tmp_path / "users.csv").write_text("username,password\nann,hunter2-hunter2\n", encoding="utf-8")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "prony.toml"
    path.write_text(ENTRY + text, encoding="utf-8")
    return path


def test_a_journey_is_read_with_its_defaults(project: Path) -> None:
    traffic = read_file(write(project, JOURNEY)).traffic
    (found,) = traffic.journeys
    assert (found.name, found.function, found.weight, found.users) == ("journeys.py:buy", "buy", 1.0, "")
    assert found.file == str(project / "journeys.py")
    assert traffic.requests == ()
    assert traffic.first.path == "/"
    assert traffic.declared
    assert JourneySpec(**structs.asdict(found)).function == "buy"


def test_journeys_stand_beside_requests(project: Path) -> None:
    more = '[[traffic.journey]]\nrun = "journeys.py:lent"\nweight = 2.5\nusers = "users.csv"\n'
    traffic = read_file(write(project, f'[[traffic.request]]\npath = "/a/"\n{JOURNEY}{more}')).traffic
    assert [each.path for each in traffic.requests] == ["/a/"]
    assert [(each.function, each.weight) for each in traffic.journeys] == [("buy", 1.0), ("lent", 2.5)]
    assert traffic.journeys[1].users == str(project / "users.csv")
    assert traffic.first.path == "/a/"


STEPS = """
from lent import *
async def fine(visitor):
    visitor.basket = (await visitor.get("/")).json()
    visitor.see(f"{visitor.basket} {visitor.page.status} {visitor.user} {visitor.cookies} {visitor.random}")
    later = visitor.get("/later/")
    await later
async def lost(v):
    await v.get("/")
    v.submit("form", qty=2)
async def looked(visitor):
    return visitor.get("/").text
async def waited(visitor):
    await visitor.see("Tea")
async def clicked(visitor):
    await visitor.browse("a")
async def chequed(visitor):
    visitor.chek(True, "it")
"""


@pytest.mark.parametrize(
    ("function", "what", "hint"),
    [
        ("lost", "line 10: found `v.submit(…)` without await, so that nothing is done", "write await before it"),
        ("looked", "line 12: found `visitor.get(…)` without await", "write await before it"),
        ("waited", "line 14: found `await visitor.see(…)`; allowed: without await", "take the await out"),
        ("clicked", "line 16: found visitor.browse, which no visitor does or has", "docs/howto/journeys.md"),
        ("chequed", "line 18: found visitor.chek, which", "visitor.check in"),
    ],
)
def test_what_no_visitor_does_is_told_before_anything_is_started(
    project: Path, function: str, what: str, hint: str
) -> None:
    (project / "journeys.py").write_text(STEPS, encoding="utf-8")
    for good in ("fine", "from_elsewhere"):
        read_file(write(project, f'[[traffic.journey]]\nrun = "journeys.py:{good}"\n'))
    with pytest.raises(PlanError) as caught:
        read_file(write(project, f'[[traffic.journey]]\nrun = "journeys.py:{function}"\n'))
    assert what in caught.value.message
    assert hint in caught.value.hint


def test_what_is_known_of_visitors_is_what_they_do() -> None:
    public = {name for name in dir(Visitor) if not name.startswith("_")} - {"bear", "leave"}
    steps = {name for name in public if inspect.iscoroutinefunction(getattr(Visitor, name))}
    assert set(journey_code.STEPS) == steps
    assert set(journey_code.SAID) == {name for name in public - steps if callable(getattr(Visitor, name))}
    made = Visitor(Site(SPEC, lambda _: None), 0, 1, {}, lambda _: None)
    has = {name for name in (*vars(made), *public) if not name.startswith("_")}
    assert set(journey_code.HAS) == has - steps - set(journey_code.SAID)


def test_a_file_that_only_looks_like_python_is_told_and_warnings_are_not(project: Path) -> None:
    (project / "journeys.py").write_text('PLACE = "\\d"\nasync def buy(visitor): ...\n', encoding="utf-8")
    read_file(write(project, JOURNEY))
    (project / "journeys.py").write_text(
        "async def buy(v): ...\ndef help(v):\n    await v.get('/')\n", encoding="utf-8"
    )
    with pytest.raises(PlanError, match=r"journeys\.py is no Python: line 3: 'await' outside async function"):
        read_file(write(project, JOURNEY))


MISTAKES = [
    ('[traffic]\njourney = "buy"', "[traffic] journey: found", "[[traffic.journey]]"),
    ("[traffic]\njourney = []", "found 0", "1 to 100"),
    ("[[traffic.journey]]\n", "[traffic.journey] run is missing", "journeys.py:buy"),
    (JOURNEY + "wieght = 2", "wieght: found an unknown key", "weight?"),
    (JOURNEY + "weight = 0", "weight: found 0", "allowed: a number"),
    ('[[traffic.journey]]\nrun = "journeys.buy"', 'run: found "journeys.buy"', "journeys.py:buy"),
    ('[[traffic.journey]]\nrun = "none.py:buy"', 'run: found "none.py"', "there is no such file in"),
    ('[[traffic.journey]]\nrun = "../a.py:buy"', 'run: found "../a.py"', "leads out of the project"),
    ('[[traffic.journey]]\nrun = "/etc/a.py:buy"', 'run: found "/etc/a.py"', "leads out of the project"),
    ('[[traffic.journey]]\nrun = "journeys.py:bye"', "found no function bye", "journeys.py:buy"),
    ('[[traffic.journey]]\nrun = "journeys.py:helper"', "line 6: found `def helper`", "write async before it"),
    ('[[traffic.journey]]\nrun = "journeys.py:nothing"', "line 7: nothing is to take one argument", ""),
    ('[[traffic.journey]]\nrun = "journeys.py:two"', "line 8: two is to take one argument", ""),
    ('[[traffic.journey]]\nrun = "broken.py:buy"', "broken.py is no Python: line 2", "edit"),
    (JOURNEY + 'users = "none.csv"', 'users: found "none.csv"', "there is no such file in"),
    (JOURNEY + 'users = "empty.csv"', "users: empty.csv: the first line names no columns", ""),
    (JOURNEY + 'users = "twice.csv"', "users: twice.csv: the first line names no columns", ""),
    (JOURNEY + 'users = "heads.csv"', "users: heads.csv: found 0 users", ""),
    (JOURNEY + 'users = "short.csv"', "users: short.csv: its line 2 has 1 values; allowed: 2", ""),
    (JOURNEY + 'users = "binary.csv"', "users: binary.csv is no CSV file in UTF-8", ""),
]


@pytest.mark.parametrize(
    ("text", "what", "hint"), MISTAKES, ids=[text.replace("\n", " ")[-40:] for text, _, _ in MISTAKES]
)
def test_a_mistake_is_one_paragraph(project: Path, text: str, what: str, hint: str) -> None:
    (project / "broken.py").write_text("\nasync def buy(visitor:\n", encoding="utf-8")
    for name, lines in (
        ("empty", b""),
        ("twice", b"a,a\n1,2\n"),
        ("heads", b"a,b\n\n"),
        ("short", b"a,b\nhunter2-hunter2\n"),
        ("binary", b"a,b\n\xff\xfe,\x00\n"),
    ):
        (project / f"{name}.csv").write_bytes(lines)
    with pytest.raises(PlanError) as caught:
        read_file(write(project, text))
    paragraph = caught.value.paragraph()
    assert str(project / "prony.toml") in paragraph
    assert "\n" not in caught.value.message
    assert what in paragraph
    assert hint in paragraph
    assert "hunter2" not in paragraph


def test_rows_of_users_are_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "u.csv"
    path.write_text('\ufeffname, word\nann,"a,b"\n\nbob,"c\nd"\n', encoding="utf-8")
    given = {"bytes_max": 100, "rows_max": 2}
    assert rows_of(path, "u.csv", **given) == ({"name": "ann", "word": "a,b"}, {"name": "bob", "word": "c\nd"})
    path.write_text("name,word\nann,a\n\nhunter2\n", encoding="utf-8")
    with pytest.raises(PlanError, match=r"u\.csv: its line 4 has 1 values; allowed: 2") as caught:
        rows_of(path, "u.csv", **given)
    path.write_text("name\nann\nbob\ncat\n", encoding="utf-8")
    with pytest.raises(PlanError, match="found 3 users; allowed: 1 to 2"):
        rows_of(path, "u.csv", **given)
    assert "hunter2" not in caught.value.paragraph()


def test_find_counts_in_requests_and_says_so(project: Path) -> None:
    write(project, JOURNEY)
    ended = CliRunner().invoke(cli, ["find", "--project", str(project)], standalone_mode=False)
    assert isinstance(ended.exception, PlanError)
    assert "prony run --rate 5" in ended.exception.paragraph()
