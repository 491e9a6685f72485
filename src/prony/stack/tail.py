"""Log files that grow in, their new lines out, each with the name of whose they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

READ_BYTES_MAX = 256 * 1024
LINE_MAX = 2000


class Tail:
    """Follows several log files, whole lines only."""

    def __init__(self) -> None:
        self._offsets: dict[Path, int] = {}
        self._names: dict[Path, str] = {}

    def follow(self, name: str, path: Path, *, from_start: bool = True) -> None:
        """Takes a file in; it need not be there yet.

        Args:
            name: Whose it is.
            path: The file; one that is followed already goes on as it was.
            from_start: Whether what is in it now is told too.
        """
        if path not in self._names:
            self._names[path] = name
            self._offsets[path] = 0 if from_start else _size(path)

    def lines(self) -> Iterator[tuple[str, str]]:
        """(name, line) of all that was written since the last call."""
        for path, before in list(self._offsets.items()):
            size = _size(path)
            offset = 0 if size < before else before  # it was cut for being too long
            if size == offset:
                continue
            try:
                with path.open("rb") as file:
                    file.seek(offset)
                    data = file.read(READ_BYTES_MAX)
            except OSError:
                continue
            end = data.rfind(b"\n") + 1
            if not end and len(data) == READ_BYTES_MAX:  # a line without end: shown in pieces
                end = len(data)
            self._offsets[path] = offset + end
            for line in data[:end].decode("utf-8", "replace").splitlines():
                if line.strip():
                    yield self._names[path], line[:LINE_MAX]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
