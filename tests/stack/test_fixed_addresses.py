"""Stores that answer where the app's own settings expect them: name, port, user, password and database."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prony.errors import PlanError
from prony.stack.binaries import debian
from prony.stack.places import hosts_of, places_of
from prony.stack.stack import Stack
from tests.stack.tiers_case import Rig

AT = "postgres://shop:s%40cret@db:5432/shop"
POSTGRES = f'[stores.database]\nkind = "postgres"\nat = "{AT}"\n'
CACHE = '[stores.cache]\nkind = "valkey"\nat = "redis://:hush@cache:6379/3"\n'
# An app whose settings say where its stores are, and nothing in its environment.
APP = """
import json, os, sys
import psycopg, valkey
def database(change=0):
    with psycopg.connect(host="db", port=5432, user="shop", password="s@cret", dbname="shop", autocommit=True) as link:
        link.execute("CREATE TABLE IF NOT EXISTS things (n integer)")
        for _ in range(change):
            link.execute("INSERT INTO things VALUES (1)")
        owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'things'"
        return link.execute("SELECT count(*) FROM things").fetchone()[0], link.execute(owner).fetchone()[0]
def cache(change=0):
    link = valkey.Valkey("cache", 6379, db=3, password="hush")
    for _ in range(change):
        link.incr("things")
    return int(link.get("things") or 0)
def application(environ, start_response):
    asked = environ["QUERY_STRING"]
    told = {"database": database("add" in asked), "cache": cache("add" in asked) if "cache" in asked else None,
            "handed": sorted(name for name in os.environ if name.endswith("_URL"))}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told).encode()]
if __name__ == "__main__":
    database(3)
    if "cache" in sys.argv:
        cache(3)
"""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    found = Rig(tmp_path_factory.mktemp("fixed"))
    (found.folder / "settings.py").write_text(APP, encoding="utf-8")
    with found.stack:
        if not found.stack.launcher.namespace:
            pytest.skip(found.stack.launcher.why_no_namespace)
        yield found


def boot(rig: Rig, tables: str, prepare: str = "python settings.py") -> None:
    rig.boot(tables, entry="settings:application", prepare=prepare)


def test_stores_answer_where_settings_expect_them_and_are_restored(rig: Rig) -> None:
    for _ in range(2):
        boot(rig, POSTGRES + CACHE, "python settings.py cache")
        told = rig.get("/?cache&add")
        assert told["database"] == [4, "shop"]
        assert told["cache"] == 4
        assert told["handed"] == []
    addresses = rig.stack.stores.addresses()
    assert (addresses["database"][1], addresses["cache"][1]) == (5432, 6379)


def test_the_outermost_of_what_stands_before_a_store_is_at_its_address(rig: Rig) -> None:
    boot(rig, POSTGRES)
    for front in ("round_trip = '1ms'\n", "[pooler]\nkind = 'pgbouncer'\n", "", "[link.database]\n", "[pooler]\n"):
        boot(rig, POSTGRES + front)
        assert rig.get()["database"] == [3, "shop"], front
        assert rig.stack.stores.addresses()["database"][1] == 5432
    boot(rig, POSTGRES + "[pooler]\n[link.pooler]\nround_trip = '1ms'\n")
    assert rig.get()["database"] == [3, "shop"]
    assert rig.stack.changeable() == {"link.pooler"}


def test_variables_that_are_asked_for_lead_to_that_address(rig: Rig) -> None:
    boot(rig, POSTGRES + "env = 'SHOP_URL'\n")
    assert rig.get()["handed"] == ["SHOP_URL"]
    assert rig.stack.stores.environment(rig.plan(POSTGRES + "env = 'SHOP_URL'\n")) == {"SHOP_URL": AT}


def test_two_hosts_may_have_the_same_port(rig: Rig) -> None:
    more = CACHE.replace("stores.cache", "stores.queue").replace("hush@cache", "other@queue")
    plan = rig.plan(POSTGRES + CACHE + more)
    assert hosts_of(plan) == {"db": "127.0.0.1", "cache": "127.0.0.1", "queue": "127.2.0.3"}
    assert places_of(plan)["queue"] == ("127.2.0.3", 6379)
    boot(rig, POSTGRES + CACHE + more, "python settings.py cache")
    assert rig.get("/?cache")["cache"] == 3
    with rig.stack.launcher.socket() as link:
        link.connect(("127.2.0.3", 6379))
        link.sendall(b"AUTH hush\r\nAUTH other\r\nPING\r\n")
        said = b""
        while said.count(b"\r\n") < 3:
            said += link.recv(100)
    assert said.startswith(b"-WRONGPASS")
    assert said.endswith(b"+OK\r\n+PONG\r\n")


def test_a_superusers_name_and_no_password_get_in_too(rig: Rig) -> None:
    at = (
        "at = 'postgresql+psycopg://postgres@localhost/postgres'\nenv = { DATABASE_URL = 'postgres://{user}@{host}' }\n"
    )
    rig.boot('[stores.database]\nkind = "postgres"\n' + at)
    assert rig.held()[0] == 3
    rig.boot('[stores.database]\nkind = "postgres"\n')
    assert rig.held()[0] == 3, "and an address of prony's own choice after it"


@pytest.mark.parametrize(
    "at", ["redis://:one@cache:6380/20", "redis://who:two@cache", "redis://default:x@cache", "redis://cache"]
)
def test_a_cache_takes_who_its_settings_name(rig: Rig, at: str) -> None:
    rig.boot(f"[stores.cache]\nkind = 'valkey'\nat = '{at}'\nenv = 'REDIS_URL'\n")
    assert rig.held()[1] == 3


@pytest.mark.long
def test_mariadb_lets_in_who_the_settings_name(rig: Rig) -> None:
    at = "mysql://keeper:it's%20%5C@mysql:3306/my-shop"
    rig.boot(f"[stores.database]\nkind = 'mariadb'\nat = \"{at}\"\n", prepare="")
    unpacked = debian.unpacked("mariadb-client-core", "mariadb")
    login = ["--host=mysql", "--port=3306", "--user=keeper", "--password=it's \\", "my-shop"]
    client = rig.stack.launcher.spawn(
        "mariadb",
        [str(debian.program(unpacked, "mariadb")), "--no-defaults", *login, "--execute=SELECT DATABASE()"],
        env=debian.environment(unpacked),
        cwd=rig.folder,
        log=rig.folder.parent / "client",
    )
    assert rig.stack.launcher.wait(client, 30)
    assert client.last_lines()[-1:] == ("my-shop",)


def test_without_a_network_of_its_own_it_is_said_what_to_do_instead(tmp_path: Path) -> None:
    project = Rig(tmp_path)
    project.stack.close()
    with Stack(tmp_path / "more", namespace=False) as stack, pytest.raises(PlanError) as caught:
        stack.boot(project.plan(POSTGRES, python=sys.executable))
    assert "[stores.database] at: found it where the stack has no network of its own" in caught.value.message
    assert "write env = " in str(caught.value.hint)
