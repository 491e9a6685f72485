"""Other load generators: where each is or how to get it, how it loads one URL in a closed loop, and what it counted.

All are optional. They are looked for on PATH and in a folder of their own under the user's cache.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

INSTALL_S = 900  # the longest that getting one may take

K6 = """
import http from "k6/http";
import {{ check }} from "k6";
export const options = {{ vus: {users}, duration: "{seconds}s", discardResponseBodies: true }};
export default function () {{ check(http.get("{url}"), {{ right: (r) => r.status === 200 }}); }}
"""
LOCUST = """
from locust import FastHttpUser, task

class Visitor(FastHttpUser):
    @task
    def page(self):
        self.client.get("/")
"""


def folder() -> Path:
    """Where peers are kept that are not on PATH."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "prony" / "bench"


class Peer(NamedTuple):
    """One of them.

    Attributes:
        name: What tables call it.
        program: Its executable's name.
        source: How it is got: "apt PACKAGE", "go MODULE", "npm PACKAGE", "pip PACKAGE", "cargo PACKAGE".
        version: Arguments that make it tell its version.
        command: Program, URL, users, seconds, a folder of its own -> what loads the URL with so many users.
        count: Its output -> how many requests were answered.
        slow: Whether getting it takes minutes.
    """

    name: str
    program: str
    source: str
    version: tuple[str, ...]
    command: Callable[[str, str, int, int, Path], list[str]]
    count: Callable[[str], int]
    slow: bool = False

    def find(self) -> str | None:
        """Its executable; None where it is not here."""
        places = [folder() / "bin", folder() / "npm/node_modules/.bin", folder() / "locust/bin"]
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, places)])
        return shutil.which(self.program, path=path)

    def told_version(self) -> str:
        """What it says of its version; "missing" where it is not here."""
        found = self.find()
        if found is None:
            return "missing"
        module = self.source.startswith("go ") and shutil.which("go")  # what was built from a module says so in itself
        command = ["go", "version", "-m", found] if module else [found, *self.version]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        wanted = r"^\s+mod\s+\S+\s+v(\S+)" if module else r"v?(\d+\.\d+[\w.-]*)"
        numbers = re.search(wanted, done.stdout + done.stderr, re.MULTILINE)
        return numbers[1] if numbers else "here"


def matched(pattern: str) -> Callable[[str], int]:
    """Reads the sum of all numbers that a pattern finds."""
    return lambda text: sum(int(number) for number in re.findall(pattern, text))


def _vegeta(program: str, url: str, users: int, seconds: int, _: Path) -> list[str]:
    attack = f"{program} attack -rate=0 -workers={users} -max-workers={users} -duration={seconds}s"
    return ["sh", "-c", f"echo GET {url} | {attack} | {program} report -type=json"]


def _k6(program: str, url: str, users: int, seconds: int, own: Path) -> list[str]:
    script = own / "k6.js"
    script.write_text(K6.format(url=url, users=users, seconds=seconds), encoding="utf-8")
    return [program, "run", "--no-usage-report", str(script)]


def _locust(program: str, url: str, users: int, seconds: int, own: Path) -> list[str]:
    source = own / "locustfile.py"
    source.write_text(LOCUST, encoding="utf-8")
    load = ["--headless", "--only-summary", "-u", str(users), "-r", str(users), "-t", f"{seconds}s"]
    return [program, "-f", str(source), "--host", url.rstrip("/"), *load]


PEERS = (
    Peer(
        "wrk",
        "wrk",
        "apt wrk",
        ("-v",),
        lambda program, url, users, seconds, _: [program, "-t1", f"-c{users}", f"-d{seconds}s", url],
        matched(r"(\d+) requests in"),
    ),
    Peer(
        "h2load",
        "h2load",
        "apt nghttp2-client",
        ("--version",),
        lambda program, url, users, seconds, _: [program, "--h1", "-t1", f"-c{users}", f"-D{seconds}", url],
        matched(r"(\d+) succeeded"),
    ),
    Peer(
        "ab",
        "ab",
        "apt apache2-utils",
        ("-V",),
        lambda program, url, users, seconds, _: [
            program, "-q", "-k", "-c", str(users), "-t", str(seconds), "-n", "100000000", url,
        ],
        matched(r"Complete requests:\s+(\d+)"),
    ),
    Peer(
        "hey",
        "hey",
        "go github.com/rakyll/hey",
        (),
        lambda program, url, users, seconds, _: [program, "-z", f"{seconds}s", "-c", str(users), url],
        matched(r"\[\d+\]\s+(\d+) responses"),
    ),
    Peer(
        "vegeta",
        "vegeta",
        "go github.com/tsenart/vegeta/v12",
        ("-version",),
        _vegeta,
        lambda text: int(json.loads(text)["requests"]),
    ),
    Peer("k6", "k6", "go go.k6.io/k6", ("version",), _k6, matched(r"http_reqs\.*:\s+(\d+)"), slow=True),
    Peer(
        "autocannon",
        "autocannon",
        "npm autocannon",
        ("--version",),
        lambda program, url, users, seconds, _: [program, "-c", str(users), "-d", str(seconds), "-j", url],
        lambda text: int(json.loads(text)["2xx"]),
    ),
    Peer(
        "oha",
        "oha",
        "cargo oha",
        ("--version",),
        lambda program, url, users, seconds, _: [
            program, "-z", f"{seconds}s", "-c", str(users), "--no-tui", "--output-format", "json", url,
        ],
        lambda text: sum(json.loads(text)["statusCodeDistribution"].values()),
        slow=True,
    ),
    Peer(
        "Locust FastHttpUser",
        "locust",
        "pip locust",
        ("--version",),
        _locust,
        matched(r"Aggregated\s+(\d+)\s+\d+\("),
    ),
)  # fmt: skip


def install(peer: Peer) -> str:
    """Gets one from its registry, unless it is here; returns what is to be told of it."""
    if peer.find() is not None:
        return f"here, {peer.told_version()}"
    kind, _, what = peer.source.partition(" ")
    own = folder()
    own.mkdir(parents=True, exist_ok=True)
    try:
        WAYS[kind](what, own, peer.program)
    except (OSError, ImportError, RuntimeError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or b""
        last = said.decode(errors="replace").strip().splitlines()[-1:] or [str(error)]
        return f"missing, and could not be got from {kind}: {last[0][:200]}"
    return f"got, {peer.told_version()}" if peer.find() else f"missing: {kind} gave no {peer.program}"


def _run(command: list[str], **options: object) -> None:
    print(f"  {' '.join(command)}", file=sys.stderr)
    subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_S, **options)  # type: ignore[call-overload]


def _apt(package: str, own: Path, program: str) -> None:
    """Fetched and unpacked with its libraries; nothing is installed, and a line of shell starts it with them."""
    try:
        from prony.stack.binaries import debian  # noqa: PLC0415 - the others do without prony
    except ImportError as error:
        raise ImportError("for Debian's packages run this with .venv/bin/python") from error
    try:
        unpacked = debian.unpacked(package, program)
        path, env = debian.program(unpacked, program), debian.environment(unpacked)
    except debian.NotToBeHadError as error:
        raise RuntimeError(str(error)) from error
    line = " ".join(
        shlex.quote(part) for part in ("env", *(f"{name}={value}" for name, value in env.items()), str(path))
    )
    (own / "bin").mkdir(exist_ok=True)
    (own / "bin" / program).write_text(f'#!/bin/sh\nexec {line} "$@"\n', encoding="utf-8")
    (own / "bin" / program).chmod(0o755)


def _go(module: str, own: Path, _: str) -> None:
    _run(["go", "install", f"{module}@latest"], env=os.environ | {"GOBIN": str(own / "bin")})


def _npm(package: str, own: Path, _: str) -> None:
    _run(["npm", "install", "--no-fund", "--no-audit", "--prefix", str(own / "npm"), package])


def _cargo(package: str, own: Path, _: str) -> None:
    _run(["cargo", "install", "--quiet", "--locked", "--root", str(own), package])


def _pip(package: str, own: Path, _: str) -> None:
    venv.create(own / package, with_pip=True)
    _run([str(own / package / "bin/pip"), "install", "--quiet", package])


WAYS: dict[str, Callable[[str, Path, str], None]] = {"apt": _apt, "go": _go, "npm": _npm, "cargo": _cargo, "pip": _pip}
