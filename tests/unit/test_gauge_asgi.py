from __future__ import annotations

import asyncio
import inspect
import os
from typing import TYPE_CHECKING, Any

import pytest

from prony.probes.gauge import GaugeReader
from prony_gauge import asgi, wsgi
from prony_gauge.mapped import Gauge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from prony.probes.gauge import GaugeTotals


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], GaugeTotals]]:
    gauge, reader = Gauge(str(tmp_path), slots=1), GaugeReader(tmp_path)
    monkeypatch.setattr(wsgi, "GAUGE", gauge)
    monkeypatch.setattr(asgi, "GAUGE", gauge)
    yield reader.read
    reader.close()
    if gauge.descriptor is not None:
        os.close(gauge.descriptor)


HTTP = {"type": "http"}


async def idle(*_: Any) -> None: ...


def test_a_request_is_in_flight_until_its_coroutine_returns(read: Callable[[], GaugeTotals]) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> str:
        assert (scope, receive) == (HTTP, "receive")
        assert send({"type": "http.response.body", "body": b"four"}) == "sent"
        seen.append(read().in_flight)
        return "theirs"

    assert asyncio.run(asgi.measured(app)(HTTP, "receive", lambda _: "sent")) == "theirs"
    totals = read()
    assert (seen, totals.begun, totals.ended, totals.in_flight) == ([1], 1, 1, 0)


def test_many_are_in_flight_in_one_thread(read: Callable[[], GaugeTotals]) -> None:
    async def main() -> int:
        go = asyncio.Event()

        async def app(_scope: Any, _receive: Any, _send: Any) -> None:
            await go.wait()

        application = asgi.measured(app)
        tasks = [asyncio.create_task(application(HTTP, idle, idle)) for _ in range(7)]
        await asyncio.sleep(0)
        flying = read().in_flight
        go.set()
        await asyncio.gather(*tasks)
        return flying

    assert asyncio.run(main()) == 7
    assert (read().ended, read().in_flight) == (7, 0)


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
def test_what_lasts_as_long_as_server_or_client_likes_is_not_counted(
    read: Callable[[], GaugeTotals], kind: str
) -> None:
    called = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        called.append(scope["type"])

    asyncio.run(asgi.measured(app)({"type": kind}, idle, idle))
    assert (called, read().begun) == ([kind], 0)


def test_an_exception_passes_through_the_same_and_is_counted(read: Callable[[], GaugeTotals]) -> None:
    error = LookupError("the very one")

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise error

    with pytest.raises(LookupError) as caught:
        asyncio.run(asgi.measured(app)(HTTP, idle, idle))
    assert caught.value is error
    assert (read().exceptions, read().in_flight) == ({"LookupError": 1}, 0)


def test_a_cancelled_request_ends_and_is_no_failure(read: Callable[[], GaugeTotals]) -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(asgi.measured(app)(HTTP, idle, idle))
        await asyncio.sleep(0)
        assert read().in_flight == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert (read().ended, read().in_flight, read().exceptions) == (1, 0, {})


class Double:
    def __init__(self, scope: Any) -> None:
        self.scope = scope

    async def __call__(self, receive: Any, send: Any) -> None:
        await send((self.scope, receive))


def test_an_app_of_version_2_is_served_as_one_of_version_3(read: Callable[[], GaugeTotals]) -> None:
    sent = []

    async def send(message: Any) -> None:
        sent.append(message)

    application = asgi.measured(Double)
    assert inspect.iscoroutinefunction(application)
    assert list(inspect.signature(application).parameters) == ["scope", "receive", "send"]
    asyncio.run(application(HTTP, idle, send))
    assert (sent, read().ended) == ([(HTTP, idle)], 1)
