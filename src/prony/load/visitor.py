"""What a journey asks of its visitor in, one step after the other out: pages asked for, links followed, forms sent.

A journey is an `async def` that is given a visitor and awaits nothing but what the visitor does. Each request is a
sample of its own, also those of redirects, which are followed within the stack, at most `REDIRECTS_MAX` of them.
"""

from __future__ import annotations

import math
import random
import time
import types
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

import msgspec

from prony.load.cookies import CookieJar
from prony.load.fields import encoded, urlencoded
from prony.load.forms import FormError
from prony.load.pages import Answer, Page, StepFailed
from prony.load.site import KEPT_BYTES_IN_ALL_MAX, Site
from prony.samples import CHECK_FAILED, WRONG_STATUS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping

    from prony.load.checks import Checks
    from prony.load.fields import Value
    from prony.load.mix import Route

REDIRECTS_MAX: Final = 5
PAUSE_MAX_S: Final = 3600.0
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))

Order = tuple["Route", bytes] | int  # a request to send, or nanoseconds to pause


@types.coroutine
def _hand_over(order: Order) -> Generator[Order, Any, Any]:
    """Have the load see to it: an `Answer` for a request, nothing for a pause. Raises StepFailed."""
    return (yield order)


class Visitor:
    """Somebody on the way through the app, with cookies of their own.

    Attributes:
        page: What they see: the latest answer, None before the first.
        user: Their row of the journey's CSV file, by its heads; empty where it names none.
        number: Which of the load's visitors this is: counted from 0, or a closed loop's user.
        cookies: What they were given.
    """

    def __init__(
        self, site: Site, number: int, seed: int, user: Mapping[str, str], blame: Callable[[StepFailed], None]
    ) -> None:
        self.page: Page | None = None
        self.user = user
        self.number = number
        self.cookies = CookieJar()
        self._site = site
        self._seed = seed
        self._random: random.Random | None = None
        self._blame = blame
        self._name = ""
        self._fields: Mapping[str, str] = {}

    @property
    def random(self) -> random.Random:
        """Chance, the same in each load of the same seed."""
        if self._random is None:
            self._random = random.Random(self._seed)  # noqa: S311 - no secret hangs on it
        return self._random

    def bear(self, fields: Mapping[str, str]) -> None:
        """Begin as somebody who is logged in: their cookies are kept, other fields of theirs go with each request."""
        for name, value in fields.items():
            if name.lower() == "cookie":
                for pair in value.split("; "):
                    self.cookies.keep(f"{pair}; Path=/", "/", 0.0)
            else:
                self._fields = {**self._fields, name: value}

    # ---- steps

    async def get(
        self,
        path: str,
        *,
        name: str | None = None,
        expect: int | Collection[int] | None = None,
        headers: Mapping[str, str] | None = None,
        follow: bool = True,
    ) -> Page:
        """Ask for a page.

        Args:
            path: Path and query, or a URL of the stack's own.
            name: What results call it; default: its path, numbers and keys in it taken out.
            expect: The status or statuses that are right; default: 200 to 299, or a redirect that is not followed.
            headers: Header fields of this request.
            follow: Whether redirects are followed.
        """
        return await self.ask("GET", path, name=name, expect=expect, headers=headers, follow=follow)

    async def post(
        self,
        path: str,
        *,
        form: Mapping[str, str] | None = None,
        json: Any = None,
        body: bytes | None = None,
        name: str | None = None,
        expect: int | Collection[int] | None = None,
        headers: Mapping[str, str] | None = None,
        follow: bool = True,
    ) -> Page:
        """Send something without a form on a page: fields, JSON or bytes (with a Content-Type among `headers`)."""
        content: tuple[bytes, str] | None = None
        if json is not None:
            content = msgspec.json.encode(json), "application/json"
        elif form is not None:
            content = urlencoded(form.items()).encode(), "application/x-www-form-urlencoded"
        elif body is not None:
            content = body, ""
        return await self.ask(
            "POST", path, content=content, name=name, expect=expect, headers=headers, follow=follow, referer=self._here
        )

    async def follow(
        self,
        selector: str,
        *,
        at_random: bool = False,
        name: str | None = None,
        expect: int | Collection[int] | None = None,
    ) -> Page:
        """Follow a link of the page: the first that a CSS selector finds, or any of them.

        The step fails where there is none, or where it leads out of the stack.
        """
        page = self._seen()
        found = [node for node in page.all(selector) if node.attributes.get("href") is not None]
        if not found:
            self._fail(f"there is no link {selector} on {self._name}")
        node = self.random.choice(found) if at_random else found[0]
        target = self._own(node.attributes["href"] or "", page)
        return await self.ask("GET", target, name=name, expect=expect, referer=page.path)

    async def submit(
        self,
        selector: str,
        values: Mapping[str, Value] | None = None,
        /,
        *,
        button: str | None = None,
        name: str | None = None,
        expect: int | Collection[int] | None = None,
        **fields: Value,
    ) -> Page:
        """Send a form of the page as a browser does, with its hidden fields and what stands in it already.

        Args:
            selector: A CSS selector of the form, or of something within it.
            values: What is put in, by the fields' names; `prony.load.forms.Form.fill` says how.
            button: Name, value or words of the button pressed; default: the first.
            name: What results call it.
            expect: As in `get`.
            fields: More of `values`, where names can be written so: `qty=2`.
        """
        page = self._seen()
        try:
            form, sent = page.form(selector, self._site.forms, self._name).fill({**(values or {}), **fields}, button)
        except FormError as error:
            self._fail(f"{self._name}: {error}")
        except StepFailed as error:
            self._fail(f"{self._name}: {error.why}")
        target = self._own(form.action, page) if form.action else page.path
        if form.method == "get":
            target = f"{target.partition('?')[0]}?{urlencoded(sent, form.charset)}"
            return await self.ask("GET", target, name=name, expect=expect, referer=page.path)
        content = encoded(sent, form.kind, form.charset)
        return await self.ask("POST", target, content=content, name=name, expect=expect, referer=page.path)

    async def log_in(
        self,
        path: str,
        values: Mapping[str, Value] | None = None,
        /,
        *,
        proof: str,
        form: str = "input[type=password]",
        button: str | None = None,
        **fields: Value,
    ) -> Page:
        """Log in by a form, and prove it by a page that strangers are not shown; its answer is the page afterwards.

        Args:
            path: Of the page with the form.
            values: What is put into the form.
            proof: Path of a page that only those who are logged in get with a status of 200. Once in a load it is asked
                for before logging in, too: one that everybody is shown proves nothing.
            form: A CSS selector; default: the form that asks for a password.
            button: As in `submit`.
            fields: More of `values`.
        """
        if proof not in self._site.protected:
            self._site.protected.add(proof)
            stranger = await self.ask("GET", proof, expect=range(200, 600), follow=False)
            if stranger.status < 300:
                self._site.protected.discard(proof)
                self._fail(f"{self._name} is shown to strangers too: it does not prove a log-in")
        await self.get(path)
        await self.submit(form, {**(values or {}), **fields}, button=button)
        page = await self.ask("GET", proof, expect=range(200, 600), follow=False)
        if page.status >= 300:
            to = page.headers.get("location")
            self._fail(f"the log-in did not work: {self._name} answers {page.status}" + (f", to {to}" if to else ""))
        return page

    async def pause(self, seconds: float, most: float | None = None, *, sigma: float | None = None) -> None:
        """Let time pass before the next step is due.

        Args:
            seconds: How long.
            most: With it, evenly between the two.
            sigma: With it, lognormally: `seconds` is the median, sigma the standard deviation of the logarithm.
        """
        if most is not None:
            seconds = self.random.uniform(seconds, most)
        elif sigma is not None:
            seconds *= math.exp(sigma * self.random.gauss(0, 1))
        if not seconds >= 0:
            raise ValueError(f"a pause lasts 0 seconds or more, not {seconds}")
        await _hand_over(round(min(seconds, PAUSE_MAX_S) * 1e9))

    # ---- what is expected

    def see(self, text: str) -> None:
        """The page must contain a text: as it stands, or as a reader of the HTML sees it."""
        page = self._seen()
        try:
            there = page.has(text)
        except StepFailed as error:
            self._fail(f"{self._name}: {error.why}")
        if not there:
            self._fail(f'{self._name}: the page does not contain "{text[:60]}"')

    def check(self, holds: object, what: str) -> None:
        """Something must hold, or the step was wrong: `what` says what it lacked."""
        if not holds:
            self._fail(f"{self._name}: {what}")

    # ---- how

    async def ask(
        self,
        method: str,
        path: str,
        *,
        content: tuple[bytes, str] | None = None,
        name: str | None = None,
        expect: int | Collection[int] | None = None,
        headers: Mapping[str, str] | None = None,
        follow: bool = True,
        referer: str = "",
        checks: Checks | None = None,
    ) -> Page:
        """Any request: `content` is a body and its type; the rest is as in `get`.

        With `checks`, the page's `lacks` says what they find, and its body is not kept.

        Raises:
            StepFailed: It did not come to what was expected. The sample says how, whether or not this is caught.
        """
        site = self._site
        target = site.own(path, "/" if self.page is None else self.page.path)
        if target is None:
            raise ValueError(f"{path!r} is no page of the stack")
        if self._fields:
            headers = {**self._fields, **(headers or {})}
        expected = (expect,) if isinstance(expect, int) else expect
        hops = 0
        while True:
            route = site.route(method, target, name, checks)
            self._name = site.names[route.number]
            cookie = self.cookies.header(target, time.time()) if self.cookies else ""
            answer: Answer = await _hand_over((route, site.wire((method, target), cookie, referer, headers, content)))
            status = answer.status
            location = self._take(target, answer)
            if expected is not None and status in expected:
                break
            if location is None or not follow:
                if expected is not None or not 200 <= status < (300 if follow else 400):
                    self._fail("", WRONG_STATUS)
                break
            target = self._onward(location, target, hops)
            hops += 1
            if status < 307 and method != "HEAD":
                method, content = "GET", None
            name = None
        assert self.page is not None  # noqa: S101 - _take has put it there
        return self.page

    def _take(self, target: str, answer: Answer) -> str | None:
        """An answer has come: keep its cookies, show its page; returns where it redirects to, if it does."""
        site = self._site
        location = None
        for name, value in answer.heads:
            size = len(name)
            if size == 10 and name.lower() == b"set-cookie":
                self.cookies.keep(value.decode("latin-1"), target, time.time())
                if self.cookies.secure:
                    site.secure_cookie(self.cookies.secure)
            elif size == 8 and answer.status in _REDIRECTS and name.lower() == b"location":
                location = value.decode("latin-1")
        if answer.body is not None and site.kept_bytes + len(answer.body) > KEPT_BYTES_IN_ALL_MAX:
            answer = answer._replace(body=None)
        self.leave()
        self.page = page = Page(target, answer)
        site.kept_bytes += page.kept_bytes
        return location

    def leave(self) -> None:
        """See no page any more."""
        if self.page is not None:
            self._site.kept_bytes -= self.page.kept_bytes
            self.page = None

    def _onward(self, location: str, target: str, hops: int) -> str:
        if hops == REDIRECTS_MAX:
            self._fail(f"{self._name}: more than {REDIRECTS_MAX} redirects, one after the other")
        onward = self._site.own(location, target)
        if onward is None:
            self._fail(f"{self._name}: it redirects out of the stack{_host_of(location)}, where no load goes")
        return onward

    def _own(self, location: str, page: Page) -> str:
        target = self._site.own(location, page.path)
        if target is None:
            self._fail(f"a link on {self._name} leads out of the stack{_host_of(location)}, where no load goes")
        return target

    @property
    def _here(self) -> str:
        return "" if self.page is None else self.page.path

    def _seen(self) -> Page:
        if self.page is None:
            raise ValueError("the visitor has seen no page yet: a journey begins with `await visitor.get(…)`")
        return self.page

    def _fail(self, why: str, outcome: int = CHECK_FAILED) -> NoReturn:
        failed = StepFailed(outcome, why)
        self._blame(failed)
        try:
            raise failed
        finally:
            del failed  # it holds this frame: without the collector, neither would ever go


def _host_of(location: str) -> str:
    """The host of a link, as the end of a sentence."""
    try:
        host = urlsplit(location).hostname
    except ValueError:
        host = None
    return f", to {host[:80]}" if host else ""
