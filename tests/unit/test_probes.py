from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from prony.probes import (
    caches,
    logs,
    mariadb,
    nginx,
    pgbouncer,
    postgres,
    processes,
    sampler,
    statements,
)
from prony.probes.sampler import Items, Probe, Sampler
from prony.recording import Event, Reading


def of(items: Items) -> dict[str, float]:
    """The readings by name."""
    return {each.name: each.value for each in items if isinstance(each, Reading)}


# ---- the sampler


def one(name: str) -> list[Reading]:
    return [Reading(1, "tier", name, 1.0)]


def test_a_probe_that_fails_is_told_once_and_the_others_go_on() -> None:
    looks = threading.Semaphore(0)

    def fails() -> Items:
        looks.release()
        raise ConnectionResetError("gone")

    with Sampler([Probe("broken", 0.01, fails), Probe("whole", 0.01, lambda: one("whole"))]) as asked:
        for _ in range(3):
            assert looks.acquire(timeout=10)
    readings, events = asked.take()
    assert [(each.kind, each.text) for each in events] == [("probe_failed", "broken: ConnectionResetError: gone")]
    assert len([each for each in readings if each.name == "whole"]) >= 3


def test_a_probe_that_does_not_answer_holds_up_neither_the_quick_ones_nor_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampler, "FIRST_S", 0.05)
    monkeypatch.setattr(sampler, "END_S", 0.05)
    let_go, looked, closed = threading.Event(), threading.Semaphore(0), []

    def hangs() -> Items:
        let_go.wait(30)
        return ()

    def quick() -> Items:
        looked.release()
        return one("quick")

    hanging = Probe("frozen service", 1.0, hangs, close=lambda: closed.append("frozen service"))
    with Sampler([hanging, Probe("quick", 0.01, quick, close=lambda: closed.append("quick"))]) as asked:
        for _ in range(5):
            assert looked.acquire(timeout=10)
    events = asked.take()[1]
    let_go.set()
    assert [(each.kind, each.text) for each in events] == [("probe_failed", "frozen service: no answer in 0 s")]
    assert closed == ["quick"]


def test_a_probe_that_takes_most_of_its_period_is_slow_and_one_that_did_once_in_a_hundred_looks_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    took_s = {"slow": iter([0.6, 0.4, 0.7]), "seldom": iter([0.9] + [0.01] * 99)}

    def looks(name: str) -> Items:
        clock[0] += next(took_s[name])
        return ()

    tried = [Probe(name, 1.0, lambda name=name: looks(name)) for name in took_s]  # type: ignore[misc]
    one_round = sampler._Round(tried, lambda _: None, threading.Event())
    for probe, times in zip(tried, (3, 100), strict=True):
        for _ in range(times):
            one_round._ask(probe, probe.read)
    told = [sampler.slow(probe).text for probe in tried if probe.slow > sampler.SLOW_SHARE * probe.looks]
    assert told == ["slow: 2 of 3 looks took over half of the 1 s between them, the longest 0.7 s"]


def test_what_a_probe_has_to_say_at_the_end_comes_after_its_last_look_and_its_cost_is_a_reading() -> None:
    said = [Event(1, "table", "tier", "the end")]
    with Sampler([Probe("one", 1.0, lambda: one("level"), end=lambda: said)]) as asked:
        pass
    readings, events = asked.take()
    assert [each.name for each in readings if each.tier == "tier"] == ["level", "level"]
    assert events == said
    assert {each.tier for each in readings if each.name == "cpu_s"} == {"probes"}
    assert asked.cpu_s > 0


# ---- Postgres


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("UPDATE shop_item SET name = 'from secret' WHERE id = 7", "UPDATE shop_item"),
        ('select "a" from "Shop"."Item" where x = 1 for update', 'SELECT "Shop"."Item"'),
        ("SELECT 'FROM hidden', 1", "SELECT"),
        ("/* from hidden */ INSERT INTO t VALUES (1)", "INSERT t"),
        ("SELECT $x$ from hidden $x$ FROM seen", "SELECT seen"),
        ("COMMIT", "COMMIT"),
        ("", "a statement"),
        (None, "a statement"),
    ],
)
def test_a_statement_is_told_by_its_kind_and_its_table_alone(text: str | None, told: str) -> None:
    assert postgres.statement(text) == told


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("SELECT *\n FROM t /* trace=abc */ WHERE id = $1 -- x", "SELECT * FROM t WHERE id = $1"),
        ("ALTER ROLE app PASSWORD 'hunter2'", "ALTER"),
        ("BEGIN;", "BEGIN"),
        ("", "a statement"),
    ],
)
def test_only_statements_with_parameters_are_kept_whole(text: str, shown: str) -> None:
    assert statements.shown(text) == shown


def test_postgres_is_asked_by_the_names_that_its_version_has_and_old_names_become_the_same_readings() -> None:
    rows: dict[str, list[tuple[object, ...]]] = {
        "SHOW": [("130004",)],
        "SELECT (SELECT to_jsonb": [({"xact_commit": 7, "deadlocks": 0}, None, {"checkpoints_req": 2}, None)],
    }
    asked = []

    def ask(query: str) -> list[tuple[object, ...]]:
        asked.append(query)
        return next(found for begin, found in rows.items() if query.startswith(begin))

    probe = postgres.Postgres(ask, "o'neil", 20, 17)
    assert of(probe.counters()) == {"commits": 7, "deadlocks": 0, "checkpoints_requested": 2}
    assert "'o''neil'" in asked[-1]
    assert "pg_stat_bgwriter" in asked[-1]
    assert "pg_stat_wal" not in asked[-1]
    rows["SELECT (SELECT to_jsonb"] = [({"xact_commit": 9, "deadlocks": 2}, None, None, None)]
    assert [(e.kind, e.times) for e in probe.counters() if isinstance(e, Event)] == [("deadlock", 2)]


# ---- what others tell


def test_pgbouncers_reports_become_seconds_and_leave_its_own_console_out() -> None:
    columns = ("database", "cl_active", "cl_waiting", "sv_active", "sv_idle", "maxwait", "maxwait_us")
    rows = (("app", 3, 4, 2, 1, 1, 500_000), ("pgbouncer", 1, 0, 0, 0, 0, 0))
    pools = [dict(zip(columns, row, strict=True)) for row in rows]
    names = ("total_xact_count", "total_query_count", "total_wait_time", "total_xact_time", "total_query_time")
    stats = [dict(zip(names, (10, 30, 2_000_000, 500_000, 250_000), strict=True)) | {"database": "app"}]
    assert of(pgbouncer.readings(pools, stats, 5)) == {
        "clients_active": 3,
        "clients_waiting": 4,
        "servers_active": 2,
        "servers_idle": 1,
        "servers_limit": 5,
        "longest_wait_s": 1.5,
        "transactions": 10,
        "queries": 30,
        "wait_s": 2.0,
        "transaction_s": 0.5,
        "query_s": 0.25,
    }


def test_an_info_without_a_memory_limit_tells_none_and_our_own_connection_is_no_client() -> None:
    info = (
        "# Clients\r\nconnected_clients:5\r\nblocked_clients:1\r\nused_memory:1000\r\nmaxmemory:0\r\nevicted_keys:3\r\n"
    )
    told = of(caches.readings(info, "cache", 1))
    assert told["clients"] == 4
    assert told["clients_blocked"] == 1
    assert told["evicted"] == 3
    assert "memory_limit_bytes" not in told


def test_mariadbs_status_leaves_who_asks_out_of_those_at_work() -> None:
    told = {"Threads_connected": "8", "Threads_running": "3", "Innodb_row_lock_time": "1500", "Questions": "12"}
    assert of(mariadb.readings(told, 151)) == {
        "count": 8,
        "limit": 151,
        "usable": 151,
        "active": 2,
        "statements": 12,
        "row_lock_s": 1.5,
    }


# ---- nginx's log


def line(**other: object) -> bytes:
    """A line as nginx's configuration has it."""
    found = {
        "msec": 1.5,
        "request_time": 0.03,
        "status": "200",
        "method": "GET",
        "uri": "/",
        "upstream_addr": "127.0.0.1:8001",
        "upstream_status": "200",
        "upstream_connect_time": "0.001",
        "upstream_header_time": "0.020",
        "upstream_response_time": "0.025",
        "upstream_cache_status": "",
    }
    return json.dumps(found | other).encode() + b"\n"


def test_the_timing_log_is_followed_from_its_end_and_told_by_request(tmp_path: Path) -> None:
    log = tmp_path / "timing.log"
    log.write_bytes(line(request_time=9.0))
    probe = nginx.TimingLog(log)
    assert of(probe.read())["requests"] == 0
    with log.open("ab") as file:
        file.write(line())
        file.write(
            line(
                upstream_addr="127.0.0.1:8001, 127.0.0.1:8002",
                upstream_connect_time="-, 0.003",
                upstream_header_time="-, 0.040",
                upstream_response_time="0.002, 0.045",
                request_time=0.05,
            )
        )
        file.write(line()[:30])  # still being written
    told = of(probe.read())
    assert (told["requests"], told["timed"], told["tries"], told["own_errors"]) == (2, 2, 3, 0)
    assert told["upstream_s"] == pytest.approx(0.072)
    assert told["connect_s"] == pytest.approx(0.004)
    assert told["request_s"] == pytest.approx(0.08)
    assert told["upstream_most_s"] == pytest.approx(0.047)
    assert told["upstream_p50_s"] == pytest.approx(0.025)


@pytest.mark.parametrize(
    ("other", "own"),
    [
        ({"status": "502", "upstream_header_time": "-", "upstream_status": "502"}, 1),
        ({"status": "500", "upstream_status": "500"}, 0),
        ({"status": "499", "upstream_header_time": "-", "upstream_status": "-"}, 0),
        ({"status": "503", "upstream_addr": "", "upstream_header_time": "", "upstream_response_time": ""}, 1),
        ({"status": "200", "upstream_addr": "", "upstream_header_time": "", "upstream_response_time": ""}, 0),
    ],
)
def test_an_answer_is_nginxs_own_where_no_app_server_gave_one(
    tmp_path: Path, other: dict[str, object], own: int
) -> None:
    log = tmp_path / "timing.log"
    log.touch()
    probe = nginx.TimingLog(log)
    log.write_bytes(line(**other))
    assert of(probe.read())["own_errors"] == own


def test_what_the_cache_answered_is_told_of_what_it_was_asked(tmp_path: Path) -> None:
    log = tmp_path / "timing.log"
    log.touch()
    probe = nginx.TimingLog(log)
    away = {"upstream_addr": "", "upstream_header_time": "", "upstream_response_time": "", "upstream_connect_time": ""}
    log.write_bytes(line(upstream_cache_status="MISS") + line(upstream_cache_status="HIT", **away) + line())
    told = of(probe.read())
    assert (told["cache_lookups"], told["cache_hits"], told["tries"]) == (2, 1, 2)


def test_of_a_long_log_all_lines_are_counted_and_the_newest_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nginx, "PARSED_MAX", 3 * len(line()))
    log = tmp_path / "timing.log"
    log.touch()
    probe = nginx.TimingLog(log)
    log.write_bytes(line() * 50)
    told = of(probe.read())
    assert told["requests"] == 50
    assert 2 <= told["timed"] <= 3
    log.write_bytes(line())  # emptied for being too long, and begun anew
    assert of(probe.read())["requests"] == 51


# ---- logs and the kernel


@pytest.mark.parametrize(
    ("tier", "text", "kind", "told"),
    [
        (
            "app",
            "[2026-01-01 00:00:00 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:9)",
            "worker_timeout",
            "WORKER TIMEOUT",
        ),
        ("app", "DAMN ! worker 2 (pid: 77) died, killed by signal 9 :( trying respawn ...", "worker_killed", "DAMN"),
        (
            "app",
            '*** uWSGI listen queue of socket "127.0.0.1:8000" (fd: 3) full !!! (101/100) ***',
            "queue_full",
            "uWSGI listen",
        ),
        ("app", "WARNING:  Exceeded concurrency limit.", "queue_full", "Exceeded concurrency limit"),
        ("app", "WARNING:waitress.queue:Task queue depth is 4", "queue_depth", "Task queue depth"),
        ("app", "psycopg.OperationalError: connection failed", "log_error", "psycopg.OperationalError: connection"),
        ("app", "django.db.utils.IntegrityError: no", "log_error", "django.db.utils.IntegrityError: no"),
        ("app", "ValueError: not a number", "log_error", "ValueError: not a number"),
        ("app", "OSError: [Errno 24] Too many open files", "descriptors_exhausted", "Too many open files"),
        (
            "proxy",
            "2026/01/01 [alert] 5#5: 512 worker_connections are not enough while connecting",
            "connections_exhausted",
            "512",
        ),
        (
            "proxy",
            "5#5: *7 upstream timed out (110: Connection timed out) while reading response header from upstream, x",
            "upstream_failed",
            "upstream timed out (110: Connection timed out) while reading response header from upstream",
        ),
        (
            "proxy",
            "2026/01/01 [error] 5#5: *7 connect() failed (111: Connection refused) while connecting to upstream, x",
            "upstream_failed",
            "connect() failed (111: Connection refused) while connecting to upstream",
        ),
        ("proxy", '[error] 5#5: *7 limiting connections by zone "everyone", client', "limited", "limiting"),
        (
            "pooler",
            "C-0x55: app/app@127.0.0.1:1 closing because: no more connections allowed (max_client_conn) (age=0s)",
            "pooler_refused",
            "no more connections allowed (max_client_conn) (age=0s)",
        ),
        ("pooler", "closing because: query_wait_timeout (age=120s)", "pooler_error", "query_wait_timeout"),
    ],
)
def test_lines_that_matter_are_told(tmp_path: Path, tier: str, text: str, kind: str, told: str) -> None:
    path = tmp_path / "a.log"
    path.touch()
    log = logs.Log(tier, path, logs.PATTERNS.get(tier, logs.APP))
    path.write_text(f"{text}\nnothing of note\n{text}\n", encoding="utf-8")
    found = log.read()
    assert [(each.kind, each.times) for each in found] == [(kind, 2)]
    assert found[0].text.startswith(told)


def test_pressure_is_the_seconds_in_which_something_waited() -> None:
    text = "some avg10=0.10 avg60=3.00 avg300=2.00 total=82887711\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"
    assert processes.pressure_s(text) == pytest.approx(82.887711)
    assert processes.pressure_s("") is None


def test_a_process_that_does_nothing_keeps_its_place_in_the_account() -> None:
    tree = processes.Tree("app", os.getpid())
    while of(tree.cpu())["cpu_s"] == 0:
        sum(n * n for n in range(100_000))
    for _ in range(100):  # two looks between which the clock's tick did not come
        tree.rest()
        tree.rest()
        if tree._known == ((), sum(tree._ticks.values())):
            break
    used_s = sum(tree._ticks.values()) / os.sysconf("SC_CLK_TCK")
    assert of(tree.cpu())["cpu_s"] == pytest.approx(used_s)
    assert not tree._files
    tree.close()
