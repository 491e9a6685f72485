from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.app.routes import AppRoute, Param
from prony.traffic.dangers import danger, is_admin
from prony.visit.templates import Templates, generalise

KNOWN = Templates(
    [
        AppRoute(template="/files/{path}", params={"path": Param(kind="path")}),
        AppRoute(template="/products/{pk}/", params={"pk": Param(kind="int")}),
        AppRoute(template="/products/{slug}/", params={"slug": Param(kind="slug")}),
        AppRoute(template="/products/new/"),
        AppRoute(template="/u/{key}", params={"key": Param(kind="uuid")}),
        AppRoute(template="/c/{colour}", params={"colour": Param(kind="choices", choices=("red", "blue+"))}),
        AppRoute(template="/{a}.json", params={"a": Param()}),
        AppRoute(template="/old/{x}", params={"x": Param()}, marks=("regex",)),
    ]
)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/products/7/", "/products/{pk}/"),
        ("/products/7/?page=2", "/products/{pk}/"),
        ("/products/green-tea/", "/products/{slug}/"),
        ("/products/new/", "/products/new/"),
        ("/products/7", None),
        ("/u/123e4567-e89b-12d3-a456-426614174000", "/u/{key}"),
        ("/u/123", None),
        ("/c/red", "/c/{colour}"),
        ("/c/blue+", "/c/{colour}"),
        ("/c/bluee", None),
        ("/files/a/b.txt", "/files/{path}"),
        ("/x.json", "/{a}.json"),
        ("/xyjson", None),
        ("/old/1", None),
    ],
)
def test_a_path_belongs_to_the_known_route_that_serves_it(path: str, template: str | None) -> None:
    found = KNOWN.route(path)
    assert (found.template if found else None) == template


def test_what_stands_for_a_parameter_is_told() -> None:
    assert KNOWN.values("/products/7/?x=1") == {"pk": "7"}
    assert KNOWN.values("/nowhere") == {}


@pytest.mark.parametrize(
    ("paths", "template"),
    [
        (["/a/1/", "/a/2/", "/a/30/"], "/a/{id}/"),
        (["/a/1/edit", "/a/2/edit", "/a/3/edit"], "/a/{id}/edit"),
        (["/1", "/2", "/3"], "/{id}"),
        ([f"/o/{n}23e4567-e89b-12d3-a456-426614174000" for n in (1, 2, 3)], "/o/{uuid}"),
        (["/k/deadbeef01", "/k/00c0ffee99", "/k/1234567890ab"], "/k/{hash}"),
        (["/blog/green-tea/", "/blog/hot-water/", "/blog/milk/"], "/blog/{slug}/"),
    ],
)
def test_three_paths_alike_make_a_template(paths: list[str], template: str) -> None:
    assert set(generalise(paths).values()) == {template}


@pytest.mark.parametrize(
    "paths",
    [
        ["/about/", "/terms/", "/contact/"],
        ["/help/about", "/help/terms", "/help/contact"],
        ["/a/1/", "/a/2/"],
        ["/green-tea", "/hot-water", "/cold-milk"],
    ],
)
def test_words_few_paths_and_pages_at_the_top_stay_as_they_are(paths: list[str]) -> None:
    assert generalise(paths) == {path: path for path in paths}


def test_two_parameters_are_found_one_after_the_other() -> None:
    paths = [f"/u/{user}/p/{post}/" for user in (1, 2, 3) for post in (7, 8, 9)]
    [template] = set(generalise(paths).values())
    assert template.count("{id") == 2


@given(st.lists(st.from_regex(r"/[a-z0-9/.-]{0,20}", fullmatch=True), max_size=20))
def test_a_template_is_of_its_paths_form(paths: list[str]) -> None:
    for path, template in generalise(paths).items():
        assert path.count("/") == template.count("/")


@pytest.mark.parametrize(
    ("template", "name", "text"),
    [
        ("/logout/", "", ""),
        ("/accounts/log-out", "", ""),
        ("/signOut", "", ""),
        ("/products/{pk}/delete/", "", ""),
        ("/x/", "product_delete", ""),
        ("/x/", "shop:cart-clear", ""),
        ("/notes/5/", "", "Remove"),
        ("/notes/5/", "", "Log out"),
        ("/cart?action=delete&id=3", "", ""),
        ("/newsletter/unsubscribe", "", ""),
        ("/pay/", "", ""),
        ("/checkout/confirm/", "", ""),
        ("/add-to-cart/3", "", ""),
        ("/cache/flush", "", ""),
    ],
)
def test_what_may_do_something_is_dangerous(template: str, name: str, text: str) -> None:
    assert danger(template, name, text)


@pytest.mark.parametrize(
    ("template", "name", "text"),
    [
        ("/", "home", "Home"),
        ("/dropdown/", "", ""),
        ("/payload/", "", ""),
        ("/blog/how-to-delete-a-cache-entry/", "", "How to delete a cache entry"),
        ("/posts/{delete}/", "post-detail", ""),
        ("/checkout/", "checkout", ""),
        ("/archive/2024/", "", "Archive"),
        ("/products/", "product-list", "All products"),
        ("/logs/", "", "Logs"),
        ("/search?q=tea", "", ""),
    ],
)
def test_whole_words_count_and_titles_do_not(template: str, name: str, text: str) -> None:
    assert danger(template, name, text) == ""


def test_an_admins_pages_are_known_by_their_path() -> None:
    assert is_admin("/admin/")
    assert is_admin("/django-admin/users/?x=1")
    assert not is_admin("/administration-of-tea/")
