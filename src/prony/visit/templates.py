"""Concrete paths in, the routes they belong to out: those an app names, or a form that several alike have in common."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from prony.app.routes import AppRoute

ALIKE_MIN = 3
_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_KINDS = {
    "int": r"-?[0-9]+",
    "number": r"-?[0-9]+(?:\.[0-9]+)?",
    "uuid": _UUID,
    "slug": r"[-\w]+",
    "path": r".+",
    "str": r"[^/]+",
}
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_SHAPES = (
    ("id", re.compile(r"[0-9]+")),
    ("uuid", re.compile(_UUID)),
    ("key", re.compile(r"(?=.*[0-9])[0-9a-f]{8,64}")),
)
_SLUG = re.compile(r"[\w.~%-]+")


class Templates:
    """Known routes, to be found by a path that one of them serves."""

    def __init__(self, routes: Iterable[AppRoute]) -> None:
        usable = [each for each in routes if "regex" not in each.marks and "websocket" not in each.marks]
        ordered = sorted(usable, key=lambda each: ("path" in _kinds(each), len(each.params)))
        self._known = [(_pattern(each), each) for each in ordered]

    def route(self, path: str) -> AppRoute | None:
        """The route that serves a path (its query is not looked at), or None."""
        path = path.partition("?")[0]
        return next((each for pattern, each in self._known if pattern.fullmatch(path)), None)

    def values(self, path: str) -> dict[str, str]:
        """What stands in a path for the parameters of its route."""
        path = path.partition("?")[0]
        for pattern, _ in self._known:
            if found := pattern.fullmatch(path):
                return found.groupdict()
        return {}


def _kinds(route: AppRoute) -> set[str]:
    return {each.kind for each in route.params.values()}


def _pattern(route: AppRoute) -> re.Pattern[str]:
    parts, at, seen = [], 0, set()
    for match in _PLACEHOLDER.finditer(route.template):
        parts.append(re.escape(route.template[at : match.start()]))
        param = route.params.get(match[1])
        regex = _KINDS.get(param.kind, _KINDS["str"]) if param else _KINDS["str"]
        if param and param.choices:
            regex = "|".join(map(re.escape, param.choices))
        named = match[1].isidentifier() and match[1] not in seen
        seen.add(match[1])
        parts.append(f"(?P<{match[1]}>{regex})" if named else f"(?:{regex})")
        at = match.end()
    return re.compile("".join([*parts, re.escape(route.template[at:])]))


def generalise(paths: Iterable[str]) -> dict[str, str]:
    """A template for each path: its own form, or, where at least three differ in one segment only, theirs.

    A segment is taken for a parameter when all are numbers, UUIDs or other keys; or when it is not the first and at
    least half of them look like slugs (they hold a hyphen or a digit). Words alone ("about", "terms") stay as they are.
    """
    found = {path: path.partition("?")[0] for path in paths}
    for _ in range(3):  # one parameter a round
        groups: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for template in set(found.values()):
            segments = template.split("/")
            for at, segment in enumerate(segments):
                if segment and not _PLACEHOLDER.search(segment):
                    groups[(*segments[:at], "\0", *segments[at + 1 :])].add(segment)
        named = {key: name for key, alike in groups.items() if (name := _name(key, alike))}
        if not named:
            break
        key = max(named, key=lambda each: (len(groups[each]), each))
        for path, template in found.items():
            segments = template.split("/")
            at = key.index("\0")
            if len(segments) == len(key) and (*segments[:at], "\0", *segments[at + 1 :]) == key:
                found[path] = "/".join([*segments[:at], "{" + _free(named[key], template) + "}", *segments[at + 1 :]])
    return found


def _free(name: str, template: str) -> str:
    return name if "{" + name + "}" not in template else name + str(template.count("{") + 1)


def _name(key: tuple[str, ...], alike: set[str]) -> str:
    """What the differing segments are to be called; empty where they are no parameter."""
    if len(alike) < ALIKE_MIN:
        return ""
    for name, shape in _SHAPES:
        if all(shape.fullmatch(each) for each in alike):
            return name
    fixed = any(each and each != "\0" for each in key[: key.index("\0")])
    like_slugs = sum("-" in each or any(c.isdigit() for c in each) for each in alike)
    if fixed and all(_SLUG.fullmatch(each) for each in alike) and 2 * like_slugs >= len(alike):
        return "slug"
    return ""
