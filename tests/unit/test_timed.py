from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from prony.load.connection import Connection
from prony.load.kinds import kind_for
from prony.load.mix import routes_of
from prony.load.spec import LoadSpec, RequestSpec
from prony.load.timed import EACH_SECOND, Timed, carrying
from tests.unit.test_load_connection import Listener, Wire


def chosen(timed: Timed, turns: int) -> list[int]:
    return [turn for turn in range(turns) if not turn & timed.mask]


@given(st.floats(0.1, 100_000))
def test_of_a_known_rate_at_most_a_hundred_a_second_carry_them_and_no_fewer_than_half_of_that(rate: float) -> None:
    timed = Timed(rate)
    each_s = rate / (timed.mask + 1)
    assert each_s <= EACH_SECOND
    assert each_s >= min(rate, EACH_SECOND / 2)


def test_a_rate_that_was_not_known_is_learnt_within_a_second() -> None:
    timed = Timed()
    assert len(chosen(timed, 1000)) == 1000
    timed.second(1000)
    assert len(chosen(timed, 1000)) <= EACH_SECOND
    mask = timed.mask
    timed.second(1010)  # ten in the next
    assert timed.mask == mask


def test_the_instants_stand_in_a_field_of_their_own_and_the_rest_is_as_it_was() -> None:
    wire = b"POST /a HTTP/1.1\r\nhost: x\r\n\r\nbody\r\nmore"
    assert carrying(wire, 7, 11, 13) == (b"POST /a HTTP/1.1\r\nprony-timing: 7 11 13\r\nhost: x\r\n\r\nbody\r\nmore")


def test_a_request_that_is_sent_again_carries_the_instants_of_that_time_alone() -> None:
    """A try after a failure, or after a kept connection turned out closed, is made of what the connection keeps."""
    spec = LoadSpec(
        host="127.0.0.1", port=80, requests=(RequestSpec(),), arrivals="constant", rate_rps=1, duration_s=1, segment="s"
    )
    route = routes_of(spec)[0]
    listener, wire, sent = Listener(), Wire(), list[bytes]()

    def sends(data: bytes) -> int:
        sent.append(bytes(data))
        return len(data)

    vars(listener)["timed"] = Timed()
    vars(wire)["send"] = sends
    made = kind_for([route], https=False, timed=True)(cast("Any", listener), cast("Any", wire), 100)
    assert made.begin(route, route.wire, 10, 11, 0) == 0
    assert made.begin(route, made.wire, 20, 21, 1 << 32) == 0
    assert made.wire == route.wire
    assert [each.count(b"prony-timing") for each in sent] == [1, 1]
    assert b"prony-timing: 0 10 11\r\n" in sent[0]
    assert b"prony-timing: %d 20 21\r\n" % (1 << 32) in sent[1]


def test_a_load_that_carries_no_instants_pays_nothing_for_them() -> None:
    assert kind_for([], https=False) is Connection
