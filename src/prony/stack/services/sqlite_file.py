"""The database file that an app's own settings name in, the same under the cover of the app's folder out."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

from prony import plan
from prony.errors import StackError
from prony.stack.launch import Launcher, Process
from prony.stack.services.store import ROWS_MAX, ROWS_MS, Key

SET_S = 60.0
# Runs in the stack, where the cover is: makes the folder, which a fresh clone lacks where all in it is ignored; begins
# without the file, or else takes a copy of what belongs to it (opened for writing, an overlay copies it); and writes
# the journal mode into it.
_SET = """
import os, sqlite3, sys
file, fresh, mode = sys.argv[1:]
os.makedirs(os.path.dirname(file), exist_ok=True)
for each in (file, file + "-wal", file + "-journal"):
    if os.path.exists(each):
        os.remove(each) if fresh else open(each, "r+b").close()
if fresh and os.path.exists(file + "-shm"):
    os.remove(file + "-shm")
if mode:
    sqlite3.connect(file).execute("PRAGMA journal_mode=" + mode)
"""

_ROWS = """
import json, sqlite3, sys, time
file, query, rows_max, rows_ms = sys.argv[1:]
until_s = time.monotonic() + int(rows_ms) / 1000
try:
    link = sqlite3.connect("file:" + file.replace("%", "%25").replace("?", "%3f") + "?mode=ro", uri=True)
    link.set_progress_handler(lambda: time.monotonic() > until_s, 100_000)
    print(json.dumps({"rows": link.execute(query).fetchmany(int(rows_max))}, default=repr))
except sqlite3.Error as error:
    print(json.dumps({"error": str(error)}))
"""


class SQLiteFile:
    """One database file in the app's folder. The cover keeps what was prepared, and puts it back."""

    def __init__(self, launcher: Launcher, run_folder: Path, logs: Path, cores: tuple[int, ...], name: str) -> None:
        self.kind = "sqlite"
        self.name = name
        self.version = sqlite3.sqlite_version
        self.port = 0
        self.process: Process | None = None
        self.log = logs / f"{name}.log"
        self._launcher, self._run_folder, self._cores = launcher, run_folder, cores
        self._settings = plan.Store()

    def start(self, settings: plan.Store, port: int = 0) -> None:  # noqa: ARG002 - as all stores
        self._settings = settings

    def url(self, port: int) -> str:  # noqa: ARG002 - as all stores
        return f"sqlite:///{self._settings.file}"

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a SELECT on the file, which is opened for reading only; raises ValueError where it is refused."""
        printed = self._run_folder / f"{self.name}-rows"
        printed.unlink(missing_ok=True)
        self._run(_ROWS, query, str(ROWS_MAX), str(ROWS_MS), printed=printed)
        found = json.loads(printed.read_text(encoding="utf-8"))
        if "error" in found:
            raise ValueError(found["error"])
        return [tuple(row) for row in found["rows"]]

    def empty(self) -> None:
        self._set(fresh=self._settings.fresh)

    def _set(self, *, fresh: bool) -> None:
        self._run(_SET, "fresh" if fresh else "", str(self._settings.knobs.get("journal_mode", "")))

    def _run(self, script: str, *arguments: str, printed: Path | None = None) -> None:
        """Runs a script on the file in the stack, where it is seen as the app sees it."""
        process = self._launcher.spawn(
            f"[stores.{self.name}] {self._settings.file}",
            [sys.executable, "-I", "-c", script, self._settings.file, *arguments],
            env={"PATH": "/usr/bin:/bin"},
            cwd=self._run_folder,
            log=self.log,
            stdout=printed,
            cores=self._cores,
        )
        done = self._launcher.wait(process, SET_S)
        self._launcher.kill_group(process)
        if not done or process.code != 0:
            raise StackError(f"{process.name} cannot be used as a database.", log=process.last_lines(3))

    def keep(self, key: Key) -> None:
        """The cover does."""

    def prepared(self, key: Key) -> bool:  # noqa: ARG002 - as all stores
        return True

    def restore(self, key: Key) -> None:  # noqa: ARG002 - as all stores
        if self._settings.knobs.get("journal_mode"):
            self._set(fresh=False)

    def stop(self) -> None:
        """Nothing runs."""
