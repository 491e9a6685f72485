"""Who a journey's visitor is: rows of a file, those of [login], somebody who logs in; and what is told of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.journey_case import WHOLE, journey, load, seen, shop


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with shop() as found:
        yield found


def test_users_come_from_the_file_in_turn_and_log_in_for_certain(port: int, tmp_path: Path) -> None:
    code = """
    async def go(visitor):
        user = visitor.user
        await visitor.log_in("/login/", proof="/account/", username=user["name"], password=user["word"])
        visitor.see("Hello " + user["name"])
    """
    users = "name,word\nann,secret-ann\nbob,secret-bob\ncat,wrong\n"
    before = seen(port)
    came = load(port, tmp_path, journey(tmp_path, code, users=users), **WHOLE | {"users": 6})
    after = seen(port)
    assert {n: after.get(f"login {n}", 0) - before.get(f"login {n}", 0) for n in ("ann", "bob", "cat")} == {
        "ann": 2,
        "bob": 2,
        "cat": 0,
    }
    assert came.result.failed_checks == {"the log-in did not work: /account/ answers 302, to /login/?next=/account/": 2}
    assert came.steps["/account/", "check_failed"] == 2
    assert came.steps["/account/", "ok"] == 1 + 4 + 4, "a stranger's look, where log-ins lead, and the proofs"


def test_what_a_users_row_holds_is_not_told(port: int, tmp_path: Path) -> None:
    code = """
    async def go(visitor):
        await visitor.get("/login/")
        await visitor.submit("#add", password=visitor.user["word"], **{visitor.user["word"]: 1})
    """
    came = load(port, tmp_path, journey(tmp_path, code, users="word\nhunter2\n"), **WHOLE | {"users": 1})
    assert came.result.failed_checks == {'/login/: the form has no field "…"; it has: password, token, username': 1}


def test_a_page_that_strangers_see_proves_nothing(port: int, tmp_path: Path) -> None:
    code = """
    async def go(visitor):
        await visitor.log_in("/login/", proof="/cart/", username="ann", password="secret-ann")
    """
    came = load(port, tmp_path, journey(tmp_path, code), **WHOLE | {"users": 1})
    assert came.result.failed_checks == {"/cart/ is shown to strangers too: it does not prove a log-in": 1}


def test_a_journey_that_never_comes_to_its_end_says_where_it_stops(port: int, tmp_path: Path) -> None:
    code = """
    async def go(visitor):
        await visitor.get("/cart/")
        await visitor.get("/nothing/7/")

    async def half(visitor):
        await visitor.get("/cart/")
        visitor.check(visitor.number, "the first one")
    """
    made = [journey(tmp_path, code, name) for name in ("go", "half")]
    came = load(port, tmp_path, *made, **WHOLE | {"users": 20})
    ended = came.steps["/nothing/{id}/", "wrong_status"]
    last = "the last ended at /nothing/{id}/: answered 404"
    assert came.result.remarks == (f"journeys.py:go: none of {ended} runs came to its end; {last}",)


def test_journeys_begin_as_the_loads_visitors_unless_they_are_to_be_nobody(port: int, tmp_path: Path) -> None:
    code = """
    async def go(visitor):
        await visitor.get("/account/", follow=False)
        visitor.see("Hello")
    """
    visitors = ({"Cookie": "session=ann"}, {"Cookie": "session=bob"})
    came = load(port, tmp_path, journey(tmp_path, code), visitors=visitors, **WHOLE)
    assert came.steps == {("/account/", "ok"): 3}
    nobody = journey(tmp_path, code, anonymous=True)
    came = load(port, tmp_path, nobody, visitors=visitors, **WHOLE)
    assert came.steps == {("/account/", "check_failed"): 3}


def test_a_secure_cookie_is_sent_and_told(port: int, tmp_path: Path) -> None:
    code = """
    async def go(visitor):
        await visitor.get("/secure/")
        visitor.check(visitor.cookies.get("sid") == "1", "no cookie")
    """
    made = journey(tmp_path, code)
    assert '"sid" is Secure' in load(port, tmp_path, made, **WHOLE).result.remarks[0]
    through = load(port, tmp_path, made, headers={"X-Forwarded-Proto": "https"}, **WHOLE)
    assert not through.result.remarks
    assert set(through.steps) == {("/secure/", "ok")}
