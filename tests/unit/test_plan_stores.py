"""How stores are handed to an app: templates, fixed addresses, files, dumps; and what a wrong one is told."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.errors import PlanError
from prony.plan import Plan, Store, changed, read_document
from prony.plan.addresses import address_of, fill
from prony.plan.read import read_file

POSTGRES = '[stores.database]\nkind = "postgres"\n'
SQLITE = '[stores.database]\nkind = "sqlite"\n'
CACHE = '[stores.cache]\nkind = "valkey"\n'
URL = "postgres://shop:s%40cret@db:5433/shop"


def plan_of(tables: str, folder: Path = Path("/nowhere/shop"), **app: Any) -> Plan:
    document = tomllib.loads(tables)
    return read_document({**document, "app": {"entry": "shop:app", **app}}, "prony.toml", folder)


def test_a_variable_gets_the_url_and_templates_get_its_parts() -> None:
    plan = plan_of(
        POSTGRES + "[stores.database.env]\nDB_HOST = '{host}'\nDB_PORT = '{port}'\nDB_PASSWORD = '{password}'\n"
        "DB_NAME = '{name}'\nDB_USER = '{user}'\nKIND = '{scheme}'\nDB_URL = '{url}'\nSAME = 'as {{it}} stands'\n"
        "ASYNC = 'postgresql+asyncpg://{user}:{password}@{host}:{port}/{name}?x=1'\n" + CACHE
    )  # fmt: skip
    assert plan.stores["database"].handed(URL) == {
        "DB_HOST": "db",
        "DB_PORT": "5433",
        "DB_PASSWORD": "s@cret",
        "DB_NAME": "shop",
        "DB_USER": "shop",
        "KIND": "postgres",
        "DB_URL": URL,
        "SAME": "as {it} stands",
        "ASYNC": "postgresql+asyncpg://shop:s%40cret@db:5433/shop?x=1",
    }
    assert plan.stores["cache"].handed("redis://:x@127.0.0.1:6379/0") == {"REDIS_URL": "redis://:x@127.0.0.1:6379/0"}


@given(st.sampled_from(["postgres", "sqlite", "memcached"]), st.text(max_size=30))
def test_any_text_is_a_template_that_can_be_filled_or_a_mistake(kind: str, text: str) -> None:
    name = "cache" if kind == "memcached" else "database"
    document = {"app": {"entry": "shop:app"}, "stores": {name: {"kind": kind, "env": {"X": text}}}}
    try:
        plan = read_document(document, "prony.toml", Path("/nowhere"))
    except PlanError:
        return
    assert isinstance(plan.stores[name].handed(URL)["X"], str)


def test_a_sqlite_template_gets_the_absolute_path() -> None:
    assert fill("{path}", "sqlite:////srv/shop/db.sqlite3") == "/srv/shop/db.sqlite3"
    assert fill("sqlite+aiosqlite:///{path}", "sqlite:////srv/db") == "sqlite+aiosqlite:////srv/db"


def test_a_fixed_address_hands_nothing_over_unless_asked_to() -> None:
    plan = plan_of(POSTGRES + f"at = '{URL}'\n" + CACHE + "at = 'redis://user:@cache/20'\n")
    database, cache = plan.stores["database"], plan.stores["cache"]
    assert (database.variables, cache.variables) == ((), ())
    assert database.address == address_of(URL)
    assert database.address is not None
    assert (database.address.user, database.address.password, database.address.port) == ("shop", "s@cret", 5433)
    assert cache.address is not None
    assert (cache.address.host, cache.address.port, cache.address.name) == ("cache", 6379, "20")
    assert cache.knobs["databases"] == 21, "as many as the number needs"
    both = plan_of(POSTGRES + f"at = '{URL}'\nenv = 'DATABASE_URL'\n")
    assert both.stores["database"].variables == ("DATABASE_URL",)


def test_a_database_file_hands_nothing_over_and_keeps_its_journal() -> None:
    store = plan_of(SQLITE + "file = './db.sqlite3'\nfresh = true\n").stores["database"]
    assert (store.file, store.fresh, store.variables, store.knobs["journal_mode"]) == (
        "/nowhere/shop/db.sqlite3",
        True,
        (),
        "",
    )
    assert plan_of(SQLITE + "file = 'a.db'\njournal_mode = 'wal'\n").stores["database"].knobs["journal_mode"] == "wal"
    assert plan_of(SQLITE).stores["database"].variables == ("DATABASE_URL",)


def test_another_kind_of_store_leaves_behind_what_was_the_former_ones() -> None:
    plan = plan_of(POSTGRES + f"at = '{URL}'\n")
    new = changed(plan, {"stores.database.kind": "sqlite"})
    assert (new.stores["database"].at, new.stores["database"].variables) == ("", ("DATABASE_URL",))
    assert changed(plan, {"stores.database.kind": "mariadb", "stores.database.at": "mysql://a:b@db/c"})


def test_a_dump_is_found_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "backup.sql").write_text("", encoding="utf-8")
    assert plan_of(POSTGRES + "dump = 'backup.sql'\n", tmp_path).stores["database"].dump == str(tmp_path / "backup.sql")


def test_variables_of_a_file_stand_below_those_of_the_plan(tmp_path: Path) -> None:
    (tmp_path / "settings.env").write_text("# keys\nexport KEY='a b'\nDEBUG=1\nREDIS_URL=redis://prod\n", "utf-8")
    (tmp_path / "prony.toml").write_text(
        "[app]\nentry = 'shop:app'\nenv_file = 'settings.env'\nenv = { DEBUG = '0' }\n", "utf-8"
    )
    plan = read_file(tmp_path)
    assert plan.app.env == {"KEY": "a b", "DEBUG": "0", "REDIS_URL": "redis://prod"}
    assert plan.app.env_file == "settings.env"
    assert set(plan.redacted().app.env.values()) == {"(redacted)"}


def test_nothing_secret_of_a_store_is_stored() -> None:
    env = "env = { DB_URL = 'x://{user}:t0psecret@{host}' }\n"
    stored = plan_of(POSTGRES + f"at = '{URL}'\n" + env).redacted()
    assert "cret" not in str(stored)
    assert stored.stores["database"].variables == ("DB_URL",)


def test_a_store_of_an_older_recording_still_hands_over_its_one_variable() -> None:
    assert Store(env="DATABASE_URL").handed(URL) == {"DATABASE_URL": URL}


MISTAKES = [
    # tables, then what the paragraph must hold
    (POSTGRES + "env = 3\n", "[stores.database] env: found a int", "a text or a table of texts"),
    (POSTGRES + "env = ''\n", "[stores.database] env: found", "a text or a table of texts"),
    (POSTGRES + "env = {}\n", "[stores.database] env is missing"),
    (POSTGRES + "env = 'A=B'\n", "[stores.database] env: found", "a table of names"),
    (POSTGRES + "env = { A = '{hots}' }\n", 'A: found "{hots}"', "{host}, {port}", 'A = "{url}"'),
    (POSTGRES + "env = { A = '{' }\n", "env: A: found", "{ written as {{"),
    (POSTGRES + "env = { A = '{0}' }\n", 'A: found "{0}"', "{host}"),
    (POSTGRES + "env = { A = '{host!r}' }\n", 'A: found "{host!r}"'),
    (POSTGRES + "env = { A = '{port:>9}' }\n", 'A: found "{port:>9}"'),
    (POSTGRES + "env = { A = '{url.x}' }\n", 'A: found "{url.x}"'),
    (POSTGRES + "env = { A = '{path}' }\n", 'A: found "{path}"', "{host}"),
    (SQLITE + "env = { A = '{host}' }\n", 'A: found "{host}"', "{path}"),
    (CACHE + "env = { A = 'x' }\n[stores.more]\nkind = 'valkey'\nenv = { A = 'y' }\n", "[stores.more] env: found A"),
    # at
    (POSTGRES + "at = 3\n", "[stores.database] at: found a int", "a text"),
    (POSTGRES + "at = 'shop'\n", "[stores.database] at: found a URL of no scheme", "postgres://shop:secret@db"),
    (POSTGRES + "at = 'mysql://a:b@db/c'\n", "at: found a URL of mysql", "postgresql"),
    (POSTGRES + "at = 'postgres://a:b@db:99999/c'\n", "at: found no URL"),
    (POSTGRES + "at = 'postgres://a:b@db:80/c'\n", "at: found the port 80", "1024 to 65535"),
    (POSTGRES + "at = 'postgres://a:b@10.0.0.7/c'\n", "at: found the address 10.0.0.7", "a name"),
    (POSTGRES + "at = 'postgres://a:b@[::1]/c'\n", "at: found no host that has a name"),
    (POSTGRES + "at = 'postgres:///c'\n", "at: found no host"),
    (POSTGRES + "at = 'postgres://db/c'\n", "at: found no user and database", "names both"),
    (POSTGRES + "at = 'postgres://prony:x@db/c'\n", "the server needs for itself"),
    (CACHE + "at = 'rediss://c'\n", "at: found a URL of rediss", "no TLS"),
    (CACHE + "at = 'redis://c/shop'\n", "at: found the database shop", "0 to 999"),
    (SQLITE + "at = 'sqlite:///x'\n", "at: found a key that kind = sqlite does not take", "kind = postgres, mariadb"),
    (
        CACHE + "at = 'redis://localhost/1'\n[stores.more]\nkind = 'redis'\nat = 'redis://127.0.0.1'\n",
        "[stores.more] at: found 127.0.0.1:6379, where [stores.cache] answers",
    ),
    # file and dump
    (SQLITE + "file = '/tmp/x'\n", '[stores.database] file: found "/tmp/x"', "in the app's folder"),
    (SQLITE + "file = '../x'\n", '[stores.database] file: found "../x"', "in the app's folder"),
    (SQLITE + "file = '.prony/x'\n", "[stores.database] file: found", "in the app's folder"),
    (SQLITE + "file = 'a/../..'\n", "[stores.database] file: found", "in the app's folder"),
    (SQLITE + "fresh = true\n", "[stores.database] fresh: found true and no file", "db.sqlite3"),
    (POSTGRES + "file = 'x'\n", "file: found a key that kind = postgres does not take", "kind = sqlite"),
    (POSTGRES + "dump = 'none.sql'\n", '[stores.database] dump: found "none.sql"', "pg_dump -Fc"),
    (SQLITE + "dump = 'x'\n", "dump: found a key that kind = sqlite does not take", "kind = postgres"),
]  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake[1] + mistake[0][-30:] for mistake in MISTAKES])
def test_a_mistake_is_one_paragraph_that_never_shows_a_secret(mistake: tuple[str, ...]) -> None:
    tables, *held = mistake
    with pytest.raises(PlanError) as caught:
        plan_of(tables)
    assert "\n" not in caught.value.message
    for text in held:
        assert text in caught.value.paragraph()


@given(st.text(max_size=40))
def test_any_text_as_an_address_is_read_or_refused_without_being_shown(text: str) -> None:
    store = {"kind": "postgres", "at": f"postgres://user:verysecret{text}@db/shop"}
    said = ""
    try:
        read_document({"app": {"entry": "a:b"}, "stores": {"database": store}}, "prony.toml", Path("/nowhere"))
    except PlanError as error:
        said = error.paragraph()
    assert "verysecret" not in said


def test_a_file_under_an_uncovered_folder_is_refused() -> None:
    with pytest.raises(PlanError, match="found it with \\[app\\] scratch = false"):
        plan_of(SQLITE + "file = 'db.sqlite3'\n", scratch=False)


def test_a_file_of_variables_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError) as caught:
        plan_of("", tmp_path, env_file=".env")
    assert '[app] env_file: found ".env"; no such file is in' in caught.value.message
