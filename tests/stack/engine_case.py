"""A planted server and a load upon it, for the tests of the load engine."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prony.load.account import LoadResult
from prony.load.engine import Engine
from prony.load.spec import Expectation, LoadSpec, RequestSpec
from prony.samples import OUTCOMES, REQUEST, Samples, from_bytes

HERE = Path(__file__).parent


@contextlib.contextmanager
def planted(*arguments: str) -> Iterator[int]:
    """The port of a planted server in a process of its own."""
    command = [sys.executable, str(HERE / "planted.py"), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        yield int(server.stdout.readline())
        server.communicate("", timeout=10)


def spec_of(port: int, folder: Path, *requests: RequestSpec, **fields: Any) -> LoadSpec:
    given: dict[str, Any] = {"arrivals": "constant", "rate_rps": 200.0, "duration_s": 0.2, "drain_s": 2.0} | fields
    if given["arrivals"] == "closed":
        given["rate_rps"] = None
    return LoadSpec(host="127.0.0.1", port=port, requests=requests, segment=str(folder / "segment"), **given)


def load(
    port: int, folder: Path, *requests: RequestSpec, kind: type[Engine] = Engine, **fields: Any
) -> tuple[LoadResult, Samples]:
    spec = spec_of(port, folder, *requests, **fields)
    result = kind(spec).run()
    samples = from_bytes(Path(spec.segment).read_bytes())
    requests_only = samples[samples["kind"] == REQUEST]
    assert len(requests_only) == result.scheduled, "every request that was due leaves one sample"
    assert (samples["done_ns"] >= samples["due_ns"]).all()
    return result, samples


def get(path: str, *status: int, contains: str | None = None, method: str = "GET") -> RequestSpec:
    return RequestSpec(method=method, path=path, expect=Expectation(status or (200,), contains))


def outcomes(samples: Samples) -> Counter[str]:
    return Counter(OUTCOMES[index] for index in samples["outcome"])


def server_counts(port: int) -> dict[str, int]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/stats")
    counts: dict[str, int] = json.loads(connection.getresponse().read())
    connection.close()
    return counts
