from __future__ import annotations

import http.cookiejar
import math
import time
import urllib.request
from email.message import Message
from email.utils import formatdate
from http.client import HTTPResponse
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.load.cookies import COOKIE_BYTES_MAX, COOKIES_MAX, CookieJar, date, default_path, within

NOW = 1_795_000_000.0


def jar(*lines: str, at: str = "/shop/cart") -> CookieJar:
    found = CookieJar()
    for line in lines:
        found.keep(line, at, NOW)
    return found


@pytest.mark.parametrize(
    ("line", "sent"),
    [
        ("a=1", "a=1"),
        (" a = 1 ; HttpOnly", "a=1"),
        ('a="1 2"', 'a="1 2"'),
        ("a=", "a="),
        ("a=1=2", "a=1=2"),
        ("a", ""),
        ("=1", ""),
        ("a=1; Max-Age=60", "a=1"),
        ("a=1; Max-Age=0", ""),
        ("a=1; max-age=-5", ""),
        ("a=1; Max-Age=soon", "a=1"),
        ("a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "a=1"),
        ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", ""),
        ("a=1; Expires=Thu, 01-Jan-70 00:00:00 GMT", ""),
        ("a=1; Expires=whenever", "a=1"),
        ("a=1; Path=/", "a=1"),
        ("a=1; Path=/shop", "a=1"),
        ("a=1; Path=/shop/", "a=1"),
        ("a=1; Path=/sho", ""),
        ("a=1; Path=/admin/", ""),
        ("a=1; Path=nonsense", "a=1"),
        ("a=1; Domain=elsewhere.example", "a=1"),
        ("a=1; Secure; SameSite=Strict", "a=1"),
        ("a=1\x01", ""),
        ("a=" + "x" * COOKIE_BYTES_MAX, ""),
    ],
)
def test_a_cookie_is_kept_and_sent_as_browsers_do(line: str, sent: str) -> None:
    assert jar(line).header("/shop/cart?page=2", NOW) == sent


def test_a_cookie_goes_when_its_time_has_come() -> None:
    found = jar("a=1; Max-Age=60", "b=2; Max-Age=30", "c=3")
    assert found.header("/shop/", NOW + 29) == "a=1; b=2; c=3"
    assert found.header("/shop/", NOW + 30) == "a=1; c=3"
    assert found.header("/shop/", NOW + 60) == "c=3"
    assert len(found) == 1


def test_longest_paths_come_first_then_the_oldest() -> None:
    found = jar("a=1; Path=/", "b=2; Path=/shop", "c=3; Path=/", "a=4; Path=/")
    assert found.header("/shop", NOW) == "b=2; a=4; c=3"
    assert found.header("/", NOW) == "a=4; c=3"


def test_the_first_secure_cookie_is_named() -> None:
    assert jar("a=1", "b=2; secure", "c=3; Secure").secure == "b"
    assert not jar("a=1").secure


def test_of_too_many_the_oldest_go() -> None:
    found = jar(*(f"c{n}=1" for n in range(COOKIES_MAX + 20)))
    assert len(found) == COOKIES_MAX
    assert found.get("c19") is None
    assert found.get("c20") == "1"
    found.clear()
    assert found.header("/shop/", NOW) == ""


def test_where_a_cookie_without_a_path_holds() -> None:
    assert [default_path(t) for t in ("/", "/a", "/a/", "/a/b?c=/d/e", "", "*")] == ["/", "/", "/a", "/a", "/", "/"]


@given(st.floats(0, 4e9))
def test_a_date_as_servers_write_it_is_read_to_the_second(seconds: float) -> None:
    whole = math.floor(seconds)
    assert date(formatdate(whole, usegmt=True)) == whole
    assert date(time.strftime("%A, %d-%b-%Y %H:%M:%S GMT", time.gmtime(whole))) == whole


@given(st.text(max_size=60))
def test_no_text_makes_a_date_raise(text: str) -> None:
    found = date(text)
    assert found is None or math.isfinite(found)


@given(st.text(st.characters(max_codepoint=255), max_size=80), st.sampled_from(["/", "/a/b", "/a?x"]))
def test_no_line_makes_a_jar_raise_or_a_header_break_out(line: str, target: str) -> None:
    found = CookieJar()
    found.keep(line, target, NOW)
    sent = found.header(target, NOW)
    assert not set(sent) & set("\r\n\0")
    sent.encode("latin-1")


PATHS = st.sampled_from(["/", "/a", "/a/", "/a/b", "/a/b/", "/ab", "/b"])
MORE = st.sampled_from(["", "; Max-Age=0", "; Max-Age=9"])
SET = st.tuples(st.sampled_from("xyz"), st.sampled_from("123"), PATHS, MORE)


@given(st.lists(SET, max_size=12), PATHS)
def test_it_sends_what_pythons_own_jar_sends(sets: list[tuple[str, str, str, str]], asked: str) -> None:
    ours, theirs = CookieJar(), http.cookiejar.CookieJar()
    request = urllib.request.Request("http://shop.local/start")
    for name, value, path, more in sets:
        line = f"{name}={value}; Path={path}{more}"
        ours.keep(line, "/start", NOW)
        theirs.extract_cookies(cast("HTTPResponse", Answer(line)), request)
    onward = urllib.request.Request(f"http://shop.local{asked}")
    theirs.add_cookie_header(onward)
    found = ours.header(asked, NOW)
    assert sorted(found.split("; ")) == sorted((onward.get_header("Cookie") or "").split("; "))


class Answer:
    """As much of an answer as Python's jar looks at."""

    def __init__(self, line: str) -> None:
        self._fields = Message()
        self._fields["Set-Cookie"] = line

    def info(self) -> Message:
        return self._fields


@given(st.text("/ab", max_size=6), st.text("/ab", max_size=6))
def test_within_is_the_rfcs_path_match(path: str, cookie_path: str) -> None:
    path, cookie_path = f"/{path}", f"/{cookie_path}"
    expected = path == cookie_path or (
        path.startswith(cookie_path) and (cookie_path[-1] == "/" or path[len(cookie_path)] == "/")
    )
    assert within(path, cookie_path) == expected
