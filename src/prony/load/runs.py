"""Journeys under way, and a schedule that knows when they go on: who is due next, a newcomer or a run after a pause."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from typing import TYPE_CHECKING, Any, Final, cast

from prony.samples import OK

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from prony.load.journey_file import Journey
    from prony.load.schedule import Closed, Open
    from prony.load.visitor import Order, Visitor


FOREIGN: Final = "a journey awaits only what its visitor does, such as `await visitor.pause(1.0)`"


class ForeignAwait(BaseException):
    """A journey awaits something that needs an event loop of asyncio's."""


class NoLoop:
    """Stands where asyncio looks for its running loop: whoever asks anything of it is told what a journey may await."""

    def __getattr__(self, _: str) -> Any:
        raise ForeignAwait(FOREIGN)

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator[None]:
        """Let it stand there, in this thread."""
        asyncio._set_running_loop(cast("asyncio.AbstractEventLoop", cls()))  # noqa: SLF001 - what loops are to call
        try:
            yield
        finally:
            asyncio._set_running_loop(None)  # noqa: SLF001 - the same


class Run:
    """One run of a journey, under way.

    Attributes:
        number: Negative: the `user` by which the engine knows its requests.
        user: Who runs it: an arrival's or a closed loop's user.
        turn: Which arrival, or turn of a user, it is.
        due_ns: When its next step is due.
        sample: Of its latest step, not yet written: the columns of a row.
    """

    __slots__ = ("coroutine", "due_ns", "failure", "journey", "number", "sample", "steps", "turn", "user", "visitor")

    def __init__(self, number: int, user: int, turn: int, due_ns: int, journey: Journey) -> None:
        self.number = number
        self.user = user
        self.turn = turn
        self.due_ns = due_ns
        self.journey = journey
        self.steps = 0
        self.failure = OK
        self.sample: list[int] | None = None
        self.visitor: Visitor
        self.coroutine: Coroutine[Order, Any, Any]

    def shut(self) -> None:
        """Let go of all that it holds: nothing may go round in circles, for the collector is off during a load."""
        with contextlib.suppress(BaseException):  # a journey's own `finally` may raise, or await
            self.coroutine.close()
        self.visitor.leave()
        del self.visitor, self.coroutine


class Waking:
    """A schedule, and runs that pause, as one: a run is due as its own number.

    Args:
        schedule: Who is due otherwise.
    """

    __slots__ = ("_pauses", "_schedule", "goes_on", "next_ns")

    def __init__(self, schedule: Open | Closed) -> None:
        self._schedule = schedule
        self.goes_on = schedule.goes_on
        self._pauses: list[tuple[int, int]] = []
        self.next_ns = schedule.next_ns

    def starts_at(self, start_ns: int) -> None:
        """As the schedule's own."""
        self._schedule.starts_at(start_ns)
        self.next_ns = self._schedule.next_ns

    def take(self) -> int:
        """Who is due at `next_ns`, which moves on."""
        if self._pauses and self._pauses[0][0] == self.next_ns:
            user = heapq.heappop(self._pauses)[1]
        else:
            user = self._schedule.take()
        self._move_on()
        return user

    def put(self, due_ns: int, user: int) -> None:
        """Have a closed loop's user or a run become due."""
        if user < 0:
            heapq.heappush(self._pauses, (due_ns, user))
        else:
            cast("Closed", self._schedule).put(due_ns, user)
        self._move_on()

    def _move_on(self) -> None:
        self.next_ns = self._schedule.next_ns
        if self._pauses:
            self.next_ns = min(self.next_ns, self._pauses[0][0])
