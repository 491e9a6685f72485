"""A load's spec into samples: everything due is sent when it is due, whatever became of what was sent before.

What a sample says: `due_ns` is when the request should have gone out. `sent_ns` is when the engine acted on it, by
writing it to a kept connection or by beginning to open one, so that connecting is part of the service time; what waited
for a connection under the limit was sent late. `first_byte_ns` is when the first byte of the answer was read, `done_ns`
when the request ended, however it did. A request still under way when the drain ends is `unanswered`, one that still
waits for a connection `not_sent`; both are done at that instant. So every request that became due leaves one sample.
`bytes` are those of the whole answer, its head included, as they came.

A user of a closed loop, or a session's visitor, becomes due a pause after the end of the former request; after one that
reached no server 10 ms later still, or a stopped server would be asked some ten thousand times a second.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from prony.load.account import LoadResult, LoadTick
from prony.load.deadlines import Deadlines
from prony.load.exhaustion import descriptors_share, ports_share
from prony.load.failures import UNREACHED, outcome_of
from prony.load.kinds import kind_for
from prony.load.loop import Loop, collector_off
from prony.load.mix import Mix, Route
from prony.load.opening import opened
from prony.load.schedule import Closed, Sessions, Thinking, schedule_of
from prony.load.segment import FINE_BITS, FINE_NS, LagCounts, Segment
from prony.load.spec import LoadSpec, address_of
from prony.load.timed import Timed
from prony.load.timer import Timer
from prony.samples import NOT_SENT, OUTCOME_BITS, REFUSED, RESET, UNANSWERED, word
from prony.traffic.arrivals import ARRIVALS_MAX

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterable

    from prony.load.connection import Connection

_UNREACHED_PAUSE_NS: Final = 10_000_000
_KEEP_S: Final = 0.05  # between two looks at timeouts, ticks and the segment
_FLUSH_EVERY: Final = 2  # of those
_LEAD_NS: Final = 5_000_000  # from being ready to the start of the window
_SECOND_NS: Final = 1_000_000_000

_monotonic_ns = time.monotonic_ns


class Engine:
    """One load, run once, on an event loop of its own in the calling thread.

    Args:
        spec: What to send.
        on_tick: Called about once a second, on the sending loop: it must be quick and must not block.

    Raises:
        OSError: The segment cannot be opened.
    """

    def __init__(self, spec: LoadSpec, on_tick: Callable[[LoadTick], None] | None = None) -> None:
        self.spec, self._on_tick = spec, on_tick
        self._address = address_of(spec)
        self._family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        self._mix = Mix(spec)
        self._only = self._mix.only
        self._connection = kind_for(self._mix.routes, https=spec.https, timed=spec.timed)
        self._lacking: dict[str, int] = {}
        self.kept_bytes = 0
        self.timed = Timed(spec.rate_rps or 0.0)
        self.server_name = spec.server_name
        self._schedule = schedule_of(spec)
        self._closed = self._schedule if isinstance(self._schedule, Closed | Sessions) else None
        self._pause_ns = Thinking(spec).pause_ns
        self._deadlines = Deadlines(spec)
        self._segment = Segment(spec.segment)
        self.add = self._segment.add
        self._lags = LagCounts()
        self._lag_counts = self._lags.fine
        self.loop = Loop()
        self._idle: dict[Connection, None] = {}  # the one used last is taken first
        self._in_flight: dict[Connection, None] = {}  # in the order of sending
        self._apart: dict[Connection, None] = {}  # in flight too, but sent earlier than their neighbours; and streams
        self._waiting: deque[tuple[int, int, int, Route, bytes]] = deque()
        self._pumping = False
        self._live = 0
        self._scheduled = self._sent = self._ended = self._opened = self._retried = 0
        self._turn, self._shards = spec.shard - spec.shards, spec.shards  # the former turn's ordinal
        self._one_each = not spec.keep_alive
        self.start_at_ns = 0  # when to begin (monotonic), where that is to be a certain instant
        self._start_ns = self._end_ns = self._drained_ns = self._keeps = self._next_tick_ns = 0
        self._sending = self._running = False
        self._users_go_on = False  # a user's next request is due at once
        self._interrupted, self._cpu_start_s = False, 0.0

    def run(self, stop_signals: Iterable[signal.Signals] = ()) -> LoadResult:
        """Send until the window ends, wait for the last answers, and close everything.

        Args:
            stop_signals: Signals that end the load early; only where this is the process's main thread.

        Raises:
            OSError: The segment could not be written (a full disk), or the timer not be made.
        """
        timer = Timer(self.loop, self._ring)
        self._timer = timer
        for number in stop_signals:
            self.loop.add_signal_handler(number, self.stop)
        try:
            with collector_off():
                self.loop.call_soon(self._start)
                self.loop.run()  # raises for a bug of ours or a full disk: nothing a server sends comes here
                cpu_s = time.process_time() - self._cpu_start_s
        except BaseException:
            self._shut()
            raise
        finally:
            timer.close()
            self.loop.close()
            self._segment.close()
        return self._result(cpu_s)

    def stop(self) -> None:
        """Stop sending and do not drain: for a signal handler, or anything else on the loop."""
        self._interrupted = True
        if self._running:
            if self._sending:
                self._end_ns = _monotonic_ns()
            self._finish()

    def _start(self) -> None:
        if self._interrupted:
            self._start_ns = self._end_ns = self._drained_ns = _monotonic_ns()
            self.loop.stop()
            return
        self._running = self._sending = True
        self._users_go_on = self._schedule.goes_on
        self._cpu_start_s = time.process_time()
        self._start_ns = self.start_at_ns or _monotonic_ns() + _LEAD_NS
        self._end_ns = self._start_ns + round(self.spec.duration_s * 1e9)
        self._schedule.starts_at(self._start_ns)
        self._next_tick_ns = self._start_ns + _SECOND_NS
        self.loop.call_later(_KEEP_S, self._keep)
        self._timer.arm(min(self._schedule.next_ns, self._end_ns))

    def _ring(self) -> None:
        """The timer: send everything due, and end the window or the drain where its time has come."""
        now_ns = _monotonic_ns()
        if not self._sending:
            self._timer.disarm()
            self._finish()
            return
        schedule, end_ns = self._schedule, self._end_ns
        while (due_ns := schedule.next_ns) < end_ns and (due_ns <= now_ns or due_ns <= (now_ns := _monotonic_ns())):
            self._dispatch(due_ns, schedule.take())
        if now_ns < end_ns and self._scheduled < ARRIVALS_MAX:
            self._timer.arm(min(schedule.next_ns, end_ns))
            return
        self._sending = self._users_go_on = False
        self._end_ns = min(end_ns, now_ns)
        self._timer.arm(self._end_ns + round(self.spec.drain_s * 1e9))
        self._finish_if_idle()

    def _dispatch(self, due_ns: int, user: int) -> None:
        """A user's request has become due: send it, or let it wait for a connection."""
        turn = user if self._closed is None else self._next_turn()
        self._scheduled += 1
        route, wire = self._only or self._mix.take(user)
        if self._waiting or not (self._idle or self._live < self.spec.connections):
            self._waiting.append((due_ns, user, turn, route, wire))
        else:
            self._send(due_ns, user, turn, route, wire)

    def _next_turn(self) -> int:
        """The ordinal of a turn of a closed loop's user, of no other turn in any shard."""
        self._turn += self._shards
        return self._turn

    def _pump(self) -> None:
        """Connections may have become free: send what waits for one, in its order."""
        if self._pumping:
            return  # a request that failed at once frees its connection from within this loop
        self._pumping = True
        while self._waiting and (self._idle or self._live < self.spec.connections):
            self._send(*self._waiting.popleft())
        self._pumping = False

    def _send(self, due_ns: int, user: int, turn: int, route: Route, wire: bytes) -> None:
        """Send on the connection used last, or on a new one; the caller knows that one is to be had."""
        if self._idle:
            connection = self._idle.popitem()[0]
            connection.user = user
            self._send_on(connection, due_ns, turn, route, wire)
            return
        sent_ns = _monotonic_ns()
        self._sent += 1
        self._lags.add(sent_ns - due_ns)
        self._send_on_new(due_ns, user, turn, route, wire, sent_ns)

    def _send_on(self, connection: Connection, due_ns: int, turn: int, route: Route, wire: bytes) -> None:
        sent_ns = _monotonic_ns()
        lag_ns = sent_ns - due_ns
        self._sent += 1
        if lag_ns < FINE_NS:  # without a call: this is the busiest path
            self._lag_counts[lag_ns >> FINE_BITS] += 1
        else:
            self._lags.add(lag_ns)
        connection.retried = False
        among = connection.among = self._in_flight if route.stream is None else self._apart
        among[connection] = None
        code = connection.begin(route, wire, due_ns, sent_ns, turn)
        if code:
            self.broken(connection, code, sent_ns)

    def _send_on_new(  # noqa: PLR0917 - what a connection keeps of its request
        self, due_ns: int, user: int, turn: int, route: Route, wire: bytes, sent_ns: int, *, retried: bool = False
    ) -> None:
        sock, code = opened(self._family, (self._address, self.spec.port))
        if sock is None:
            now_ns = _monotonic_ns()
            outcome = outcome_of(code, otherwise=REFUSED)
            self._ended += 1
            self.add(due_ns, sent_ns, 0, now_ns, 0, route.number, 0, word(turn, outcome))
            self._unopened((user, turn, route, wire), outcome, now_ns)
            return
        self._opened += 1
        self._live += 1
        connection = self._connection(self, sock, self.spec.body_bytes_max)
        connection.user = user
        connection.retried = retried
        among = connection.among = self._apart if retried or route.stream is not None else self._in_flight
        among[connection] = None
        code = connection.begin(route, wire, due_ns, sent_ns, turn)
        if code:
            self.broken(connection, code, _monotonic_ns())

    def _unopened(self, tried: tuple[int, int, Route, bytes], outcome: int, now_ns: int) -> None:
        """No connection could be begun for a user's turn."""
        self._after(outcome, now_ns, tried[0], at_once=False)

    def _settle(self, connection: Connection, outcome: int, now_ns: int) -> None:
        """Write down how a connection's request ended."""
        route = connection.route
        del connection.among[connection]
        self._ended += 1
        self.add(
            connection.due_ns,
            connection.sent_ns,
            connection.first_byte_ns,
            now_ns,
            connection.received,
            route.number,  # type: ignore[union-attr] # under way, it has one
            connection.status,
            connection.turn | outcome << OUTCOME_BITS,
        )

    def ended(self, connection: Connection, outcome: int, now_ns: int) -> None:
        """A connection's request ended: write it down, keep or close the connection, go on."""
        if connection.route is None:  # the loop may still hold an event of a connection closed a moment ago
            return
        self._settle(connection, outcome, now_ns)
        if not connection.reusable() or self._one_each:
            self._close(connection)
        elif self._users_go_on and not self._waiting and now_ns < self._end_ns:
            turn = self._turn = self._turn + self._shards
            self._scheduled += 1
            route, wire = self._only or self._mix.take(connection.user)
            self._send_on(connection, now_ns, turn, route, wire)
            return
        else:
            self._idle[connection] = None
        self._after(outcome, now_ns, connection.user, at_once=connection.status != 0)

    def lacking(self, what: str) -> None:
        """An answer was not as expected: count what it lacked, one of a few sentences."""
        self._lacking[what] = self._lacking.get(what, 0) + 1

    def broken(self, connection: Connection, code: int, now_ns: int) -> None:
        """A socket failed or was closed by the server: while idle that is nothing, else the request ended so."""
        route = connection.route
        if route is None:
            if connection in self._idle:
                del self._idle[connection]
                self._close(connection)
                self._pump()
            return
        outcome = outcome_of(code, otherwise=RESET)
        closed_while_idle = outcome == RESET and connection.uses > 1 and not connection.received
        if closed_while_idle and route.idempotent and not connection.retried:
            self._retried += 1
            del connection.among[connection]
            self._close(connection)
            due_ns, sent_ns, wire = connection.due_ns, connection.sent_ns, connection.wire
            self._send_on_new(due_ns, connection.user, connection.turn, route, wire, sent_ns, retried=True)
            return
        connection.complete = False
        self.ended(connection, outcome, now_ns)

    def _after(self, outcome: int, now_ns: int, user: int, *, at_once: bool) -> None:
        """What the end of a request sets going: what waits for a connection, a user's next request, the end of all."""
        if self._waiting:
            self._pump()
        users = self._closed
        if not self._sending:
            self._finish_if_idle()
        elif users is not None:
            if at_once and self._users_go_on:
                if now_ns < self._end_ns:
                    self._dispatch(now_ns, user)
                return
            due_ns = now_ns + self._pause_ns(user) + (_UNREACHED_PAUSE_NS if outcome in UNREACHED else 0)
            if due_ns < users.next_ns:
                self._timer.arm(min(due_ns, self._end_ns))
            users.put(due_ns, user)

    def _close(self, connection: Connection) -> None:
        connection.close()
        self._live -= 1

    def _keep(self) -> None:
        """Every 50 ms: timeouts, the segment, the tick."""
        if not self._running:
            return
        now_ns = _monotonic_ns()
        for connection, outcome in self._deadlines.late(self._in_flight, self._apart, now_ns, self._end_ns):
            connection.complete = False
            self.ended(connection, outcome, now_ns)
        if self._sending and self._scheduled >= ARRIVALS_MAX:
            self._timer.arm(now_ns)  # which ends the window
        self._keeps += 1
        if self._keeps % _FLUSH_EVERY == 0:
            self._segment.flush()
        if now_ns >= self._next_tick_ns:
            self._next_tick_ns += _SECOND_NS
            self.timed.second(self._sent)
            if self._on_tick is not None:
                self._on_tick(self._tick(now_ns))
        if self._running:
            self.loop.call_later(_KEEP_S, self._keep)

    def _tick(self, now_ns: int) -> LoadTick:
        return LoadTick(
            t_ns=now_ns,
            scheduled=self._scheduled,
            sent=self._sent,
            done=self._ended,
            in_flight=len(self._in_flight) + len(self._apart),
            waiting=len(self._waiting),
            connections_opened=self._opened,
            cpu_s=time.process_time() - self._cpu_start_s,
            ports_share=ports_share(self._live, self._shards),
            descriptors_share=descriptors_share(self._live),
        )

    def _finish_if_idle(self) -> None:
        if not (self._in_flight or self._apart or self._waiting):
            self._finish()

    def _finish(self) -> None:
        """The drain is over: write down what was left, close every socket, stop the loop."""
        if not self._running:
            return
        self._running = self._sending = self._users_go_on = False
        self._drained_ns = now_ns = _monotonic_ns()
        for c in (*self._in_flight, *self._apart):
            index, end = c.route.number if c.route else 0, word(c.turn, UNANSWERED)
            self.add(c.due_ns, c.sent_ns, c.first_byte_ns, now_ns, c.received, index, c.status, end)
        for due_ns, _, turn, route, _ in self._waiting:
            self.add(due_ns, 0, 0, now_ns, 0, route.number, 0, word(turn, NOT_SENT))
            self.lacking(f"not sent: all {self.spec.connections} connections were busy")
        self._shut()

    def _shut(self) -> None:
        self._running = self._sending = self._users_go_on = False
        for connection in (*self._in_flight, *self._apart, *self._idle):
            self._close(connection)
        self._timer.disarm()
        self.loop.stop()

    def _result(self, cpu_s: float) -> LoadResult:
        wall_s = max(self._drained_ns - self._start_ns + _LEAD_NS, 1) / 1e9
        return LoadResult(
            started_ns=self._start_ns,
            ended_ns=self._end_ns,
            drained_ns=self._drained_ns,
            scheduled=self._scheduled,
            sent=self._sent,
            done=self._ended,
            connections_opened=self._opened,
            retried=self._retried,
            cpu_s=cpu_s,
            cpu_share=cpu_s / wall_s,
            lag_p50_s=self._lags.quantile_s(0.50),
            lag_p99_s=self._lags.quantile_s(0.99),
            interrupted=self._interrupted,
            failed_checks=self._lacking,
            lags=self._lags.counts() if self._shards > 1 else {},
        )
