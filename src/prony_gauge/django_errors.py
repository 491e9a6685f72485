"""Turns paths into the exceptions that a Django app meets there: with DEBUG off its log holds none of them."""

import os
import sys
import traceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def asked(entry: str, host: str, paths: "list[str]") -> "dict[str, str]":
    """Each path's exception: "OperationalError: no such table: shop_item (shop/views.py, line 3)"; others left out."""
    found: "dict[str, str]" = {}
    try:
        from prony_gauge.routes import module
        from prony_gauge.target import resolve

        resolve(entry)
        met: "list[str]" = []

        def note(**_: "Any") -> None:
            met.append(told(sys.exc_info()[1]))

        module("django.core.signals").got_request_exception.connect(note, weak=False)
        client = module("django.test").Client(raise_request_exception=False, HTTP_HOST=host)
        for path in paths:
            met.clear()
            client.get(path)
            if met:
                found[path] = met[-1]
    except BaseException as error:
        for path in paths[: 0 if found else 1]:
            found[path] = told(error)
    return found


def told(error: "Any") -> str:
    """An exception in one line, with the app's own line that it came by."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    here = os.getcwd() + os.sep  # noqa: PTH109 - pathlib is not imported before the app does
    own = [each for each in frames if each.filename.startswith(here) and "site-packages" not in each.filename]
    where = " (%s, line %s)" % (own[-1].filename[len(here) :], own[-1].lineno) if own else ""
    text = " ".join(str(error).split())[:300]
    return "%s: %s%s" % (type(error).__name__, text, where)
