"""A path in, the name of its route out: a route that is known, else what differs becomes a placeholder."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from prony.traffic.templates import kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAME_CHARACTERS_MAX: Final = 120
_PLACEHOLDER: Final = re.compile(r"\{\w+\}")


@lru_cache(maxsize=4096)
def generalised(target: str) -> str:
    """A request target's route: `/products/17/?page=2` is `/products/{id}/`.

    What varies from one target to the next is told as an imported log's paths are. The query is left out.
    """
    path = target.partition("?")[0].partition("#")[0]
    return "/".join(kind(part) for part in path.split("/"))[:NAME_CHARACTERS_MAX]


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
