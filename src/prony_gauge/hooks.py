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

    # Of a timed call: began_ns, ended_ns, args, kwargs and the answer, None where it raised. Else: args and the answer.
    Tell = Callable[..., None]


class Hook:
    """One library's way in. What it tells must not fail; when it does, that is counted and it tells no more.

    Attributes:
        tell: What is called with the call; see above.
        nested: Whether it counts within another timed call too, and lets others count within it.
    """

    __slots__ = ("name", "nested", "on", "tell")

    def __init__(self, name: str, tell: Tell, *, nested: bool = False) -> None:
        self.name = name
        self.tell = tell
        self.nested = nested
        self.on = True

    def broke(self) -> None:
        """What it tells has failed."""
        self.on = False
        GAUGE.count(HOOK_OFF, self.name)


def timed(hook: Hook, call: Callable[..., Any]) -> Callable[..., Any]:
    """The function, timed where it is the outermost of those that are."""
    from functools import wraps

    enter, inside, tell, now = INSIDE.set, INSIDE.get, hook.tell, monotonic_ns
    nested = hook.nested

    @wraps(call)
    def timing(*args: Any, **kwargs: Any) -> Any:
        if inside() or not hook.on:
            return call(*args, **kwargs)
        if not nested:
            enter(True)
        answer = None
        began = now()
        try:
            answer = call(*args, **kwargs)
            return answer
        finally:
            ended = now()
            if not nested:
                enter(False)
            try:
                tell(began, ended, args, kwargs, answer)
            except Exception:
                hook.broke()

    return timing


def timed_async(hook: Hook, call: Callable[..., Any]) -> Callable[..., Any]:
    """The same of a coroutine function."""
    from functools import wraps

    enter, inside, tell, now = INSIDE.set, INSIDE.get, hook.tell, monotonic_ns
    nested = hook.nested

    @wraps(call)
    async def timing(*args: Any, **kwargs: Any) -> Any:
        if inside() or not hook.on:
            return await call(*args, **kwargs)
        if not nested:
            enter(True)
        answer = None
        began = now()
        try:
            answer = await call(*args, **kwargs)
            return answer
        finally:
            ended = now()
            if not nested:
                enter(False)
            try:
                tell(began, ended, args, kwargs, answer)
            except Exception:
                hook.broke()

    return timing


def seen(hook: Hook, call: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose answers are seen; no time is taken."""
    from functools import wraps

    tell = hook.tell

    @wraps(call)
    def seeing(*args: Any, **kwargs: Any) -> Any:
        answer = call(*args, **kwargs)
        if hook.on:
            try:
                tell(args, answer)
            except Exception:
                hook.broke()
        return answer

    return seeing


def foreseen(hook: Hook, call: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose arguments are seen before it is called."""
    from functools import wraps

    tell = hook.tell

    @wraps(call)
    def foreseeing(*args: Any, **kwargs: Any) -> Any:
        if hook.on:
            try:
                tell(args, None)
            except Exception:
                hook.broke()
        return call(*args, **kwargs)

    return foreseeing


def put(owner: Any, names: tuple[str, ...], hook: Hook, wrap: Callable[[Hook, Any], Any] = timed) -> None:
    """Replace the functions of these names, where they are there, by timed ones."""
    for name in names:
        call = getattr(owner, name, None)
        if callable(call) and not hasattr(call, "prony_timed"):
            made = wrap(hook, call)
            made.prony_timed = True
            setattr(owner, name, made)
