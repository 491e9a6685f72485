"""A Procfile and the .env beside it in, commands by name and variables out, as honcho and Heroku read them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from prony.errors import PlanError

_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+)$")
FILE_BYTES_MAX = 100_000


def read_procfile(path: Path) -> dict[str, str]:
    """Each process's command, in the file's order.

    Raises:
        PlanError: there is no such file, or a line of it is none of a Procfile.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
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


def read_env(path: Path) -> dict[str, str]:
    """The variables of a .env file, none where there is no such file: lines NAME=VALUE, quoted as in a shell.

    Raises:
        PlanError: it cannot be read, or a quotation in it has no end.
    """
    if not path.exists():
        return {}
    found: dict[str, str] = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        try:
            tokens = list(shlex.shlex(line.strip().removeprefix("export "), posix=True))
        except ValueError as error:  # the value itself may be a secret: it is not shown
            raise PlanError(
                f'{path}, line {number}: {str(error).lower()}; allowed: lines such as NAME="some value".',
                hint=f"edit {path}",
            ) from error
        # what is no assignment is passed over, as honcho does
        if len(tokens) > 2 and tokens[1] == "=" and tokens[0].isidentifier():
            found[tokens[0]] = "".join(tokens[2:]).replace("\\n", "\n").replace("\\t", "\t")
    return found


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise PlanError(f"{path} has {path.stat().st_size} bytes; it may have {FILE_BYTES_MAX}.")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"{path} cannot be read: {error}.", hint=f"check {path}") from error
