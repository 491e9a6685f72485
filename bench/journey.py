"""CPU per request of a journey (a form, its CSRF token, a redirect) in prony and Locust's FastHttpUser, side by side.

Both run in turns against one small shop, which refuses a wrong token and counts what it saw: that count, not their own,
is what CPU time is divided by. CPU time is the operating system's account of the whole process tree, start included.
Locust is put into a virtual environment of its own under the user's cache folder; where it can neither be found nor
installed, that is said, and prony's figures stand alone.
"""

from __future__ import annotations

import http.client
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from paired import arguments, children_cpu_s, measured, pinned, tell, two_cores
from peers import PEERS, install

from prony.load.account import LoadResult
from prony.load.spec import JourneySpec, LoadSpec

USERS = 20
TARGET_SHARE = 0.25  # of Locust's CPU time per request
STEPS = 3  # the form's page, the form, and where that redirects to
SHOP = Path(__file__).parent.parent / "tests" / "stack" / "shop.py"

JOURNEY = """
async def buy(visitor):
    await visitor.get("/products/1/")
    await visitor.submit("form#add", qty=2)
    visitor.see("goodbye: 2")
"""

LOCUSTFILE = """
import re
from locust import FastHttpUser, task

TOKEN = re.compile("name=token value=([^>]+)>")

class Buyer(FastHttpUser):
    @task
    def buy(self):
        self.client.cookiejar.clear()
        page = self.client.get("/products/1/")
        fields = {"token": TOKEN.search(page.text)[1], "what": "1", "qty": "2", "size": "l"}
        referer = {"Referer": self.host + "/products/1/"}
        with self.client.post("/cart/", fields, headers=referer, catch_response=True) as answer:
            if "goodbye: 2" not in answer.text:
                answer.failure("not bought")
"""


def locust() -> Path | None:
    """Locust's program, got where it is not there yet; None, and why on stderr, where it cannot be had."""
    peer = next(each for each in PEERS if each.program == "locust")
    if peer.find() is None:
        print(f"Locust is {install(peer)}", file=sys.stderr)
    found = peer.find()
    return Path(found) if found else None


def seen(port: int) -> dict[str, int]:
    """What the shop has seen so far."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/stats")
    counts: dict[str, int] = json.loads(connection.getresponse().read())
    connection.close()
    return counts


def requests_of(before: dict[str, int], after: dict[str, int]) -> int:
    """The journeys' requests between two looks; each journey must have come to its end."""
    names = ("GET /products/1/", "POST /cart/", "GET /cart/")
    counts = [after.get(name, 0) - before.get(name, 0) for name in names]
    sold = after.get("sold 1 2 l", 0) - before.get("sold 1 2 l", 0)
    if sold < 0.95 * counts[0] or not sold:
        raise SystemExit(f"not every journey came to its end: {counts} requests, {sold} sold")
    return sum(counts)


def run_prony(port: int, core: int, duration_s: float, folder: Path) -> tuple[float, float]:
    """CPU microseconds per request: of the whole process, and of the load alone."""
    source = folder / "journeys.py"
    source.write_text(JOURNEY, encoding="utf-8")
    spec = LoadSpec(
        host="127.0.0.1",
        port=port,
        journeys=(JourneySpec(name="journeys.py:buy", file=str(source), function="buy"),),
        arrivals="closed",
        users=USERS,
        duration_s=duration_s,
        segment=str(folder / "segment"),
    )
    path = folder / "spec.json"
    path.write_bytes(msgspec.json.encode(spec))
    before, before_s = seen(port), children_cpu_s()
    command = pinned(core, sys.executable, "-m", "prony.load.worker", str(path))
    lines = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.splitlines()
    cpu_s = children_cpu_s() - before_s
    result = msgspec.json.decode(lines[-1], type=LoadResult)
    if result.failed_checks:
        raise SystemExit(f"journeys failed: {result.failed_checks}")
    return cpu_s / requests_of(before, seen(port)) * 1e6, result.cpu_s / result.done * 1e6


def run_locust(program: Path, port: int, core: int, duration_s: float, folder: Path) -> float:
    """CPU microseconds per request of the whole process."""
    source = folder / "locustfile.py"
    source.write_text(LOCUSTFILE, encoding="utf-8")
    load = ("--headless", "--only-summary", "-u", str(USERS), "-r", str(USERS), "-t", f"{max(1, round(duration_s))}s")
    command = pinned(core, str(program), "-f", str(source), "--host", f"http://127.0.0.1:{port}", *load)
    before, before_s = seen(port), children_cpu_s()
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"Locust failed: {ended.stderr[-2000:]}")
    cpu_s = children_cpu_s() - before_s
    return cpu_s / requests_of(before, seen(port)) * 1e6


def measure(port: int, core: int, *, program: Path | None, pairs: int, duration_s: float) -> list[dict[str, Any]]:
    """Medians over the pairs, as DESIGN's measures."""
    whole_us, load_us, peer_us = [], [], []
    with tempfile.TemporaryDirectory() as name:
        for pair in range(pairs):
            print(f"pair {pair + 1} of {pairs}", file=sys.stderr)
            whole, load = run_prony(port, core, duration_s, Path(name))
            whole_us.append(whole)
            load_us.append(load)
            if program is not None:
                peer_us.append(run_locust(program, port, core, duration_s, Path(name)))
    peers = {"Locust FastHttpUser": statistics.median(peer_us)} if peer_us else {}
    rows: list[tuple[str, float, str, float | None, dict[str, float]]] = [
        (f"CPU per request, journey of {STEPS} steps, with start-up", statistics.median(whole_us), "us", None, peers),
        (f"CPU per request, journey of {STEPS} steps, during the load", statistics.median(load_us), "us", None, {}),
    ]
    if peer_us:
        share = statistics.median(ours / theirs for ours, theirs in zip(whole_us, peer_us, strict=True))
        rows.append(("share of Locust's CPU per request, with start-up", share, "", TARGET_SHARE, {}))
    return [measured(*row) for row in rows]


def main() -> int:
    """Measure and print; returns the exit code."""
    asked = arguments(__doc__)
    core, servers_core = two_cores()
    program = locust()
    pairs, duration_s = (2, 5.0) if asked.quick else (3, 30.0)
    command = pinned(servers_core, sys.executable, str(SHOP))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        port = int(server.stdout.readline() if server.stdout else 0)
        try:
            measures = measure(port, core, program=program, pairs=pairs, duration_s=duration_s)
        finally:
            server.communicate("", timeout=10)
    version = "missing"
    if program is not None:
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    if program is None and not asked.json:
        print("Locust is missing: nothing to compare with")
    tell(measures, as_json=asked.json, locust=version, pairs=pairs, duration_s=duration_s)
    return 0


if __name__ == "__main__":
    sys.exit(main())
