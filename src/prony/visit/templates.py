"""Concrete paths in, the routes they belong to out: those an app names, or a form that several alike have in common."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from prony.app.routes import AppRoute
from prony.traffic.templates import kind

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
    """A template for each path: its own form, or, where at least three are alike, theirs.

    Segments that are numbers, UUIDs or other keys, and differ among paths that are else the same, are parameters. So is
    a segment that is not the first, when at least half of those that stand there look like slugs (they hold a hyphen or
    a digit). Words alone ("about", "terms") stay as they are.
    """
    found = {path: path.partition("?")[0] for path in paths}
    alike: dict[tuple[str, ...], set[tuple[str, ...]]] = defaultdict(set)
    for template in found.values():
        segments = tuple(template.split("/"))
        alike[_skeleton(segments)].add(segments)
    for path, template in found.items():
        segments = tuple(template.split("/"))
        group = alike[_skeleton(segments)]
        if len(group) >= ALIKE_MIN:
            found[path] = _named(segments, [len(set(column)) > 1 for column in zip(*group, strict=True)])
    return _with_slugs(found)


def _skeleton(segments: tuple[str, ...]) -> tuple[str, ...]:
    return tuple("\0" + _shape(each) if _shape(each) else each for each in segments)


def _shape(segment: str) -> str:
    """The name of what it is by itself: "id", "uuid", "date", "hash"; empty where it is a word."""
    found = kind(segment)
    return found[1:-1] if found != segment and found.endswith("}") else ""


def _named(segments: tuple[str, ...], differ: list[bool]) -> str:
    names: list[str] = []
    for segment, varies in zip(segments, differ, strict=True):
        name = _shape(segment) if varies else ""
        before = sum(each.startswith("{" + name) for each in names)
        names.append(segment if not name else "{" + name + (str(before + 1) if before else "") + "}")
    return "/".join(names)


def _with_slugs(found: dict[str, str]) -> dict[str, str]:
    groups: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for template in found.values():
        segments = template.split("/")
        for at, segment in enumerate(segments):
            groups[(*segments[:at], "\0", *segments[at + 1 :])].add(segment)
    for path, template in found.items():
        segments = template.split("/")
        for at in range(len(segments)):
            key = (*segments[:at], "\0", *segments[at + 1 :])
            if _are_slugs(key, groups[key]):
                found[path] = "/".join([*segments[:at], "{slug}", *segments[at + 1 :]])
                break
    return found


def _are_slugs(key: tuple[str, ...], alike: set[str]) -> bool:
    fixed = any(each for each in key[: key.index("\0")])
    if len(alike) < ALIKE_MIN or not fixed or not all(_SLUG.fullmatch(each) for each in alike):
        return False
    return 2 * sum("-" in each or any(c.isdigit() for c in each) for each in alike) >= len(alike)
