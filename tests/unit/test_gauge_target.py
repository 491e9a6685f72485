from __future__ import annotations

import asyncio
import functools
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from prony_gauge.target import check_interface, interface_of, is_double, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def shop() -> Iterator[ModuleType]:
    module: Any = ModuleType("shop_under_test")
    module.application = lambda _environ, _start: [b""]
    module.holder = ModuleType("holder")
    module.holder.app = "held"
    module.create_app = lambda *args, **kwargs: (args, kwargs)
    sys.modules["shop_under_test"] = module
    yield module
    del sys.modules["shop_under_test"]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("shop_under_test:holder.app", "held"),
        ("shop_under_test:create_app()", ((), {})),
        ("shop_under_test:create_app('eu', debug=True)", (("eu",), {"debug": True})),
    ],
)
def test_an_entry_names_an_attribute_or_a_factory(entry: str, expected: object) -> None:
    assert resolve(entry) == expected


def test_a_module_alone_means_its_application_or_app(shop: Any) -> None:
    assert resolve("shop_under_test") is shop.application
    shop.app = "app"
    del shop.application
    assert resolve("shop_under_test") == "app"
    del shop.app
    with pytest.raises(AttributeError, match="neither 'application' nor 'app'"):
        resolve("shop_under_test")


@pytest.mark.parametrize("call", ["create_app(import_this)", "create_app(", "create_app() + 1"])
def test_a_factory_takes_literals_only(call: str) -> None:
    with pytest.raises(RuntimeError, match="literal values only"):
        resolve(f"shop_under_test:{call}")


def test_no_entry_is_said_so() -> None:
    with pytest.raises(RuntimeError, match="PRONY_GAUGE_ENTRY"):
        resolve("")


def test_a_coroutine_factory_is_left_to_the_server_s_event_loop(shop: Any) -> None:
    async def create_app(name: str, *, debug: bool = False) -> tuple[str, bool]:
        return name, debug

    shop.create_app = create_app
    made = resolve("shop_under_test:create_app('eu', debug=True)")
    assert interface_of(made) == "aiohttp"
    assert asyncio.run(made()) == ("eu", True)


async def coroutine(scope: Any, receive: Any, send: Any) -> None: ...


class Starlette:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class Wrapped:
    def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class Awaited:
    def __init__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def __await__(self) -> Any: ...


class Slotted:
    """As an SDK does that serves both versions: which one is asked for is an attribute of the instance."""

    __slots__ = ("__call__",)

    def __init__(self, call: Any) -> None:
        self.__call__ = call


class Double:
    def __init__(self, scope: Any) -> None: ...

    async def __call__(self, receive: Any, send: Any) -> None: ...


class Flask:
    def __call__(self, environ: Any, start_response: Any) -> None: ...


class Page:
    def __init__(self, environ: Any, start_response: Any) -> None: ...


def double(scope: Any) -> Any: ...


def settled(settings: Any, environ: Any, start_response: Any) -> None: ...


def passing_on(app: Any) -> Any:
    @functools.wraps(app)
    def passed(*args: Any, **kwargs: Any) -> Any:
        return app(*args, **kwargs)

    return passed


def anything(*args: Any) -> None: ...


async def anything_async(*args: Any) -> None: ...


async def create_app(debug: bool = False) -> None: ...  # noqa: FBT001, FBT002 # as people write them


ASGI = [coroutine, Starlette(), Starlette().__call__, Wrapped(), Wrapped().__call__, Awaited, Slotted(coroutine),
        functools.partial(coroutine), functools.partial(Starlette(), send=None), passing_on(coroutine),
        anything_async, Double, double, functools.partial(lambda _settings, _scope: None, {})]  # fmt: skip
WSGI = [Flask(), Flask().__call__, Flask, Page, lambda _environ, _start, _option=None: None, print, anything,
        functools.partial(settled, {}), passing_on(Flask().__call__), passing_on(lambda _env, _go: None)]  # fmt: skip


@pytest.mark.parametrize("app", ASGI)
def test_an_asgi_app_is_known_and_no_wsgi_server_serves_it(app: object) -> None:
    assert interface_of(app) == "asgi"
    assert check_interface(app, "asgi") == check_interface(app) == "asgi"
    with pytest.raises(RuntimeError, match=r"ASGI app .*: a WSGI server cannot serve it"):
        check_interface(app, "wsgi")


@pytest.mark.parametrize("app", WSGI)
def test_a_wsgi_app_is_known(app: object) -> None:
    assert interface_of(app) == "wsgi"
    assert check_interface(app, "wsgi") == check_interface(app) == "wsgi"


def test_neither_an_asgi_server_nor_aiohttp_s_worker_serves_a_wsgi_app() -> None:
    with pytest.raises(RuntimeError, match=r"a WSGI app .*: an ASGI server cannot serve it"):
        check_interface(Flask(), "asgi")
    with pytest.raises(RuntimeError, match=r"a WSGI app .*: aiohttp's worker, which takes .* cannot serve it"):
        check_interface(Flask(), "aiohttp")


def test_a_callable_that_tells_nothing_is_what_the_server_calls() -> None:
    for served in ("wsgi", "asgi", "aiohttp"):
        assert check_interface(anything, served) == served


def test_aiohttp_s_applications_and_coroutine_factories_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    web: Any = ModuleType("aiohttp.web_app")
    web.Application = type("Application", (), {"__call__": lambda self: self})
    monkeypatch.setitem(sys.modules, "aiohttp.web_app", web)
    for app in (web.Application(), create_app, functools.partial(create_app, debug=True)):
        assert check_interface(app) == check_interface(app, "aiohttp") == "aiohttp"
        with pytest.raises(RuntimeError, match="an aiohttp application: an ASGI server cannot serve it"):
            check_interface(app, "asgi")


@pytest.mark.parametrize(
    ("app", "expected"), [(Double, True), (double, True), (coroutine, False), (Wrapped(), False), (anything, False)]
)
def test_an_asgi_app_of_version_2_is_called_twice(app: object, *, expected: bool) -> None:
    assert is_double(app) is expected


def test_a_factory_without_its_parentheses_is_told_how_to_be_written() -> None:
    def make() -> None: ...

    with pytest.raises(RuntimeError, match=r'write it as a call, "module:make\(\)"'):
        interface_of(make)


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        check_interface(None)
