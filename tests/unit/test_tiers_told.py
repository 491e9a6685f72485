from __future__ import annotations

from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from prony.document import trial_of
from prony.doubts import KINDS, believed, doubts_of
from prony.recording import Event, Recording
from prony.recording.named import READINGS
from prony.report.gauged import stated
from prony.report.tiers import told
from prony.summary import statements, summarise, tiers
from tests.unit.recording_case import BEGAN_NS, SECOND, a_plan, a_recording, evenly, some_samples

SIX = {
    "stores.database.kind": "postgres",
    "stores.cache.kind": "valkey",
    "stores.second.kind": "memcached",
    "pooler.kind": "pgbouncer",
}


Values = tuple[float, ...]


def seen(readings: dict[tuple[str, str], Values], events: tuple[Event, ...] = ()) -> Recording:
    """A trial of two seconds, with a reading at its begin, in its middle and at its end."""
    made = a_recording(some_samples(evenly(10, 2)), duration_s=2, events=events, plan=a_plan(SIX))
    instants = BEGAN_NS + np.arange(3) * SECOND
    return replace(made, readings={name: (instants, np.array(values, float)) for name, values in readings.items()})


def test_levels_become_means_and_most_and_counters_growth_and_ratios() -> None:
    summary = summarise(
        seen(
            {
                ("proxy", "requests"): (0, 100, 200),
                ("proxy", "timed"): (0, 50, 100),
                ("proxy", "upstream_s"): (0, 1, 2),
                ("pooler", "clients_waiting"): (0, 4, 2),
                ("pooler", "servers_active"): (1, 2, 2),
                ("pooler", "servers_limit"): (2, 2, 2),
                ("pooler", "transactions"): (10, 20, 30),
                ("pooler", "wait_s"): (1, 1.5, 2),
                ("cache", "hits"): (5, 95, 95),
                ("cache", "misses"): (0, 10, 10),
                ("cache", "evicted"): (7, 7, 9),
                ("database", "blocks_hit"): (0, 90, 99),
                ("database", "blocks_read"): (0, 1, 1),
                ("host", "io_pressure_s"): (3, 3.5, 4),
            }
        )
    )
    proxy, pooler = summary.tiers["proxy"], summary.tiers["pooler"]
    assert proxy["requests"] == pytest.approx(200)
    assert proxy["upstream_s_mean"] == pytest.approx(0.02)
    assert pooler["clients_waiting_mean"] == pytest.approx(2)
    assert (pooler["clients_waiting_most"], pooler["servers_active_share"]) == (4, 1)
    assert pooler["wait_s_mean"] == pytest.approx(0.05)
    assert summary.tiers["cache"]["hit_share"] == pytest.approx(0.9)
    assert summary.tiers["cache"]["evicted"] == 2
    assert summary.tiers["database"]["buffer_hit_share"] == pytest.approx(0.99)
    assert summary.tiers["host"]["io_pressure_share"] == pytest.approx(0.5)
    assert "second" not in summary.tiers


def test_tiers_come_in_the_order_in_which_a_request_meets_them() -> None:
    names = ["host", "probes", "database", "box.app", "pooler", "cache", "app", "proxy"]
    summary = summarise(seen({(name, "cpu_s"): (0, 1, 2) for name in names}))
    order = ["proxy", "listen_queue", "workers", "app", "cache", "pooler", "connections", "database", "box.app"]
    assert list(summary.tiers) == [*order, "host", "probes"]
    assert summary.tiers["host"]["stack_share"] == pytest.approx(5)  # neither ours, nor a box again


def test_every_figure_comes_of_a_reading_that_a_probe_writes() -> None:
    kinds = {
        "every tier of processes": "processes",
        "app (uWSGI)": "uwsgi",
        "app (granian)": "granian",
        "a store (Valkey, Redis)": "valkey",
        "a store (memcached)": "memcached",
        "database (Postgres)": "postgres",
        "database (MariaDB)": "mariadb",
        "box.NAME": "box",
    }
    for of, figures in tiers.FIGURES.items():
        natures = {each.name: each.nature for each in READINGS[kinds.get(of, of)]}
        for figure in figures:
            counts = figure.how in {"growth", "rate", "per"}
            assert {natures[name] for name in figure.of} == {"counter" if counts else "level"}, f"{of}: {figure.name}"


def test_tiers_are_told_in_words_and_only_what_was_seen() -> None:
    recording = seen(
        {
            ("pooler", "clients_waiting"): (3, 3, 3),
            ("pooler", "servers_active"): (2, 2, 2),
            ("pooler", "servers_limit"): (2, 2, 2),
            ("cache", "evicted"): (0, 5, 12),
            ("database", "active"): (4, 4, 4),
            ("database", "lock_waits"): (3, 3, 3),
            ("database", "deadlocks"): (0, 1, 1),
        }
    )
    words = {tier: text for tier, text, _ in told(trial_of(recording.plan, summarise(recording), ()))}
    assert words["pooler"] == "2.0 of 2 server connections in use on average, 3.0 clients waited for one (3 at most)"
    assert words["cache"] == "12 evicted for want of memory"
    assert words["database"] == "4.0 statements at work on average (waiting: 3.0 for a lock), 1 deadlocks"
    assert "proxy" not in words
    assert "second" not in words


def test_what_the_workers_requests_waited_for_is_told_where_it_is_known() -> None:
    counters = {"busy_s": 10, "ended": 100, "statement_s": 4, "pool_s": 1, "outbound_s": 0, "lag_s": 1, "lags": 100}
    recording = seen(
        {("workers", name): (0, value / 2, value) for name, value in counters.items()}
        | {("workers", "tokens_waited_for"): (0, 3, 1), ("workers", "lag_most_s"): (0, 0.2, 0.2)}
    )
    words = {tier: text for tier, text, _ in told(trial_of(recording.plan, summarise(recording), ()))}
    assert words["workers"] == (
        "100 ms in the app per request, of requests' time 40 % in SQL, 10 % waiting for a pool's connection, "
        "3 waited for a thread at most, the event loop was 10 ms late on average, 200 ms at most"
    )


def test_what_postgres_says_of_statements_comes_through_whole_and_the_costliest_first() -> None:
    row = (
        '{"text":"SELECT [x] FROM t WHERE id = $1","calls":%d,"total_exec_time":%d,"rows":8,'
        '"shared_blks_hit":0,"shared_blks_read":4,"temp_blks_written":0}'
    )
    events = tuple(Event(BEGAN_NS, statements.TABLE, "database", row % each) for each in ((4, 100), (2, 3000)))
    summary = summarise(seen({}, events))
    assert [(each.calls, each.mean_s, each.rows) for each in summary.statements] == [(2, 1.5, 4), (4, 0.025, 2)]
    console = Console(file=StringIO(), width=120)
    console.print(stated(summary.statements))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "SELECT [x] FROM t" in text
    assert "1.50 s" in text


def test_probes_that_failed_or_were_slow_are_notes_that_name_each_of_them_and_void_nothing() -> None:
    events = (
        Event(BEGAN_NS, "probe_failed", "prony", "cache (valkey): ConnectionResetError: gone"),
        Event(BEGAN_NS, "probe_failed", "prony", "pooler: no answer in 5 s"),
        Event(BEGAN_NS + SECOND, "probe_slow", "prony", "database activity: 3 of 9 looks took over half"),
    )
    recording = seen({("probes", "cpu_s"): (0, 0.05, 0.1)}, events)
    summary = summarise(recording)
    doubts = {doubt.name: doubt for doubt in doubts_of(recording, summary)}
    assert doubts["probe_failed"].text == "cache (valkey): ConnectionResetError: gone; pooler: no answer in 5 s"
    assert doubts["probe_slow"].text.startswith("database activity")
    assert doubts["probes_costly"].text == "the probes used 5.0% of a core"
    found = [doubts[name] for name in ("probe_failed", "probe_slow", "probes_costly")]
    assert {doubt.kind for doubt in found} == {"note"}
    assert {*doubts} <= {*KINDS}
    assert believed(summary, found).latency_s == summary.latency_s
    cheap = seen({("probes", "cpu_s"): (0, 0.01, 0.02)})
    assert "probes_costly" not in {doubt.name for doubt in doubts_of(cheap, summarise(cheap))}
