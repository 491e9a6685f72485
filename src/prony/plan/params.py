"""A path with {placeholders} and what may stand for them in, concrete paths out."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any
from urllib.parse import quote

from prony.errors import PlanError
from prony.plan.checks import shown, word

PATHS_MAX = 1000
VALUES_MAX = 10_000
DRAWS_MAX = 20 * PATHS_MAX
EXAMPLE = "SELECT id FROM shop_product"
SAFE = "/~:@!$'()*,;="  # what may stand in a path as it is; of a query's, nothing that ends a value
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SELECT = re.compile(r"\s*SELECT\b", re.IGNORECASE)
_WRITES = re.compile(r"\bINTO\b|--|/\*|;(?!\s*$)", re.IGNORECASE)

Params = dict[str, tuple[str, ...] | str]


def placeholders(path: str) -> tuple[str, ...]:
    """The names in braces, in order, each once."""
    return tuple(dict.fromkeys(_PLACEHOLDER.findall(path)))


def read(raw: Any, path: str, source: str) -> Params:
    """The `params` of a [[traffic.request]]: lists of values, or the text of one SELECT.

    Raises:
        PlanError: it is no such table, or names what the path has not.
    """
    where = f"{source}: [[traffic.request]] params"
    if not isinstance(raw, dict):
        raise PlanError(
            f'{where}: found {shown(raw)}; allowed: a table such as {{ id = ["1", "2"] }} or {{ id = "{EXAMPLE}" }}.'
        )
    names = placeholders(path)
    found: Params = {}
    for name, value in raw.items():
        if name not in names:
            known = (
                f"one of {', '.join(names)}" if names else 'a name that the path has in braces, as "/products/{id}/"'
            )
            raise PlanError(f"{where}: found {word(name)}, which {shown(path)} has not; allowed: {known}.")
        found[name] = _select(value, where, name) if isinstance(value, str) else _values(value, where, name)
    return found


def _values(value: Any, where: str, name: str) -> tuple[str, ...]:
    good = isinstance(value, list) and 1 <= len(value) <= VALUES_MAX
    if not good or not all(
        isinstance(each, str | int) and not isinstance(each, bool) and str(each)[:200].isprintable() and str(each)
        for each in value
    ):
        raise PlanError(
            f"{where}: {word(name)}: found {shown(value)}; allowed: a list of 1 to {VALUES_MAX} texts or whole "
            "numbers, or a SELECT."
        )
    return tuple(str(each) for each in value)


def _select(value: str, where: str, name: str) -> str:
    if not _SELECT.match(value) or _WRITES.search(value) or "\0" in value:
        raise PlanError(
            f"{where}: {word(name)}: found {shown(value)}; allowed: a list of values, or one SELECT without INTO, "
            "comments and further statements.",
            hint=f'params = {{ {word(name)} = "{EXAMPLE}" }}',
        )
    return value.strip().rstrip(";").rstrip()


def fill(path: str, values: Mapping[str, Sequence[str]], seed: int = 1, most: int = PATHS_MAX) -> tuple[str, ...]:
    """Up to `most` concrete paths, percent-encoded: all combinations, or as many drawn from them by the seed.

    Args:
        path: With or without placeholders.
        values: What may stand for each; a placeholder without any leaves no path.
        seed: Which are drawn where there are too many, and in what order they stand.
        most: How many at most.
    """
    names = placeholders(path)
    if not names:
        return (path,)
    each = [list(dict.fromkeys(values.get(name, ()))) for name in names]
    chance = random.Random(seed)  # noqa: S311 - a choice of pages is no secret
    if prod(map(len, each)) <= most:
        drawn = list(itertools.product(*each))
        chance.shuffle(drawn)
    else:
        found: dict[tuple[str, ...], None] = {}
        for _ in range(DRAWS_MAX):
            found[tuple(chance.choice(choices) for choices in each)] = None
            if len(found) == most:
                break
        drawn = list(found)
    return tuple(dict.fromkeys(_filled(path, dict(zip(names, chosen, strict=True))) for chosen in drawn))


def _filled(path: str, chosen: Mapping[str, str]) -> str:
    before, question, query = path.partition("?")
    before = _PLACEHOLDER.sub(lambda match: quote(chosen[match[1]], safe=SAFE), before)
    return before + question + _PLACEHOLDER.sub(lambda match: quote(chosen[match[1]], safe=""), query)
