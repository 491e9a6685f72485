"""Forms are found and filled in as a browser would, and what a site says against a log-in becomes its cause."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from prony.load.mix import routes_of
from prony.load.spec import LoadSpec, RequestSpec
from prony.plan import Login
from prony.visit import causes
from prony.visit.browser import AGENT, Page
from prony.visit.causes import Cause, Tried
from prony.visit.forms import Form, shows_password_field, told

HTML = {"content-type": "text/html; charset=utf-8"}
JSON = {"content-type": "application/json"}
SEARCH = '<form action="/search"><input name="q"><button>Go</button></form>'
SIGN_IN = """
<form method="post" action="/in" id="login">
  <input type="hidden" name="csrf" value="t-1"><input name="username"><input type="PASSWORD" name="password">
  <input type="checkbox" name="stay" checked><input type="checkbox" name="news"><input type="file" name="photo">
  <select name="site"><option value="1">one</option><option selected>two</option></select>
  <input name="off" value="x" disabled><textarea name="note">hello</textarea>
  <button name="go" value="in">Sign in</button><button name="other" value="no">Other</button>
</form><input form="login" name="afar" value="z">
"""
SIGN_UP = '<form method="post" id="join"><input name="email"><input type="password" name="password"></form>'
LOGIN = Login(kind="form", page="/login/", fields={"username": "guest", "password": "hunter2"}, proof="/account/")
TOKEN = Login(kind="token", page="/token", fields=LOGIN.fields, proof="/api/me")
PROOF = Page("/login/", 200, HTML, SIGN_IN.encode(), hops=("/login/?next=/account/",))


def page(text: str, status: int = 200, path: str = "/login/", headers: Any = HTML, hops: tuple[str, ...] = ()) -> Page:
    return Page(path, status, headers, text.encode(), hops=hops)


def choice(text: str, **changes: Any) -> Form | Cause:
    return causes.choose(page(text), structs.replace(LOGIN, **changes))


def said(answer: Page | None, proof: Page = PROOF, login: Login = LOGIN, **more: Any) -> Cause:
    why = causes.wrong(proof, login, "/login")
    return causes.cause(Tried(answer, proof, why, **more), login)


# ---- forms


def test_a_form_is_sent_as_a_browser_would_send_it() -> None:
    form = choice(SEARCH + SIGN_IN)
    assert isinstance(form, Form)
    assert (form.action, form.method, form.passwords) == ("/in", "POST", ("password",))
    assert form.values == {
        "csrf": "t-1", "username": "", "password": "", "stay": "on", "site": "two", "note": "hello", "afar": "z",
        "go": "in",
    }  # fmt: skip
    assert form.names == ("username", "password", "stay", "news", "site", "note", "afar")


def test_of_several_forms_the_one_with_the_fields_and_a_password_is_taken() -> None:
    form = choice(SEARCH + SIGN_UP + SIGN_IN)
    assert isinstance(form, Form)
    assert form.action == "/in"
    twice = choice(SIGN_IN + SIGN_IN.replace("/in", "/in2").replace('id="login"', 'id="second"'))
    assert isinstance(twice, Cause)
    assert "2 forms on /login/ have these fields" in twice.text
    named = choice(SIGN_IN + SIGN_IN.replace("/in", "/in2").replace('id="login"', 'id="second"'), form="#second")
    assert isinstance(named, Form)
    assert named.action == "/in2"


def test_a_selector_may_name_what_is_around_the_form() -> None:
    form = choice(f"<main>{SIGN_IN}</main>{SIGN_IN}", form="main")
    assert isinstance(form, Form)


@pytest.mark.parametrize(
    ("text", "changes", "text_said", "remedy"),
    [
        ("<div id=root></div><script></script>", {}, "there is no form on /login/ (text/html,", 'kind = "token"'),
        (SIGN_IN, {"form": "#none"}, 'no form on /login/ fits "#none"; it has one with username', ""),
        (SIGN_IN, {"form": "a[["}, 'found "a[[", which is no CSS selector', "form#login"),
        (SIGN_UP, {}, "has no field called username; its fields are email, password", 'fields = { email = "…"'),
        (
            SIGN_UP,
            {"fields": {"emial": "x"}},
            "has no field called emial; its fields are email, password",
            "the names as",
        ),
        (SEARCH, {"fields": {"x": "1"}}, "has no field called x; its fields are q", "the names as"),
        (SIGN_UP + SIGN_IN, {"fields": {"email": "1", "note": "2"}}, "no one form on /login/ has all", ""),
    ],
)
def test_why_no_form_can_be_filled_in_is_said(text: str, changes: Any, text_said: str, remedy: str) -> None:
    found = choice(text, **changes)
    assert isinstance(found, Cause)
    assert text_said in found.text
    assert remedy in found.remedy


def test_what_a_page_says_went_wrong_is_told_once_and_not_without_end() -> None:
    text = '<div class="alert"><ul class="errorlist"><li>No  such\nuser.</ul></div><p class="error">No such user.</p>'
    assert told(text) == "No such user."
    assert told("<p>All is well.</p>") == ""
    assert len(told(f'<p class="error">{"x" * 999}</p>')) == 200
    assert shows_password_field(SIGN_IN)
    assert not shows_password_field(SEARCH)


# ---- the proof


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (page("<h1>Mine</h1>", path="/account/"), ""),
        (page("<h1>Mine</h1>", path="/account", hops=("/account",)), ""),
        (page("{}", path="/account/", headers=JSON), ""),
        (page("", path="/home/", hops=("/home/",)), ""),
        (PROOF, "leads to /login/, like somebody"),
        (page(SIGN_IN, path="/account/"), "asks for a password"),
        (page("no", 403, "/account/"), "answers 403"),
        (page("", 302, "/account/", hops=("https://sso.example/x",)), "redirects to https://sso.example/x"),
        (Page("/account/", 0, error="timed out"), "gave no answer (timed out)"),
    ],
)
def test_the_protected_page_is_told_from_what_strangers_see(found: Page, why: str) -> None:
    assert causes.wrong(found, LOGIN, "/login").startswith(why)
    assert bool(causes.wrong(found, LOGIN, "/login")) == bool(why)


def test_a_text_on_the_page_decides_where_one_is_given() -> None:
    login = structs.replace(LOGIN, proof_contains="Log out")
    assert causes.wrong(page("Log in", path="/account/"), login)
    assert not causes.wrong(page(f"Log out, or change: {SIGN_IN}", path="/account/"), login)


def test_wherever_a_stranger_is_led_is_not_the_protected_page() -> None:
    assert causes.wrong(page("", path="/", hops=("/",)), LOGIN)
    assert causes.wrong(page("", path="/", hops=("/",)), LOGIN, "/")


# ---- causes


@pytest.mark.parametrize(
    ("answer", "text", "remedy"),
    [
        (
            page(f'<p class="error">Wrong: hunter2</p>{SIGN_IN}'),
            'form again and says "Wrong: …": most likely',
            "your seed",
        ),
        (page(SIGN_IN), "the app shows the form again: most likely no such user, or another password", "your seed"),
        (page(f'<p class="error">This account is inactive.</p>{SIGN_IN}'), "the user is not active", "a user that is"),
        (page(f'<p class="error">Too many login attempts.</p>{SIGN_IN}'), "locked the visitor out", "minted"),
        (
            page("Account locked: too many login attempts.", 403, headers={"content-type": "text/plain"}),
            "locked",
            "minted",
        ),
        (page("slow down", 429), "locked the visitor out", "[app] env"),
        (
            page(SIGN_IN.replace("<textarea", '<div class="g-recaptcha"></div><textarea')),
            "asks for a captcha",
            "[app] env",
        ),
        (
            page('<form method=post><input name="otp_token"></form>'),
            "asks for a second factor (otp_token)",
            "[app] env",
        ),
        (page("<title>Two-factor authentication</title>"), "asks for a second factor (Two-factor auth", "minted"),
        (
            page("CSRF verification failed. Request aborted.", 403),
            "the app's CSRF check refused the form",
            "form#login",
        ),
        (page("CSRF Failed: Referer checking failed - no Referer.", 403), "does not take the page", "[traffic] host"),
        (page("<p>The CSRF session token is missing.</p>", 400), "the app's CSRF check refused the form", "minted"),
        (page("<h1>Bad Request</h1>", 400), "does not take the form as it is sent: it answers 400", ""),
        (page("", 302, hops=("https://shop.example/",)), "redirects to another host, shop.example", "[traffic] host"),
        (page("<title>Server Error (500)</title>", 500), 'answers 500 and says "Server Error (500)"', "prony up"),
    ],
)
def test_each_cause_is_told_by_what_the_app_answered(answer: Page, text: str, remedy: str) -> None:
    found = said(answer, secrets=("hunter2",))
    assert text in found.text
    assert remedy in found.remedy
    assert "hunter2" not in found.text


def test_cookies_for_https_alone_are_named_where_the_app_is_spoken_to_by_http() -> None:
    home = page("<h1>Home</h1>", path="/")
    found = said(home, secure_cookies=("sessionid",))
    assert "the cookie sessionid is for https only, and the app is spoken to by http" in found.text
    assert "X-Forwarded-Proto" in found.remedy
    csrf = said(page("CSRF verification failed.", 403), secure_cookies=("csrftoken",))
    assert "its cookie csrftoken is for https only" in csrf.text
    assert "https only" not in said(home, secure_cookies=("sessionid",), https=True).text


def test_a_session_in_one_processs_memory_is_told_by_its_coming_and_going() -> None:
    assert "each process keeps sessions in its own memory" in said(page("", path="/"), sometimes=True).text


def test_a_page_that_this_user_may_not_see_proves_nothing_either() -> None:
    refused = page("no", 403, "/account/")
    assert "/account/ answers 403" in said(page("<h1>Home</h1>", path="/"), refused).text


@pytest.mark.parametrize(
    ("found", "text", "remedy"),
    [
        (page("<h1>Bad Request (400)</h1>", 400), "ALLOWED_HOSTS", "[traffic] host"),
        (page("DisallowedHost at /" + "x" * 999, 400), "ALLOWED_HOSTS", "[traffic] host"),
        (page("", 301, hops=("https://127.0.0.1/", "https://127.0.0.1/")), "to https, again and again", "X-Forwarded"),
        (page("", 404), "the page answers 404", "another path"),
        (Page("/", 0, error="refused"), "gave no answer (refused)", "prony up"),
    ],
)
def test_what_is_in_the_way_of_any_page_is_said(found: Page, text: str, remedy: str) -> None:
    cause = causes.in_the_way(found, "the page", LOGIN)
    assert cause is not None
    assert text in cause.text
    assert remedy in cause.remedy


def test_nothing_is_in_the_way_of_a_page_that_is_there() -> None:
    assert causes.in_the_way(page(SIGN_IN), "the page", LOGIN) is None


# ---- tokens


def test_a_token_is_found_by_its_path_and_no_value_is_ever_shown() -> None:
    answer = page('{"data": {"keys": [{"access": "s3cret"}]}, "id": 7}', headers=JSON)
    assert causes.token_in(answer, "data.keys.0.access") == "s3cret"
    for path, text in (("token", "nothing at token; there is data, id"), ("id", "no text"), ("data.keys.9", "nothing")):
        found = causes.token_in(answer, path)
        assert isinstance(found, Cause)
        assert text in found.text
        assert "s3cret" not in found.text
    found = causes.token_in(page("<h1>Hi</h1>"), "token")
    assert isinstance(found, Cause)
    assert "is no JSON but text/html (200)" in found.text


@pytest.mark.parametrize(
    ("answer", "text", "remedy"),
    [
        (page('{"detail": "Incorrect"}', 401, headers=JSON), "answers 401 and says", "your seed"),
        (
            page('{"detail": [{"msg": "Field required"}]}', 422, headers=JSON),
            "as they are sent: it answers 422",
            '"form"',
        ),
        (page('{"password": ["This field is required."]}', 400, headers=JSON), "it answers 400", 'send = "form"'),
        (page("", 415, headers=JSON), "it answers 415", 'send = "form"'),
        (page("", 404, headers=JSON), "the answer to the log-in answers 404", "another path"),
        (page("{}", 500, headers=JSON), "the app answers 500", ""),
    ],
)
def test_what_an_app_says_against_giving_a_token_is_said(answer: Page, text: str, remedy: str) -> None:
    found = causes.of_token(answer, TOKEN)
    assert found is not None
    assert text in found.text
    assert remedy in found.remedy
    assert causes.of_token(page('{"access_token": "x"}', headers=JSON), TOKEN) is None


def test_visitors_bear_the_name_that_the_load_bears() -> None:
    spec = LoadSpec(
        host="127.0.0.1", port=80, requests=(RequestSpec(),), arrivals="constant", rate_rps=1, duration_s=1, segment="x"
    )
    assert f"user-agent: {AGENT}\r\n".encode() in routes_of(spec)[0].wire.lower()
