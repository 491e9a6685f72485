"""Routes of real Django URLconfs, and of apps that look like Flask's and Starlette's."""

from __future__ import annotations

import types
from types import SimpleNamespace as Thing
from typing import Any

import pytest
from django.conf import settings
from django.urls import include, path, re_path, register_converter
from django.urls.converters import IntConverter
from django.urls.resolvers import URLResolver, get_resolver
from django.views import View
from django.views.decorators.http import require_GET, require_http_methods

from prony_gauge import django_routes
from prony_gauge import routes as gauge

if not settings.configured:
    settings.configure(USE_I18N=True, LANGUAGE_CODE="en", LANGUAGES=[("en", "English")])


class Year(IntConverter):  # type: ignore[misc] # the same
    regex = "[0-9]{4}"


register_converter(Year, "year")


class Both(View):  # type: ignore[misc] # Django ships no types
    def get(self, request: object) -> None: ...

    def post(self, request: object) -> None: ...


def show(request: object, **named: object) -> None: ...


def of(*patterns: Any) -> dict[str, dict[str, Any]]:
    """The routes of a URLconf, by template."""
    module = types.ModuleType("urls")
    module.urlpatterns = list(patterns)  # type: ignore[attr-defined]
    resolver: URLResolver = get_resolver(module)
    found: list[dict[str, Any]] = []
    django_routes._walk(resolver, {"prefix": "/", "params": {}, "odd": "", "names": ()}, found, 0)
    return {each["template"]: each for each in found}


@pytest.mark.parametrize(
    ("pattern", "template", "params"),
    [
        (path("", show), "/", {}),
        (path("p/<int:pk>/", show), "/p/{pk}/", {"pk": {"kind": "int"}}),
        (path("p/<slug>", show), "/p/{slug}", {"slug": {"kind": "str"}}),
        (path("f/<path:rest>", show), "/f/{rest}", {"rest": {"kind": "path"}}),
        (path("u/<uuid:u>/<slug:s>/", show), "/u/{u}/{s}/", {"u": {"kind": "uuid"}, "s": {"kind": "slug"}}),
        (path("y/<year:y>/", show), "/y/{y}/", {"y": {"kind": "int"}}),
        (re_path(r"^p/(?P<pk>[0-9]+)/$", show), "/p/{pk}/", {"pk": {"kind": "int"}}),
        (re_path(r"^p/(?P<slug>[-\w]+)/?$", show), "/p/{slug}/", {"slug": {"kind": "slug"}}),
        (re_path(r"^a\.json$", show), "/a.json", {}),
        (re_path(r"^c/(?P<c>(?:red|blue))$", show), "/c/{c}", {"c": {"kind": "choices", "choices": ["red", "blue"]}}),
        (
            re_path(r"^x/(?P<a>[^/(]+)\)/(?P<b>\d{2}(\d)?)/\Z", show),
            "/x/{a})/{b}/",
            {"a": {"kind": "str"}, "b": {"kind": "str"}},
        ),
    ],
)
def test_a_pattern_of_djangos_is_told_in_one_form(pattern: Any, template: str, params: dict[str, Any]) -> None:
    [found] = of(pattern).values()
    assert (found["template"], found["params"]) == (template, params)
    assert found["marks"] == []


def test_a_regular_expression_that_is_more_than_a_path_is_marked() -> None:
    [found] = of(re_path(r"^(a|b)/\d+$", show)).values()
    assert found["marks"] == ["regex"]


def test_includes_add_their_prefix_their_parameters_and_their_namespace() -> None:
    inner = ([path("", show, name="list"), path("<int:pk>/", show, name="one")], "shop")
    found = of(path("<slug:who>/shop/", include(inner)), path("", include([path("home", show, name="home")])))
    assert set(found) == {"/{who}/shop/", "/{who}/shop/{pk}/", "/home"}
    one = found["/{who}/shop/{pk}/"]
    assert one["name"] == "shop:one"
    assert one["params"] == {"who": {"kind": "slug"}, "pk": {"kind": "int"}}
    assert found["/home"]["name"] == "home"


def test_a_language_is_part_of_the_path() -> None:
    from django.conf.urls.i18n import i18n_patterns

    assert set(of(*i18n_patterns(path("tea/", show)))) == {"/en/tea/"}


def test_admins_pages_and_debugging_tools_are_marked() -> None:
    admin = ([path("", show), path("users/", show)], "admin")
    debug = ([path("x/", show)], "djdt")
    found = of(path("back/", include(admin)), path("__debug__/", include(debug)))
    assert [each["marks"] for each in found.values()] == [["admin"], ["admin"], ["debug"]]


def test_methods_are_told_where_a_view_says_them() -> None:
    actions = Thing(__call__=show, actions={"get": "list", "post": "create"}, __module__="x")
    found = of(
        path("a", Both.as_view()),
        path("b", require_http_methods(["POST", "DELETE"])(show)),
        path("c", require_GET(show)),
        path("d", show),
    )
    assert [each["methods"] for each in found.values()] == [["GET", "POST"], ["DELETE", "POST"], ["GET"], ["GET"]]
    assert django_routes._methods(actions) == ["GET", "POST"]


# ---- what looks like Flask and Starlette


class AnyConverter:
    items = ("b", "a")


class IntegerConverter: ...


def rule(text: str, endpoint: str, methods: tuple[str, ...] = ("GET", "HEAD", "OPTIONS"), **converters: Any) -> Thing:
    return Thing(rule=text, endpoint=endpoint, methods=set(methods), _converters=converters)


def test_flasks_rules_are_told_in_the_same_form() -> None:
    rules = [
        rule("/t/<int:id>/", "shop.tea", id=IntegerConverter()),
        rule("/c/<any(b, a):c>", "colour", c=AnyConverter()),
        rule("/s/<path:filename>", "static"),
        rule("/buy", "buy", ("POST", "OPTIONS")),
    ]
    app = Thing(url_map=Thing(iter_rules=lambda: iter(rules)))
    tea, colour, static, buy = gauge.routes_of(app)
    assert (tea["template"], tea["params"], tea["name"]) == ("/t/{id}/", {"id": {"kind": "int"}}, "shop.tea")
    assert colour["params"] == {"c": {"kind": "choices", "choices": ["a", "b"]}}
    assert (static["template"], static["marks"]) == ("/s/{filename}", ["static"])
    assert buy["methods"] == ["POST"]


class StaticFiles: ...


class WebSocketRoute:
    path = "/ws"


def entry(at: str, *methods: str, name: str = "") -> Thing:
    return Thing(path=at, methods=set(methods) or {"GET", "HEAD"}, name=name)


def test_starlettes_mounts_included_routers_and_sockets_are_gone_into() -> None:
    included = Thing(original_router=Thing(routes=[entry("/r/{id:int}")]), include_context=Thing(prefix="/api"))
    sub = Thing(routes=[entry("/hi/{rest:path}")])
    app = Thing(
        routes=[
            entry("/", name="home"),
            included,
            Thing(path="/sub", app=sub),
            Thing(path="/static", app=StaticFiles()),
            WebSocketRoute(),
            entry("/docs", name="swagger_ui_html"),
            entry("/buy", "POST"),
        ]
    )
    found = {each["template"]: each for each in gauge.routes_of(app)}
    assert set(found) == {"/", "/api/r/{id}", "/sub/hi/{rest}", "/static/{path}", "/ws", "/docs", "/buy"}
    assert found["/api/r/{id}"]["params"] == {"id": {"kind": "int"}}
    assert found["/sub/hi/{rest}"]["params"] == {"rest": {"kind": "path"}}
    marks = {template: each["marks"] for template, each in found.items() if each["marks"]}
    assert marks == {"/static/{path}": ["static"], "/ws": ["websocket"], "/docs": ["docs"]}
    assert found["/buy"]["methods"] == ["POST"]


def test_an_openapi_description_tells_kinds_choices_examples_and_what_a_query_must_have() -> None:
    described = {
        "paths": {
            "/t/{kind}/{u}": {
                "get": {
                    "parameters": [
                        {"in": "path", "name": "kind", "schema": {"$ref": "#/components/schemas/Kind"}},
                        {"in": "path", "name": "u", "schema": {"type": "string", "format": "uuid"}, "example": "1-2"},
                        {"in": "query", "name": "q", "required": True, "schema": {"type": "integer", "default": 3}},
                        {"in": "query", "name": "page", "schema": {"type": "integer"}},
                    ]
                }
            }
        },
        "components": {"schemas": {"Kind": {"enum": ["green", "black"]}}},
    }
    app = Thing(routes=[entry("/t/{kind}/{u}")], openapi=lambda: described)
    [found] = gauge.routes_of(app)
    assert found["source"] == "openapi"
    assert (found["params"]["kind"]["kind"], found["params"]["kind"]["choices"]) == ("choices", ["green", "black"])
    assert (found["params"]["u"]["kind"], found["params"]["u"]["values"]) == ("uuid", ["1-2"])
    assert found["query"] == {"q": {"kind": "int", "values": ["3"]}}


def test_a_description_that_fails_is_done_without() -> None:
    def fails() -> None:
        raise ValueError

    [found] = gauge.routes_of(Thing(routes=[entry("/t/{x:int}")], openapi=fails))
    assert (found["source"], found["params"]) == ("starlette", {"x": {"kind": "int"}})


def test_what_goes_wrong_is_told_and_not_raised() -> None:
    told = gauge.told("no_such_module_at_all:app", values=True)
    assert told["routes"] == []
    assert told["error"].startswith("ModuleNotFoundError")
