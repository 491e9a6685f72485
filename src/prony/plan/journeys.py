"""The [[traffic.journey]] tables in, journeys as frozen data out: their files are read, and not run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prony.errors import PlanError
from prony.plan import journey_code, keys, users
from prony.plan.checks import only_known, shown, values_of, word
from prony.plan.requests import Journey

JOURNEYS_MAX = 100
USERS_BYTES_MAX = 16_000_000
USERS_MAX = 200_000
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
    name = shown(found[1]).strip('"')
    journey_code.check(file, found[1], found[2], f"{source}: [[{_PATH}]] run: {name}")
    listed = ""
    if values["users"]:
        path = _within(folder, values["users"], "users", source)
        what = f"{source}: [[{_PATH}]] users: {word(values['users'])}"
        users.rows_of(path, what, bytes_max=USERS_BYTES_MAX, rows_max=USERS_MAX)
        listed = str(path)
    return Journey(
        name=values["run"],
        file=str(file),
        function=found[2],
        weight=values["weight"],
        users=listed,
        anonymous=values["anonymous"],
    )


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
