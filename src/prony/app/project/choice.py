"""All that names an app in a project in, the one entry that it is measured by out, or who could be meant."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from prony.app.project import django, entries
from prony.app.project.files import Files
from prony.app.project.model import Candidate, Fact, Served
from prony.app.project.servers import DEVELOPMENT
from prony.app.project.variables import Variables
from prony.errors import PlanError
from prony.knobs import server as server_knobs

_ENTRY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*(\(.*\))?)?")
SHOWN_MAX = 6

Choose = Callable[[str, list[str], int], int]  # question, answers, which is proposed: which was chosen


@dataclass(frozen=True, slots=True)
class Chosen:
    """The app: what it is, who says so, and the settings modules to try where it is Django's, the likeliest first."""

    app: Candidate
    source: str
    settings: tuple[Fact[str], ...] = ()


def choose(files: Files, named: str, servers: list[Served], known: Variables, pick: Choose | None) -> Chosen:
    """The app of a project.

    Args:
        files: The project's files.
        named: What the user says it is; empty for nothing.
        servers: How the project is served, the likeliest first.
        known: Its variables.
        pick: Asks the user between several; None where nobody is to be asked.

    Raises:
        PlanError: there is none, or there are several and nobody to ask.
    """
    projects = django.find(files)
    if named:
        return _named(files, named, projects)
    for each in servers:
        if each.entry and each.kind not in DEVELOPMENT:
            found = _resolved(files, each, projects)
            if found is not None:
                return found
    if projects:
        chosen = _django(projects, servers, pick)
        if chosen is not None:
            return chosen
    told = _told(files, servers, known)
    if told is not None:
        return told
    found_apps = entries.chosen(entries.candidates(files))
    if not found_apps:
        raise _none(files)
    if len(found_apps) > 1:
        found_apps = [_one(found_apps, pick)]
    return Chosen(found_apps[0], found_apps[0].file)


def _named(files: Files, named: str, projects: list[django.Django]) -> Chosen:
    if not _ENTRY.fullmatch(named):
        raise PlanError(
            f'--entry: found {named[:80]}; allowed: "module:callable" such as config.wsgi:application, or a factory '
            "module:create_app().",
            hint="prony init --entry module:callable",
        )
    entry = named if ":" in named else f"{named}:application"
    root = root_of(files, entry, "")
    if root is None:
        raise PlanError(
            f"--entry: found {named}; there is no module {entry.partition(':')[0]} in {files.folder}.",
            hint="name it as Python imports it: shop.app:app for shop/app.py",
        )
    known = next((each for each in entries.candidates(files) if each.entry == entry), None)
    return _completed(files, known or Candidate(entry, "--entry", root), "--entry", projects)


def root_of(files: Files, entry: str, folder: str) -> str | None:
    """The folder from which an entry's module is imported; None where the project has no such module."""
    path = entry.partition(":")[0].replace(".", "/")
    told = folder.strip("/").removeprefix("./").rstrip("/")
    roots = [told, told.rpartition("/")[2], ".", "src"]
    roots += [n.removesuffix(f"{path}.py").rstrip("/") for n in files.names if n.endswith(f"/{path}.py")]
    roots += [
        n.removesuffix(f"{path}/__init__.py").rstrip("/") for n in files.names if n.endswith(f"/{path}/__init__.py")
    ]
    for root in roots:
        prefix = "" if root in {"", "."} else root + "/"
        if files.has(f"{prefix}{path}.py") or files.has(f"{prefix}{path}/__init__.py"):
            return root or "."
    return None


def _resolved(files: Files, each: Served, projects: list[django.Django]) -> Chosen | None:
    """What a server's command names, if the project has it."""
    entry = each.entry
    root = root_of(files, entry, each.root)
    if root is None:
        return None
    of_root = [each for each in entries.candidates(files) if each.root == root]
    # a factory's parentheses get lost between shells: gunicorn shop:create_app()
    candidate = next((c for c in of_root if c.entry in {entry, entry + "()"}), None)
    interfaces = server_knobs.INTERFACES.get((each.kind, each.worker_class), ("",))
    interface = interfaces[0] if len(interfaces) == 1 else ""
    app = candidate or Candidate(entry, each.source, root, "", interface)
    return _completed(files, app, each.source, projects)


def _completed(files: Files, app: Candidate, source: str, projects: list[django.Django]) -> Chosen:
    """With the settings modules that a Django project names."""
    for project in projects:
        for found in (project.wsgi, project.asgi):
            if found is not None and found[0].entry == app.entry:
                return Chosen(replace(found[0], root=app.root), source, _settings(project, found[1]))
    module = app.entry.partition(":")[0].replace(".", "/")
    prefix = "" if app.root == "." else app.root + "/"
    text = files.text(f"{prefix}{module}.py") + files.text(f"{prefix}{module}/__init__.py")
    if projects and "django" in text.lower():
        return Chosen(replace(app, framework="django"), source, _settings(projects[0], None))
    return Chosen(app, source)


def _settings(project: django.Django, own: Fact[str] | None) -> tuple[Fact[str], ...]:
    found = [fact for fact in (own, project.settings) if fact is not None]
    return tuple({fact.value: fact for fact in reversed(found)}.values())[::-1]


def _django(projects: list[django.Django], servers: list[Served], pick: Choose | None) -> Chosen | None:
    """A Django project's WSGI entry, or its ASGI one where that is how it is served."""
    complete = [p for p in projects if p.wsgi or p.asgi] or [p for p in projects if p.settings]
    if not complete:
        return None
    project = complete[0]
    if len(complete) > 1:
        firsts = [(p.wsgi or p.asgi or (_bare(p), None))[0] for p in complete]
        one = _one(firsts, pick)
        project = complete[firsts.index(one)]
    asynchronous = any(
        "asgi" in server_knobs.INTERFACES.get((each.kind, each.worker_class), ()) and each.kind != "hypercorn"
        for each in servers[:1]
    )
    found = project.asgi if (asynchronous and project.asgi) or not project.wsgi else project.wsgi
    if found is None:
        return Chosen(_bare(project), f"{project.root}/manage.py", _settings(project, None))
    return Chosen(found[0], found[0].file, _settings(project, found[1]))


def _bare(project: django.Django) -> Candidate:
    """The entry of a project with a manage.py alone: Django's own function makes the app."""
    return Candidate(
        "django.core.wsgi:get_wsgi_application()", f"{project.root}/manage.py", project.root, "django", "wsgi"
    )


def _told(files: Files, servers: list[Served], known: Variables) -> Chosen | None:
    """What FLASK_APP, `flask --app` or pyproject's [tool.fastapi] name."""
    texts = [(each.entry, each.source) for each in servers if each.kind == "flask run" and each.entry]
    if known.known.get("FLASK_APP"):
        where = ".flaskenv" if "FLASK_APP" in known.flask else known.file.source if known.file else "an example of .env"
        texts.append((known.known["FLASK_APP"], f"FLASK_APP in {where}"))
    try:
        table = tomllib.loads(files.text("pyproject.toml")).get("tool", {}).get("fastapi", {})
        if isinstance(table, dict) and isinstance(table.get("entrypoint"), str):
            texts.append((table["entrypoint"], "pyproject.toml, [tool.fastapi]"))
    except (ValueError, RecursionError, AttributeError):
        pass
    for text, source in texts:
        module, _, name = text.partition(":")
        module = module.strip().removesuffix(".py").strip("./").replace("/", ".")
        root = root_of(files, module, "") if module else None
        if root is None:
            continue
        of_module = [c for c in entries.candidates(files) if c.entry.partition(":")[0] == module]
        wanted = name.replace(" ", "")
        exact = next(
            (c for c in of_module if c.entry.partition(":")[2].removesuffix("()") == wanted.partition("(")[0]), None
        )
        best = exact or (of_module[0] if of_module and not wanted else None)
        if best is not None:
            entry = f"{module}:{wanted}" if "(" in wanted and wanted != "()" else best.entry
            return Chosen(replace(best, entry=entry, root=root), source)
        if wanted:
            return Chosen(Candidate(f"{module}:{wanted}", source, root, "", ""), source)
    return None


def _one(found: list[Candidate], pick: Choose | None) -> Candidate:
    lines = [f"{each.entry} ({each.file})" for each in found]
    if pick is not None:
        return found[pick("Which of these is the app?", lines, 0)]
    shown = "; ".join(lines[:SHOWN_MAX]) + (f"; and {len(lines) - SHOWN_MAX} more" if len(lines) > SHOWN_MAX else "")
    raise PlanError(
        f"Found {len(found)} apps, and nothing that says which is meant: {shown}.",
        hint=f"prony init --entry '{found[0].entry}'"
        if len({each.entry for each in found}) == len(found)
        else f"prony init {found[0].root}, for the one in that folder",
    )


def _none(files: Files) -> PlanError:
    folder = Path(files.folder).absolute()
    pythons = files.python(aside=True)
    broken = [f"{name}, line {line}: {what}" for name, (line, what) in files.broken.items()]
    if broken:
        return PlanError(
            f"{folder}: found no app; and of its Python files {len(broken)} cannot be read: {broken[0]}.",
            hint=f"mend {broken[0].partition(':')[0]}, and prony init again",
        )
    unreadable = [f"{name} ({why})" for name, why in files.unreadable.items() if name.endswith(".py")]
    if unreadable:
        return PlanError(
            f"{folder}: found no app; and {', '.join(unreadable[:3])} cannot be read.",
            hint=f"make {unreadable[0].partition(' ')[0]} readable, and prony init again",
        )
    count = f"{len(pythons)} Python file{'' if len(pythons) == 1 else 's'}" if pythons else "no Python file"
    return PlanError(
        f"{folder}: found no app, in {count}: no Django project (manage.py, wsgi.py), and no Flask(…), FastAPI(…), "
        "Starlette(…) or create_app() at a module's top level.",
        hint="prony init FOLDER for the folder it lies in, or prony init --entry module:callable",
    )
