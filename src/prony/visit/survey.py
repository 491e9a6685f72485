"""A running start and its plan in, every page of the mix visited and judged, and what right answers are, out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from statistics import median

import prony
from prony.app.routes import AppRoutes
from prony.plan import Expect, Plan, Request
from prony.plan.params import PATHS_MAX, placeholders
from prony.recording import now_text
from prony.stack.stack import Stack, Start
from prony.traffic.learned import Learned, LearnedRoute, LeftOut
from prony.visit.browser import Browser, Page, Visitor
from prony.visit.candidates import REASONS, Candidate, declared, offered
from prony.visit.contents import contents_of
from prony.visit.crawl import Crawl, crawl
from prony.visit.diagnosis import CAUSES, Facts, Finding, Visit, diagnose, finding
from prony.visit.expectation import expectation_of
from prony.visit.inside import Listener, app_routes, exceptions
from prony.visit.params import resolve
from prony.visit.results import Checked

SEVERAL = 3  # paths of a route that are visited
THOROUGH_MAX = 60  # and where one of them is not there, so many more, to sort the right from the wrong
THOROUGH_S = 4.0
SECONDS_MAX = 120.0


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
    log_in: Callable[[Browser], Visitor | None] = lambda _: None,
) -> Survey:
    """Finds the app's routes, follows its links, visits each route of the mix several times, and judges the answers.

    Args:
        stack: Whose network it all happens in; what runs in it is under no load.
        start: The running start.
        plan: Its plan; requests that it declares are the mix.
        say: Hears what is being done.
        log_in: Gives a visitor who is logged in; None: everybody is a stranger.

    Raises:
        PlanError: a SELECT that the plan names cannot be run.
        DoubtError: the log-in that the plan declares did not work.
    """
    say("Reading the app's routes …")
    routes = app_routes(stack, start, plan)
    facts = Facts(
        framework=routes.framework,
        settings=routes.facts,
        host=plan.traffic.host or f"127.0.0.1:{start.port}",
        headers={name.lower(): value for name, value in plan.traffic.headers.items()},
        login=bool(plan.document.get("login")),
        proxied=plan.proxy is not None,
    )
    resolved = resolve(stack, plan)
    with Browser(stack.launcher, start.port, plan.traffic) as browser:
        visitor = log_in(browser) or browser.visitor()
        return _Surveyor(_Place(stack, start, resolved, routes, facts), browser, visitor, say).survey()


@dataclass(slots=True)
class _Answers:
    """The answers of one route's paths, and what is said of them."""

    candidate: Candidate
    visits: list[Visit] = field(default_factory=list)
    found: dict[str, tuple[Finding, ...]] = field(default_factory=dict)
    times_s: list[float] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)

    def wrong(self) -> Visit | None:
        """The first visit that got a wrong answer."""
        return next((each for each in self.visits if _is_wrong(self.found[each.asked])), None)

    def right(self) -> list[Visit]:
        """Those that got a right one."""
        return [each for each in self.visits if not _is_wrong(self.found[each.asked])]


@dataclass(frozen=True, slots=True)
class _Place:
    """What is surveyed, and what is known of it."""

    stack: Stack
    start: Start
    plan: Plan
    routes: AppRoutes
    facts: Facts


class _Surveyor:
    def __init__(self, place: _Place, browser: Browser, visitor: Visitor, say: Callable[[str], None]) -> None:
        self._place = place
        self._plan = place.plan
        self._facts = place.facts
        self._routes = place.routes
        self._browser = browser
        self._visitor = visitor
        self._say = say
        self._listener = Listener(place.stack, place.start)
        self._left: list[LeftOut] = []

    def survey(self) -> Survey:
        requests = self._plan.traffic.requests if self._plan.traffic.declared else ()
        crawled = self._crawl(requests)
        if self._plan.traffic.declared:
            candidates = [declared(each, self._routes.routes, crawled, self._plan.traffic.seed) for each in requests]
        else:
            candidates, self._left = offered(self._routes.routes, crawled, self._plan.traffic.seed)
        self._say(f"Visiting {len(candidates)} routes …")
        ends_s = time.monotonic() + SECONDS_MAX
        answers = [self._visit(each) for each in candidates if each.paths and time.monotonic() < ends_s]
        reached = {id(each.candidate) for each in answers}
        for each in candidates:
            if id(each) not in reached:
                self._leave_unknown(each)
        self._look_into(answers)
        answers = [each for each in answers if not self._is_of_no_use(each)]
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
        """Where the mix is declared and all its paths are known, nothing is to be found."""
        named = [each.path for each in requests]
        if named and all(each.filled for each in requests):
            return Crawl()
        self._say("Following the app's links …")
        starts = ["/"] + [each.template for each in self._routes.routes if not each.params and "GET" in each.methods]
        return crawl(self._browser, self._visitor, self._routes.routes, starts=starts, named=named)

    # ---- visits

    def _visit(self, candidate: Candidate) -> _Answers:
        answers = _Answers(candidate)
        for path in candidate.paths[:SEVERAL]:
            self._ask(answers, path)
        missing = [
            each for each in answers.visits if each.page.status in {404, 422} and placeholders(candidate.template)
        ]
        if missing:
            ends_s = time.monotonic() + THOROUGH_S
            for path in candidate.paths[SEVERAL:THOROUGH_MAX]:
                if time.monotonic() > ends_s:
                    break
                self._ask(answers, path)
            self._sort_out(answers)
        first = next(iter(answers.right()), None)
        if first is not None:
            again = self._get(candidate, first.asked)
            answers.times_s.append(again.took_s)
            self._compare(answers, first, again)
        return answers

    def _ask(self, answers: _Answers, path: str) -> None:
        page = self._get(answers.candidate, path)
        answers.times_s.append(page.took_s)
        visit = Visit(
            asked=path,
            page=page,
            template=answers.candidate.template,
            contents=contents_of(page),
            log=self._listener.lines(),
            refused=self._listener.refused(),
            expect=answers.candidate.expect,
        )
        answers.visits.append(visit)
        answers.found[path] = diagnose(visit, self._facts)

    def _get(self, candidate: Candidate, path: str) -> Page:
        follow = candidate.expect is None or max(candidate.expect.status) < 300 or min(candidate.expect.status) > 399
        return self._visitor.ask(candidate.method, path, follow=follow)

    def _sort_out(self, answers: _Answers) -> None:
        """Keeps only paths that were seen to be right, where some are: a draft's page rightly answers 404."""
        kept = [each.asked for each in answers.right()]
        if kept and not answers.candidate.listed:
            answers.candidate.paths = tuple(kept)
            answers.visits = answers.right()

    def _compare(self, answers: _Answers, first: Visit, again: Page) -> None:
        """Two visits to one page that differ in what an expectation would hold on to."""
        there = contents_of(again)
        before = (first.page.status, first.page.kind, first.contents.title)
        after = (again.status, again.kind, there.title)
        if before != after:
            shown = [f"{a} and then {b}" for a, b in zip(before, after, strict=True) if a != b]
            text = f"two visits to {first.asked} differ: {'; '.join(shown)}"
            answers.notes.append(finding("unsteady", text, "expect = { … }, which says what is right"))

    def _look_into(self, answers: list[_Answers]) -> None:
        """Asks Django itself what went wrong where neither log nor page says it."""
        silent = {}
        for each in answers:
            visit = each.wrong()
            said = visit is not None and [f for f in each.found[visit.asked] if f.cause == "exception"]
            if visit is not None and said and said[0].text.endswith("does not say why"):
                silent[visit.asked] = each
        if not silent or self._facts.framework != "django":
            return
        told = exceptions(self._place.stack, self._place.start, self._plan, self._facts.host, list(silent))
        for path, each in silent.items():
            for number, visit in enumerate(each.visits):
                if visit.asked == path and path in told:
                    again = _with_error(visit, told[path])
                    each.visits[number] = again
                    each.found[path] = diagnose(again, self._facts)

    def _leave_unknown(self, candidate: Candidate) -> None:
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

    def _is_of_no_use(self, answers: _Answers) -> bool:
        """Whether a mix that prony makes has no need of it: it leads only to other pages, or nowhere."""
        causes = {f.cause for each in answers.visits for f in answers.found[each.asked] if f.wrong}
        if self._plan.traffic.declared or not causes or answers.right():
            return False
        candidate = answers.candidate
        names = placeholders(candidate.template)
        if causes <= {"redirect", "trailing_slash"}:
            reason, text = "redirect", f"it sends on to {answers.visits[0].page.path}"
        elif causes <= {"unknown_values", "not_found"} and names:
            reason, text = "values", f"nothing is there for {len(answers.visits)} values tried for {', '.join(names)}"
        elif causes <= {"unknown_values"}:
            reason, text = "values", "what its query wants is not known"
        elif causes == {"not_found"} and candidate.source == "crawl":
            reason, text = "gone", REASONS["gone"]
        else:
            return False
        key = next(iter(names), "")
        params = f', params = {{ {key} = ["…"] }}' if reason == "values" and key else ""
        remedy = f'[[traffic.request]] path = "{candidate.template}"{params}' if reason == "values" else ""
        self._left.append(
            LeftOut(name=candidate.name, template=candidate.template, reason=reason, text=text, remedy=remedy)
        )
        return True

    # ---- what comes of it

    def _checked(self, answers: _Answers) -> Checked:
        candidate = answers.candidate
        shown = answers.wrong() or answers.visits[0]
        found: dict[str, Finding] = {}
        for visit in answers.visits:
            for each in answers.found[visit.asked]:
                found.setdefault(each.cause, each)
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

    def _of_the_whole(self, crawled: Crawl, answers: list[_Answers]) -> Iterable[Finding]:
        if self._routes.error:
            yield finding("routes", f"the app's routes could not be read: {self._routes.error}")
        if self._facts.debug:
            where = {"django": "DEBUG = True", "flask": "debug", "fastapi": "debug=True"}
            setting = where.get(self._facts.framework, "debug")
            remedy = 'its variable under [app] env, where the settings read one (DEBUG = "0")'
            yield finding("debug", f"the app runs in debug mode ({setting}): it costs, and leaks", remedy)
        yield from self._of_files(crawled, answers)

    def _of_files(self, crawled: Crawl, answers: list[_Answers]) -> Iterable[Finding]:
        status = dict(crawled.files)
        for each in answers if not status else ():
            for visit in each.visits[:1]:
                for where in visit.contents.files:
                    own = self._browser.own(where, visit.page.path)
                    if own is not None and own not in status and len(status) < THOROUGH_MAX:
                        status[own] = self._visitor.get(own).status
        lost = sorted(path for path, code in status.items() if code >= 400 or code == 0)
        if not lost:
            return
        url = str(self._facts.settings.get("static_url") or "/static/")
        root = str(self._facts.settings.get("static_root") or "static")
        shown = ", ".join(lost[:3]) + (", …" if len(lost) > 3 else "")
        text = f"{len(lost)} of {len(status)} static files are not served: {shown}"
        remedy = f'[proxy.static] "{url}" = "{root}"'
        if self._facts.framework == "django":
            remedy += ', and [app] prepare = [ …, "python manage.py collectstatic --noinput" ]'
        yield finding("static_files", text, remedy)

    def _learned(self, answers: list[_Answers], pages: tuple[Checked, ...], found: tuple[Finding, ...]) -> Learned:
        routes = []
        given = {(each.method, each.path): each.params for each in self._plan.traffic.requests}
        for each, page in zip(answers, pages, strict=True):
            right = each.right()
            key = (each.candidate.method, each.candidate.template)
            routes.append(
                LearnedRoute(
                    name=page.name,
                    template=page.template,
                    method=page.method,
                    paths=tuple(each.candidate.paths[:PATHS_MAX]),
                    expect=expectation_of([(v.page, v.contents) for v in right], page.method) if right else Expect(),
                    params=given.get(key, {}) if self._plan.traffic.declared else {},
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


def _is_wrong(found: Iterable[Finding]) -> bool:
    return any(each.wrong for each in found)


def _with_error(visit: Visit, error: str) -> Visit:
    return replace(visit, error=error)
