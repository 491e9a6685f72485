"""The demo's verdicts turn when what they blame is changed, and only then: the account's tests, made shorter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec import structs

from prony.campaign import script
from prony.campaign.bench import Bench
from prony.campaign.replay import Options, Replay
from prony.document import Document
from prony.document import Test as Told
from prony.recording import Store

pytestmark = [pytest.mark.alone, pytest.mark.long]

SECONDS = {"test-1": 3.0, "test-2": 4.0, "test-3": 7.0, "test-4": 4.0}
CONNECTIONS = "stores.database.max_connections"

Replayed = Callable[..., Document]


def shortened() -> script.Script:
    """The account's script with the same loads for a shorter time."""
    full = script.load("connected-content")
    tests = tuple(structs.replace(t, duration_s=SECONDS[t.name]) for t in full.test if t.name in SECONDS)
    return structs.replace(full, test=tests, saturation=script.Saturation(duration_s=3.0))


def disturbed(document: Document) -> bool:
    """Whether in a test's trial others used over a quarter of the stack's cores, or kept the generator from sending."""
    for trial in document.trials:
        if trial.id in {test.trial for test in document.tests}:
            host, shares = trial.tiers["host"], [trial.tiers[tier]["cpu_share"] or 0 for tier in ("app", "database")]
            if (host["busy_share"] or 0) - sum(shares) / (host["cores"] or 1) > 0.25 or "late_sends" in trial.doubts:
                return True
    return False


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replayed]:
    """Replays on one bench: prepared data are made once."""
    folder = tmp_path_factory.mktemp("replays")
    store = Store(folder / "prony.db")

    def replay(*only: str, sets: dict[str, Any] | None = None, **options: Any) -> Document:
        document = Replay(bench, shortened(), Options(only=only, **options), sets or {}).run()
        if disturbed(document):  # once more, and what is found then counts
            document = Replay(bench, shortened(), Options(only=only, **options), sets or {}).run()
        return document

    with Bench(store, "replay", "mutations", folder) as bench:
        yield replay
    store.close()


@pytest.fixture(scope="module")
def as_told(replayed: Replayed) -> Document:
    """Three of the account's tests in its order."""
    return replayed("test-1", "test-2", "test-3")


@pytest.fixture(scope="module")
def rush(replayed: Replayed) -> Told:
    """Test 4 with its experiment."""
    return named(replayed("test-4"), "test-4")


def named(document: Document, name: str) -> Told:
    return next(test for test in document.tests if test.name == name)


def causes(document: Document) -> dict[str, tuple[str, str]]:
    return {test.name: (test.verdict.tier, test.verdict.cause) for test in document.tests}


def shown(document: Document) -> str:
    """What a failing test shows."""
    lines = [f"{test.name}: {test.verdict}\n  {test.text}" for test in document.tests]
    told = {test.trial for test in document.tests}
    lines += [f"{t.label}: {t.offered_rps:.0f} rps, {t.tiers}, {t.doubts}" for t in document.trials if t.id in told]
    return "\n".join(lines)


def test_a_page_that_was_never_seeded_was_not_tested(as_told: Document) -> None:
    test = named(as_told, "test-1")
    assert (test.verdict.tier, test.verdict.cause) == ("app", "wrong_answers"), shown(as_told)
    trial = next(trial for trial in as_told.trials if trial.id == test.trial)
    assert trial.errors.by_status == {"400": trial.requests}
    assert trial.achieved_rps is None
    assert any(f"{trial.requests} × 400" in line for line in (*test.text, *test.verdict.evidence))


def test_under_light_load_the_seeded_page_is_fine(as_told: Document) -> None:
    assert causes(as_told)["test-2"] == ("none", "none"), shown(as_told)


def test_heavy_load_is_blamed_on_opening_connections(as_told: Document) -> None:
    test = named(as_told, "test-3")
    assert (test.verdict.tier, test.verdict.cause) == ("connections", "connection_per_request"), shown(as_told)
    opened = (
        test.verdict.figures.get("workers.connects_per_request"),
        test.verdict.figures["database.sessions_per_request"],
    )
    assert max(value or 0 for value in opened) == pytest.approx(1, abs=0.3)


def test_more_clients_than_connections_is_proven_by_relief(rush: Told) -> None:
    verdict = rush.verdict
    assert (verdict.tier, verdict.cause) == ("connections", "connections_exhausted"), verdict
    assert (verdict.tier_grade, verdict.cause_grade) == ("proven", "proven"), verdict
    assert verdict.figures["errors.share"] > 0.5
    assert verdict.figures["connections.refused"] > 100
    assert verdict.figures["connections.limit"] == 20
    assert verdict.figures["connections.usable"] == 17
    said = " ".join(verdict.evidence)
    assert "53300" in said
    assert "of 20 connections were seen taken" in said
    assert "placebo" in said
    assert len(rush.relief_trials) in {3, 6, 9}


def test_with_enough_connections_they_are_not_blamed(replayed: Replayed) -> None:
    found = replayed("test-4", sets={CONNECTIONS: 500})
    verdict = named(found, "test-4").verdict
    assert verdict.cause != "connections_exhausted", shown(found)
    assert verdict.figures.get("connections.refused", 0) == 0
    assert any(f"{CONNECTIONS}=500" in line for line in found.declared)


def test_with_the_page_seeded_test_1_is_valid(replayed: Replayed) -> None:
    found = replayed("test-1", seeded=True)
    assert causes(found)["test-1"] == ("none", "none"), shown(found)
    assert found.trials[-1].errors.by_status == {"200": found.trials[-1].requests}


def test_with_persistent_connections_opening_them_is_not_blamed(replayed: Replayed) -> None:
    found = replayed("test-3", sets={"app.env.CONN_MAX_AGE": "60"})
    verdict = named(found, "test-3").verdict
    assert verdict.cause not in {"connection_per_request", "connections_exhausted"}, shown(found)
    assert verdict.figures.get("workers.connects_per_request", 0) < 0.2
    assert any("CONN_MAX_AGE=(redacted)" in line for line in found.declared)


def test_in_another_order_the_verdicts_are_the_same(replayed: Replayed, as_told: Document) -> None:
    found = replayed("test-1", "test-2", "test-3", shuffle=7)
    ran = [trial.label for trial in found.trials if trial.label in SECONDS][-3:]
    assert ran == ["test-3", "test-1", "test-2"]
    assert [test.name for test in found.tests] == ["test-1", "test-2", "test-3"]
    assert causes(found) == causes(as_told), shown(found)
    assert any("shuffled with seed 7" in line for line in found.declared)
