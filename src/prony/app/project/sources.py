"""A project's files in, the commands that people start it with out, the likeliest first, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from prony.app.project import coded, configured, containers, shell
from prony.app.project.files import Files
from prony.app.project.model import Served
from prony.app.project.servers import config_of, served
from prony.app.project.shell import Command
from prony.errors import PlanError
from prony.plan.procfile import read_procfile

SCRIPT_BYTES_MAX = 50_000
COMPOSE = re.compile(r"(^|/)(docker-)?compose[\w.-]*\.ya?ml$|(^|/)(local|production|prod|dev)\.ya?ml$")
DOCKER = re.compile(r"(^|/)(Dockerfile[\w.-]*|[\w-]*\.?[Dd]ockerfile|Containerfile)$")
SCRIPT = re.compile(r"(^|/)([\w.-]+\.sh|start[\w-]*|entrypoint[\w-]*|run[\w-]*|web)$")
_START_COMMAND = re.compile(
    r"""^\s*-?\s*["']?(?:startCommand|start_command|cmd)["']?\s*[:=]\s*["']?(.+?)["']?,?\s*$""", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Line:
    """One simple command, where it stands, and the role it has: "web", "release", "worker" or a name."""

    command: Command
    source: str
    role: str
    text: str = ""


@dataclass(slots=True)
class Sources:
    """All that was read.

    Attributes:
        lines: Every command.
        services: Those of compose files, with the file each stands in.
        processes: The Procfile's lines.
        env: Variables that Dockerfiles set.
        remarks: What could not be read, one sentence each.
    """

    lines: list[Line] = field(default_factory=list)
    services: list[tuple[str, containers.Service]] = field(default_factory=list)
    processes: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def read(files: Files, variables: dict[str, str]) -> Sources:
    """What the Procfile, container files, scripts and hosts' files of a project say."""
    found = Sources()
    for name in ("Procfile", *(n for n in files.names if n.endswith("/Procfile"))):
        if files.has(name):
            _procfile(files, name, variables, found)
    for name in [n for n in files.names if DOCKER.search(n)][:20]:
        _dockerfile(files, name, variables, found)
    compose = [n for n in files.names if COMPOSE.search(n) and not n.startswith(".")][:12]
    for name in sorted(compose, key=lambda n: ("prod" not in n, n.count("/"), len(n))):
        _compose(files, name, variables, found)
    for name in [n for n in files.names if SCRIPT.search(n) and "." not in n.rpartition("/")[2].removesuffix(".sh")][
        :40
    ]:
        for command in _script(files, name, found.env | variables):
            found.lines.append(Line(command, name, "script"))
    for name in ("render.yaml", "railway.json", "railway.toml", "nixpacks.toml", "app.yaml"):
        for match in _START_COMMAND.finditer(files.text(name)):
            number = files.text(name)[: match.start()].count("\n") + 1
            for command in shell.commands(match[1], variables):
                found.lines.append(Line(command, f"{name}, line {number}", "web", match[1]))
    return found


def _procfile(files: Files, name: str, variables: dict[str, str], found: Sources) -> None:
    try:
        lines = read_procfile(files.folder / name)
    except PlanError as error:
        found.remarks.append(error.message)
        return
    numbers = {line.partition(":")[0].strip(): n for n, line in enumerate(files.text(name).splitlines(), 1)}
    if name == "Procfile":
        found.processes = lines
    for role, text in lines.items():
        for command in shell.commands(text, variables):
            found.lines += _with_scripts(
                files, Line(command, f"{name}, line {numbers.get(role, 1)}", role, text), variables
            )


def _dockerfile(files: Files, name: str, variables: dict[str, str], found: Sources) -> None:
    told = containers.read_dockerfile(files.text(name))
    if name == "Dockerfile":
        found.env |= told.env
    known = told.env | variables
    source = f"{name}, line {told.line}"
    for text in filter(None, (told.command, told.entrypoint)):
        both = f"{told.entrypoint} {told.command}" if text == told.entrypoint and told.command else text
        for command in shell.commands(both, known):
            found.lines += _with_scripts(files, Line(command, source, "web", both), known)
    for number, text in told.runs:
        for command in shell.commands(text, known):
            found.lines.append(Line(command, f"{name}, line {number}", "build", text))


def _compose(files: Files, name: str, variables: dict[str, str], found: Sources) -> None:
    try:
        services = containers.read_compose(files.text(name))
    except ValueError as error:
        found.remarks.append(f"{name} cannot be read as YAML: {error}.")
        return
    for service in services:
        found.services.append((name, service))
        plain = {key: shell.expand(value, variables) for key, value in service.env.items()}
        for command in shell.commands(service.command, plain | variables):
            line = Line(command, f"{name}, service {service.name}", service.name, service.command)
            found.lines += _with_scripts(files, line, plain | variables)


def _with_scripts(files: Files, line: Line, variables: dict[str, str]) -> Iterator[Line]:
    """A command; and before it, where it is a script of the project's, the commands in that."""
    for word in line.command.words[:2]:
        base = word.rpartition("/")[2]
        match = next((n for n in files.names if n.rpartition("/")[2] == base and SCRIPT.search(n)), "")
        if match and base not in {"python", "python3"}:
            for command in _script(files, match, line.command.env | variables):
                yield Line(command, f"{match}, which {line.source.partition(',')[0]} runs", line.role, line.text)
    yield line


def _script(files: Files, name: str, variables: dict[str, str]) -> list[Command]:
    text = files.text(name)
    if len(text) > SCRIPT_BYTES_MAX or (not name.endswith(".sh") and not text.startswith("#!")):
        return []
    known = dict(variables)
    found: list[Command] = []
    joined = re.sub(r"\\\s*\n", " ", text)
    for line in joined.splitlines():
        match = re.match(r"\s*(?:export\s+)?([A-Za-z_]\w*)=(\S+)\s*$", line)
        if match:
            known.setdefault(match[1], shell.expand(match[2].strip("\"'"), known))
            continue
        found += shell.commands(line.strip(), known)
    return found


def servers_of(files: Files, found: Sources, variables: dict[str, str]) -> list[Served]:
    """Every server that a command starts, the likeliest first; with what its configuration file says."""
    known = found.env | variables
    all_found: list[tuple[int, int, Served]] = []
    for order, line in enumerate(found.lines):
        each = served(line.command, line.source)
        if each is None:
            continue
        each = _with_file(files, each, config_of(line.command), line.command.env | known)
        web = 0 if line.role in {"web", "app", "django", "api", "backend", "server", "flask"} else 1
        development = 2 if each.kind in {"runserver", "flask run"} or _reloads(line.command) else 0
        all_found.append((web + development, order, each))
    result = [each for _, _, each in sorted(all_found, key=lambda entry: entry[:2])]
    if not result or result[0].kind in {"runserver", "flask run"}:
        name = next((n for n in files.names if n.rpartition("/")[2] in {"gunicorn.conf.py", "gunicorn_config.py"}), "")
        tree = files.tree(name) if name else None
        if tree is not None:
            result.insert(0, configured.gunicorn_file(tree, name, known))
        for ini in [n for n in files.names if n.endswith("uwsgi.ini")][:2]:
            told = configured.uwsgi_file(files.text(ini), ini)
            if told is not None:
                result.insert(0, told)
    return [*result, *coded.servers(files)]


def _reloads(command: Command) -> bool:
    return "--reload" in command.words or "dev" in command.words[:2]


def _with_file(files: Files, each: Served, named: str, variables: dict[str, str]) -> Served:
    """A gunicorn or uWSGI command with its file: the one named, else gunicorn.conf.py where it is started."""
    if each.kind not in {"gunicorn", "uwsgi"}:
        return each
    base = named.removeprefix("python:").rpartition("/")[2] or ("gunicorn.conf.py" if each.kind == "gunicorn" else "")
    name = next((n for n in files.names if n.rpartition("/")[2] == base), "") if base else ""
    if each.kind == "uwsgi":
        told = configured.uwsgi_file(files.text(name), name) if name else None
    else:
        tree = files.tree(name) if name.endswith(".py") else None
        told = configured.gunicorn_file(tree, name, variables) if tree is not None else None
    return each if told is None else configured.over(each, told)
