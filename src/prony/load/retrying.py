"""A load's spec with retries into samples: the engine, whose clients try again what failed, each try a sample.

A try is due a pause after the end of the former one; it bears the same arrival and the next attempt. A closed loop's
user goes on once the last try has ended. Tries due after the sending window are not made.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, cast

from prony.load.engine import Engine
from prony.load.runs import Waking
from prony.samples import (
    ATTEMPT_BITS,
    CONNECT_TIMEOUT,
    FIRST_BYTE_TIMEOUT,
    REFUSED,
    RESET,
    TIMEOUT,
    WRONG_STATUS,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from prony.load.account import LoadTick
    from prony.load.connection import Connection
    from prony.load.mix import Route
    from prony.load.schedule import Closed, Open
    from prony.load.spec import LoadSpec

_FAILED: Final = frozenset((REFUSED, RESET, TIMEOUT, CONNECT_TIMEOUT, FIRST_BYTE_TIMEOUT))
_BUSY: Final = frozenset((429, 502, 503, 504))  # "try again later", in a server's or a proxy's words

Try = tuple[int, int, "Route", bytes]  # user, turn, route, wire


class RetryLoad(Engine):
    """One load whose clients try again, run once. See `Engine`."""

    def __init__(self, spec: LoadSpec, on_tick: Callable[[LoadTick], None] | None = None) -> None:
        super().__init__(spec, on_tick)
        self._wakings = Waking(self._schedule)
        self._schedule = cast("Open", self._wakings)
        if self._closed is not None:
            self._closed = cast("Closed", self._wakings)
        self._tries: dict[int, Try] = {}  # put off, by the negative number that the schedule knows them by
        self._put_off = 0
        self._random = random.Random(spec.seed + (spec.shard << 63))  # noqa: S311 - no secret hangs on it

    def _dispatch(self, due_ns: int, user: int) -> None:
        """Somebody has become due: for the first time, or to try again."""
        if user >= 0:
            super()._dispatch(due_ns, user)
            return
        user, turn, route, wire = self._tries.pop(user)
        self._scheduled += 1
        if self._waiting or not (self._idle or self._live < self.spec.connections):
            self._waiting.append((due_ns, user, turn, route, wire))
        else:
            self._send(due_ns, user, turn, route, wire)

    def ended(self, connection: Connection, outcome: int, now_ns: int) -> None:
        """A connection's request ended: for good, or to be tried again."""
        route = connection.route
        if route is None:
            return
        failed = outcome in _FAILED or (outcome == WRONG_STATUS and connection.status in _BUSY)
        if failed and self._tries_again((connection.user, connection.turn, route, connection.wire), now_ns):
            self._settle(connection, outcome, now_ns)
            if connection.reusable() and not self._one_each:
                self._idle[connection] = None
            else:
                self._close(connection)
            if self._waiting:
                self._pump()
        else:
            super().ended(connection, outcome, now_ns)

    def _unopened(self, tried: Try, outcome: int, now_ns: int) -> None:
        """No connection could be begun; where no server was reached, that may be tried again, too."""
        if outcome != REFUSED or not self._tries_again(tried, now_ns):
            super()._unopened(tried, outcome, now_ns)

    def _tries_again(self, tried: Try, now_ns: int) -> bool:
        """Whether it is tried again, which is then put off."""
        user, turn, route, wire = tried
        attempt = turn >> ATTEMPT_BITS
        if attempt >= self.spec.retries or not route.idempotent or route.stream is not None or not self._sending:
            return False
        pause_ns = round(self.spec.backoff_s * 2**attempt * (1 - self._random.random() / 2) * 1e9)
        due_ns = now_ns + pause_ns
        if due_ns >= self._end_ns:
            return False
        self._put_off += 1
        self._tries[-self._put_off] = (user, turn + (1 << ATTEMPT_BITS), route, wire)
        if due_ns < self._wakings.next_ns:
            self._timer.arm(due_ns)
        self._wakings.put(due_ns, -self._put_off)
        return True
