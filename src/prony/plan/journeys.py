"""The [[traffic.journey]] tables in, journeys as frozen data out: their files are read, and not run."""

from __future__ import annotations

import ast
import csv
import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prony.errors import PlanError
from prony.plan import keys
from prony.plan.checks import only_known, shown, values_of
from prony.plan.requests import Journey

JOURNEYS_MAX = 100
FILE_BYTES_MAX = 1_000_000
USERS_BYTES_MAX = 16 * 1024**2
_PATH = "traffic.journey"
_RUN = re.compile(r"([^:\x00-\x1f]{1,200}\.py):([^\W\d]\w{0,100})")
_EXAMPLE = '"journeys.py:buy": a file in the project and an `async def` in it'


def read(raw: Any, source: str, folder: Path) -> tuple[Journey, ...]:
    """The journeys of a plan whose files lie in `folder`.

    Raises:
        PlanError: one paragraph on the first thing that is wrong.
    """
    if not isinstance(raw, list) or not all(isinstance(each, dict) for each in raw):
        raise PlanError(f"{source}: [traffic] journey: found {shown(raw)}; allowed: tables [[{_PATH}]].")
    if not 1 <= len(raw) <= JOURNEYS_MAX:
        raise PlanError(f"{source}: [[{_PATH}]]: found {len(raw)}; allowed: 1 to {JOURNEYS_MAX} of them.")
    return tuple(_journey(each, source, folder.absolute()) for each in raw)


def _journey(raw: Mapping[str, Any], source: str, folder: Path) -> Journey:
    only_known(raw, (key.name for key in keys.JOURNEY), source, _PATH)
    values = values_of(raw, keys.JOURNEY, source, _PATH)
    found = _RUN.fullmatch(values["run"])
    if found is None:
        raise PlanError(f"{source}: [[{_PATH}]] run: found {shown(values['run'])}; allowed: {_EXAMPLE}.")
    file = _within(folder, found[1], "run", source)
    _check_function(file, found[1], found[2], source)
    users = ""
    if values["users"]:
        path = _within(folder, values["users"], "users", source)
        _check_users(path, values["users"], source)
        users = str(path)
    return Journey(name=values["run"], file=str(file), function=found[2], weight=values["weight"], users=users)


def _within(folder: Path, name: str, key: str, source: str) -> Path:
    """A file of the project's; symbolic links may lead elsewhere, names may not."""
    path = Path(name)
    try:
        wrong = "leads out of the project" if path.is_absolute() or ".." in path.parts else ""
        if not wrong and not (folder / path).is_file():
            wrong = f"there is no such file in {folder}"
    except (OSError, ValueError):
        wrong = "no file has such a name"
    if wrong:
        raise PlanError(
            f"{source}: [[{_PATH}]] {key}: found {shown(name)}: {wrong}; allowed: a file in the project's folder.",
            hint="docs/howto/journeys.md has a whole example",
        )
    return folder / path


def _check_function(file: Path, name: str, function: str, source: str) -> None:
    start = f"{source}: [[{_PATH}]] run: {shown(name).strip(chr(34))}"
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            raise PlanError(f"{start} has over {FILE_BYTES_MAX} bytes.")
        tree = ast.parse(file.read_bytes(), str(file))
    except SyntaxError as error:
        raise PlanError(f"{start} is no Python: line {error.lineno}: {error.msg}.", hint=f"edit {file}") from error
    except OSError as error:
        raise PlanError(f"{start} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise PlanError(f"{start} is no Python: {str(error)[:100]}.", hint=f"edit {file}") from error
    known = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    found = known.get(function)
    if found is None:
        if any(isinstance(node, ast.Import | ast.ImportFrom | ast.If | ast.Try | ast.Assign) for node in tree.body):
            names = {each.asname or each.name for node in ast.walk(tree) for each in getattr(node, "names", ())
                     if isinstance(each, ast.alias)}  # fmt: skip
            if function in names or "*" in names:
                return  # it comes from elsewhere: seen when the load begins
        offered = [each for each, node in known.items() if isinstance(node, ast.AsyncFunctionDef)]
        near = difflib.get_close_matches(function, offered, n=1, cutoff=0.4)
        names_text = ", ".join(offered) or "none"
        hint = f'run = "{name}:{near[0]}"' if near else f"write `async def {function}(visitor):` in {file}"
        raise PlanError(f"{start}: found no function {function}; its `async def` functions: {names_text}.", hint=hint)
    if not isinstance(found, ast.AsyncFunctionDef):
        raise PlanError(
            f"{start}: line {found.lineno}: found `def {function}`; allowed: `async def {function}(visitor)`.",
            hint=f"write async before it in {file}",
        )
    least = len(found.args.posonlyargs) + len(found.args.args) - len(found.args.defaults)
    if least > 1 or (not found.args.args and not found.args.posonlyargs and found.args.vararg is None):
        raise PlanError(f"{start}: line {found.lineno}: {function} is to take one argument, the visitor.")


def _check_users(file: Path, name: str, source: str) -> None:
    """Whether it reads as a table of users: what stands in it is not told."""
    start = f"{source}: [[{_PATH}]] users: {shown(name).strip(chr(34))}"
    try:
        if file.stat().st_size > USERS_BYTES_MAX:
            raise PlanError(f"{start} has over {USERS_BYTES_MAX >> 20} MiB.")
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.reader(lines)
            heads = [each.strip() for each in next(rows, [])]
            first = next((row for row in rows if row), None)
    except (OSError, UnicodeError, csv.Error) as error:
        raise PlanError(f"{start} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if not heads or not all(heads) or len(set(heads)) < len(heads):
        raise PlanError(f"{start}: its first line is to name its columns, each once.", hint="username,password")
    if first is None or len(first) != len(heads):
        raise PlanError(
            f"{start}: found {'no row' if first is None else f'{len(first)} values'} below its {len(heads)} columns."
        )
