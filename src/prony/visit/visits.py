"""Routes with their paths in, the answers that visitors get there, judged, out."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from prony.app.routes import AppRoutes
from prony.plan import Plan
from prony.stack.stack import Stack, Start
from prony.visit.browser import Browser, Page
from prony.visit.candidates import Candidate
from prony.visit.contents import contents_of
from prony.visit.diagnosis import Facts, Finding, Visit, diagnose, finding
from prony.visit.inside import Listener, exceptions
from prony.visit.login import as_visitor

SEVERAL = 3  # paths of a route that are visited in any case
THOROUGH_MAX = 200  # and of one with more, so many while there is time, to sort the right from the wrong
THOROUGH_S = 3.0
THOROUGH_ALL_S = 40.0
_DIGITS = re.compile(r"[0-9]+")  # a count in a title may change


@dataclass(frozen=True, slots=True)
class Place:
    """What is visited, and what is known of it."""

    stack: Stack
    start: Start
    plan: Plan
    routes: AppRoutes
    facts: Facts


@dataclass(slots=True)
class Answers:
    """The answers of one route's paths, and what is said of them; `again` are those of second visits."""

    candidate: Candidate
    visits: list[Visit] = field(default_factory=list)
    found: dict[str, tuple[Finding, ...]] = field(default_factory=dict)
    times_s: list[float] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    again: list[Page] = field(default_factory=list)

    def wrong(self) -> Visit | None:
        """The first visit that got a wrong answer."""
        return next((each for each in self.visits if _is_wrong(self.found[each.asked])), None)

    def right(self) -> list[Visit]:
        """Those that got a right one."""
        return [each for each in self.visits if not _is_wrong(self.found[each.asked])]


class Round:
    """The visits of one check.

    Args:
        place: What is visited.
        browser: The way in.
        somebody: The header fields of one who is logged in; None: everybody is a stranger.
    """

    def __init__(self, place: Place, browser: Browser, somebody: Mapping[str, str] | None) -> None:
        self._place = place
        self._facts = place.facts
        self.nobody = browser.visitor()
        self.visitor = self.nobody if somebody is None else as_visitor(browser, somebody)
        self._listener = Listener(place.stack, place.start)
        self._spare_s = THOROUGH_ALL_S

    def forget(self) -> None:
        """What was logged and refused so far is nothing to do with the visits that follow."""
        self._listener.lines()
        self._listener.refused()

    def visit(self, candidate: Candidate) -> Answers:
        answers = Answers(candidate)
        for path in candidate.paths[:SEVERAL]:
            self._ask(answers, path)
        if len(candidate.paths) > SEVERAL and not _refused(answers):
            began_s = time.monotonic()
            ends_s = began_s + min(THOROUGH_S, self._spare_s)
            for path in candidate.paths[SEVERAL:THOROUGH_MAX]:
                if time.monotonic() > ends_s:
                    break
                self._ask(answers, path)
            self._spare_s -= time.monotonic() - began_s
            self._sort_out(answers)
        first = next(iter(answers.right()), None)
        if first is not None:
            again = self._get(candidate, first.asked)
            answers.times_s.append(again.took_s)
            self._compare(answers, first, again)
        return answers

    def _ask(self, answers: Answers, path: str) -> None:
        page = self._get(answers.candidate, path)
        answers.times_s.append(page.took_s)
        visit = Visit(
            asked=path,
            page=page,
            template=answers.candidate.template,
            contents=contents_of(page),
            log=self._listener.lines(wait=page.status >= 500),
            refused=self._listener.refused(),
            expect=answers.candidate.expect,
        )
        answers.visits.append(visit)
        answers.found[path] = diagnose(visit, self._facts)

    def _get(self, candidate: Candidate, path: str) -> Page:
        follow = candidate.expect is None or max(candidate.expect.status) < 300 or min(candidate.expect.status) > 399
        visitor = self.nobody if candidate.anonymous else self.visitor
        return visitor.ask(candidate.method, path, follow=follow)

    def _sort_out(self, answers: Answers) -> None:
        """Keeps only paths that were seen to be right, where some are: a draft's page rightly answers 404.

        Those that the user listed are kept in any case, and told.
        """
        kept = [each.asked for each in answers.right()]
        if kept and not answers.candidate.listed:
            answers.candidate.paths = tuple(kept)
            answers.visits = answers.right()

    def _compare(self, answers: Answers, first: Visit, again: Page) -> None:
        """Two visits to one page that differ in what an expectation would hold on to."""
        there = contents_of(again)
        before = (first.page.status, first.page.kind, _DIGITS.sub("", first.contents.title))
        after = (again.status, again.kind, _DIGITS.sub("", there.title))
        if again.status == first.page.status:
            answers.again.append(again)
        if before != after:
            shown = [f"{a} and then {b}" for a, b in zip(before, after, strict=True) if a != b]
            text = f"two visits to {first.asked} differ: {'; '.join(shown)}"
            answers.notes.append(finding("unsteady", text, "expect = { … }, which says what is right"))

    def look_into(self, answers: list[Answers]) -> None:
        """Asks Django itself what went wrong where neither log nor page says it."""
        silent = {}
        for each in answers:
            visit = each.wrong()
            said = visit is not None and [f for f in each.found[visit.asked] if f.cause == "exception"]
            if visit is not None and said and said[0].text.endswith("does not say why"):
                silent[visit.asked] = each
        if not silent or self._facts.framework != "django":
            return
        told = exceptions(self._place.stack, self._place.plan, self._facts.host, list(silent))
        for path, each in silent.items():
            for number, visit in enumerate(each.visits):
                if visit.asked == path and path in told:
                    again = _with_error(visit, told[path])
                    each.visits[number] = again
                    each.found[path] = diagnose(again, self._facts)


def _refused(answers: Answers) -> bool:
    """Whether no answer so far is right, for a reason that no other path of the route will escape."""
    causes = {f.cause for found in answers.found.values() for f in found if f.wrong}
    return not answers.right() and not causes & {"unknown_values", "not_found"}


def _is_wrong(found: Iterable[Finding]) -> bool:
    return any(each.wrong for each in found)


def _with_error(visit: Visit, error: str) -> Visit:
    return replace(visit, error=error)
