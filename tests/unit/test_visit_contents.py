from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.visit.browser import Page
from prony.visit.contents import Contents, contents_of
from prony.visit.expectation import expectation_of, landmark

PAGE = """<!doctype html><html><head><title>
  Tea &amp; cups</title><link rel="stylesheet" href="/static/a.css"><link rel="canonical" href="/x">
<script src="/static/a.js"></script></head><body>
<a href="/tea/">Green <b>tea</b></a> <a href="/x/" title="Remove it"><i></i></a> <a name="here">no link</a>
<form action="/search/"><button>Find</button></form><form method="post" action="/buy/"></form>
<img src="/media/tea.png"><img src="data:image/png;base64,AA"></body></html>"""


def html(body: str, kind: str = "text/html") -> Page:
    return Page("/", 200, {"content-type": kind}, body.encode())


def data(body: Any) -> Page:
    return html(json.dumps(body), "application/json")


def test_what_is_on_a_page_is_told() -> None:
    found = contents_of(html(PAGE))
    assert found.title == "Tea & cups"
    assert found.landmark == "<title>\n  Tea &amp; cups</title>"
    assert found.links == (("/tea/", "Green tea"), ("/x/", "Remove it"), ("/search/", "Find"))
    assert set(found.files) == {"/static/a.css", "/static/a.js", "/media/tea.png"}
    assert (found.login, found.nothing, found.html) == (False, "", True)


def test_json_tells_its_keys_and_the_paths_in_it() -> None:
    found = contents_of(
        data({"count": 1, "items": [{"url": "/api/1/", "text": "a / b"}], "next": "http://x.example/2"})
    )
    assert found.keys == ("count", "items", "next")
    assert set(found.links) == {("/api/1/", ""), ("http://x.example/2", "")}


@pytest.mark.parametrize(
    ("page", "nothing"),
    [
        (html("<body></body>"), "no words"),
        (html("<body><script>var a = 1</script></body>"), "no words"),
        (html("<body><div id='app'></div><script src='/a.js'></script></body>"), ""),
        (html("<body><p>No products found</p></body>"), "“No products found”"),
        (html("<body><p>Know results of tea</p></body>"), ""),
        (data([]), "an empty list"),
        (data({"count": 0, "results": []}), "an empty list"),
        (data({"a": [], "b": []}), ""),
        (data({}), ""),
    ],
)
def test_a_page_that_lists_nothing_says_so(page: Page, nothing: str) -> None:
    assert contents_of(page).nothing == nothing


@given(st.binary(max_size=300), st.sampled_from(["text/html", "application/json", "image/png", ""]))
def test_whatever_a_body_holds_it_is_read(body: bytes, kind: str) -> None:
    assert isinstance(contents_of(Page("/", 200, {"content-type": kind}, body)), Contents)


@pytest.mark.parametrize(
    ("titles", "found"),
    [
        (["<title>Shop</title>"], "<title>Shop</title>"),
        (["<title>Inbox (3)</title>"], "<title>Inbox ("),
        (["<title>Tea – Shop</title>", "<title>Cup – Shop</title>"], " – Shop</title>"),
        (["<title>Shop: tea</title>", "<title>Shop: cup</title>"], "<title>Shop: "),
        (["<title>Tea</title>", "<title>Cup</title>"], "</title>"),
        (["<title>Tea</title>", ""], ""),
        ([], ""),
    ],
)
def test_a_landmark_is_what_all_titles_have_in_common(titles: list[str], found: str) -> None:
    assert landmark(titles) == found
    assert all(found in title for title in titles)


@given(st.lists(st.text(max_size=30).map(lambda text: f"<title>{text}</title>"), min_size=1, max_size=5))
def test_every_title_holds_its_landmark(titles: list[str]) -> None:
    assert all(landmark(titles) in title for title in titles)


def test_what_is_expected_holds_for_what_was_seen() -> None:
    pages = [html("<title>Tea – Shop</title>" + "x" * 900), html("<title>Cup – Shop</title>" + "x" * 1500)]
    expect = expectation_of([(page, contents_of(page)) for page in pages])
    assert (expect.status, expect.type, expect.contains) == ((200,), "text/html", " – Shop</title>")
    assert expect.min_bytes is not None
    assert expect.max_bytes is not None
    assert expect.min_bytes < len(pages[0].body) < len(pages[1].body) < expect.max_bytes
    login = html('<title>Log in</title><form><input type="password"></form>')
    assert expect.contains is not None
    assert expect.contains not in login.text, "a 200 log-in page is no right answer"


def test_of_json_the_keys_that_all_had_are_expected() -> None:
    pages = [data({"id": 1, "name": "Tea", "a.b": 1}), data({"id": 2, "name": "Cup", "sale": True})]
    expect = expectation_of([(page, contents_of(page)) for page in pages])
    assert expect.json == {"id": "*", "name": "*"}
    assert expect.contains is None


def test_of_head_only_status_and_type_are_expected() -> None:
    expect = expectation_of([(html(""), Contents())], "HEAD")
    assert (expect.status, expect.type, expect.min_bytes, expect.max_bytes) == ((200,), "text/html", None, None)
