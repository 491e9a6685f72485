"""A scratch cover over the app's folder: what an app writes never reaches it, and is put back before each start."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from prony.errors import PlanError, StackError
from prony.plan import read_document
from prony.stack import cover
from prony.stack.stack import Stack
from tests.stack.tiers_case import Rig

# An app that writes into its own folder, as a program (to prepare it) and while it serves.
APP = """
import json, os, pathlib, sqlite3, sys
HERE = pathlib.Path(__file__).parent
def application(environ, start_response):
    asked = environ["QUERY_STRING"]
    if "write" in asked:
        (HERE / "uploads").mkdir(exist_ok=True)
        (HERE / "uploads" / "new.txt").write_text("new")
        (HERE / "kept.txt").write_text("changed")
        (HERE / "gone.txt").unlink(missing_ok=True)
        link = sqlite3.connect(HERE / "db.sqlite3", isolation_level=None)
        link.execute("INSERT INTO things VALUES (1)")
    link = sqlite3.connect(HERE / "db.sqlite3")
    told = {"files": sorted(str(p.relative_to(HERE)) for p in HERE.rglob("*") if p.suffix == ".txt"),
            "kept": (HERE / "kept.txt").read_text(),
            "things": link.execute("SELECT count(*) FROM things").fetchone()[0],
            "mode": link.execute("PRAGMA journal_mode").fetchone()[0], "env": os.environ.get("FROM_FILE"),
            "url": os.environ.get("DATABASE_URL")}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told).encode()]
if __name__ == "__main__":
    (HERE / "prepared.txt").write_text("prepared")
    link = sqlite3.connect(HERE / "db.sqlite3", isolation_level=None)
    link.execute("CREATE TABLE IF NOT EXISTS things (n integer)")
    link.execute("INSERT INTO things VALUES (2)")
"""
# What an unprivileged user's guard does: mounts in a user namespace of its own.
UNPRIVILEGED = """
import ctypes, os, sys
from pathlib import Path
from prony.stack import mounts
home = Path(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
os.setgroups([]), os.setgid(65534), os.setuid(65534)
libc.prctl(4, 1)
if libc.unshare(0x10000000 | 0x40000000) != 0:
    raise SystemExit(print("refused"))
Path("/proc/self/setgroups").write_text("deny")
Path("/proc/self/uid_map").write_text("65534 65534 1")
Path("/proc/self/gid_map").write_text("65534 65534 1")
mounts.enter()
project, own = str(home / "project"), str(home / "project" / ".prony")
mounts.cover(project, [], str(home / "1"), [own])
Path(project, "kept.txt").write_text("changed")
Path(project, "gone.txt").unlink()
Path(own, "log").write_text("told")
mounts.cover(project, [str(home / "1")], str(home / "2"), [own], synced=False)
print(Path(project, "kept.txt").read_text(), *sorted(os.listdir(project)))
mounts.uncover(project)
print(Path(project, "kept.txt").read_text(), *sorted(os.listdir(project)))
"""
FILE = '[stores.database]\nkind = "sqlite"\nfile = "db.sqlite3"\n'
FILES = ["gone.txt", "kept.txt", "prepared.txt"]


def seen(folder: Path) -> dict[str, bytes]:
    """All files of a project, but those of prony's own."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and ".prony" not in path.parts}


def project(rig: Rig) -> None:
    (rig.folder / "writes.py").write_text(APP, encoding="utf-8")
    (rig.folder / "kept.txt").write_text("as it was")
    (rig.folder / "gone.txt").write_text("there")
    (rig.folder / ".env").write_text("FROM_FILE='a # value'\nDATABASE_URL=postgres://somebody@elsewhere/else\n")
    with closing(sqlite3.connect(rig.folder / "db.sqlite3")) as link:
        link.execute("PRAGMA journal_mode=wal")
        link.execute("CREATE TABLE things (n integer)")
        link.executemany("INSERT INTO things VALUES (?)", [[1], [2]])
        link.commit()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    found = Rig(tmp_path)
    project(found)
    with found.stack:
        if not found.stack.launcher.namespace:
            pytest.skip(found.stack.launcher.why_no_namespace)
        yield found


def boot(rig: Rig, tables: str = FILE, **app: object) -> None:
    rig.boot(tables, entry="writes:application", prepare="python writes.py", **app)


def check_two_starts(rig: Rig) -> None:
    before = seen(rig.folder)
    for _ in range(2):
        boot(rig)
        told = rig.get()
        assert (told["files"], told["kept"], told["things"], told["mode"]) == (FILES, "as it was", 3, "wal")
        told = rig.get("/?write")
        assert told["files"] == ["kept.txt", "prepared.txt", "uploads/new.txt"]
        assert (told["kept"], told["things"]) == ("changed", 4)
    assert seen(rig.folder) == before
    assert not [each for each in rig.stack.remarks if each.kind == cover.REMARK]


def test_what_an_app_writes_into_its_folder_stays_in_the_cover_and_is_put_back(rig: Rig) -> None:
    check_two_starts(rig)


def test_where_the_kernel_lays_nothing_over_a_copy_stands_for_the_folder(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = rig.folder / "own-venv"
    environment.mkdir()
    (environment / "pyvenv.cfg").touch()
    os.mkfifo(rig.folder / "pipe")
    monkeypatch.setattr(cover, "_mounted_in", lambda folder: f"{folder}/more")
    check_two_starts(rig)


def test_a_database_file_may_be_begun_without_and_have_another_journal(rig: Rig) -> None:
    before = seen(rig.folder)
    boot(rig, FILE + "fresh = true\n")
    assert (rig.get()["things"], rig.get()["mode"]) == (1, "delete")
    boot(rig, FILE + 'journal_mode = "delete"\n')
    assert (rig.get()["things"], rig.get()["mode"]) == (3, "delete")
    assert rig.get()["url"] is None
    assert rig.stack.stores.rows("SELECT n FROM things ORDER BY n") == [(1,), (2,), (2,)]
    for query in ("DELETE FROM things", "SELECT absent FROM things"):
        with pytest.raises(ValueError, match=r"readonly|no such column"):
            rig.stack.stores.rows(query)
    boot(rig, FILE + "env = { DATABASE_URL = 'sqlite:///{path}' }\n")
    assert rig.get()["url"] == f"sqlite:///{rig.folder}/db.sqlite3"
    assert seen(rig.folder) == before


def test_the_folder_of_a_database_file_that_a_fresh_clone_lacks_is_made_in_the_cover(rig: Rig) -> None:
    (rig.folder / "writes.py").write_text(APP.replace('HERE / "db.sqlite3"', 'HERE / "data" / "db.sqlite3"'))
    boot(rig, FILE.replace("db.sqlite3", "data/db.sqlite3"))
    assert rig.get()["things"] == 1
    assert not (rig.folder / "data").exists()


def test_variables_come_from_a_file_under_those_of_the_plan_and_of_stores(rig: Rig) -> None:
    boot(rig, env_file=".env")
    assert rig.get()["env"] == "a # value"
    boot(rig, '[stores.database]\nkind = "sqlite"\n', env_file=".env", env={"FROM_FILE": "no"})
    assert rig.get()["env"] == "no"
    assert rig.get()["url"].startswith("sqlite:////"), "the stack's own wins"
    assert "a # value" not in json.dumps(rig.plan(env_file=".env").redacted().app.env)


def test_prony_and_its_logs_are_seen_through_the_cover(tmp_path: Path) -> None:
    found = Rig(tmp_path)
    found.stack.close()
    project(found)
    own = found.folder / ".prony"
    own.mkdir()
    (own / "note.txt").write_text("real")
    with Stack(own / "logs", own_folder=own) as found.stack:
        if not found.stack.launcher.namespace:
            pytest.skip(found.stack.launcher.why_no_namespace)
        boot(found)
        (own / "later.txt").write_text("later")
        assert {".prony/note.txt", ".prony/later.txt"} <= {*found.get()["files"]}
        assert found.stack.start is not None
        assert found.stack.start.app.log.exists()


def test_without_mounts_of_its_own_it_is_said_and_a_database_file_is_left_alone(tmp_path: Path) -> None:
    found = Rig(tmp_path)
    found.stack.close()
    project(found)
    before = seen(found.folder)
    with Stack(tmp_path / "more", namespace=False) as found.stack:
        with pytest.raises(PlanError, match=r"would write to .*db\.sqlite3 itself"):
            boot(found)
        assert seen(found.folder) == before
        boot(found, "", scratch=False)
        assert not [each for each in found.stack.remarks if each.kind == cover.REMARK], "it was asked for"
        boot(found, "")
        [remark] = [each for each in found.stack.remarks if each.kind == cover.REMARK]
    assert remark.text.startswith(f"what the app writes into {found.folder} stays there")


def test_a_folder_that_holds_prony_s_own_files_or_too_much_is_not_covered(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = {"entry": "writes:application", "python": sys.executable}
    found = cover.Cover(rig.stack.ground, ())
    found.settle(read_document({"app": app}, "prony.toml", Path("/")))
    assert found.why_not == "prony's own files lie in it"
    monkeypatch.setattr(cover, "COPY_BYTES_MAX", 10)
    monkeypatch.setattr(cover, "_mounted_in", lambda folder: f"{folder}/more")
    found.settle(read_document({"app": app}, "prony.toml", rig.folder))
    assert "more is mounted in it), and it is too large to be copied" in found.why_not
    assert not found.there


@pytest.mark.parametrize("tables", [FILE, FILE + "fresh = true\n"])
def test_a_cover_that_cannot_be_laid_again_ends_the_start_and_leaves_the_project_as_it_is(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tables: str
) -> None:
    before = seen(rig.folder)
    boot(rig)
    real = rig.stack.launcher.cover
    monkeypatch.setattr(rig.stack.launcher, "cover", lambda *_, synced: "No space left on device")  # noqa: ARG005
    with pytest.raises(StackError, match="cannot be covered again: No space left on device"):
        boot(rig, tables)
    assert not rig.stack.alive()
    assert seen(rig.folder) == before
    monkeypatch.setattr(rig.stack.launcher, "cover", real)
    check_two_starts(rig)


@pytest.mark.skipif(os.getuid() != 0, reason="for another user, everything here is such a test")
def test_an_ordinary_user_has_a_cover_too() -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        home = Path(name)
        (home / "project" / ".prony").mkdir(parents=True)
        (home / "1").mkdir()
        (home / "2").mkdir()
        for each in ("kept.txt", "gone.txt"):
            (home / "project" / each).write_text("there", encoding="utf-8")
        for path in (home, *home.rglob("*")):
            os.chown(path, 65534, 65534)
        command = [sys.executable, "-c", UNPRIVILEGED, name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.stdout == "refused\n":
            pytest.skip("the kernel refuses user namespaces")
        assert done.stdout.splitlines() == ["changed .prony kept.txt", "there .prony gone.txt kept.txt"], done.stderr
        assert (home / "project" / ".prony" / "log").read_text() == "told"


def test_only_a_database_in_the_folder_makes_its_cover_wait_for_the_disk(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[bool] = []
    real = rig.stack.launcher.cover

    def told(*places: Any, synced: bool) -> str:
        waits.append(synced)
        return real(*places, synced=synced)

    monkeypatch.setattr(rig.stack.launcher, "cover", told)
    boot(rig)
    assert waits
    assert all(waits)
    waits.clear()
    for left in rig.folder.glob("db.sqlite3*"):
        left.unlink()
    boot(rig, "", scratch=False)
    boot(rig, "")
    assert waits[-1], "what the prepare command made is a database"
    waits.clear()
    rig.boot("", entry="holds:application", prepare="", scratch=False)
    for left in rig.folder.glob("db.sqlite3*"):
        left.unlink()
    rig.boot("", entry="holds:application", prepare="")
    assert waits
    assert not any(waits)
