from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prony.load.timed import EACH_SECOND, Timed, with_instants


def chosen(timed: Timed, turns: int) -> list[int]:
    return [turn for turn in range(turns) if turn & timed.mask == timed.want]


def test_where_it_is_off_no_request_carries_instants() -> None:
    assert chosen(Timed(on=False, rate_rps=5), 1000) == []


@given(st.floats(0.1, 100_000))
def test_of_a_known_rate_at_most_a_hundred_a_second_carry_them_and_no_fewer_than_half_of_that(rate: float) -> None:
    timed = Timed(on=True, rate_rps=rate)
    each_s = rate / (timed.mask + 1)
    assert each_s <= EACH_SECOND
    assert each_s >= min(rate, EACH_SECOND / 2)


def test_a_rate_that_was_not_known_is_learnt_within_a_second() -> None:
    timed = Timed(on=True)
    assert len(chosen(timed, 1000)) == 1000
    timed.second(1000)
    assert len(chosen(timed, 1000)) <= EACH_SECOND
    mask = timed.mask
    timed.second(1010)  # ten in the next
    assert timed.mask == mask


def test_the_instants_stand_in_a_field_of_their_own_and_the_rest_is_as_it_was() -> None:
    wire = b"POST /a HTTP/1.1\r\nhost: x\r\n\r\nbody\r\nmore"
    assert with_instants(wire, 7, 11, 13) == (
        b"POST /a HTTP/1.1\r\nprony-timing: 7 11 13\r\nhost: x\r\n\r\nbody\r\nmore"
    )
