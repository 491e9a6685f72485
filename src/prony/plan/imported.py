"""A file of [[request]] tables that [traffic] file names in, those tables and the recorded rate out."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from prony.errors import PlanError
from prony.plan import keys
from prony.plan.checks import only_known, shown, table_of, values_of
from prony.plan.requests import RateSeries

FILE_BYTES_MAX = 8_000_000
RATE_RPS_MAX = 200_000


class Imported(Struct, frozen=True, kw_only=True):
    """What such a file holds; its requests are not checked yet.

    Attributes:
        source: The file, as messages name it.
        guessed: Whether it says of its weights that they were guessed.
    """

    source: str
    requests: Any
    recorded: RateSeries | None
    guessed: bool


def read(name: str, source: str, folder: Path) -> Imported:
    """The file of that name in `folder`.

    Raises:
        PlanError: it is not there, or one paragraph on what is wrong in it.
    """
    path = folder / name
    try:
        found = path.stat()
        if not path.is_file():
            raise PlanError(f"{source}: [traffic] file: found {shown(name)}, which is no file.")
        if found.st_size > FILE_BYTES_MAX:
            raise PlanError(f"{path} has {found.st_size} bytes; it may have {FILE_BYTES_MAX}.")
        document = _parsed(path, found.st_mtime_ns, found.st_size)
    except (OSError, ValueError, RecursionError) as error:
        what = getattr(error, "strerror", None) or str(error)[:200]
        if isinstance(error, OSError) or "\0" in name:
            raise PlanError(
                f"{source}: [traffic] file: found {shown(name)}, which cannot be read: {what}.",
                hint="prony import access.log, which writes it",
            ) from error
        raise PlanError(f"{path} is not TOML: {what}.", hint=f"edit {path} there") from error
    where = str(path)
    only_known(document, ("request", "rate", keys.GUESSED.name), where, "")
    if "request" not in document:
        raise PlanError(f"{where}: found no [[request]]; allowed: at least one.", hint="prony import access.log")
    return Imported(
        source=where,
        requests=document["request"],
        recorded=_recorded(document, where) if "rate" in document else None,
        guessed=values_of(document, (keys.GUESSED,), where, "")[keys.GUESSED.name],
    )


@lru_cache(maxsize=4)
def _parsed(path: Path, mtime_ns: int, size: int) -> dict[str, Any]:  # noqa: ARG001 - they tell one content from another
    """A plan is read anew for each change of a knob, and a large file takes longer than all else in it."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _recorded(document: dict[str, Any], source: str) -> RateSeries:
    table = table_of(document, "rate", source)
    only_known(table, [*(key.name for key in keys.RATE), "rps"], source, "rate")
    values = values_of(table, keys.RATE, source, "rate")
    rps = table.get("rps")
    if (
        not isinstance(rps, list)
        or not 1 <= len(rps) <= keys.RATES_MAX
        or not all(isinstance(r, int | float) and not isinstance(r, bool) and 0 <= r <= RATE_RPS_MAX for r in rps)
    ):
        raise PlanError(
            f"{source}: [rate] rps: found {shown(rps)}; allowed: a list of 1 to {keys.RATES_MAX} rates from 0 to "
            f"{RATE_RPS_MAX}."
        )
    return RateSeries(step_s=values["step"], rps=tuple(float(each) for each in rps))
