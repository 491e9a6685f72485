"""A load's spec with journeys into samples: the engine, whose visitors each run a journey from step to step.

Each arrival, or each turn of a closed loop's user, is one run of a journey, chosen by weight among the journeys and the
spec's plain requests; a run's visitor is new and knows nothing. Its first step is due when the arrival is, each further
one when the former's answer had come, plus the pause that the journey made. Steps due after the sending window are not
sent, and belong to no sample.

A sample is written when the next step begins or the run ends, so that what the journey expected of the answer is in its
outcome. A run ends at the first step that fails, and where the journey's own code raises, which is told with its line.
"""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Final, cast

from msgspec import structs

from prony.load.engine import Engine
from prony.load.failures import UNREACHED
from prony.load.following import followers
from prony.load.journey_file import hidden, journeys_of, place_of, told
from prony.load.kinds import kind_for
from prony.load.pages import StepFailed
from prony.load.runs import FOREIGN, NoLoop, Run, Waking
from prony.load.site import Site
from prony.load.visitor import Visitor
from prony.samples import JOURNEY_ERROR, NOT_SENT, OK, OUTCOMES, REFUSED, WRONG_STATUS, word
from prony.traffic import arrivals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prony.load.account import LoadResult, LoadTick
    from prony.load.connection import Connection
    from prony.load.journey_file import Journey
    from prony.load.keeping import PageConnection
    from prony.load.pages import Answer
    from prony.load.schedule import Closed, Open
    from prony.load.spec import LoadSpec

STEPS_MAX: Final = 1000  # of one run
RUNS_MAX: Final = 50_000  # at one time
REASONS_MAX: Final = 200  # different ones that are told
_OTHER_REASONS: Final = "other reasons"
_REASON_CHARACTERS_MAX: Final = 200
_BLOCK: Final = 1024
_UNREACHED_PAUSE_NS: Final = 10_000_000
_LONG_NS: Final = 50_000_000  # of a journey's own code at a stretch, while which nothing is sent
_STUCK_NS: Final = 5_000_000_000
_ORDERS: Final = (tuple, int)

_monotonic_ns = time.monotonic_ns


class JourneyLoad(Engine):
    """One load with journeys, run once. See `Engine`.

    Raises:
        PlanError: A journey or its users cannot be read.
        OSError: The segment cannot be opened.
    """

    def __init__(self, spec: LoadSpec, on_tick: Callable[[LoadTick], None] | None = None) -> None:
        self._journeys = [*journeys_of(spec.journeys), *followers(spec)]
        super().__init__(spec, on_tick)
        self._connection = kind_for(self._mix.routes, https=spec.https, pages=True, timed=spec.timed)
        self._remarks: dict[str, None] = {}
        self._site = Site(spec, self._remark)
        self._wakings = Waking(self._schedule)
        self._schedule = cast("Open", self._wakings)
        if self._closed is not None:
            self._closed = cast("Closed", self._wakings)
        requests = sum(request.weight for request in spec.requests if not request.redirects)
        self._weights = [requests, *(journey.weight for journey in self._journeys)]
        self._chosen: list[int] = []
        self._drawn = 0
        self._runs: dict[int, Run] = {}
        self._finished: set[str] = set()  # journeys of which a run came to its end
        self._failed: dict[str, tuple[int, int, int, int]] = {}  # runs; route, status, outcome of the last
        self._begun = 0
        self._began_ns = 0  # when a journey's own code was last begun; 0 while none runs
        self._said = len(spec.requests)  # routes whose names are known already

    def run(self, stop_signals: Iterable[signal.Signals] = ()) -> LoadResult:
        """As `Engine.run`; in a process's main thread a journey that does not come to its next step is ended, too."""
        with NoLoop.running():
            return self._run(stop_signals)

    def _run(self, stop_signals: Iterable[signal.Signals]) -> LoadResult:
        if threading.current_thread() is not threading.main_thread():
            return super().run(stop_signals)
        former = signal.signal(signal.SIGALRM, self._look_after)
        signal.setitimer(signal.ITIMER_REAL, 1.0, 1.0)
        try:
            return super().run(stop_signals)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, former)

    def _look_after(self, *_: object) -> None:
        """Each second, wherever the main thread is: raises in a journey's code that has been going for `_STUCK_NS`."""
        began_ns = self._began_ns
        if began_ns and _monotonic_ns() - began_ns > _STUCK_NS:
            self._began_ns = 0
            raise TimeoutError(f"no step for {_STUCK_NS // 1_000_000_000} s")

    def _start(self) -> None:
        super()._start()
        self._users_go_on = False  # each turn is chosen anew

    def _dispatch(self, due_ns: int, user: int) -> None:
        """Somebody has become due: a run after its pause, a plain request, or a new run."""
        if user < 0:
            run = self._runs.get(user)
            if run is not None:
                self._resume(run, None)
            return
        if not self._chosen:
            count = _BLOCK * self._shards
            drawn = arrivals.routes(self._weights, count, self.spec.seed + 1_000_003, self._drawn)
            self._chosen = drawn[self.spec.shard :: self._shards].tolist()
            self._drawn += count
        chosen = self._chosen.pop()
        if not chosen:
            super()._dispatch(due_ns, user)
            return
        self._begin(self._journeys[chosen - 1], due_ns, user)

    def _begin(self, journey: Journey, due_ns: int, user: int) -> None:
        self._begun += 1
        turn = user if self._closed is None else self._next_turn()
        if len(self._runs) >= RUNS_MAX:
            self._remark(f"{RUNS_MAX} journeys were under way at one time: no more were begun")
            self._scheduled += 1
            self.add(due_ns, 0, 0, _monotonic_ns(), 0, self._site.number(journey.name), 0, word(turn, NOT_SENT))
            return
        run = Run(-self._begun, user, turn, due_ns, journey)
        seed = (self.spec.seed << 32) + self._begun * self._shards + self.spec.shard
        rows = journey.users
        row = rows[user % len(rows)] if rows else {}

        def blame(failed: StepFailed) -> None:
            self._blame(run, failed.outcome, failed.why)

        run.visitor = Visitor(self._site, user, seed, row, blame)
        visitors = self.spec.visitors
        if visitors and not journey.anonymous:
            run.visitor.bear(visitors[user % len(visitors)])
        run.coroutine = journey.function(run.visitor)
        self._runs[run.number] = run
        self._resume(run, None)

    def _resume(self, run: Run, answer: Answer | None) -> None:
        """Run the journey's own code up to its next step, its next pause or its end."""
        if run.number not in self._runs:
            return
        began_ns = self._began_ns = _monotonic_ns()
        try:
            if run.failure:
                failure, run.failure = run.failure, OK
                order = run.coroutine.throw(StepFailed(failure))
            else:
                order = run.coroutine.send(answer)
            if type(order) not in _ORDERS:
                order = run.coroutine.throw(RuntimeError(FOREIGN))
                if type(order) not in _ORDERS:
                    raise RuntimeError(FOREIGN)  # noqa: TRY301 - a journey that caught it, and did so again
            self._began_ns = 0
        except StopIteration:
            self._finished.add(run.journey.name)
            self._end(run)
        except StepFailed as failed:
            self._blame(run, failed.outcome, failed.why)
            self._end(run)
        except BaseException as error:  # noqa: BLE001 - whatever a journey raises, the load goes on
            self._raised(run, error)
        else:
            self._see_to(run, order)
        self._began_ns = 0
        took_ns = _monotonic_ns() - began_ns
        if took_ns > _LONG_NS:
            self._remark(f"{run.journey.name}: its own code took long at a stretch, while which nothing could be sent")

    def _see_to(self, run: Run, order: Any) -> None:
        if type(order) is int:
            run.due_ns += order
            self._wake(run, run.due_ns)
            return
        self._commit(run)
        due_ns = run.due_ns
        run.steps += 1
        if run.steps > STEPS_MAX:
            self._remark(f"{run.journey.name}: a run was ended after {STEPS_MAX} steps")
            self._end(run)
        elif not self._sending or due_ns >= self._end_ns:
            self._end(run)
        else:
            self._scheduled += 1
            route, wire = order
            if self._waiting or not (self._idle or self._live < self.spec.connections):
                self._waiting.append((due_ns, run.number, run.turn, route, wire))
            else:
                self._send(due_ns, run.number, run.turn, route, wire)

    def _wake(self, run: Run, due_ns: int) -> None:
        if due_ns < self._wakings.next_ns and self._sending:
            self._timer.arm(min(due_ns, self._end_ns))
        self._wakings.put(due_ns, run.number)

    def ended(self, connection: Connection, outcome: int, now_ns: int) -> None:
        """A connection's request ended: a plain one as ever; a step's answer goes to its journey."""
        if connection.user >= 0:
            super().ended(connection, outcome, now_ns)
            return
        route = connection.route
        if route is None:
            return
        del connection.among[connection]
        self._ended += 1
        run = self._runs[connection.user]
        run.due_ns = now_ns
        run.sample = [
            connection.due_ns,
            connection.sent_ns,
            connection.first_byte_ns,
            now_ns,
            connection.received,
            route.number,
            connection.status,
            outcome,
        ]
        answer = cast("PageConnection", connection).answer()
        if connection.reusable() and not self._one_each:
            self._idle[connection] = None
        else:
            self._close(connection)
        if self._waiting:
            self._pump()
        if outcome in UNREACHED:
            self._fail_later(run, outcome, now_ns)
        elif outcome:  # not at once: a journey that tries again would call itself
            run.failure = outcome
            self.loop.call_soon(self._resume, run, None)
        else:
            self._resume(run, answer)
        if not self._sending:
            self._finish_if_idle()

    def _after(self, outcome: int, now_ns: int, user: int, *, at_once: bool) -> None:
        """What the end of a request sets going; a step that reached no server fails a little later."""
        if user >= 0:
            super()._after(outcome, now_ns, user, at_once=at_once)
            return
        if not self._sending:
            self._finish_if_idle()
        else:
            self._fail_later(self._runs[user], outcome, now_ns)

    def _fail_later(self, run: Run, outcome: int, now_ns: int) -> None:
        """A step reached no server: were its journey told at once, one that tries again would spin."""
        run.failure = outcome
        run.due_ns = now_ns + _UNREACHED_PAUSE_NS
        self._wake(run, run.due_ns)

    # ---- how runs end

    def _blame(self, run: Run, outcome: int, why: str) -> None:
        """A run's latest answer was not what its journey expected."""
        sample = run.sample
        if sample is not None and sample[7] == OK:
            sample[7] = outcome
            if why:
                self.lacking(hidden(why, run.visitor.user))

    def _raised(self, run: Run, error: BaseException) -> None:
        """A journey's own code raised: its latest step bears that; before the first one, a sample of nothing sent."""
        self.lacking(f"{place_of(error, run.journey)}: {told(error, run.visitor.user)}")
        if run.sample is not None and run.sample[7] == OK:
            run.sample[7] = JOURNEY_ERROR
        elif not run.steps:
            self._scheduled += 1
            now_ns = _monotonic_ns()
            number = self._site.number(run.journey.name)
            self.add(run.due_ns, 0, 0, max(now_ns, run.due_ns), 0, number, 0, word(run.turn, JOURNEY_ERROR))
        self._end(run)

    def _commit(self, run: Run) -> None:
        if run.sample is not None:
            run.sample[7] = word(run.turn, run.sample[7])
            self.add(*run.sample)
            run.sample = None

    def _note(self, run: Run) -> None:
        """A run ends: where it fails, for it may be that none comes to its end."""
        sample = run.sample
        if sample is not None and sample[7] != OK:
            failed = self._failed.get(run.journey.name, (0,))[0]
            self._failed[run.journey.name] = (failed + 1, sample[5], sample[6], sample[7])

    def _end(self, run: Run) -> None:
        """A run is over: its user's next turn is due, where there is one."""
        self._note(run)
        self._commit(run)
        del self._runs[run.number]
        run.shut()
        if not run.steps:
            self._remark(f"{run.journey.name}: a run ended without having asked for anything")
        if self._sending:
            super()._after(OK if run.steps else REFUSED, _monotonic_ns(), run.user, at_once=False)

    def _finish(self) -> None:
        if self._running:
            for run in self._runs.values():
                self._commit(run)
        super()._finish()
        for run in self._runs.values():
            run.shut()
        self._runs.clear()

    # ---- what is told

    def lacking(self, what: str) -> None:
        """An answer was not as expected: count what it lacked; beyond `REASONS_MAX` different things, together."""
        what = what[:_REASON_CHARACTERS_MAX]
        if what not in self._lacking and len(self._lacking) >= REASONS_MAX:
            what = _OTHER_REASONS
        super().lacking(what)

    def _remark(self, text: str) -> None:
        if len(self._remarks) < REASONS_MAX:
            self._remarks[text] = None

    def _names(self) -> dict[int, str]:
        """The routes that came up since this was last asked for."""
        names = self._site.names
        found = {number: names[number] for number in range(self._said, len(names)) if names[number]}
        self._said = len(names)
        return found

    def _tick(self, now_ns: int) -> LoadTick:
        return structs.replace(super()._tick(now_ns), routes=self._names())

    def _result(self, cpu_s: float) -> LoadResult:
        names = self._site.names
        routes = {number: names[number] for number in range(len(self.spec.requests), len(names)) if names[number]}
        for name, (count, number, status, outcome) in self._failed.items():
            if name not in self._finished:
                how = f"answered {status}" if outcome == WRONG_STATUS else OUTCOMES[outcome]
                self._remark(f"{name}: none of {count} runs came to its end; the last ended at {names[number]}: {how}")
        return structs.replace(super()._result(cpu_s), routes=routes, remarks=tuple(self._remarks))
