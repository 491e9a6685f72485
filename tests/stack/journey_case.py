"""A shop in a process of its own, and loads of journeys on it."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from prony.load.account import LoadResult
from prony.load.journeys import JourneyLoad
from prony.load.spec import JourneySpec, LoadSpec
from prony.samples import OUTCOMES, Samples, from_bytes

HERE = Path(__file__).parent
# The window is long enough for every run to end; only who arrives within it counts.
WHOLE: dict[str, Any] = {"arrivals": "closed", "users": 3, "think_s": 60.0, "duration_s": 0.6}


class Came(NamedTuple):
    """What came of a load: its result, its samples, and how often each route ended how."""

    result: LoadResult
    samples: Samples
    steps: Counter[tuple[str, str]]


@contextmanager
def shop(*arguments: str) -> Iterator[int]:
    """The port of a shop."""
    with subprocess.Popen(
        [sys.executable, str(HERE / "shop.py"), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        yield int(server.stdout.readline())
        server.communicate("", timeout=10)


def seen(port: int) -> dict[str, int]:
    """What the shop has seen."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/stats")
    counts: dict[str, int] = json.loads(connection.getresponse().read())
    connection.close()
    return counts


def journey(folder: Path, code: str, function: str = "go", users: str = "", **fields: Any) -> JourneySpec:
    """A journey of this code, in a file of the folder."""
    (folder / "journeys.py").write_text(textwrap.dedent(code), encoding="utf-8")
    if users:
        (folder / "users.csv").write_text(users, encoding="utf-8")
    path = str(folder / "users.csv") if users else ""
    return JourneySpec(f"journeys.py:{function}", str(folder / "journeys.py"), function, users=path, **fields)


def load(port: int, folder: Path, *journeys: JourneySpec, **fields: Any) -> Came:
    """Run a load; by default ten arrivals in 0.2 s."""
    given: dict[str, Any] = {"arrivals": "constant", "rate_rps": 50.0, "duration_s": 0.2, "drain_s": 5.0} | fields
    if given["arrivals"] == "closed":
        given["rate_rps"] = None
    spec = LoadSpec(host="127.0.0.1", port=port, journeys=journeys, segment=str(folder / "segment"), **given)
    Path(spec.segment).unlink(missing_ok=True)
    result = JourneyLoad(spec).run()
    samples = from_bytes(Path(spec.segment).read_bytes())
    assert len(samples) == result.scheduled, "every request that was due leaves one sample"
    assert (samples["done_ns"] >= samples["due_ns"]).all()
    names = {number: request.name or request.path for number, request in enumerate(spec.requests)} | result.routes
    pairs = zip(samples["route"].tolist(), samples["outcome"].tolist(), strict=True)
    return Came(result, samples, Counter((names[route], OUTCOMES[outcome]) for route, outcome in pairs))
