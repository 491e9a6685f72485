"""What nobody should answer, from a real server: the engine accounts for every request, in time and within bounds."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prony.load.engine import Engine
from prony.load.journeys import JourneyLoad
from prony.load.retrying import RetryLoad
from prony.load.spec import Expectation, JourneySpec, RequestSpec, StreamSpec
from tests.stack.engine_case import load

pytestmark = pytest.mark.alone

HOSTILE = Path(__file__).parent.parent.parent / "bench" / "hostile.py"
REQUESTS: dict[str, tuple[type[Engine], RequestSpec, dict[str, Any]]] = {
    "status": (Engine, RequestSpec(), {}),
    "checks": (Engine, RequestSpec(expect=Expectation(contains="hello", matches="w.r", min_bytes=5)), {}),
    "streams": (Engine, RequestSpec(stream=StreamSpec(events=3, for_s=0.2)), {}),
    "retries": (RetryLoad, RequestSpec(), {"retries": 2, "backoff_s": 0.01}),
    "redirects": (JourneyLoad, RequestSpec(redirects=True), {}),
}
JOURNEY = """
async def buy(visitor):
    await visitor.get("/")
    await visitor.submit("form#add", qty=2)
    await visitor.follow("a.product")
"""


@pytest.fixture
def port() -> Iterator[int]:
    command = [sys.executable, str(HOSTILE), "7"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        yield int(server.stdout.readline())
        server.communicate("", timeout=30)


@pytest.mark.parametrize("kind", REQUESTS)
def test_every_hostile_answer_is_an_outcome(port: int, tmp_path: Path, kind: str) -> None:
    engine, request, how = REQUESTS[kind]
    ends_well(port, tmp_path, request, kind=engine, **how)


def test_every_hostile_answer_to_a_journey_is_an_outcome(port: int, tmp_path: Path) -> None:
    file = tmp_path / "journeys.py"
    file.write_text(JOURNEY, encoding="utf-8")
    journey = JourneySpec(name="buy", file=str(file), function="buy")
    ends_well(port, tmp_path, kind=JourneyLoad, journeys=(journey,))


def ends_well(port: int, tmp_path: Path, *requests: RequestSpec, kind: type[Engine], **how: Any) -> None:
    limits: dict[str, Any] = {"timeout_s": 0.3, "drain_s": 1.0, "body_bytes_max": 1_000_000}
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began_s = time.monotonic()
    _, samples = load(
        port, tmp_path, *requests, kind=kind, arrivals="closed", users=32, duration_s=2.0, **limits, **how
    )
    assert time.monotonic() - began_s < 20
    assert len(samples) > 100
    assert len(set(samples["outcome"])) >= 3, "right, wrong and broken"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 64 * 1024
