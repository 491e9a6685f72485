"""The crawl and the choice of routes, on a site that is a dictionary."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from prony.app.routes import AppRoute, Param
from prony.plan import Expect, Request
from prony.visit import crawl as crawling
from prony.visit.browser import Browser, Page, Visitor
from prony.visit.candidates import REASONS, declared, offered
from prony.visit.crawl import Crawl, crawl

PK = {"pk": Param(kind="int", values=tuple(str(n) for n in range(1, 41)))}


class Site:
    """Pages by path; what is asked for is noted."""

    def __init__(self, pages: dict[str, Any]) -> None:
        self.pages = pages
        self.asked: list[str] = []

    def own(self, location: str, here: str = "/") -> str | None:
        return Browser.own(cast("Browser", self), location, here)

    host = "shop.example"
    _names = frozenset({"shop.example"})

    def get(self, path: str, *, follow: bool = True) -> Page:
        del follow
        self.asked.append(path)
        found = self.pages.get(path)
        if found is None:
            return Page(path, 404, {"content-type": "text/html"})
        if isinstance(found, str) and found.startswith("→"):
            return Page(path, 302, {"location": found[1:]})
        if isinstance(found, str):
            return Page(path, 200, {"content-type": "text/html"}, found.encode())
        if isinstance(found, bytes):
            return Page(path, 200, {"content-type": "image/png"}, found)
        return Page(path, 200, {"content-type": "application/json"}, json.dumps(found).encode())

    def crawl(self, *routes: AppRoute, **more: Any) -> Crawl:
        return crawl(cast("Browser", self), cast("Visitor", self), routes, **more)


def links(*paths: str, text: str = "link") -> str:
    return "<title>t</title>" + "".join(f'<a href="{path}">{text}</a>' for path in paths)


def test_links_are_followed_within_the_site_and_files_kept_apart() -> None:
    site = Site(
        {
            "/": links("/a", "b#part", "?page=2", "http://elsewhere.example/x", "mailto:x@y", "javascript:go()")
            + '<img src="/i.png"><form action="/find"></form>',
            "/a": "→/a/",
            "/a/": links("/c"),
            "/c": {"next": "/api/2", "word": "tea"},
            "/photo": b"png",
        }
    )
    found = site.crawl(starts=["/", "/photo"])
    assert {"/", "/a", "/a/", "/b", "/?page=2", "/c", "/api/2", "/find"} == set(found.pages)
    assert found.files == {"/i.png": 404, "/photo": 200}
    assert found.away == {"elsewhere.example"}
    assert {"/a", "/a/", "/c"} <= found.linked, "and not /photo, to which nothing leads"
    assert not {"/", "/photo"} & found.linked
    assert found.why == ""
    assert len(site.asked) == len(set(site.asked)), "nothing is asked for twice"


def test_nothing_dangerous_is_ever_asked_for() -> None:
    site = Site(
        {
            "/": links("/logout/", "/p/1/delete/", "/admin/", "/cart?do=clear", "/order/")
            + links("/n/5/", text="Remove")
            + links("/x/", "/y/")
        }
    )
    routes = [
        AppRoute(template="/x/", name="purge-all"),
        AppRoute(template="/order/", methods=("POST",)),
        AppRoute(template="/y/", marks=("debug",)),
    ]
    found = site.crawl(*routes)
    assert site.asked == ["/"]
    assert found.left == {
        "/logout/": "logout",
        "/p/1/delete/": "delete",
        "/admin/": "admin",
        "/cart?do=clear": "clear",
        "/order/": "method",
        "/n/5/": "remove",
        "/x/": "purge",
        "/y/": "debug",
    }


def test_what_the_user_named_is_followed_whatever_it_is_called() -> None:
    site = Site({"/": links("/reset/", "/p/1/confirm/")})
    route = AppRoute(template="/p/{pk}/confirm/", params={"pk": Param(kind="int")})
    site.crawl(route, named=["/reset/", "/p/{pk}/confirm/"])
    assert set(site.asked) == {"/", "/reset/", "/p/1/confirm/"}


def test_of_many_alike_a_few_are_looked_at_and_all_are_kept() -> None:
    site = Site({"/": links(*(f"/p/{n}/" for n in range(50)))})
    found = site.crawl()
    assert len(site.asked) == 1 + crawling.ALIKE_MAX
    assert {path for path, template in found.paths.items() if template == "/p/{id}/"} == {f"/p/{n}/" for n in range(50)}


def test_queries_of_one_kind_and_ways_back_are_few() -> None:
    site = Site({"/": links(*(f"/?page={n}" for n in range(50)), "/me?next=/a")})
    site.crawl()
    assert len(site.asked) == 1 + crawling.QUERIES_MAX


def test_a_crawl_ends_at_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site({f"/{'a' * n}": links(f"/{'a' * (n + 1)}") for n in range(50)})
    site.crawl()
    assert len(site.asked) == crawling.DEPTH_MAX + 1
    monkeypatch.setattr(crawling, "PAGES_MAX", 3)
    assert site.crawl().why == "3 pages"
    monkeypatch.setattr(crawling, "SECONDS_MAX", -1.0)
    assert site.crawl().why.endswith(" s")


# ---- which routes are visited


def test_known_routes_and_the_crawls_make_the_mix_and_each_other_has_its_reason() -> None:
    site = Site({"/": links("/p/3/", "/new", "/n/1/", "/n/2/", "/n/3/", "/bye/signout")})
    routes = [
        AppRoute(template="/"),
        AppRoute(template="/p/{pk}/", params=PK, source="urlconf"),
        AppRoute(template="/p/{pk}/delete/", params=PK),
        AppRoute(template="/admin/", marks=("admin",)),
        AppRoute(template="/docs", marks=("docs",)),
        AppRoute(template="/ws", marks=("websocket",)),
        AppRoute(template="/buy", methods=("POST",)),
    ]
    found, left = offered(routes, site.crawl(*routes), 1)
    assert {each.template for each in found} == {"/", "/p/{pk}/", "/new", "/n/{id}/"}
    product = next(each for each in found if each.template == "/p/{pk}/")
    assert product.paths[0] == "/p/3/", "what a link leads to is tried first"
    assert set(product.paths) == {f"/p/{n}/" for n in range(1, 41)}
    reasons = {each.template: each.reason for each in left}
    assert reasons == {
        "/p/{pk}/delete/": "danger",
        "/admin/": "admin",
        "/docs": "docs",
        "/ws": "websocket",
        "/buy": "method",
        "/bye/signout": "danger",
    }
    assert set(reasons.values()) <= set(REASONS)
    for each in left:
        assert each.text
        assert each.remedy or each.reason in {"method", "websocket"}


def test_a_route_to_which_only_links_lead_that_do_something_is_left_out() -> None:
    route = AppRoute(template="/n/{pk}/x/", params=PK)
    site = Site({"/": links("/n/5/x/", text="Remove")})
    _, [left] = offered([route], site.crawl(route), 1)
    assert (left.template, left.reason) == ("/n/{pk}/x/", "danger")
    site = Site({"/": links("/n/5/x/", text="Remove") + links("/n/6/x/", text="Show")})
    found, left_out = offered([route], site.crawl(route), 1)
    assert {each.template for each in found} == {"/", "/n/{pk}/x/"}
    assert left_out == []


def test_values_come_from_choices_the_database_links_lists_and_at_last_a_guess() -> None:
    chosen = AppRoute(template="/c/{x}", params={"x": Param(kind="choices", choices=("a", "b"))})
    listed = AppRoute(template="/items/{item_id}", params={"item_id": Param(kind="int")})
    guessed = AppRoute(template="/g/{x}", params={"x": Param(kind="int")})
    unknown = AppRoute(template="/u/{x}", params={"x": Param(kind="uuid")})
    queried = AppRoute(template="/s", query={"q": Param(values=("tea",))})
    rows = AppRoute(
        template="/{year}/{slug}",
        params={"year": Param(values=("1", "2")), "slug": Param(values=("a", "b"))},
        rows=({"year": "1", "slug": "a"}, {"year": "2", "slug": "b"}),
    )
    routes = [chosen, listed, guessed, unknown, queried, rows]
    site = Site({"/items/": [{"id": 7}, {"id": 9}]})
    found, _ = offered(routes, site.crawl(*routes, starts=["/items/"]), 1)
    paths = {each.template: set(each.paths) for each in found}
    assert paths["/c/{x}"] == {"/c/a", "/c/b"}
    assert paths["/items/{item_id}"] == {"/items/7", "/items/9"}
    assert paths["/g/{x}"] == {"/g/1", "/g/2", "/g/3"}
    assert paths["/u/{x}"] == set()
    assert paths["/s"] == {"/s?q=tea"}
    assert paths["/{year}/{slug}"] == {"/1/a", "/2/b"}, "values of one row belong together"


def test_a_declared_request_is_filled_by_the_route_it_names_in_its_own_words() -> None:
    route = AppRoute(template="/p/{pk}/", params=PK)
    found = declared(Request(path="/p/{id}/", name="/p/{id}/"), [route], Crawl(), 1)
    assert set(found.paths) == {f"/p/{n}/" for n in range(1, 41)}
    assert not found.listed
    known = Request(path="/p/{id}/", params={"id": ("7",)}, paths=("/p/7/",), expect=Expect(status=(200, 404)))
    found = declared(known, [route], Crawl(), 1)
    assert (found.paths, found.listed, found.expect) == (("/p/7/",), True, None)
    assert declared(Request(path="/nowhere/{id}/"), [route], Crawl(), 1).paths == ()
