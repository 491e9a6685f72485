"""A path in, the name of its route out: what differs between two things of one kind becomes a placeholder."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

NAME_CHARACTERS_MAX: Final = 120
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER: Final = re.compile(r"\d+")
_KEY: Final = re.compile(r"(?=[^/]*\d)[0-9A-Za-z_-]{16,}|[0-9a-fA-F]{12,}")


@lru_cache(maxsize=4096)
def generalised(target: str) -> str:
    """A request target's route: `/products/17/?page=2` is `/products/{id}/`.

    A part of the path that is a number, a UUID, a date, or a long key with digits in it becomes `{id}`, `{uuid}`,
    `{date}` or `{key}`. The query is left out.
    """
    path = target.partition("?")[0].partition("#")[0]
    return "/".join(_part(part) for part in path.split("/"))[:NAME_CHARACTERS_MAX]


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
