"""An absolute instant into a call-back on the event loop, to tens of microseconds: Linux's timerfd."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


_CLOCK_MONOTONIC: Final = 1
_ABSTIME: Final = 1  # TFD_TIMER_ABSTIME
_FAR_NS: Final = 2**62

_libc = ctypes.CDLL(None, use_errno=True)
HAS_TIMERFD: Final = sys.platform == "linux" and hasattr(_libc, "timerfd_create")


class Watcher(Protocol):
    """What a timer needs of an event loop: the engine's own has it, and asyncio's."""

    def add_reader(self, fd: int, callback: Callable[[], Any], /) -> object:
        """Have it called whenever the descriptor can be read."""

    def remove_reader(self, fd: int, /) -> object:
        """No longer."""

    def call_later(self, delay: float, callback: Callable[[], Any], /) -> object:
        """Have it called after so many seconds."""


class Timer:
    """One alarm on an event loop: rings at or after an instant of the monotonic clock, never before.

    Loops' own timers count in milliseconds; this one is a file descriptor that becomes readable. Where there is no
    timerfd, `loop.call_later` stands in, with its coarser step.

    A ring stays due until it is answered: the call-back must `arm` the next one, `disarm` or `acknowledge`, or it is
    called again at once.

    Args:
        loop: The running or not yet running event loop. The timer belongs to its thread.
        ring: Called without arguments when the armed instant has come.

    Raises:
        OSError: No file descriptor was left.
    """

    __slots__ = ("_at", "_due_ns", "_fd", "_loop", "_pointer", "_ring", "_settime")

    def __init__(self, loop: Watcher, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._fd = -1
        self._due_ns = 0  # what is armed where there is no timerfd; 0 for nothing
        if HAS_TIMERFD:
            self._fd = _libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
            if self._fd < 0:
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code))
            self._at = (ctypes.c_long * 4)()  # struct itimerspec: interval s, ns; value s, ns
            self._pointer = ctypes.byref(self._at)
            self._settime = _libc.timerfd_settime
            loop.add_reader(self._fd, ring)

    def arm(self, due_ns: int) -> None:
        """Ring once at `due_ns` (monotonic); in place of what was armed. An instant gone by rings at once."""
        if self._fd >= 0:
            at = self._at
            at[2], at[3] = divmod(min(max(due_ns, 1), _FAR_NS), 1_000_000_000)
            self._settime(self._fd, _ABSTIME, self._pointer, None)
        else:
            self._due_ns = max(due_ns, 1)
            self._loop.call_later(max(0, due_ns - time.monotonic_ns()) / 1e9, self._ring_where_due)

    def _ring_where_due(self) -> None:
        if self._due_ns and self._due_ns <= time.monotonic_ns():
            self._due_ns = 0
            self._ring()

    def disarm(self) -> None:
        """Ring no more, until armed again."""
        if self._fd >= 0:
            at = self._at
            at[2] = at[3] = 0
            self._settime(self._fd, _ABSTIME, self._pointer, None)
        else:
            self._due_ns = 0

    def acknowledge(self) -> None:
        """Take note of a ring without arming another; without effect where none is due."""
        if self._fd >= 0:
            with contextlib.suppress(BlockingIOError):
                os.read(self._fd, 8)

    def close(self) -> None:
        """Give the descriptor back; may be called twice. Nothing else may be called after."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
        else:
            self._due_ns = 0
