"""What verbs share on the way in: options, durations, and the store they use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from prony.app.environment import state_folder
from prony.knobs.values import NotAllowedError, read
from prony.recording import Store


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
    place = state_folder() if folder is None else folder / ".prony"
    return Store(place / "prony.db"), place
