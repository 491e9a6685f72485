"""Files that pg_dump wrote are loaded before the prepare commands, and all that is in them is the app's."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from prony.errors import PlanError, StackError
from prony.stack.services.dump import loading
from tests.stack.tiers_case import DATABASE, Rig

PLAIN = """--
-- PostgreSQL database dump
--
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);
ALTER SCHEMA public OWNER TO pg_database_owner;
CREATE TABLE public.things (n integer NOT NULL);
ALTER TABLE public.things OWNER TO "shop keeper";
CREATE SEQUENCE public.numbers;
ALTER SEQUENCE public.numbers OWNER TO postgres;
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
COPY public.things (n) FROM stdin;
1
2
\\.
GRANT SELECT ON TABLE public.things TO reader;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT SELECT ON TABLES TO reader;
"""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    found = Rig(tmp_path_factory.mktemp("dumps"))
    (found.folder / "plain.sql").write_text(PLAIN, encoding="utf-8")
    with found.stack:
        yield found


def boot(rig: Rig, name: str) -> None:
    rig.boot(DATABASE.format("postgres") + f'dump = "{name}"\n')


def test_a_plain_dump_is_there_before_the_prepare_commands_and_is_the_apps_own(rig: Rig) -> None:
    for _ in range(2):
        boot(rig, "plain.sql")
        assert rig.held()[0] == 2 + 3
        assert rig.get("/add")["database"] == 2 + 4
    assert rig.stack.postgres is not None
    login = rig.stack.postgres.url(rig.stack.postgres.port).partition("://")[2].partition(":")[0]
    owners = "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relname IN ('things', 'numbers')"
    with rig.stack.postgres._connect(rig.stack.postgres.database) as inside:
        assert inside.execute(owners).fetchall() == [(login,)]


@pytest.mark.long
def test_what_pg_dump_makes_of_it_is_loaded_in_every_format(rig: Rig) -> None:
    boot(rig, "plain.sql")
    postgres = rig.stack.postgres
    assert postgres is not None
    for name, form in (("custom.dump", "custom"), ("tarred.tar", "tar"), ("folder", "directory")):
        dump = postgres._home.spawn([
            str(postgres._running().program.path / "pg_dump"), "-h", str(postgres._home.folder), "-p",
            str(postgres.port), "-U", "prony", f"--format={form}", "-f", str(postgres._home.folder / name),
            postgres.database,
        ])  # fmt: skip
        assert rig.stack.launcher.wait(dump, 60)
        assert dump.code == 0, dump.last_lines()
        (postgres._home.folder / name).rename(rig.folder / name)
    (rig.folder / "packed.sql.gz").write_bytes(gzip.compress(PLAIN.encode()))
    (rig.folder / "packed.dump.gz").write_bytes(gzip.compress((rig.folder / "custom.dump").read_bytes()))
    for name, things in (("custom.dump", 5), ("tarred.tar", 5), ("folder", 5), ("packed.sql.gz", 2)):
        boot(rig, name)
        assert rig.held()[0] == things + 3, name
    boot(rig, "packed.dump.gz")
    assert rig.held()[0] == 8


def test_a_dump_that_cannot_be_loaded_is_told_with_the_loaders_own_words(rig: Rig) -> None:
    (rig.folder / "wrong.sql").write_text("CREATE TABLE things (n no_such_type);\n", encoding="utf-8")
    with pytest.raises(StackError, match=r"\[stores.database\] dump: loading .*wrong.sql failed") as caught:
        boot(rig, "wrong.sql")
    assert "no_such_type" in " ".join(caught.value.log)
    assert "pg_dump -Fc" in str(caught.value.hint)


@pytest.mark.parametrize("text", ["CREATE DATABASE shop;\n", "--\n\\connect shop\n", "\0\0"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "dump").write_text(text, encoding="utf-8")
    with pytest.raises(PlanError, match="found "):
        loading(tmp_path / "dump", tmp_path / "scratch")


def test_rows_that_look_like_statements_are_none(tmp_path: Path) -> None:
    text = (
        "COPY public.notes (t) FROM stdin;\nCREATE DATABASE x\nGRANT ALL ON TABLE a TO rowish;\n\\.\nGRANT x TO real;\n"
    )
    (tmp_path / "dump").write_text(text, encoding="utf-8")
    assert loading(tmp_path / "dump", tmp_path / "scratch").roles == ("real",)
