"""This machine's generator in, what it can do out: tried against a server of ours that does nothing, and remembered."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

from msgspec import Struct

from prony.errors import StackError
from prony.load.account import LoadResult
from prony.load.spec import LoadSpec, RequestSpec
from prony.stack import folders
from prony.stack.cores import Cores, divide
from prony.stack.guard import HANDED
from prony.stack.launch import Launcher
from prony.trial.generators import Generators
from prony.trial.remembered import keep, kept, this_machine
from prony.trial.spec import most_connections

USERS = 50
CLOSED_S, OPEN_S = 2.0, 1.0
RATES_RPS = (1000.0, 5000.0)
READY_S = 10.0
NAME = "calibration"


class Sent(Struct, frozen=True, kw_only=True):
    """An open loop, Poisson arrivals: rates per second, lags in seconds."""

    rate_rps: float
    sent_rps: float
    lag_p50_s: float
    lag_p99_s: float


class Calibration(Struct, frozen=True, kw_only=True):
    """What the generator could do here, by itself.

    Attributes:
        machine: What it was tried on: CPU, cores, system, Python.
        at: When, in UTC.
        closed_rps: Requests a second that one process sent in a closed loop of 50 users without a pause.
        cpu_s_per_request: Its CPU time for each of them.
        sent: How promptly it sent at some rates.
    """

    machine: str
    at: str
    closed_rps: float
    cpu_s_per_request: float
    sent: tuple[Sent, ...]

    @property
    def text(self) -> str:
        """A line for each thing that was tried."""
        lags = [
            f"    at {each.rate_rps:>5.0f} rps: {each.sent_rps:>5.0f} sent, late by p50 {each.lag_p50_s * 1e3:.2f} ms, "
            f"p99 {each.lag_p99_s * 1e3:.2f} ms"
            for each in self.sent
        ]
        cost = f"{self.cpu_s_per_request * 1e6:.1f} µs of CPU each"
        most = f"{self.closed_rps:.0f} requests a second by {USERS} users, {cost} (tried {self.at[:10]})"
        return "\n".join([most, *lags])


def calibrate(say: Callable[[str], None] = lambda _: None) -> Calibration:
    """Try the generator, which takes some 6 s, and remember what it did.

    Raises:
        StackError: it would not run.
    """
    cores = divide()
    with Launcher(folders.run_folder(), sweep=False) as launcher:
        port = _null_server(launcher, cores)
        say(f"the generator: {USERS} users without a pause")
        closed = _load(launcher, cores, port, "closed", CLOSED_S, users=USERS)
        sent = []
        for rate_rps in RATES_RPS:
            say(f"the generator: {rate_rps:.0f} requests a second")
            load = _load(launcher, cores, port, "poisson", OPEN_S, rate_rps=rate_rps)
            window_s = (load.ended_ns - load.started_ns) / 1e9
            lags = {"lag_p50_s": load.lag_p50_s, "lag_p99_s": load.lag_p99_s}
            sent.append(Sent(rate_rps=rate_rps, sent_rps=load.sent / window_s, **lags))
    found = Calibration(
        machine=this_machine(),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        closed_rps=closed.done / ((closed.ended_ns - closed.started_ns) / 1e9),
        cpu_s_per_request=closed.cpu_s / max(closed.done, 1),
        sent=tuple(sent),
    )
    keep(NAME, found)
    return found


def known() -> Calibration | None:
    """What was remembered of this machine; None where it was not tried, or has changed since."""
    return kept(NAME, Calibration)


def _null_server(launcher: Launcher, cores: Cores) -> int:
    log = launcher.run_folder / "null.log"
    with launcher.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1024)
        launcher.spawn(
            "the null server",
            [sys.executable, "-P", "-m", "prony.load.null", str(HANDED)],
            env={"PATH": os.environ.get("PATH", "/usr/bin:/bin")},
            cwd=launcher.run_folder,
            log=log,
            cores=cores.stack,
            handed=listening,
        )
        return int(listening.getsockname()[1])


def _load(
    launcher: Launcher, cores: Cores, port: int, arrivals: Literal["closed", "poisson"], duration_s: float, **how: Any
) -> LoadResult:
    folder = launcher.run_folder / f"calibration-{arrivals}-{how.get('rate_rps', 0):.0f}"
    folder.mkdir()
    spec = LoadSpec(
        host="127.0.0.1",
        port=port,
        requests=(RequestSpec(),),
        arrivals=arrivals,
        duration_s=duration_s,
        drain_s=1.0,
        connections=most_connections(),
        segment="",
        **how,
    )
    engines = Generators(launcher, cores.generator[:1], folder, spec, 1)
    deadline_s = time.monotonic() + duration_s + READY_S
    while engines.alive and time.monotonic() < deadline_s:
        engines.wait(0.25)
    engines.fresh()
    result = engines.result
    if result is None or not result.done:
        raise StackError("The generator could not be tried.", log=engines.last_lines())
    return result
