"""Stores, poolers, links and services that come, change and go between two boots of one stack."""

from __future__ import annotations

import _thread
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import psycopg
import pytest

from prony.errors import PlanError, StackError
from prony.stack.services.valkey import Valkey
from tests.stack.tiers_case import CACHE, DATABASE, PROXY, Rig, until

POSTGRES, SQLITE, MARIADB = (DATABASE.format(kind) for kind in ("postgres", "sqlite", "mariadb"))
FEED = '[services.feed]\nenv = "FEED_URL"\nlatency = "1ms"\n'
POOLER = '[pooler]\nkind = "pgbouncer"\npool_mode = "transaction"\nmin_pool_size = 2\n'
SLOW = 0.15  # s: a round trip that no noise is taken for


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    found = Rig(tmp_path_factory.mktemp("tiers"))
    with found.stack:
        yield found


# ---- stores


@pytest.mark.parametrize("database", [POSTGRES, SQLITE], ids=["postgres", "sqlite"])
def test_all_stores_begin_each_start_as_prepared(rig: Rig, database: str) -> None:
    rig.boot(database + CACHE)
    assert rig.held() == (3, 3)
    assert rig.held("/add") == (4, 4)
    rig.boot(database + CACHE)
    assert rig.held() == (3, 3)


def test_databases_take_turns_and_each_keeps_what_was_prepared(rig: Rig) -> None:
    rig.boot(POSTGRES)
    was, first = rig.prepared(), rig.pids("database")
    for tables, held in ((SQLITE, 3), ("", None), (POSTGRES, 3), (SQLITE, 3)):
        rig.boot(tables)
        assert rig.held() == (held, None)
        assert rig.gone(first)
        assert ("database" in rig.stack.stores.versions()) is bool(tables)
    assert rig.prepared() <= was + 2  # once for SQLite and once for no store at all; never again for Postgres


@pytest.mark.long
def test_mariadb_takes_its_turn(rig: Rig) -> None:
    for tables, held in ((POSTGRES, 3), (MARIADB, 5), ("", None), (MARIADB, 5), (POSTGRES, 3)):
        rig.boot(tables)
        assert rig.held() == (held, None)  # of MariaDB its greeting's first five bytes


def test_a_cache_comes_and_goes(rig: Rig) -> None:
    rig.boot(POSTGRES)
    database = rig.pids("database")
    rig.boot(POSTGRES + CACHE)
    cache = rig.pids("cache")
    assert (rig.held(), rig.pids("database")) == ((3, 3), database)
    rig.boot(POSTGRES)
    assert rig.held() == (3, None)
    assert rig.gone(cache)


def test_prepare_runs_once_for_each_way_to_prepare(rig: Rig) -> None:
    rig.boot(POSTGRES + CACHE)
    was = rig.prepared()
    rig.boot(POSTGRES + CACHE, prepare="python holds.py 5")
    assert (rig.held(), rig.prepared()) == ((5, 5), was + 1)
    rig.boot(POSTGRES + CACHE)
    assert (rig.held(), rig.prepared()) == ((3, 3), was + 1)
    rig.boot(POSTGRES + CACHE, env={"SEED": "another"})
    assert (rig.held(), rig.prepared()) == ((3, 3), was + 2)
    rig.boot(POSTGRES + CACHE, prepare="python holds.py 5")
    assert (rig.held(), rig.prepared()) == ((5, 5), was + 2)


@pytest.mark.long
def test_a_state_that_is_prepared_again_takes_no_other_s_place(rig: Rig) -> None:
    """The same key is kept twice where one of the stores could not keep it; the next key must not be put over it."""
    tables = POSTGRES + CACHE
    rig.boot(tables)
    cache = rig.stack.stores._running["cache"]
    assert isinstance(cache, Valkey)
    cache._kept.clear()
    rig.boot(tables)
    rig.boot(tables, prepare="python holds.py 5", env={"SEED": "third"})
    assert rig.held() == (5, 5)
    rig.boot(tables)
    assert rig.held() == (3, 3)


def test_a_store_that_died_comes_back_as_prepared(rig: Rig) -> None:
    rig.boot(POSTGRES + CACHE)
    for tier in ("database", "cache"):
        os.kill(rig.pids(tier)[0], signal.SIGKILL)
    until(lambda: {tier for tier, _, _ in rig.stack.dead()} == {"database", "cache"}, "both are told to be dead")
    assert {how for _, _, how in rig.stack.dead()} == {"killed by SIGKILL"}
    rig.boot(POSTGRES + CACHE)
    assert rig.held() == (3, 3)
    assert not list(rig.stack.dead())


# ---- the pooler


def test_a_pooler_comes_goes_and_is_what_the_app_connects_to(rig: Rig) -> None:
    for _ in range(2):  # the second restores the database under connections that it holds
        rig.boot(POSTGRES + POOLER)
        assert rig.held() == (3, None)
    pooler = rig.stack.stores.pooler
    assert pooler is not None
    [pool] = [row for row in pooler.show("POOLS") if row["database"] == "app"]
    assert pool["pool_mode"] == "transaction"
    pids = rig.pids("pooler")
    rig.boot(SQLITE)
    assert rig.held() == (3, None)
    assert rig.gone(pids)
    assert rig.stack.stores.pooler is None


# ---- links


def opened(rig: Rig, name: str) -> int:
    """Connections that came through the links of that name."""
    return sum(link.stats()["opened"] for link in rig.stack._all_links()[name])


def test_a_round_trip_comes_and_goes(rig: Rig) -> None:
    rig.boot(CACHE + f'round_trip = "{SLOW * 1000:g}ms"\n')
    assert rig.get()["cache_s"] >= SLOW
    assert rig.stack.changeable() == {"link.cache"}
    [link] = rig.stack._all_links()["cache"]
    assert link.process is not None
    pid = link.process.pid
    rig.stack.change("link.cache", {"round_trip_s": 0.0})
    before = opened(rig, "cache")
    assert rig.held() == (None, 3)
    assert opened(rig, "cache") == before + 1
    rig.boot(CACHE)
    assert rig.held() == (None, 3)
    assert rig.stack.changeable() == set()
    assert rig.gone([pid])


def test_a_stack_comes_up_before_its_links_freeze_and_drop(rig: Rig) -> None:
    rig.boot(CACHE + POSTGRES + "[link.cache]\ndrop = 1.0\n[link.database]\nbandwidth = 100000\n")
    assert rig.held() == (3, "ConnectionError")
    rig.stack.change("link.cache", {"drop": 0.0})
    assert rig.held() == (3, 3)
    rig.boot(CACHE + "[link.cache]\nfrozen = true\n[link.app]\nround_trip = '1ms'\n")
    with pytest.raises(TimeoutError):
        rig.answer(timeout_s=0.5)
    rig.stack.change("link.cache", {"frozen": False})
    assert rig.held() == (None, 3)
    rig.boot(CACHE + "[link.cache]\nfrozen = true\n")  # what was changed while it ran is as planned again
    with pytest.raises(TimeoutError):
        rig.answer(timeout_s=0.5)


def test_a_link_stands_before_every_tier_that_is_reached(rig: Rig) -> None:
    names = ("app", "proxy", "feed", "pooler", "database", "cache")
    links = "".join(f"[link.{name}]\nround_trip = '1ms'\n" for name in names)
    rig.boot(POSTGRES + CACHE + POOLER + PROXY + FEED + "[server]\ninstances = 2\n" + links)
    before = {name: opened(rig, name) for name in names}
    found = [rig.get() for _ in range(6)]
    assert {(each["database"], each["cache"], each["feed"]) for each in found} == {(3, 3, 200)}
    after = {name: opened(rig, name) for name in names}
    assert rig.stack.changeable() == {f"link.{name}" for name in names} | {"services.feed"}
    for name in ("app", "proxy", "feed", "pooler", "cache"):
        assert after[name] > before[name], name
    assert after["database"] >= 1  # the pooler keeps its connections
    [link] = rig.stack._all_links()["cache"]
    assert link.process is not None
    os.kill(link.process.pid, signal.SIGKILL)
    until(lambda: [tier for tier, _, _ in rig.stack.dead()] == ["link.cache"], "a link's end is told")
    rig.boot("")
    assert rig.stack._all_links() == {}
    assert rig.held() == (None, None)


def test_what_cannot_be_changed_names_what_can(rig: Rig) -> None:
    rig.boot(CACHE + FEED + "[link.cache]\nround_trip = '1ms'\n")
    with pytest.raises(PlanError) as caught:
        rig.stack.change("link.database", {"round_trip_s": 0.1})
    assert "link.database: found no such thing" in caught.value.message
    assert "allowed: link.cache, services.feed" in caught.value.message


# ---- services


def test_outside_services_come_change_and_go(rig: Rig) -> None:
    rig.boot(FEED)
    assert rig.get()["feed"] == 200
    pids = rig.pids("outside.feed")
    rig.stack.change("services.feed", {"errors": 1.0})
    assert rig.get()["feed"] == "HTTPError"
    rig.boot(FEED)
    assert rig.get()["feed"] == 200
    assert rig.pids("outside.feed") == pids
    rig.boot("")
    assert rig.get()["feed"] is None
    assert rig.gone(pids)


# ---- boots that fail


@pytest.mark.parametrize(
    ("tables", "app", "error", "said"),
    [
        (POSTGRES, {"entry": "nothing_here:application"}, PlanError, "nothing_here"),
        (POSTGRES, {"prepare": "python -c 'print(4); raise SystemExit(3)'"}, StackError, "exit code 3"),
        ("[server]\nkind = 'uvicorn'\n", {}, PlanError, "this is a WSGI app"),
    ],
    ids=["import", "prepare", "interface"],
)
def test_a_boot_that_fails_leaves_the_stack_fit_for_the_next(
    rig: Rig, tables: str, app: dict[str, Any], error: type[Exception], said: str
) -> None:
    rig.boot(POSTGRES + CACHE)
    server = rig.pids("app")
    with pytest.raises(error) as caught:
        rig.boot(tables, **app)
    assert said in str(getattr(caught.value, "message", ""))
    assert rig.stack.start is None
    assert rig.gone(server)
    rig.boot(POSTGRES + CACHE)
    assert rig.held() == (3, 3)


def test_a_first_start_of_postgres_that_fails_can_be_tried_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    if psutil.virtual_memory().total > 60 * 2**30:
        pytest.skip("this machine has memory enough for whatever Postgres may ask for")
    with rig.stack:
        with pytest.raises(StackError) as caught:
            rig.boot(POSTGRES + "shared_buffers_mb = 65536\n")
        assert "shared memory" in " ".join(caught.value.log)
        rig.boot(POSTGRES)
        assert rig.held() == (3, None)


def test_an_interrupt_in_a_boot_ends_what_was_being_done(rig: Rig) -> None:
    marker = rig.folder.parent / "begun"  # in the project's own folder it would lie under the cover

    def interrupt() -> None:
        until(marker.exists, "the prepare command runs")
        _thread.interrupt_main()

    thread = Thread(target=interrupt)
    thread.start()
    code = 'import os, pathlib, time; pathlib.Path("../begun").write_text(str(os.getpid())); time.sleep(99)'
    line = f"python -c '{code}'"
    with pytest.raises(KeyboardInterrupt):
        rig.boot(CACHE, prepare=line)
    thread.join()
    pid = int(marker.read_text() or 0)
    until(lambda: rig.gone([pid]), "the prepare command's end")
    rig.boot(CACHE)
    assert rig.held() == (None, 3)


def test_versions_of_everything_that_runs_are_known(rig: Rig) -> None:
    start = rig.boot(POSTGRES + CACHE + POOLER + PROXY)
    assert set(start.versions) == {"database", "cache", "pooler", "proxy"}
    for name, program in (("database", "postgres"), ("cache", "valkey"), ("pooler", "pgbouncer"), ("proxy", "nginx")):
        assert start.versions[name].split()[0] == program
        assert start.versions[name].split()[1][0].isdigit()
    assert start.checked["app"].versions["gunicorn"].startswith("27.")
    assert psycopg.__version__ == start.checked["app"].versions["psycopg"]
