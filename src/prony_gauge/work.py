"""Turns what a request does on its way into one record of steps: statements, waits, calls out, cache, bytes, CPU."""

from __future__ import annotations

import sys
from _thread import get_ident
from contextvars import ContextVar
from time import monotonic_ns, thread_time_ns

from prony_gauge import layout
from prony_gauge.layout import (
    ALONE,
    CACHE,
    COUNT_MOST,
    FIRST_BITS,
    HOST,
    KIND_BITS,
    OTHER,
    ROUTE,
    SECOND_BITS,
    STATEMENT,
    STEPS_MOST,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from prony_gauge.mapped import Gauge

NO_PATTERN = "(no pattern)"  # a path may hold names and keys: without a framework's pattern it is not kept
RAW_MOST, RAW_CHARS = 512, 2048  # statements whose shape is remembered, and how long they may be
ONCE = layout.S_STATEMENT << KIND_BITS | 1 << FIRST_BITS  # a statement that was executed one time
POOL = layout.S_POOL << KIND_BITS
CONNECT = layout.S_CONNECT << KIND_BITS
OUTBOUND = layout.S_OUTBOUND << KIND_BITS | 1 << FIRST_BITS
FULL = 3 * (STEPS_MOST - 2)  # numbers of steps kept: two more find place in a record


class Request:
    """One request's own account, from entry to exit. Whoever holds the context it was made in adds to it.

    Attributes:
        entry: When it entered, ns; 0 once it is over.
        route: The framework's own pattern as it gave it, once it is known.
        steps: Three numbers each, as the ring has them.
        size: Bytes of the answer's body.
        part: The number under which it left parts; 0 while it has left none.
        bare: Whether no more is to be told of it than when it entered and ended.
        id: What it carries of the load's; -1 where nothing.
        thread: The thread that it has to itself, 0 where it has none; `cpu` is that thread's CPU time at its entry.
    """

    # What few requests have: set where it is, and not with each.
    route = ""
    size = part = thread = cpu = 0
    id = -1
    bare = False

    def __init__(self, gauge: Gauge, entry: int, method: str, timing: Any = None) -> None:
        self.gauge = gauge
        self.entry = entry
        self.method = method
        self.steps: list[int] = []
        if timing is not None:
            self.carry(timing)

    def carry(self, timing: Any) -> None:
        """`<id> <due_ns> <sent_ns>`, as a sampled request's Prony-Timing header has it."""
        parts = (timing.decode("latin-1") if isinstance(timing, bytes) else str(timing)).split()
        if len(parts) == 3 and all(part.isascii() and part.isdigit() and len(part) < 18 for part in parts):
            self.id = int(parts[0])
            self.steps += (layout.S_TIMING << KIND_BITS | self.id, int(parts[1]), int(parts[2]))

    def leave_part(self) -> None:
        """What was kept so far goes to the ring, while the request goes on."""
        gauge, steps = self.gauge, self.steps
        with gauge.lock:
            if not self.part:
                gauge.parts += 1
                self.part = gauge.parts
            taken = steps[:]  # with a sampled one's id: then the reader keeps them for its timeline
            del steps[3 if self.id >= 0 else 0 : len(taken)]  # a thread of the request's may have added one since
        if gauge.role != OTHER and self.entry >= gauge.created:
            gauge.record(layout.PART, self.entry, self.entry, self.part, 0, taken)

    def over(self) -> None:
        """It has ended now: its record goes to the ring, once."""
        gauge, entry = self.gauge, self.entry
        self.entry = 0
        if entry < gauge.created or not entry:
            return
        try:
            cpu = thread_time_ns() - self.cpu if self.thread and self.thread == get_ident() else 0
            of = layout.BARE if self.bare else gauge.routes.get((self.method, self.route)) or self._route()
            if self.part:
                self.steps += (layout.S_PARTS << KIND_BITS, self.part, 0)
            gauge.record(of, entry, monotonic_ns(), cpu, self.size, self.steps)
        except Exception:
            gauge.count(layout.HOOK_OFF, "request")
            gauge.end(entry)  # it is over for all that

    def _route(self) -> int:
        gauge, route = self.gauge, self.route
        pattern = route if route.startswith("/") else "/" + route if route else NO_PATTERN
        of = gauge.label(ROUTE, self.method + " " + pattern) + 1
        if len(gauge.routes) < RAW_MOST:
            gauge.routes[self.method, route] = of
        return of


CURRENT: ContextVar[Optional[Request]] = ContextVar("prony_request", default=None)
INSIDE: ContextVar[bool] = ContextVar("prony_inside", default=False)  # a call that is timed already


def owns_thread() -> bool:
    """Whether a request has its thread to itself: then the thread's CPU time is the request's."""
    monkey = sys.modules.get("gevent.monkey")
    return not (monkey is not None and monkey.is_module_patched("threading"))


def of_pattern(pattern: Any) -> None:
    """The framework has found by which pattern the request of this context goes."""
    request = CURRENT.get()
    if request is not None and isinstance(pattern, str):
        request.route = pattern or "/"


def step(gauge: Gauge, what: int, began: int, ended: int) -> None:
    """To the request of this context, or to none, goes one step."""
    request = CURRENT.get()
    if request is None or not request.entry:
        if gauge.role != OTHER:
            gauge.record(ALONE, began, ended, 0, 0, (what, began, ended))
        return
    steps = request.steps
    if len(steps) >= FULL:
        request.leave_part()
    steps.extend((what, began, ended))


def statement(gauge: Gauge, began: int, ended: int, text: str, times: int = 1, *, mysql: bool = False) -> None:
    """A statement was executed between these instants."""
    once = gauge.statements.get(text)
    if once is None:
        if gauge.role == OTHER:
            return
        once = _shape(gauge, text, mysql=mysql)
    if times == 1:
        step(gauge, once, began, ended)
        return
    first, rest = min(times, COUNT_MOST), max(0, times - COUNT_MOST)
    step(gauge, once + (first - 1 << FIRST_BITS), began, ended)
    if rest:  # more than a step can count: those that follow took no time
        statement(gauge, ended, ended, text, rest, mysql=mysql)


def _shape(gauge: Gauge, text: str, *, mysql: bool) -> int:
    from prony_gauge.statements import shape_of

    once = ONCE | gauge.label(STATEMENT, shape_of(text, mysql=mysql))
    if len(text) <= RAW_CHARS:
        if len(gauge.statements) >= RAW_MOST:
            gauge.statements.clear()
        gauge.statements[text] = once
    return once


def waited(gauge: Gauge, began: int, ended: int, connecting: int = 0) -> None:
    """A connection was had from a pool; of the time so much went into opening one."""
    step(gauge, POOL, began, max(began, ended - connecting))


def connected(gauge: Gauge, began: int) -> None:
    """A connection was opened, from `began` until now; those outside of requests are counted elsewhere."""
    if CURRENT.get() is not None:
        step(gauge, CONNECT, began, monotonic_ns())


def called_out(gauge: Gauge, began: int, ended: int, host: str) -> None:
    """A call to another host's HTTP server was answered, or failed."""
    if gauge.role != OTHER:
        step(gauge, OUTBOUND | gauge.label(HOST, host), began, ended)


def cached(gauge: Gauge, began: int, ended: int, command: str, found: tuple[int, int]) -> None:
    """A cache was asked: `found` is for how many keys' values, and how many of them it had."""
    if gauge.role != OTHER:
        counts = min(found[0], COUNT_MOST) << FIRST_BITS | min(found[1], COUNT_MOST) << SECOND_BITS
        step(gauge, layout.S_CACHE << KIND_BITS | counts | gauge.label(CACHE, command), began, ended)


def detailed() -> bool:
    """Whether more than requests begun and ended is wanted: PRONY_GAUGE_DETAIL=off says that it is not."""
    import os

    from prony_gauge.boot import OFF

    return os.environ.get("PRONY_GAUGE_DETAIL", "").lower() not in OFF
