"""CPU per request of prony's generator and of wrk, in interleaved pairs against one server, into a table or JSON."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from paired import arguments, children_cpu_s, measured, pinned, tell, two_cores

from prony.load.spec import LoadResult, LoadSpec, RequestSpec

USERS = 50
RATE_RPS = 5000.0
CPU_TARGET_US = 5.0  # of a keep-alive request in a closed loop, on the machine of shared/facts.md
LAG_TARGET_MS = 0.15  # p99, Poisson arrivals at RATE_RPS

SERVER = """
import asyncio, sys
import uvloop

ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Length: 148\\r\\nContent-Type: text/plain\\r\\n\\r\\n" + b"x" * 148

class Null(asyncio.Protocol):
    def connection_made(self, transport):
        self.write = transport.write
    def data_received(self, data):
        self.write(ANSWER)

async def main():
    server = await asyncio.get_running_loop().create_server(Null, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

uvloop.run(main())
"""


def run_prony(port: int, core: int, duration_s: float, **arrivals: Any) -> tuple[LoadResult, float]:
    """One load; its result and the CPU seconds of the whole process, start-up included."""
    with tempfile.TemporaryDirectory() as folder:
        spec = LoadSpec(
            host="127.0.0.1",
            port=port,
            requests=(RequestSpec(),),
            duration_s=duration_s,
            segment=f"{folder}/segment",
            **arrivals,
        )
        path = Path(folder) / "spec.json"
        path.write_bytes(msgspec.json.encode(spec))
        before_s = children_cpu_s()
        command = pinned(core, sys.executable, "-m", "prony.load.worker", str(path))
        lines = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.splitlines()
        return msgspec.json.decode(lines[-1], type=LoadResult), children_cpu_s() - before_s


def run_wrk(wrk: str, port: int, core: int, duration_s: float) -> float:
    """CPU microseconds per request of wrk's whole process."""
    before_s = children_cpu_s()
    command = pinned(core, wrk, "-t1", f"-c{USERS}", f"-d{max(1, round(duration_s))}s", f"http://127.0.0.1:{port}/")
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+) requests in", said)
    return (children_cpu_s() - before_s) / int(found[1]) * 1e6 if found else float("nan")


def measure(port: int, core: int, *, wrk: str | None, pairs: int, duration_s: float) -> list[dict[str, Any]]:
    """Medians over the pairs, as DESIGN's measures."""
    whole_us, load_us, wrk_us, lag_ms = [], [], [], []
    for pair in range(pairs):
        print(f"pair {pair + 1} of {pairs}", file=sys.stderr)
        result, cpu_s = run_prony(port, core, duration_s, arrivals="closed", users=USERS)
        whole_us.append(cpu_s / result.done * 1e6)
        load_us.append(result.cpu_s / result.done * 1e6)
        if wrk:
            wrk_us.append(run_wrk(wrk, port, core, duration_s))
        result, _ = run_prony(port, core, duration_s, arrivals="poisson", rate_rps=RATE_RPS)
        lag_ms.append(result.lag_p99_s * 1e3)
    peers = {"wrk": statistics.median(wrk_us)} if wrk_us else {}
    rows = [
        ("CPU per keep-alive request, closed loop, during the load", load_us, "us", CPU_TARGET_US, peers),
        ("CPU per keep-alive request, closed loop, with start-up", whole_us, "us", None, peers),
        (f"send lag p99, Poisson at {RATE_RPS:.0f} rps", lag_ms, "ms", LAG_TARGET_MS, {}),
    ]
    return [
        measured(name, statistics.median(values), unit, target, others) for name, values, unit, target, others in rows
    ]


def main() -> int:
    """Measure and print; returns the exit code."""
    asked = arguments(__doc__)
    core, servers_core = two_cores()
    wrk = shutil.which("wrk")
    if wrk is None:
        print("wrk is not on PATH: no peer is measured (apt-get install wrk)", file=sys.stderr)
    pairs, duration_s = (2, 1.0) if asked.quick else (7, 4.0)
    command = pinned(servers_core, sys.executable, "-c", SERVER)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        port = int(server.stdout.readline() if server.stdout else 0)
        try:
            measures = measure(port, core, wrk=wrk, pairs=pairs, duration_s=duration_s)
        finally:
            server.communicate("", timeout=10)
    tell(measures, as_json=asked.json, pairs=pairs, duration_s=duration_s)
    return 0


if __name__ == "__main__":
    sys.exit(main())
