"""The whole demo as a person runs it, in another order: five verdicts, six configurations, one answer, nothing left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from prony.document import Document

EXPECTED = {
    "test-1": ("wrong_answers", "consistent"),
    "test-2": ("none", "consistent"),
    "test-3": ("connection_per_request", "consistent"),
    "test-4": ("connections_exhausted", "proven"),
    "test-5": ("connection_per_request", "tied"),
}
PERSISTENT = {"sync-persistent", "gthread-persistent"}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    folder = tmp_path_factory.mktemp("demo")
    env = os.environ | {"XDG_STATE_HOME": str(folder / "state")}
    command = [sys.executable, "-m", "prony", "demo", "--json", "--shuffle", "5"]
    run = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=900, check=False)
    assert run.returncode == 0, run.stderr
    assert (folder / "report.html").stat().st_size > 100_000
    return msgspec.json.decode(run.stdout, type=Document, strict=True)


@pytest.mark.long
def test_each_test_gets_its_verdict_in_another_order(document: Document) -> None:
    assert {test.name: (test.verdict.cause, test.verdict.cause_grade) for test in document.tests} == EXPECTED
    assert [test.name for test in document.tests] == sorted(EXPECTED), "told in the account's order"


@pytest.mark.long
def test_persistent_connections_are_recommended_and_were_measured_anew(document: Document) -> None:
    found = document.recommended
    assert found is not None
    assert found.name in PERSISTENT
    assert found.environment == ("CONN_MAX_AGE=60",)
    assert found.confirmed_rps
    choosing = {trial for row in document.configurations for trial in row.capacity.trial_ids}
    assert not choosing & set(found.trials), "measured in trials that did not choose it"


@pytest.mark.long
def test_every_configuration_has_a_capacity_and_persistent_ones_the_highest(document: Document) -> None:
    low = {row.name: row.capacity.low_rps or 0 for row in document.configurations}
    assert len(low) == 6
    assert min(low[name] for name in PERSISTENT) > 2 * max(rps for name, rps in low.items() if name not in PERSISTENT)


@pytest.mark.long
def test_nothing_is_left(document: Document) -> None:
    assert document.status == "done"
    left = [p.info for p in psutil.process_iter(["cmdline"]) if "prony.stack.guard" in (p.info["cmdline"] or [])]
    assert not left
    assert not list(Path(f"/var/tmp/prony-{os.getuid()}").glob("run-*"))  # noqa: S108 - prony's own
