"""A running start and its plan in, every page of the mix visited and judged, and what right answers are, out."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from msgspec import structs

import prony
from prony.app.routes import AppRoutes
from prony.plan import Expect, Plan, Request
from prony.plan.params import PATHS_MAX, placeholders
from prony.recording import now_text
from prony.stack.stack import Stack, Start
from prony.traffic.learned import Learned, LearnedRoute, LeftOut
from prony.visit.browser import EVENTS, Browser, Page
from prony.visit.candidates import REASONS, Candidate, declared, offered
from prony.visit.contents import contents_of
from prony.visit.crawl import FILES_MAX, Crawl, crawl
from prony.visit.diagnosis import CAUSES, Facts, Finding, finding
from prony.visit.expectation import expectation_of
from prony.visit.files import lost_files
from prony.visit.inside import app_routes
from prony.visit.login import log_in
from prony.visit.params import resolve
from prony.visit.results import Checked
from prony.visit.visits import SEVERAL, Answers, Place, Round

SECONDS_MAX = 120.0
_REFUSED = {"not_found", "status", "method"}


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything a check found: `findings` are of the app as a whole."""

    routes: AppRoutes
    pages: tuple[Checked, ...]
    findings: tuple[Finding, ...]
    learned: Learned
    crawled: int = 0
    why: str = ""

    @property
    def right(self) -> bool:
        """Whether there are pages, and every one answers as it should."""
        return bool(self.pages) and all(page.right for page in self.pages)


def learn(stack: Stack, start: Start, plan: Plan, say: Callable[[str], None] = lambda _: None) -> Learned:
    """What a check of this start learns; see `survey`."""
    return survey(stack, start, plan, say).learned


def survey(
    stack: Stack,
    start: Start,
    plan: Plan,
    say: Callable[[str], None] = lambda _: None,
) -> Survey:
    """Finds the app's routes, follows its links, visits each route of the mix several times, and judges the answers.

    Args:
        stack: Whose network it all happens in; what runs in it is under no load.
        start: The running start.
        plan: Its plan; requests that it declares are the mix.
        say: Hears what is being done.

    Raises:
        PlanError: a SELECT that the plan names cannot be run.
        StackError: the log-in that the plan declares did not work.
    """
    say("Reading the app's routes …")
    routes = app_routes(stack, plan)
    facts = Facts(
        framework=routes.framework,
        settings=routes.facts,
        host=plan.traffic.host or f"127.0.0.1:{start.port}",
        headers={name.lower(): value for name, value in plan.traffic.headers.items()},
        login=plan.login is not None,
        proxied=plan.proxy is not None,
    )
    resolved = resolve(stack, plan)
    somebody = next(iter(log_in(stack, start, plan, say)), None)
    with Browser(stack.launcher, start.port, plan.traffic) as browser:
        return _Surveyor(Place(stack, start, resolved, routes, facts), browser, somebody, say).survey()


class _Surveyor:
    def __init__(
        self, place: Place, browser: Browser, somebody: Mapping[str, str] | None, say: Callable[[str], None]
    ) -> None:
        self._place = place
        self._plan = place.plan
        self._facts = place.facts
        self._routes = place.routes
        self._browser = browser
        self._round = Round(place, browser, somebody)
        self._say = say
        self._left: list[LeftOut] = []

    def survey(self) -> Survey:
        requests = self._plan.traffic.requests if self._plan.traffic.named else ()
        crawled = self._crawl(requests)
        if self._plan.traffic.named:
            candidates = [declared(each, self._routes.routes, crawled, self._plan.traffic.seed) for each in requests]
        else:
            candidates, self._left = offered(self._routes.routes, crawled, self._plan.traffic.seed)
        self._round.forget()
        self._say(f"Visiting {len(candidates)} routes …")
        ends_s = time.monotonic() + SECONDS_MAX
        answers = [self._round.visit(each) for each in candidates if each.paths and time.monotonic() < ends_s]
        reached = {id(each.candidate) for each in answers}
        for each in candidates:
            if id(each) not in reached:
                self._leave_unvisited(each)
        self._round.look_into(answers)
        answers = [each for each in answers if not self._is_of_no_use(each, crawled.linked)]
        pages = tuple(self._checked(each) for each in answers)
        found = tuple(self._of_the_whole(crawled, answers))
        return Survey(
            routes=self._routes,
            pages=pages,
            findings=found,
            learned=self._learned(answers, pages, found),
            crawled=len(crawled.pages),
            why=crawled.why,
        )

    def _crawl(self, requests: Iterable[Request]) -> Crawl:
        """Where the plan names the pages and all their paths are known, nothing is to be found."""
        named = [each.path for each in requests]
        if named and all(each.filled for each in requests):
            return Crawl()
        self._say("Following the app's links …")
        starts = ["/"] + [each.template for each in self._routes.routes if not each.params and "GET" in each.methods]
        return crawl(self._browser, self._round.visitor, self._routes.routes, starts=starts, named=named)

    def _leave_unvisited(self, candidate: Candidate) -> None:
        if candidate.paths:
            text = f"the time for visits, {SECONDS_MAX:.0f} s, was over"
            self._left.append(LeftOut(name=candidate.name, template=candidate.template, reason="bound", text=text))
            return
        names = ", ".join(placeholders(candidate.template)) or "its query"
        key = next(iter(placeholders(candidate.template)), "q")
        self._left.append(
            LeftOut(
                name=candidate.name,
                template=candidate.template,
                reason="values",
                text=f"nothing is known that {names} may be" + (f" ({candidate.why})" if candidate.why else ""),
                remedy=f'[[traffic.request]] path = "{candidate.template}", params = {{ {key} = ["…"] }}',
            )
        )

    def _is_of_no_use(self, answers: Answers, linked: Collection[str]) -> bool:
        """Whether a mix that prony makes has no need of it, which is then noted."""
        reason, text = ("", "") if self._plan.traffic.named else self._why_left(answers, linked)
        if not reason:
            return False
        candidate = answers.candidate
        key = next(iter(placeholders(candidate.template)), "")
        params = f', params = {{ {key} = ["…"] }}' if reason == "values" and key else ""
        remedy = ""
        if reason in {"login", "forbidden"}:
            remedy = next(f.remedy for each in answers.visits for f in answers.found[each.asked] if f.wrong)
        elif reason in {"values", "off", "events"}:
            remedy = f'[[traffic.request]] path = "{candidate.template}"{params}'
        self._left.append(
            LeftOut(name=candidate.name, template=candidate.template, reason=reason, text=text, remedy=remedy)
        )
        return True

    def _why_left(self, answers: Answers, linked: Collection[str]) -> tuple[str, str]:
        """A reason of `REASONS` and its text, empty for none: it leads only elsewhere, to a log-in, or has no end."""
        candidate, names = answers.candidate, placeholders(answers.candidate.template)
        causes = {f.cause for each in answers.visits for f in answers.found[each.asked] if f.wrong}
        statuses = {each.page.status for each in answers.visits}
        reason, text = "", ""
        if all(each.page.kind == EVENTS for each in answers.visits):
            reason = "events"
        elif not causes or answers.right():
            pass
        elif causes <= {"redirect", "trailing_slash"}:
            reason, text = "redirect", f"it sends on to {answers.visits[0].page.path}"
        elif causes == {"other_host"} and all(_leads_elsewhere(each.page) for each in answers.visits):
            reason, text = "redirect", f"it sends on to {urlsplit(answers.visits[0].page.hops[-1]).hostname}"
        elif causes <= {"unknown_values", "not_found"} and names:
            reason, text = "values", f"nothing is there for {len(answers.visits)} values tried for {', '.join(names)}"
        elif causes <= {"unknown_values"}:
            reason, text = "values", "what its query wants is not known"
        elif causes == {"not_found"} and candidate.source == "crawl":
            reason = "gone"
        elif causes <= _REFUSED and statuses <= {400, 404, 405, 410} and not _known(candidate.paths, linked):
            reason, text = "off", f"no link leads to it, and it answers {', '.join(map(str, sorted(statuses)))}"
        elif causes == {"login"} and self._plan.login is None:
            reason = "login"
        elif causes == {"login"} and statuses == {403}:
            reason = "forbidden"
        return reason, text or REASONS.get(reason, "")

    # ---- what comes of it

    def _checked(self, answers: Answers) -> Checked:
        candidate = answers.candidate
        shown = answers.wrong() or answers.visits[0]
        found: dict[str, Finding] = {}
        of_all = [{each.text for each in answers.found[visit.asked]} for visit in answers.visits]
        for visit in answers.visits:
            for each in answers.found[visit.asked]:
                of_some = not all(each.text in texts for texts in of_all)
                text = f"{visit.asked} {each.text}" if of_some and each.wrong else each.text
                found.setdefault(each.cause, structs.replace(each, text=text))
        for each in answers.notes:
            found.setdefault(each.cause, each)
        return Checked(
            name=candidate.name,
            template=candidate.template,
            method=candidate.method,
            source=candidate.source,
            paths=tuple(each.asked for each in answers.visits[:SEVERAL]),
            known=len(candidate.paths),
            status=shown.page.status,
            type=shown.page.kind,
            title=shown.contents.title,
            bytes=len(shown.page.body),
            took_s=median(answers.times_s),
            right=answers.wrong() is None,
            findings=tuple(found.values()),
        )

    def _of_the_whole(self, crawled: Crawl, answers: list[Answers]) -> Iterable[Finding]:
        if self._routes.error:
            yield finding("routes", f"the app's routes could not be read: {self._routes.error}")
        if self._facts.debug:
            where = {"django": "DEBUG = True", "flask": "debug", "fastapi": "debug=True"}
            setting = where.get(self._facts.framework, "debug")
            remedy = 'its variable under [app] env, where the settings read one (DEBUG = "0")'
            yield finding("debug", f"the app runs in debug mode ({setting}): it costs, and leaks", remedy)
        yield from self._of_files(crawled, answers)

    def _of_files(self, crawled: Crawl, answers: list[Answers]) -> Iterable[Finding]:
        status = dict(crawled.files)
        for each in answers if not status else ():
            for visit in each.visits[:1]:
                for where in visit.contents.files:
                    own = self._browser.own(where, visit.page.path)
                    if own is not None and own not in status and len(status) < FILES_MAX:
                        status[own] = self._round.visitor.get(own).status
        lost = sorted(path for path, code in status.items() if code >= 400 or code == 0)
        if not lost:
            return
        proxy = self._plan.proxy
        yield lost_files(lost, len(status), self._facts, proxy.static if proxy else {}, Path(self._plan.app.folder))

    def _learned(self, answers: list[Answers], pages: tuple[Checked, ...], found: tuple[Finding, ...]) -> Learned:
        routes = []
        given = {(each.method, each.path): each.params for each in self._plan.traffic.requests}
        for each, page in zip(answers, pages, strict=True):
            seen = [(visit.page, visit.contents) for visit in each.right()]
            seen += [(again, contents_of(again)) for again in each.again]
            key = (each.candidate.method, each.candidate.template)
            routes.append(
                LearnedRoute(
                    name=page.name,
                    template=page.template,
                    method=page.method,
                    paths=tuple(each.candidate.paths[:PATHS_MAX]),
                    expect=expectation_of(seen, page.method) if seen else Expect(),
                    params=given.get(key, {}) if self._plan.traffic.named else {},
                    source=page.source,
                    right=page.right,
                    seen_s=page.took_s,
                )
            )
        causes = {f.cause for page in pages for f in page.findings} | {f.cause for f in found}
        return Learned(
            entry=self._plan.app.entry,
            learned_at=now_text(),
            prony=prony.__version__,
            routes=tuple(routes),
            left_out=tuple(self._left),
            doubts=tuple(each for each in CAUSES if each in causes),
        )


def _known(paths: Collection[str], linked: Collection[str]) -> bool:
    """Whether a visitor comes to one of these paths: it is the first page, or a link leads to it."""
    return "/" in paths or not set(linked).isdisjoint(paths)


def _leads_elsewhere(page: Page) -> bool:
    """Whether a redirect to another host is to another page too: the same one there is the app under its own name."""
    return urlsplit(page.hops[-1]).path.strip("/") != urlsplit(page.path).path.strip("/") if page.hops else False
