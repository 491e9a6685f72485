from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from time import monotonic

import psutil
import pytest

from prony.errors import StackError
from prony.stack import folders
from prony.stack.launch import Launcher
from prony.stack.services.memcached import Memcached
from prony.stack.services.valkey import Valkey
from tests.stack.stores_case import CLASSES, CLIENTS, KEEPING, OTHER, Bench, settings

EXTEND = """
import sys, psycopg
with psycopg.connect(sys.argv[1]) as link:
    link.execute('CREATE EXTENSION IF NOT EXISTS "uuid-ossp"')
    link.execute("CREATE EXTENSION pgcrypto")
"""
HOLD = """
import sys, psycopg
link = psycopg.connect(sys.argv[1])
link.execute("SELECT 1")
print("held", flush=True)
sys.stdin.close()
__import__("signal").pause()
"""


# Ends as if killed, with what it wrote still in the file beside the database's own.
WRITE_AND_DIE = """
import os, sqlite3, sys
link = sqlite3.connect(sys.argv[1].removeprefix("sqlite:///"))
link.execute("INSERT INTO words VALUES ('late')")
link.commit()
os._exit(0)
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Launcher(folders.run_folder()) as launcher:
        made = Bench(launcher, tmp_path_factory.mktemp("stores"))
        yield made
        made.close()


def until(holds: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Poll until it holds."""
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        Event().wait(0.02)


@pytest.mark.parametrize("kind", KEEPING)
def test_a_store_gives_its_prepared_data_back_after_changes_and_under_other_settings(bench: Bench, kind: str) -> None:
    store = bench.store(kind)
    store.empty()
    assert not store.prepared(("a",))
    assert bench.words(store, "prepared") == "prepared"
    store.keep(("a",))
    store.restore(("a",))
    assert store.prepared(("a",))
    assert bench.words(store, "late") == "late prepared"
    store.restore(("a",))
    assert bench.words(store) == "prepared"
    store.start(settings(kind, **OTHER[kind][0]))
    assert store.prepared(("a",))
    store.restore(("a",))
    assert bench.words(store, "later") == "later prepared"
    store.empty()
    assert bench.words(store, "other") == "other"
    store.keep(("b",))
    store.restore(("a",))
    assert bench.words(store) == "prepared"
    store.restore(("b",))
    assert bench.words(store) == "other"
    store.stop()
    assert store.process is None


def test_what_a_killed_app_left_beside_an_sqlite_file_counts_when_kept_and_goes_when_restored(bench: Bench) -> None:
    store = bench.store("sqlite")
    store.start(settings("sqlite", journal_mode="wal"))
    bench.words(store, "prepared")
    store.keep(("a",))
    beside = Path(store.url(0).removeprefix("sqlite:///") + "-wal")
    for key, words in (("a", "prepared"), ("b", "late prepared")):
        store.restore(("a",))
        bench.done(bench.python(WRITE_AND_DIE, store.url(0)))
        assert beside.stat().st_size > 0
        if key == "b":
            store.keep(("b",))
        store.restore((key,))
        assert not beside.exists()
        assert bench.words(store) == words


def test_memcached_comes_back_empty_and_says_that_it_was_prepared(bench: Bench) -> None:
    store = bench.store("memcached")
    assert bench.words(store, "prepared", "late") == "late prepared"
    assert not store.prepared(("a",))
    store.keep(("a",))
    assert store.prepared(("a",))
    store.restore(("a",))
    assert bench.words(store) == ""
    assert isinstance(store, Memcached)
    assert store.stats()["total_items"] == "0"  # as fresh: its counters, too
    store.stop()


@pytest.mark.parametrize("kind", list(CLASSES))
def test_a_knob_is_read_back_from_the_running_program(bench: Bench, kind: str) -> None:
    store = bench.store(kind)
    others, answers = OTHER[kind]
    for query, answer in answers.items():
        assert bench.words(store, "ask", query) != answer, query
    store.start(settings(kind, **others))
    for query, answer in answers.items():
        assert bench.words(store, "ask", query) == answer, query
    store.stop()


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind != "sqlite"])
def test_only_its_own_knobs_restart_a_store_and_its_port_stays(bench: Bench, kind: str) -> None:
    store = bench.store(kind)
    first, port = store.process, store.port
    store.start(settings(kind))
    store.start(settings(kind, round_trip=0.1))
    assert store.process is first
    store.start(settings(kind, **OTHER[kind][0]))
    assert store.process is not first
    assert store.port == port
    store.stop()
    with pytest.raises(OSError, match="refused"):
        bench.launcher.connect(port, 2)


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind != "sqlite"])
def test_a_store_that_was_killed_comes_up_again_with_what_was_prepared(bench: Bench, kind: str) -> None:
    store = bench.store(kind)
    bench.words(store, "prepared")
    store.keep(("a",))
    store.restore(("a",))
    assert store.process is not None
    bench.launcher.signal(store.process, signal.SIGKILL)
    assert bench.launcher.wait(store.process, 10)
    store.start(settings(kind))
    store.restore(("a",))
    assert bench.words(store) == ("" if kind == "memcached" else "prepared")
    store.stop()


@pytest.mark.skipif(os.getuid() != 0, reason="only root has a user to change from")
@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind != "sqlite"])
def test_under_root_a_store_runs_unprivileged(bench: Bench, kind: str) -> None:
    store = bench.store(kind)
    assert store.process is not None
    assert 0 not in psutil.Process(store.process.pid).uids()
    assert 0 not in psutil.Process(store.process.pid).gids()
    store.stop()


@pytest.mark.parametrize(("kind", "says"), [("postgres", "password authentication failed"), ("valkey", "WRONGPASS")])
def test_a_wrong_password_does_not_get_in(bench: Bench, kind: str, says: str) -> None:
    store = bench.store(kind)
    user, _, rest = store.url(store.port).rpartition("@")
    process = bench.python(CLIENTS[kind], f"{user[:-4]}none@{rest}")
    assert bench.launcher.wait(process, 30)
    assert process.code != 0
    assert any(word in process.log.read_text() for word in (says, "invalid username-password"))
    store.stop()


def test_what_keeps_a_store_from_starting_is_told_in_its_own_words(bench: Bench) -> None:
    store = bench.store("memcached")
    with pytest.raises(StackError, match=r"\[stores.memcached\d+\] memcached ended while starting") as caught:
        store.start(settings("memcached", memory=8, max_item_mb=100))
    assert "item size" in "\n".join(caught.value.log).lower()
    store.start(settings("memcached"))
    assert bench.words(store, "late") == "late"
    store.stop()


def test_a_redis_is_this_machines_own_or_says_that_it_is_valkey(bench: Bench) -> None:
    store = bench.store("redis")
    assert isinstance(store, Valkey)
    served = "valkey_version" in store.ask("INFO", "server")
    assert served == store.version.endswith("(Valkey)")
    store.stop()


def test_a_postgres_of_this_machine_has_a_cluster_of_its_own(bench: Bench) -> None:
    store = bench.store("postgres")
    bench.words(store, "prepared")
    store.keep(("a",))
    bench.start(store, settings("postgres", source="system"))
    assert not store.prepared(("a",))
    assert bench.words(store, "system") == "system"
    assert bench.words(store, "ask", "SHOW server_version").split()[0] == store.version
    store.keep(("a",))
    store.restore(("a",))
    assert bench.words(store) == "system"
    store.start(settings("postgres"))
    store.restore(("a",))
    assert bench.words(store) == "prepared"
    store.stop()


def test_extensions_that_its_build_lacks_can_be_created_by_the_app_s_own_role(bench: Bench) -> None:
    store = bench.store("postgres")
    url = store.url(store.port)
    bench.done(bench.python(EXTEND, url))
    assert bench.words(store, "ask", "SELECT uuid_generate_v4() <> uuid_nil()") == "True"
    sha = "SELECT encode(digest('tea', 'sha256'), 'hex') = encode(sha256('tea'), 'hex')"
    assert bench.words(store, "ask", sha) == "True"
    store.keep(("a",))
    store.restore(("a",))
    assert bench.words(store, "ask", "SELECT uuid_ns_dns()::text") == "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    store.stop()


def test_a_prepared_database_is_kept_and_restored_although_somebody_is_in_it(bench: Bench) -> None:
    store = bench.store("postgres")
    bench.words(store, "prepared")
    for act in (store.keep, store.restore):
        if act == store.restore:
            store.restore(("a",))
        held = bench.python(HOLD, store.url(store.port))
        until(lambda held=held: "held" in held.log.read_text(), "a connection")  # type: ignore[misc]
        act(("a",))
        bench.launcher.signal(held, signal.SIGKILL)
    assert bench.words(store) == "prepared"
    store.stop()
