from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.load.naming import NAME_CHARACTERS_MAX, generalised, namer
from prony.load.site import OTHERS, ROUTES_MAX, Site
from prony.load.spec import JourneySpec, LoadSpec, RequestSpec


def site(*requests: RequestSpec, **fields: Any) -> Site:
    remarks: list[str] = []
    spec = LoadSpec(
        host="127.0.0.1",
        port=8000,
        requests=requests,
        journeys=(JourneySpec("j.py:go", "/j.py", "go"),),
        arrivals="closed",
        users=1,
        duration_s=1,
        segment="s",
        **fields,
    )
    return Site(spec, remarks.append)


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/", "/"),
        ("/products/", "/products/"),
        ("/products/17/?page=2", "/products/{id}/"),
        ("/products/17/reviews/3", "/products/{id}/reviews/{id}"),
        ("/o/3f2b8c1e-9d4a-4b6f-8e21-0a1b2c3d4e5f/", "/o/{uuid}/"),
        ("/on/2026-11-25/", "/on/{date}/"),
        ("/reset/MQ/c8x4j1-5f0e2c9a7b3d8e6f1a2b/", "/reset/MQ/{hash}/"),
        ("/commit/deadbeefcafe/", "/commit/{hash}/"),
        ("/blog/summer-collection-2026/", "/blog/summer-collection-2026/"),
        ("/v2/items/", "/v2/items/"),
        ("/p#part", "/p"),
    ],
)
def test_what_varies_becomes_a_placeholder(target: str, name: str) -> None:
    assert generalised(target) == name


@given(st.lists(st.text(string.ascii_letters + string.digits + "-_.{}", max_size=40), max_size=6))
def test_a_name_is_its_own_name(parts: list[str]) -> None:
    name = generalised("/" + "/".join(parts))
    assert len(name) <= NAME_CHARACTERS_MAX
    if len(name) < NAME_CHARACTERS_MAX:
        assert generalised(name) == name


def test_a_route_that_is_known_names_its_paths() -> None:
    name_of = namer(
        {"/p/{slug}/": "a product", "/p/new/": "/p/new/", "/p/{slug}/{page}/": "/p/{slug}/{page}/", "/": "home"}
    )
    assert name_of("/p/red-tea/?page=2") == "a product"
    assert name_of("/p/new/#top") == "/p/new/", "a path that is written out goes before a placeholder"
    assert name_of("/p/a/b/") == "/p/{slug}/{page}/"
    assert name_of("/") == "home"
    assert name_of("/q/17/") == "/q/{id}/"
    assert name_of("/p/a/b/c/") == "/p/a/b/c/"
    assert namer({"/a.b/{x}": "dots"})("/a-b/1") == "/a-b/{id}", "what a path holds is no pattern"


def test_steps_are_numbered_after_the_requests_and_share_a_name_they_have_in_common() -> None:
    found = site(RequestSpec(path="/"), RequestSpec(path="/a/", name="one"))
    assert found.route("GET", "/", None).number == 0
    assert found.route("GET", "/x/", "one").number == 1
    assert found.route("GET", "/b/1/", None).number == found.route("GET", "/b/2/", None).number == 2
    assert found.route("POST", "/b/1/", None).number == 3
    assert found.names == ["/", "one", "/b/{id}/", "POST /b/{id}/"]
    assert not found.route("POST", "/", None).idempotent
    assert found.route("HEAD", "/", None).bodiless


def test_names_without_end_share_one_route() -> None:
    found = site()
    for number in range(3 * ROUTES_MAX):
        found.route("GET", f"/x{number}y/", None)
    assert len(found.names) == ROUTES_MAX + 1
    assert found.names[-1] == OTHERS
    assert found.route("GET", "/x1y/", None).number == 1


@pytest.mark.parametrize(
    ("location", "here", "target"),
    [
        ("/a/?b=c", "/", "/a/?b=c"),
        ("b", "/a/x", "/a/b"),
        ("../b", "/a/x/y", "/a/b"),
        ("/a/../b", "/", "/b"),
        ("?page=2", "/a/?page=1", "/a/?page=2"),
        ("#top", "/a/?b=c", "/a/?b=c"),
        ("/a#top", "/", "/a"),
        ("", "/a/", "/a/"),
        ("/ä b", "/", "/%C3%A4%20b"),
        ("/a?q=ä b", "/", "/a?q=%C3%A4%20b"),
        ("http://127.0.0.1:8000/a", "/", "/a"),
        ("http://localhost:8000", "/", "/"),
        ("https://shop.example.com/a", "/", "/a"),
        ("//shop.example.com/a", "/", "/a"),
        ("//elsewhere.example/a", "/", None),
        ("http://127.0.0.1:9000/a", "/", None),
        ("http://shop.example.com@evil.example/", "/", None),
        ("mailto:a@b.example", "/", None),
        ("javascript:void(0)", "/", None),
        ("http://[", "/", None),
    ],
)
def test_a_link_is_the_stacks_own_or_none(location: str, here: str, target: str | None) -> None:
    assert site(host_header="shop.example.com").own(location, here) == target


@given(st.text(max_size=40))
def test_no_link_breaks_out_of_a_request_line(location: str) -> None:
    target = site().own(location, "/here")
    if target is not None:
        assert target.startswith("/")
        assert all("!" <= letter <= "~" for letter in target)


def test_a_request_carries_the_loads_fields_its_own_cookies_and_referer() -> None:
    found = site(host_header="shop.example.com", headers={"X-Forwarded-Proto": "https", "Cookie": "consent=1"})
    wire = found.wire(("POST", "/a"), "s=1", "/b?c", {"Accept": "text/html"}, (b"q=2", "text/plain"))
    assert wire == (
        b"POST /a HTTP/1.1\r\nhost: shop.example.com\r\nuser-agent: prony\r\naccept: text/html\r\n"
        b"x-forwarded-proto: https\r\ncookie: consent=1; s=1\r\nreferer: https://shop.example.com/b?c\r\n"
        b"content-type: text/plain\r\ncontent-length: 3\r\n\r\nq=2"
    )
    assert b"content-length: 0\r\n" in found.wire(("POST", "/a"), "", "", None, None)
    assert b"content-length" not in found.wire(("GET", "/a"), "", "", None, None)
    assert b"referer: https://127.0.0.1:8000/b" in site(https=True).wire(("GET", "/a"), "", "/b", None, None)
    assert b"referer: http://127.0.0.1:8000/b" in site().wire(("GET", "/a"), "", "/b", None, None)
    assert b"connection" not in site().wire(("GET", "/a"), "", "", None, None)
    assert b"\r\nconnection: close\r\n" in site(keep_alive=False).wire(("GET", "/a"), "", "", None, None)
    with pytest.raises(ValueError, match="X-Evil"):
        found.wire(("GET", "/"), "", "", {"X-Evil": "a\r\nb: c"}, None)
