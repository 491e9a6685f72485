"""Cost, promptness and memory of prony's generator beside its peers, in one interleaved run against a real nginx.

CPU is the operating system's account of a generator's whole process tree, its start included. Ratios are of two runs of
one round; of the rounds the median is told, and the lowest and highest. Peers that are not here are said to be missing:
bench/install_peers gets them. It takes about 40 minutes, half of them one load whose memory is watched; --quick takes
less than one, and there a generator's start weighs more than its requests.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import memory
import numpy as np
from paired import arguments, children_cpu_s, measured, one_load, pinned, repeated, tell, two_cores
from peers import PEERS, Peer
from servers import nginx, streams

from prony.load.spec import Expectation, RequestSpec

USERS = 50
RATE_RPS = 5000.0
RATES_RPS = (1000.0, 5000.0, 20_000.0)
WITHIN = 0.002  # of the rate asked for

PLAIN = RequestSpec()
CHECKED = RequestSpec(
    expect=Expectation(contains="xxxx", type="text/plain", header={"x-served-by": "bench"}, min_bytes=148)
)
VISITORS = tuple({"Cookie": f"sessionid={number:032x}; csrftoken={number:064x}"} for number in range(100))
# Each peer's CPU per request, times this, is the most that ours may be.
TARGETS = {"wrk": 1.25, "hey": 1 / 4, "k6": 1 / 4, "Locust FastHttpUser": 1 / 15}
CHECKED_TARGET = 2.0  # times wrk's


class Asked(NamedTuple):
    """How much is measured."""

    pairs: int
    closed_s: int
    open_s: float
    streams: int
    lasting_s: float


WHOLE = Asked(pairs=3, closed_s=30, open_s=10.0, streams=2000, lasting_s=1200.0)
QUICK = Asked(pairs=1, closed_s=1, open_s=1.0, streams=2000, lasting_s=6.0)


def run_peer(peer: Peer, port: int, core: int, seconds: int, folder: Path) -> float:
    """CPU microseconds per request of a peer's whole process tree.

    Raises:
        OSError: It could not be started.
        ValueError: It told no number of requests.
        subprocess.SubprocessError: It did not end.
    """
    program = peer.find() or peer.program
    command = pinned(core, *peer.command(program, f"http://127.0.0.1:{port}/", USERS, seconds, folder))
    before_s = children_cpu_s()
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    count = peer.count(done.stdout if done.stdout.strip() else done.stderr)
    if not count:
        raise ValueError(f"it counted nothing and ended with {done.returncode}: {done.stderr[-500:]}")
    return (children_cpu_s() - before_s) / count * 1e6


def cost(port: int, core: int, asked: Asked, folder: Path) -> list[dict[str, Any]]:
    """CPU per request in a closed loop, beside every peer that is here, in turns."""
    here = [peer for peer in PEERS if peer.find()]
    ours: dict[str, list[float]] = {"plain": [], "checked": []}
    theirs: dict[str, list[float]] = {peer.name: [] for peer in here}
    closed: dict[str, Any] = {"arrivals": "closed", "users": USERS}

    def of_ours(name: str) -> None:
        request, visitors = (PLAIN, ()) if name == "plain" else (CHECKED, VISITORS)
        load = one_load(port, core, asked.closed_s, folder, requests=(request,), visitors=visitors, **closed)
        if load.outcomes != {"ok"}:
            raise SystemExit(f"answers were not as expected: {load.result.failed_checks}")
        ours[name].append(load.cpu_s / load.result.done * 1e6)

    def of_a_peer(peer: Peer) -> None:
        if peer.name in theirs:
            try:
                theirs[peer.name].append(run_peer(peer, port, core, asked.closed_s, folder))
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                print(f"{peer.name} is left out: {error}", file=sys.stderr)
                del theirs[peer.name]

    turns = [*(partial(of_ours, name) for name in ours), *(partial(of_a_peer, peer) for peer in here)]
    for pair in range(asked.pairs):
        print(f"round {pair + 1} of {asked.pairs}: {asked.closed_s} s each", file=sys.stderr)
        for turn in turns if pair % 2 == 0 else reversed(turns):
            turn()
    middle = {name: statistics.median(values) for name, values in theirs.items()}
    rows = [repeated("CPU per request, closed loop, status check", ours["plain"], "us", None, middle)]
    for name, values in theirs.items():
        ratios = [a / b for a, b in zip(ours["plain"], values, strict=True)]
        rows.append(repeated(f"  of {name}'s", ratios, "x", TARGETS.get(name), {}))
    rows.append(repeated("CPU per request, with 4 expectations and cookies", ours["checked"], "us", None, {}))
    if "wrk" in theirs:
        ratios = [a / b for a, b in zip(ours["checked"], theirs["wrk"], strict=True)]
        rows.append(repeated("  of wrk's", ratios, "x", CHECKED_TARGET, {}))
    return rows


def promptness(port: int, core: int, asked: Asked, folder: Path) -> list[dict[str, Any]]:
    """Send lag, and the rate that was truly sent."""
    lags = []
    for _ in range(asked.pairs):
        load = one_load(port, core, asked.open_s, folder, arrivals="poisson", rate_rps=RATE_RPS, urgent=True)
        lags.append(np.quantile(load.lag_s, [0.5, 0.99]) * 1e3)
    p50, p99 = np.transpose(lags).tolist()
    rows = [
        repeated(f"send lag p50, Poisson at {RATE_RPS:.0f} rps", p50, "ms", 0.06, {}),
        repeated(f"send lag p99, Poisson at {RATE_RPS:.0f} rps", p99, "ms", 0.15, {}),
    ]
    for rate in RATES_RPS:
        load = one_load(port, core, asked.open_s, folder, arrivals="constant", rate_rps=rate, urgent=True)
        off = abs(load.sent_within / (rate * asked.open_s) - 1)
        rows.append(measured(f"rate achieved at {rate:.0f} rps: share missing", off * 100, "%", WITHIN * 100, {}))
    return rows


def main() -> int:
    """Measure and print; returns the exit code."""
    began_s = time.monotonic()
    options = arguments(__doc__)
    asked = QUICK if options.quick else WHOLE
    core, servers_core = two_cores()
    versions = {peer.name: peer.told_version() for peer in PEERS}
    for name in (name for name, version in versions.items() if version == "missing"):
        print(f"{name} is missing: bench/install_peers gets it, or says why not", file=sys.stderr)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with nginx(folder, servers_core) as (port, version):
            measures = cost(port, core, asked, folder)
            measures += promptness(port, core, asked, folder)
            measures += memory.growth(port, core, asked.lasting_s, folder)
            measures += memory.shards(port, (core, servers_core), asked.open_s, folder)
        with streams(servers_core) as port:
            measures += memory.of_streams(port, core, asked.streams, folder)
    took_s = round(time.monotonic() - began_s)
    tell(measures, as_json=options.json, versions=versions | {"nginx": version}, took_s=took_s, **asked._asdict())
    return 0


if __name__ == "__main__":
    sys.exit(main())
