"""What runs out on the generator's side: descriptors and ports, provoked in processes of their own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from prony.load.spec import LoadSpec, RequestSpec
from prony.samples import OUTCOMES, from_bytes

pytestmark = pytest.mark.alone

# Listens and never answers; then runs the worker on the spec, whose port it fills in.
PROGRAM = """
import json, pathlib, resource, socket, subprocess, sys
folder, descriptors, lowest, highest = pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:])
if lowest:
    import fcntl, struct
    with socket.socket() as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 0x41))  # SIOCSIFFLAGS: lo up and running
    pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(f"{lowest} {highest}")
server = socket.socket()
server.bind(("127.0.0.1", 12345 if lowest else 0))
server.listen(1024)
spec = json.loads((folder / "spec.json").read_text())
spec["port"] = server.getsockname()[1]
(folder / "spec.json").write_text(json.dumps(spec))
if descriptors:
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
sys.exit(subprocess.call([sys.executable, "-m", "prony.load.worker", str(folder / "spec.json")]))
"""


def outcomes_where(folder: Path, *arguments: int, prefix: tuple[str, ...] = ()) -> Counter[str]:
    segment = folder / "segment"
    spec = LoadSpec(
        host="127.0.0.1",
        port=1,
        requests=(RequestSpec(),),
        arrivals="constant",
        rate_rps=500,
        duration_s=0.2,
        drain_s=0.1,
        segment=str(segment),
    )
    (folder / "spec.json").write_bytes(msgspec.json.encode(spec))
    command = [*prefix, sys.executable, "-c", PROGRAM, str(folder), *map(str, arguments)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert process.returncode == 0, process.stderr
    return Counter(OUTCOMES[index] for index in from_bytes(segment.read_bytes())["outcome"])


def test_requests_without_a_descriptor_left_say_so(tmp_path: Path) -> None:
    found = outcomes_where(tmp_path, 40, 0, 0)
    assert set(found) == {"unanswered", "descriptors_exhausted"}
    assert found.total() == 100
    assert found["unanswered"] < 40


def test_requests_without_a_port_left_say_so(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    prefix = (str(unshare), "--user", "--map-root-user", "--net")
    if unshare is None or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network namespace can be made here")
    found = outcomes_where(tmp_path, 0, 40000, 40009, prefix=prefix)
    assert found == {"unanswered": 10, "ports_exhausted": 90}
