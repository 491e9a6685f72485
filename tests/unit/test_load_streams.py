"""Events of a text/event-stream, counted whatever the pieces in which they come."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.load.streams import EventReader

# From the HTML standard, section "Interpreting an event stream", and what follows from its rules.
STREAMS = {
    b"data: YHOO\ndata: +2\ndata: 10\n\n": 1,
    b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n": 2,
    b"data\n\ndata\ndata\n\ndata:": 2,
    b"data:test\n\ndata: test\n\n": 2,
    b"event: ping\n\n": 0,
    b": a comment\n\n": 0,
    b"data: a\r\n\r\ndata: b\r\rdata: c\n\n": 3,
    b"database: none\n\n": 0,
    b"\n\n\n": 0,
    b"id: 7\ndata: late\n\n": 1,
}


@pytest.mark.parametrize(("stream", "events"), STREAMS.items())
def test_events_are_counted_as_the_standard_has_it(stream: bytes, events: int) -> None:
    assert EventReader().feed(stream) == events


@given(st.sampled_from(sorted(STREAMS)), st.lists(st.integers(0, 200), max_size=6))
def test_it_does_not_matter_where_a_stream_is_cut(stream: bytes, places: list[int]) -> None:
    reader = EventReader()
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(edges)]
    assert sum(reader.feed(piece) for piece in pieces) == STREAMS[stream]


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_any_bytes_are_counted_and_next_to_nothing_is_kept(pieces: list[bytes]) -> None:
    reader, whole = EventReader(), EventReader()
    assert sum(reader.feed(piece) for piece in pieces) == whole.feed(b"".join(pieces))
    assert len(reader._line) <= 8
