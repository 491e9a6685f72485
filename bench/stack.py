"""A stack from up to down, timed, and its app tier beside a bare gunicorn: into a table or JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from prony.plan import Plan, read_document
from prony.stack.stack import Stack

WORKERS = 3
DATABASE_MB = 100
APP = """
import os
import psycopg

if "BOOTED" in os.environ:
    open(os.path.join(os.environ["BOOTED"], str(os.getpid())), "w").close()

def application(environ, start_response):
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        found = connection.execute("SELECT count(*) FROM filling").fetchone()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(found).encode()]
"""
# Rows of about 1 kB that do not compress, until the table has the size asked for.
FILL = """
import os, sys
import psycopg
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    connection.execute("CREATE TABLE filling (id serial PRIMARY KEY, text text)")
    connection.execute("ALTER TABLE filling ALTER COLUMN text SET STORAGE EXTERNAL")
    rows = int(sys.argv[1]) * 950
    connection.execute("INSERT INTO filling (text) SELECT repeat('x', 1000) FROM generate_series(1, %s)", [rows])
"""


def a_plan(folder: Path, megabytes: int) -> Plan:
    """Postgres with that much in it, Valkey, nginx, and gunicorn with three workers."""
    (folder / "shop.py").write_text(APP, encoding="utf-8")
    (folder / "fill.py").write_text(FILL, encoding="utf-8")
    document = {
        "app": {"entry": "shop:application", "python": sys.executable, "prepare": [f"python fill.py {megabytes}"]},
        "stores": {"database": {"kind": "postgres"}, "cache": {"kind": "valkey"}},
        "server": {"kind": "gunicorn", "workers": WORKERS},
        "proxy": {"kind": "nginx"},
    }
    return read_document(document, "bench", folder)


def bare_boot_s(folder: Path, cores: tuple[int, ...]) -> float:
    """Seconds from starting gunicorn by itself until every worker has loaded the same app and one has answered."""
    booted = Path(tempfile.mkdtemp(dir=folder))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{port}", f"--workers={WORKERS}"]
    command += ["--no-control-socket", "shop:application"]
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", "BOOTED": str(booted)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),  # noqa: PLW1509 - one thread
    )
    try:
        while True:
            if len(list(booted.iterdir())) < WORKERS:
                time.sleep(0.005)
                continue
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                    connection.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
                    if connection.recv(1):
                        return time.monotonic() - began
            except OSError:
                time.sleep(0.005)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def one_life(plan: Plan, folder: Path, restarts: int) -> dict[str, list[float]]:
    """One stack from nothing to nothing: seconds by what was timed."""
    found: dict[str, list[float]] = {"up": [], "app": [], "bare": [], "restore": [], "down": []}
    stack = Stack(folder / "logs")
    try:
        stack.boot(plan)
        # Up again, everything in place: what a second `prony up` of the day costs, without the filling.
        for _ in range(restarts):
            found["bare"].append(bare_boot_s(folder, stack.cores.stack))
            began = time.monotonic()
            stack.stop_app(gently=False)
            handed = stack.stores.environment(plan)
            gauges = stack.run_folder / f"bench-{len(found['app'])}"
            gauges.mkdir()
            stack.app.start(plan, 100 + len(found["app"]), gauges, handed)
            found["app"].append(time.monotonic() - began)
            stack.app.stop(gently=False)
            began = time.monotonic()
            stack.stores.start(plan, lambda _: None)
            found["restore"].append(time.monotonic() - began)
        stack.boot(plan)
    finally:
        began = time.monotonic()
        stack.close()
        found["down"].append(time.monotonic() - began)
    return found


def up_s(plan: Plan, folder: Path) -> float:
    """Seconds from no process at all until the stack's entrance answers."""
    began = time.monotonic()
    with Stack(folder / "logs") as stack:
        stack.boot(plan)
        return time.monotonic() - began


def measure(lives: int, restarts: int, megabytes: int) -> list[dict[str, Any]]:
    """Medians, as DESIGN's measures."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        small, large = folder / "small", folder / "large"
        small.mkdir()
        large.mkdir()
        up_s(a_plan(small, 1), small)  # the first fills caches
        for life in range(lives):
            print(f"life {life + 1} of {lives}", file=sys.stderr)
            found.setdefault("up", []).append(up_s(a_plan(small, 1), small))
            for key, values in one_life(a_plan(large, megabytes), large, restarts).items():
                found.setdefault(key, []).extend(values)
    extra = [app - bare for app, bare in zip(found["app"], found["bare"], strict=True)]
    rows = [
        ("stack up, warm: Postgres, Valkey, nginx, gunicorn with 3 workers", found["up"], 2.5, {}),
        ("restart of the app tier", found["app"], None, {"gunicorn alone": statistics.median(found["bare"])}),
        ("restart of the app tier, over gunicorn alone (pairs)", extra, 0.2, {}),
        (f"prepared stores back, of them a database of {megabytes} MB", found["restore"], 1.0, {}),
        ("teardown", found["down"], 1.0, {}),
    ]
    measures = []
    for name, values, target, peers in rows:
        value = statistics.median(values)
        meets = None if target is None else value <= target
        measures.append({"name": name, "value": value, "unit": "s", "target": target, "meets": meets, "peers": peers})
    return measures


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--quick", action="store_true", help="the same, fewer times")
    arguments = parser.parse_args()
    measures = measure(2 if arguments.quick else 5, 2 if arguments.quick else 3, DATABASE_MB)
    machine = {"cpus": os.cpu_count(), "system": f"{platform.system()} {platform.release()}"}
    if arguments.json:
        print(json.dumps({"machine": machine, "measures": measures}, indent=2))
        return 0
    for each in measures:
        target = (
            "" if each["target"] is None else f"  (target ≤ {each['target']:g}: {'met' if each['meets'] else 'MISSED'})"
        )
        peers = "".join(f"  beside {name}: {value:.3f}" for name, value in each["peers"].items())
        print(f"{each['name']:68} {each['value']:7.3f} {each['unit']}{target}{peers}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
