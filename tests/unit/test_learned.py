from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from prony.errors import PlanError
from prony.plan import Expect, Plan, read_document
from prony.traffic.learned import FILE, Learned, LearnedRoute, LeftOut, apply, load, save, size_range

SHOP = Expect(contains="<title>Shop</title>", type="text/html", min_bytes=500, max_bytes=9000)
PRODUCT = LearnedRoute(name="/p/{id}/", template="/p/{id}/", paths=("/p/1/", "/p/2/"), expect=SHOP, seen_s=0.02)
HOME = LearnedRoute(name="/", template="/", paths=("/",), expect=SHOP, source="urlconf")
WRONG = LearnedRoute(name="/bad/", template="/bad/", paths=("/bad/",), right=False)
LEARNED = Learned(
    entry="shop:app",
    routes=(HOME, PRODUCT, WRONG),
    left_out=(LeftOut(name="out", template="/logout/", reason="danger", text="“logout” in it"),),
    doubts=("debug",),
)


def plan(*requests: dict[str, Any], entry: str = "shop:app") -> Plan:
    document: dict[str, Any] = {"app": {"entry": entry}}
    if requests:
        document["traffic"] = {"request": list(requests)}
    return read_document(document, "prony.toml", Path("/nowhere"))


def test_what_was_learned_is_read_as_it_was_saved(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    assert save(tmp_path, LEARNED) == tmp_path / FILE
    assert load(tmp_path) == LEARNED
    save(tmp_path, Learned(entry="other:app"))
    assert load(tmp_path) == Learned(entry="other:app")
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"entry": 3}', '{"entry": "shop:app", "version": 99}'])
def test_a_file_that_cannot_be_used_is_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    assert load(tmp_path) is None


def test_without_a_declared_mix_every_right_page_is_in_it_equally_often() -> None:
    traffic = apply(plan(), LEARNED).traffic
    assert [(each.path, each.weight, each.paths) for each in traffic.requests] == [
        ("/", 1.0, ()),
        ("/p/{id}/", 1.0, ("/p/1/", "/p/2/")),
    ]
    assert traffic.requests[1].expect == SHOP
    assert not traffic.declared


def test_pages_of_an_imported_file_stay_the_mix_though_their_weights_are_guessed() -> None:
    named = plan({"path": "/p/{id}/"})
    guessed = structs.replace(named, traffic=structs.replace(named.traffic, declared=False))
    [request] = apply(guessed, LEARNED).traffic.requests
    assert (request.path, request.paths) == ("/p/{id}/", PRODUCT.paths)


def test_a_declared_request_gets_its_paths_and_what_its_right_answers_are_like() -> None:
    [request] = apply(plan({"path": "/p/{id}/", "weight": 3}), LEARNED).traffic.requests
    assert (request.paths, request.expect, request.weight) == (PRODUCT.paths, SHOP, 3)


def test_what_the_user_declared_of_right_answers_stays() -> None:
    [request] = apply(plan({"path": "/", "expect": {"status": 200}}), LEARNED).traffic.requests
    assert request.expect == Expect()


def test_paths_learned_under_other_params_are_not_taken() -> None:
    [request] = apply(plan({"path": "/p/{id}/", "params": {"id": "SELECT id FROM p"}}), LEARNED).traffic.requests
    assert request.paths == ()
    assert request.expect == SHOP
    [request] = apply(plan({"path": "/p/{id}/", "params": {"id": ["9"]}}), LEARNED).traffic.requests
    assert request.paths == ("/p/9/",)


def test_a_wrong_page_teaches_nothing_of_right_answers() -> None:
    [request] = apply(plan({"path": "/bad/"}), LEARNED).traffic.requests
    assert request.expect == Expect()


def test_a_path_that_nothing_is_known_for_is_left_out_with_a_word() -> None:
    said: list[str] = []
    traffic = apply(plan({"path": "/t/{slug}/"}, {"path": "/"}), LEARNED, said.append).traffic
    assert [each.path for each in traffic.requests] == ["/"]
    assert "/t/{slug}/ is left out: nothing is known to stand for slug" in said[0]
    assert "prony check" in said[0]


def test_where_no_request_is_left_it_is_an_error_that_names_the_next_command() -> None:
    with pytest.raises(PlanError) as caught:
        apply(plan({"path": "/t/{slug}/"}), None)
    assert "slug" in caught.value.message
    assert caught.value.hint.startswith("prony check")


def test_what_was_learned_of_another_app_is_ignored() -> None:
    other = plan(entry="other:app")
    assert apply(other, LEARNED) == other
    assert apply(plan(), None) == plan()


def test_a_size_may_vary_honestly_and_an_empty_page_is_outside() -> None:
    least, most = size_range([1000, 1400])
    assert least == 500
    assert most == 4 * 1400 + 4096
    assert size_range([0]) == (0, 4096)


def test_journeys_alone_stay_alone_and_their_steps_are_called_like_the_pages_they_are(tmp_path: Path) -> None:
    (tmp_path / "j.py").write_text("async def go(visitor): ...\n", encoding="utf-8")
    document = {"app": {"entry": "shop:app"}, "traffic": {"journey": [{"run": "j.py:go"}]}}
    alone = read_document(document, "prony.toml", tmp_path)
    assert apply(alone, None).traffic.requests == ()
    traffic = apply(alone, LEARNED).traffic
    assert traffic.requests == ()
    assert traffic.routes == {"/": "/", "/p/{id}/": "/p/{id}/", "/bad/": "/bad/"}
    assert apply(plan({"path": "/"}), LEARNED).traffic.routes == {}, "nothing of it is needed for requests alone"
