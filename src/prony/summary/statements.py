"""A recording in, the statements that took most of its database's time out, by the database's own account."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from prony.recording import Recording

TABLE = "statement_table"  # the kind of event that holds one statement of a trial, as JSON


class Statement(Struct, frozen=True, kw_only=True):
    """One statement of the app's, by pg_stat_statements: from the trial's start to its end, warm-up and drain included.

    Attributes:
        text: Without values: parameters stand as $1; of what is no query, the first word alone.
        calls: How often it ended.
        mean_s: Seconds of executing it once, in the server: without planning it and without the way there.
        total_s: Of all calls.
        rows: Rows of one call on average.
        blocks_read: Blocks of 8 KB that were not in shared_buffers, per call.
        temp_blocks: Blocks written to files for want of work_mem, per call.
    """

    text: str
    calls: int
    mean_s: float
    total_s: float
    rows: float
    blocks_read: float
    temp_blocks: float


def statements_of(recording: Recording) -> tuple[Statement, ...]:
    """Those that took most time first; none where the database told none."""
    rows = [msgspec.json.decode(event.text) for event in recording.events if event.kind == TABLE]
    return tuple(
        Statement(
            text=row["text"],
            calls=int(row["calls"]),
            mean_s=row["total_exec_time"] / row["calls"] / 1000,
            total_s=row["total_exec_time"] / 1000,
            rows=row["rows"] / row["calls"],
            blocks_read=row["shared_blks_read"] / row["calls"],
            temp_blocks=row["temp_blks_written"] / row["calls"],
        )
        for row in sorted(rows, key=lambda row: -row["total_exec_time"])
    )
