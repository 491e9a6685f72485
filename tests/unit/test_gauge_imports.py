from __future__ import annotations

import asyncio
import importlib
import os
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from prony.probes.gauge import GaugeReader
from prony_gauge import imports, install, libraries, wsgi
from prony_gauge.mapped import Gauge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def meta_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("driver_under_test", None)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GaugeReader]:
    gauge, made = Gauge(str(tmp_path), slots=1), GaugeReader(tmp_path)
    monkeypatch.setattr(libraries, "GAUGE", gauge)
    monkeypatch.setattr(wsgi, "GAUGE", gauge)
    yield made
    made.close()
    if gauge.descriptor is not None:
        os.close(gauge.descriptor)


@pytest.mark.usefixtures("meta_path")
def test_a_module_is_handed_over_right_after_it_ran(tmp_path: Path) -> None:
    (tmp_path / "driver_under_test.py").write_text("loader_then = __loader__\nvalue = 1\n")
    seen = []
    imports.watch({"driver_under_test": lambda module: seen.append(module.value)})
    assert seen == []
    module = importlib.import_module("driver_under_test")
    assert seen == [1]
    assert not isinstance(module.loader_then, imports.Loader)
    assert module.loader_then is module.__loader__ is cast("Any", module.__spec__).loader


@pytest.mark.usefixtures("meta_path")
def test_a_hook_that_fails_does_not_reach_the_app(tmp_path: Path) -> None:
    (tmp_path / "driver_under_test.py").write_text("")
    imports.watch({"driver_under_test": lambda module: module.no_such_thing})
    importlib.import_module("driver_under_test")


@pytest.mark.usefixtures("meta_path")
def test_a_module_that_is_absent_or_broken_fails_as_it_would(tmp_path: Path) -> None:
    imports.watch({"driver_under_test": print})
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("driver_under_test")
    (tmp_path / "driver_under_test.py").write_text("raise LookupError")
    importlib.invalidate_caches()
    with pytest.raises(LookupError):
        importlib.import_module("driver_under_test")


@pytest.mark.usefixtures("meta_path")
def test_a_module_that_is_loaded_already_is_handed_over_at_once() -> None:
    sys.modules["driver_under_test"] = ModuleType("driver_under_test")
    seen: list[str] = []
    imports.watch({"driver_under_test": lambda module: seen.append(module.__name__)})
    assert seen == ["driver_under_test"]


class Connection:
    @classmethod
    def connect(cls, text: str = "") -> str:
        """Connect."""
        if text == "full":
            raise RuntimeError(text)
        return f"{cls.__name__} {text}"


class AsyncConnection:
    @classmethod
    async def connect(cls, text: str = "") -> str:
        if text == "full":
            raise RuntimeError(text)
        return f"{cls.__name__} {text}"


def test_connections_are_counted_with_their_failures(reader: GaugeReader) -> None:
    kind: Any = type("Mine", (), dict(Connection.__dict__))
    libraries.psycopg_connection(SimpleNamespace(Connection=kind))
    assert kind.connect("here") == "Mine here"
    sub: Any = type("Sub", (kind,), {})
    assert sub.connect("there") == "Sub there"
    assert kind.connect.__doc__ == "Connect."
    with pytest.raises(RuntimeError):
        kind.connect("full")
    totals = reader.read()
    assert (totals.connects, totals.connect_failed) == (3, 1)
    assert totals.connect_errors == {"RuntimeError": 1}
    assert totals.exceptions == {}
    assert totals.connect_ns > 0


def test_a_connection_opened_while_an_exception_is_handled_has_not_failed(reader: GaugeReader) -> None:
    module = SimpleNamespace(connect=Connection.connect)
    libraries.psycopg2(module)
    try:
        int("no number")
    except ValueError:
        module.connect("again")
    totals = reader.read()
    assert (totals.connects, totals.connect_failed) == (1, 0)


def test_asynchronous_connections_are_counted_too(reader: GaugeReader) -> None:
    kind: Any = type("Mine", (), dict(AsyncConnection.__dict__))
    libraries.psycopg_connection_async(SimpleNamespace(AsyncConnection=kind))
    assert asyncio.run(kind.connect("here")) == "Mine here"
    with pytest.raises(RuntimeError):
        asyncio.run(kind.connect("full"))
    totals = reader.read()
    assert (totals.connects, totals.connect_failed) == (2, 1)


@pytest.mark.parametrize(("propagates", "expected"), [(False, {"ValueError": 1}), (True, {})])
def test_an_exception_that_django_answers_is_counted_and_one_that_comes_through_is_left_to_the_entry(
    reader: GaugeReader, monkeypatch: pytest.MonkeyPatch, *, propagates: bool, expected: dict[str, int]
) -> None:
    conf: Any = ModuleType("django.conf")
    conf.settings = SimpleNamespace(DEBUG_PROPAGATE_EXCEPTIONS=propagates)
    monkeypatch.setitem(sys.modules, "django.conf", conf)
    receivers: list[Any] = []
    signal = SimpleNamespace(connect=lambda receiver, **_: receivers.append(receiver))
    libraries.django_core_signals(SimpleNamespace(got_request_exception=signal))
    try:
        int("no number")
    except ValueError:
        receivers[0](sender=None, request=None)
    assert reader.read().exceptions == expected


def boom() -> None:
    raise LookupError("boom")


class Flask:
    """As Flask's app answers what a view raises; `propagates` as its debug mode does."""

    propagates = False

    def handle_exception(self, _context: object, error: Exception) -> str:
        if self.propagates:
            raise error
        return "500"

    def wsgi_app(self) -> str:
        try:
            boom()
        except Exception as error:  # noqa: BLE001 - as Flask does
            return self.handle_exception(object(), error)
        return "200"


class Quart(Flask):
    async def handle_exception(self, error: Exception) -> str:  # type: ignore[override] # as Quart has it
        return Flask.handle_exception(self, None, error)

    async def handle_request(self) -> str:
        try:
            boom()
        except Exception as error:  # noqa: BLE001 - as Quart does
            return await self.handle_exception(error)
        return "200"


@pytest.mark.parametrize("propagates", [False, True])
def test_an_exception_that_flask_or_quart_answers_is_counted_and_one_that_comes_through_is_left_to_the_entry(
    reader: GaugeReader, *, propagates: bool
) -> None:
    flask: Any = type("Flask", (), {**Flask.__dict__, "propagates": propagates})
    quart: Any = type("Quart", (), {**Quart.__dict__, "propagates": propagates})
    libraries.AFTER_IMPORT["flask.app"](SimpleNamespace(Flask=flask))
    libraries.AFTER_IMPORT["quart.app"](SimpleNamespace(Quart=quart))
    for call in (flask().wsgi_app, lambda: asyncio.run(quart().handle_request())):
        if propagates:
            with pytest.raises(LookupError):
                call()
        else:
            assert call() == "500"
    assert reader.read().exceptions == ({} if propagates else {"LookupError": 2})


def test_a_connection_of_mysqlclient_s_is_counted_as_it_is_made(reader: GaugeReader) -> None:
    class Made:
        def __init__(self, host: str) -> None:
            if host == "full":
                raise RuntimeError(host)
            self.host = host

    libraries.AFTER_IMPORT["MySQLdb.connections"](SimpleNamespace(Connection=Made))
    assert Made("here").host == "here"
    with pytest.raises(RuntimeError):
        Made("full")
    totals = reader.read()
    assert (totals.connects, totals.connect_failed, totals.connect_errors) == (2, 1, {"RuntimeError": 1})


def test_a_laid_out_folder_holds_the_package_and_the_sitecustomize_alone(tmp_path: Path) -> None:
    install.lay_out(str(tmp_path / "run"))
    install.lay_out(str(tmp_path / "run"))
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["prony_gauge", "sitecustomize.py"]
    assert not (tmp_path / "run" / "prony_gauge" / "sitecustomize.py").exists()
    assert (tmp_path / "run" / "prony_gauge" / "entry.py").exists()
