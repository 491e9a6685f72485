"""Recordings in, a CSV file of their rows out."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from prony.recording import Recording
from prony.report.columns import COLUMNS, blocks
from prony.summary import Part


def write(path: Path, recordings: Iterable[Recording], part: Part) -> int:
    """Writes a header line and a line for each row; what did not happen is an empty field. Returns the rows."""
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for block in blocks(recordings, part):
            writer.writerows(zip(*(block[name] for name in COLUMNS), strict=True))
            count += len(block["trial"])
    return count
