"""SQLite: a file of its own in the run's folder in, the same with its prepared content out."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

from prony import plan
from prony.stack.launch import Launcher, Process
from prony.stack.services.store import ROWS_MAX, ROWS_MS, Key


class SQLite:
    """One database file. There is no server: the app's own SQLite opens it, whose version may differ from `version`."""

    def __init__(
        self,
        launcher: Launcher,  # noqa: ARG002 - as all stores
        run_folder: Path,
        logs: Path,
        cores: tuple[int, ...],  # noqa: ARG002 - as all stores
        name: str,
    ) -> None:
        self.kind = "sqlite"
        self.name = name
        self.version = sqlite3.sqlite_version
        self.port = 0
        self.process: Process | None = None
        self.log = logs / f"{name}.log"
        self._folder = run_folder / f"{name}-sqlite"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._file = self._folder / "app.sqlite3"
        self._journal_mode = "delete"
        self._kept: dict[Key, Path] = {}

    def start(self, settings: plan.Store, port: int = 0) -> None:  # noqa: ARG002 - as all stores
        wanted = settings.knobs["journal_mode"]
        if not self._file.exists() or wanted != self._journal_mode:
            self._journal_mode = wanted
            self._set_journal()

    def _set_journal(self) -> None:
        """Makes the file where it is missing, and writes the journal mode into it."""
        with contextlib.closing(sqlite3.connect(self._file)) as link:
            link.execute(f"PRAGMA journal_mode={self._journal_mode}")

    def url(self, port: int) -> str:  # noqa: ARG002 - as all stores
        return f"sqlite:///{self._file}"

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a SELECT on the file, which is opened for reading only; raises ValueError where it is refused."""
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)) as link:
                until_s = time.monotonic() + ROWS_MS / 1000
                link.set_progress_handler(lambda: time.monotonic() > until_s, 100_000)
                return link.execute(query).fetchmany(ROWS_MAX)
        except sqlite3.Error as error:
            raise ValueError(str(error)) from error

    def empty(self) -> None:
        self._clear()
        self._set_journal()

    def _clear(self) -> None:
        for left in self._folder.glob(f"{self._file.name}*"):  # -wal, -shm and -journal belong to it
            left.unlink()

    def keep(self, key: Key) -> None:
        kept = self._kept.get(key, self._folder / f"kept-{len(self._kept)}.sqlite3")
        kept.unlink(missing_ok=True)
        with (
            contextlib.closing(sqlite3.connect(self._file)) as source,
            contextlib.closing(sqlite3.connect(kept)) as target,
        ):
            source.backup(target)  # reads what is still in a -wal file, too
            target.execute("PRAGMA journal_mode=delete")  # one file is all that is kept
        self._kept[key] = kept

    def prepared(self, key: Key) -> bool:
        return key in self._kept

    def restore(self, key: Key) -> None:
        self._clear()
        shutil.copyfile(self._kept[key], self._file)
        self._set_journal()

    def stop(self) -> None:
        """Nothing runs."""
