"""What was found in a project, as data: each thing with the place it was found in, and what could not be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from prony.app.interpreter import Interpreter

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """One thing that was found.

    Attributes:
        value: It.
        source: Where, as a person would look it up: "Procfile, line 1".
    """

    value: T
    source: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """What could not be told.

    Attributes:
        what: The thing, as the end of "could not tell".
        key: The key of prony.toml to fill in, such as "[stores.database] kind".
        todo: What to write there, or to do.
    """

    what: str
    key: str
    todo: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may be the app.

    Attributes:
        entry: "module:callable" or "module:factory()".
        file: Where it is made, relative to the project's folder, with its line: "shop/app.py, line 12".
        root: The folder from which the module is imported, relative to the project's: "." or "backend".
        framework: "django", "flask", "fastapi", "starlette" and so on; empty where it is not known.
        interface: "wsgi", "asgi", "aiohttp"; empty where it is not known.
        rank: How likely it is the app, greater for more likely.
    """

    entry: str
    file: str
    root: str = "."
    framework: str = ""
    interface: str = ""
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Served:
    """How a project serves itself today.

    Attributes:
        kind: The server's program, as [server] kind takes it; else "flask run" and the like, which it does not.
        source: Where that was found.
        worker_class: As [server] worker_class takes it.
        knobs: Knobs that were given, by key, in the form that prony.toml takes.
        entry: What it serves; empty where it names nothing.
        root: The folder it is started in or imports from, as it is written.
        remarks: What of it prony does not take over, one sentence each.
    """

    kind: str
    source: str
    worker_class: str = ""
    knobs: dict[str, Any] = field(default_factory=dict)
    entry: str = ""
    root: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreFound:
    """A store that the app expects.

    Attributes:
        name: Its table: "database" for the SQL one.
        kind: As [stores.NAME] kind takes it.
        source: How that is known.
        env: The variable that takes its URL, or a template for each variable.
        at: Where the app's settings expect it, where no variable says so.
        file: SQLite's file, relative to the project's folder.
    """

    name: str
    kind: str
    source: str
    env: str | dict[str, str] = ""
    at: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A command that makes the app's data; `sure` where it belongs into prepare, else it is only proposed."""

    command: str
    source: str
    sure: bool = True


@dataclass(frozen=True, slots=True)
class WorkerFound:
    """A process beside the web, and whether it can run in the stack."""

    name: str
    command: str
    source: str
    process: str = ""
    runs: bool = True


@dataclass(slots=True)
class Project:
    """All that was found; `root` is the folder that the app is imported from, relative to the project's."""

    entry: Fact[str]
    python: Interpreter
    root: str = "."
    framework: str = ""
    interface: str = ""
    env_file: Fact[str] | None = None
    env: dict[str, Fact[str]] = field(default_factory=dict)
    server: Served | None = None
    stores: list[StoreFound] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    workers: list[WorkerFound] = field(default_factory=list)
    host: Fact[str] | None = None
    headers: Fact[dict[str, str]] | None = None
    remarks: list[str] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
