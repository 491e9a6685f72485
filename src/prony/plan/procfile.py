"""A Procfile and the .env beside it in, commands by name and variables out, as honcho and python-dotenv read them."""

from __future__ import annotations

import re
from pathlib import Path

from prony.errors import PlanError

_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+)$")
_VARIABLE = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*(['\"]?)", re.MULTILINE)
_CLOSED = {"'": re.compile(r"([^']*)'"), '"': re.compile(r'((?:[^"\\]|\\.)*)"', re.DOTALL)}
_COMMENT = re.compile(r"(^|\s)#.*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "$": "$"}
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
    """The variables of a .env file, none where there is no such file: lines NAME=VALUE, as python-dotenv reads them.

    A quoted value may go over several lines. Where there is no quotation the value is the rest of the line, up to a #
    after a space: keys are full of # and quotes.

    Raises:
        PlanError: it cannot be read, or a quotation in it has no end.
    """
    if not path.exists():
        return {}
    text = _text(path).removeprefix("\ufeff")
    if "\0" in text:
        raise PlanError(f"{path}: found a NUL byte; allowed: text.", hint=f"edit {path}")
    found: dict[str, str] = {}
    at = 0
    while match := _VARIABLE.search(text, at):
        name, quote, at = match[1], match[2], match.end()
        if not quote:
            end = text.find("\n", at)
            line = text[at : end if end >= 0 else len(text)]
            found[name] = _COMMENT.sub("", line).strip()
            at += len(line)
            continue
        closed = _CLOSED[quote].match(text, at)
        if closed is None:  # the value itself may be a secret: it is not shown
            raise PlanError(
                f"{path}, line {text.count(chr(10), 0, at) + 1}: no closing quotation; allowed: lines such as "
                'NAME="some value".',
                hint=f"edit {path}",
            )
        found[name] = closed[1] if quote == "'" else _ESCAPE.sub(lambda each: _ESCAPES.get(each[1], each[0]), closed[1])
        at = closed.end()
    return found


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise PlanError(f"{path} has {path.stat().st_size} bytes; it may have {FILE_BYTES_MAX}.")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"{path} cannot be read: {error}.", hint=f"check {path}") from error
