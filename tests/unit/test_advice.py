"""A verdict ends in commands: they are valid, they fit the plan, and a test of capacity is always the last."""

from __future__ import annotations

import itertools
import shlex
from pathlib import Path
from typing import Any

import pytest

from prony.knobs.server import KNOBS
from prony.plan import Plan, changed, read_document
from prony.plan.read import parse_sets
from prony.summary import Summary
from prony.verdict import CAUSES, TIERS, Suggestion, Verdict, advise
from tests.unit.recording_case import a_plan, a_summary

SERVERS = list(KNOBS)


def a_verdict(cause: str, tier: str = "app") -> Verdict:
    return Verdict(tier=tier, tier_grade="consistent", cause=cause, cause_grade="consistent", evidence=(), figures={})


def advised(
    cause: str, plan: Plan | None = None, summary: Summary | None = None, **more: Any
) -> tuple[Suggestion, ...]:
    tier = more.pop("tier", "app")
    return advise(a_verdict(cause, tier), plan or a_plan(), summary or a_summary(), **more)


def sets_of(suggestion: Suggestion) -> list[str]:
    words = shlex.split(suggestion.command)
    return [words[at + 1] for at, word in enumerate(words) if word == "--set"]


@pytest.mark.parametrize(("kind", "worker_class"), SERVERS)
def test_every_cause_under_every_server_gives_changes_that_the_plan_takes(kind: str, worker_class: str) -> None:
    server = {"kind": kind} | ({"worker_class": worker_class} if worker_class else {})
    document = {"app": {"entry": "shop:app"}, "server": server, "stores": {"database": {"kind": "postgres"}}}
    plan = read_document(document, "prony.toml", Path("/nowhere/shop"))
    for cause, tier in itertools.product(CAUSES, TIERS):
        for suggestion in advised(cause, plan, tier=tier):
            assert suggestion.command.startswith("prony ")
            assert suggestion.why
            new = changed(plan, parse_sets(sets_of(suggestion)))
            assert new.server != plan.server or not sets_of(suggestion)


@pytest.mark.parametrize("cause", [each for each in CAUSES if each not in {"wrong_answers", "load_generator"}])
def test_the_last_advice_is_to_find_the_capacity(cause: str) -> None:
    assert advised(cause)[-1].command == "prony find"


def test_wrong_answers_are_looked_at_before_any_further_load() -> None:
    assert [each.command for each in advised("wrong_answers")] == ["prony check"]


def test_a_generator_that_was_late_is_no_reason_to_change_the_app() -> None:
    assert [each.command for each in advised("load_generator")] == ["prony doctor"]


def test_starved_sync_workers_get_threads_or_more_of_them() -> None:
    plan = a_plan({"server.workers": 3})
    commands = [each.command for each in advised("worker_starvation", plan)]
    assert commands[0].startswith("prony run --set server.worker_class=gthread")
    assert "prony run --set server.workers=6" in commands


def test_one_process_at_its_core_gets_others_only_where_cores_are_free() -> None:
    plan = a_plan({"server.workers": 1})
    alone = {"app.busiest_process_share": 0.99, "host.cores": 4.0}
    spread = advised("app_cpu", plan, a_summary(alone | {"host.busy_share": 0.3}))
    assert spread[0].command == "prony run --set server.workers=4"
    full = advised("app_cpu", plan, a_summary(alone | {"host.busy_share": 0.99}), costliest="/report/")
    assert "--set" not in full[0].command
    assert "/report/" in full[0].why


def test_slots_beyond_the_databases_connections_are_cut_to_them() -> None:
    plan = a_plan(
        {"stores.database.max_connections": 20, "server.worker_class": "gthread", "server.threads": 40}
        | {"server.workers": 3}
    )
    commands = [each.command for each in advised("connections_exhausted", plan)]
    assert commands[0] == "prony explain --rate 100.0"
    assert commands[1] == "prony run --set server.threads=5"
