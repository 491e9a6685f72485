"""A file that pg_dump wrote in, the command that loads it and the roles that it speaks of out."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from prony.errors import PlanError

_RIGHTS = re.compile(r"^(?:ALTER .* OWNER TO|GRANT|REVOKE|ALTER DEFAULT PRIVILEGES) ")
_ROLE = re.compile(r'\b(?:TO|FROM|ROLE) ("(?:[^"]|"")+"|\w+)')
_ELSEWHERE = re.compile(r"^(?:\\c(?:onnect)? |CREATE DATABASE )")
_DATA = re.compile(r"^COPY .* FROM stdin;", re.IGNORECASE)
_OWN = re.compile(r"PUBLIC|CURRENT_USER|SESSION_USER|pg_\w+|prony", re.IGNORECASE)  # those are there
HINT = "make it so: pg_dump -Fc --no-owner --no-privileges YOUR_DATABASE > backup.dump"


class Loading(NamedTuple):
    """How a dump is loaded: the arguments of which program, and the roles that must be there before."""

    program: str
    options: list[str]
    roles: tuple[str, ...]


def loading(dump: Path, scratch: Path) -> Loading:
    """How to load it; what is compressed by gzip is first unpacked into a scratch file.

    Raises:
        PlanError: it is none of pg_dump's formats, or one that makes databases itself.
    """
    try:
        if dump.is_dir() or _archive(dump):
            return Loading("pg_restore", ["--no-owner", "--no-privileges", "--exit-on-error", str(dump)], ())
        if _head(dump).startswith(b"\x1f\x8b"):
            with gzip.open(dump, "rb") as packed, scratch.open("wb") as plain:
                shutil.copyfileobj(packed, plain, 1 << 20)
            return loading(scratch, scratch) if _archive(scratch) else _plain(scratch, dump)
        return _plain(dump, dump)
    except OSError as error:
        raise PlanError(f"{dump} cannot be read: {error.strerror or error}.", hint=HINT) from error


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(262)


def _archive(path: Path) -> bool:
    head = _head(path)
    return head.startswith(b"PGDMP") or head[257:262] == b"ustar"


def _plain(path: Path, named: Path) -> Loading:
    roles: dict[str, None] = {}
    for line in _statements(path):
        if _ELSEWHERE.match(line):
            raise PlanError(
                f"{named}: found {line[:60].strip()}, which leads to a database of its own; allowed: a dump of what is "
                "in one database, as pg_dump writes it without --create.",
                hint=HINT,
            )
        for name in _ROLE.findall(line) if _RIGHTS.match(line) else ():
            if not _OWN.fullmatch(name):
                roles[name[1:-1].replace('""', '"') if name.startswith('"') else name] = None
    if _head(path).count(b"\0"):
        raise PlanError(f"{named}: found no text and none of pg_dump's formats.", hint=HINT)
    return Loading("psql", ["-X", "-q", "-o", "/dev/null", "-v", "ON_ERROR_STOP=1", "-f", str(path)], tuple(roles))


def _statements(path: Path) -> Iterator[str]:
    """The lines of a plain dump, without tables' rows."""
    data = False
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if data:
                data = not line.startswith("\\.")
            elif _DATA.match(line):
                data = True
            else:
                yield line
