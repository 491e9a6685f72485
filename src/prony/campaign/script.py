"""A replay's data file in, its tests and configurations as frozen structs out."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from prony.errors import PlanError


class Saturation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How R is measured: a closed loop for so long."""

    duration_s: float


class Rush(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Clients that do not let up: a closed loop without a pause."""

    clients: int
    duration_s: float


class ScriptTest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One test of the account: its load is a share of R, or so many clients; or it is a configuration's rush.

    `beside` names the test it is to be compared with.
    """

    name: str
    title: str
    account: str
    duration_s: float
    drain_s: float = 3.0
    seeded: bool = True
    share_of_r: float | None = None
    clients: int | None = None
    set: dict[str, Any] = {}
    configuration: str = ""
    beside: str = ""


class ScriptConfiguration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the table: what it changes in the base; `threads_fit_database`: as many as connections allow."""

    name: str
    title: str
    set: dict[str, Any] = {}
    threads_fit_database: bool = False


class Script(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One account's experiment."""

    title: str
    project: str
    about: str
    base: dict[str, Any]
    saturation: Saturation
    rush: Rush
    test: tuple[ScriptTest, ...]
    configuration: tuple[ScriptConfiguration, ...]

    @property
    def folder(self) -> Path:
        """Where its app lives."""
        return Path(str(resources.files("prony") / "workloads" / self.project))


def names() -> list[str]:
    """The replays there are."""
    folder = resources.files("prony") / "replays"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load(name: str) -> Script:
    """One replay's script.

    Raises:
        PlanError: there is none of that name.
    """
    if name not in names():
        raise PlanError(f"replay: found {name}; allowed: {', '.join(names())}.", hint=f"prony replay {names()[0]}")
    text = (resources.files("prony") / "replays" / f"{name}.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Script)
