"""Turns the stack of this instant into the line of the app's own code that is to answer for it: "shop/mail.py:12"."""

# ruff: noqa: PTH100, PTH109, PTH120 (what need not be imported into somebody's interpreter is not)

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

CHARS = 100  # of a place: with its host, it fits into a name of the gauge's
STANDARD = os.path.dirname(os.__file__) + "/"
OURS = os.path.dirname(os.path.abspath(__file__)) + "/"
INSTALLED = ("/site-packages/", "/dist-packages/")
# A request's frames end where its server calls us, a task's where its event loop does: beyond is somebody else's doing.
REQUEST = (OURS + "wsgi.py", OURS + "asgi.py", OURS + "aiohttp_app.py")
CALLBACK = (STANDARD + "asyncio/events.py", "_run")
COROUTINE, SUSPENDING = 0x80, 0x3A0  # flags of a code object; the second, of all that can await or be awaited
# What carries work from one thread or moment to another says nothing about who asked for it.
CARRIERS = ("asyncio", "concurrent", "importlib", "multiprocessing", "runpy", "selectors", "socket", "threading")

noted: list[Any] = []  # functions that say the line of the task behind this one: see ways_out


def place() -> str:
    """The innermost line of the app's own, or the name of a module where only libraries' frames are left.

    Own is what lies neither in the standard library, nor among installed packages, nor in the gauge. Of a request
    without such a frame the innermost library is named, of a thread or task the outermost, which is who started it.
    """
    try:
        return _bounded(_place(sys._getframe(1)))  # noqa: SLF001 - the module traceback is no import for an audit hook
    except Exception:
        return ""  # the interpreter is being torn down


def _place(frame: Optional[Any]) -> str:
    scripts = sys.prefix + "/bin/"
    overlay = os.environ.get("PRONY_OVERLAY", "").rstrip("/") + "/"
    elsewhere = (scripts, scripts if overlay == "/" else overlay)
    inner = outer = standard = carrier = ""
    while frame is not None:
        code, name, module = frame.f_code, frame.f_code.co_filename, frame.f_globals.get("__name__") or ""
        if name in REQUEST:
            outer = inner
            break
        if (name, code.co_name) == CALLBACK:
            break
        if name.startswith(OURS):
            pass
        elif name.startswith(elsewhere) or any(part in name for part in INSTALLED):
            inner, outer = inner or module, module
        elif name.startswith((STANDARD, "<frozen ")):
            if module.partition(".")[0] in CARRIERS:
                carrier = module if module != "threading" else carrier or module  # every thread starts in it
            else:
                standard = module
        elif not name.startswith("<") or module == "__main__":
            return _relative(name) + ":" + str(frame.f_lineno)
        frame = frame.f_back
        if code.co_flags & COROUTINE and not (frame is not None and frame.f_code.co_flags & SUSPENDING):
            break  # a task's outermost: its caller is the event loop, which with uvloop has no frame
    return next((said for said in (each() for each in noted) if said), "") or outer or standard or carrier


def _relative(name: str) -> str:
    here = os.getcwd().rstrip("/") + "/"
    return name.removeprefix(here)


def _bounded(text: str) -> str:
    return text if len(text) <= CHARS else "…" + text[1 - CHARS :]
