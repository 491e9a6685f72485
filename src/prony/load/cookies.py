"""Set-Cookie lines in, the Cookie field of the next request out: what one visitor has been given, after RFC 6265.

A visitor meets one host only, so a cookie's Domain is not looked at. A Secure cookie is kept and sent over http all the
same, and told (`secure`): the way to the stack is http, whatever stands before the app in earnest.
"""

from __future__ import annotations

import calendar
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

COOKIES_MAX: Final = 180  # of one visitor, as browsers have it; the oldest go
COOKIE_BYTES_MAX: Final = 4096  # name and value
_LONGEST_S: Final = 400 * 86_400.0
_CACHED_MAX: Final = 64
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_DELIMITERS: Final = re.compile(r"[\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME: Final = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\D|$)")
_DAY: Final = re.compile(r"(\d{1,2})(?:\D|$)")
_YEAR: Final = re.compile(r"(\d{2,4})(?:\D|$)")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(slots=True)
class _Cookie:
    value: str
    order: int  # of the first time it was set
    expires_s: float


class CookieJar:
    """What one visitor has been given.

    Attributes:
        secure: The name of the first Secure cookie it was given; empty where there was none.
    """

    __slots__ = ("_cached", "_cookies", "_order", "_soonest_s", "secure")

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str], _Cookie] = {}  # by path and name
        self._cached: dict[str, str] = {}
        self._order = 0
        self._soonest_s = math.inf
        self.secure = ""

    def keep(self, line: str, target: str, now_s: float) -> None:
        """Take what one Set-Cookie field says; what is no cookie, or too large, changes nothing.

        Args:
            line: The field's value.
            target: The request's, path and query.
            now_s: Seconds since 1970.
        """
        pair, _, attributes = line.partition(";")
        name, equals, value = pair.partition("=")
        name, value = name.strip(" \t"), value.strip(" \t")
        if not equals or not name or len(name) + len(value) > COOKIE_BYTES_MAX or _CONTROL.search(line):
            return
        path, max_age, expires, secure = _read(attributes)
        expires_s = math.inf
        if max_age:
            expires_s = now_s + min(float(max_age), _LONGEST_S) if float(max_age) > 0 else -math.inf
        elif expires:
            found = date(expires)
            expires_s = math.inf if found is None else min(found, now_s + _LONGEST_S)
        if secure and not self.secure:
            self.secure = name
        self._put((path if path.startswith("/") else default_path(target), name), value, expires_s, now_s)

    def _put(self, key: tuple[str, str], value: str, expires_s: float, now_s: float) -> None:
        self._cached.clear()
        if expires_s <= now_s:
            self._cookies.pop(key, None)
            return
        former = self._cookies.get(key)
        if former is None:
            self._order += 1
            self._cookies[key] = _Cookie(value, self._order, expires_s)
            if len(self._cookies) > COOKIES_MAX:
                del self._cookies[min(self._cookies, key=lambda each: self._cookies[each].order)]
        else:
            former.value, former.expires_s = value, expires_s
        self._soonest_s = min(self._soonest_s, expires_s)

    def header(self, target: str, now_s: float) -> str:
        """The Cookie field for a request, longest paths first, then the oldest; empty where none is to be sent."""
        if not self._cookies:
            return ""
        if now_s >= self._soonest_s:
            self._expire(now_s)
        path = target.partition("?")[0]
        cached = self._cached.get(path)
        if cached is None:
            found = [(-len(at), c.order, name, c.value) for (at, name), c in self._cookies.items() if within(path, at)]
            cached = "; ".join(f"{name}={value}" for _, _, name, value in sorted(found))
            if len(self._cached) < _CACHED_MAX:
                self._cached[path] = cached
        return cached

    def _expire(self, now_s: float) -> None:
        self._cookies = {key: cookie for key, cookie in self._cookies.items() if cookie.expires_s > now_s}
        self._soonest_s = min((cookie.expires_s for cookie in self._cookies.values()), default=math.inf)
        self._cached.clear()

    def get(self, name: str) -> str | None:
        """The value of a cookie, whatever its path; None where there is none."""
        return next((cookie.value for (_, known), cookie in self._cookies.items() if known == name), None)

    def clear(self) -> None:
        """Forget all."""
        self._cookies.clear()
        self._cached.clear()
        self._soonest_s = math.inf

    def __len__(self) -> int:
        return len(self._cookies)


@lru_cache(maxsize=1024)  # one server says the same over and over
def _read(attributes: str) -> tuple[str, str, str, bool]:
    """Path, Max-Age, Expires, and whether it is Secure; a text that says nothing is empty."""
    path, max_age, expires, secure = "", "", "", False
    for attribute in attributes.split(";"):
        key, _, text = attribute.partition("=")
        key, text = key.strip(" \t").lower(), text.strip(" \t")
        if key == "path":
            path = text
        elif key == "max-age":
            max_age = text if re.fullmatch(r"-?[0-9]{1,400}", text) else max_age
        elif key == "expires":
            expires = text
        elif key == "secure":
            secure = True
    return path, max_age, expires, secure


def default_path(target: str) -> str:
    """Where a cookie without a Path holds: the folder of the page that set it."""
    path = target.partition("?")[0]
    return path[: path.rfind("/")] or "/" if path.startswith("/") else "/"


def within(path: str, cookie_path: str) -> bool:
    """Whether a path lies within a cookie's."""
    if not path.startswith(cookie_path):
        return False
    return len(path) == len(cookie_path) or cookie_path.endswith("/") or path[len(cookie_path)] == "/"


def date(text: str) -> float | None:
    """Seconds since 1970 of a cookie's Expires, read as leniently as browsers do; None where it is no date."""
    clock = day = month = year = None
    for token in _DELIMITERS.split(text):
        if clock is None and (found := _TIME.match(token)):
            clock = tuple(int(part) for part in found.groups())
        elif day is None and (found := _DAY.match(token)):
            day = int(found[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS.index(token[:3].lower()) + 1
        elif year is None and (found := _YEAR.match(token)):
            year = int(found[1])
    if clock is None or day is None or month is None or year is None:
        return None
    year += 1900 if 70 <= year <= 99 else 2000 if year <= 69 else 0
    hour, minute, second = clock
    if not 1 <= day <= calendar.monthrange(max(year, 1601), month)[1] or year < 1601 or max(minute, second) > 59:
        return None
    return float(calendar.timegm((year, month, day, hour, minute, second))) if hour < 24 else None
