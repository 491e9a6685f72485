"""The pages of a log-in that did not work in, its cause in words and what to do about it out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from prony.plan import Login
from prony.visit.browser import Page
from prony.visit.forms import Form, forms_of, heading, shows_password_field, told

_ALIASES = ("username", "user", "login", "email", "mail", "name")
_SECOND_FACTOR = re.compile(r"otp|totp|one.?time|two.?factor|2fa|mfa|verification.?code", re.IGNORECASE)
_LOCKED = re.compile(
    r"too many (failed )?(log-?in|sign-?in|attempts|requests)|account (is )?locked|rate.?limit", re.IGNORECASE
)
_INACTIVE = re.compile(r"\b(inactive|deactivated|disabled|not (been )?activated|not active)\b", re.IGNORECASE)
_FORWARDED = '[traffic] headers = { X-Forwarded-Proto = "https" }, or whatever the app goes by'
_SEEDED = "the users that your seed makes, with their passwords"
MINTED = 'kind = "minted", which needs no password'


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a log-in did not work, as the rest of a sentence, and the next thing to try."""

    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """One visitor's way in, as far as it came.

    Attributes:
        answer: What came back when the fields were sent; None where none were.
        proof: The protected page as the visitor then saw it.
        why: What is wrong with it: `wrong`'s words.
        secure_cookies: Names of the cookies that may only go over https.
        https: Whether requests say that they came by https.
        secrets: What was filled in: taken out of what pages say.
        sometimes: Whether the proof came right when it was asked for again.
    """

    answer: Page | None
    proof: Page
    why: str
    secure_cookies: tuple[str, ...] = ()
    https: bool = False
    secrets: tuple[str, ...] = ()
    sometimes: bool = False


def wrong(page: Page, login: Login, away: str | None = None) -> str:
    """Why a page is not the protected one as the logged-in see it, as the rest of a sentence; empty where it is.

    Args:
        page: What came when it was asked for.
        login: Its proof and proof_contains.
        away: Where nobody was led from there; None where that is being found out.
    """
    if page.error:
        return f"gave no answer ({page.error})"
    if 300 <= page.status < 400:
        return f"redirects to {_place(page)}"
    if led(page, login) and (away is None or led(page, login) == away):
        return f"leads to {page.path}, like somebody who is not logged in"
    if page.status != 200:
        return f"answers {page.status}"
    if login.proof_contains is not None:
        return "" if login.proof_contains in page.text else "does not hold the text of proof_contains"
    return "asks for a password" if page.kind == "text/html" and shows_password_field(page.text) else ""


def led(page: Page, login: Login) -> str:
    """Where redirects led from the protected page; empty where they did not, or only to the same with a slash."""
    path = _path(page.path)
    return path if page.hops and path != _path(login.proof) else ""


def in_the_way(page: Page, what: str, login: Login | None = None) -> Cause | None:
    """What keeps any page of the stack from being shown: host names, redirects, errors; None where it is there."""
    if page.error:
        return Cause(f"{what} gave no answer ({page.error})", "prony up, and look at it in a browser")
    text = page.text
    if page.status == 400 and ("DisallowedHost" in text or "ALLOWED_HOSTS" in text or len(text) < 400):
        return Cause(
            f"{what} answers 400, which is what an app says to a Host that it does not take for its own "
            "(Django's ALLOWED_HOSTS)",
            '[traffic] host = "shop.example.com", one of those it does',
        )
    if 300 <= page.status < 400:
        return _redirected(page, what)
    if page.status == 429:
        return _LOCK
    if page.status in {404, 405}:
        return Cause(f"{what} answers {page.status}", "another path: prony up, and look for it in a browser")
    if page.status >= 400 and not (login is not None and login.kind == "token"):
        return Cause(f"{what} answers {page.status}{_says(page)}", "prony up, and look at it in a browser")
    return None


def _redirected(page: Page, what: str) -> Cause:
    parts = urlsplit(_place(page))
    if parts.scheme == "https" and len(page.hops) > 1:
        return Cause(f"{what} redirects to https, again and again", _FORWARDED)
    if parts.netloc:
        return Cause(
            f"{what} redirects to another host, {parts.netloc}",
            f'[traffic] host = "{parts.netloc}" where that is the app\'s own name; else {MINTED}',
        )
    return Cause(f"{what} redirects without end")


_LOCK = Cause(
    "the app has locked the visitor out, or lets nobody log in so often",
    f"switch that off under [app] env, a lower `users`, or {MINTED}",
)


def choose(page: Page, login: Login) -> Form | Cause:
    """The form of a log-in page that the fields belong into, or why there is none."""
    try:
        found = forms_of(page.text, login.form)
    except ValueError:
        return Cause(f'form: found "{login.form}", which is no CSS selector', "such as form#login")
    if not found and login.form:
        return Cause(f'no form on {login.page} fits "{login.form}"; it has {_forms_in_words(forms_of(page.text))}')
    if not found:
        return Cause(
            f"there is no form on {login.page} ({page.kind or 'no media type'}, {len(page.body)} bytes): perhaps a "
            "script makes it",
            f'kind = "token" with the address that the script posts to, or {MINTED}',
        )
    fitting = [form for form in found if form.has(login.fields)]
    fitting = [form for form in fitting if form.passwords] or fitting
    if len(fitting) > 1:
        return Cause(
            f"{len(fitting)} forms on {login.page} have these fields",
            'form = "form#login", a CSS selector that chooses one',
        )
    if fitting:
        return fitting[0]
    asking = [form for form in found if form.passwords] or found
    names = list(dict.fromkeys(name for form in asking for name in form.names))
    missing = [name for name in login.fields if not any(form.has([name]) for form in asking)]
    if not missing:
        return Cause(f"no one form on {login.page} has all of these fields; it has {_forms_in_words(asking)}")
    near = next((each for each in names if any(alias in each.lower() for alias in _ALIASES)), "")
    close = missing[0].lower() in _ALIASES and near
    return Cause(
        f"the form on {login.page} has no field called {missing[0]}; its fields are {', '.join(names) or 'none'}",
        f'fields = {{ {near} = "…", … }} in place of {missing[0]}' if close else "the names as they stand in the form",
    )


def _switched_off() -> str:
    return f"switch it off under [app] env, or {MINTED}"


def _forms_in_words(forms: Iterable[Form]) -> str:
    said = [f"one with {', '.join(form.names) or 'no fields'}" for form in forms]
    return ", ".join(said) or "none"


def cause(tried: Tried, login: Login) -> Cause:
    """Why the visitor that was logged in is not, by what the app said."""
    if tried.sometimes:
        return Cause(
            f"{login.proof} is right on some requests and not on others: each process keeps sessions in its own memory",
            "a cache or database that processes share for sessions, or [server] workers = 1",
        )
    answer = tried.answer
    found = _of_answer(answer, tried, login) if answer is not None else None
    found = found or in_the_way(tried.proof, f"the proof page {login.proof}") or _of_proof(tried, login)
    return unsaid(found, tried.secrets)


def unsaid(found: Cause, secrets: Iterable[str]) -> Cause:
    """The cause without what was filled in, should the app have said it again."""
    text = found.text
    for secret in secrets:
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "…", text)
    return replace(found, text=text)


def _of_answer(answer: Page, tried: Tried, login: Login) -> Cause | None:
    """What the answer to the filled-in fields says by itself."""
    text = answer.text
    html = answer.kind == "text/html"
    if answer.status == 429 or _LOCKED.search(told(text) if html else text):
        return _LOCK
    if answer.status in {400, 403} and "csrf" in text.lower():
        return _of_csrf(text, tried)
    if answer.status == 400:
        return Cause(f"the app does not take the form as it is sent: it answers 400{_says(answer)}")
    blocked = in_the_way(answer, "the answer to the log-in", login)
    return blocked or (_of_form(text, login) if html else None)


def _of_form(text: str, login: Login) -> Cause | None:
    """What a page that comes in answer to a form says went wrong; None where it says nothing."""
    if _INACTIVE.search(told(text)):
        return Cause(f'the user is not active: the app says "{told(text)}"', "a user that is")
    again = [form for form in forms_of(text) if form.passwords]
    if any(form.captcha for form in again):
        return Cause("the app asks for a captcha, which is there to keep programs out", _switched_off())
    if again and any(form.has(login.fields) for form in again):
        says = f'the app shows the form again and says "{told(text)}"' if told(text) else "the app shows the form again"
        return Cause(
            f"{says}: most likely no such user, or another password",
            _SEEDED,
        )
    factors = [name for form in forms_of(text) for name in form.names if _SECOND_FACTOR.search(name)]
    if factors or _SECOND_FACTOR.search(heading(text)):
        return Cause(f"the app asks for a second factor ({factors[0] if factors else heading(text)})", _switched_off())
    return None


def _of_csrf(text: str, tried: Tried) -> Cause:
    if "Referer" in text or "Origin checking" in text or "trusted" in text:
        return Cause(
            "the app's CSRF check does not take the page that the form came from",
            '[traffic] host = the name that the app goes by; with X-Forwarded-Proto = "https" in headers where it is '
            "behind https (Django's CSRF_TRUSTED_ORIGINS)",
        )
    why = ""
    if tried.secure_cookies and not tried.https:
        why = f"; its cookie {tried.secure_cookies[0]} is for https only, and the app is spoken to by http"
    remedy = _FORWARDED if why else 'form = "form#login" where the page has several forms; or ' + MINTED
    return Cause(f"the app's CSRF check refused the form{why}", remedy)


def _of_proof(tried: Tried, login: Login) -> Cause:
    """The log-in looked done, and the protected page is not shown."""
    said = f"{login.proof} {tried.why} although nothing went wrong on the way"
    if tried.secure_cookies and not tried.https:
        return Cause(
            f"{said}; the cookie {tried.secure_cookies[0]} is for https only, and the app is spoken to by http",
            _FORWARDED,
        )
    if login.kind == "minted":
        return Cause(
            f"{said}: the app does not take the session for its own",
            "session = { … } as the app's own log-in leaves it, and a proof page that this user may see",
        )
    if login.kind == "basic":
        if tried.proof.status == 401:
            return Cause(f"{login.proof} answers 401: most likely no such user, or another password", _SEEDED)
        return Cause(f"{said}: the app does not heed Authorization: Basic there", 'kind = "form", or ' + MINTED)
    if tried.proof.status == 403:
        return Cause(f"{said}: this user may not see it", "a proof page that every visitor may see once logged in")
    return Cause(said, "prony up, log in with a browser, and name a page that it then shows as proof")


def token_in(answer: Page, path: str) -> str | Cause:
    """What stands at a dotted path of an answer's JSON, or why nothing does; no value is ever said."""
    try:
        found = json.loads(answer.body)
    except ValueError:
        return Cause(f"the answer to the log-in is no JSON but {answer.kind or 'of no media type'} ({answer.status})")
    for name in path.split("."):
        if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
            continue
        if not isinstance(found, dict) or name not in found:
            names = f"; there is {', '.join(sorted(map(str, found))[:20])}" if isinstance(found, dict) else ""
            return Cause(f"the answer to the log-in has nothing at {path}{names}", "token = where it stands, with dots")
        found = found[name]
    if not isinstance(found, str) or not found or not found.isprintable() or not found.isascii():
        return Cause(f"what stands at {path} in the answer to the log-in is no text that a header field can carry")
    return found


def of_token(answer: Page, login: Login) -> Cause | None:
    """What the answer of a log-in that gives tokens says went wrong; None where nothing did."""
    if answer.status in {415, 422} or (answer.status == 400 and "required" in answer.text.lower()):
        other = "form" if login.send == "json" else "json"
        return Cause(
            f"the app does not take the fields as they are sent: it answers {answer.status}{_says(answer)}",
            f'send = "{other}", or the fields by other names',
        )
    if answer.status in {400, 401, 403} and "csrf" not in answer.text.lower():
        return Cause(
            f"the app answers {answer.status}{_says(answer)}: most likely no such user, or another password",
            _SEEDED,
        )
    return _of_answer(answer, Tried(answer, answer, ""), login) or (
        Cause(f"the app answers {answer.status}{_says(answer)}") if answer.status >= 400 else None
    )


def _says(page: Page) -> str:
    """A little of what a page says, where that is fit to be shown."""
    if page.kind == "text/html":
        said = told(page.text) or heading(page.text)
    elif page.kind in {"application/json", "text/plain"}:
        said = " ".join(page.text.split())[:160]
    else:
        said = ""
    return f' and says "{said}"' if said else ""


def _place(page: Page) -> str:
    return (page.hops[-1] if page.hops else page.headers.get("location", "nowhere"))[:100]


def _path(path: str) -> str:
    return path.partition("?")[0].rstrip("/") or "/"
