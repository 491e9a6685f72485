"""What verbs share on the way in: options, durations, and the store they use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

import prony
from prony.app import interpreter
from prony.app.environment import interpreter_for, state_folder
from prony.errors import MachineError
from prony.knobs.values import NotAllowedError, read
from prony.plan import Plan, changed, read_file
from prony.recording import Store
from prony.traffic import learned


def several(*chosen: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several click options as one decorator, in the order in which help shows them."""

    def decorate(command: Any) -> Any:
        for option in reversed(chosen):
            command = option(command)
        return command

    return decorate


project = click.option(
    "--project", type=click.Path(path_type=Path), default=".", show_default=True, help="Folder with a prony.toml."
)
sets = click.option(
    "--set", "sets", multiple=True, metavar="NAME=VALUE", help="Change a knob, such as server.workers=5; repeatable."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout (docs/json.md).")
debug = click.option("--debug", is_flag=True, help="Show a traceback when something fails.")
no_namespace = click.option(
    "--no-namespace", is_flag=True, help="Contain the app by the audit hook alone, in this machine's network."
)


class Duration(click.ParamType[float]):
    """A duration such as 250ms, 10s or 5m, as seconds."""

    name = "duration"

    def __init__(self, low: float, high: float) -> None:
        self.low = low
        self.high = high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return float(read("duration", value, self.low, self.high))
        except NotAllowedError as error:
            return float(self.fail(f"found {value}; allowed: {error}.", param, ctx))


def project_folder(folder: Path) -> Path | None:
    """The project's folder when it has a prony.toml, else None."""
    folder = folder.parent if folder.is_file() else folder
    return folder if (folder / "prony.toml").exists() else None


def open_store(folder: Path | None) -> tuple[Store, Path]:
    """The store of a project, or the one under the XDG state folder; and the folder it lies in."""
    place = own_place(folder)
    return Store(place / "prony.db"), place


def _is_shipped(folder: Path) -> bool:
    return folder.resolve().is_relative_to(Path(prony.__file__).resolve().parent / "workloads")


def own_place(folder: Path | None) -> Path:
    """Where prony keeps what belongs to a project: its .prony; for none, or a shipped one, the XDG state folder."""
    # absolute: programs of the stack have folders of their own to start relative paths from
    if folder is None:
        place = state_folder()
    elif _is_shipped(folder):  # an installation is nobody's project, and perhaps not to be written to
        place = state_folder() / "workloads" / folder.absolute().name
    else:
        place = folder.absolute() / ".prony"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder is not None and not (place / ".gitignore").exists():
            (place / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise MachineError(
            f"{place} cannot be written to: {error.strerror}.",
            hint=f"make {place.parent} writable, or copy the project",
        ) from error
    return place


def plan_of(project: Path, sets: tuple[str, ...], say: Callable[[str], None]) -> Plan:
    """A project's plan as it is loaded: with what `prony check` learned of its pages."""
    plan = written_plan(project, sets, say)
    return learned.apply(plan, learned.load(own_place(project_folder(project))), say)


def written_plan(project: Path, sets: tuple[str, ...], say: Callable[[str], None]) -> Plan:
    """A project's plan as it is written, under the interpreter that its own environment is found to have.

    A shipped workload has none: its requirements are installed once, in an environment of prony's own.
    """
    plan = read_file(project, sets)
    if "python" in plan.document["app"]:
        return plan
    return changed(plan, {"app.python": python_of(Path(plan.app.home or plan.app.folder), say)})


def python_of(folder: Path, say: Callable[[str], None]) -> str:
    """The interpreter of a project that names none: the one its tools would use, or a shipped workload's own."""
    return interpreter_for(folder, say) if _is_shipped(folder) else interpreter.find(folder).python
