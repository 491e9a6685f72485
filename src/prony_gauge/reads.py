"""Turns reads of os.environ into a list: which variable, its default, whether it was there, and the line that asked."""

# ruff: noqa: PTH109 (what need not be imported into somebody's interpreter is not)

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

# Libraries that read settings on behalf of whoever calls them: the caller's line is the one that counts.
READERS = {
    "decouple", "environ", "environs", "dj_database_url", "dotenv", "starlette", "pydantic_settings", "pydantic",
    "flask", "dynaconf", "prettyconf", "django_cache_url", "dj_email_url", "configurations", "everett", "envparse",
}  # fmt: skip
READS_MAX = 2000
FRAMES_MAX = 40
OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep  # noqa: PTH100, PTH120 - as above

reads: dict[str, dict[str, Any]] = {}


def note(name: Any, *, there: bool, default: Any = None) -> None:
    """One read. Of several, the first line, and the first default that is one."""
    try:
        if not isinstance(name, str) or len(reads) >= READS_MAX:
            return
        line = own_line(sys._getframe(2))  # noqa: SLF001 - the module traceback is heavier than this
        if not line:
            return
        text = default if isinstance(default, str) else None if default is None else str(default)
        found = reads.setdefault(name, {"name": name, "there": there, "default": None, "line": line, "order": 0})
        found["order"] = len(reads)
        if found["default"] is None:
            found["default"] = text
    except Exception:
        pass


def own_line(frame: Optional[Any]) -> str:
    """The line "settings.py:12" of the app's own code that asked, itself or through a reader; empty for another's."""
    here = os.getcwd().rstrip(os.sep) + os.sep
    for _ in range(FRAMES_MAX):
        if frame is None:
            return ""
        name: str = frame.f_code.co_filename
        module = str(frame.f_globals.get("__name__") or "").partition(".")[0]
        standard = name.startswith(OURS) or module in {"os", "_collections_abc", "collections", "typing", "functools"}
        if standard or module in READERS:
            frame = frame.f_back
            continue
        if name.startswith(here) and "site-packages" not in name:
            return name[len(here) :] + ":" + str(frame.f_lineno)
        return ""
    return ""


class Recording(os._Environ):  # type: ignore[type-arg] # noqa: SLF001 - the one class whose instance os.environ is
    """os.environ, with its reads noted."""

    def __getitem__(self, key: Any) -> Any:
        """The value, noted."""
        try:
            value: Any = super().__getitem__(key)
        except KeyError:
            note(key, there=False)
            raise
        note(key, there=True)
        return value

    def get(self, key: Any, default: Any = None) -> Any:
        """The value or the default, noted."""
        try:
            value = super().__getitem__(key)
        except KeyError:
            note(key, there=False, default=default)
            return default
        note(key, there=True, default=default)
        return value

    def __contains__(self, key: Any) -> bool:
        """Whether it is there, noted."""
        there = super().__contains__(key)
        note(key, there=there)
        return there


def record() -> None:
    """Note reads from now on."""
    os.environ.__class__ = Recording
