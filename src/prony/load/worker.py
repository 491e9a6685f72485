"""A spec file into samples and JSON lines: `python -m prony.load.worker SPEC.json`, the program that is the generator.

On stdout: a `LoadTick` about once a second (left out where nobody reads them), a `LoadResult` at the end. Exit codes: 0
the load ran, or was ended by SIGTERM or SIGINT; 2 the spec is wrong; 3 the segment could not be written.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path
from typing import Final, TextIO

import msgspec

from prony.errors import PlanError
from prony.load.account import LoadResult, LoadTick
from prony.load.engine import Engine
from prony.load.spec import LoadSpec

_PRINTED_MAX: Final = 64 * 1024  # of what a user's journeys print: what they say at first
_LOOK_S: Final = 0.002
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_KEPT_BYTES: Final = 32 * 1024 * 1024
_out = 1  # where our lines go


def main(arguments: list[str]) -> int:
    """Run the load that a spec file describes; returns the exit code."""
    if len(arguments) != 1:
        return _refuse("one argument is needed: the spec file", 2)
    try:
        spec = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=LoadSpec)
    except (OSError, msgspec.MsgspecError) as error:
        return _refuse(f"{arguments[0]}: {error}", 2)
    _raise_descriptor_limit()
    try:
        load = _load_of(spec)
        load.start_at_ns = _start_of(spec)
        result = load.run(stop_signals=(signal.SIGTERM, signal.SIGINT))
    except PlanError as error:
        return _refuse(error.message, 2)
    except OSError as error:
        return _refuse(f"the load could not go on: {error}", 3)
    _say(result)
    return 0


def _start_of(spec: LoadSpec) -> int:
    """The instant at which all shards begin, waited for until it is named; 0 for a load of one process."""
    if not spec.start_file:
        return 0
    Path(f"{spec.segment}.ready").touch()
    start = Path(spec.start_file)
    while not start.exists():
        time.sleep(_LOOK_S)
    return int(start.read_text(encoding="ascii"))


def _load_of(spec: LoadSpec) -> Engine:
    """What runs it; the engine for requests alone neither has nor imports anything of journeys."""
    if spec.retries:
        from prony.load.retrying import RetryLoad  # noqa: PLC0415 - the same

        return RetryLoad(spec, on_tick=_offer)
    if not spec.journeys and not any(request.redirects for request in spec.requests):
        return Engine(spec, on_tick=_offer)
    from prony.load.journeys import JourneyLoad  # noqa: PLC0415 - the fast path does without

    _set_prints_apart()
    _keep_freed_memory()
    return JourneyLoad(spec, on_tick=_offer)


def _keep_freed_memory() -> None:
    """Parsing a page takes and frees memory in large pieces; by default each goes back to the kernel, at a cost."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # glibc's
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def _set_prints_apart() -> None:
    """What the user's code prints must not come among our lines, nor fill the disk."""
    global _out  # noqa: PLW0603 - set once, before the load
    _out = os.dup(_out)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    sys.stdout = sys.stderr = _Prints(sys.stderr)


class _Prints(io.TextIOBase):
    """Lets the first `_PRINTED_MAX` characters through."""

    def __init__(self, to: TextIO) -> None:
        self._to = to
        self._left = _PRINTED_MAX

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._to.write(text[: self._left])
        self._left = max(0, self._left - len(text))
        return len(text)

    def flush(self) -> None:
        self._to.flush()


def _raise_descriptor_limit() -> None:
    """Every connection is a descriptor: take as many as this process is allowed."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _offer(tick: LoadTick) -> None:
    """Write a tick if that cannot block: a reader that has stopped reading must not stop the load."""
    poll = select.poll()
    poll.register(_out, select.POLLOUT)
    if any(state == select.POLLOUT for _, state in poll.poll(0)):
        _say(tick)


def _say(line: LoadTick | LoadResult) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(_out, msgspec.json.encode(line) + b"\n")


def _refuse(message: str, code: int) -> int:
    sys.stderr.write(f"prony.load.worker: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
