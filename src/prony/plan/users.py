"""A CSV file of users in, a row for each of them by its columns' names out; no error shows what is in it."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from prony.errors import PlanError

_COLUMN = re.compile(r"\w{1,60}")

Row = dict[str, str]


def rows_of(path: Path, what: str, *, bytes_max: int, rows_max: int) -> tuple[Row, ...]:
    """The lines of a file whose first line names its columns; spaces around values go, empty lines are none.

    Args:
        path: The file.
        what: How messages begin: the plan's file and key, the CSV file's name.
        bytes_max: Longest file.
        rows_max: Most users.

    Raises:
        PlanError: it cannot be read, is no such file, or is too long.
    """
    try:
        if path.stat().st_size > bytes_max:
            raise PlanError(f"{what} has over {bytes_max} bytes; allowed: fewer.")
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True, skipinitialspace=True)
            lines = [(reader.line_num, [each.strip() for each in line]) for line in reader if any(line)]
    except OSError as error:
        raise PlanError(
            f"{what} cannot be read: {error.strerror}.", hint="name a file in the project's folder"
        ) from error
    except (ValueError, csv.Error) as error:
        raise PlanError(f"{what} is no CSV file in UTF-8.") from error
    head = lines[0][1] if lines else []
    if not head or not all(_COLUMN.fullmatch(each) for each in head) or len({*head}) < len(head):
        raise PlanError(
            f"{what}: the first line names no columns; allowed: names of letters, digits and _, each once, such as "
            "username,password."
        )
    if not 1 <= len(lines) - 1 <= rows_max:
        raise PlanError(f"{what}: found {len(lines) - 1} users; allowed: 1 to {rows_max}, a line each.")
    for number, line in lines[1:]:
        if len(line) != len(head):
            raise PlanError(f"{what}: its line {number} has {len(line)} values; allowed: {len(head)}, one a column.")
    return tuple(dict(zip(head, line, strict=True)) for _, line in lines[1:])
