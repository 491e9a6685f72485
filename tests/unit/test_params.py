from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.errors import PlanError
from prony.plan import Plan, changed, read_document
from prony.plan.params import PATHS_MAX, fill, placeholders
from prony.trial.spec import spec_of as _spec


def plan(**request: Any) -> Plan:
    document = {"app": {"entry": "shop:app"}, "traffic": {"request": [request]}}
    return read_document(document, "prony.toml", Path("/nowhere"))


def refused(**request: Any) -> str:
    with pytest.raises(PlanError) as caught:
        plan(**request)
    return caught.value.paragraph()


def test_a_path_without_placeholders_stands_for_itself() -> None:
    [request] = plan(path="/products/").traffic.requests
    assert (request.paths, request.first, request.filled) == ((), "/products/", True)


def test_lists_of_values_fill_a_path_when_the_plan_is_read() -> None:
    [request] = plan(path="/{kind}/{id}/", params={"kind": ["tea", "cup"], "id": [1, "2"]}).traffic.requests
    assert sorted(request.paths) == ["/cup/1/", "/cup/2/", "/tea/1/", "/tea/2/"]
    assert request.first in request.paths


def test_a_select_waits_for_the_stacks_database() -> None:
    [request] = plan(path="/p/{id}/", params={"id": "SELECT id FROM shop_product;"}).traffic.requests
    assert (request.paths, request.filled) == ((), False)
    assert request.params == {"id": "SELECT id FROM shop_product"}


def test_the_load_engine_is_given_the_concrete_paths() -> None:
    made = plan(path="/p/{id}/", params={"id": ["1", "2"]}).loaded(rate_rps=1)
    [request] = _spec(made, 8000).requests
    assert sorted(request.paths) == ["/p/1/", "/p/2/"]


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM shop_product",
        "SELECT 1; DROP TABLE shop_product",
        "SELECT id INTO other FROM shop_product",
        "SELECT id FROM shop_product -- all",
        "SELECT /* all */ id FROM shop_product",
        "WITH gone AS (DELETE FROM p RETURNING id) SELECT id FROM gone",
        "shop_product",
    ],
)
def test_anything_but_a_single_select_is_refused(query: str) -> None:
    told = refused(path="/p/{id}/", params={"id": query})
    assert "one SELECT" in told
    assert "Try: params" in told


@pytest.mark.parametrize("values", [[], [True], [None], [[1]], "", 3, ["a\nb"], [""]])
def test_values_are_texts_or_whole_numbers(values: Any) -> None:
    assert "[[traffic.request]] params" in refused(path="/p/{id}/", params={"id": values})


def test_a_name_that_the_path_has_not_is_refused_with_those_it_has() -> None:
    assert "allowed: one of id, kind" in refused(path="/{id}/{kind}", params={"pk": ["1"]})
    assert "in braces" in refused(path="/products/", params={"pk": ["1"]})


def test_values_are_percent_encoded_where_they_stand() -> None:
    assert fill("/t/{slug}", {"slug": ["grüner tee/50 %?#"]}) == ("/t/gr%C3%BCner%20tee/50%20%25%3F%23",)
    assert fill("/t?q={q}&n=1", {"q": ["a&b=c/d+e"]}) == ("/t?q=a%26b%3Dc%2Fd%2Be&n=1",)


def test_a_placeholder_without_values_leaves_no_path() -> None:
    assert fill("/{a}/{b}", {"a": ["1"]}) == ()


def test_too_many_combinations_are_drawn_from_all_over_by_the_seed() -> None:
    values = {"a": [str(n) for n in range(500)], "b": [str(n) for n in range(500)]}
    one, same, other = fill("/{a}/{b}", values, 1), fill("/{a}/{b}", values, 1), fill("/{a}/{b}", values, 2)
    assert one == same
    assert one != other
    assert len(set(one)) == PATHS_MAX
    firsts = {int(path.split("/")[1]) for path in one}
    assert len(firsts) > 350, "spread over the values, and not the first of them only"


@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=30))
def test_every_filled_path_can_be_sent_and_holds_its_value(values: list[str]) -> None:
    values = [value.encode("utf-8", "ignore").decode() or "x" for value in values]
    paths = fill("/p/{v}/", {"v": values})
    assert all(path.isascii() and path.isprintable() and " " not in path for path in paths)
    assert {unquote(path)[3:-1] for path in paths} == set(values)


def test_placeholders_are_named_once_in_order() -> None:
    assert placeholders("/{b}/{a}/{b}/{not a name}/{}") == ("b", "a")


def test_a_changed_plan_keeps_its_traffic_unless_the_change_is_about_it() -> None:
    from msgspec import structs

    first = plan(path="/p/{id}/")
    [request] = first.traffic.requests
    known = structs.replace(request, paths=("/p/7/",))
    learned = structs.replace(
        first, traffic=structs.replace(first.traffic, requests=(known,), declared=False, named=False)
    )
    assert changed(learned, {"server.workers": 5}).traffic == learned.traffic
    rated = changed(learned, {"traffic.rate": 9}).traffic
    assert (rated.rate_rps, rated.requests, rated.declared) == (9, (known,), False)
    assert changed(learned, {"traffic.request": [{"path": "/"}]}).traffic.requests[0].path == "/"
