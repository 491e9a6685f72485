"""pg_stat_statements in, what the app's statements took by Postgres's own account out: counters, and a table."""

from __future__ import annotations

import re
import time
from typing import Any

import msgspec

from prony.probes.postgres import Ask
from prony.recording import Event, Reading

TABLE = "statement_table"  # the kind of event that holds one statement of a trial, as JSON: summary.statements reads it
ROWS_MAX = 50
TEXT_MAX = 300
# Other statements may hold values in pg_stat_statements' text as well: of them only the first word is kept.
_PARAMETERS = re.compile(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|VALUES)\b", re.IGNORECASE)
_COMMENTS = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_OF_APP = "AS s JOIN pg_database AS d ON d.oid = s.dbid WHERE d.datname = {}"
_COLUMNS = (
    "calls",
    "total_exec_time",
    "rows",
    "shared_blks_hit",
    "shared_blks_read",
    "temp_blks_written",
)
_SUMS = ", ".join(f"coalesce(sum({name}), 0)" for name in _COLUMNS)
_KEY = "s.userid, s.queryid, s.toplevel"


class Statements:
    """Reads the statements of one database; what came before the trial is taken off.

    Args:
        ask: Runs a query as superuser, in a database that has the extension.
        database: The name of the app's.
    """

    def __init__(self, ask: Ask, database: str) -> None:
        self._ask = ask
        self._of_app = _OF_APP.format("'" + database.replace("'", "''") + "'")
        self._before = self._rows(texts=False)

    def counters(self) -> list[Reading]:
        """Statements so far, the seconds Postgres executed them, and rows."""
        query = f"SELECT {_SUMS} FROM pg_stat_statements(false) {self._of_app}"  # noqa: S608 - our own words
        calls, total_ms, rows, *_ = self._ask(query)[0]
        now_ns = time.monotonic_ns()
        return [
            Reading(now_ns, "database", "statements", float(calls)),
            Reading(now_ns, "database", "statement_s", float(total_ms) / 1000),
            Reading(now_ns, "database", "rows", float(rows)),
        ]

    def table(self) -> list[Event]:
        """The statements that took most time in this trial, an event each."""
        rows: list[dict[str, Any]] = []
        for key, (text, *after) in self._rows(texts=True).items():
            before = self._before.get(key, ("", *([0] * len(after))))[1:]
            grown = [float(now) - float(then) for now, then in zip(after, before, strict=True)]
            if grown[0] > 0:
                rows.append({"text": shown(text), **dict(zip(_COLUMNS, grown, strict=True))})
        rows.sort(key=lambda row: -row["total_exec_time"])
        now_ns = time.monotonic_ns()
        return [Event(now_ns, TABLE, "database", msgspec.json.encode(row).decode()) for row in rows[:ROWS_MAX]]

    def _rows(self, *, texts: bool) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        query = f"SELECT {_KEY}, s.query, {', '.join(_COLUMNS)} "
        return {row[:3]: row[3:] for row in self._ask(f"{query} FROM pg_stat_statements({texts}) {self._of_app}")}


def shown(text: str | None) -> str:
    """A statement's text as it may be kept: without values and comments, on one line."""
    plain = " ".join(_COMMENTS.sub(" ", text or "").split())
    if not _PARAMETERS.match(plain):
        return plain.partition(" ")[0].rstrip(";").upper() or "a statement"
    return plain[:TEXT_MAX]
