"""Prony's latencies beside the truth: a server that keeps to a planted plan of latencies, with a stall of 2 s in it.

The truth is computed from the plan alone: when each request is due, how long the server holds it, when it stalls.
Beside it: wrk's own figures of the same server, and those of a closed loop corrected afterwards, as wrk2 and
HdrHistogram do. The server's stamps of when requests came are compared with our own of when they were sent.
"""

from __future__ import annotations

import contextlib
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import planted
from paired import arguments, measured, pinned, samples_of, tell, two_cores
from peers import PEERS

QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
WITHIN = 0.02
DISPERSION_WITHIN = 0.05
ARRIVAL_MS = 0.1
SEED = 11
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


class Asked(NamedTuple):
    """How much is measured: the rate, how long, and where in it the server stalls for how long."""

    rate_rps: float
    seconds: float
    stall_at_s: float
    stall_s: float


WHOLE = Asked(1000.0, 30.0, 10.0, 2.0)
QUICK = Asked(1000.0, 12.0, 4.0, 0.8)


@contextlib.contextmanager
def server(core: int, asked: Asked, stamps: Path) -> Iterator[int]:
    """The port of a planted server on that core; its stamps are there afterwards."""
    plan = (str(SEED), str(asked.stall_at_s), str(asked.stall_s), str(stamps))
    command = pinned(core, sys.executable, planted.__file__, *plan)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline() if process.stdout else 0)
        finally:
            process.communicate("", timeout=60)


def quantiles(latency_s: Any) -> dict[str, float]:
    """Those that are looked at: samples themselves, nothing in between."""
    ordered = np.sort(latency_s)
    return {name: float(ordered[int(np.ceil(q * len(ordered))) - 1]) for name, q in QUANTILES.items()}


def corrected(latency_s: Any, interval_s: float) -> Any:
    """A closed loop's latencies with what each kept from being sent added: latency - k x interval, k = 1, 2, ..."""
    more = [latency - np.arange(1, int(latency / interval_s) + 1) * interval_s for latency in latency_s]
    return np.concatenate([latency_s, *more])


def truth(core: int, servers_core: int, asked: Asked, arrivals: str, folder: Path) -> list[dict[str, Any]]:
    """An open loop's latencies beside the plan's, and the server's stamps beside ours."""
    stamps = folder / "stamps"
    with server(servers_core, asked, stamps) as port:
        load: dict[str, Any] = {"arrivals": arrivals, "rate_rps": asked.rate_rps, "drain_s": 10.0}
        samples, window = samples_of(port, core, asked.seconds, folder, **load)
    samples = np.sort(samples, order="due_ns")
    planned = planted.answered_ns(samples["due_ns"], SEED, asked.stall_at_s, asked.stall_s)
    wanted = quantiles((planned - samples["due_ns"]) / 1e9)
    got = quantiles((samples["done_ns"] - samples["due_ns"]) / 1e9)
    rows = []
    for name, value in wanted.items():
        off = abs(got[name] / value - 1) * 100
        text = f"{arrivals}: {name} off the plan's {value * 1e3:.1f} ms"
        rows.append(measured(text, off, "%", WITHIN * 100, {"prony, ms": got[name] * 1e3}))
    edges = np.arange(window[0], window[1], 10_000_000)
    spread = {name: np.histogram(samples[f"{name}_ns"], edges)[0] for name in ("due", "sent")}
    due, sent = (float(each.var() / each.mean()) for each in spread.values())
    off = abs(sent - due) / max(due, 1.0) * 100
    rows.append(measured(f"{arrivals}: dispersion of sends in 10 ms, off", off, "%", DISPERSION_WITHIN * 100, {}))
    rows.append(_stamped(arrivals, samples, np.fromfile(stamps, dtype=np.int64), asked))
    return rows


def _stamped(arrivals: str, samples: Any, stamps: Any, asked: Asked) -> dict[str, Any]:
    """The server's stamps against ours, leaving out what came while it stalled, or just after."""
    sent = np.sort(samples["sent_ns"])
    stall_ns = sent[0] + round(asked.stall_at_s * 1e9)
    apart = (sent < stall_ns - 50_000_000) | (sent > stall_ns + round(asked.stall_s * 1e9) + 200_000_000)
    late_ms = (np.sort(stamps)[: len(sent)] - sent)[apart] / 1e6
    text = f"{arrivals}: server's stamp after ours, p99"
    return measured(text, float(np.quantile(late_ms, 0.99)), "ms", ARRIVAL_MS, {"p50": float(np.median(late_ms))})


def peers(core: int, servers_core: int, asked: Asked, folder: Path) -> list[dict[str, Any]]:
    """What a closed loop says of the same plan: wrk's own figures, ours, and ours corrected."""
    users = max(1, round(asked.rate_rps * planted.MEDIAN_S * 1.2))
    rows = []
    with server(servers_core, asked, folder / "closed") as port:
        samples, _ = samples_of(port, core, asked.seconds, folder, arrivals="closed", users=users)
    latency_s = (samples["done_ns"] - samples["sent_ns"]) / 1e9
    interval_s = users / (len(samples) / asked.seconds)
    found = {"closed loop": quantiles(latency_s), "the same, corrected": quantiles(corrected(latency_s, interval_s))}
    wrk = PEERS[0].find()
    if wrk is None:
        print("wrk is missing: bench/install_peers gets it", file=sys.stderr)
    else:
        with server(servers_core, asked, folder / "wrk") as port:
            command = pinned(core, wrk, "-t1", f"-c{users}", f"-d{asked.seconds:.0f}s", "--latency")
            url = f"http://127.0.0.1:{port}/"
            said = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
        told = re.findall(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)", said, re.MULTILINE)
        found["wrk"] = {f"p{q}": float(number) * UNITS[unit] for q, number, unit in told}
    for name in QUANTILES:
        values = {who: figures[name] * 1e3 for who, figures in found.items() if name in figures}
        rows.append(
            measured(
                f"{users} users of a closed loop say {name}", statistics.median(values.values()), "ms", None, values
            )
        )
    return rows


def main() -> int:
    """Measure and print; returns the exit code."""
    options = arguments(__doc__)
    asked = QUICK if options.quick else WHOLE
    core, servers_core = two_cores()
    with tempfile.TemporaryDirectory() as name:
        measures = truth(core, servers_core, asked, "constant", Path(name))
        measures += truth(core, servers_core, asked, "poisson", Path(name))
        measures += peers(core, servers_core, asked, Path(name))
    tell(measures, as_json=options.json, **asked._asdict())
    return 0


if __name__ == "__main__":
    sys.exit(main())
