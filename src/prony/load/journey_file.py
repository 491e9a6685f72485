"""A spec's journeys in, their functions and users out: the user's own file run once, in the load engine's process."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prony.errors import PlanError
from prony.plan.journeys import USERS_BYTES_MAX, USERS_MAX
from prony.plan.users import Row, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping
    from types import ModuleType

    from prony.load.spec import JourneySpec

_SECRET_CHARACTERS: Final = 3  # a user's values of so many are not told
_SHOWN_CHARACTERS: Final = 120


@dataclass(frozen=True, slots=True)
class Journey:
    """A journey made ready.

    Attributes:
        name: As the plan has it: `journeys.py:buy`.
        function: Its `async def`; given a visitor.
        weight: Its share of the arrivals, relative to the others'.
        users: The rows of its CSV file; none where it names none.
        file: Absolute path of its file.
        anonymous: Whether its visitors begin as nobody.
    """

    name: str
    function: Callable[[Any], Coroutine[Any, Any, Any]]
    weight: float
    users: tuple[Row, ...]
    file: str
    anonymous: bool


def journeys_of(specs: Iterable[JourneySpec]) -> list[Journey]:
    """The journeys of a spec. Their files are run, each once, and may import what lies beside them.

    Raises:
        PlanError: A file that cannot be read or run, or has no such function; users that cannot be read.
    """
    modules: dict[str, ModuleType] = {}
    users: dict[str, tuple[Row, ...]] = {}
    found = []
    for spec in specs:
        if spec.file not in modules:
            modules[spec.file] = _module(Path(spec.file), len(modules))
        function = getattr(modules[spec.file], spec.function, None)
        if not inspect.iscoroutinefunction(function):
            raise PlanError(f"{spec.name}: {Path(spec.file).name} has no `async def {spec.function}(visitor)`.")
        if spec.users and spec.users not in users:
            path = Path(spec.users)
            users[spec.users] = rows_of(path, path.name, bytes_max=USERS_BYTES_MAX, rows_max=USERS_MAX)
        rows = users[spec.users] if spec.users else ()
        found.append(Journey(spec.name, function, spec.weight, rows, spec.file, spec.anonymous))
    return found


def _module(path: Path, number: int) -> ModuleType:
    name = f"prony_journeys_{number}_{path.stem}"
    made = importlib.util.spec_from_file_location(name, path)
    if made is None or made.loader is None:
        raise PlanError(f"{path.name} is no Python file.")
    module = importlib.util.module_from_spec(made)
    sys.modules[name] = module
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.append(folder)  # last: nothing of prony's own is to be hidden by it
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # nothing is written into the project
    try:
        made.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise PlanError(f"{_place(error, str(path), path.name)}: {told(error, {})}") from error
    finally:
        sys.dont_write_bytecode = writes
    return module


def place_of(error: BaseException, journey: Journey) -> str:
    """Where in the journey's file something was raised: `journeys.py:12 in buy`."""
    return _place(error, journey.file, journey.name)


def _place(error: BaseException, file: str, otherwise: str) -> str:
    if isinstance(error, SyntaxError) and error.filename == file:
        return f"{Path(file).name}:{error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == file:
            where = "" if frame.name == "<module>" else f" in {frame.name}"
            return f"{Path(file).name}:{frame.lineno}{where}"
    return otherwise


def told(error: BaseException, user: Mapping[str, str]) -> str:
    """An exception in a line, without what the user's row holds."""
    text = hidden(" ".join(f"{type(error).__name__}: {error}".split()).rstrip(": "), user)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"


def hidden(text: str, user: Mapping[str, str]) -> str:
    """A text without what a user's row holds: passwords are among it."""
    for value in user.values():
        if len(value) >= _SECRET_CHARACTERS:
            text = text.replace(value, "…")
    return text
