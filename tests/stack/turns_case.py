"""A bench with two stacks, and apps that burn CPU time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from prony.campaign.bench import Bench
from prony.plan import Plan
from tests.stack.test_trial import Rig

BURNS = """
import time

def application(environ, start_response):
    until_s = time.thread_time() + {burn_s}
    while time.thread_time() < until_s:
        pass
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"burnt"]
"""


@contextmanager
def opened(folder: Path) -> Iterator[Rig]:
    found = Rig(folder)
    found.bench = Bench(found.store, "compare", "tests", found.folder / "state", stacks=2)
    with closing(found.store), found.bench:
        if why := found.bench.apart_because((), 0):
            pytest.skip(why)
        yield found


def burning(rig: Rig, name: str, burn_s: float) -> Plan:
    return rig.app(name, BURNS.format(burn_s=burn_s), "[server]\nworkers = 1\n")
