"""Turns an exception into the name it is counted under: its type, with the SQLSTATE of what caused it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

DEEPEST = 16  # how many exceptions of one chain are looked at
TOO_MANY_CONNECTIONS = "53300"
# A refused connection has no SQLSTATE of its own: libpq hands up its text alone.
TEXTS = (
    "too many clients already",
    "remaining connection slots are reserved",
    "too many connections for role",
    "too many connections for database",
)


def name_of(error: BaseException) -> str:
    """`django.db.utils.OperationalError[53300]`, `ValueError`."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        state = sqlstate(error)
    except Exception:
        state = ""  # an exception of the app's own may do anything when it is asked for its text
    return f"{name}[{state}]" if state else name


def sqlstate(error: BaseException) -> str:
    """The first SQLSTATE in the chain of an exception; empty where there is none."""
    refused = ""
    for each in _chain(error):
        for attribute in ("sqlstate", "pgcode"):
            state = getattr(each, attribute, None)
            if isinstance(state, str) and len(state) == 5:
                return state
        if not refused and _is_of_a_driver(each):
            text = str(each)
            refused = TOO_MANY_CONNECTIONS if any(part in text for part in TEXTS) else ""
    return refused


def _is_of_a_driver(error: BaseException) -> bool:
    return type(error).__name__ == "OperationalError" or hasattr(error, "sqlstate") or hasattr(error, "pgcode")


def _chain(error: BaseException) -> Iterator[BaseException]:
    waiting = [error]
    seen: set[int] = set()
    while waiting and len(seen) < DEEPEST:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [one for one in (each.__context__, each.__cause__) if one is not None]  # the cause is asked first
