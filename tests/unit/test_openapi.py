"""An OpenAPI document becomes routes whose weights are guessed; what cannot be sent is left out with its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.errors import PlanError
from prony.traffic import openapi
from prony.traffic.imports import Import

INTEGER = {"type": "integer"}


def parameter(name: str, where: str = "path", *, required: bool = True, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": where, "required": required, **more}


def document(**paths: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "info": {"title": "Shop", "version": "1"}, "paths": paths}


def get(path: str, *parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    return document(**{path: {"get": {"parameters": list(parameters), **more}}})


def imported(folder: Path, found: Any, *, login: bool = False) -> Import:
    (folder / "openapi.json").write_text(json.dumps(found), encoding="utf-8")
    assert openapi.looks_like_one(str(folder / "openapi.json"))
    return openapi.read(str(folder / "openapi.json"), login=login)


def reason(folder: Path, found: Any) -> str:
    """Why the one operation of a document is left out, beside one that is not."""
    found["paths"]["/other"] = {"get": {}}
    (out,) = imported(folder, found).left_out
    assert out.requests == 1
    return out.reason


def test_a_document_of_fastapi_becomes_a_mix(tmp_path: Path) -> None:
    found = document(
        **{
            "/": {"get": {"responses": {"200": {}, "422": {}}}},
            "/items/{item_id}": {
                "parameters": [parameter("item_id", schema={"type": "integer", "minimum": 5, "maximum": 8})],
                "get": {"tags": ["items"], "responses": {"200": {}, "206": {}, "404": {}}},
                "delete": {"responses": {"204": {}}},
            },
        }
    )
    got = imported(tmp_path, found)
    assert got.guessed
    root, item = got.routes
    assert (root.template, root.paths, root.status, root.note) == ("/", (), (200,), "")
    assert item.template == "/items/{item_id}"
    assert item.name == "items: /items/{item_id}"
    assert item.paths == ("/items/5", "/items/6", "/items/7", "/items/8")
    assert item.status == (200, 206)
    assert item.note == "item_id: guessed, 1 to 100"
    assert [(out.reason, out.routes) for out in got.left_out] == [("method", (("DELETE /items/{item_id}", 1),))]
    assert {route.weight for route in got.routes} == {1}


@pytest.mark.parametrize(
    ("more", "values"),
    [
        ({"example": "tea"}, ["tea"]),
        ({"examples": {"a": {"value": "tea"}, "b": {"value": 3}}}, ["tea", "3"]),
        ({"schema": {"type": "string", "example": "tea"}}, ["tea"]),
        ({"schema": {"type": "string", "examples": ["tea", "a b"]}}, ["tea", "a%20b"]),
        ({"schema": {"enum": ["tea", "a/b"]}}, ["tea", "a%2Fb"]),
        ({"schema": {"const": "tea"}}, ["tea"]),
        ({"schema": {"type": "string", "default": "tea"}}, ["tea"]),
        ({"schema": {"type": "boolean"}}, ["true", "false"]),
        ({"schema": {"anyOf": [{"type": "null"}, {"enum": ["tea"]}]}}, ["tea"]),
        ({"schema": {"$ref": "#/components/schemas/Kind"}}, ["green", "black"]),
    ],
)
def test_values_come_from_examples_choices_and_defaults(tmp_path: Path, more: Any, values: list[str]) -> None:
    for where, path in (("path", "/t/{x}"), ("query", "/t")):
        found = get(path, parameter("x", where, **more))
        found["components"] = {"schemas": {"Kind": {"type": "string", "enum": ["green", "black"]}}}
        (route,) = imported(tmp_path, found).routes
        form = "/t/{}" if where == "path" else "/t?x={}"
        assert route.paths == tuple(form.format(value) for value in values)
        assert not route.note


def test_integers_without_more_are_spread_and_marked_as_guessed(tmp_path: Path) -> None:
    (route,) = imported(tmp_path, get("/t/{x}", parameter("x", schema=INTEGER))).routes
    numbers = [int(path.removeprefix("/t/")) for path in route.paths]
    assert numbers[0] == 1
    assert max(numbers) <= 100
    assert len(numbers) >= 20
    assert "guessed" in route.note


def test_only_required_queries_are_sent_and_all_combinations(tmp_path: Path) -> None:
    found = get(
        "/t/{x}",
        parameter("x", schema={"enum": ["a", "b"]}),
        parameter("q", "query", schema={"enum": [1, 2]}),
        parameter("page", "query", required=False, schema=INTEGER),
    )
    (route,) = imported(tmp_path, found).routes
    assert route.template == "/t/{x}?q={q}"
    assert route.paths == ("/t/a?q=1", "/t/a?q=2", "/t/b?q=1", "/t/b?q=2")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/api/v1/", "/api/v1/t"),
        ("https://shop.example.com/api", "/api/t"),
        ("https://shop.example.com", "/t"),
        (3, "/t"),
    ],
)
def test_the_first_server_s_path_stands_before(tmp_path: Path, url: Any, path: str) -> None:
    (route,) = imported(tmp_path, get("/t") | {"servers": [{"url": url}, {"url": "/other"}]}).routes
    assert route.template == path


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (get("/auth/logout"), "dangerous"),
        (document(**{"/t": {"post": {}}}), "method"),
        (get("/t/{x}", parameter("x", schema={"type": "string"})), "unknown"),
        (get("/t/{x}", parameter("x", schema={"type": "string", "format": "uuid"})), "unknown"),
        (get("/t/{x}"), "unknown"),
        (get("/t", parameter("X-Key", "header")), "unknown"),
        (get("/t", security=[{"oauth2": []}]), "login"),
        (get("/t/{x}", parameter("x", schema={"$ref": "other.json#/X"})), "unreadable"),
        (get("/t/{x}", parameter("x", schema={"$ref": "#/paths/~1t~1{x}/get/parameters/0/schema"})), "unreadable"),
    ],
)
def test_what_cannot_be_sent_is_left_out_with_its_reason(tmp_path: Path, found: Any, why: str) -> None:
    assert reason(tmp_path, found) == why


def test_with_a_log_in_what_asks_for_one_is_sent(tmp_path: Path) -> None:
    found = get("/t") | {"security": [{"oauth2": []}]}
    assert imported(tmp_path, found, login=True).routes[0].template == "/t"


def test_yaml_is_read_where_it_can_be(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    (tmp_path / "api.yaml").write_text("openapi: 3.0.3\npaths:\n  /t:\n    get:\n      responses: {200: {}}\n", "utf-8")
    assert openapi.looks_like_one(str(tmp_path / "api.yaml"))
    assert openapi.read(str(tmp_path / "api.yaml"), login=False).routes[0].template == "/t"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"swagger": "2.0", "paths": {}}', "found version 2.0"),
        ('{"openapi": "3.0.0"}', "no paths"),
        ('{"openapi": "3.0.0", "paths": {}}', "no operation that can be sent"),
        ("{}", "found no version"),
        ('{"openapi": ', "neither JSON"),
        ('{"a":' * 30_000, "is neither"),
        ("- 3", "found no OpenAPI document"),
        ("a: [", "is no YAML"),
    ],
)
def test_what_is_no_document_is_one_paragraph(tmp_path: Path, text: str, found: str) -> None:
    pytest.importorskip("yaml")
    (tmp_path / "api.json").write_text(text, encoding="utf-8")
    with pytest.raises(PlanError, match=found) as caught:
        openapi.read(str(tmp_path / "api.json"), login=False)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 700


WORDS = ["get", "parameters", "schema", "name", "in", "path", "query", "required", "type", "integer", "enum", "example"]
WORDS += [
    "$ref",
    "#/paths",
    "examples",
    "responses",
    "200",
    "2XX",
    "tags",
    "security",
    "servers",
    "url",
    "anyOf",
    "items",
]
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["/a", "/a/{x}", "/{", "x"]), st.dictionaries(st.just("get"), ANY) | ANY), ANY)
def test_any_document_is_a_mix_or_a_plan_error(
    tmp_path_factory: pytest.TempPathFactory, paths: dict[str, Any], servers: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps({"openapi": "3.0.0", "paths": paths, "servers": servers}), encoding="utf-8")
    try:
        found = openapi.read(str(path), login=True)
    except PlanError:
        return
    for route in found.routes:
        for each in route.paths or (route.template,):
            assert each.startswith("/")
            assert all("!" <= c <= "~" for c in each)
