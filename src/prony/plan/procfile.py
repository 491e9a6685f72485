"""A Procfile in, its processes' commands by name out, as honcho and Heroku read it."""

from __future__ import annotations

import re
from pathlib import Path

from prony.errors import PlanError

_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+)$")
FILE_BYTES_MAX = 100_000


def read_procfile(path: Path) -> dict[str, str]:
    """Each process's command, in the file's order.

    Raises:
        PlanError: there is no such file, or a line of it is none of a Procfile.
    """
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise PlanError(f"{path} has {path.stat().st_size} bytes; a Procfile may have {FILE_BYTES_MAX}.")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"{path} cannot be read: {error}.", hint=f"check {path}") from error
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.match(stripped)
        if match is None:
            raise PlanError(
                f'{path}, line {number}: found "{stripped[:60]}"; allowed: lines such as "web: gunicorn shop.wsgi".',
                hint=f"edit {path}",
            )
        if match[1] in found:
            raise PlanError(f"{path}, line {number}: found a second {match[1]}; allowed: one line a name.")
        found[match[1]] = match[2]
    return found
