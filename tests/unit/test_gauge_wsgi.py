from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from prony.probes.gauge import GaugeReader
from prony_gauge import wsgi
from prony_gauge.mapped import Gauge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from prony.probes.gauge import GaugeTotals


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], GaugeTotals]]:
    gauge, reader = Gauge(str(tmp_path), slots=1), GaugeReader(tmp_path)
    monkeypatch.setattr(wsgi, "GAUGE", gauge)
    yield reader.read
    reader.close()
    if gauge.descriptor is not None:
        os.close(gauge.descriptor)


def call(app: Callable[..., Any], **environ: Any) -> Any:
    return wsgi.measured(app)(environ, lambda *_: None)


class Body:
    def __init__(self) -> None:
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"a", b"b"])

    def close(self) -> None:
        self.closed += 1


def test_a_request_ends_when_its_answer_is_closed(read: Callable[[], GaugeTotals]) -> None:
    body = Body()
    answer = call(lambda *_: body)
    assert list(answer) == [b"a", b"b"]
    assert read().in_flight == 1
    answer.close()
    answer.close()
    assert (read().in_flight, read().ended) == (0, 1)
    assert body.closed == 1


def test_an_answer_knows_its_length_where_the_app_s_does(read: Callable[[], GaugeTotals]) -> None:
    sized, unsized = call(lambda *_: [b"one"]), call(lambda *_: Body())
    assert len(sized) == 1
    assert not hasattr(unsized, "__len__")
    sized.close()
    unsized.close()
    assert read().in_flight == 0


def test_an_answer_that_was_closed_is_not_kept(read: Callable[[], GaugeTotals]) -> None:
    body = Body()
    kept = weakref.ref(body)
    bodies = [body]
    answer = call(lambda *_: bodies.pop())
    answer.close()
    del answer, body
    assert kept() is None
    assert read().ended == 1


def test_the_server_s_file_wrapper_comes_back_untouched(read: Callable[[], GaugeTotals]) -> None:
    body = Body()
    assert call(lambda *_: body, **{"wsgi.file_wrapper": Body}) is body
    assert (read().in_flight, read().ended) == (0, 1)


def test_an_exception_passes_through_the_same_and_is_counted(read: Callable[[], GaugeTotals]) -> None:
    error = LookupError("the very one")

    def app(*_: Any) -> Any:
        raise error

    with pytest.raises(LookupError) as caught:
        call(app)
    assert caught.value is error
    assert read().exceptions == {"LookupError": 1}
    assert read().in_flight == 0


def test_an_exception_in_the_middle_of_an_answer_is_counted(read: Callable[[], GaugeTotals]) -> None:
    def torn() -> Iterator[bytes]:
        yield b"half"
        raise LookupError

    answer = call(lambda *_: torn())
    with pytest.raises(LookupError):
        list(answer)
    answer.close()
    assert read().exceptions == {"LookupError": 1}


def test_an_exception_in_close_is_counted_and_ends_the_request(read: Callable[[], GaugeTotals]) -> None:
    class Bad(Body):
        def close(self) -> None:
            raise LookupError

    with pytest.raises(LookupError):
        call(lambda *_: Bad()).close()
    assert read().exceptions == {"LookupError": 1}
    assert read().in_flight == 0


class Stored:
    """As Django's answers are: iterated by a map over what they hold."""

    streaming = False

    def __init__(self, *parts: object) -> None:
        self.parts = parts

    def __iter__(self) -> Iterator[bytes]:
        return map(self.octets, self.parts)

    @staticmethod
    def octets(part: object) -> bytes:
        if part is None:
            raise LookupError
        assert isinstance(part, bytes)
        return part


class Streamed(Stored):
    streaming = True


def test_an_answer_that_is_not_streamed_is_taken_whole_and_one_that_is_comes_piece_by_piece(
    read: Callable[[], GaugeTotals],
) -> None:
    stored, streamed = call(lambda *_: Stored(b"a", b"bc")), call(lambda *_: Streamed(b"a", None))
    assert list(stored) == [b"a", b"bc"]
    assert stored.size == 3
    assert next(iter(streamed)) == b"a"
    for answer in (stored, streamed):
        answer.close()
    assert read().in_flight == 0


@pytest.mark.parametrize("kind", [Stored, Streamed])
def test_what_an_answer_raises_passes_through_and_is_counted(
    kind: type[Stored], read: Callable[[], GaugeTotals]
) -> None:
    answer = call(lambda *_: kind(b"a", None))
    with pytest.raises(LookupError):
        list(answer)
    answer.close()
    assert read().exceptions == {"LookupError": 1}


def test_cpu_time_is_told_of_the_first_requests_and_then_of_one_in_four(read: Callable[[], GaugeTotals]) -> None:
    application = wsgi.measured(lambda *_: [b"a"])
    timed = 0
    for number in range(1000):
        answer = application({}, lambda *_: None)
        timed += bool(answer.thread)
        answer.close()
        if number == wsgi.TIMED_FIRST - 1:
            assert timed == wsgi.TIMED_FIRST
    assert 100 < timed < 450
    assert read().ended == 1000


def test_cpu_time_is_told_of_what_the_load_asks_after(read: Callable[[], GaugeTotals]) -> None:
    application = wsgi.measured(lambda *_: [b"a"])
    for _ in range(100):
        answer = application({"HTTP_PRONY_TIMING": "1 2 3"}, lambda *_: None)
        assert answer.thread
        answer.close()
    assert read().ended == 100
