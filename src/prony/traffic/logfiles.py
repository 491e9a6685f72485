"""Log files by name in, their lines out one at a time: plain or gzip, or standard input, never a whole file at once."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from prony.errors import PlanError

LINE_BYTES_MAX = 8192
_GZIP = b"\x1f\x8b"


class LogFile:
    """One file of lines; iterating gives each line as text, and a line that is too long as None.

    Attributes:
        name: The file's own name, without folders.
        cut: What ended it early, as the end of a sentence; empty where nothing did.
    """

    def __init__(self, path: str) -> None:
        self.name = "standard input" if path == "-" else Path(path).name
        self.path = path
        self.cut = ""

    def __iter__(self) -> Iterator[str | None]:
        """The lines.

        Raises:
            PlanError: the file cannot be opened or read.
        """
        try:
            with sys.stdin.buffer if self.path == "-" else Path(self.path).open("rb") as raw:
                yield from self._lines(raw)
        except (OSError, ValueError) as error:
            raise PlanError(
                f"{self.path}: cannot be read: {getattr(error, 'strerror', None) or error}.",
                hint="prony import access.log, or: zcat access.log.*.gz | prony import -",
            ) from error

    def _lines(self, raw: BinaryIO) -> Iterator[str | None]:
        head = cast("io.BufferedReader", raw).peek(2)[:2]
        lines = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if head == _GZIP else raw
        long = False
        try:
            while line := lines.readline(LINE_BYTES_MAX):
                ended = line.endswith(b"\n")
                if not ended and len(line) == LINE_BYTES_MAX:
                    long = True  # its end is still to come
                elif long:
                    long = False
                    yield None
                else:
                    yield line.decode("utf-8", "backslashreplace")
            if long:
                yield None
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            self.cut = f"it ends early or is damaged ({str(error)[:80]})"


def open_all(paths: tuple[str, ...]) -> list[LogFile]:
    """The files, each of which is there, is no folder, and is named once.

    Raises:
        PlanError: one of them is not so.
    """
    seen: dict[tuple[int, int], str] = {}
    for path in paths:
        if path == "-":
            key = (-1, -1)
        else:
            try:
                found = os.stat(path)  # noqa: PTH116 - Path's own raises on a NUL in a name
            except (OSError, ValueError) as error:
                what = getattr(error, "strerror", None) or "no path"
                raise PlanError(f"{path[:200]}: cannot be read: {what}.", hint="prony import access.log") from error
            if Path(path).is_dir():
                raise PlanError(f"{path} is a folder.", hint=f"name the logs in it: prony import {path}/access.log*")
            key = (found.st_dev, found.st_ino)
        if key in seen:
            raise PlanError(f"{path}: the same file as {seen[key]}: its requests would count twice.")
        seen[key] = path
    return [LogFile(path) for path in paths]
