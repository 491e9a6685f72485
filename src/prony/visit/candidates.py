"""Known routes and what a crawl came to in, the routes to visit with their paths out, and those left out, and why."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from prony.app.routes import AppRoute, Param
from prony.plan import Expect, Request
from prony.plan.params import PATHS_MAX, fill, placeholders
from prony.traffic.dangers import danger, is_admin
from prony.traffic.learned import LeftOut
from prony.visit.crawl import Crawl
from prony.visit.templates import Templates

GUESSED = {"int": ("1", "2", "3"), "number": ("1", "2")}  # tried where nothing is known; what answers 404 is dropped
ROUTES_MAX = 300
QUERIED_MAX = 20
REASONS = {
    "method": "it takes no GET",
    "danger": "by its name it may do something",
    "admin": "it belongs to an admin's pages",
    "debug": "it belongs to a debugging tool",
    "docs": "it is the documentation of an API",
    "static": "it serves files",
    "websocket": "it is a WebSocket",
    "regex": "its pattern is more than a path with parameters",
    "values": "nothing is known that its parameters may be",
    "redirect": "it only sends on to another page",
    "login": "it is only for those who are logged in, and nothing says how to log in",
    "forbidden": "it is only for others than those who log in here",
    "gone": "a link leads to it, and nothing is there",
    "off": "no link leads to it, and it refuses who asks for nothing more than its path",
    "events": "it sends events without end",
    "bound": "there are more routes than are visited",
}
_MARKS = ("websocket", "static", "admin", "debug", "docs", "regex")
_KEYS = ("id", "pk", "slug", "uuid", "key", "name")


@dataclass(slots=True)
class Candidate:
    """A route that is to be visited.

    Attributes:
        paths: Concrete ones, in the order in which they are tried.
        listed: Whether the user said what its paths are: then none is dropped.
        anonymous: Whether nobody who is logged in asks for it.
        expect: What the user declared; None where nothing.
        why: What was in the way of finding paths.
    """

    name: str
    template: str
    method: str = "GET"
    source: str = "crawl"
    paths: tuple[str, ...] = ()
    listed: bool = False
    anonymous: bool = False
    expect: Expect | None = None
    why: str = ""


def declared(request: Request, routes: Iterable[AppRoute], crawled: Crawl, seed: int) -> Candidate:
    """One request that the user declared, its placeholders filled where they did not say by what."""
    expect = request.expect if request.expected else None
    found = Candidate(
        request.name, request.path, request.method, "declared", anonymous=request.anonymous, expect=expect
    )
    if request.filled:
        found.paths, found.listed = request.paths or (request.path,), True
        return found
    given = {name: each for name, each in request.params.items() if isinstance(each, tuple)}
    route = _like(request.path, routes)
    values = dict(given)
    if route is not None:
        names = dict(zip(placeholders(request.path), placeholders(route.template), strict=True))
        for mine, theirs in names.items():
            values.setdefault(mine, _values(route, theirs, crawled))
        found.why = next((param.why for param in route.params.values() if param.why), "")
    shape = Templates([route or AppRoute(template=request.path.partition("?")[0])])
    met = tuple(path for path in crawled.paths if shape.route(path) is not None and "?" not in path)
    if not given and "?" not in request.path and met:
        found.paths = met[:PATHS_MAX]
    else:
        found.paths = fill(request.path, values, seed)
    return found


def _like(path: str, routes: Iterable[AppRoute]) -> AppRoute | None:
    """The known route whose template is the same but for the names of its placeholders."""
    shape = _nameless(path)
    return next((each for each in routes if _nameless(each.template) == shape), None)


def _nameless(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path.partition("?")[0])


def offered(routes: Sequence[AppRoute], crawled: Crawl, seed: int) -> tuple[list[Candidate], list[LeftOut]]:
    """Every route that a mix can be made of, where the user declared none; and the others, each with its reason."""
    left: dict[str, LeftOut] = {}
    found: dict[str, Candidate] = {}
    doing = _doing(routes, crawled)
    for route in routes:
        reason, text = _reason(route)
        if not reason and route.template in doing:
            reason, text = "danger", _does(doing[route.template])
        if route.template in found or (reason and route.template in left):
            continue
        if reason:
            left[route.template] = _left_out(route.template, route.name, reason, text)
            continue
        left.pop(route.template, None)
        found[route.template] = Candidate(
            name=route.template,
            template=route.template,
            source="urlconf" if route.source == "urlconf" else route.source,
            paths=_paths(route, crawled, seed),
            why=next((param.why for param in route.params.values() if param.why), ""),
        )
    _add_crawled(found, left, crawled, Templates(routes))
    kept = list(found.values())
    for each in kept[ROUTES_MAX:]:
        left[each.template] = _left_out(each.template, each.name, "bound", REASONS["bound"])
    return kept[:ROUTES_MAX], list(left.values())


def _add_crawled(found: dict[str, Candidate], left: dict[str, LeftOut], crawled: Crawl, shapes: Templates) -> None:
    """What only the crawl knows: other templates, queries of known ones, and what it did not follow."""
    alike: dict[str, list[str]] = {}
    for path, template in crawled.paths.items():
        alike.setdefault(template, []).append(path)
    for template, paths in sorted(alike.items()):
        asked = [path for path in paths if path in crawled.pages]
        known = [path for path in paths if "?" not in path] + [path for path in paths if "?" in path][:QUERIED_MAX]
        if template not in found:
            missing = template == "/" and all(crawled.pages[path].page.status == 404 for path in asked)
            if template in left or missing:  # nobody said that there is something at /
                continue
            tried = [*asked, *(path for path in known if path not in asked)]
            found[template] = Candidate(name=template, template=template, paths=tuple(tried[:PATHS_MAX]))
    for path, why in crawled.left.items():
        route = shapes.route(path)
        template = path.partition("?")[0] if route is None else route.template
        if template in found or template in left or why in _MARKS[:2]:
            continue
        reason = why if why in REASONS else "danger"
        text = REASONS[reason] if reason != "danger" else _does(why)
        if reason != "method" and len([each for each in left.values() if each.reason == reason]) < ROUTES_MAX:
            left[template] = _left_out(template, template, reason, text)


def _left_out(template: str, name: str, reason: str, text: str) -> LeftOut:
    remedy = "" if reason in {"method", "websocket", "static"} else f'[[traffic.request]] path = "{template}"'
    return LeftOut(name=name, template=template, reason=reason, text=text, remedy=remedy)


def _reason(route: AppRoute) -> tuple[str, str]:
    for mark in _MARKS:
        if mark in route.marks:
            return mark, REASONS[mark]
    if "GET" not in route.methods:
        return "method", f"it takes no GET, only {', '.join(route.methods)}"
    if is_admin(route.template):
        return "admin", REASONS["admin"]
    word = danger(route.template, route.name)
    return ("danger", _does(word)) if word else ("", "")


def _does(word: str) -> str:
    return f"“{word}” in it, or in a link to it: it may do something"


def _doing(routes: Sequence[AppRoute], crawled: Crawl) -> dict[str, str]:
    """Routes to which only links lead that say they do something, each with the word."""
    shapes, found = Templates(routes), {}
    harmless = set(crawled.paths.values())
    for path, why in crawled.left.items():
        route = shapes.route(path)
        if route is not None and why not in REASONS and route.template not in harmless:
            found[route.template] = why
    return found


def _paths(route: AppRoute, crawled: Crawl, seed: int) -> tuple[str, ...]:
    """What a route's paths are: those the crawl found, and those made of values from the database, evenly mixed."""
    if not route.params and not route.query:
        queried = [path for path, template in crawled.paths.items() if template == route.template and "?" in path]
        return (route.template, *queried[:QUERIED_MAX])
    met = [path for path, template in crawled.paths.items() if template == route.template]
    template = route.template
    values = {name: _values(route, name, crawled) for name in placeholders(route.template)}
    if route.query and not met:
        template += "?" + "&".join(f"{name}={{{name}}}" for name in route.query)
        values |= {name: param.choices or param.values or _guess(param) for name, param in route.query.items()}
    if route.rows:
        shown = [fill(template, {n: [row[n]] for n in row}, seed) for row in route.rows]
        made = [path for paths in shown for path in paths]
    else:
        made = list(fill(template, values, seed))
    mixed = [path for pair in itertools.zip_longest(met, made) for path in pair if path is not None]
    return tuple(dict.fromkeys(mixed))[:PATHS_MAX]


def _values(route: AppRoute, name: str, crawled: Crawl) -> tuple[str, ...]:
    """What may stand for one parameter, by the best that is known."""
    param = route.params.get(name, Param())
    if param.choices:
        return param.choices
    if param.values:
        return param.values
    met = [
        Templates([route]).values(path).get(name, "") for path in crawled.paths if crawled.paths[path] == route.template
    ]
    found = tuple(dict.fromkeys(unquote(each) for each in met if each))
    return found or _of_lists(route, name, crawled) or _guess(param)


def _guess(param: Param) -> tuple[str, ...]:
    return GUESSED.get(param.kind, ())


def _of_lists(route: AppRoute, name: str, crawled: Crawl) -> tuple[str, ...]:
    """Keys of the things that the page above lists as JSON: /items/ for /items/{id}."""
    above = route.template.partition("{" + name + "}")[0].rstrip("/")
    found: list[str] = []
    for path, seen in crawled.pages.items():
        if path.partition("?")[0].rstrip("/") == above:
            for thing in _things(seen.contents.data):
                wanted = (name, name.rpartition("_")[2], *_KEYS)
                value = next((thing[key] for key in wanted if isinstance(thing.get(key), str | int)), None)
                if value is not None:
                    found.append(str(value))
    return tuple(dict.fromkeys(found))[:PATHS_MAX]


def _things(data: object) -> list[dict[str, object]]:
    lists = (
        [data]
        if isinstance(data, list)
        else [v for v in data.values() if isinstance(v, list)]
        if isinstance(data, dict)
        else []
    )
    return [each for one in lists for each in one if isinstance(each, dict)]
