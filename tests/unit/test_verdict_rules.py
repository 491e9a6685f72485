"""The verdict by its evidence: figures made by hand for each tier and cause, and never the configuration's name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from prony.capacity import Judgement, judge
from prony.plan import Limits
from prony.recording import OUTCOMES
from prony.summary import Incident, Statement, Summary
from prony.verdict import CAUSES, GRADES, TIERS, Verdict, conclude
from tests.unit.recording_case import a_summary

# A calm stack of two cores: CPU left, slots free.
IDLE: dict[str, float | None] = {
    "workers.slots": 4.0, "workers.in_flight_mean": 1.0, "workers.in_flight_share": 0.25,
    "workers.in_app_s_per_request": 0.02, "workers.connects_per_request": 0.0, "workers.connect_share": 0.0,
    "listen_queue.length_max": 1.0, "listen_queue.overflows": 0.0,
    "app.cpu_share": 0.3, "app.busiest_process_share": 0.1,
    "database.cpu_share": 0.1, "database.active_mean": 0.2, "database.lock_waits_mean": 0.0,
    "host.cores": 2.0, "host.busy_share": 0.25, "host.steal_share": 0.0, "connections.refused": 0.0,
}  # fmt: skip
FULL = {"workers.in_flight_mean": 3.9, "workers.in_flight_share": 0.98, "listen_queue.length_max": 120.0}
MANY_CORES = {"host.cores": 16.0, "host.busy_share": 0.2}
BUSY = {"host.busy_share": 0.97}
OPENS = {"workers.connects_per_request": 1.0, "workers.connect_share": 0.8}
CONNECTIONS = {"connections.most": 17.0, "connections.limit": 20.0, "connections.usable": 17.0}
REFUSED = {"ok": 500, "wrong_status": 4500}
STATUSES = {"200": 500, "500": 4500}
SLOW: dict[str, Any] = {"latency_s": 3.0, "growing": True}


def of(tiers: dict[str, Any] | None = None, **other: Any) -> Summary:
    return a_summary(IDLE | (tiers or {}), **other)


def concluded(summary: Summary) -> Verdict:
    return conclude(summary, judge(summary, [], Limits()))


# name -> figures; tier, its grade, cause, its grade; words of the evidence
CASES: dict[str, tuple[Summary, tuple[str, str, str, str], str]] = {
    "the limits held": (of(), ("none", "consistent", "none", "consistent"), "The limits held."),
    "wrong answers": (
        of(outcomes={"wrong_status": 5000}, statuses={"500": 5000}),
        ("app", "consistent", "wrong_answers", "consistent"),
        "5000 × 500",
    ),
    "worker starvation": (
        of(FULL, **SLOW),
        ("workers", "consistent", "worker_starvation", "consistent"),
        "3.9 of 4 slots were taken on average; up to 120 connections queued",
    ),
    "slots full, of something that prony did not start": (
        of(FULL, destination="http://shop.test", **SLOW),
        ("unknown", "unknown", "not_watched", "unknown"),
        "What stands behind http://shop.test was not watched",
    ),
    "slots full, of requests that wait for another host": (
        of(FULL | {"workers.outbound_share": 0.8, "workers.database_share": 0.05, "workers.pool_share": 0.0}, **SLOW),
        ("workers", "tied", "worker_starvation", "tied"),
        "Slots are held in calls to other hosts",
    ),
    "slots full, of requests that wait for a pool": (
        of(FULL | {"workers.outbound_share": 0.0, "workers.database_share": 0.2, "workers.pool_share": 0.7}, **SLOW),
        ("workers", "tied", "worker_starvation", "tied"),
        "requests spent 20% in SQL statements, 70% waiting for a pool's connection; the rest",
    ),
    "slots full, of requests that do nothing the gauge sees": (
        of(FULL | {"workers.outbound_share": 0.01, "workers.database_share": 0.0}, **SLOW),
        ("workers", "consistent", "worker_starvation", "consistent"),
        "hardly any on what the gauge sees; the rest is the app's own",
    ),
    "slots full and the CPU nearly so": (
        of(FULL | {"host.busy_share": 0.8}, **SLOW),
        ("workers", "tied", "worker_starvation", "tied"),
        "nearly used up",
    ),
    "app CPU": (
        of(FULL | BUSY | {"app.cpu_share": 1.7, "database.cpu_share": 0.2}, **SLOW),
        ("app", "consistent", "app_cpu", "consistent"),
        "97% busy",
    ),
    "one busy process on a machine of many cores": (
        of(MANY_CORES | {"app.cpu_share": 1.0, "app.busiest_process_share": 0.98}, **SLOW),
        ("app", "consistent", "app_cpu", "consistent"),
        "One process of the app used 98% of a core",
    ),
    "database CPU": (
        of(FULL | BUSY | {"app.cpu_share": 0.3, "database.cpu_share": 1.6}, **SLOW),
        ("database", "consistent", "unknown", "unknown"),
        "the database does not count them",
    ),
    "app and database tied, the app ahead": (
        of(FULL | BUSY | {"app.cpu_share": 1.0, "database.cpu_share": 0.9}, **SLOW),
        ("app", "tied", "app_cpu", "tied"),
        "tied",
    ),
    "app and database tied, the database ahead": (
        of(FULL | BUSY | {"app.cpu_share": 0.9, "database.cpu_share": 1.0}, **SLOW),
        ("database", "tied", "unknown", "unknown"),
        "tied",
    ),
    "locks": (
        of(FULL | {"database.active_mean": 3.5, "database.lock_waits_mean": 3.0}, **SLOW),
        ("database", "consistent", "unknown", "unknown"),
        "3.0 of 3.5 active backends waited for a lock",
    ),
    "connections exhausted, by Postgres's log alone": (
        of(CONNECTIONS | {"connections.refused": 4400.0}, outcomes=REFUSED, statuses=STATUSES),
        ("connections", "consistent", "connections_exhausted", "consistent"),
        "Postgres's own log holds 4400 refusals",
    ),
    "connections exhausted, by the gauge alone": (
        of(CONNECTIONS, outcomes=REFUSED, statuses=STATUSES, exceptions={"OperationalError [53300]": 4400}),
        ("connections", "consistent", "connections_exhausted", "consistent"),
        "the gauge counted 4400 exceptions",
    ),
    "connections exhausted, and not one right answer": (
        of(CONNECTIONS | {"connections.refused": 5000.0}, outcomes={"wrong_status": 5000}, statuses={"500": 5000}),
        ("connections", "consistent", "connections_exhausted", "consistent"),
        "Postgres's own log holds 5000 refusals",
    ),
    "a connection per request, CPU idle": (
        of(FULL | OPENS, **SLOW),
        ("connections", "consistent", "connection_per_request", "consistent"),
        "1.00 database connections were opened per request, which took 80%",
    ),
    "a connection per request, CPU busy": (
        of(FULL | OPENS | BUSY | {"app.cpu_share": 0.4, "database.cpu_share": 1.5}, **SLOW),
        ("connections", "consistent", "connection_per_request", "consistent"),
        "1.00 database connections were opened per request",
    ),
    "a connection per request, seen by the database alone": (
        of(FULL | {"database.sessions_per_request": 1.0, "workers.connect_share": 0.7}, **SLOW),
        ("connections", "consistent", "connection_per_request", "consistent"),
        "which took 70%",
    ),
    "timeouts are waits by another name": (
        of(FULL, outcomes={"ok": 2000, "timeout": 2500, "unanswered": 500}, **SLOW),
        ("workers", "consistent", "worker_starvation", "consistent"),
        "They are waits by another name: 2500 × timeout, 500 × unanswered.",
    ),
    "nothing but timeouts are waits too": (
        of(FULL, outcomes={"timeout": 5000}, **SLOW),
        ("workers", "consistent", "worker_starvation", "consistent"),
        "waits by another name",
    ),
    "errors of an unknown cause": (
        of(outcomes={"ok": 4000, "wrong_status": 1000}, statuses={"200": 4000, "404": 1000}),
        ("unknown", "unknown", "unknown", "unknown"),
        "not among the causes known so far",
    ),
    "slow, and nothing was used up": (of(**SLOW), ("unknown", "unknown", "unknown", "unknown"), "cannot tell"),
    "slow, and nothing was watched": (
        a_summary(**SLOW),
        ("unknown", "unknown", "unknown", "unknown"),
        "cannot tell",
    ),
}  # fmt: skip
EACH = pytest.mark.parametrize("name", CASES)


@EACH
def test_each_cause_is_concluded_from_its_figures(name: str) -> None:
    summary, expected, words = CASES[name]
    found = concluded(summary)
    assert (found.tier, found.tier_grade, found.cause, found.cause_grade) == expected, found.evidence
    assert words in " ".join(found.evidence)
    assert found.trial == summary.id


@EACH
def test_the_evidence_is_in_the_figures_under_their_own_names(name: str) -> None:
    summary, _, _ = CASES[name]
    for figure, value in concluded(summary).figures.items():
        tier, _, what = figure.partition(".")
        if what in summary.tiers.get(tier, {}) and summary.tiers[tier][what]:
            assert summary.tiers[tier][what] == value


@pytest.mark.parametrize("title", ["gunicorn sync, 3 workers", "waitress, 4 threads", "worker_starvation", "", "ü🦄"])
@EACH
def test_the_configurations_name_plays_no_part(name: str, title: str) -> None:
    summary, _, _ = CASES[name]
    renamed = structs.replace(summary, title=title, label=title[::-1])
    assert concluded(renamed) == concluded(summary)


def test_swapping_names_among_configurations_swaps_no_verdict() -> None:
    summaries = [summary for summary, _, _ in CASES.values()]
    titles = [f"configuration {i}" for i in range(len(summaries))]
    for shift in range(len(titles)):
        for summary, title in zip(summaries, titles[shift:] + titles[:shift], strict=True):
            assert concluded(structs.replace(summary, title=title)) == concluded(summary)


def test_a_trial_not_to_be_believed_is_the_generators() -> None:
    summary = of(sent=4000, generator={"cpu_share": 0.97, "cpu_s_per_request": 0.01})
    found = conclude(summary, Judgement(held=None, broken=("p99 3.00 s, limit 1 s",)))
    assert (found.tier, found.tier_grade) == ("generator", "consistent")
    assert (found.cause, found.cause_grade) == ("load_generator", "consistent")
    text = " ".join(found.evidence)
    assert "4000 of 5000 due requests were sent." in text
    assert "97% of its core" in text
    assert "Not to be believed: p99 3.00 s" in text


def test_without_a_request_there_is_nothing_to_tell() -> None:
    found = concluded(of(outcomes={"ok": 0}, latency_s=None))
    assert (found.tier, found.cause, found.evidence) == ("unknown", "unknown", ("No request was recorded.",))


def test_errors_within_their_limit_are_no_cause() -> None:
    assert concluded(of(outcomes={"ok": 4960, "wrong_status": 40})).cause == "none"


def test_what_was_seen_blocked_and_the_costliest_statement_are_in_the_evidence() -> None:
    text = "UPDATE item waits (transactionid lock) for UPDATE item, idle in transaction"
    locked = of(FULL | {"database.active_mean": 3.5, "database.lock_waits_mean": 3.0}, **SLOW)
    locked = structs.replace(locked, incidents=(Incident("blocked", "database", text, 12),))
    assert f"Seen 12 times, a look each second: {text}." in concluded(locked).evidence
    slow = of(FULL | {"database.active_mean": 3.8}, **SLOW)
    rest = {"rows": 1.0, "blocks_read": 0.0, "temp_blocks": 0.0}
    first = Statement(text="SELECT $1", calls=60, mean_s=0.05, total_s=3.0, **rest)
    second = Statement(text="COMMIT", calls=60, mean_s=0.0167, total_s=1.0, **rest)
    slow = structs.replace(slow, statements=(first, second))
    words = "75% of its statements' time went to one: SELECT $1 (60 times, 50 ms each)."
    assert words in concluded(slow).evidence


def test_refusals_that_explain_too_few_failures_are_not_blamed() -> None:
    summary = of({"connections.refused": 100.0}, outcomes=REFUSED, statuses=STATUSES)
    assert concluded(summary).cause == "unknown"


def test_opening_that_takes_little_of_a_request_is_not_blamed() -> None:
    summary = of(FULL | OPENS | {"workers.connect_share": 0.4}, **SLOW)
    assert concluded(summary).cause == "worker_starvation"


WRONG = [
    pytest.param(
        of(MANY_CORES | {"app.cpu_share": 1.0, "app.busiest_process_share": 0.98, "database.cpu_share": 2.0}, **SLOW),
        ("app", "app_cpu"),
        id="one process of the app is at its end, yet the larger database is blamed, with most cores idle",
    ),
    pytest.param(
        of(BUSY | {"app.cpu_share": 0.1, "database.cpu_share": 0.0}, **SLOW),
        ("unknown", "unknown"),
        id="somebody else's process uses up the cores, and the app's 0.1 of a core is blamed",
    ),
    pytest.param(
        of(FULL | {"database.active_mean": 3.8}, **SLOW),
        ("database", "unknown"),
        id="every slot waits for an active, idle-CPU database (IO, pg_sleep), and the workers are blamed",
    ),
    pytest.param(
        of(FULL, outcomes={"ok": 4800, "wrong_status": 200}, statuses={"200": 4800, "404": 200}, **SLOW),
        ("workers", "worker_starvation"),
        id="4 % of errors besides hide what made the rest slow",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("summary", "expected"), WRONG)
def test_what_else_the_figures_say(summary: Summary, expected: tuple[str, str]) -> None:
    found = concluded(summary)
    assert (found.tier, found.cause) == expected


# --- whatever the figures, tokens of the closed sets

SHARES = st.none() | st.floats(0, 2) | st.sampled_from([0.0, 0.5, 0.9, 1.0])
FIGURES = sorted(f"{tier}.{name}" for tier, names in a_summary().tiers.items() for name in names)
COUNTS = st.dictionaries(st.sampled_from(OUTCOMES), st.integers(0, 10_000), max_size=5)


@given(
    tiers=st.dictionaries(st.sampled_from(FIGURES), SHARES | st.floats(0, 1e6)),
    outcomes=COUNTS,
    exceptions=st.dictionaries(st.text(max_size=5) | st.just("OperationalError [53300]"), st.integers(0, 9999)),
    latency_s=st.none() | st.floats(0, 100),
    growing=st.booleans(),
    believed=st.booleans(),
    generator=st.fixed_dictionaries({"cpu_share": SHARES, "cpu_s_per_request": SHARES}),
    lag_s=st.none() | st.floats(0, 10),
)
def test_any_figures_give_tokens_of_the_closed_sets(
    *,
    tiers: Any,
    outcomes: Any,
    exceptions: Any,
    latency_s: Any,
    growing: Any,
    believed: Any,
    generator: Any,
    lag_s: Any,
) -> None:
    summary = a_summary(
        tiers,
        outcomes=outcomes or {"ok": 1},
        latency_s=latency_s,
        growing=growing,
        exceptions=exceptions,
        generator=generator,
        send_lag_s={"p50": lag_s, "p99": lag_s, "max": lag_s},
    )
    judgement = judge(summary, [], Limits())
    found = conclude(summary, judgement if believed else Judgement(held=None, broken=judgement.broken))
    assert found.tier in TIERS
    assert found.cause in CAUSES
    assert {found.tier_grade, found.cause_grade} <= set(GRADES)
    assert "proven" not in {found.tier_grade, found.cause_grade}, "that takes relief"
    assert (found.tier == "none") == (found.cause == "none")
    assert (found.tier == "none") == (judgement.held is True and believed)
    assert found.evidence
    assert all(text.strip() for text in found.evidence)


def test_every_tier_and_cause_is_reached() -> None:
    generator = conclude(of(), Judgement(held=None, broken=()))
    verdicts = [concluded(summary) for summary, _, _ in CASES.values()] + [generator]
    assert {v.tier for v in verdicts} == set(TIERS)
    assert {v.cause for v in verdicts} == set(CAUSES)
    assert {g for v in verdicts for g in (v.tier_grade, v.cause_grade)} == set(GRADES) - {"proven"}
