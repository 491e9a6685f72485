"""A project's folder in, all that a bench must know of it out: read from its files, then tried in its interpreter."""

from __future__ import annotations

import ast
import contextlib
import re
import shlex
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from prony.app import interpreter
from prony.app.interpreter import Interpreter
from prony.app.overlay import versions
from prony.app.project import addresses, literal, making, needs, settings, sources, variables
from prony.app.project.choice import Choose, Chosen, choose
from prony.app.project.files import Files
from prony.app.project.model import Fact, Project, Served, StoreFound, Unknown, WorkerFound
from prony.app.project.servers import DEVELOPMENT
from prony.app.project.trials import Said, Trial, Tried
from prony.app.project.troubles import trouble
from prony.app.project.variables import Variables
from prony.errors import PlanError
from prony.knobs import server as server_knobs

FILES_MAX = 400
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}")
# Of a container's variables those that are about the container.
_CONTAINER = re.compile(r"^(PYTHON|PIP|POETRY|UV_|PATH$|LANG|LC_|PORT$|HOME$|DEBIAN|TZ$|NODE|VIRTUAL_ENV)")


class Inquiring(Protocol):
    """Runs commands, contained, in what stands for the project's folder (`folder`)."""

    @property
    def folder(self) -> Path:
        """That folder."""

    def ask(self, argv: list[str], env: Mapping[str, str], timeout_s: float) -> Said:
        """What a command says."""


@dataclass(slots=True)
class Reading:
    """One reading of a project.

    Attributes:
        inquire: Opens an inquiry into a folder under an interpreter.
        pick: Asks the user between several answers; None where nobody is to be asked.
        say: Hears what is being done.
    """

    folder: Path
    inquire: Callable[[Path, str], AbstractContextManager[Inquiring]]
    entry: str = ""
    python: str = ""
    pick: Choose | None = None
    say: Callable[[str], None] = lambda _: None
    files: Files = field(init=False)

    def run(self) -> Project:
        """All that was found.

        Raises:
            PlanError: there is no app, several, or one that does not import: in a paragraph that one can act on.
        """
        self.files = Files(self.folder)
        known = variables.read(self.files)
        found = sources.read(self.files, known.known)
        servers = sources.servers_of(self.files, found, known.known)
        chosen = choose(self.files, self.entry, servers, known, self.pick)
        root = chosen.app.root
        if root != ".":
            known = variables.read(self.files, root)
        python = self._interpreter(root)
        installed = versions(python.python)
        env = self._environment(chosen, known, found)
        named = variables.named_in(self.files)
        with self.inquire(self.folder, python.python) as inquiry:
            schemes = needs.schemes_of(installed, chosen.app.framework, uses_async=_uses_async(self.files))

            def attempt(env: Mapping[str, Fact[str]]) -> Tried:
                plain = known.values | {name: fact.value for name, fact in env.items()}
                trial = Trial(
                    inquiry.ask,
                    python.python,
                    chosen.app.entry,
                    plain,
                    schemes=schemes,
                    named=named,
                    shown=known.known,
                    say=self.say,
                )
                return trial.run()

            env, tried = self._tried(attempt, chosen, env)
            if not tried.usable:
                raise trouble(self.files, chosen.app.entry, python, tried.outcome)
            stores, remarks, unknown = needs.stores(tried, found.services, "".join(schemes[:1]), str(inquiry.folder))
        stores += needs.guessed(tried, stores, "".join(schemes[:1]), installed)
        if not any(store.name == "database" for store in stores):
            stores += opened_later(self.files)
        project = Project(Fact(chosen.app.entry, chosen.source), python, root, chosen.app.framework)
        project.remarks = [*known.remarks, *found.remarks, *remarks]
        project.unknown = [each for each in unknown if each.key not in {f"[stores.{store.name}]" for store in stores}]
        project.stores = stores
        project.interface = str(tried.outcome.found.get("interface") or chosen.app.interface)
        project.framework = project.framework or _framework(tried.outcome.found)
        project.env_file = known.file
        self._fill_env(project, env, tried, known)
        settings.apply(project, tried)
        project.server = serving(servers, project.interface or "wsgi", project.remarks)
        flask = tried.outcome.found.get("flask")
        if flask:
            flask["entry"] = shlex.quote(chosen.app.entry)
        project.steps, more = making.steps(self.files, root, tried.outcome, found, installed)
        project.remarks += more
        project.workers = workers(found, project)
        if not tried.outcome.worked:
            project.remarks.append(
                "The app asks its store while it is imported, and here none answered; on the bench one stands ready."
            )
        return project

    def _interpreter(self, root: str) -> Interpreter:
        if self.python:
            return interpreter.find(self.folder, self.python)
        found = interpreter.find(self.folder)
        if found.how == "prony's own" and root != ".":
            found = interpreter.find(self.folder / root)
        return found

    def _environment(self, chosen: Chosen, known: Variables, found: sources.Sources) -> dict[str, Fact[str]]:
        """What [app] env begins with: an example's values, a container's, the settings module, the import path."""
        env = {
            name: fact
            for name, fact in known.examples.items()
            if not addresses.is_store(name, fact.value) and not name.startswith("PYTHON")
        }
        if known.file is None:
            for file, service in found.services:
                if service.built or not service.image:
                    for name, value in service.env.items():
                        if not (addresses.is_store(name, value) or _CONTAINER.match(name) or "$" in value or not value):
                            env.setdefault(name, Fact(value, f"{file}, service {service.name}"))
        for name, value in found.env.items():
            if not (addresses.is_store(name, value) or _CONTAINER.match(name) or "$" in value or name in known.values):
                env.setdefault(name, Fact(value, "Dockerfile"))
        if chosen.settings and "DJANGO_SETTINGS_MODULE" not in env and "DJANGO_SETTINGS_MODULE" not in known.values:
            env["DJANGO_SETTINGS_MODULE"] = chosen.settings[0]
        if chosen.app.root != ".":
            env["PYTHONPATH"] = Fact(chosen.app.root, f"the app is imported from {chosen.app.root}/")
        return env

    def _tried(
        self, attempt: Callable[[Mapping[str, Fact[str]]], Tried], chosen: Chosen, env: dict[str, Fact[str]]
    ) -> tuple[dict[str, Fact[str]], Tried]:
        """Tries the entry; of several settings modules the first that imports."""
        tried = attempt(env)
        for fact in chosen.settings[1:]:
            if tried.usable or env.get("DJANGO_SETTINGS_MODULE") != chosen.settings[0]:
                break
            first = chosen.settings[0].value
            text = str(tried.outcome.error["text"])[:160]
            self.say(f"{first} does not import ({text}); trying {fact.value}")
            again = attempt(env | {"DJANGO_SETTINGS_MODULE": fact})
            if again.usable:
                said = Fact(fact.value, f"{fact.source}; {first} does not import here: {text}")
                return env | {"DJANGO_SETTINGS_MODULE": said}, again
        return env, tried

    def _fill_env(self, project: Project, env: dict[str, Fact[str]], tried: Tried, known: Variables) -> None:
        taken = {name for store in project.stores for name in needs.variables_of(store)}
        project.env = {name: fact for name, fact in env.items() if name not in taken}
        for name, value in tried.invented.items():
            if name not in taken:
                project.env[name] = Fact(value, "invented: the app does not start without it")
        for name in tried.stood_in:
            if name not in taken and name not in known.values:
                project.unknown.append(
                    Unknown(f"which store {name} is for", f"[app] env {name}", "the address it is to be set to")
                )


def opened_later(files: Files) -> list[StoreFound]:
    """SQLite files that nothing opens on import: those that the app's own code names when it connects."""
    found: dict[str, str] = {}
    for name in files.python()[:FILES_MAX]:
        text = files.text(name)
        tree = files.tree(name) if "sqlite3" in text or "aiosqlite" in text else None
        if tree is None:
            continue
        known = {key: value for key, (value, _, _) in literal.assignments(tree, {}).items()}
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) in {"sqlite3.connect", "aiosqlite.connect"}
                and node.args
            ):
                with contextlib.suppress(literal.NotPlainError, ArithmeticError, ValueError, TypeError):
                    file = literal.evaluate(node.args[0], known, {})
                    if isinstance(file, str) and file and ":" not in file and not file.startswith("/"):
                        found.setdefault(file.removeprefix("./"), f"{name}, line {node.lineno}")
    if len(found) != 1:
        return []
    file, source = next(iter(found.items()))
    return [StoreFound("database", "sqlite", source, file=file)]


def _uses_async(files: Files) -> bool:
    return any(
        "create_async_engine" in files.text(name) or "asyncpg" in files.text(name)
        for name in files.python()[:FILES_MAX]
    )


def _framework(found: Mapping[str, Any]) -> str:
    modules = set(found.get("modules") or [])
    return next(
        (name for name in ("django", "fastapi", "flask", "starlette", "quart", "litestar") if name in modules), ""
    )


def serving(servers: list[Served], interface: str, remarks: list[str]) -> Served:
    """The server to write down: today's where prony knows it and it serves such an app, else a usual one."""
    reason = "no server was found in the project"
    for each in servers:
        if each.kind in DEVELOPMENT:
            reason = f"{each.source} runs {DEVELOPMENT[each.kind]}, which is none to serve visitors with"
            continue
        worker_class = interface if each.kind == "granian" else each.worker_class
        if interface in server_knobs.INTERFACES.get((each.kind, worker_class), ()):
            return replace(each, worker_class=worker_class)
        remarks.append(
            f"{each.source}: {each.kind} {each.worker_class} does not serve such an app ({interface}).".replace(
                "  ", " "
            )
        )
    usual = {
        "wsgi": Served("gunicorn", f"{reason}: a usual one for WSGI", "sync", {"workers": 3}),
        "asgi": Served("uvicorn", f"{reason}: a usual one for ASGI"),
        "aiohttp": Served("gunicorn", f"{reason}: a usual one for aiohttp", "aiohttp"),
    }
    return usual.get(interface, usual["wsgi"])


def workers(found: sources.Sources, project: Project) -> list[WorkerFound]:
    """Celery and the like: of the Procfile by name, of compose files by command."""
    queues = any(store.kind == "valkey" for store in project.stores)
    taken = {"app", "proxy", "pooler", *(store.name for store in project.stores)}
    result: dict[str, WorkerFound] = {}
    for line in found.lines:
        words = [word.rpartition("/")[2] for word in line.command.words]
        beat = "beat" in words
        is_worker = ("celery" in words and ("worker" in words or beat)) or words[:1] in (["rq"], ["dramatiq"], ["arq"])
        is_worker = is_worker or bool({"rqworker", "run_huey", "qcluster", "rundramatiq", "process_tasks"} & set(words))
        name = line.role.lower()
        if not is_worker or line.role in {"build", "script", "release"} or not _NAME.fullmatch(name):
            continue
        name = f"{name}-worker" if name in taken else name
        process = line.role if line.source.startswith("Procfile,") else ""
        command = " ".join(shlex.quote(word) if " " in word else word for word in line.command.words)
        if not any(w.command == command or beat for w in result.values()) and name not in result:
            result[name] = WorkerFound(name, command, line.source, process, runs=queues and not beat)
    return list(result.values())


def checked_folder(folder: Path) -> Path:
    """The folder to read, absolute.

    Raises:
        PlanError: it is none, or cannot be read.
    """
    try:
        if folder.is_file():
            raise PlanError(f"{folder} is a file; a project is a folder.", hint=f"prony init {folder.parent}")
        if not folder.exists():
            raise PlanError(f"{folder}: there is no such folder.", hint="prony init PATH, the project's folder")
        next(folder.iterdir(), None)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise PlanError(f"{folder} cannot be read: {why}.", hint="prony init PATH, the project's folder") from error
    return folder.absolute()
