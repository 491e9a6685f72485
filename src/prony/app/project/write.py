"""What was found in a project in, a commented prony.toml out, which is always one that prony reads."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path

from prony.app.project.model import Fact, Project, Served, StoreFound, WorkerFound
from prony.errors import PlanError
from prony.plan import read_document

COMMENT_MAX = 160
HEAD = """\
# What `prony init` found in this project, and where. Change what is wrong; docs/reference.md has every key.
# Next: prony check
"""
TRAFFIC = """\
# The mix. Until you declare it, prony asks for every page that it finds, equally often, and says so with each result:
# what share each page has of your visits decides what your app can serve. `prony import FILE` takes it from a log.
# [[traffic.request]]
# path = "/"
# weight = 9
# expect = { status = 200, contains = "<title>" }
"""


def quoted(text: str) -> str:
    """A text as TOML has it."""
    plain = text.encode("utf-8", "replace").decode()
    return json.dumps(plain, ensure_ascii=False).replace("\x7f", "\\u007f")


def key(name: str) -> str:
    """A key as TOML has it."""
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else quoted(name)


def comment(text: str) -> str:
    """A text for after a #: on one line, not without end."""
    plain = "".join(each if each.isprintable() else " " for each in " ".join(text.split()))
    plain = plain.encode("utf-8", "replace").decode()
    return plain if len(plain) <= COMMENT_MAX else plain[: COMMENT_MAX - 1] + "…"


def value(found: object) -> str:
    """A value as TOML has it."""
    if isinstance(found, bool):
        return str(found).lower()
    if isinstance(found, int | float):
        return str(found)
    if isinstance(found, dict):
        return "{ " + ", ".join(f"{key(str(k))} = {value(v)}" for k, v in found.items()) + " }"
    return quoted(str(found))


def render(project: Project, folder: Path) -> str:
    """The text of its prony.toml.

    Raises:
        PlanError: prony does not read what it has just written: a fault of its own.
    """
    told = [f"# {comment(f'could not tell {each.what}: {each.key}: {each.todo}')}" for each in project.unknown]
    told += [f"# {comment(each)}" for each in project.remarks]
    text = "\n".join([HEAD, *([*told, ""] if told else []), _app(project, folder)])
    for block in [*map(_store, project.stores), *([_server(project.server)] if project.server else [])]:
        text += "\n" + _readable(text, block, folder)
    for worker in project.workers:
        text += "\n" + (_readable(text, _worker(worker), folder) if worker.runs else _aside(_worker(worker)))
    traffic = _traffic(project)
    text += ("\n" + _readable(text, traffic, folder) if traffic else "") + "\n" + TRAFFIC
    read_document(tomllib.loads(text), "prony.toml", folder)
    return text


def _readable(text: str, block: str, folder: Path) -> str:
    """A table as it is where prony reads it after the text, else aside, with the reason."""
    why = unreadable(f"{text}\n{block}", folder)
    return _aside(block, why) if why else block


def unreadable(text: str, folder: Path) -> str:
    """Why prony would not read a text; empty where it does."""
    try:
        read_document(tomllib.loads(text), "prony.toml", folder)
    except PlanError as error:
        return error.message
    except ValueError as error:
        return str(error)
    return ""


def _aside(text: str, why: str = "") -> str:
    lines = [f"# {comment(why)}"] if why else []
    return (
        "\n".join([*lines, *(line if line.startswith("#") or not line else f"# {line}" for line in text.splitlines())])
        + "\n"
    )


def _app(project: Project, folder: Path) -> str:
    lines = ["[app]", f"entry = {quoted(project.entry.value)}  # {comment(project.entry.source)}"]
    optional: list[str] = []
    python = Path(project.python.python)
    how = project.python.how
    if how == "prony's own":
        lines.append(
            f"# python = \".venv/bin/python\"  # none of the project's own was found: prony's is taken, {python}"
        )
    elif how in {"poetry", "pipenv", "VIRTUAL_ENV", "uv", ".python-version"}:
        lines.append(f"# python: {how}'s, Python {project.python.version}; looked for at each run")
    else:
        shown = python.relative_to(folder) if python.is_relative_to(folder) else python
        optional.append(f"python = {quoted(str(shown))}  # {comment(f'{how}, Python {project.python.version}')}")
    if project.env_file is not None:
        optional.append(
            f"env_file = {quoted(project.env_file.value)}  # its values are read at each run, and kept nowhere"
        )
    optional += _prepare(project)
    for line in optional:
        if line.startswith("#"):
            lines.append(line)
            continue
        why = unreadable("\n".join([*lines[:2], line]), folder)
        lines += [f"# {comment(why)}", *(f"# {each}" for each in line.splitlines())] if why else [line]
    if project.env:
        lines += ["", "[app.env]"]
        for name, fact in project.env.items():
            line = f"{key(name)} = {quoted(fact.value)}  # {comment(fact.source)}"
            bad = unreadable(f'[app]\nentry = "app:app"\n[app.env]\n{line}', folder)
            lines.append(f"# {comment(name)}: {comment(bad)}" if bad else line)
    return "\n".join(lines) + "\n"


def _prepare(project: Project) -> list[str]:
    """The commands that make the data: as one list; the merely proposed ones commented."""
    steps = project.steps
    if not steps:
        return ["# prepare = []  # commands that make the app's data, once for each fresh store"]
    sure = [step for step in steps if step.sure]
    lines = ["prepare = ["]
    for step in steps:
        mark = "" if step.sure else "# "
        lines.append(f"    {mark}{quoted(step.command)},  # {comment(step.source)}")
    lines.append("]")
    if not sure:
        return ["# " + "\n# ".join(lines)]
    return ["\n".join(lines)]


def _store(store: StoreFound) -> str:
    lines = [f"[stores.{store.name}]", f"kind = {quoted(store.kind)}  # {comment(store.source)}"]
    if isinstance(store.env, str) and store.env:
        lines.append(f"env = {quoted(store.env)}")
    elif store.env:
        lines.append(f"env = {value(store.env)}")
    if store.at:
        lines.append(
            f"at = {quoted(store.at)}  # where the settings expect it: a store of prony's answers there instead"
        )
    if store.file:
        lines.append(f"file = {quoted(store.file)}  # a scratch copy of it; fresh = true to begin without")
    return "\n".join(lines) + "\n"


def _server(server: Served) -> str:
    lines = ["[server]", f"kind = {quoted(server.kind)}  # {comment(server.source)}"]
    if server.worker_class:
        lines.append(f"worker_class = {quoted(server.worker_class)}")
    lines += [f"{name} = {value(found)}" for name, found in server.knobs.items()]
    return "\n".join([*(f"# {comment(each)}" for each in server.remarks), *lines]) + "\n"


def _worker(worker: WorkerFound) -> str:
    what = f"process = {quoted(worker.process)}" if worker.process else f"command = {quoted(worker.command)}"
    return f"[workers.{worker.name}]\n{what}  # {comment(worker.source)}\n"


def _traffic(project: Project) -> str:
    lines: list[str] = []
    facts: Iterable[tuple[str, Fact[str] | Fact[dict[str, str]] | None]] = (
        ("host", project.host),
        ("headers", project.headers),
    )
    for name, fact in facts:
        if fact is not None:
            lines.append(f"{name} = {value(fact.value)}  # {comment(fact.source)}")
    return "\n".join(["[traffic]", *lines]) + "\n" if lines else ""
