from __future__ import annotations

import asyncio
import inspect
import os
import sys
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from prony.probes.gauge import GaugeReader
from prony_gauge import aiohttp_app, wsgi
from prony_gauge.mapped import Gauge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from prony.probes.gauge import GaugeTotals


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], GaugeTotals]]:
    gauge, reader = Gauge(str(tmp_path), slots=1), GaugeReader(tmp_path)
    monkeypatch.setattr(wsgi, "GAUGE", gauge)
    monkeypatch.setattr(aiohttp_app, "GAUGE", gauge)
    yield reader.read
    reader.close()
    if gauge.descriptor is not None:
        os.close(gauge.descriptor)


class FoundError(Exception):
    """As aiohttp's redirects are: an answer that is raised."""


@pytest.fixture(autouse=True)
def _exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("aiohttp.web_exceptions")
    module.HTTPException = FoundError
    monkeypatch.setitem(sys.modules, "aiohttp.web_exceptions", module)


def served(app: Any, handler: Any, **headers: str) -> Any:
    """As the library does: the first of its middlewares is the outermost."""
    for middleware in reversed(app.middlewares):
        assert middleware.__middleware_version__ == 1
        handler = partial(middleware, handler=handler)
    return asyncio.run(handler(SimpleNamespace(headers=headers)))


def test_requests_are_counted_outside_all_other_middlewares(read: Callable[[], GaugeTotals]) -> None:
    seen = []

    async def theirs(request: Any, handler: Any) -> Any:
        seen.append(read().in_flight)
        return await handler(request)

    async def handler(_request: Any) -> str:
        seen.append(read().in_flight)
        return "answer"

    theirs.__middleware_version__ = 1  # type: ignore[attr-defined]
    app = SimpleNamespace(middlewares=[theirs])
    assert aiohttp_app.measured(app) is app
    assert served(app, handler) == "answer"
    assert (seen, read().ended, read().in_flight) == ([1, 1], 1, 0)


@pytest.mark.parametrize(("error", "counted"), [(FoundError, {}), (LookupError, {"LookupError": 1})])
def test_an_answer_that_is_raised_is_no_failure(
    read: Callable[[], GaugeTotals], error: type[Exception], counted: dict[str, int]
) -> None:
    async def handler(_request: Any) -> str:
        raise error

    with pytest.raises(error):
        served(aiohttp_app.measured(SimpleNamespace(middlewares=[])), handler)
    assert (read().exceptions, read().ended, read().in_flight) == (counted, 1, 0)


def test_a_websocket_is_not_counted(read: Callable[[], GaugeTotals]) -> None:
    async def handler(_request: Any) -> str:
        return "done"

    app = aiohttp_app.measured(SimpleNamespace(middlewares=[]))
    assert served(app, handler, Upgrade="WebSocket") == "done"
    assert read().begun == 0


@pytest.mark.parametrize("runner", [False, True])
def test_what_a_coroutine_factory_returns_is_counted(read: Callable[[], GaugeTotals], *, runner: bool) -> None:
    app = SimpleNamespace(middlewares=[])

    async def factory() -> Any:
        return SimpleNamespace(app=app) if runner else app

    async def handler(_request: Any) -> str:
        return "answer"

    application = aiohttp_app.measured(factory)
    assert inspect.iscoroutinefunction(application)
    made = asyncio.run(application())
    assert (made.app if runner else made) is app
    assert served(app, handler) == "answer"
    assert read().ended == 1
