"""A running start and a [login] table in, the header fields of visitors who are logged in out, each one proved."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from concurrent.futures import TimeoutError as LateError
from urllib.parse import urlencode

from prony.errors import StackError
from prony.plan import Login, Plan
from prony.plan.login import ALL
from prony.recording.store import redacted
from prony.stack.stack import Stack, Start
from prony.visit import causes
from prony.visit.browser import AGENT, Browser, Page, Visitor
from prony.visit.causes import Cause, Tried

PARALLEL = 4  # one password hash is a third of a second of one core
BASE_S, EACH_S = 60.0, 3.0
AGAIN = 5
Fields = dict[str, str]


def log_in(stack: Stack, start: Start, plan: Plan, say: Callable[[str], None] = lambda _: None) -> tuple[Fields, ...]:
    """The header fields of every visitor of the plan's [login], none where it has none: Cookie, Authorization.

    The protected page is asked for as nobody first, and must not be shown; then as each visitor, and must be.

    Args:
        stack: Runs `start`.
        start: Whose entrance is used: sessions last as long as it does.
        plan: Its login and its traffic's Host and header fields.
        say: Hears how far it is: "logging in 12 of 50".

    Raises:
        StackError: somebody could not be logged in, or the page proves nothing; what it says holds no secret.
    """
    login = plan.login
    if login is None:
        return ()
    with Browser(stack.launcher, start.port, plan.traffic) as browser:
        desk = _Desk(browser, plan, login)
        desk.check_proof()
        minted = _mint(stack, plan, login) if login.kind == "minted" else []
        total = len(minted) or login.users
        deadline_s = time.monotonic() + BASE_S + EACH_S * total
        say(f"logging in 1 of {total}")
        # one alone to begin with: where the password is wrong, it is tried once and locks nobody out
        found = {1: desk.enter(1, minted)}
        pool = ThreadPoolExecutor(PARALLEL)
        try:
            waiting: dict[Future[Fields], int] = {pool.submit(desk.enter, n, minted): n for n in range(2, total + 1)}
            for done in as_completed(waiting, max(0.1, deadline_s - time.monotonic())):
                found[waiting[done]] = done.result()
                say(f"logging in {len(found)} of {total}")
        except LateError as error:
            raise StackError(
                f"[login]: {len(found)} of {total} visitors were logged in after {BASE_S + EACH_S * total:.0f} s, and "
                "no more are waited for.",
                hint=f"fewer users, or {causes.MINTED}",
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)
    return tuple(found[number] for number in sorted(found))


def as_visitor(browser: Browser, fields: Mapping[str, str]) -> Visitor:
    """A visitor with the header fields of one who was logged in."""
    visitor = browser.visitor()
    for name, value in fields.items():
        if name == "Cookie":
            for pair in value.split("; "):
                visitor.cookies.update([pair.partition("=")[::2]])
        else:
            visitor.fields[name] = value
    return visitor


class _Desk:
    """Where visitors are logged in, and what they then see is looked at."""

    def __init__(self, browser: Browser, plan: Plan, login: Login) -> None:
        self._browser = browser
        self._login = login
        self._source = plan.source
        headers = {name.lower(): value.lower() for name, value in plan.traffic.headers.items()}
        self._https = "https" in headers.values() or "proto=https" in headers.get("forwarded", "")
        self._https |= headers.get("x-forwarded-ssl") == "on"
        self._away = ""

    def check_proof(self) -> None:
        """The protected page must not be shown to nobody."""
        login = self._login
        page = self._browser.visitor().get(login.proof)
        blocked = causes.in_the_way(page, f"the proof page {login.proof}")
        if blocked is not None and (page.error or page.status == 400 or page.status >= 500):
            raise self._error("nobody can be logged in", blocked)
        self._away = causes.led(page, login)
        if not causes.wrong(page, login):
            text = ", and holds the text of proof_contains" if login.proof_contains else ""
            raise self._error(
                f"the proof page {login.proof} proves nothing",
                Cause(
                    f"it is shown to a visitor who is not logged in, too{text}",
                    "proof = a page that only the logged-in see, or proof_contains = a text that only they see on it",
                ),
            )

    def enter(self, number: int, minted: list[Fields]) -> Fields:
        """Logs visitor `number` in and proves it; the header fields that make it who it is."""
        visitor = self._browser.visitor()
        login = self._login
        answer: Page | None = None
        if login.kind == "minted":
            visitor.cookies.update(minted[number - 1])
        elif login.kind == "basic":
            pair = f"{login.filled(number, login.user)}:{login.filled(number, login.password)}"
            visitor.fields["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        elif login.kind == "token":
            answer = self._post_for_token(visitor, number)
        else:
            answer = self._fill_form(visitor, number)
        proof = visitor.get(login.proof)
        why = causes.wrong(proof, login, self._away)
        fields = {name: value for name, value in visitor.fields.items() if name in {"Authorization", login.header}}
        if visitor.cookies:
            fields["Cookie"] = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
        # once more, by connections of their own: perhaps another process answers, and knows nothing of the session
        again = [self._right(fields) for _ in range(AGAIN)] if why or number == 1 else []
        if why or not all(again):
            secure = tuple(sorted(visitor.secure))
            tried = Tried(answer, proof, why, secure, self._https, self._secrets(number), not why or any(again))
            raise self._error(f"visitor {number} could not be logged in", causes.cause(tried, login))
        return fields

    def _right(self, fields: Fields) -> bool:
        """Whether somebody with these header fields is shown the protected page."""
        page = as_visitor(self._browser, fields).get(self._login.proof)
        return not causes.wrong(page, self._login, self._away)

    def _fill_form(self, visitor: Visitor, number: int) -> Page:
        login = self._login
        page = visitor.get(login.page)
        blocked = causes.in_the_way(page, f"the log-in page {login.page}", login)
        form = blocked or causes.choose(page, login)
        if isinstance(form, Cause):
            raise self._error(f"visitor {number} could not be logged in", form)
        action = self._browser.own(form.action, page.path)
        if action is None:
            elsewhere = Cause(f"the form on {login.page} is sent to another host", causes.MINTED)
            raise self._error(f"visitor {number} could not be logged in", elsewhere)
        filled = form.values | self._filled(number)
        # over https Django asks whence the form came
        fields = {"Referer": f"{'https' if self._https else 'http'}://{self._browser.host}{page.path}"}
        if form.method == "GET":
            return visitor.ask("GET", f"{action.partition('?')[0]}?{urlencode(filled)}", fields=fields)
        return visitor.ask("POST", action, form=filled, fields=fields)

    def _post_for_token(self, visitor: Visitor, number: int) -> Page:
        login = self._login
        filled = self._filled(number)
        if login.send == "json":
            answer = visitor.ask("POST", login.page, json=filled)
        else:
            answer = visitor.ask("POST", login.page, form=filled)
        wrong = causes.of_token(answer, login)
        token = wrong or causes.token_in(answer, login.token)
        if isinstance(token, Cause):
            if wrong is None and visitor.cookies:  # a log-in that gives a cookie and no token: the proof tells
                return answer
            raise self._error(f"visitor {number} could not be logged in", causes.unsaid(token, self._secrets(number)))
        visitor.fields[login.header] = f"{login.scheme} {token}".strip()
        return answer

    def _filled(self, number: int) -> Fields:
        return {name: self._login.filled(number, text) for name, text in self._login.fields.items()}

    def _secrets(self, number: int) -> tuple[str, ...]:
        login = self._login
        return tuple(filter(None, (*self._filled(number).values(), login.filled(number, login.password))))

    def _error(self, what: str, why: Cause) -> StackError:
        return StackError(f"{self._source}: [login]: {what}: {why.text}.", hint=why.remedy)


def _mint(stack: Stack, plan: Plan, login: Login) -> list[Fields]:
    """The cookies of each visitor, made by the app's own code with no password."""
    numbers = range(1, login.users + 1)
    try:
        sessions = [login.filled_session(number) for number in numbers]
    except ValueError as error:
        raise StackError(f"{plan.source}: [login] session: a value that should be a number is none.") from error
    names = [row["username"] for row in login.rows if "username" in row]
    task = {
        "entry": plan.server.entry or plan.app.entry,
        "users": 0 if login.users == ALL else login.users,
        "names": names,
        "sessions": sessions,
        "agent": next((v for name, v in plan.traffic.headers.items() if name.lower() == "user-agent"), AGENT),
    }
    answer = stack.ask("minting", task, BASE_S + EACH_S)
    if "error" in answer:
        raise StackError(
            f"{plan.source}: [login]: no session could be made: {redacted(answer['error'])}.", hint=answer["try"]
        )
    cookies: list[Fields] = answer["cookies"]
    return cookies
