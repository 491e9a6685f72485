"""Turns what a request does on its way into figures of its own: statements, waits, calls out, cache, bytes, CPU."""

from __future__ import annotations

import sys
from _thread import get_ident
from contextvars import ContextVar
from time import monotonic_ns, thread_time_ns

from prony_gauge import layout
from prony_gauge.layout import (
    CACHE,
    CACHE_CALLS,
    CACHE_HITS,
    CACHE_LOOKUPS,
    CACHE_NS,
    CPU_NS,
    CPU_TIMED,
    HOST,
    OTHER,
    OUTBOUND,
    OUTBOUND_NS,
    POOL_NS,
    POOL_WAITS,
    ROUTE,
    SENT_BYTES,
    STATEMENT,
    STATEMENT_NS,
    STATEMENTS,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from prony_gauge.mapped import Gauge

NO_PATTERN = "(no pattern)"  # a path may hold names and keys: without a framework's pattern it is not kept
RAW_MOST, RAW_CHARS = 512, 2048  # statements whose shape is remembered, and how long they may be
FIRST = layout.M_CPU_NS  # of a route's figures that a request carries
_PLACES = layout.FIGURES - FIRST


class Request:
    """One request's own account, from entry to exit. Whoever holds the context it was made in adds to it.

    Attributes:
        route: The framework's own pattern, once it is known.
        figures: A route's figures from CPU time on.
        instants: (id, due_ns, sent_ns) where the request carried them; `steps` are kept of such alone.
    """

    __slots__ = ("cpu", "entry", "figures", "gauge", "instants", "method", "route", "steps", "thread")

    def __init__(self, gauge: Gauge, entry: int, method: str, timing: Any = None, *, owns_thread: bool = False) -> None:
        self.gauge = gauge
        self.entry = entry
        self.method = method
        self.route = ""
        self.figures = [0] * _PLACES
        self.instants = None if timing is None else _instants(timing)
        self.steps: list[tuple[int, int, int, int]] = []
        self.thread = get_ident() if owns_thread else 0
        self.cpu = thread_time_ns() if owns_thread else 0

    def step(self, what: int, meter: int, began: int, ended: int) -> None:
        """One part of a timeline, where one is kept."""
        if self.instants is not None and len(self.steps) < layout.STEPS:
            self.steps.append((what, meter, began, ended))

    def over(self) -> None:
        """It has ended now: its figures go to its route's meter. Called once."""
        try:
            self._over()
        except Exception:
            self.gauge.count(layout.HOOK_OFF, "request")

    def _over(self) -> None:
        now = monotonic_ns()
        gauge, figures = self.gauge, self.figures
        if CURRENT.get() is self:
            CURRENT.set(None)
        if gauge.role == OTHER or self.entry < gauge.created:
            return
        if self.thread and self.thread == get_ident():
            figures[0] = cpu = thread_time_ns() - self.cpu
            gauge.add(CPU_NS, cpu, CPU_TIMED, 1, SENT_BYTES, figures[layout.M_BYTES - FIRST])
        else:
            gauge.add(SENT_BYTES, figures[layout.M_BYTES - FIRST])
        at = gauge.meter(ROUTE, self.method + " " + (self.route or NO_PATTERN))
        gauge.spend(at, now - self.entry, 1, figures)
        if self.instants is not None:
            _write_timing(self, at, now)


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
        request.route = pattern if pattern.startswith("/") else "/" + pattern


def statement(gauge: Gauge, began: int, text: str, times: int = 1, *, mysql: bool = False) -> None:
    """A statement has been executed, from `began` until now."""
    taken = monotonic_ns() - began
    if gauge.role == OTHER:
        return
    at = gauge.statements.get(text) or _shape(gauge, text, mysql=mysql)
    gauge.spend(at, taken, times)
    gauge.add(STATEMENTS, times, STATEMENT_NS, taken)
    _of_request(layout.M_STATEMENTS, times, taken, (layout.S_STATEMENT, at, began))


def _shape(gauge: Gauge, text: str, *, mysql: bool) -> int:
    from prony_gauge.statements import shape_of

    at = gauge.meter(STATEMENT, shape_of(text, mysql=mysql))
    if len(text) <= RAW_CHARS:
        if len(gauge.statements) >= RAW_MOST:
            gauge.statements.clear()
        gauge.statements[text] = at
    return at


def waited(gauge: Gauge, began: int, connecting: int = 0) -> None:
    """A connection was had from a pool; of the time since `began` so much went into opening one."""
    taken = max(0, monotonic_ns() - began - connecting)
    if gauge.role == OTHER:
        return
    gauge.add(POOL_WAITS, 1, POOL_NS, taken)
    request = CURRENT.get()
    if request is not None:
        request.figures[layout.M_POOL_NS - FIRST] += taken
        request.step(layout.S_POOL, 0, began, began + taken)


def connected(began: int) -> None:
    """A connection was opened for the request of this context."""
    _of_request(layout.M_CONNECTS, 1, monotonic_ns() - began, (layout.S_CONNECT, 0, began))


def called_out(gauge: Gauge, began: int, host: str) -> None:
    """A call to another host's HTTP server has been answered, or has failed."""
    taken = monotonic_ns() - began
    if gauge.role == OTHER:
        return
    at = gauge.meter(HOST, host)
    gauge.spend(at, taken)
    gauge.add(OUTBOUND, 1, OUTBOUND_NS, taken)
    _of_request(layout.M_OUTBOUND, 1, taken, (layout.S_OUTBOUND, at, began))


def cached(gauge: Gauge, began: int, command: str, lookups: int, hits: int) -> None:
    """A cache has been asked: for so many keys' values, of which it had so many."""
    taken = monotonic_ns() - began
    if gauge.role == OTHER:
        return
    at = gauge.meter(CACHE, command)
    places = layout.M_LOOKUPS - FIRST
    gauge.spend(at, taken, 1, (*(0,) * places, lookups, hits))
    gauge.add(CACHE_CALLS, 1, CACHE_NS, taken, CACHE_LOOKUPS, lookups, CACHE_HITS, hits)
    request = CURRENT.get()
    if request is not None:
        request.figures[places] += lookups
        request.figures[places + 1] += hits
    _of_request(layout.M_CACHE_CALLS, 1, taken, (layout.S_CACHE, at, began))


def _of_request(count: int, times: int, taken: int, step: tuple[int, int, int]) -> None:
    """To a count go so many times, to the sum that follows it the nanoseconds, to a timeline the step."""
    request = CURRENT.get()
    if request is not None:
        request.figures[count - FIRST] += times
        request.figures[count + 1 - FIRST] += taken
        request.step(*step, step[2] + taken)


def _instants(timing: Any) -> Optional[tuple[int, int, int]]:
    """`<id> <due_ns> <sent_ns>`, as a sampled request's Prony-Timing header has it."""
    parts = (timing.decode("latin-1") if isinstance(timing, bytes) else str(timing)).split()
    if len(parts) != 3 or not all(part.isdigit() and len(part) < 19 for part in parts):
        return None
    return int(parts[0]), int(parts[1]), int(parts[2])


def _number(at: int) -> int:
    return (at - layout.METERS_AT) // layout.METER_WORDS if at else 0


def _write_timing(request: Request, route: int, now: int) -> None:
    gauge, instants = request.gauge, request.instants
    if instants is None:
        return
    with gauge.lock:
        words = gauge.words
        done = words[layout.TIMED_AT]
        at = layout.TIMINGS_AT + done % layout.TIMINGS * layout.TIMING_WORDS
        values = (*instants, request.entry, now, _number(route), len(request.steps))
        for i, value in enumerate(values):
            words[at + i] = value
        for i, (what, meter, began, ended) in enumerate(request.steps):
            step = at + layout.STEPS_AT + 3 * i
            words[step], words[step + 1], words[step + 2] = what << 32 | _number(meter), began, ended
        words[layout.SENT_TO_ENTRY_AT] += max(0, request.entry - instants[2])
        words[layout.TIMED_AT] = done + 1  # last: a reader takes the ring up to here


def detailed() -> bool:
    """Whether more than requests begun and ended is wanted: PRONY_GAUGE_DETAIL=on says so."""
    import os

    from prony_gauge.boot import ON

    return os.environ.get("PRONY_GAUGE_DETAIL", "").lower() in ON
