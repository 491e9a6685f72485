from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.alone.answer import Answer, _parsed

WHOLE = {
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Y: 1\r\nx-y: 2\r\n\r\nabc": Answer(
        200, {"content-length": "3", "x-y": "1, 2"}, b"abc"
    ),
    b"HTTP/1.1 204 No Content\r\n\r\n": Answer(204, {}, b""),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n": Answer(
        200, {"transfer-encoding": "chunked"}, b"abc"
    ),
    b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n": Answer(
        302, {"location": "/x", "content-length": "0"}, b""
    ),
}
UNTIL_CLOSED = b"HTTP/1.0 200 OK\r\n\r\nabc"


@pytest.mark.parametrize("data", WHOLE, ids=[str(answer.status) + answer.body.decode() for answer in WHOLE.values()])
def test_an_answer_is_there_when_all_of_it_has_come(data: bytes) -> None:
    assert _parsed(data, whole=False) == WHOLE[data]
    for length in range(data.index(b"\r\n\r\n") + 4):
        assert _parsed(data[:length], whole=False) is None


def test_one_without_a_length_lasts_until_the_connection_is_closed() -> None:
    assert _parsed(UNTIL_CLOSED, whole=False) is None
    assert _parsed(UNTIL_CLOSED, whole=True) == Answer(200, {}, b"abc")


def test_one_that_is_cut_off_has_the_body_that_came() -> None:
    assert _parsed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", whole=True) == Answer(
        200, {"content-length": "9"}, b"ab"
    )


def test_no_answer_and_one_that_is_none_are_errors() -> None:
    with pytest.raises(OSError, match="without an answer"):
        _parsed(b"", whole=True)
    with pytest.raises(ValueError, match="not an answer in HTTP"):
        _parsed(b"SSH-2.0-OpenSSH\r\n\r\n", whole=False)


ANYTHING = st.binary(max_size=300) | st.binary(max_size=200).map(lambda junk: b"HTTP/1.1 200 OK\r\n" + junk)


@given(data=ANYTHING, whole=st.sampled_from((False, True)))
def test_whatever_comes_is_an_answer_an_error_or_not_all_of_it(data: bytes, *, whole: bool) -> None:
    try:
        found = _parsed(data, whole=whole)
    except (OSError, ValueError):
        return
    assert found is not None or not whole
