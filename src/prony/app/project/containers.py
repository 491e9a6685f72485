"""A Dockerfile or a compose file in, the commands it runs, its variables and its services out."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from typing import Any

import yaml

_INSTRUCTION = re.compile(r"^\s*(FROM|ENV|ARG|CMD|ENTRYPOINT|WORKDIR|RUN|COPY|ADD)\s+(.*)$", re.IGNORECASE | re.DOTALL)
DEFAULT_PORTS = {"postgres": 5432, "mariadb": 3306, "valkey": 6379, "memcached": 11211}
IMAGES = (
    ("postgis", "postgres"), ("timescale", "postgres"), ("pgvector", "postgres"), ("postgres", "postgres"),
    ("mariadb", "mariadb"), ("mysql", "mariadb"), ("percona", "mariadb"), ("valkey", "valkey"), ("keydb", "valkey"),
    ("dragonfly", "valkey"), ("redis", "valkey"), ("memcached", "memcached"), ("rabbitmq", "rabbitmq"),
    ("mongo", "mongodb"), ("elasticsearch", "elasticsearch"), ("opensearch", "elasticsearch"),
)  # fmt: skip


@dataclass(slots=True)
class Dockerfile:
    """What a Dockerfile's last stage runs: shell text of its entry point and its command, with their lines."""

    entrypoint: str = ""
    command: str = ""
    line: int = 0
    env: dict[str, str] = field(default_factory=dict)
    runs: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Service:
    """One service of a compose file: `kind` is a store's where its image is one's, else empty."""

    name: str
    image: str
    kind: str
    command: str
    env: dict[str, str]
    env_files: tuple[str, ...]
    built: bool


def read_dockerfile(text: str) -> Dockerfile:
    """What a Dockerfile says; lines that are no instructions are passed over."""
    found = Dockerfile()
    for number, line in _logical(text):
        match = _INSTRUCTION.match(line)
        if match is None:
            continue
        what, rest = match[1].upper(), match[2].strip()
        if what == "FROM":
            found.entrypoint = found.command = ""
        elif what in {"ENV", "ARG"}:
            found.env |= _assignments(rest)
        elif what == "CMD":
            found.command, found.line = _shell_text(rest), number
        elif what == "ENTRYPOINT":
            found.entrypoint, found.line = _shell_text(rest), number
        elif what == "RUN":
            found.runs.append((number, _shell_text(rest)))
    return found


def _logical(text: str) -> list[tuple[int, str]]:
    """Lines with their continuations, by the number of their first."""
    found: list[tuple[int, str]] = []
    began = 0
    parts: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        if not parts:
            began = number
        stripped = line.rstrip()
        if stripped.endswith("\\"):
            parts.append(stripped[:-1])
            continue
        parts.append(stripped)
        found.append((began, " ".join(parts)))
        parts = []
    if parts:
        found.append((began, " ".join(parts)))
    return found


def _shell_text(rest: str) -> str:
    """The exec form as a shell would have it; the shell form as it is."""
    if rest.startswith("["):
        try:
            words = json.loads(rest)
        except ValueError:
            return rest
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            # quoted only where need be: $VARIABLES in it stay readable
            return " ".join(word if re.fullmatch(r"[\w@%+=:,./${}?-]+", word) else shlex.quote(word) for word in words)
    return rest


def _assignments(rest: str) -> dict[str, str]:
    try:
        words = shlex.split(rest)
    except ValueError:
        return {}
    if words and "=" not in words[0] and len(words) > 1:  # ENV NAME value
        return {words[0]: " ".join(words[1:])}
    return dict(word.split("=", 1) for word in words if "=" in word)


def read_compose(text: str) -> list[Service]:
    """The services of a compose file.

    Raises:
        ValueError: it is no YAML, with the line where that is told.
    """
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader, made deaf to tags it does not know
    except (yaml.YAMLError, RecursionError, ValueError, AttributeError, TypeError, LookupError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        raise ValueError(f"{where}{getattr(error, 'problem', None) or type(error).__name__}") from error
    services = document.get("services") if isinstance(document, dict) else None
    if not isinstance(services, dict):
        return []
    return [_service(str(name), table) for name, table in services.items() if isinstance(table, dict)]


class _Loader(yaml.SafeLoader):
    """YAML as compose files have it: tags of compose's own (!reset, !override) are passed over."""


_Loader.add_constructor(None, lambda *_: None)


def _service(name: str, table: dict[Any, Any]) -> Service:
    image = str(table.get("image") or "")
    base = image.rpartition("@")[0] or image
    base = base.rpartition("/")[2].partition(":")[0].lower()
    kind = next((kind for part, kind in IMAGES if part in base), "")
    files = table.get("env_file")
    paths = files if isinstance(files, list) else [files] if files else []
    return Service(
        name=name,
        image=image,
        kind=kind,
        command=" && ".join(filter(None, (_line(table.get("entrypoint")), _line(table.get("command"))))),
        env=_environment(table.get("environment")),
        env_files=tuple(str(each.get("path", "") if isinstance(each, dict) else each) for each in paths),
        built="build" in table,
    )


def _line(value: Any) -> str:
    if isinstance(value, list):
        words = [str(word) for word in value]
        return " ".join(word if re.fullmatch(r"[\w@%+=:,./${}?-]+", word) else shlex.quote(word) for word in words)
    return " ".join(str(value).split()) if isinstance(value, str) else ""


def _environment(value: Any) -> dict[str, str]:
    if isinstance(value, dict):
        return {
            str(k): "" if v is None else str(v).lower() if isinstance(v, bool) else str(v) for k, v in value.items()
        }
    if isinstance(value, list):
        return dict(str(each).split("=", 1) for each in value if isinstance(each, str) and "=" in each)
    return {}
