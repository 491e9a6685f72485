"""The [[traffic.phase]] tables in, how the load goes over time as frozen data out."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from prony.errors import PlanError
from prony.plan import keys
from prony.plan.checks import only_known, shown, values_of
from prony.plan.keys import Key
from prony.plan.requests import Phase, RateSeries
from prony.plan.turns import Stretch

PHASES_MAX = 1000
DURATION_MAX_S = 86_400.0
STRETCHES_MAX = 200_000
_PATH = "traffic.phase"
_SHAPE = "shape"


def read(raw: Any, source: str, recorded: RateSeries | None, *, closed: bool) -> tuple[Phase, ...]:
    """The phases of a plan, in their order.

    Args:
        raw: What stands there.
        source: The file, as messages name it.
        recorded: The rate series that shape "recorded" repeats.
        closed: Whether their levels are users; else requests per second.

    Raises:
        PlanError: one paragraph on the first thing that is wrong.
    """
    if not isinstance(raw, list) or not all(isinstance(each, dict) for each in raw):
        raise PlanError(f"{source}: [traffic] phase: found {shown(raw)}; allowed: tables [[{_PATH}]].")
    if not 1 <= len(raw) <= PHASES_MAX:
        raise PlanError(f"{source}: [[{_PATH}]]: found {len(raw)}; allowed: 1 to {PHASES_MAX} of them.")
    found = tuple(_phase(each, source, recorded, closed=closed) for each in raw)
    total_s = math.fsum(phase.duration_s for phase in found)
    if not 0.5 <= total_s <= DURATION_MAX_S:
        raise PlanError(
            f"{source}: [[{_PATH}]]: found {total_s:g} s in all; allowed: from 0.5 s to {DURATION_MAX_S:.0f} s."
        )
    if sum(len(phase.stretches) for phase in found) > STRETCHES_MAX:
        raise PlanError(
            f"{source}: [[{_PATH}]]: found over {STRETCHES_MAX} steps in all; allowed: fewer.", hint=f"edit {source}"
        )
    least = 1 if closed else 0
    most = max(phase.most for phase in found)
    if most <= 0 or most < least:
        what = "fewer than one user throughout" if closed else "no requests at all"
        raise PlanError(f"{source}: [[{_PATH}]]: found {what}; allowed: at least one phase that asks for something.")
    return found


def _phase(raw: Mapping[str, Any], source: str, recorded: RateSeries | None, *, closed: bool) -> Phase:
    shape = raw.get(_SHAPE)
    if not isinstance(shape, str) or shape not in keys.PHASES:
        near = difflib.get_close_matches(str(shape)[:60], keys.PHASES, n=1, cutoff=0.4)
        nearest = f" Did you mean {near[0]}?" if near else ""
        said = "is missing" if _SHAPE not in raw else f"found {shown(shape)}"
        raise PlanError(
            f"{source}: [[{_PATH}]] {_SHAPE}: {said}; allowed: one of {', '.join(keys.PHASES)}.{nearest}",
            hint=f'write {_SHAPE} = "{near[0] if near else "hold"}"',
        )
    known = tuple(_bounded(key, closed=closed) for key in keys.PHASES[shape])
    _only_its_own(raw, shape, known, source)
    values = values_of(raw, known, source, f"[{_PATH}]")
    if shape == "recorded":
        return Phase(shape=shape, stretches=_recorded(values, source, recorded, closed=closed))
    if shape == "spike" and not values["lasts"] < values["duration"]:
        raise PlanError(
            f"{source}: [[{_PATH}]] lasts: found {values['lasts']:g} s of a phase of {values['duration']:g} s; "
            "allowed: less than `duration`, which is the whole phase's length.",
            hint="a longer duration, or a shorter spike",
        )
    return Phase(shape=shape, stretches=tuple(_stretches(shape, values)))


def _bounded(key: Key, *, closed: bool) -> Key:
    """A level's key with the bounds that its unit has."""
    if key.name not in keys.LEVELS:
        return key
    most = keys.USERS_MAX if closed else keys.RATE_MAX
    return Key(key.name, key.kind, key.default, key.why, 0, most, required=key.required)


def _only_its_own(raw: Mapping[str, Any], shape: str, known: Iterable[Key], source: str) -> None:
    """A key of another shape is told as that; any other unknown one as ever."""
    names = [_SHAPE, *(key.name for key in known)]
    for name in raw:
        others = [other for other, theirs in keys.PHASES.items() if name in {key.name for key in theirs}]
        if name not in names and others:
            raise PlanError(
                f'{source}: [[{_PATH}]] {name}: found it beside shape = "{shape}", which takes '
                f"{', '.join(names[1:])}; {name} belongs to {', '.join(others)}.",
                hint=f"take {name} out, or choose another shape",
            )
    only_known(raw, names, source, f"[{_PATH}]")


def _stretches(shape: str, values: Mapping[str, Any]) -> Iterable[Stretch]:
    duration_s = values["duration"]
    if shape == "hold":
        yield duration_s, values["level"], values["level"]
    elif shape == "steps":
        for number in range(values["steps"]):
            level = values["from"] + (values["to"] - values["from"]) * number / (values["steps"] - 1)
            yield duration_s / values["steps"], level, level
    elif shape == "spike":
        calm_s = (duration_s - values["lasts"]) / 2
        yield calm_s, values["from"], values["from"]
        yield values["lasts"], values["to"], values["to"]
        yield calm_s, values["from"], values["from"]
    else:  # ramp, rush
        yield duration_s, values["from"], values["to"]


def _recorded(
    values: Mapping[str, Any], source: str, recorded: RateSeries | None, *, closed: bool
) -> tuple[Stretch, ...]:
    """The steps of a recorded rate, as long as they were or squeezed into a duration, and each times a number."""
    where = f'{source}: [[{_PATH}]] shape = "recorded"'
    if closed:
        raise PlanError(
            f'{where}: found beside arrivals = "closed"; a recorded rate says how many requests came, not how many '
            "users.",
            hint='arrivals = "poisson"',
        )
    if recorded is None:
        raise PlanError(
            f"{where}: found no recorded rate; [traffic] file names the file it stands in, under [rate].",
            hint="prony import access.log, which writes one",
        )
    step_s = recorded.step_s if values["duration"] is None else values["duration"] / len(recorded.rps)
    levels = [rate * values["times"] for rate in recorded.rps]
    if max(levels) > keys.RATE_MAX:
        raise PlanError(f"{where}: found {max(levels):g} requests a second at most; allowed: up to {keys.RATE_MAX}.")
    return tuple((step_s, level, level) for level in levels)
