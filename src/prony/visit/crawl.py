"""A running stack and known routes in, what a visitor who follows links comes to out; nothing dangerous is followed."""

from __future__ import annotations

import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from prony.app.routes import AppRoute
from prony.traffic.dangers import danger, is_admin
from prony.visit.browser import Browser, Page, Visitor
from prony.visit.contents import Contents, contents_of
from prony.visit.templates import Templates, generalise

PAGES_MAX = 200
SECONDS_MAX = 20.0
DEPTH_MAX = 6
ALIKE_MAX = 8  # pages of one route that are looked at; of the others only their paths are kept
QUERIES_MAX = 5
PATHS_MAX = 5000
FILES_MAX = 60
FILES_SECONDS_MAX = 10.0
_FILE = re.compile(
    r"\.(?:css|m?js|map|png|jpe?g|gif|svg|ico|webp|avif|woff2?|ttf|eot|mp4|webm|pdf|zip|gz|webmanifest)$", re.IGNORECASE
)
_ONWARD = {"next", "redirect", "redirect_to", "return", "return_to", "continue"}  # the same page, for somebody else
_QUERY_NAMES = re.compile(r"(?:^|&)([^=&]+)=")


@dataclass(frozen=True, slots=True)
class Seen:
    """One page that was asked for."""

    page: Page
    contents: Contents
    depth: int


@dataclass(slots=True)
class Crawl:
    """What was come to.

    Attributes:
        pages: By the path asked for.
        paths: Template of every path that was found, asked for or not.
        files: Status of each static file that was asked for; 0 where none came.
        unlooked: Static files that were found and not asked for.
        left: Word by which each path that was not followed may do something; "admin" for an admin's pages.
        linked: Paths that links and redirects lead to.
        away: Other hosts that links lead to.
        why: The bound that ended it; empty where it came to an end.
    """

    pages: dict[str, Seen] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    unlooked: set[str] = field(default_factory=set)
    left: dict[str, str] = field(default_factory=dict)
    linked: set[str] = field(default_factory=set)
    away: set[str] = field(default_factory=set)
    why: str = ""


def crawl(
    browser: Browser,
    visitor: Visitor,
    routes: Iterable[AppRoute],
    *,
    starts: Iterable[str] = ("/",),
    named: Iterable[str] = (),
    say: Callable[[int], None] = lambda _: None,
) -> Crawl:
    """Follows links breadth first.

    Args:
        browser: Tells which links stay within the stack.
        visitor: Who asks.
        routes: Those that are known: they name what is found, and say what is dangerous.
        starts: Where to begin.
        named: Templates and paths that the user named: they are followed whatever they are called.
        say: Hears how many pages were seen.
    """
    return _Crawler(browser, visitor, Templates(routes), set(named), say).run(starts)


class _Crawler:
    def __init__(
        self, browser: Browser, visitor: Visitor, templates: Templates, named: set[str], say: Callable[[int], None]
    ) -> None:
        self._browser = browser
        self._visitor = visitor
        self._templates = templates
        self._named = named
        self._say = say
        self._queue: deque[tuple[str, int]] = deque()
        self._known: set[str] = set()
        self._alike: Counter[str] = Counter()
        self._queries: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self._files: dict[str, None] = {}
        self._found = Crawl()

    def run(self, starts: Iterable[str]) -> Crawl:
        found = self._found
        began_s = time.monotonic()
        for start in starts:
            self._meet(start, "", 0)
        while self._queue:
            if len(found.pages) >= PAGES_MAX:
                found.why = f"{PAGES_MAX} pages"
                break
            if time.monotonic() - began_s > SECONDS_MAX:
                found.why = f"{SECONDS_MAX:.0f} s"
                break
            self._ask(*self._queue.popleft())
            self._say(len(found.pages))
        self._look_at_files()
        known = {path: route.template for path in self._known if (route := self._templates.route(path)) is not None}
        found.paths = generalise(self._known - known.keys()) | known
        return found

    def _ask(self, path: str, depth: int) -> None:
        page = self._visitor.get(path, follow=False)
        if page.kind and not _is_page(page) and page.status == 200:
            self._known.discard(path)
            self._found.files[path] = page.status
            return
        contents = contents_of(page)
        self._found.pages[path] = Seen(page, contents, depth)
        location = page.headers.get("location")
        if 300 <= page.status < 400 and location:
            self._follow(location, path, "", depth)  # as deep as what led here: it stands for it
        if depth >= DEPTH_MAX:
            return
        for where, text in contents.links:
            self._follow(where, path, text, depth + 1)
        for where in contents.files:
            own = self._browser.own(where, path)
            if own is not None:
                self._files.setdefault(own)

    def _follow(self, where: str, here: str, text: str, depth: int) -> None:
        where = where.partition("#")[0]
        if not where and not text:
            return
        own = self._browser.own(where, here)
        if own is None:
            parts = _split(where)
            if parts in {"http", "https"}:
                self._found.away.add(urlsplit(where).hostname or "")
            return
        self._found.linked.add(own)
        self._meet(own, text, depth)

    def _meet(self, path: str, text: str, depth: int) -> None:
        """A path that was found: it is asked for unless it is dangerous, or enough of its kind were."""
        if path in self._known or path in self._found.left or len(self._known) >= PATHS_MAX or len(path) > 2000:
            return
        if not path.isascii() or any(each <= " " for each in path):
            return
        bare, _, query = path.partition("?")
        if _FILE.search(bare):
            self._files.setdefault(path)
            return
        route = self._templates.route(path)
        why = self._why_not(path, route, text)
        if why:
            self._found.left[path] = why
            return
        names = tuple(sorted(_QUERY_NAMES.findall(query)))
        if _ONWARD & set(names):
            return
        if query:
            self._queries[bare if route is None else route.template, names] += 1
            if self._queries[bare if route is None else route.template, names] > QUERIES_MAX:
                return
        self._known.add(path)
        kind = route.template if route is not None else _rough(bare)
        self._alike[kind] += 1
        if self._alike[kind] <= ALIKE_MAX:
            self._queue.append((path, depth))

    def _why_not(self, path: str, route: AppRoute | None, text: str) -> str:
        template = path if route is None else route.template + ("?" + path.partition("?")[2] if "?" in path else "")
        if {path, path.partition("?")[0], template.partition("?")[0]} & self._named:
            return ""
        if route is None:
            return "admin" if is_admin(path) else danger(path, "", text)
        for mark in ("admin", "debug", "static", "websocket", "docs"):
            if mark in route.marks:
                return mark
        if "GET" not in route.methods:
            return "method"
        return danger(template, route.name, text)

    def _look_at_files(self) -> None:
        began_s = time.monotonic()
        for path in self._files:
            if len(self._found.files) >= FILES_MAX or time.monotonic() - began_s > FILES_SECONDS_MAX:
                self._found.unlooked.add(path)
            elif path not in self._found.files:
                self._found.files[path] = self._visitor.get(path).status


def _is_page(page: Page) -> bool:
    kind = page.kind
    return kind.startswith("text/") or kind.endswith(("json", "xml")) or not kind


def _split(where: str) -> str:
    try:
        return urlsplit(where).scheme
    except ValueError:
        return ""


def _rough(path: str) -> str:
    """A path with what looks like a key in it taken out, so that not every product's page is looked at."""
    segments = path.split("/")
    return "/".join("\0" if any(c.isdigit() for c in each) or each.count("-") >= 2 else each for each in segments)
