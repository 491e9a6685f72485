"""Right answers of one route in, what they have in common and what any other right one should have, too, out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from prony.plan import Expect
from prony.traffic.learned import size_range
from prony.visit.browser import Page
from prony.visit.contents import Contents

LANDMARK_MAX = 200
KEYS_MAX = 8
JSON_BYTES_MAX = 64 * 1024  # a larger body would cost the generator too much to read
ENDING = "</title>"
ANY = "*"


def expectation_of(answers: Sequence[tuple[Page, Contents]], method: str = "GET") -> Expect:
    """What is expected of a route whose answers were these, all of them right.

    Status and type are those seen. A landmark is what is the same in all titles: the whole of it, what it ends or
    begins with where they differ, and nothing after the first digit of one title alone (a count would change). JSON
    objects must have the keys that all had. The size may vary widely; `learned.size_range` says how.
    """
    pages = [page for page, _ in answers]
    kinds = {page.kind for page in pages}
    status = tuple(sorted({page.status for page in pages}))
    kind = kinds.pop() if len(kinds) == 1 else ""
    if method == "HEAD":
        return Expect(status=status, type=kind or None)
    least, most = size_range(len(page.body) for page in pages)
    return Expect(
        status=status,
        type=kind or None,
        contains=landmark([contents.landmark for _, contents in answers]) or None,
        json=_json(answers),
        min_bytes=least or None,
        max_bytes=most,
    )


def landmark(titles: Sequence[str]) -> str:
    """What answers whose title elements are these have in common; empty where one has none."""
    if not titles or not all(titles):
        return ""
    if len(set(titles)) == 1:
        [title] = set(titles)
        digit = re.search(r"[0-9]", title)
        return _cut(title[: digit.start()] if digit else title)
    ending = _common([each[::-1] for each in titles])[::-1]
    if len(ending) >= len(ENDING) + 3:
        return ending[-LANDMARK_MAX:]
    beginning = _common(titles)
    return _cut(beginning) if len(beginning.rpartition(">")[2].strip()) >= 3 else ENDING


def _common(texts: Sequence[str]) -> str:
    """What all of them begin with."""
    least, most = min(texts), max(texts)
    return least[: next((at for at, each in enumerate(least) if each != most[at]), len(least))]


def _cut(text: str) -> str:
    return text[:LANDMARK_MAX]


def _json(answers: Sequence[tuple[Page, Contents]]) -> dict[str, str | int | float | bool]:
    if any(len(page.body) > JSON_BYTES_MAX for page, _ in answers):
        return {}
    common = [key for key in answers[0][1].keys if all(key in contents.keys for _, contents in answers)]
    return {key: ANY for key in common[:KEYS_MAX] if key and "." not in key}
