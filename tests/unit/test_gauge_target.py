from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from prony_gauge.target import refuse_asgi, resolve

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


async def coroutine(scope: Any, receive: Any, send: Any) -> None: ...


class Starlette:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class Wrapped:
    def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class Flask:
    def __call__(self, environ: Any, start_response: Any) -> None: ...


@pytest.mark.parametrize("app", [coroutine, Starlette(), Starlette().__call__, Wrapped(), Wrapped().__call__])
def test_an_asgi_app_is_refused(app: object) -> None:
    with pytest.raises(RuntimeError, match="ASGI"):
        refuse_asgi(app)


@pytest.mark.parametrize("app", [Flask(), Flask().__call__, Flask, lambda _environ, _start, _option=None: None, print])
def test_a_wsgi_app_is_not(app: object) -> None:
    refuse_asgi(app)


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        refuse_asgi(None)
