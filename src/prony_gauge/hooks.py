"""Turns a library's function into the same function, timed: what is told of a call is the hook's, guarded, once."""

from __future__ import annotations

from time import monotonic_ns

from prony_gauge.layout import HOOK_OFF
from prony_gauge.mapped import GAUGE
from prony_gauge.work import INSIDE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Tell = Callable[[int, tuple[Any, ...], dict[str, Any], Any], None]


class Hook:
    """One library's way in. What it tells must not fail; when it does, that is counted and it tells no more.

    Attributes:
        tell: Called with (began_ns, args, kwargs, answer); the answer is None where the call raised.
        nested: Whether it counts within another timed call too, and lets others count within it.
    """

    __slots__ = ("name", "nested", "on", "tell")

    def __init__(self, name: str, tell: Tell, *, nested: bool = False) -> None:
        self.name = name
        self.tell = tell
        self.nested = nested
        self.on = True

    def told(self, began: int, args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> None:
        """A call has ended."""
        try:
            self.tell(began, args, kwargs, answer)
        except Exception:
            self.on = False
            GAUGE.count(HOOK_OFF, self.name)


def timed(hook: Hook, call: Callable[..., Any]) -> Callable[..., Any]:
    """The function, timed where it is the outermost of those that are."""
    from functools import wraps

    enter = INSIDE.set
    inside = INSIDE.get

    @wraps(call)
    def timing(*args: Any, **kwargs: Any) -> Any:
        if not hook.on or inside():
            return call(*args, **kwargs)
        answer = None
        if not hook.nested:
            enter(True)
        began = monotonic_ns()
        try:
            answer = call(*args, **kwargs)
            return answer
        finally:
            hook.told(began, args, kwargs, answer)
            if not hook.nested:
                enter(False)

    return timing


def timed_async(hook: Hook, call: Callable[..., Any]) -> Callable[..., Any]:
    """The same of a coroutine function."""
    from functools import wraps

    enter = INSIDE.set
    inside = INSIDE.get

    @wraps(call)
    async def timing(*args: Any, **kwargs: Any) -> Any:
        if not hook.on or inside():
            return await call(*args, **kwargs)
        answer = None
        if not hook.nested:
            enter(True)
        began = monotonic_ns()
        try:
            answer = await call(*args, **kwargs)
            return answer
        finally:
            hook.told(began, args, kwargs, answer)
            if not hook.nested:
                enter(False)

    return timing


def put(owner: Any, names: tuple[str, ...], hook: Hook, wrap: Callable[[Hook, Any], Any] = timed) -> None:
    """Replace the functions of these names, where they are there, by timed ones."""
    for name in names:
        call = getattr(owner, name, None)
        if callable(call) and not hasattr(call, "prony_timed"):
            made = wrap(hook, call)
            made.prony_timed = True
            setattr(owner, name, made)
