"""How much memory prony's generator takes, for each open stream and over a long run; and whether its shards agree."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from paired import measured, pinned

from prony.load.account import LoadResult
from prony.load.segment import LagCounts, quantile_s
from prony.load.spec import LoadSpec, RequestSpec, StreamSpec
from prony.samples import SAMPLE
from prony.traffic import arrivals
from prony.trial.generators import merged

GROWTH_TARGET_MB = 16.0
STREAM_TARGET_KB = 12.0
FEW = 10
WARM_S = 3.0  # from a process's start until its memory is looked at first
LATE_S = 30.0
SHARDS, SHARDS_RPS, SEED = 4, 2000.0, 7
QUANTILES = (0.5, 0.9, 0.99, 0.999)
GROWTH_RPS = 5000.0


def _worker(spec: LoadSpec, core: int, path: Path) -> subprocess.Popen[bytes]:
    path.write_bytes(msgspec.json.encode(spec))
    command = pinned(core, sys.executable, "-m", "prony.load.worker", str(path))
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def _resident_kb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return float(line.split()[1])
    return 0.0


def watched(
    spec: LoadSpec, core: int, folder: Path, *, keep: bool = False
) -> tuple[list[tuple[float, float]], LoadResult]:
    """A load, and the generator's resident memory over it: (seconds, KB). Its samples go, unless to be kept.

    Raises:
        TimeoutError: It had not ended `LATE_S` after its time, and was killed.
    """
    segment = Path(spec.segment)
    readings: list[tuple[float, float]] = []
    limit_s = spec.duration_s + spec.drain_s + LATE_S
    with _worker(spec, core, folder / "watched.json") as process:
        began_s = time.monotonic()
        while process.poll() is None:
            time.sleep(0.1)
            if time.monotonic() - began_s > limit_s:
                process.kill()
                raise TimeoutError(f"the generator has not ended within {limit_s:.0f} s")
            try:
                readings.append((time.monotonic() - began_s, _resident_kb(process.pid)))
            except OSError:
                break
        out = process.stdout.read() if process.stdout else b""
    if not keep:
        segment.unlink(missing_ok=True)
    return readings, msgspec.json.decode(out.splitlines()[-1], type=LoadResult)


def growth(port: int, core: int, seconds: float, folder: Path) -> list[dict[str, Any]]:
    """By how much the generator's memory grows from the first seconds of a run at 5 000 rps to its most."""
    spec = LoadSpec(
        host="127.0.0.1",
        port=port,
        requests=(RequestSpec(),),
        arrivals="poisson",
        rate_rps=GROWTH_RPS,
        duration_s=seconds,
        segment=str(folder / "growth"),
    )
    readings, _ = watched(spec, core, folder)
    warm = [kb for at_s, kb in readings if at_s >= WARM_S]
    text = f"memory growth in {seconds:.0f} s at {GROWTH_RPS:.0f} rps"
    return [measured(text, (max(warm) - warm[0]) / 1024, "MB", GROWTH_TARGET_MB, {})]


def of_streams(port: int, core: int, count: int, folder: Path) -> list[dict[str, Any]]:
    """Memory of the generator for each stream it holds open: with `count` of them against a few, over those more."""
    most = []
    for clients in (FEW, count):
        spec = LoadSpec(
            host="127.0.0.1",
            port=port,
            requests=(RequestSpec(stream=StreamSpec(), headers={"Accept": "text/event-stream"}),),
            arrivals="closed",
            users=clients,
            duration_s=4.0,
            drain_s=1.0,
            connections=clients,
            segment=str(folder / f"streams-{clients}"),
        )
        readings, result = watched(spec, core, folder)
        if result.connections_opened != clients:
            raise SystemExit(f"{result.connections_opened} streams were opened, not {clients}")
        most.append(max(kb for _, kb in readings))
    each_kb = (most[1] - most[0]) / (count - FEW)
    return [measured(f"memory of each of {count} open SSE clients", each_kb, "KB", STREAM_TARGET_KB, {})]


def shards(port: int, cores: tuple[int, int], seconds: float, folder: Path) -> list[dict[str, Any]]:
    """By how many samples 4 shards on two cores, merged, differ from a single recorder.

    Of lags' quantiles, merged from the shards' counts: how many samples lie between one and what one count of all
    samples says. Of due times: how many are not, or not only once, those of the one schedule.
    """
    own = folder / "shards"
    own.mkdir()
    start = own / "start"
    processes = []
    for shard in range(SHARDS):
        spec = LoadSpec(
            host="127.0.0.1",
            port=port,
            requests=(RequestSpec(),),
            arrivals="poisson",
            rate_rps=SHARDS_RPS,
            seed=SEED,
            duration_s=seconds,
            segment=str(own / str(shard)),
            shard=shard,
            shards=SHARDS,
            start_file=str(start),
        )
        processes.append(_worker(spec, cores[shard % 2], own / f"{shard}.json"))
    while not all((own / f"{shard}.ready").exists() for shard in range(SHARDS)):
        time.sleep(0.01)
        if any(process.poll() is not None for process in processes):
            raise SystemExit("a shard ended before it was ready")
    named = own / "named"
    named.write_text(str(time.monotonic_ns() + 50_000_000), encoding="ascii")
    named.rename(start)
    results = [msgspec.json.decode(each.communicate()[0].splitlines()[-1], type=LoadResult) for each in processes]
    together = np.concatenate([np.fromfile(own / str(shard), dtype=SAMPLE) for shard in range(SHARDS)])
    lag_ns = together["sent_ns"] - together["due_ns"]
    single, several = LagCounts(), merged(results, len(cores)).lags
    for each in lag_ns.tolist():
        single.add(each)
    off = 0
    for q in QUANTILES:
        low_s, high_s = sorted((quantile_s(several, q), single.quantile_s(q)))
        off = max(off, int(np.count_nonzero((lag_ns > low_s * 1e9) & (lag_ns <= high_s * 1e9))))
    due_ns = np.sort(together["due_ns"]) - min(result.started_ns for result in results)
    planned_ns = arrivals.poisson(SHARDS_RPS, seconds, SEED)
    off = max(off, len(np.setxor1d(due_ns, planned_ns)) + abs(len(due_ns) - len(planned_ns)))
    return [measured(f"{SHARDS} shards' merged quantiles: samples off", float(off), "", 1.0, {})]
