"""One answer, the facts of the app and its log in; what is wrong with it, why, and what to write to mend it, out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from prony.plan import Expect, refusals
from prony.plan.params import placeholders
from prony.visit.browser import REDIRECTS_MAX, Page
from prony.visit.contents import Contents
from prony.visit.forms import forms_of

# What can be said of an answer: token -> (whether it makes the answer wrong, what it means).
CAUSES: dict[str, tuple[bool, str]] = {
    "no_answer": (True, "No answer came: the connection was closed, or the time ran out."),
    "allowed_hosts": (True, "The app refuses the Host that requests name."),
    "https_redirect": (True, "The app sends whoever comes by http on to https."),
    "other_host": (True, "The app sends the visitor on to another host."),
    "redirect_loop": (True, "Redirects lead in a circle."),
    "trailing_slash": (True, "The app sends on to the same path with or without a slash at its end."),
    "redirect": (True, "The app sends on to another of its pages, so this one measures a redirect."),
    "login": (True, "A log-in page, or a refusal, stands where content should be."),
    "csrf": (True, "The check against forged requests refuses it."),
    "migrations": (True, "A table or column is missing in the database."),
    "static_manifest": (True, "A static file is not in the manifest: they were not collected."),
    "egress": (True, "The app failed as it was kept from reaching a host outside."),
    "exception": (True, "The app raised an exception."),
    "throttled": (True, "The app limits how often one may ask."),
    "method": (True, "The route does not take this method."),
    "unknown_values": (True, "What was put into the path or query is nothing that the app knows."),
    "not_found": (True, "There is no such page."),
    "status": (True, "It answers with a status that is not expected."),
    "unlike_declared": (True, "The answer is not what `expect` says."),
    "static_files": (False, "Style sheets, scripts or images that pages need are not served."),
    "secure_cookies": (False, "Cookies are marked Secure, and a client on http does not send them back."),
    "debug": (False, "The app runs in debug mode, which costs time and memory and tells its code to strangers."),
    "refused": (False, "The app tried to reach a host outside, and went on without it."),
    "empty": (False, "The page lists nothing: the data may be missing."),
    "type": (False, "The content is not of the type that its header says."),
    "unsteady": (False, "Two visits to the same page got answers of another kind or title."),
    "routes": (False, "The app's routes could not be read from its framework."),
    "values": (False, "Values for parameters could not be read from the database."),
}
_LOGIN_PATH = re.compile(r"log-?in|sign-?in|auth|sso|accounts?/|session|register|sign-?up|password|join", re.IGNORECASE)
_EXCEPTION = re.compile(r"(?:\[[^\]]*\] )*((?:[A-Za-z_]\w*\.)*[A-Z]\w*)(?:: .*)?")
_RAISED = re.compile(
    r"(?:Error|Exception|DoesNotExist|DisallowedHost|Timeout|ImproperlyConfigured|NotFound|Refused|Undefined\w+)$"
)
_MISSING_TABLE = re.compile(
    r"no such (?:table|column): [\w.]+|relation \"?[\w.]+\"? does not exist|column \"?[\w.]+\"? does not exist|"
    r"Table '[\w.]+' doesn't exist|Unknown column '[\w.]+'"
)
_MANIFEST = re.compile(
    r"Missing staticfiles manifest entry for '([^']+)'|asset[^.]{0,60}not (?:found )?in (?:the )?manifest",
    re.IGNORECASE,
)
_CSRF = re.compile(r"CSRF (?:verification failed|token|cookie)|CSRFError", re.IGNORECASE)


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that was found out.

    Attributes:
        cause: One of `CAUSES`.
        wrong: Whether the answer is not the right one; else it is worth knowing.
        text: It in a sentence.
        remedy: The key or command to write.
    """

    cause: str
    wrong: bool
    text: str
    remedy: str = ""


def finding(cause: str, text: str, remedy: str = "") -> Finding:
    """A finding, wrong or to be noted as its cause is."""
    return Finding(cause=cause, wrong=CAUSES[cause][0], text=text, remedy=remedy)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the app whose answers are judged.

    Attributes:
        framework: "django", "flask", "fastapi", "starlette", or nothing known.
        settings: Its framework's, as `prony_gauge.routes` told them.
        host: The Host that requests name.
        headers: Header fields that they carry, names in small letters.
        login: Whether the plan says how to log in.
        proxied: Whether a proxy stands in front.
    """

    framework: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    host: str = "127.0.0.1"
    headers: Mapping[str, str] = field(default_factory=dict)
    login: bool = False
    proxied: bool = False

    @property
    def debug(self) -> bool:
        """Whether it is in debug mode."""
        return bool(self.settings.get("debug"))


@dataclass(frozen=True, slots=True)
class Visit:
    """One answer that is to be judged.

    Attributes:
        asked: The path that was asked for; the page's own is where redirects led.
        template: Of its route.
        page: The answer.
        contents: What is on it.
        log: What the app logged meanwhile.
        error: The exception that the app meets there, where that was found out otherwise.
        refused: What the app was kept from meanwhile, as "host:port at shop/mail.py:12".
        expect: What the user declared; None where nothing.
    """

    asked: str
    page: Page
    template: str = ""
    contents: Contents = field(default_factory=Contents)
    log: tuple[str, ...] = ()
    error: str = ""
    refused: tuple[str, ...] = ()
    expect: Expect | None = None


def diagnose(visit: Visit, facts: Facts) -> tuple[Finding, ...]:
    """Everything that is to be said of one answer: at most one thing that is wrong with it, then notes."""
    wrong = next(_wrong(visit, facts), None)
    notes = tuple(_notes(visit, facts)) if wrong is None or wrong.cause not in {"no_answer", "allowed_hosts"} else ()
    return (*((wrong,) if wrong else ()), *notes)


def _wrong(visit: Visit, facts: Facts) -> Iterator[Finding]:
    page = visit.page
    if page.status == 0:
        text = f"no answer came ({page.error})" + _because(visit)
        yield finding("no_answer", text, "prony up, and the log it shows")
    if visit.expect is not None and page.status in visit.expect.status and not page.hops:
        yield from _unlike(visit, visit.expect)
        return
    for judge in _JUDGES:
        yield from judge(visit, facts)


def _redirected(visit: Visit, facts: Facts) -> Iterator[Finding]:
    page = visit.page
    if not page.hops:
        return
    if visit.expect is not None and 300 <= min(visit.expect.status) < 400:
        return
    first = page.hops[0]
    own = facts.host.partition(":")[0]
    if urlsplit(first).scheme == "https" and urlsplit(first).hostname in {own, "127.0.0.1", "localhost"}:
        name, value = facts.settings.get("https_header") or ("X-Forwarded-Proto", "https")
        setting = " (SECURE_SSL_REDIRECT)" if facts.settings.get("ssl_redirect") else ""
        remedy = f'[traffic] headers = {{ {name} = "{value}" }}'
        if facts.framework == "django" and not facts.settings.get("https_header"):
            remedy += ", which needs SECURE_PROXY_SSL_HEADER in its settings; or the setting off, by [app] env"
        yield finding("https_redirect", f"sends on to https{setting}", remedy)
    if any("://" in hop and urlsplit(hop).hostname not in {own, "127.0.0.1", "localhost"} for hop in page.hops):
        away = next(urlsplit(hop).hostname for hop in page.hops if "://" in hop and urlsplit(hop).hostname != own)
        yield finding("other_host", f"sends on to {away}", f'[traffic] host = "{away}"')
    if len(page.hops) > REDIRECTS_MAX:
        yield finding(
            "redirect_loop", f"redirects lead in a circle ({' → '.join(page.hops[:3])} → …)", "prony up, and a browser"
        )
    if visit.contents.login or _LOGIN_PATH.search(urlsplit(page.hops[-1]).path):
        yield _login(visit, facts, f"sends on to {_short(page.path.partition('?')[0])}, to log in")
    bare, there = visit.asked.partition("?")[0], page.path.partition("?")[0]
    if bare.rstrip("/") == there.rstrip("/") and bare != there:
        yield finding(
            "trailing_slash", f"sends on to the same path as {_short(there)}", f'[[traffic.request]] path = "{there}"'
        )
    text = f"sends on to {_short(page.path)}, so only a redirect would be measured"
    yield finding("redirect", text, f'[[traffic.request]] path = "{page.path}"')


def _login(visit: Visit, facts: Facts, text: str) -> Finding:
    remedy = "[login]: what it says does not reach this page; another user may be needed"
    return finding("login", text, remedy if facts.login else f"[login] {_log_in(visit)}")


def _log_in(visit: Visit) -> str:
    """The keys of [login] as they would be for this page's form, as far as it shows one."""
    form = next((each for each in forms_of(visit.page.text[:200_000]) if each.passwords), None)
    if form is None:
        return f'page = …, fields = {{ … }}, proof = "{visit.asked}"; or kind = "token" or "basic"'
    fields = ", ".join(f'{name} = "…"' for name in form.names[:4])
    return f'page = "{visit.page.path.partition("?")[0]}", fields = {{ {fields} }}, proof = "{visit.asked}"'


def _host_refused(visit: Visit, facts: Facts) -> Iterator[Finding]:
    if visit.page.status != 400:
        return
    said = "\n".join([visit.page.text[:200_000], *visit.log, visit.error])
    hosts = [str(each) for each in facts.settings.get("allowed_hosts", ())]
    told = "DisallowedHost" in said or "Invalid HTTP_HOST" in said or "Invalid host header" in said
    if told or (facts.framework == "django" and not _allowed(facts.host, hosts, debug=facts.debug)):
        usable = next((each.lstrip(".") for each in hosts if each not in {"*", "localhost", "127.0.0.1", "[::1]"}), "")
        usable = usable or next(iter(hosts), "") or "shop.example.com"
        listed = (
            f" (ALLOWED_HOSTS has {', '.join(hosts[:5]) or 'nothing in it'})" if facts.framework == "django" else ""
        )
        yield finding(
            "allowed_hosts", f"refuses the host {facts.host.partition(':')[0]}{listed}", f'[traffic] host = "{usable}"'
        )


def _allowed(host: str, allowed: list[str], *, debug: bool) -> bool:
    """Django's own rule."""
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    allowed = allowed or ([".localhost", "127.0.0.1", "[::1]"] if debug else [])
    return any(
        each == "*" or each.lower() == name.lower() or (each[:1] == "." and ("." + name.lower()).endswith(each.lower()))
        for each in allowed
    )


def _client_error(visit: Visit, facts: Facts) -> Iterator[Finding]:
    status, body = visit.page.status, visit.page.text[:200_000]
    if status == 403 and _CSRF.search(body):
        yield finding(
            "csrf",
            "the check against forged requests refuses it (CSRF)",
            "leave it out: it wants a form that was asked for before",
        )
    if status in {401, 403, 407}:
        yield _login(visit, facts, f"answers {status}: only for those who are logged in, or allowed to")
    if status in {404, 422} or (status == 400 and placeholders(visit.template)):
        names = placeholders(visit.template)
        if names or status == 422:
            wants = ", ".join(names) or "its query"
            key = names[0] if names else "q"
            yield finding(
                "unknown_values",
                f"answers {status}: nothing is known that {wants} may be",
                f'params = {{ {key} = ["…"] }} beside [[traffic.request]] path = "{visit.template}"',
            )
        yield finding("not_found", "answers 404: there is no such page", "another path, or leave it out")
    if status == 405:
        yield finding("method", "answers 405: it does not take this method", "leave it out of the mix")
    if status == 429:
        yield finding(
            "throttled",
            "answers 429: the app limits how often one may ask",
            "its limit raised for the test, by [app] env",
        )


def _server_error(visit: Visit, facts: Facts) -> Iterator[Finding]:
    if visit.page.status < 500:
        return
    said = visit.error or exception_in(visit.log) or _debug_page(visit.page.text)
    everything = "\n".join([visit.error, *visit.log, said])
    missing = _MISSING_TABLE.search(everything)
    if missing:
        command = (
            "python manage.py migrate --noinput" if facts.framework == "django" else "…the command that makes tables…"
        )
        yield finding("migrations", f"the database lacks it: {missing[0]}", f'[app] prepare = ["{command}"]')
    manifest = _MANIFEST.search(everything)
    if manifest:
        yield finding(
            "static_manifest",
            f"a static file was not collected: {manifest[1] or manifest[0]}",
            '[app] prepare = [ …, "python manage.py collectstatic --noinput" ]',
        )
    if visit.refused:
        host = visit.refused[0].partition(" at ")[0]
        where = visit.refused[0].partition(" at ")[2]
        yield finding(
            "egress",
            f"answers {visit.page.status}: tried to reach {host}" + (f" from {where}" if where else ""),
            f'[app] egress = ["{refusals.read(visit.refused[0]).opened}"], or [services.NAME] to stand in for it',
        )
    text = f": {said}" if said else ", and its log does not say why"
    yield finding("exception", f"answers {visit.page.status}{text}", "prony up, and the log it shows")


def _asks_for_login(visit: Visit, facts: Facts) -> Iterator[Finding]:
    if visit.contents.login and not _LOGIN_PATH.search(f"{visit.template or visit.asked}"):
        yield _login(visit, facts, "a page that asks for a password stands where content should be")


def _other_status(visit: Visit, _: Facts) -> Iterator[Finding]:
    wanted = visit.expect.status if visit.expect else (200,)
    if visit.page.status not in wanted and not (visit.expect is None and 200 <= visit.page.status < 300):
        yield finding(
            "status",
            f"answers {visit.page.status}, not {' or '.join(map(str, wanted))}",
            f"expect = {{ status = {visit.page.status} }} where that is right",
        )


def _unlike(visit: Visit, expect: Expect) -> Iterator[Finding]:
    """What the user declared and can be looked at here."""
    page = visit.page
    lacks = []
    if expect.contains is not None and expect.contains.encode() not in page.body:
        lacks.append(f"“{expect.contains[:60]}” is not in it")
    if expect.type is not None and page.kind != expect.type.lower():
        lacks.append(f"its type is {page.kind or 'not given'}, not {expect.type}")
    if expect.min_bytes is not None and len(page.body) < expect.min_bytes:
        lacks.append(f"it has {len(page.body)} bytes, not {expect.min_bytes}")
    if expect.max_bytes is not None and len(page.body) > expect.max_bytes:
        lacks.append(f"it has {len(page.body)} bytes, more than {expect.max_bytes}")
    if expect.matches is not None and not re.search(expect.matches, page.text):
        lacks.append(f"nothing in it matches {expect.matches[:60]}")
    if lacks:
        yield finding("unlike_declared", f"is not what was declared: {'; '.join(lacks)}", "expect = { … }, or the app")


_JUDGES: tuple[Callable[[Visit, Facts], Iterator[Finding]], ...] = (
    _host_refused,
    _redirected,
    _client_error,
    _server_error,
    _asks_for_login,
    _other_status,
)


def _notes(visit: Visit, facts: Facts) -> Iterator[Finding]:
    page, contents = visit.page, visit.contents
    right = 200 <= page.status < 300
    secure = [
        line
        for line in page.headers.get("set-cookie", "").splitlines()
        if re.search(r";\s*secure\b", line, re.IGNORECASE)
    ]
    if secure and facts.headers.get("x-forwarded-proto", "").lower() != "https":
        names = ", ".join(line.partition("=")[0] for line in secure[:3])
        yield finding(
            "secure_cookies",
            f"sets {names} for https only: a browser on http would not send it back (prony does)",
            '[traffic] headers = { X-Forwarded-Proto = "https" }',
        )
    if right and contents.nothing:
        yield finding("empty", f"lists nothing ({contents.nothing})", "[app] prepare with a command that makes data")
    if visit.refused and right:
        kept = refusals.read(visit.refused[0])
        yield finding("refused", f"tried to reach {kept.place}, and was refused", f'[app] egress = ["{kept.opened}"]')
    if right and (text := _mistyped(page)):
        yield finding("type", text, "the view's content type")


def _mistyped(page: Page) -> str:
    begins = page.body[:200].lstrip().lower()
    if page.body and not page.kind:
        return "names no content type"
    if page.kind.endswith("json") and begins.startswith(b"<"):
        return f"says {page.kind}, and holds markup"
    if page.kind == "text/html" and begins[:1] in {b"{", b"["} and begins.rstrip()[:1] != b"<":
        return "says text/html, and holds JSON"
    return ""


def _because(visit: Visit) -> str:
    said = exception_in(visit.log)
    return f"; the log says {said}" if said else ""


def exception_in(log: tuple[str, ...]) -> str:
    """The last exception that a log tells: the line that ends its traceback."""
    for line in reversed(log):
        match = _EXCEPTION.fullmatch(line.strip())
        if match and _RAISED.search(match[1]) and not line.startswith((" ", "\t")):
            return " ".join(line.split())[:300]
    return ""


def _debug_page(text: str) -> str:
    """The exception that a debug page of Django, Flask or Starlette shows."""
    title = re.search(r"<title>\s*(.*?)\s*</title>", text, re.DOTALL | re.IGNORECASE)
    value = re.search(r'class="(?:exception_value|errormsg)"[^>]*>\s*(.*?)\s*<', text, re.DOTALL)
    name = re.split(r"\s+at\s+/|\s*//\s*|:", " ".join(title[1].split()))[0] if title else ""
    if not value and not _RAISED.search(name):
        return ""
    what = " ".join(value[1].split())[:300] if value else ""
    return f"{name}: {what}".strip(": ") if _RAISED.search(name) else what


def _short(path: str) -> str:
    return path if len(path) <= 80 else path[:77] + "…"
