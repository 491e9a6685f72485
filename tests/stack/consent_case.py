"""A network namespace with two hosts that are not loopback, and prony in it: nothing of it leaves this machine.

As a program: `consent_case.py CASE.json`, which prints what prony said and what the hosts were asked for, as JSON.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from prony.stack import mounts
from prony.stack.guard import enter_namespace

HOST, OTHER, PORT = "198.51.100.7", "198.51.100.8", 8000  # TEST-NET-2: addresses for examples
NO_NAMESPACE = 77
PRONY_S = 60
_SIOCSIFADDR = 0x8916
_PR_SET_PDEATHSIG = 1


@dataclass
class Case:
    """What the hosts answer, and what prony is asked to do.

    Attributes:
        argv: The command, without `prony`.
        answers: Status, header fields and body by path; other paths say hello.
        hosts: What /etc/hosts holds there.
        hosts_then: What it holds once the first request has come; empty: the same.
    """

    argv: list[str]
    answers: dict[str, tuple[int, dict[str, str], str]] = field(default_factory=dict)
    hosts: str = ""
    hosts_then: str = ""


@dataclass
class Told:
    """Prony's exit code and what it printed; how often each host was asked for each path."""

    code: int
    out: str
    err: str
    asked: dict[str, int]

    @property
    def document(self) -> Any:
        """What it printed as JSON."""
        return json.loads(self.out)


def run(case: Case, folder: Path) -> Told | None:
    """The case, in a namespace of its own; None where none can be made."""
    file = folder / "case.json"
    file.write_text(json.dumps(vars(case)))
    done = subprocess.run(
        [sys.executable, __file__, str(file)],
        cwd=folder,
        env=os.environ | {"http_proxy": "http://127.0.0.1:9/", "HTTP_PROXY": "http://127.0.0.1:9/"},
        capture_output=True,
        text=True,
        timeout=PRONY_S + 20,
        check=False,
    )
    if done.returncode == NO_NAMESPACE:
        return None
    assert done.returncode == 0, done.stderr
    return Told(**json.loads(done.stdout))


def main(file: Path) -> int:
    """The program."""
    case = Case(**json.loads(file.read_text()))
    why = enter_namespace()
    if why:
        sys.stderr.write(f"{why}\n")
        return NO_NAMESPACE
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:  # on lo, the whole /24 is this machine's
        address = struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(HOST))
        fcntl.ioctl(control, _SIOCSIFADDR, struct.pack("16s16s", b"lo:7", address))
    hosts = file.parent / "hosts"
    hosts.write_text(case.hosts)
    if case.hosts:
        mounts.name_hosts(str(hosts))
    asked: Counter[str] = Counter()
    for each in (HOST, OTHER):
        server = ThreadingHTTPServer((each, PORT), _handler(each, case, asked, hosts))
        threading.Thread(target=server.serve_forever, daemon=True).start()
    done = subprocess.run(
        [sys.executable, "-m", "prony", *case.argv],
        cwd=file.parent,
        capture_output=True,
        text=True,
        timeout=PRONY_S,
        check=False,
        preexec_fn=lambda: ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, 9),
    )
    print(json.dumps({"code": done.returncode, "out": done.stdout, "err": done.stderr, "asked": asked}))  # noqa: T201
    return 0


def _handler(address: str, case: Case, asked: Counter[str], hosts: Path) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one segment

        def do_GET(self) -> None:
            asked[f"{address}{self.path} as {self.headers['Host']}"] += 1
            if case.hosts_then:
                hosts.write_text(case.hosts_then)
            status, fields, body = case.answers.get(self.path, (200, {}, "hello\n"))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **fields}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body.encode())

        def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002 - its name there

    return Handler


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
