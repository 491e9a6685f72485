"""A project's folder in, the files that its author wrote out: found once, read with bounds, parsed where that goes."""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FILE_BYTES_MAX = 1_000_000
FILES_MAX = 20_000
DEPTH_MAX = 6
SKIPPED = {
    ".git", ".hg", ".svn", "node_modules", "__pycache__", ".tox", ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache",
    ".prony", "site-packages", "bower_components", "htmlcov", ".eggs", ".idea", ".vscode", "media", "staticfiles",
}  # fmt: skip
ASIDE = {"test", "tests", "docs", "doc", "examples", "example", "migrations", "benchmarks", "scripts", "alembic"}


@dataclass(slots=True)
class Files:
    """The files of a project, as paths relative to its folder in the order of their depth.

    Attributes:
        folder: The project's folder.
        unreadable: Files that could not be read, and why.
        broken: Python files that are none: (file, line, what is wrong).
    """

    folder: Path
    unreadable: dict[str, str] = field(default_factory=dict)
    broken: dict[str, tuple[int, str]] = field(default_factory=dict)
    _names: list[str] | None = None
    _trees: dict[str, ast.Module | None] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Every file, those nearer the top first."""
        if self._names is None:
            found = sorted(self._walk(), key=lambda name: (name.count("/"), name))
            self._names = found
        return self._names

    def _walk(self) -> Iterator[str]:
        count = 0
        for here, folders, files in os.walk(self.folder):
            place = Path(here)
            depth = len(place.relative_to(self.folder).parts)
            folders[:] = sorted(
                name
                for name in folders
                if name not in SKIPPED and depth < DEPTH_MAX and not (place / name / "pyvenv.cfg").exists()
            )
            for name in sorted(files):
                count += 1
                if count > FILES_MAX:
                    return
                yield (place / name).relative_to(self.folder).as_posix()

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self.folder / name).is_file()

    def text(self, name: str) -> str:
        """A file's text; empty, and noted, where it cannot be read."""
        path = self.folder / name
        try:
            if not path.is_file():
                return ""
            if path.stat().st_size > FILE_BYTES_MAX:
                self.unreadable[name] = "too large"
                return ""
            return path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            self.unreadable[name] = "not UTF-8"
        except (OSError, ValueError) as error:
            self.unreadable[name] = getattr(error, "strerror", None) or str(error)
        return ""

    def python(self, *, aside: bool = False) -> list[str]:
        """Python files; without `aside` those in folders of tests, docs, migrations and the like are left out."""
        return [
            name
            for name in self.names
            if name.endswith(".py")
            and (aside or not (ASIDE & set(name.split("/")[:-1]) or name.rpartition("/")[2].startswith("test_")))
        ]

    def tree(self, name: str) -> ast.Module | None:
        """A Python file's syntax tree; None, and noted, where it has none."""
        if name not in self._trees:
            self._trees[name] = self._parsed(name)
        return self._trees[name]

    def _parsed(self, name: str) -> ast.Module | None:
        text = self.text(name)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of their code's escapes and the like
                return ast.parse(text)
        except SyntaxError as error:
            self.broken[name] = (error.lineno or 0, error.msg)
        except (ValueError, RecursionError, MemoryError) as error:
            self.broken[name] = (0, str(error)[:80])
        return None
