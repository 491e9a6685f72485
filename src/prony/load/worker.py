"""A spec file into samples and JSON lines: `python -m prony.load.worker SPEC.json`, the program that is the generator.

On stdout: a `LoadTick` about once a second (left out where nobody reads them), a `LoadResult` at the end. Exit codes: 0
the load ran, or was ended by SIGTERM or SIGINT; 2 the spec is wrong; 3 the segment could not be written.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import sys
from pathlib import Path

import msgspec

from prony.load.engine import Engine
from prony.load.spec import LoadResult, LoadSpec, LoadTick


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
        result = Engine(spec, on_tick=_offer).run(stop_signals=(signal.SIGTERM, signal.SIGINT))
    except OSError as error:
        return _refuse(f"the load could not go on: {error}", 3)
    _say(result)
    return 0


def _raise_descriptor_limit() -> None:
    """Every connection is a descriptor: take as many as this process is allowed."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _offer(tick: LoadTick) -> None:
    """Write a tick if that cannot block: a reader that has stopped reading must not stop the load."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), select.POLLOUT)
    if any(state == select.POLLOUT for _, state in poll.poll(0)):
        _say(tick)


def _say(line: LoadTick | LoadResult) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), msgspec.json.encode(line) + b"\n")


def _refuse(message: str, code: int) -> int:
    sys.stderr.write(f"prony.load.worker: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
