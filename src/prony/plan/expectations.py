"""An `expect` table in, what a right answer looks like as frozen data out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from prony.errors import PlanError
from prony.knobs.values import NotAllowedError
from prony.knobs.values import read as read_value
from prony.plan import keys
from prony.plan.checks import only_known, shown
from prony.plan.requests import Expect

_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]{0,4000}")
_MEDIA_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}/[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_MATCHES_MAX = 1000
_TABLE_MAX = 50
_BODY_MAX = 2**31
# They ask for something in the body.
_OF_THE_BODY = ("contains", "matches", "json", "min_bytes", "sha256")


def read(raw: Any, source: str, path: str, method: str) -> Expect:
    """The `expect` table of a request; `path` is the table it stands in.

    Raises:
        PlanError: one paragraph on the first thing that is wrong.
    """
    if not isinstance(raw, dict):
        raise PlanError(
            f'{source}: [[{path}]] expect: found {shown(raw)}; allowed: {{ status = 200, contains = "…" }}.'
        )
    only_known(raw, keys.EXPECT, source, f"{path}.expect")
    values = {}
    for name, value in raw.items():
        read_one, allowed = _READERS[name]
        try:
            values[name] = read_one(value)
        except ValueError as error:
            why = f" ({error})" if name == "matches" and isinstance(value, str) else ""
            raise PlanError(
                f"{source}: [[{path}]] expect.{name}: found {shown(value)}{why}; allowed: {allowed}."
            ) from None
    least, most = values.get("min_bytes"), values.get("max_bytes")
    if least is not None and most is not None and least > most:
        raise PlanError(f"{source}: [[{path}]] expect: found min_bytes = {least} above max_bytes = {most}.")
    bodily = [name for name in _OF_THE_BODY if name in values]
    if method == "HEAD" and bodily:
        raise PlanError(
            f"{source}: [[{path}]] expect.{bodily[0]}: found it on a HEAD request, whose answer has no body; "
            "allowed there: status, type, header.",
            hint='write method = "GET", or leave it out',
        )
    return Expect(**values)


def _refuse_unless(right: object) -> None:
    if not right:
        raise ValueError


def _statuses(value: Any) -> tuple[int, ...]:
    found = value if isinstance(value, list) else [value]
    _refuse_unless(found and all(isinstance(s, int) and not isinstance(s, bool) and 100 <= s <= 599 for s in found))
    return tuple(found)


def _text(value: Any) -> str:
    _refuse_unless(isinstance(value, str) and value)
    return str(value)


def _type(value: Any) -> str:
    _refuse_unless(isinstance(value, str) and _MEDIA_TYPE.fullmatch(value))
    return str(value)


def _header(value: Any) -> dict[str, str]:
    _refuse_unless(isinstance(value, dict) and 1 <= len(value) <= _TABLE_MAX)
    for name, text in value.items():
        _refuse_unless(_FIELD_NAME.fullmatch(name) and isinstance(text, str) and text and _FIELD_VALUE.fullmatch(text))
    return dict(value)


def _matches(value: Any) -> str:
    _refuse_unless(isinstance(value, str) and 1 <= len(value) <= _MATCHES_MAX)
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(" ".join(str(error)[:100].split())) from error
    return str(value)


def _json(value: Any) -> dict[str, str | int | float | bool]:
    _refuse_unless(isinstance(value, dict) and 1 <= len(value) <= _TABLE_MAX)
    for name, wanted in value.items():
        _refuse_unless(name and isinstance(wanted, str | int | float | bool))
        _refuse_unless(not isinstance(wanted, int | float) or abs(wanted) < 2**53)  # what JSON's numbers can tell apart
    return dict(value)


def _size(value: Any) -> int:
    try:
        return int(read_value("bytes", value, 0, _BODY_MAX))
    except NotAllowedError as error:
        raise ValueError from error


def _sha256(value: Any) -> str:
    _refuse_unless(isinstance(value, str) and _SHA256.fullmatch(value))
    return str(value).lower()


_SIZES = 'an amount of bytes such as 500 or "2K", up to 2G'
_READERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "status": (_statuses, "a status from 100 to 599, or a list"),
    "contains": (_text, "a text"),
    "type": (_type, 'a media type such as "text/html"'),
    "header": (_header, 'a table of fields and their values, such as { X-Cache = "HIT" }; * stands for anything'),
    "matches": (_matches, f"a regular expression of at most {_MATCHES_MAX} characters"),
    "json": (_json, 'a table of paths and values, such as { "items.0.name" = "Tea", count = 3, next = "*" }'),
    "min_bytes": (_size, _SIZES),
    "max_bytes": (_size, _SIZES),
    "sha256": (_sha256, "64 hexadecimal digits"),
}
