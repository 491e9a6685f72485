"""Descriptors that are ready into calls: the load engine's own event loop, epoll and little else.

asyncio's loops call through a handle and a context, which costs about as much as reading an answer does. The engine
needs neither: it watches sockets, one timer, and now and then something a little later.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import os
import select
import selectors
import signal
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Call = Callable[..., Any]

_IN: Final = 1  # EPOLLIN, and our own name for it where there is no epoll
_OUT: Final = 4  # EPOLLOUT
# Told once for what has come, not until it is read: else epoll looks at each descriptor again at its next look. With
# the end of a stream told, for it may come together with bytes before it.
_NEW: Final = _IN | getattr(select, "EPOLLET", 0) | getattr(select, "EPOLLRDHUP", 0)
_ENDED: Final = getattr(select, "EPOLLRDHUP", 0) | 8 | 16  # and EPOLLERR, EPOLLHUP
_AT_ONCE: Final = 128  # descriptors taken at one look

_monotonic_ns = time.monotonic_ns


@contextlib.contextmanager
def collector_off() -> Iterator[None]:
    """No garbage is collected meanwhile: a collection would hold up what is due."""
    collecting = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
        gc.unfreeze()


class _Selected:
    """What epoll does, by the best that this system has."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def register(self, fd: int, mask: int) -> None:
        self._selector.register(fd, self._events(mask))

    def modify(self, fd: int, mask: int) -> None:
        self._selector.modify(fd, self._events(mask))

    def unregister(self, fd: int) -> None:
        self._selector.unregister(fd)

    def poll(self, timeout: float, _: int) -> list[tuple[int, int]]:
        found = self._selector.select(None if timeout < 0 else timeout)
        return [
            (key.fd, (_IN if events & selectors.EVENT_READ else 0) | (_OUT if events & selectors.EVENT_WRITE else 0))
            for key, events in found
        ]

    def close(self) -> None:
        self._selector.close()

    @staticmethod
    def _events(mask: int) -> int:
        return (selectors.EVENT_READ if mask & _IN else 0) | (selectors.EVENT_WRITE if mask & _OUT else 0)


class Loop:
    """An event loop of one thread. What a call raises ends `run`, which raises it in turn.

    Raises:
        OSError: No file descriptor was left.
    """

    def __init__(self) -> None:
        self._poller: Any = select.epoll() if hasattr(select, "epoll") else _Selected()
        self._readers: dict[int, Call] = {}
        self._writers: dict[int, Call] = {}
        self._masks: dict[int, int] = {}  # of what is read
        self._soon: deque[tuple[Call, tuple[Any, ...]]] = deque()
        self._later: list[tuple[int, int, Call]] = []
        self._count = 0
        self._stopped = False
        self._woken: tuple[int, int] | None = None
        self._signals: dict[int, Any] = {}
        self._pending: deque[Call] = deque()

    # ---- what is watched

    def add_reader(self, fd: int, call: Call, *, new: bool = False) -> None:
        """Have `call()` called whenever something can be read, also while nobody reads it.

        With `new` perhaps only when something more has come: it must read until it gets less than it asked for, or call
        itself again soon.
        """
        self._readers[fd] = call
        mask = self._masks[fd] = _NEW if new else _IN
        if fd in self._writers:
            self._poller.modify(fd, mask | _OUT)
        else:
            self._poller.register(fd, mask)

    def add_writer(self, fd: int, call: Call) -> None:
        """Have `call()` called whenever something can be written."""
        self._writers[fd] = call
        if fd in self._readers:
            self._poller.modify(fd, self._masks[fd] | _OUT)
        else:
            self._poller.register(fd, _OUT)

    def remove_reader(self, fd: int) -> None:
        """Watch it for reading no longer; before it is closed."""
        if self._readers.pop(fd, None) is not None:
            self._less(fd, self._writers, _OUT)

    def remove_writer(self, fd: int) -> None:
        """Watch it for writing no longer; before it is closed."""
        if self._writers.pop(fd, None) is not None:
            self._less(fd, self._readers, self._masks.get(fd, _IN))

    def _less(self, fd: int, others: dict[int, Call], mask: int) -> None:
        if fd in others:
            self._poller.modify(fd, mask)
        else:
            self._poller.unregister(fd)

    # ---- what is called otherwise

    def call_soon(self, call: Call, *arguments: Any) -> None:
        """Call it once what is ready now has been seen to."""
        self._soon.append((call, arguments))

    def call_later(self, delay_s: float, call: Call) -> None:
        """Call it once so many seconds have passed, to about a millisecond."""
        self._count += 1
        heapq.heappush(self._later, (_monotonic_ns() + round(delay_s * 1e9), self._count, call))

    def add_signal_handler(self, number: int, call: Call) -> None:
        """Have `call()` called on the loop when the signal has come; in the process's main thread only."""
        if self._woken is None:
            self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
            self.add_reader(self._woken[0], self._on_signal)

        def wake(*_: object) -> None:
            self._pending.append(call)
            if self._woken is not None:
                os.write(self._woken[1], b"!")

        self._signals[number] = signal.signal(number, wake)

    def _on_signal(self) -> None:
        if self._woken is not None:
            os.read(self._woken[0], 64)
        while self._pending:
            self._pending.popleft()()

    # ---- running

    def run(self) -> None:
        """Call what is due and what is ready, until `stop`."""
        self._stopped = False
        readers, writers, soon, later, poll = self._readers, self._writers, self._soon, self._later, self._poller.poll
        while not self._stopped:
            if soon:
                timeout = 0.0
            elif later:
                timeout = max(0, later[0][0] - _monotonic_ns()) / 1e9
            else:
                timeout = -1
            for fd, mask in poll(timeout, _AT_ONCE):
                read = readers.get(fd)
                if mask != _OUT and read is not None:  # readable, or broken: who reads finds out
                    read()
                if mask != _IN:
                    call = writers.get(fd)
                    if call is not None:
                        call()
                    if mask & _ENDED and read is not None and readers.get(fd) is read:  # what came before it is read
                        read()
            for _ in range(len(soon)):
                call, arguments = soon.popleft()
                call(*arguments)
            while later and later[0][0] <= _monotonic_ns():
                heapq.heappop(later)[2]()

    def stop(self) -> None:
        """Have `run` return once what is ready now has been seen to."""
        self._stopped = True

    def close(self) -> None:
        """Give back its descriptors and the signals' former handlers."""
        for number, former in self._signals.items():
            signal.signal(number, former)
        self._signals.clear()
        if self._woken is not None:
            for fd in self._woken:
                os.close(fd)
            self._woken = None
        self._poller.close()
