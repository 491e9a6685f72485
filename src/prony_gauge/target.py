"""Turns an entry's text, "module:attribute" or "module:factory(literals)", into the callable it names."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COROUTINE = 0x80  # CO_COROUTINE of a code object's flags


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
    return _found(module, name)(*positional, **named)


def refuse_asgi(app: Any) -> None:
    """Say that an ASGI app cannot be served by a WSGI server, before the first request says so in its own way."""
    if not callable(app):
        raise TypeError(f"the entry is a {type(app).__name__}, not something a server can call")
    if _is_asgi(app) or _is_asgi(getattr(type(app), "__call__", None)):  # noqa: B004 # its code is asked for
        raise RuntimeError(
            "the entry is an ASGI app (async, or called with three arguments): a WSGI server cannot serve it"
        )


def _is_asgi(function: Any) -> bool:
    code = getattr(function, "__code__", None)
    if code is None:
        function = getattr(function, "__func__", None)
        code = getattr(function, "__code__", None)
    if code is None:
        return False
    if code.co_flags & COROUTINE:
        return True
    names = code.co_varnames[: code.co_argcount]
    required = len(names) - len(function.__defaults__ or ()) - (names[:1] == ("self",))
    return bool(required == 3)
