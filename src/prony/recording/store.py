"""The append-only store: what trials write as it happens goes into one SQLite file, and is read back from there."""

from __future__ import annotations

import math
import re
import sqlite3
import time
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil

import prony
from prony.errors import RecordingError
from prony.plan import Plan
from prony.recording.model import ROUTE, Campaign, Event, Reading, Recording, TrialRow
from prony.samples import REQUEST, Samples, from_bytes, packed, unpacked

SCHEMA_VERSION = 2
STORE_BYTES_MAX = 2 * 1024**3

_PASSWORD = re.compile(r"(://[^/\s:@]*):[^/\s@]+@")

_SCHEMA = """
CREATE TABLE campaign (
    id INTEGER PRIMARY KEY, verb TEXT NOT NULL, title TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT,
    status TEXT NOT NULL, pid INTEGER NOT NULL, pid_started REAL NOT NULL, prony TEXT NOT NULL,
    machine TEXT NOT NULL, conclusion TEXT
) STRICT;
CREATE TABLE trial (
    id INTEGER PRIMARY KEY, campaign INTEGER NOT NULL REFERENCES campaign(id) ON DELETE CASCADE,
    number INTEGER NOT NULL, label TEXT NOT NULL, role TEXT NOT NULL, start INTEGER NOT NULL, plan TEXT NOT NULL,
    began_ns INTEGER NOT NULL, status TEXT NOT NULL, load TEXT, UNIQUE (campaign, number)
) STRICT;
CREATE TABLE samples (
    trial INTEGER NOT NULL REFERENCES trial(id) ON DELETE CASCADE, chunk INTEGER NOT NULL, count INTEGER NOT NULL,
    data BLOB NOT NULL, PRIMARY KEY (trial, chunk)
) STRICT;
CREATE TABLE readings (
    trial INTEGER NOT NULL REFERENCES trial(id) ON DELETE CASCADE, t_ns INTEGER NOT NULL, tier TEXT NOT NULL,
    name TEXT NOT NULL, value REAL NOT NULL
) STRICT;
CREATE INDEX readings_by_trial ON readings(trial);
CREATE TABLE events (
    trial INTEGER NOT NULL REFERENCES trial(id) ON DELETE CASCADE, t_ns INTEGER NOT NULL, kind TEXT NOT NULL,
    tier TEXT NOT NULL, text TEXT NOT NULL, count INTEGER NOT NULL
) STRICT;
CREATE INDEX events_by_trial ON events(trial);
"""


class Store:
    """One store file; used from one thread.

    Raises:
        RecordingError: the file is no store, or was written by a newer prony.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.parent.chmod(0o700)  # logs beside it hold the app's tracebacks
            ignore = path.parent / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
            self._db = sqlite3.connect(path, timeout=30)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._migrate()
        except (sqlite3.Error, OSError) as error:
            if hasattr(self, "_db"):
                self._db.close()
            raise RecordingError(
                f"The store {path} cannot be opened: {error}.", hint=f"move {path} away; a new one is made"
            ) from error

    def _migrate(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            self._db.rollback()
            raise RecordingError(
                f"The store {self.path} has schema {version}; prony {prony.__version__} reads up to {SCHEMA_VERSION}.",
                hint="pip install --upgrade prony",
            )
        if version == 0:
            for statement in _SCHEMA.split(";"):
                if statement.strip():
                    self._db.execute(statement)
        elif version == 1:
            self._one_database_to_many_stores()
        self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        self._db.commit()

    def _one_database_to_many_stores(self) -> None:
        """Schema 1 held plans with one `database`; since 2 they hold `stores`, by name."""
        for number, text in self._db.execute("SELECT id, plan FROM trial").fetchall():
            plan = msgspec.json.decode(text)
            old = plan.pop("database", None)
            if old is not None:
                knobs = {name: old[name] for name in ("max_connections", "shared_buffers_mb") if name in old}
                knobs["round_trip"] = old.get("round_trip_s", 0.0)
                kept = {"name": "database", "kind": old.get("kind", "postgres"), "knobs": knobs}
                plan["stores"] = {"database": kept | {"env": old.get("env", "DATABASE_URL")}}
            self._db.execute("UPDATE trial SET plan = ? WHERE id = ?", (_json(plan), number))

    def close(self) -> None:
        """Ends the connection; what was committed stays."""
        self._db.close()

    # ---- writing

    def begin_campaign(self, verb: str, title: str, machine: dict[str, Any]) -> int:
        """A new campaign's number; old recordings are pruned past 2 GB first."""
        self._prune()
        process = psutil.Process()
        cursor = self._db.execute(
            "INSERT INTO campaign (verb, title, started_at, status, pid, pid_started, prony, machine)"
            " VALUES (?, ?, ?, 'running', ?, ?, ?, ?)",
            (verb, title, now_text(), process.pid, process.create_time(), prony.__version__, _json(machine)),
        )
        self._db.commit()
        return int(cursor.lastrowid or 0)

    def end_campaign(self, campaign: int, status: str, conclusion: Any = None) -> None:
        """Closes a campaign with its status ("done", "failed", "interrupted") and its JSON document, if any.

        A trial of it that was begun and not ended was cut short.
        """
        text = None if conclusion is None else msgspec.json.encode(conclusion).decode()
        self._db.execute(
            "UPDATE campaign SET status = ?, ended_at = ?, conclusion = ? WHERE id = ?",
            (status, now_text(), text, campaign),
        )
        self._db.execute(
            "UPDATE trial SET status = 'interrupted' WHERE campaign = ? AND status = 'running'", (campaign,)
        )
        self._db.commit()

    def begin_trial(self, campaign: int, plan: Plan, label: str, role: str, start: int) -> TrialWriter:
        """A writer for one trial; `start` numbers the fresh boot it runs on."""
        number = self._db.execute("SELECT count(*) + 1 FROM trial WHERE campaign = ?", (campaign,)).fetchone()[0]
        cursor = self._db.execute(
            "INSERT INTO trial (campaign, number, label, role, start, plan, began_ns, status)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 'running')",
            (campaign, number, label, role, start, _json(plan.redacted()), time.monotonic_ns()),
        )
        self._db.commit()
        return TrialWriter(self._db, int(cursor.lastrowid or 0), f"{campaign}.{number}")

    def _prune(self) -> None:
        """Drops the oldest campaigns while the file is larger than 2 GB."""
        if self.path.stat().st_size <= STORE_BYTES_MAX:
            return
        page = self._db.execute("PRAGMA page_size").fetchone()[0]
        of_running = self._db.execute("SELECT id, pid, pid_started FROM campaign WHERE status = 'running'").fetchall()
        for number, pid, started in of_running:
            if not _alive(pid, started):  # it was killed, and nobody has said so
                self._db.execute("UPDATE campaign SET status = 'killed' WHERE id = ?", (number,))
        while True:
            pages, free = (
                self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count")
            )
            oldest = self._db.execute(
                "SELECT id FROM campaign WHERE status <> 'running' ORDER BY id LIMIT 1"
            ).fetchone()
            if (pages - free) * page <= STORE_BYTES_MAX // 2 or oldest is None:
                break
            self._db.execute("DELETE FROM campaign WHERE id = ?", oldest)
            self._db.commit()
        self._db.execute("VACUUM")

    # ---- reading

    def campaigns(self) -> list[Campaign]:
        """All campaigns, oldest first, with their trials' rows."""
        rows = self._db.execute(
            "SELECT id, verb, title, started_at, ended_at, status, pid, pid_started, prony, machine, conclusion"
            " FROM campaign ORDER BY id"
        ).fetchall()
        return [self._campaign(row) for row in rows]

    def campaign(self, number: int | None = None) -> Campaign:
        """One campaign, or the latest."""
        found = [c for c in self.campaigns() if number is None or c.id == number]
        if not found:
            what = "no recording yet" if number is None else f"no recording {number}"
            raise RecordingError(f"The store {self.path} holds {what}.", hint="prony list")
        return found[-1]

    def _campaign(self, row: tuple[Any, ...]) -> Campaign:
        id_, verb, title, started_at, ended_at, status, pid, pid_started, version, machine, conclusion = row
        if status == "running" and not _alive(pid, pid_started):
            status = "killed"
        trials = self._db.execute(
            "SELECT number, label, role, start,"
            " CASE WHEN status = 'running' AND ?2 <> 'running' THEN ?2 ELSE status END,"
            " (SELECT coalesce(sum(count), 0) FROM samples WHERE trial = trial.id)"
            " FROM trial WHERE campaign = ?1 ORDER BY number",
            (id_, status),
        ).fetchall()
        return Campaign(
            id=id_,
            verb=verb,
            title=title,
            started_at=started_at,
            ended_at=ended_at,
            status=status,
            prony=version,
            machine=msgspec.json.decode(machine),
            conclusion=None if conclusion is None else msgspec.json.decode(conclusion),
            trials=tuple(TrialRow(f"{id_}.{number}", *rest) for number, *rest in trials),
        )

    def plan(self, trial: str) -> Plan:
        """The plan of one trial as it was stored, redacted, named "campaign.number"; raises RecordingError."""
        campaign, _, number = trial.partition(".")
        found = self._db.execute("SELECT plan FROM trial WHERE campaign = ? AND number = ?", (campaign, number))
        row = found.fetchone()
        try:
            return msgspec.json.decode(row[0] if row else "", type=Plan)
        except msgspec.MsgspecError as error:
            raise RecordingError(f"Trial {trial} in {self.path} has no plan: {error}.", hint="prony list") from error

    def recording(self, trial: str) -> Recording:
        """All samples, readings, events and the plan of one trial, named "campaign.number".

        Raises:
            RecordingError: there is none of that name, or it is damaged.
        """
        try:
            return self._recording(trial)
        except (sqlite3.Error, zlib.error, ValueError, msgspec.MsgspecError) as error:
            raise RecordingError(f"Trial {trial} in {self.path} is damaged: {error}.", hint="prony list") from error

    def _recording(self, trial: str) -> Recording:
        campaign, _, number = trial.partition(".")
        row = self._db.execute(
            "SELECT id, label, role, start, plan, began_ns, status, load FROM trial WHERE campaign = ? AND number = ?",
            (campaign, number),
        ).fetchone()
        if row is None:
            raise RecordingError(f"The store {self.path} holds no trial {trial}.", hint="prony list")
        key, label, role, start, plan, began_ns, status, load = row
        chunks = self._db.execute("SELECT data, count FROM samples WHERE trial = ? ORDER BY chunk", (key,)).fetchall()
        samples = np.concatenate([from_bytes(b""), *(unpacked(data, count) for data, count in chunks)])
        readings: dict[tuple[str, str], tuple[list[int], list[float]]] = {}
        for t_ns, tier, name, value in self._db.execute(
            "SELECT t_ns, tier, name, value FROM readings WHERE trial = ? ORDER BY t_ns", (key,)
        ):
            instants, values = readings.setdefault((tier, name), ([], []))
            instants.append(t_ns)
            values.append(value)
        events = self._db.execute(
            "SELECT t_ns, kind, tier, text, count FROM events WHERE trial = ? ORDER BY t_ns", (key,)
        ).fetchall()
        _one_number_a_name(samples, events)
        requests = samples["kind"] == REQUEST
        return Recording(
            id=trial,
            label=label,
            role=role,
            start=start,
            plan=msgspec.json.decode(plan, type=Plan),
            began_ns=began_ns,
            status=status,
            samples=samples if requests.all() else samples[requests],
            stream_events=samples[~requests],
            readings={k: (np.array(t, dtype=np.int64), np.array(v)) for k, (t, v) in readings.items()},
            events=tuple(Event(*event) for event in events),
            load=None if load is None else msgspec.json.decode(load),
        )


class TrialWriter:
    """Appends to one trial; each call commits, so that what it was given survives a crash."""

    def __init__(self, db: sqlite3.Connection, key: int, trial: str) -> None:
        self._db = db
        self._key = key
        self._chunks = 0
        self.trial = trial

    def write(self, samples: Samples, readings: Iterable[Reading] = (), events: Iterable[Event] = ()) -> None:
        """Adds samples (dtype SAMPLE), readings and events, in one transaction."""
        if len(samples):
            row = (self._key, self._chunks, len(samples), packed(samples))
            self._db.execute("INSERT INTO samples VALUES (?, ?, ?, ?)", row)
            self._chunks += 1
        self._db.executemany(
            "INSERT INTO readings VALUES (?, ?, ?, ?, ?)",
            ((self._key, r.t_ns, r.tier, r.name, r.value) for r in readings if math.isfinite(r.value)),
        )
        self._db.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)",
            ((self._key, e.t_ns, e.kind, e.tier, redacted(e.text[:4000]), e.times) for e in events),
        )
        self._db.commit()

    def finish(self, status: str, load: dict[str, Any] | None) -> None:
        """Ends the trial with its status and the load engine's own account."""
        text = None if load is None else _json(load)
        self._db.execute("UPDATE trial SET status = ?, load = ? WHERE id = ?", (status, text, self._key))
        self._db.commit()


def _one_number_a_name(samples: Samples, events: Iterable[tuple[Any, ...]]) -> None:
    """Routes that a trial's generators came upon, each for itself, bear one number from here on."""
    numbers: dict[str, int] = {}
    for _, kind, _, text, _ in events:
        number, _, name = text.partition(" ")
        if kind == ROUTE and number.isdecimal():
            first = numbers.setdefault(name, int(number))
            if first != int(number):
                samples["route"][samples["route"] == int(number)] = first


def redacted(text: str) -> str:
    """A text with the passwords of its URLs taken out."""
    return _PASSWORD.sub(r"\1:(redacted)@", text)


def now_text() -> str:
    """This instant in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _alive(pid: int, started: float) -> bool:
    try:
        return bool(abs(psutil.Process(pid).create_time() - started) < 1.5)
    except psutil.Error:
        return False
