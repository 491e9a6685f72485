"""Turns an event loop into levels of it: how late it comes to a timer, and who waits for its threads."""

from __future__ import annotations

import sys
from time import monotonic_ns

from prony_gauge import layout
from prony_gauge.mapped import GAUGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EVERY_S = 0.05


class Heartbeat:
    """A timer of the loop's, from the first request on; it ends with the loop.

    Attributes:
        pid: Of the process whose loop it watches; 0 before the first request.
        looks: Whether a request is to look for anyio's threads: one in each beat, until they are found.
    """

    def __init__(self) -> None:
        self.pid = 0
        self.loop: Any = None
        self.limiter: Any = None
        self.looks = False
        self.due = 0

    def start(self) -> None:
        """Called within a request, where anyio knows which loop it is in."""
        self.pid = GAUGE.pid
        try:
            self.loop = sys.modules["asyncio"].get_running_loop()
            self._next()
        except Exception:
            GAUGE.count(layout.HOOK_OFF, "event loop")

    def find_limiter(self) -> None:
        """Anyio's own limit on threads, once the app has imported it."""
        self.looks = False
        threads = sys.modules.get("anyio.to_thread")
        if self.limiter is None and threads is not None:
            try:
                self.limiter = threads.current_default_thread_limiter()
            except Exception:
                self.limiter = False

    def _next(self) -> None:
        self.looks = self.limiter is None
        self.due = monotonic_ns() + int(EVERY_S * 1e9)
        self.loop.call_later(EVERY_S, self._beat)

    def _beat(self) -> None:
        try:
            words, late = GAUGE.words, max(0, monotonic_ns() - self.due)
            words[layout.LAG_NS_AT] += late
            words[layout.LAG_MOST_AT] = max(words[layout.LAG_MOST_AT], late)
            words[layout.LAGS_AT] += 1
            if self.limiter:
                of = self.limiter.statistics()
                total = of.total_tokens
                words[layout.TOKENS_AT] = int(total) if total < 1 << 30 else 0
                words[layout.TOKENS_USED_AT] = of.borrowed_tokens
                words[layout.TOKENS_WAITED_AT] = of.tasks_waiting
            to_async = getattr(sys.modules.get("asgiref.sync"), "SyncToAsync", None)
            if to_async is not None:
                words[layout.ASGIREF_QUEUE_AT] = waiting(to_async, words[layout.ASGIREF_QUEUE_AT])
            self._next()
        except Exception:
            GAUGE.count(layout.HOOK_OFF, "event loop")


def waiting(to_async: Any, before: int) -> int:
    """Calls that wait for asgiref's one thread, or for that of a context, of which Django's handler has one a request.

    It is what it was `before` where contexts of another thread's loop come and go while they are looked at.
    """
    try:
        executors = list(getattr(to_async, "context_to_thread_executor", {}).values())
    except RuntimeError:
        return before
    queues = [getattr(each, "_work_queue", None) for each in {to_async.single_thread_executor, *executors}]
    sizes = [getattr(each, "qsize", None) for each in queues]  # somebody's own kind of executor may have neither
    found: int = sum(size() for size in sizes if size is not None)
    return found


HEARTBEAT = Heartbeat()
