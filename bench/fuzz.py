"""100 000 hostile answers from a real server to the real engine: no crash, no hang, no growth over 64 MB.

Each kind of load has its part of them: plain status checks, checks of the body, streams, redirects that are followed,
retries, journeys with forms and cookies. After each part the engine must have accounted for every request, within its
time. A last, longer part is all of these but retries at once, in one engine: what grows slowly shows there.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import hostile
import msgspec
import numpy as np
from memory import watched
from paired import arguments, measured, pinned, tell, two_cores

from prony.load.spec import Expectation, JourneySpec, LoadSpec, RequestSpec, StreamSpec
from prony.samples import OUTCOMES, REQUEST, SAMPLE

ANSWERS, ANSWERS_QUICK = 100_000, 3_000
GROWTH_MB = 64.0
PART_S, PART_QUICK_S = 5.0, 3.0
PARTS_MAX = 200
WHOLE_S, WHOLE_QUICK_S = 60.0, 6.0
CHECKS = Expectation(contains="hello", matches="w.r", min_bytes=5)
KINDS: dict[str, dict[str, Any]] = {
    "status": {"requests": (RequestSpec(),)},
    "checks": {"requests": (RequestSpec(expect=CHECKS),)},
    "streams": {"requests": (RequestSpec(stream=StreamSpec(events=3, for_s=0.2)),)},
    "redirects": {"requests": (RequestSpec(redirects=True),)},
    "retries": {"requests": (RequestSpec(),), "retries": 2, "backoff_s": 0.01},
    "journeys": {},
}
WHOLE = "all of them"  # but retries, which do not go with journeys
KINDS_TOGETHER = ("status", "checks", "streams", "redirects")
JOURNEY = """
async def buy(visitor):
    await visitor.get("/")
    await visitor.submit("form#add", qty=2)
    await visitor.follow("a.product")
"""


def part(port: int, core: int, kind: str, folder: Path, *, seed: int, seconds: float) -> dict[str, Any]:
    """One load upon the server: how it went."""
    together = tuple(request for each in KINDS_TOGETHER for request in KINDS[each]["requests"])
    how = {"requests": together} if kind == WHOLE else KINDS[kind]
    if kind in {"journeys", WHOLE}:
        (folder / "journeys.py").write_text(JOURNEY, encoding="utf-8")
        journey = JourneySpec(name="buy", file=str(folder / "journeys.py"), function="buy")
        how = how | {"journeys": (journey,)}
    spec = LoadSpec(
        host="127.0.0.1",
        port=port,
        **how,
        arrivals="closed",
        users=64,
        duration_s=seconds,
        timeout_s=0.3,
        drain_s=1.0,
        body_bytes_max=1_000_000,
        seed=seed,
        segment=str(folder / "segment"),
    )
    began_s = time.monotonic()
    try:
        readings, result = watched(spec, core, folder, keep=True)
    except (IndexError, msgspec.MsgspecError, TimeoutError) as error:
        print(f"seed {seed}, {kind}: {error!r}", file=sys.stderr)
        hung = isinstance(error, TimeoutError)
        return {"crashes": not hung, "answers": 0, "hangs": hung, "growth_mb": 0.0, "outcomes": Counter()}
    samples = np.fromfile(spec.segment, dtype=SAMPLE)
    Path(spec.segment).unlink()
    requests = samples[samples["kind"] == REQUEST]
    took_s = time.monotonic() - began_s
    after_start = [kb for at_s, kb in readings if at_s > 1.5]
    return {
        "crashes": 0,
        "answers": int(np.count_nonzero(requests["first_byte_ns"])),
        "hangs": int(took_s > seconds + 8 or len(requests) != result.scheduled),
        "growth_mb": (max(after_start) - after_start[0]) / 1024 if after_start else 0.0,
        "outcomes": Counter(OUTCOMES[each] for each in requests["outcome"].tolist()),
    }


def main() -> int:
    """Measure and print; returns the exit code."""
    options = arguments(__doc__)
    wanted, part_s = (ANSWERS_QUICK, PART_QUICK_S) if options.quick else (ANSWERS, PART_S)
    whole_s = WHOLE_QUICK_S if options.quick else WHOLE_S
    core, servers_core = two_cores()
    total: dict[str, float] = {"crashes": 0, "hangs": 0, "answers": 0, "growth_mb": 0.0}
    whole_mb = math.nan
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        for number in range(PARTS_MAX):
            whole = total["answers"] >= wanted and number >= len(KINDS)
            kind = WHOLE if whole else list(KINDS)[number % len(KINDS)]
            seconds = whole_s if whole else part_s
            command = pinned(servers_core, sys.executable, hostile.__file__, str(number))
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
                port = int(server.stdout.readline() if server.stdout else 0)
                try:
                    found = part(port, core, kind, Path(name), seed=number, seconds=seconds)
                finally:
                    server.communicate("", timeout=30)
            for key in ("crashes", "hangs", "answers"):
                total[key] += found[key]
            if whole and not found["crashes"] and not found["hangs"]:
                whole_mb = found["growth_mb"]
            total["growth_mb"] = max(total["growth_mb"], found["growth_mb"])
            outcomes += found["outcomes"]
            print(f"part {number + 1}, {kind}: {found['answers']} answers", file=sys.stderr)
            if whole:
                break
    measures = [
        measured(f"crashes in {total['answers']:.0f} hostile answers", total["crashes"], "", 0.0, {}),
        measured("hangs, or requests not accounted for", total["hangs"], "", 0.0, {}),
        measured("growth of memory within a load", total["growth_mb"], "MB", GROWTH_MB, {}),
        measured(f"growth of memory in {whole_s:.0f} s of all kinds", whole_mb, "MB", GROWTH_MB, {}),
    ]
    tell(measures, as_json=options.json, answers=total["answers"], outcomes=dict(outcomes))
    return 0 if total["answers"] >= wanted and not math.isnan(whole_mb) else 1


if __name__ == "__main__":
    sys.exit(main())
