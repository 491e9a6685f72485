"""This machine in, what it has and lacks for a stack out: containment, boxes, programs, each with how to get it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from prony.errors import PronyError
from prony.stack import binaries, folders
from prony.stack.cores import divide
from prony.stack.launch import Launcher
from prony.stack.services import nginx

NEEDED, OPTIONAL = "needed", "optional"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        name: What it is.
        state: "ok", "lacking" (something prony needs), or "without" (something it can do without).
        text: What was found.
        todo: How to get it; empty where nothing is to be done.
    """

    name: str
    state: str
    text: str
    todo: str = ""


def look() -> Iterator[Finding]:
    """Everything, one finding after the other: some take a moment."""
    cores = divide()
    if cores.shared:
        yield Finding("cores", "without", "one core: generator and app share it", "a machine with two cores or more")
    else:
        named = {"generator": cores.generator, "prony": cores.side, "app and stores": cores.stack}
        yield Finding("cores", "ok", "; ".join(f"{name}: {', '.join(map(str, each))}" for name, each in named.items()))
    yield from _contained()
    for name, need, ask in _PROGRAMS:
        yield _program(name, need, ask)


def _contained() -> Iterator[Finding]:
    """A guard is started for real, in a namespace and with a box, and ended again."""
    with Launcher(folders.run_folder(), sweep=False) as launcher:
        if launcher.namespace:
            yield Finding("containment", "ok", "a network namespace of the stack's own, and the audit hook")
        else:
            text = f"the audit hook alone, which sees Python's own calls: {launcher.why_no_namespace}"
            yield Finding("containment", "without", text, "allow user namespaces, or run as root")
        box = launcher.box("doctor", 0.5, 64 * 1024**2, 0.1)
        if box["why"]:
            text = f"{box['how']}: {box['why']}"
            yield Finding("boxes", "without", text, "run as root, or where cgroups are delegated (systemd --user)")
        else:
            yield Finding("boxes", "ok", box["how"])


def _program(name: str, need: str, ask: Callable[[], Any]) -> Finding:
    try:
        found = ask()
    except PronyError as error:
        return Finding(name, "lacking" if need == NEEDED else "without", error.message, error.hint)
    if found is None:
        return Finding(name, "without", "not there")
    path, version = (found.path, found.version) if hasattr(found, "path") else found
    return Finding(name, "ok", f"{version} ({path})")


_PROGRAMS: tuple[tuple[str, str, Callable[[], Any]], ...] = (
    ("Postgres", NEEDED, binaries.postgres),
    ("nginx", NEEDED, nginx.locate),
    ("Valkey", NEEDED, binaries.valkey),
    ("memcached", OPTIONAL, binaries.memcached),
    ("PgBouncer", OPTIONAL, binaries.pgbouncer),
    ("MariaDB", OPTIONAL, binaries.mariadb),
    ("Redis itself", OPTIONAL, binaries.redis),
)
