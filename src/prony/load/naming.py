"""A path in, the name of its route out: a route that is known, else what differs becomes a placeholder."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAME_CHARACTERS_MAX: Final = 120
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER: Final = re.compile(r"\d+")
_PLACEHOLDER: Final = re.compile(r"\{\w+\}")
_KEY: Final = re.compile(r"(?=[^/]*\d)[0-9A-Za-z_-]{16,}|[0-9a-fA-F]{12,}")


@lru_cache(maxsize=4096)
def generalised(target: str) -> str:
    """A request target's route: `/products/17/?page=2` is `/products/{id}/`.

    A part of the path that is a number, a UUID, a date, or a long key with digits in it becomes `{id}`, `{uuid}`,
    `{date}` or `{key}`. The query is left out.
    """
    path = target.partition("?")[0].partition("#")[0]
    return "/".join(_part(part) for part in path.split("/"))[:NAME_CHARACTERS_MAX]


def namer(known: Mapping[str, str]) -> Callable[[str], str]:
    """What names request targets: the name of the route that is `known`, by its path, else what `generalised` gives.

    A placeholder stands for anything within one part of a path; of several routes that fit, the one with the fewest.
    """
    exact = {path: name for path, name in known.items() if "{" not in path}
    paths = sorted((path for path in known if "{" in path), key=lambda path: (path.count("{"), -len(path)))
    routes = [("[^/]+".join(re.escape(text) for text in _PLACEHOLDER.split(path)), known[path]) for path in paths]
    fitting = [(re.compile(pattern), name) for pattern, name in routes]

    @lru_cache(maxsize=4096)
    def name_of(target: str) -> str:
        path = target.partition("?")[0].partition("#")[0]
        found = exact.get(path)
        if found is None:
            found = next((name for pattern, name in fitting if pattern.fullmatch(path)), None)
        return generalised(path) if found is None else found

    return name_of


def _part(part: str) -> str:
    if _NUMBER.fullmatch(part):
        return "{id}"
    if _UUID.fullmatch(part):
        return "{uuid}"
    if _DAY.fullmatch(part):
        return "{date}"
    if _KEY.fullmatch(part) and not _wordy(part):
        return "{key}"
    return part


def _wordy(part: str) -> bool:
    """Whether it reads as words with a number among them, such as `summer-collection-2026`: a slug names its page."""
    words = [word for word in re.split(r"[-_]", part) if word]
    return len(words) > 1 and all(word.isalpha() or word.isdigit() for word in words)
