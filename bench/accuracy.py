"""What prony records against what a server of ours was planned to do: latencies, stalls, instants; table or JSON.

The server (holding.py) holds the i-th answer for t_i, drawn beforehand: lognormal, median 10 ms, sigma 0.5. In a second
load it also freezes for 2 s of 30. The truth needs no measurement: a request due at d while nothing is frozen takes t;
one due in a freeze that ends at E takes E - d + t; one whose answer would have come within the freeze takes E - d.
Beside it stand what a closed loop of 11 users saw of the same plan (service times; the same corrected as wrk2's
author does, by the expected interval), and what wrk printed. A closed loop cannot show the plan's truth: what it did
not send nobody waited for. Takes two minutes; --quick half of one, with shorter loads and freezes.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from paired import arguments, measured, pinned, samples_of, tell, two_cores
from peers import PEERS
from scipy import stats

from prony.samples import Samples
from prony.stats import quantile

Numbers = npt.NDArray[np.float64]

RATE_RPS = 1000.0
MEDIAN_S, SIGMA = 0.010, 0.5
USERS = 11  # of the closed loop: about RATE_RPS, by Little's law
SEED = 11
QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
OFF_PERCENT = 2.0
DISPERSION_PERCENT = 5.0
BIN_NS = 10_000_000
STAMPS_MS = 0.1
SUBSAMPLE, CRITICAL = 2000, 2.492  # gaps; Anderson-Darling's 5 % point where the distribution is wholly known
LUA = """
done = function(_, latency, _)
  for _, p in ipairs({50, 99, 99.9}) do io.write(string.format("at %g: %d\\n", p, latency:percentile(p))) end
end
"""


@contextlib.contextmanager
def server(core: int, holds_s: Numbers, freeze: tuple[float, float] | None = None) -> Iterator[tuple[int, list[int]]]:
    """A holding server: its port, and a list that has the instants of arrival once it has ended."""
    stamps: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "plan").write_bytes(holds_s.astype("<f8").tobytes())
        program = [sys.executable, str(Path(__file__).with_name("holding.py"))]
        command = pinned(core, *program, f"{folder}/plan", f"{folder}/stamps", *map(str, freeze or ()))
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield int(process.stdout.readline() if process.stdout else 0), stamps
            finally:
                process.communicate("", timeout=30)
        stamps += np.fromfile(f"{folder}/stamps", dtype="<i8").tolist()


def sent(port: int, core: int, duration_s: float, **load: Any) -> Samples:
    """The samples of one load, in the order in which they were due; every answer must have been right."""
    with tempfile.TemporaryDirectory() as folder:
        samples, _ = samples_of(port, core, duration_s, Path(folder), drain_s=10.0, **load)
    wrong = int((samples["outcome"] != 0).sum())
    if wrong:
        raise SystemExit(f"{wrong} of {len(samples)} answers were not right")
    return np.sort(samples, order="due_ns")


def plan(count: int) -> Numbers:
    """How long each answer is held, in seconds."""
    return np.asarray(np.random.default_rng(SEED).lognormal(np.log(MEDIAN_S), SIGMA, count))


def truth_s(due_s: Numbers, holds_s: Numbers, freeze: tuple[float, float] | None) -> Numbers:
    """Latencies as the plan has them, for due times in order, from the first one on."""
    latency_s = holds_s[: len(due_s)].copy()
    if freeze is not None:
        begin_s, end_s = freeze[0], sum(freeze)
        answered_s = due_s + latency_s
        held = (due_s < begin_s) & (answered_s >= begin_s) & (answered_s < end_s)
        latency_s[held] = (end_s - due_s)[held]
        within = (due_s >= begin_s) & (due_s < end_s)
        latency_s[within] += (end_s - due_s)[within]
    return latency_s


def corrected(service_s: Numbers, interval_s: float) -> Numbers:
    """Service times with those that a stall left out, as HdrHistogram's recordValueWithExpectedInterval adds them."""
    added = [np.arange(each - interval_s, interval_s, -interval_s) for each in service_s if each > 2 * interval_s]
    return np.concatenate([service_s, *added])


def figures(values: Numbers) -> dict[str, float]:
    """The quantiles that are compared, in seconds."""
    ordered = np.sort(values)
    return {name: quantile(ordered, q) for name, q in QUANTILES.items()}


def latencies(samples: Samples, since: str) -> Numbers:
    """Seconds from `due_ns` or `sent_ns` until done."""
    return np.asarray((samples["done_ns"] - samples[since]) / 1e9)


def wrk(program: str, port: int, core: int, duration_s: float) -> dict[str, float]:
    """What wrk prints of the same closed loop, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "done.lua").write_text(LUA, encoding="utf-8")
        how = ["-t1", f"-c{USERS}", f"-d{round(duration_s)}s", "--timeout=20s", f"-s{folder}/done.lua"]
        command = pinned(core, program, *how, f"http://127.0.0.1:{port}/")
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=duration_s + 30).stdout
    return {f"p{at}": int(us) / 1e6 for at, us in re.findall(r"^at (\S+): (\d+)$", said, re.MULTILINE)}


def latency_rows(
    cores: tuple[int, int], duration_s: float, freeze: tuple[float, float] | None, program: str | None
) -> list[dict[str, Any]]:
    """By how much each quantile misses the plan's, prony's and everybody's."""
    core, servers_core = cores
    what = f"freeze of {freeze[1]:g} s in {duration_s:g} s" if freeze else "no freeze"
    print(f"latencies, {what}", file=sys.stderr)
    holds_s = plan(round(duration_s * RATE_RPS * 2))
    with server(servers_core, holds_s, freeze) as (port, _):
        ordered = sent(port, core, duration_s, arrivals="constant", rate_rps=RATE_RPS)
    planned = figures(truth_s((ordered["due_ns"] - ordered["due_ns"][0]) / 1e9, holds_s, freeze))
    seen = {"prony": figures(latencies(ordered, "due_ns"))}
    print(f"a closed loop, {what}", file=sys.stderr)
    with server(servers_core, holds_s, freeze) as (port, _):
        service_s = latencies(sent(port, core, duration_s, arrivals="closed", users=USERS), "sent_ns")
    seen["closed loop"] = figures(service_s)
    seen["closed loop, corrected as wrk2"] = figures(corrected(service_s, duration_s * USERS / len(service_s)))
    if program is not None:
        print(f"wrk, {what}", file=sys.stderr)
        with server(servers_core, holds_s, freeze) as (port, _):
            seen["wrk"] = wrk(program, port, core, duration_s)
    rows = []
    for name, truth in planned.items():
        off = {who: abs(each[name] / truth - 1) * 100 for who, each in seen.items()}
        value = off.pop("prony")
        rows.append(measured(f"{what}: {name}, off the plan's {truth * 1e3:.1f} ms by", value, "%", OFF_PERCENT, off))
    return rows


def instant_rows(cores: tuple[int, int], duration_s: float) -> list[dict[str, Any]]:
    """Poisson arrivals: due as they ought to be, sent as they were due, arrived as they were sent."""
    core, servers_core = cores
    print("instants of due, sent, arrived", file=sys.stderr)
    with server(servers_core, np.full(1, 0.001)) as (port, stamps):
        samples = sent(port, core, duration_s, arrivals="poisson", rate_rps=RATE_RPS, seed=SEED)
    due_ns, sent_ns = samples["due_ns"], np.sort(samples["sent_ns"])
    if len(stamps) != len(sent_ns):
        raise SystemExit(f"{len(sent_ns)} requests were sent and {len(stamps)} arrived")
    gaps_s = np.diff(due_ns) / 1e9
    parts = gaps_s[: len(gaps_s) // SUBSAMPLE * SUBSAMPLE].reshape(-1, SUBSAMPLE)
    beyond = sum(anderson_darling(-np.expm1(-np.sort(np.maximum(each, 5e-10)) * RATE_RPS)) > CRITICAL for each in parts)
    edges = np.arange(due_ns[0], due_ns[-1], BIN_NS)
    spread = {}
    for name, instants in (("due", due_ns), ("sent", sent_ns)):
        counts = np.histogram(instants, edges)[0]
        spread[name] = float(counts.var() / counts.mean())
    apart_ns = np.sort(np.abs(np.array(stamps) - sent_ns))  # the k-th to arrive and the k-th sent
    apart_ms = [quantile(apart_ns, q) / 1e6 for q in (0.99, 0.5)]
    most = float(stats.binom.ppf(0.999, len(parts), 0.05))
    rate = f"Poisson at {RATE_RPS:.0f} rps"
    return [
        measured(f"{rate}: of {len(parts)} subsamples of due gaps, not exponential (5 % are)", beyond, "", most, {}),
        measured(
            f"{rate}: dispersion of sends in bins of 10 ms, off the schedule's by",
            abs(spread["sent"] / spread["due"] - 1) * 100,
            "%",
            DISPERSION_PERCENT,
            {},
        ),
        measured(f"{rate}: the server's stamps of arrival, off ours, p99", apart_ms[0], "ms", STAMPS_MS, {}),
        measured(f"{rate}: the same, median", apart_ms[1], "ms", None, {}),
    ]


def anderson_darling(cdf: Numbers) -> float:
    """A-squared of sorted values of a wholly known distribution function."""
    weights = 2 * np.arange(1, len(cdf) + 1) - 1
    return float(-len(cdf) - np.mean(weights * (np.log(cdf) + np.log1p(-cdf[::-1]))))


def main() -> int:
    """Measure and print; returns the exit code."""
    asked = arguments(__doc__)
    cores = two_cores()
    peer = next(each for each in PEERS if each.program == "wrk")
    program = peer.find()
    if program is None:
        print("wrk is missing: bench/install_peers gets it", file=sys.stderr)
    whole_s, freeze = (5.0, (2.0, 0.4)) if asked.quick else (30.0, (10.0, 2.0))
    measures = [
        *latency_rows(cores, whole_s / 2, None, program),
        *latency_rows(cores, whole_s, freeze, program),
        *instant_rows(cores, whole_s),
    ]
    tell(measures, as_json=asked.json, versions={"wrk": peer.told_version()}, duration_s=whole_s)
    return 0


if __name__ == "__main__":
    sys.exit(main())
