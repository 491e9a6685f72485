from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from prony.plan import Expect
from prony.visit.browser import Page
from prony.visit.contents import contents_of
from prony.visit.diagnosis import CAUSES, Facts, Visit, diagnose, exception_in

HTML = {"content-type": "text/html; charset=utf-8"}
DJANGO = Facts(framework="django", settings={"allowed_hosts": ["127.0.0.1"]}, host="127.0.0.1:8000")
TRACEBACK = (
    "[2026-11-25 13:28:45 +0000] [77] [ERROR] Error handling request /",
    "Traceback (most recent call last):",
    '  File "shop/views.py", line 3, in home',
    "    raise {}",
    "{}",
)


def seen(
    status: int = 200,
    body: str = "<title>Shop</title><p>Tea and cups</p>",
    *,
    asked: str = "/",
    headers: Mapping[str, str] = HTML,
    hops: tuple[str, ...] = (),
    path: str = "",
    **more: Any,
) -> Visit:
    page = Page(path or asked, status, headers, body.encode(), 0.01, hops, "" if status else "timed out")
    return Visit(asked=asked, page=page, contents=contents_of(page), **more)


def logged(last: str) -> tuple[str, ...]:
    return tuple(line.format(last) for line in TRACEBACK)


def causes(visit: Visit, facts: Facts = DJANGO) -> list[str]:
    return [each.cause for each in diagnose(visit, facts)]


def test_a_page_that_is_right_has_nothing_said_of_it() -> None:
    assert diagnose(seen(), DJANGO) == ()


# each: what was seen, under which facts, the cause, a piece of the text, a piece of the remedy
WRONG: list[tuple[Visit, Facts, str, str, str]] = [
    (seen(0), DJANGO, "no_answer", "timed out", "prony up"),
    (
        seen(400, "Bad Request"),
        Facts("django", {"allowed_hosts": [".shop.example"]}, "127.0.0.1:80"),
        "allowed_hosts",
        "refuses the host 127.0.0.1 (ALLOWED_HOSTS has .shop.example)",
        '[traffic] host = "shop.example"',
    ),
    (
        seen(400, "<title>DisallowedHost at /</title>"),
        Facts("django", {"allowed_hosts": []}, "tea.example"),
        "allowed_hosts",
        "tea.example",
        "[traffic] host",
    ),
    (seen(400, "Invalid host header"), Facts("starlette"), "allowed_hosts", "refuses the host", "[traffic] host"),
    (
        seen(301, "", hops=("https://127.0.0.1:8000/",) * 6),
        Facts("django", {"ssl_redirect": True, "https_header": ["X-Proto", "on"]}, "127.0.0.1:8000"),
        "https_redirect",
        "SECURE_SSL_REDIRECT",
        '[traffic] headers = { X-Proto = "on" }',
    ),
    (
        seen(301, "", hops=("https://127.0.0.1:8000/",)),
        DJANGO,
        "https_redirect",
        "on to https",
        "SECURE_PROXY_SSL_HEADER",
    ),
    (
        seen(302, "", hops=("https://www.tea.example/",)),
        DJANGO,
        "other_host",
        "www.tea.example",
        '[traffic] host = "www.tea.example"',
    ),
    (seen(302, "", hops=("/a", "/b", "/a", "/b", "/a", "/b")), DJANGO, "redirect_loop", "/a → /b", "prony up"),
    (
        seen(hops=("/tea/",), asked="/tea", path="/tea/"),
        DJANGO,
        "trailing_slash",
        "/tea/",
        '[[traffic.request]] path = "/tea/"',
    ),
    (seen(hops=("/home/",), asked="/", path="/home/"), DJANGO, "redirect", "on to /home/", 'path = "/home/"'),
    (
        seen(hops=("/accounts/login/?next=/me/",), asked="/me/", path="/accounts/login/?next=/me/"),
        DJANGO,
        "login",
        "to log in",
        "[login]",
    ),
    (
        seen(body='<form><input name="who"><input name="word" type="password"></form>', asked="/me/"),
        DJANGO,
        "login",
        "asks for a password",
        '[login] page = "/me/", fields = { who = "…", word = "…" }, proof = "/me/"',
    ),
    (seen(401, "{}"), Facts("fastapi"), "login", "answers 401", 'kind = "token"'),
    (seen(403, "{}"), Facts("django", login=True), "login", "answers 403", "another user"),
    (seen(403, "<p>CSRF verification failed.</p>"), DJANGO, "csrf", "CSRF", "leave it out"),
    (seen(404, "", template="/t/{slug}/", asked="/t/1/"), DJANGO, "unknown_values", "slug", "params = { slug ="),
    (seen(422, "{}", asked="/search"), Facts("fastapi"), "unknown_values", "its query", "params"),
    (seen(404, ""), DJANGO, "not_found", "no such page", "leave it out"),
    (seen(405, ""), DJANGO, "method", "this method", "leave it out"),
    (seen(429, ""), DJANGO, "throttled", "how often", "[app] env"),
    (seen(418, ""), DJANGO, "status", "answers 418, not 200", "expect = { status = 418 }"),
    (
        seen(500, "", log=logged("django.db.utils.OperationalError: no such table: shop_tea")),
        DJANGO,
        "migrations",
        "no such table: shop_tea",
        'prepare = ["python manage.py migrate --noinput"]',
    ),
    (
        seen(500, "", log=logged('psycopg.errors.UndefinedTable: relation "tea" does not exist')),
        Facts("flask"),
        "migrations",
        'relation "tea" does not exist',
        "[app] prepare",
    ),
    (
        seen(500, "", error="ProgrammingError: (1146, \"Table 'app.tea' doesn't exist\") (shop/views.py, line 3)"),
        DJANGO,
        "migrations",
        "Table 'app.tea' doesn't exist",
        "migrate",
    ),
    (
        seen(500, "", error="ValueError: Missing staticfiles manifest entry for 'tea.css'"),
        DJANGO,
        "static_manifest",
        "tea.css",
        "collectstatic",
    ),
    (
        seen(500, "", refused=("api.stripe.com:443 at shop/pay.py:12",)),
        DJANGO,
        "egress",
        "tried to reach api.stripe.com:443 from shop/pay.py:12",
        '[app] egress = ["api.stripe.com"]',
    ),
    (seen(500, "", log=logged("KeyError: 'tea'")), Facts("flask"), "exception", "KeyError: 'tea'", "prony up"),
    (seen(500, ""), DJANGO, "exception", "does not say why", "prony up"),
    (
        seen(500, '<title>ValueError\n          at /tea/</title><pre class="exception_value">cold</pre>'),
        DJANGO,
        "exception",
        "ValueError: cold",
        "prony up",
    ),
    (
        seen(500, "<title>TypeError: no tea // Werkzeug Debugger</title>"),
        Facts("flask"),
        "exception",
        "TypeError",
        "prony up",
    ),
]


@pytest.mark.parametrize(("visit", "facts", "cause", "text", "remedy"), WRONG, ids=lambda each: str(each)[:30])
def test_what_is_wrong_is_told_with_its_cause_and_what_to_write(
    visit: Visit, facts: Facts, cause: str, text: str, remedy: str
) -> None:
    first = diagnose(visit, facts)[0]
    assert (first.cause, first.wrong) == (cause, True)
    assert text in first.text
    assert remedy in first.remedy


NOTED: list[tuple[Visit, str, str]] = [
    (seen(headers={**HTML, "set-cookie": "sid=1; Path=/; Secure"}), "secure_cookies", "sid"),
    (seen(body="<body><p>No orders yet.</p></body>"), "empty", "No orders yet"),
    (seen(body="[]", headers={"content-type": "application/json"}), "empty", "an empty list"),
    (seen(refused=("mail.example:25 at shop/mail.py:3",)), "refused", "mail.example:25"),
    (seen(body="<html>", headers={"content-type": "application/json"}), "type", "holds markup"),
    (seen(body='{"a": 1}', headers=HTML), "type", "holds JSON"),
    (seen(body="tea", headers={}), "type", "no content type"),
]


@pytest.mark.parametrize(("visit", "cause", "text"), NOTED, ids=[each[1] for each in NOTED])
def test_what_is_worth_knowing_makes_no_answer_wrong(visit: Visit, cause: str, text: str) -> None:
    [found] = diagnose(visit, DJANGO)
    assert (found.cause, found.wrong) == (cause, False)
    assert text in found.text


def test_secure_cookies_are_no_matter_where_requests_say_they_came_by_https() -> None:
    facts = Facts("django", headers={"x-forwarded-proto": "https"})
    assert diagnose(seen(headers={**HTML, "set-cookie": "sid=1; Secure"}), facts) == ()


def test_a_page_for_logging_in_is_right_where_that_was_asked_for() -> None:
    form = '<form><input type="password"></form>'
    for asked in ("/login/", "/accounts/signup/", "/auth/sign-in", "/password/reset/"):
        assert causes(seen(body=form, asked=asked)) == []


def test_what_the_user_declared_is_judged_first() -> None:
    gone = Expect(status=(404,))
    assert causes(seen(404, "", expect=gone)) == []
    assert causes(seen(302, "", expect=Expect(status=(302,)), headers={"location": "/login/"})) == []
    assert causes(seen(200, expect=Expect(contains="Coffee"))) == ["unlike_declared"]
    assert causes(seen(200, expect=Expect(contains="Tea", type="text/html", min_bytes=5, max_bytes=500))) == []
    assert causes(seen(200, expect=Expect(type="application/json"))) == ["unlike_declared"]
    assert causes(seen(200, expect=Expect(min_bytes=9999))) == ["unlike_declared"]
    assert causes(seen(200, expect=Expect(max_bytes=9))) == ["unlike_declared"]
    assert causes(seen(200, expect=Expect(matches="Cof+ee"))) == ["unlike_declared"]
    assert causes(seen(200, expect=gone)) == ["status"]


def test_only_one_thing_is_told_to_be_wrong() -> None:
    visit = seen(500, "", log=logged("OperationalError: no such table: tea"), refused=("a:1 at b:2",))
    assert [each.cause for each in diagnose(visit, DJANGO) if each.wrong] == ["migrations"]


def test_every_cause_that_is_told_is_in_the_closed_list() -> None:
    told = {each.cause for visit, facts, *_ in WRONG for each in diagnose(visit, facts)}
    told |= {each.cause for visit, *_ in NOTED for each in diagnose(visit, DJANGO)}
    assert told <= set(CAUSES)
    of_the_whole = {"static_files", "debug", "unsteady", "routes", "values", "unlike_declared"}
    assert set(CAUSES) - told <= of_the_whole, "a cause that nothing tells is none"


@pytest.mark.parametrize(
    ("last", "found"),
    [
        ("ValueError: cold", "ValueError: cold"),
        (
            "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such table: t",
            "sqlalchemy.exc.OperationalError",
        ),
        ("shop.models.Tea.DoesNotExist: none", "shop.models.Tea.DoesNotExist: none"),
        ("django.core.exceptions.ImproperlyConfigured: x", "django.core.exceptions.ImproperlyConfigured: x"),
        ("INFO: started", ""),
        ("Note: nothing is wrong", ""),
        ("    raise ValueError: cold", ""),
    ],
)
def test_the_last_exception_is_found_in_a_log(last: str, found: str) -> None:
    assert exception_in(("one", last, "INFO and on it went")).startswith(found)
    assert bool(exception_in((last,))) == bool(found)
