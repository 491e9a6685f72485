"""What is to be sent in, samples and ticks out as they come: the load engine's processes, each with a shard of it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import structs

from prony.app.environment import state_folder
from prony.errors import StackError
from prony.load.account import LoadResult, LoadTick
from prony.load.segment import quantile_s
from prony.load.spec import LoadSpec
from prony.recording import ROUTE, SAMPLE, Event, Reading
from prony.samples import Samples, from_bytes
from prony.stack.launch import Launcher, Process
from prony.trial.spec import most_connections

READY_S = 30.0
SOON_NS = 100_000_000
_SUMMED = ("scheduled", "sent", "done", "in_flight", "waiting", "connections_opened", "cpu_s", "ports_share")
_MOST = ("descriptors_share",)


class Fresh(NamedTuple):
    """What has come since it was last asked for."""

    samples: Samples
    readings: list[Reading]
    events: list[Event]


class Generators:
    """The load engine's processes of one trial. A single one begins at once; several when all are ready, together.

    Those that are held begin when they are told to.

    Args:
        launcher: Starts them.
        cores: Where they run, one after the other; empty for anywhere.
        folder: Of their own, there already: it is the caller's to remove.
        spec: What all of them together are to send, over how many connections; shard, shards and segment are filled in.
        count: How many.
        held: Whether to be ready only, and wait for `begin`.

    Raises:
        StackError: One ended, or was not ready in time.
    """

    def __init__(
        self,
        launcher: Launcher,
        cores: tuple[int, ...],
        folder: Path,
        spec: LoadSpec,
        count: int = 1,
        *,
        held: bool = False,
    ) -> None:
        self._launcher = launcher
        self._named: set[int] = set()
        self._shards: list[_Shard] = []
        start = self._start = folder / "start"
        waits = held or count > 1
        self._cores = min(count, len(cores) or count)  # shard n has the one of number n modulo their number
        each, more = divmod(spec.connections, count)
        for number in range(count):
            own = folder / str(number)
            own.mkdir()
            part = structs.replace(
                spec,
                shard=number,
                shards=count,
                connections=min(max(1, each + (number < more)), most_connections()),
                segment=str(own / "segment"),
                start_file=str(start) if waits else "",
            )
            on = (cores[number % len(cores)],) if cores and count > 1 else cores
            self._shards.append(_Shard(_launch(launcher, on, own, part), own))
        if waits:
            self._await_ready()
        if waits and not held:
            self.begin(soon())

    def _await_ready(self) -> None:
        """Return when all are ready to begin; raises StackError where one is not."""
        deadline_s = time.monotonic() + READY_S
        waiting = list(self._shards)
        while waiting:
            waiting = [shard for shard in waiting if not (shard.folder / "segment.ready").exists()]
            if not self.alive or time.monotonic() > deadline_s:
                last = self.last_lines()
                self.end()
                raise StackError("The load engine's processes were not ready to begin together.", log=last)
            if waiting:
                self._launcher.wait(self._shards[0].process, 0.01)

    def begin(self, at_ns: int) -> None:
        """Name the instant (monotonic) at which they begin."""
        named = self._start.with_suffix(".named")
        named.write_text(str(at_ns), encoding="ascii")
        named.rename(self._start)

    @property
    def alive(self) -> bool:
        """Whether any still runs."""
        return any(shard.process.alive for shard in self._shards)

    @property
    def code(self) -> int | None:
        """The exit code of the first that did not end well, else 0; None while one runs."""
        codes = [shard.process.code for shard in self._shards]
        return next((code for code in codes if code), None if None in codes else 0)

    @property
    def tick(self) -> LoadTick | None:
        """The state of the load as it was last told; None before that."""
        ticks = [shard.tick for shard in self._shards if shard.tick is not None]
        return ticks[0] if len(ticks) == 1 else together(ticks, self._cores) if ticks else None

    @property
    def result(self) -> LoadResult | None:
        """The engines' own account; None where one of them gave none."""
        results = [shard.result for shard in self._shards if shard.result is not None]
        return merged(results, self._cores) if len(results) == len(self._shards) else None

    def wait(self, seconds: float) -> None:
        """Return when one of them has ended, or after so long."""
        self._launcher.wait(
            next((s.process for s in self._shards if s.process.alive), self._shards[0].process), seconds
        )

    def end(self, *, at_once: bool = False) -> None:
        """Have all of them stop: what was sent is written down, unless it is to be at once."""
        for shard in self._shards:
            self._launcher.signal(shard.process, signal.SIGKILL if at_once else signal.SIGTERM)

    def last_lines(self) -> tuple[str, ...]:
        """What the one that did not end well, or the first, said last."""
        worst = next((shard for shard in self._shards if shard.process.code), self._shards[0])
        return worst.process.last_lines()

    def fresh(self) -> Fresh:
        """All that is new since it was last asked for."""
        raw = b"".join(shard.rows() for shard in self._shards)
        told = [shard.lines() for shard in self._shards]
        readings = [] if not any(told) else _readings(self.tick)
        return Fresh(from_bytes(raw), readings, self._new_routes())

    def _new_routes(self) -> list[Event]:
        """The names of routes that journeys' steps have added."""
        said = [each for shard in self._shards for each in (shard.tick, shard.result) if each is not None]
        new = {number: name for each in said for number, name in each.routes.items() if number not in self._named}
        self._named |= new.keys()
        return [Event(time.monotonic_ns(), ROUTE, "traffic", f"{number} {name}") for number, name in new.items()]


def soon() -> int:
    """An instant (monotonic, in nanoseconds) that all who wait for one will have read of before it comes."""
    return time.monotonic_ns() + SOON_NS


class _Shard:
    """Takes whole rows from one engine's segment, and lines from its output."""

    def __init__(self, process: Process, folder: Path) -> None:
        self.process = process
        self.folder = folder
        self._offset = 0
        self._out_offset = 0
        self._decoder = msgspec.json.Decoder(LoadTick | LoadResult)
        self.tick: LoadTick | None = None
        self.result: LoadResult | None = None

    def rows(self) -> bytes:
        raw = _read_from(self.folder / "segment", self._offset)
        whole = len(raw) // SAMPLE.itemsize * SAMPLE.itemsize
        self._offset += whole
        return raw[:whole]

    def lines(self) -> bool:
        """Take what was said; whether that is a new state."""
        raw = _read_from(self.folder / "out", self._out_offset)
        end = raw.rfind(b"\n") + 1
        self._out_offset += end
        new = False
        for line in raw[:end].splitlines():
            message = self._decoder.decode(line)
            if isinstance(message, LoadResult):
                self.result = message
            else:
                self.tick = message
                new = True
        return new


def _readings(tick: LoadTick | None) -> list[Reading]:
    if tick is None:
        return []
    return [Reading(tick.t_ns, "generator", each, float(getattr(tick, each))) for each in (*_SUMMED, *_MOST)]


def together(ticks: Iterable[LoadTick], cores: int) -> LoadTick:
    """The state of a whole load on so many cores from its shards' latest, of which there is at least one."""
    ticks = list(ticks)
    sums = {name: sum(getattr(tick, name) for tick in ticks) for name in _SUMMED}
    most = {name: max(getattr(tick, name) for tick in ticks) for name in _MOST}
    names = {number: name for tick in ticks for number, name in tick.routes.items()}
    return LoadTick(t_ns=max(tick.t_ns for tick in ticks), routes=names, cores=cores, **sums, **most)


def merged(results: Iterable[LoadResult], cores: int) -> LoadResult:
    """The account of a whole load on so many cores from its shards', of which there is at least one, in their order.

    Lags are merged by their counts, never by their quantiles; `cpu_share` is the busiest core's.
    """
    results = list(results)
    if len(results) == 1:
        return results[0]
    lags: dict[int, int] = {}
    lacked: dict[str, int] = {}
    for each in results:
        for at, count in each.lags.items():
            lags[at] = lags.get(at, 0) + count
        for what, count in each.failed_checks.items():
            lacked[what] = lacked.get(what, 0) + count
    summed = ("scheduled", "sent", "done", "connections_opened", "retried", "cpu_s")
    return LoadResult(
        started_ns=min(each.started_ns for each in results),
        ended_ns=max(each.ended_ns for each in results),
        drained_ns=max(each.drained_ns for each in results),
        **{name: sum(getattr(each, name) for each in results) for name in summed},
        cpu_share=max(sum(each.cpu_share for each in results[core::cores]) for core in range(cores)),
        lag_p50_s=quantile_s(lags, 0.50),
        lag_p99_s=quantile_s(lags, 0.99),
        interrupted=any(each.interrupted for each in results),
        failed_checks=lacked,
        routes={number: name for each in results for number, name in each.routes.items()},
        remarks=tuple(dict.fromkeys(remark for each in results for remark in each.remarks)),
        lags=lags,
        cores=cores,
    )


def _read_from(path: Path, offset: int) -> bytes:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(offset)
        return file.read()
    return b""


def _launch(launcher: Launcher, cores: tuple[int, ...], folder: Path, spec: LoadSpec) -> Process:
    path = folder / "spec.json"
    path.touch(mode=0o600)  # visitors' cookies may be in it; the folder goes with the trial
    path.write_bytes(msgspec.json.encode(spec))
    return launcher.spawn(
        "the load engine",
        [sys.executable, "-P", "-m", "prony.load.worker", str(path)],
        env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "PYTHONUNBUFFERED": "1"}
        | ({"XDG_STATE_HOME": str(state_folder().parent)} if spec.consent else {}),  # where the secret is
        cwd=folder,
        log=folder / "err",
        stdout=folder / "out",
        cores=cores,
        descriptors=True,
        urgent=True,
    )
