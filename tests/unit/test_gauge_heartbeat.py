"""What a beat counts of asgiref's threads, with executors whose one thread is held."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from prony_gauge import heartbeat, layout
from prony_gauge.heartbeat import Heartbeat, waiting
from prony_gauge.mapped import Gauge


class Context:
    """As asgiref's: compared by identity, and weakly held."""


class Held:
    """Executors of one thread each, which does nothing but wait until it is let go."""

    def __init__(self) -> None:
        self._go = threading.Event()
        self._made: list[ThreadPoolExecutor] = []

    def executor(self, waiters: int) -> ThreadPoolExecutor:
        """One whose thread is taken, with so many calls behind that."""
        made = ThreadPoolExecutor(max_workers=1)
        self._made.append(made)
        taken = threading.Event()
        made.submit(self._hold, taken)
        assert taken.wait(30)
        for _ in range(waiters):
            made.submit(self._go.wait, 30)
        return made

    def _hold(self, taken: threading.Event) -> None:
        taken.set()
        self._go.wait(30)

    def let_go(self) -> None:
        self._go.set()
        for each in self._made:
            each.shutdown()


@pytest.fixture
def held() -> Iterator[Held]:
    made = Held()
    yield made
    made.let_go()


class ToAsync:
    """What of asgiref's SyncToAsync is looked at."""

    def __init__(self, single: Any) -> None:
        self.single_thread_executor = single
        self.context_to_thread_executor: Any = weakref.WeakKeyDictionary()


def test_calls_wait_for_the_one_thread_and_for_those_of_contexts(held: Held) -> None:
    to_async = ToAsync(held.executor(2))
    contexts = [Context() for _ in range(3)]
    for context, waiters in zip(contexts, (0, 1, 3), strict=True):
        to_async.context_to_thread_executor[context] = held.executor(waiters)
    assert waiting(to_async, 0) == 6
    contexts.clear()
    del context  # the last of them
    assert waiting(to_async, 0) == 2


def test_an_executor_that_contexts_share_is_counted_once_and_one_of_another_make_not_at_all(held: Held) -> None:
    to_async = ToAsync(held.executor(0))
    contexts, shared = [Context() for _ in range(3)], held.executor(4)
    for context, executor in zip(contexts, (shared, shared, object()), strict=True):
        to_async.context_to_thread_executor[context] = executor
    assert waiting(to_async, 0) == 4


def test_an_asgiref_from_before_contexts_has_its_one_thread() -> None:
    class Old:
        single_thread_executor = ThreadPoolExecutor(max_workers=1)

    assert waiting(Old, 9) == 0


def test_contexts_that_change_while_they_are_looked_at_leave_the_figure_as_it_was(held: Held) -> None:
    class Changing:
        def values(self) -> Iterator[Any]:
            yield held.executor(1)
            raise RuntimeError("dictionary changed size during iteration")

    to_async = ToAsync(held.executor(2))
    to_async.context_to_thread_executor = Changing()
    assert waiting(to_async, 5) == 5


def test_what_asgiref_itself_keeps_is_what_is_counted() -> None:
    sync: Any = pytest.importorskip("asgiref.sync")
    taken, go = threading.Event(), threading.Event()

    def hold() -> None:
        taken.set()
        go.wait(30)

    async def main() -> int:
        async with sync.ThreadSensitiveContext():
            tasks = [asyncio.create_task(sync.sync_to_async(hold)()) for _ in range(3)]
            assert await asyncio.to_thread(taken.wait, 30)
            found = waiting(sync.SyncToAsync, 0)
            go.set()
            await asyncio.gather(*tasks)
        return found

    assert asyncio.run(main()) == 2


@pytest.fixture
def beat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], tuple[int, bool]]]:
    """Beats once; what the gauge then has of asgiref's queue, and whether the next beat is to come."""
    gauge = Gauge(str(tmp_path), slots=1)
    gauge.serving()
    monkeypatch.setattr(heartbeat, "GAUGE", gauge)

    class Loop:
        def __init__(self) -> None:
            self.later = 0

        def call_later(self, _delay_s: float, _what: Callable[[], None]) -> None:
            self.later += 1

    def once() -> tuple[int, bool]:
        made = Heartbeat()
        made.loop = Loop()
        made._beat()
        return gauge.words[layout.ASGIREF_QUEUE_AT], made.loop.later == 1

    yield once
    if gauge.descriptor is not None:
        os.close(gauge.descriptor)


def test_a_beat_writes_it_down_and_is_followed_by_the_next(
    beat: Callable[[], tuple[int, bool]], held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    asgiref: Any = ModuleType("asgiref.sync")
    monkeypatch.setitem(sys.modules, "asgiref.sync", asgiref)
    assert beat() == (0, True), "it is only being imported"
    asgiref.SyncToAsync = ToAsync(held.executor(1))
    context = Context()
    asgiref.SyncToAsync.context_to_thread_executor[context] = held.executor(2)
    assert beat() == (3, True)
