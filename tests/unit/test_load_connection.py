"""The reading of answers, without a socket: bytes cut anywhere come to the same end."""

from __future__ import annotations

import gzip
import itertools
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.load import checking as reading
from prony.load.checking import CheckingConnection
from prony.load.connection import Connection
from prony.load.keeping import PageConnection
from prony.load.mix import KNOWN_BYTES_MAX, Known, routes_of
from prony.load.spec import Expectation, LoadSpec, RequestSpec
from prony.samples import OUTCOMES


class Wire:
    """A socket that holds what the server is to have said."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def fileno(self) -> int:
        return 3

    def send(self, data: bytes) -> int:
        return len(data)

    def recv_into(self, buffer: memoryview, size: int) -> int:
        piece = self.pieces.pop(0)
        taken = piece[: size or len(buffer)]
        if piece[len(taken) :]:
            self.pieces.insert(0, piece[len(taken) :])
        buffer[: len(taken)] = taken
        return len(taken)

    def close(self) -> None:
        """Nothing is open."""


class Loop:
    def add_reader(self, *_: Any, **__: Any) -> None: ...
    def call_soon(self, *_: Any) -> None: ...
    def remove_reader(self, *_: Any) -> None: ...
    def remove_writer(self, *_: Any) -> None: ...


class Listener:
    """An owner that remembers what it was told of one request."""

    def __init__(self) -> None:
        self.loop = cast("Any", Loop())
        self.server_name = ""
        self.add: Callable[..., None] = lambda *_: None
        self.kept_bytes = 0
        self.told: list[str] = []
        self.lacked: list[str] = []

    def ended(self, connection: Connection, outcome: int, now_ns: int) -> None:  # noqa: ARG002 - an owner's signature
        self.told.append(OUTCOMES[outcome])
        if not connection.reusable():
            connection.close()

    def broken(self, connection: Connection, code: int, now_ns: int) -> None:  # noqa: ARG002 - the same
        if connection.route is not None:
            self.told.append("broken")
        connection.close()

    def lacking(self, what: str) -> None:
        self.lacked.append(what)


def spec_of(expected: Expectation, **fields: Any) -> LoadSpec:
    return LoadSpec(
        host="127.0.0.1",
        port=80,
        requests=(RequestSpec(expect=expected, **fields),),
        arrivals="constant",
        rate_rps=1,
        duration_s=1,
        segment="s",
    )


def answered(pieces: list[bytes], expected: Expectation, times: int = 1, **fields: Any) -> Listener:
    """What becomes of requests whose answers come in these pieces, each an event of its own."""
    spec = spec_of(expected, **fields)
    listener, wire = Listener(), Wire()
    route = routes_of(spec)[0]
    kind = CheckingConnection if route.checks else Connection
    made = kind(listener, cast("Any", wire), spec.body_bytes_max)
    for _ in range(times):
        if made.parser is None:
            break
        assert made.begin(route, route.wire, 1, 1, 0) == 0
        wire.pieces = [piece for piece in pieces if piece]
        count = len(listener.told)
        while wire.pieces and len(listener.told) == count and made.parser is not None:
            made.on_readable()
        if len(listener.told) == count:
            wire.pieces = [b""]
            made.on_readable()
    made.close()
    assert listener.kept_bytes == 0
    return listener


def turns(answers: list[bytes], expected: Expectation) -> Listener:
    """What becomes of requests of one route on one connection, each with its own answer, which comes in one piece."""
    spec = spec_of(expected)
    listener, wire = Listener(), Wire()
    route = routes_of(spec)[0]
    made = CheckingConnection(listener, cast("Any", wire), spec.body_bytes_max)
    for answer in answers:
        made.begin(route, route.wire, 1, 1, 0)
        wire.pieces = [answer]
        made.on_readable()
    made.close()
    return listener


def cut(raw: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % len(raw) for place in places), len(raw)]
    return [raw[a:b] for a, b in itertools.pairwise(edges)]


BODY = b'{"name": "Tea", "price": 3}'
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\n%s\r\n%x\r\n%s\r\n0\r\nX-Trailer: z\r\n\r\n" % (BODY[:5], len(BODY) - 5, BODY[5:])
)
PACKED = gzip.compress(BODY, mtime=0)
GZIPPED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    % len(PACKED)
    + PACKED
)
EARLY = b"HTTP/1.1 103 Early Hints\r\nContent-Type: text/html\r\nX-Trailer: z\r\n\r\n" + PLAIN
LENGTHLESS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + BODY
WHOLE = [PLAIN, CHUNKED, GZIPPED, EARLY, LENGTHLESS]
EXPECTED = [
    Expectation(),
    Expectation(contains='"Tea"'),
    Expectation(matches="T.a", json={"price": 3}, type="application/json", min_bytes=len(BODY), max_bytes=len(BODY)),
    Expectation(min_bytes=len(BODY), max_bytes=len(BODY)),
]


@given(st.sampled_from(WHOLE), st.sampled_from(EXPECTED), st.lists(st.integers(0, 300), max_size=8))
def test_an_answer_cut_anywhere_is_as_right_as_whole(raw: bytes, expected: Expectation, places: list[int]) -> None:
    found = answered(cut(raw, places), expected, times=3)
    assert set(found.told) == {"ok"}, found.lacked


@given(st.sampled_from(WHOLE), st.lists(st.integers(0, 300), max_size=8))
def test_a_wrong_answer_cut_anywhere_lacks_the_same_thing(raw: bytes, places: list[int]) -> None:
    for expected in (Expectation(contains="Teas"), Expectation(header={"x-trailer": "z"}), Expectation(max_bytes=20)):
        found = answered(cut(raw, places), expected)
        assert found.told == ["check_failed"]
        assert len(found.lacked) == 1


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.sampled_from(EXPECTED))
def test_binary_junk_ends_a_request_once(pieces: list[bytes], expected: Expectation) -> None:
    found = answered(pieces, expected)
    assert len(found.told) == 1
    assert found.told[0] in {"protocol_error", "broken"}


@given(st.data(), st.sampled_from(WHOLE), st.sampled_from(EXPECTED))
def test_a_damaged_answer_ends_a_request_once(data: st.DataObject, raw: bytes, expected: Expectation) -> None:
    damaged = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=5))
    found = answered(cut(bytes(damaged) or b"\0", data.draw(st.lists(st.integers(0, 300), max_size=4))), expected)
    assert len(found.told) == 1


def test_of_bodies_over_the_bound_nothing_is_kept(monkeypatch: Any) -> None:
    big = b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b"a" * 3000
    expected = Expectation(matches="a")
    assert answered(cut(big, [500, 1500]), expected).told == ["ok"]
    for bound in ("KEPT_BYTES_MAX", "KEPT_BYTES_IN_ALL_MAX"):
        with monkeypatch.context() as changed:
            changed.setattr(reading, bound, 2000)
            found = answered(cut(big, [500, 1500]), expected)
            assert found.told == ["check_failed"]
            assert "over 4 MiB" in found.lacked[0]


@pytest.mark.parametrize("user", [0, -1], ids=["a request", "a journey's step"])
def test_a_body_in_tiny_chunks_takes_little_more_than_its_bytes(user: int) -> None:
    """As an answer that is judged, and as the page of a journey's step."""
    count = 50_000
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"2\r\nzz\r\n" * count
    listener, wire = Listener(), Wire()
    route = routes_of(spec_of(Expectation(matches="z")))[0]
    made = PageConnection(listener, cast("Any", wire), 10**6)
    made.user = user
    assert made.begin(route if user == 0 else replace(route, checks=None), route.wire, 1, 1, 0) == 0
    wire.pieces = cut(raw, list(range(50_000, len(raw), 50_000)))
    tracemalloc.start()
    try:
        while wire.pieces:
            made.on_readable()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made.size == 2 * count
    assert held < 4 * made.size
    made.close()


def test_a_body_in_pieces_is_whole_in_a_journeys_page() -> None:
    listener, wire = Listener(), Wire()
    route = replace(routes_of(spec_of(Expectation()))[0], known=Known(keeps=False))
    made = PageConnection(listener, cast("Any", wire), 10**7)
    made.user = -1
    answers = {
        b"Content-Length: 6\r\n\r\nabcdef": (b"abcdef", 6),
        b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n": (b"abc", 3),
        b"Content-Length: 2000000\r\n\r\n" + b"z" * 2_000_000: (None, 2_000_000),
        b"Content-Length: 0\r\n\r\n": (b"", 0),
    }
    got: list[tuple[bytes | None, int]] = []

    def ended(connection: Connection, outcome: int, now_ns: int) -> None:  # noqa: ARG001 - an owner's signature
        answer = made.answer()
        got.append((answer.body, answer.size))
        assert made.reusable()

    listener.ended = ended  # type: ignore[method-assign]
    for raw in answers:
        made.begin(route, route.wire, 1, 1, 0)
        wire.pieces = [b"HTTP/1.1 200 OK\r\n" + raw]
        while wire.pieces:
            made.on_readable()
    assert got == list(answers.values())


@given(st.sampled_from([PLAIN, CHUNKED, GZIPPED]), st.sampled_from(EXPECTED), st.lists(st.integers(0, 500), max_size=2))
def test_an_answer_known_by_its_bytes_ends_as_one_that_is_read(
    answer: bytes, expected: Expectation, places: list[int]
) -> None:
    often = answered(cut(answer, places), expected, times=6)
    once = answered(cut(answer, places), expected)
    assert often.told == once.told * 6
    assert often.lacked == once.lacked * 6


def test_an_answer_that_differs_from_the_one_known_is_read() -> None:
    right = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntea"
    wrong = right.replace(b"200", b"500")
    lacks = right.replace(b"tea", b"pie")
    shorter = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nte"
    listener = turns([right, right, wrong, right, lacks, right, shorter, right], Expectation(contains="tea"))
    assert listener.told == ["ok", "ok", "wrong_status", "ok", "check_failed", "ok", "check_failed", "ok"]


def test_answers_that_are_never_alike_are_kept_only_now_and_then() -> None:
    known = Known()
    for number in range(1000):
        known.keep(memoryview(b"%d" % number), 200)
    assert known.answer == b"767", "the 768th"
    for size, kept in ((KNOWN_BYTES_MAX, True), (KNOWN_BYTES_MAX + 1, False)):
        fresh = Known()
        fresh.keep(memoryview(bytes(size)), 200)
        assert (fresh.size >= 0) is kept
    never = Known(keeps=False)
    never.keep(memoryview(b"x"), 200)
    assert never.size == -1
