"""Turns an entry's text, "module:attribute" or "module:factory(literals)", into an app, and an app into its kind."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

COROUTINE = 0x80  # CO_COROUTINE of a code object's flags
REST = 0x04  # CO_VARARGS
MANY = 99  # how many arguments a callable with *args takes
WRAPPERS = 8  # how many partials, methods and decorators around a function are looked through
TITLES = {
    "wsgi": "a WSGI app (called with environ and start_response)",
    "asgi": "an ASGI app (async, or called with scope, receive and send)",
    "aiohttp": "an aiohttp application",
}
SERVES = {
    "wsgi": "a WSGI server",
    "asgi": "an ASGI server",
    "aiohttp": "aiohttp's worker, which takes an aiohttp.web.Application or a coroutine function that returns one,",
}


def resolve(entry: str) -> Any:
    """The object an entry names; its own errors pass through."""
    module_name, _, attribute = entry.partition(":")
    if not module_name:
        raise RuntimeError("PRONY_GAUGE_ENTRY names no entry: it should read like config.wsgi:application")
    __import__(module_name)
    module = sys.modules[module_name]
    if not attribute:
        for default in ("application", "app"):
            if hasattr(module, default):
                return getattr(module, default)
        raise AttributeError(f"module {module_name!r} has neither 'application' nor 'app': name the callable")
    if "(" in attribute:
        return _made(module, attribute, entry)
    return _found(module, attribute)


def _found(module: Any, attribute: str) -> Any:
    for name in attribute.split("."):
        module = getattr(module, name)
    return module


def _made(module: Any, text: str, entry: str) -> Any:
    import ast

    try:
        call = ast.parse(text.strip(), mode="eval").body
        # what is no call of one name with literals lacks one of these attributes, or is no literal
        name = ast.unparse(call.func)  # type: ignore[attr-defined]
        positional = [ast.literal_eval(each) for each in call.args]  # type: ignore[attr-defined]
        named = {each.arg: ast.literal_eval(each.value) for each in call.keywords}  # type: ignore[attr-defined]
    except (SyntaxError, ValueError, AttributeError):
        raise RuntimeError(f"entry {entry!r}: a factory call takes literal values only") from None
    factory = _found(module, name)
    shape = _shape(factory)
    if shape is None or not shape[0]:
        return factory(*positional, **named)

    async def making() -> Any:
        return await factory(*positional, **named)

    return making  # aiohttp's worker awaits it in its event loop


def interface_of(app: Any, unclear: str = "wsgi") -> str:
    """What kind of server an app is for, told from the object alone.

    Args:
        app: What an entry names, factories called.
        unclear: The answer for a callable whose arguments tell nothing (`*args`, one written in C).

    Returns:
        "wsgi", "asgi" (of either version), or "aiohttp" (an Application, or a coroutine function that returns one).

    Raises:
        TypeError: It is nothing that a server can call.
        RuntimeError: It can be called with no argument and not with two, as a factory.
    """
    if _is_one_of_aiohttp(app):
        return "aiohttp"
    if not callable(app):
        raise TypeError(f"the entry is a {type(app).__name__}, not something a server can call")
    shape = _shape(app)
    if shape is None:
        return unclear
    asynchronous, required, most = shape
    if asynchronous:
        return "aiohttp" if required == 0 and most < 3 else "asgi"
    if required == 0 and most < 2:
        name = getattr(app, "__name__", type(app).__name__)
        raise RuntimeError(f'the entry takes no request: if it is a factory, write it as a call, "module:{name}()"')
    if required == 3 or (required == 1 and most == 1):
        return "asgi"
    return "wsgi" if most == 2 or required == 2 else unclear


def check_interface(app: Any, served: str = "") -> str:
    """The app's interface; a RuntimeError where the server calls its apps in another way.

    Args:
        app: What an entry names, factories called.
        served: "wsgi", "asgi" or "aiohttp": what the server will call; empty means whatever the app is.
    """
    interface = interface_of(app, served or "wsgi")
    if served and served != interface:
        raise RuntimeError(f"the entry is {TITLES[interface]}: {SERVES[served]} cannot serve it")
    return interface


def is_double(app: Any) -> bool:
    """Whether an ASGI app is of version 2: called with the scope, it returns what is called with receive and send."""
    shape = _shape(app)
    return shape is not None and not shape[0] and shape[2] == 1


def _is_one_of_aiohttp(app: Any) -> bool:
    kinds = getattr(sys.modules.get("aiohttp.web_app"), "Application", ())
    return isinstance(app, kinds)


def _shape(callee: Any) -> Optional[tuple[bool, int, int]]:
    """Whether a call makes a coroutine, and the least and the most positional arguments; None where nothing tells."""
    partial = getattr(sys.modules.get("functools"), "partial", ())
    given, waits = 0, False
    named: set[str] = set()
    for _ in range(WRAPPERS):
        code = getattr(callee, "__code__", None)
        if isinstance(callee, partial):
            given, named, callee = given + len(callee.args), named | set(callee.keywords), callee.func
        elif getattr(callee, "__func__", None) is not None:
            given, callee = given + (callee.__self__ is not None), callee.__func__
        elif isinstance(callee, type):
            given, waits, callee = given + 1, hasattr(callee, "__await__"), getattr(callee, "__init__", None)
        elif code is None:
            callee = getattr(callee, "__call__", None)  # noqa: B004 # not whether there is one: its code
        elif code.co_flags & REST and not code.co_flags & COROUTINE and hasattr(callee, "__wrapped__"):
            callee = callee.__wrapped__  # a decorator that passes on whatever it is called with
        else:
            names = code.co_varnames[given : code.co_argcount]
            optional = set(names[len(names) - min(len(names), len(callee.__defaults__ or ())) :]) | named
            most = MANY if code.co_flags & REST else len(names)
            required = sum(name not in optional for name in names)
            return waits or bool(code.co_flags & COROUTINE), required, most
    return None
