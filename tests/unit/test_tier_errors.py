"""Errors of each tier: from counters and events, none of them counted twice, and a dash where nobody looked."""

from __future__ import annotations

from collections import Counter
from io import StringIO

import pytest
from msgspec import structs
from rich.console import Console

from prony.document import Document, Trial, trial_of
from prony.recording import Event
from prony.report.html import render
from prony.report.inside import shown
from prony.report.tiers import told
from prony.summary import summarise
from prony.summary.tier_errors import NAMES_MAX, OTHERS, Tally, errors_of, note
from tests.unit.recording_case import BEGAN_NS, SECOND
from tests.unit.test_tiers_told import Values, seen

Happened = tuple[tuple[str, str, str, int], ...]


def tallied(*happened: tuple[str, str, str, int]) -> Tally:
    """Of (kind, tier, text, times)."""
    found: Tally = Counter()
    for event in happened:
        note(found, Event(BEGAN_NS, *event))
    return found


def found(tier: str, happened: Happened = (), **grown: float) -> dict[str, int] | None:
    return known(tier, grown, happened)


def known(tier: str, grown: dict[str, float], happened: Happened = ()) -> dict[str, int] | None:
    """Its errors, where counters rose by so much: "workers__begun" is that of the workers."""
    read = {}
    for key, value in grown.items():
        of, _, name = key.partition("__")
        read[of, name] = value
    return errors_of(tier, read, tallied(*happened), ("cache", "database"))


@pytest.mark.parametrize(
    ("tier", "event", "errors"),
    [
        ("app", ("exception", "app", "django.db.utils.OperationalError[53300]", 3), {"OperationalError[53300]": 3}),
        ("app", ("log_error", "app", "shop.prices.PriceError: no price for 7", 2), {"PriceError": 2}),
        ("app", ("died", "app", "gunicorn: exit code 1", 1), {"died": 1}),
        ("workers", ("worker_timeout", "app", "WORKER TIMEOUT", 1), {"worker_timeout": 1}),
        ("workers", ("restarted", "app", "a serving process ended", 2), {"restarted": 2}),
        ("workers", ("queue_full", "app", "Exceeded concurrency limit", 9), {"queue_full": 9}),
        ("proxy", ("connections_exhausted", "proxy", "512 are not enough", 4), {"connections_exhausted": 4}),
        ("pooler", ("pooler_refused", "pooler", "no more connections allowed", 5), {"pooler_refused": 5}),
        ("connections", ("connection_refused", "database", "sorry, too many clients", 6), {"connection_refused": 6}),
        ("connections", ("connections_exhausted", "database", "MariaDB refused", 7), {"connections_exhausted": 7}),
        ("database", ("database_error", "database", "out of shared memory", 8), {"database_error": 8}),
        ("mailer", ("log_error", "mailer", "smtplib.SMTPServerDisconnected: gone", 1), {"SMTPServerDisconnected": 1}),
        ("box.app", ("out_of_memory", "box.app", "a process was killed", 1), {"out_of_memory": 1}),
        ("app", ("worker_timeout", "app", "WORKER TIMEOUT", 1), None),
        ("database", ("deadlock", "database", "ended a transaction", 1), None),
        ("database", ("blocked", "database", "UPDATE item waits", 40), None),
        ("cache", ("slow_command", "cache", "EVAL", 3), None),
    ],
)
def test_an_event_is_an_error_of_the_tier_where_it_went_wrong(
    tier: str, event: tuple[str, str, str, int], errors: dict[str, int] | None
) -> None:
    assert found(tier, (event,)) == errors


@pytest.mark.parametrize(
    ("tier", "grown", "errors"),
    [
        ("listen_queue", {"listen_queue__overflows": 5.0}, {"overflows": 5}),
        ("listen_queue", {"listen_queue__overflows": 0.0}, {}),
        ("listen_queue", {}, None),
        ("database", {"database__deadlocks": 2.0}, {"deadlocks": 2}),
        ("database", {"database__commits": 2.0, "workers__begun": 1.0}, None),
        ("cache", {"cache__connections_rejected": 1.0}, {"connections_rejected": 1}),
        ("cache", {"cache__evicted": 3.0, "cache__listening_stopped": 2.0}, {"listening_stopped": 2}),
        ("cache", {"cache__connections_rejected": 0.0, "cache__evicted": 0.0, "cache__listening_stopped": 0.0}, {}),
        ("cache", {"workers__begun": 100.0}, None),
        ("app", {"workers__begun": 100.0}, {}),
        ("outside.slow", {"workers__begun": 100.0}, {}),
        ("outside.slow", {}, None),
        ("workers", {"app__harakiri": 1.0, "app__connection_errors": 2.0}, {"connection_errors": 2, "harakiri": 1}),
        ("connections", {"workers__connect_failed": 4.0}, {"connect_failed": 4}),
        ("proxy", {"proxy__own_errors": 0.0, "proxy__connections_dropped": 3.0}, {"connections_dropped": 3}),
        ("pooler", {"pooler__transactions": 9.0}, {}),
        ("box.app", {"box.app__out_of_memory_kills": 0.0}, {}),
    ],
)
def test_a_counter_tells_how_many_or_that_there_were_none(
    tier: str, grown: dict[str, float], errors: dict[str, int] | None
) -> None:
    assert known(tier, grown) == errors


def test_what_two_accounts_tell_of_is_counted_once() -> None:
    failed = ("upstream_failed", "proxy", "connect() failed", 10)
    assert found("proxy", (failed,), proxy__own_errors=12.0) == {"upstream_failed": 10, "own_errors": 2}
    assert found("proxy", (failed,), proxy__own_errors=6.0) == {"upstream_failed": 10}
    late, killed = ("worker_timeout", "app", "HARAKIRI", 2), ("worker_killed", "app", "DAMN ! worker", 3)
    anew = ("restarted", "app", "in its place", 3)
    assert found("workers", (late, killed, anew), app__harakiri=2.0) == {"worker_timeout": 2, "worker_killed": 1}
    refused = ("connection_refused", "database", "sorry, too many clients already", 5)
    assert found("connections", (refused,), workers__connect_failed=5.0) == {"connection_refused": 5}
    raised, logged = ("exception", "app", "ValueError", 4), ("log_error", "app", "ValueError: x", 8)
    assert found("app", (raised, logged)) == {"ValueError": 4}


def test_a_tally_does_not_grow_without_end() -> None:
    happened = tallied(*(("exception", "app", f"Error{n}", 2) for n in range(NAMES_MAX + 50)))
    assert len(happened) == NAMES_MAX + 1
    assert happened["app", "exception", OTHERS] == 100
    assert sum(happened.values()) == 2 * (NAMES_MAX + 50)


READ: dict[tuple[str, str], Values] = {
    ("proxy", "requests"): (0, 100, 200),
    ("proxy", "own_errors"): (3, 9, 15),
    ("workers", "begun"): (0, 100, 200),
    ("workers", "in_flight"): (3, 3, 3),
    ("workers", "slots"): (4, 4, 4),
    ("workers", "connect_failed"): (0, 0, 0),
    ("listen_queue", "length"): (0, 1, 2),
    ("app", "cpu_s"): (0, 1, 2),
    ("cache", "evicted"): (0, 5, 9),  # which a full cache is there for
    ("cache", "connections_rejected"): (0, 5, 12),
    ("host", "cores"): (2, 2, 2),
    ("host", "busy_s"): (0, 1, 2),
}
FAILED = (
    Event(BEGAN_NS + SECOND, "limited", "proxy", "limiting requests", 2),
    Event(BEGAN_NS + SECOND, "exception", "app", "ValueError", 4),
    Event(BEGAN_NS + SECOND, "exception", "app", "KeyError", 3),
    Event(BEGAN_NS + SECOND, "died", "link.database", "link: killed", 1),
)


def a_trial() -> Trial:
    recording = seen(READ, FAILED)
    return trial_of(recording.plan, summarise(recording), ())


def test_a_trial_has_the_errors_of_each_tier_of_which_they_are_known() -> None:
    errors = a_trial().tier_errors
    assert errors["proxy"] == {"own_errors": 10, "limited": 2}
    assert errors["app"] == {"ValueError": 4, "KeyError": 3}
    assert errors["workers"] == errors["connections"] == {}
    assert errors["cache"] == {"connections_rejected": 12}
    assert errors["link.database"] == {"died": 1}, "what is no tier and died all the same"
    assert not {"listen_queue", "pooler", "database", "host", "probes"} & {*errors}


def test_the_summary_tells_each_tier_s_errors_beside_what_it_did() -> None:
    errors = {tier: text for tier, _, text in told(a_trial())}
    assert errors["proxy"] == "12 (10 own errors, 2 limited)"
    assert errors["app"] == "7 (4 ValueError, 3 KeyError)"
    assert errors["workers"] == "none"
    assert errors["cache"] == "12 connections rejected"
    assert errors["listen queue"] == "–"
    assert errors["host"] == ""
    many = structs.replace(a_trial(), tier_errors={"app": {"A": 5, "B": 4, "C": 3, "D": 2, "E": 1}})
    assert {tier: text for tier, _, text in told(many)}["app"] == "15 (5 A, 4 B, 3 C, 3 others)"


def test_they_are_at_the_terminal_and_in_the_page() -> None:
    document = Document(
        prony="0", verb="run", title="", campaign=1, started_at="", status="done", machine={}, trials=(a_trial(),)
    )
    console = Console(file=StringIO(), width=180, highlight=False)
    for part in shown(document):
        console.print(part)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined] # the file it was given
    by_tier = {line[2:15].strip(): line.rstrip() for line in lines}
    assert by_tier["proxy"].endswith("; errors: 12 (10 own errors, 2 limited)")
    assert by_tier["workers"].endswith("; errors: none")
    assert by_tier["listen queue"].endswith("; errors: –")
    assert "errors" not in by_tier["host"]
    page = render(document, {})
    assert "<td>12 (10 own errors, 2 limited)</td>" in page
