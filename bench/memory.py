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

from prony.load.segment import quantile_s
from prony.load.spec import LoadResult, LoadSpec, RequestSpec, StreamSpec
from prony.samples import SAMPLE
from prony.trial.generators import merged

GROWTH_TARGET_MB = 16.0
STREAM_TARGET_KB = 12.0
FEW = 10
SHARDS = 4
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
    """A load, and the generator's resident memory over it: (seconds, KB). Its samples go, unless to be kept."""
    segment = Path(spec.segment)
    readings: list[tuple[float, float]] = []
    with _worker(spec, core, folder / "watched.json") as process:
        began_s = time.monotonic()
        while process.poll() is None:
            time.sleep(0.1)
            try:
                readings.append((time.monotonic() - began_s, _resident_kb(process.pid)))
            except OSError:
                break
        out = process.stdout.read() if process.stdout else b""
    if not keep:
        segment.unlink(missing_ok=True)
    return readings, msgspec.json.decode(out.splitlines()[-1], type=LoadResult)


def growth(port: int, core: int, seconds: float, folder: Path) -> list[dict[str, Any]]:
    """By how much the generator's memory grows from the first tenth of a run at 5 000 rps to its end."""
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
    end_s = readings[-1][0]
    early = max(kb for at_s, kb in readings if at_s < 0.1 * end_s + 1.0)
    late = max(kb for at_s, kb in readings)
    text = f"memory growth in {seconds:.0f} s at {GROWTH_RPS:.0f} rps"
    return [measured(text, (late - early) / 1024, "MB", GROWTH_TARGET_MB, {})]


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


def shards(port: int, core: int, seconds: float, folder: Path) -> list[dict[str, Any]]:
    """By how many samples the quantiles of 4 shards, merged, differ from those of all their samples in one."""
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
            rate_rps=2000.0,
            duration_s=seconds,
            segment=str(own / str(shard)),
            shard=shard,
            shards=SHARDS,
            start_file=str(start),
        )
        processes.append(_worker(spec, core, own / f"{shard}.json"))
    while not all((own / f"{shard}.ready").exists() for shard in range(SHARDS)):
        time.sleep(0.01)
    named = own / "named"
    named.write_text(str(time.monotonic_ns() + 50_000_000), encoding="ascii")
    named.rename(start)
    results = [msgspec.json.decode(each.communicate()[0].splitlines()[-1], type=LoadResult) for each in processes]
    together = np.concatenate([np.fromfile(own / str(shard), dtype=SAMPLE) for shard in range(SHARDS)])
    lag_ns = np.sort(together["sent_ns"] - together["due_ns"])
    lags = merged(results).lags
    off = 0
    for q in (0.5, 0.9, 0.99):
        exact = lag_ns[int(np.ceil(q * len(lag_ns))) - 1] / 1e9
        told = quantile_s(lags, q)
        off = max(off, int(np.count_nonzero((lag_ns / 1e9 > exact) & (lag_ns / 1e9 < told - 2e-6))))
    unique = len(np.unique(together["arrival"]))
    if unique != len(together):
        raise SystemExit(f"{len(together) - unique} arrivals were sent by two shards")
    return [measured(f"{SHARDS} shards' merged quantiles: samples off", float(off), "samples", 1.0, {})]
