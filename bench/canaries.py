"""Which small piece of work goes with what an app costs just then: seconds in, a row for each piece out.

One start of the page app under gunicorn sync is kept busy for windows of 600 requests; before and after each, every
piece of work is timed on the app's core. A piece that a busy host slows as much as the app may be its canary. --quick
takes one minute in place of four; nothing else may run meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import statistics
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gauge
import numpy as np
from paired import arguments, reported, tell

from prony_gauge.install import lay_out

SOURCE = Path(textwrap.__file__).read_text(encoding="utf-8")
OBJECTS: list[dict[str, Any]] = [{"number": i, "name": str(i), "values": [i] * 5} for i in range(3000)]
PLACES = np.random.default_rng(1).permutation(1 << 20).astype(np.int32)  # 4 MB
REQUESTS = 600
TIMES = 5


def hashing() -> None:
    """Computing alone."""
    digest = hashlib.sha256()
    for _ in range(40):
        digest.update(bytes(65_536))


def compiling() -> None:
    """The interpreter's own compiler."""
    compile(SOURCE, "source", "exec")


def gathering() -> None:
    """Reads in random order."""
    found = PLACES
    for _ in range(2):
        found = PLACES[found]


def walking() -> None:
    """Python's objects in random order."""
    for each in random.sample(OBJECTS, len(OBJECTS)):
        len(each["name"]), len(each["values"])


def encoding() -> None:
    """JSON, there and back."""
    json.loads(json.dumps(OBJECTS))


def calling() -> None:
    """Calls into the kernel."""
    reads, writes = os.pipe()
    for _ in range(1500):
        os.write(writes, b"x")
        os.read(reads, 1)
    os.close(reads)
    os.close(writes)


PIECES = (hashing, compiling, gathering, walking, encoding, calling)


def timed_s(work: Callable[[], None]) -> float:
    """The median of a few."""
    times_s = []
    for _ in range(TIMES):
        began_s = time.perf_counter()
        work()
        times_s.append(time.perf_counter() - began_s)
    return statistics.median(times_s)


def windows(served: gauge.Served, duration_s: float) -> list[dict[str, float]]:
    """For each window what a page took, and each piece of work around it, in seconds."""
    found = []
    ends_s = time.monotonic() + duration_s
    while time.monotonic() < ends_s:
        os.sched_setaffinity(0, gauge.CORES[-1:])
        before = {work.__name__: timed_s(work) for work in PIECES}
        os.sched_setaffinity(0, gauge.CORES[:1])
        page_s = served.load(REQUESTS)
        os.sched_setaffinity(0, gauge.CORES[-1:])
        found.append({work.__name__: (before[work.__name__] + timed_s(work)) / 2 for work in PIECES} | {"page": page_s})
    return found


def main() -> None:
    """Measures and prints."""
    chosen = arguments(__doc__)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "served"
        python = gauge.interpreter("servers", gauge.NEEDED)
        with gauge.database(folder) as url:
            (folder / "benched.py").write_text(gauge.SERVED, encoding="utf-8")
            (folder / "bench_settings.py").write_text(gauge.SERVED_SETTINGS, encoding="utf-8")
            lay_out(str(folder / "run"))
            served = gauge.Served(python, folder, "gunicorn sync", "without", url)
            try:
                served.load(REQUESTS)
                found = windows(served, 60 if chosen.quick else 260)
            finally:
                served.stop()
    logs = {name: np.log([each[name] for each in found]) for name in found[0]}
    page = logs.pop("page")
    rows = [reported("a page: standard deviation over windows", float(page.std()), "share")]
    for name, values in logs.items():
        with_page = {"correlation with the page's": float(np.corrcoef(values, page)[0, 1])}
        rows.append(reported(f"{name}: standard deviation over windows", float(values.std()), "share", with_page))
    tell(rows, as_json=chosen.json, windows=len(found))


if __name__ == "__main__":
    main()
