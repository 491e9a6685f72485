from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from prony.load.mix import Mix
from prony.load.spec import LoadSpec, RequestSpec
from prony.traffic import arrivals


def mix_of(*requests: RequestSpec, **fields: Any) -> Mix:
    spec: dict[str, Any] = {"arrivals": "poisson", "rate_rps": 10.0, "duration_s": 1.0, "seed": 3} | fields
    return Mix(LoadSpec(host="127.0.0.1", port=80, requests=requests, segment="segment", **spec))


def target(wire: bytes) -> str:
    return wire.split(b" ")[1].decode()


def test_paths_are_taken_in_their_shares_independently_of_the_route() -> None:
    mix = mix_of(RequestSpec(path="/a/", paths=("/a/1", "/a/2", "/a/2", "/a/3"), weight=2), RequestSpec(path="/b"))
    counts = Counter(target(mix.take(0)[1]) for _ in range(12_000))
    assert set(counts) == {"/a/1", "/a/2", "/a/3", "/b"}
    found = [counts["/a/1"], counts["/a/2"], counts["/a/3"], counts["/b"]]
    assert stats.chisquare(found, [2000, 4000, 2000, 4000]).pvalue > 0.01


def test_paths_do_not_change_which_routes_are_taken() -> None:
    def routes(**fields: Any) -> list[int]:
        mix = mix_of(RequestSpec(path="/a/", **fields), RequestSpec(path="/b"))
        return [mix.take(0)[0].number for _ in range(3000)]

    assert routes() == routes(paths=("/a/1", "/a/2"))
    assert routes() == arrivals.routes([1, 1], 3000, 3).tolist()


def test_one_request_as_nobody_in_particular_is_always_the_same_bytes() -> None:
    mix = mix_of(RequestSpec())
    assert mix.only is not None
    assert mix.take(5) is mix.only
    assert mix_of(RequestSpec(paths=("/a", "/b"))).only is None
    assert mix_of(RequestSpec(), visitors=({"Cookie": "a=1"},)).only is None


def test_a_user_is_always_the_same_visitor() -> None:
    visitors = tuple({"Cookie": f"s={i}", "X-I": str(i)} for i in range(3))
    mix = mix_of(RequestSpec(headers={"X-Y": "z"}), visitors=visitors)
    for user in (0, 1, 2, 3, 7, 7):
        _, wire = mix.take(user)
        head = wire.removesuffix(b"\r\n\r\n").split(b"\r\n")
        assert head[0] == b"GET / HTTP/1.1"
        assert head[-2:] == [b"cookie: s=%d" % (user % 3), b"x-i: %d" % (user % 3)]
        assert b"x-y: z" in head
        assert b"" not in head


def test_an_anonymous_request_carries_nothing_of_a_visitor() -> None:
    mix = mix_of(RequestSpec(anonymous=True), RequestSpec(path="/own"), visitors=({"Cookie": "s=1"},))
    for _ in range(50):
        _, wire = mix.take(0)
        assert (b"cookie: s=1" in wire) == (target(wire) == "/own")
        assert wire.endswith(b"\r\n\r\n")
        assert wire.count(b"\r\n\r\n") == 1


def test_a_visitors_field_replaces_the_requests_but_cookies_go_together() -> None:
    mix = mix_of(
        RequestSpec(headers={"cookie": "consent=1", "Accept": "a/b"}), visitors=({"Cookie": "s=1", "accept": "c/d"},)
    )
    _, wire = mix.take(0)
    assert wire.count(b"cookie:") == wire.count(b"accept:") == 1
    assert b"\r\ncookie: consent=1; s=1\r\n" in wire
    assert b"\r\naccept: c/d\r\n" in wire


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(0, 2**63), st.lists(st.integers(0, 40), max_size=6)
)
def test_blocks_of_routes_and_variants_put_together_are_the_whole(sizes: list[int], seed: int, cuts: list[int]) -> None:
    weights = [1.0] * len(sizes)
    whole = arrivals.routes(weights, 40, seed)
    variants = arrivals.variants(sizes, whole, seed)
    edges = [0, *sorted(cuts), 40]
    pieces = [arrivals.routes(weights, b - a, seed, a) for a, b in itertools.pairwise(edges)]
    assert np.array_equal(np.concatenate(pieces), whole)
    starts = zip(pieces, edges, strict=False)
    assert np.array_equal(np.concatenate([arrivals.variants(sizes, p, seed, at) for p, at in starts]), variants)
    assert (variants < np.asarray(sizes)[whole]).all()


def test_a_route_without_a_variant_is_refused() -> None:
    with pytest.raises(ValueError, match="variant"):
        arrivals.variants([0], arrivals.routes([1], 1, 1), 1)
