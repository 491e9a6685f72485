from __future__ import annotations

import gzip
import hashlib
import json
import sys
import tracemalloc
import zlib
from types import SimpleNamespace
from typing import Any

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.load.checks import KEPT_BYTES_MAX, Checks, _brotli, checks_of, undone, value_at, wildcard
from prony.load.spec import Expectation


def lacking(expected: Expectation, body: bytes = b"", **fields: Any) -> str | None:
    checks = checks_of(expected, "/a")
    assert checks is not None
    given_fields = {name.replace("_", "-").lower().encode(): value.encode() for name, value in fields.items()}
    assert all(name in checks.wanted or name == b"x-unasked" for name in given_fields)
    found = checks.needle is not None and checks.needle in body
    return checks.missing(given_fields, len(body), body, found=found)


BODY = json.dumps({"items": [{"name": "Tea", "price": 3.5}, {"name": "Milk"}], "next": None, "more": True}).encode()
HOLDS_AND_FAILS: list[tuple[Expectation, dict[str, str], dict[str, str], str]] = [
    (
        Expectation(type="text/html"),
        {"content_type": "Text/HTML; charset=utf-8"},
        {"content_type": "text/plain"},
        "type",
    ),
    (Expectation(type="text/html"), {"content_type": "text/html"}, {}, "type"),
    (Expectation(header={"X-Cache": "HIT"}), {"x_cache": " HIT "}, {"x_cache": "HIT, MISS"}, "X-Cache"),
    (Expectation(header={"X-Cache": "*"}), {"x_cache": ""}, {}, "no field X-Cache"),
    (Expectation(header={"X-Cache": "*HIT*"}), {"x_cache": "a HIT b"}, {"x_cache": "MISS"}, "X-Cache"),
]


@pytest.mark.parametrize(("expected", "right", "wrong", "said"), HOLDS_AND_FAILS)
def test_fields_are_judged_by_their_values(
    expected: Expectation, right: dict[str, Any], wrong: dict[str, Any], said: str
) -> None:
    assert lacking(expected, **right) is None
    found = lacking(expected, **wrong)
    assert found is not None
    assert found.startswith("/a: ")
    assert said in found


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"contains": "Tea"}, b"Coffee"),
        ({"contains": "Tée"}, b"Tee"),
        ({"matches": r'"name": "T\w+"'}, b'"name": "M"'),
        ({"matches": r"^\{"}, b"["),
        ({"min_bytes": len(BODY)}, BODY[1:]),
        ({"max_bytes": len(BODY)}, BODY + b" "),
        ({"sha256": hashlib.sha256(BODY).hexdigest().upper()}, BODY + b" "),
        ({"json": {"items.0.name": "Tea"}}, b'{"items": {"0": {"name": "Milk"}}}'),
        ({"json": {"items.1.name": "M*k"}}, b'{"items": [1, {"name": "Milky"}]}'),
        ({"json": {"items.0.price": 3.5}}, b'{"items": [{"price": "3.5"}]}'),
        ({"json": {"more": True}}, b'{"more": 1}'),
        ({"json": {"next": "*"}}, b'{"nexts": 1}'),
        ({"json": {"items.1": "*"}}, b'{"items": [1]}'),
        ({"json": {"items": "*"}}, b"items"),
        ({"json": {"items": "*"}}, b"[" * 100_000),
    ],
)
def test_a_body_is_judged_by_what_it_holds(fields: dict[str, Any], wrong: bytes) -> None:
    body = BODY.replace(b"Tea", "Tée".encode()) if fields.get("contains") == "Tée" else BODY
    assert lacking(Expectation(**fields), body) is None
    assert lacking(Expectation(**fields), wrong) is not None


def test_the_first_thing_missing_is_told_in_a_sentence_that_nothing_sent_can_change() -> None:
    expected = Expectation(type="text/html", contains="a" * 200, json={"a.b": 3, "c": "x", "d": "*"})
    assert lacking(expected, content_type="x/y") == "/a: the type is not text/html"
    found = lacking(expected, b"evil", content_type="text/html")
    assert found == '/a: the body does not contain "' + "a" * 59 + '…"'
    kept = Expectation(json={"a.b": 3, "c": "x", "d": "*"})
    assert lacking(kept, b'{"a": {"b": 4}}') == "/a: no JSON with a.b = 3"
    assert lacking(kept, b'{"a": {"b": 3}}') == '/a: no JSON with c = "x"'
    assert lacking(kept, b'{"a": {"b": 3}, "c": "x"}') == "/a: no JSON with d"


def test_one_is_not_true_and_true_is_not_one() -> None:
    assert lacking(Expectation(json={"a": 1}), b'{"a": true}') is not None
    assert lacking(Expectation(json={"a": 1}), b'{"a": 1.0}') is None
    assert lacking(Expectation(json={"a": False}), b'{"a": 0}') is not None


def test_only_a_status_needs_no_checks_and_a_length_keeps_no_body() -> None:
    assert checks_of(Expectation((200, 404)), "/") is None
    assert not Checks(Expectation(contains="a", min_bytes=3, type="text/html"), "/").keeps
    assert Checks(Expectation(matches="a"), "/").keeps


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "GZIP"])
@pytest.mark.parametrize(
    "fields", [{"contains": "Tea"}, {"min_bytes": len(BODY), "max_bytes": len(BODY)}, {"matches": "Tea"}]
)
def test_a_coding_is_undone_before_a_body_is_looked_at(coding: str, fields: dict[str, Any]) -> None:
    packed = gzip.compress(BODY) if "gzip" in coding.lower() else zlib.compress(BODY)
    assert lacking(Expectation(**fields), packed, content_encoding=coding) is None


def test_what_cannot_be_undone_is_wrong() -> None:
    for body, coding in (
        (BODY, b"br"),
        (BODY, b"zstd"),
        (BODY, b"gzip"),
        (gzip.compress(BODY)[:-9], b"gzip"),
        (BODY, b"gzip, br"),
    ):
        assert undone(body, coding) is None
    assert undone(gzip.compress(bytes(KEPT_BYTES_MAX + 1)), b"gzip") is None
    raw = zlib.compressobj(wbits=-15)
    assert undone(raw.compress(BODY) + raw.flush(), b"deflate") == BODY
    found = lacking(Expectation(contains="x"), BODY, content_encoding="zstd")
    assert found is not None
    assert "coding" in found


def test_br_is_undone_within_bounds_where_brotli_is_there() -> None:
    packed = brotli.compress(BODY)
    assert lacking(Expectation(contains="Tea", max_bytes=len(BODY)), packed, content_encoding="br") is None
    assert undone(packed[:-3], b"br") is None, "it is cut off"
    assert undone(packed + b"x", b"br") is None
    assert undone(b"", b"br") is None
    for size in (0, 1, KEPT_BYTES_MAX):
        assert undone(brotli.compress(bytes(size)), b"br") == bytes(size)
    for size in (KEPT_BYTES_MAX + 1, 200_000_000):
        bomb = brotli.compress(bytes(size), quality=1)
        tracemalloc.start()
        assert undone(bomb, b"br") is None
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < 4 * KEPT_BYTES_MAX
    assert "pip" not in (lacking(Expectation(contains="x"), b"x", content_encoding="br") or "")


@pytest.mark.parametrize("old", [False, True])
def test_what_undoes_br_is_named_where_it_is_lacking(monkeypatch: pytest.MonkeyPatch, *, old: bool) -> None:
    there = SimpleNamespace(Decompressor=lambda: SimpleNamespace(process=lambda _: b"")) if old else None
    monkeypatch.setitem(sys.modules, "brotli", there)
    _brotli.cache_clear()
    try:
        found = lacking(Expectation(contains="x"), brotli.compress(b"x"), content_encoding="br")
    finally:
        _brotli.cache_clear()
    assert found == "/a: the body is in the coding br: pip install 'prony[brotli]'"


@given(st.binary(max_size=300), st.sampled_from([b"gzip", b"deflate", b"br", b"", b"identity"]))
def test_no_body_makes_the_checks_raise(body: bytes, coding: bytes) -> None:
    checks = Checks(
        Expectation(contains="a", matches="b", json={"a.0": "*"}, min_bytes=1, sha256="0" * 64, type="a/b"), "/"
    )
    said = checks.missing({b"content-encoding": coding, b"content-type": body}, len(body), body, found=True)
    assert said is None or said.startswith("/: ")
    undone(body, coding)


@given(st.text("ab*", max_size=12), st.text("ab\n", max_size=12))
def test_a_star_stands_for_anything(pattern: str, text: str) -> None:
    def like(pattern: str, text: str) -> bool:
        """By the definition, letter by letter."""
        if not pattern:
            return not text
        if pattern[0] == "*":
            return like(pattern[1:], text) or bool(text and like(pattern, text[1:]))
        return bool(text) and text[0] == pattern[0] and like(pattern[1:], text[1:])

    assert (wildcard(pattern).fullmatch(text) is not None) == like(pattern, text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(JSON)
def test_every_value_is_found_at_its_path(document: Any) -> None:
    def leaves(value: Any, path: tuple[str, ...]) -> list[tuple[str, Any]]:
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        found = [(".".join(path), value)] if path else []
        return found + [leaf for key, each in inner for leaf in leaves(each, (*path, str(key)))]

    for path, value in leaves(document, ()):
        assert value_at(document, path) is value
        assert value_at(document, f"{path}.zz") not in (value, None)
