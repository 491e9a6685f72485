"""Paths in, the templates they are instances of out: /products/17/ and /products/4/ are /products/{id}/."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

SLUGS_MIN = 8  # siblings such as red-shoe and blue-hat, from which on they are taken for one route's
WORDS_MIN = 40  # the same of plain words, such as the pages of a wiki
WORDS_MIN_AT_ROOT = 120
SEGMENTS_MAX = 30
_INTEGER = re.compile(r"-?\d+")
_NUMBERED = re.compile(r"\d+(\.[A-Za-z][A-Za-z0-9]{0,4})")
_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_DATE = re.compile(r"(?:19|20)\d\d-\d\d(?:-\d\d)?")
_YEAR = re.compile(r"(?:19|20)\d\d")
_HEX = re.compile(r"(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{8,}")
_RANDOM = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[A-Za-z0-9_-]{8,}")
_KEY = re.compile(r"(?=.*\d)[0-9A-Za-z_-]{16,}|[0-9a-fA-F]{12,}")
_SLUGLIKE = re.compile(r".*[-_.%\d].*|.{25,}")
_FILE = re.compile(r".+(\.[A-Za-z][A-Za-z0-9]{1,4})")

Segments = tuple[str, ...]


@lru_cache(maxsize=16_384)
def shape(path: str) -> Segments:
    """The segments of a path, with {id}, {uuid}, {hash}, {date} or {year} for those that say what they are alone."""
    segments = path.split("/", SEGMENTS_MAX)[1:]
    found: list[str] = []
    for i, segment in enumerate(segments):
        after = segments[i + 1] if i + 1 < len(segments) else ""
        if _YEAR.fullmatch(segment) and after.isdigit() and 1 <= int(after[:4]) <= 12:
            found.append("{year}")
        else:
            found.append(kind(segment))
    return tuple(found)


def kind(segment: str) -> str:
    """A segment with {id}, {uuid}, {date} or {hash} in its place where it says by itself that it is one."""
    if _INTEGER.fullmatch(segment):
        return "{id}"
    if _UUID.fullmatch(segment):
        return "{uuid}"
    if _DATE.fullmatch(segment):
        return "{date}"
    if _HEX.fullmatch(segment) or _RANDOM.fullmatch(segment) or (_KEY.fullmatch(segment) and not _wordy(segment)):
        return "{hash}"
    numbered = _NUMBERED.fullmatch(segment)
    return "{id}" + numbered[1] if numbered else segment


def _wordy(segment: str) -> bool:
    """Whether it reads as words with a number among them, such as `summer-collection-2026`: a slug names its page."""
    words = [word for word in re.split(r"[-_]", segment) if word]
    return len(words) > 1 and all(word.isalpha() or word.isdigit() for word in words)


def collapsed(found: Iterable[Segments]) -> dict[Segments, Segments]:
    """Each with those of its segments replaced by {slug} that have so many siblings that they are one route's.

    Siblings are segments after the same ones. `SLUGS_MIN` of those with a hyphen, a digit or the like are one route's,
    `WORDS_MIN` of any; where some have become {slug} before, so do further ones.
    """
    now = {each: each for each in found}
    depth = max((len(each) for each in now), default=0)
    for at in range(depth):
        groups: dict[tuple[Segments, str], set[str]] = defaultdict(set)
        for each in now.values():
            if len(each) > at:
                groups[each[:at], _ending(each[at])].add(each[at])
        merging = {key: _merging(each, key[1], root=at == 0) for key, each in groups.items()}
        for one, each in now.items():
            if len(each) > at and each[at] and not each[at].startswith("{"):
                ending = _ending(each[at])
                slugs, words = merging[each[:at], ending]
                if (slugs and _SLUGLIKE.fullmatch(each[at])) or words:
                    now[one] = (*each[:at], "{slug}" + ending, *each[at + 1 :])
    return now


def _merging(siblings: set[str], ending: str, *, root: bool) -> tuple[bool, bool]:
    """Whether the slugs, and whether the plain words among siblings of one ending are instances of one route."""
    literal = [each for each in siblings if each and not each.startswith("{")]
    slugs = sum(1 for each in literal if _SLUGLIKE.fullmatch(each))
    words = len(literal) - slugs
    before = "{slug}" + ending in siblings
    least = WORDS_MIN_AT_ROOT if root else WORDS_MIN
    return slugs >= SLUGS_MIN or before, words >= (least // 2 if before else least)


def _ending(segment: str) -> str:
    """A file's ending: .html."""
    match = _FILE.fullmatch(segment)
    return match[1] if match else ""


def written(segments: Segments, keys: Sequence[str] = ()) -> str:
    """The template as text, each placeholder with a name of its own: /a/{id}/b/{id2}/?page={page}."""
    used: dict[str, int] = {}

    def named(match: re.Match[str]) -> str:
        name = re.sub(r"\W", "_", match[1], flags=re.ASCII)
        name = name if re.match(r"[A-Za-z_]", name) else f"_{name}"
        used[name] = used.get(name, 0) + 1
        return "{" + (name if used[name] == 1 else f"{name}{used[name]}") + "}"

    text = re.sub(r"\{([^}]*)\}", named, "/" + "/".join(segments))
    query = "&".join(f"{key}=" + re.sub(r"\{([^}]*)\}", named, "{" + key + "}") for key in keys)
    return f"{text}?{query}" if query else text


class Known:
    """Route templates of the app itself, such as a check has learned: /products/{id}/."""

    def __init__(self, templates: Iterable[str]) -> None:
        # literal ones first, then those with most segments written out
        ordered = sorted({each.partition("?")[0] for each in templates}, key=lambda t: (t.count("{"), -len(t), t))
        self._patterns = [(self._pattern(each), tuple(each.split("/")[1:])) for each in ordered]
        self.match = lru_cache(maxsize=16_384)(self._match)

    @staticmethod
    def _pattern(template: str) -> re.Pattern[str]:
        parts = re.split(r"(\{[^}]*\})", template)
        return re.compile("".join("[^/]+" if part.startswith("{") else re.escape(part) for part in parts))

    def _match(self, path: str) -> Segments | None:
        """The segments of the template that a path is an instance of."""
        return next((segments for pattern, segments in self._patterns if pattern.fullmatch(path)), None)
