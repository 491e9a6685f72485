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


def test_cpu_time_is_read_for_one_request_in_four_by_the_instant_of_its_entry(
    read: Callable[[], GaugeTotals], monkeypatch: pytest.MonkeyPatch
) -> None:
    application = wsgi.measured(lambda *_: [b"a"])
    clock = iter(range(10**9, 10**9 + 10**7, 1000))  # an instant that is asked for is a microsecond after the last
    monkeypatch.setattr("prony_gauge.work.monotonic_ns", lambda: next(clock))
    monkeypatch.setattr("prony_gauge.mapped.monotonic_ns", lambda: next(clock), raising=False)
    timed = 0
    for _ in range(1000):
        next(clock)
        answer = application({}, lambda *_: None)
        assert bool(answer.thread) == (not answer.entry & wsgi.NOT_TIMED)
        timed += bool(answer.thread)
        answer.close()
    assert 200 < timed < 300
    assert read().ended == 1000
