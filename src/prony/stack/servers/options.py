"""An app server's knobs in, options of its own command line out."""

from __future__ import annotations

import signal
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from prony.knobs import Knob
from prony.knobs.server import KNOBS
from prony.plan import Server

STATS = "stats.sock"
ENTRY = "prony_gauge.entry:application"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One server process to start.

    Attributes:
        python: Path of the app's interpreter.
        port: Where it shall listen on loopback.
        server: Its kind and its knobs' values.
        interface: What the app is: "wsgi", "asgi" or "aiohttp".
        scratch: A folder of ours that the app's user can read; small configuration files are written there.
        entry: What the server loads: the gauge, which loads the user's entry in its turn.
        manage: Django's manage.py, for runserver.
        proxied: Whether a proxy of the stack stands before it, whose X-Forwarded headers are to be trusted.
        metrics_port: Where on loopback it shall tell of itself; 0: nowhere, or at `stats`.
    """

    python: str
    port: int
    server: Server
    interface: str
    scratch: Path
    entry: str = ENTRY
    manage: str = "manage.py"
    proxied: bool = False
    metrics_port: int = 0

    @property
    def stats(self) -> Path:
        """The Unix socket where a server may tell of itself."""
        return self.scratch / STATS

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Program:
    """How one kind of server is run.

    Attributes:
        command: The command line that serves the app under test.
        procfile: The words of a production command: server, the user's entry, interface.
        needs: The distributions that must be importable in the app's interpreter.
        stop_signal: What ends it gently, and fast when no request is in it.
        environment: Variables it is started with.
        metrics_since: The first version, if any, that tells of itself at a port of its own.
    """

    command: Callable[[Launch], list[str]]
    procfile: Callable[[Server, str, str], list[str]]
    needs: Callable[[Server], tuple[str, ...]]
    stop_signal: Callable[[Server], int] = lambda _: signal.SIGTERM
    environment: Callable[[Launch], dict[str, str]] = lambda _: {}
    metrics_since: tuple[int, ...] = ()


def options(server: Server, *, without: Collection[str] = (), young: Collection[str] = ()) -> list[str]:
    """Every knob as an option, so that neither a version's other defaults nor a variable change what the plan says.

    Left out are a 0 that stands for "none" and a choice left to the program: older versions know fewer of both.

    Args:
        server: Whose knobs.
        without: Keys that become no option of their own.
        young: Keys left out at their defaults too, because versions that people still run do not know the option.
    """
    kept = [knob for knob in _knobs(server) if knob.key not in young or server.knobs[knob.key] != knob.default]
    return _written(server, [knob for knob in kept if knob.key not in without])


def changed(server: Server, *, without: Collection[str] = ()) -> list[str]:
    """The options of the knobs that differ from the program's own defaults, and those that say its size."""
    size = ("workers", "threads")
    kept = [k for k in _knobs(server) if server.knobs[k.key] != k.default or k.key in size]
    return _written(server, [knob for knob in kept if knob.key not in without])


def _knobs(server: Server) -> tuple[Knob, ...]:
    return KNOBS[server.kind, server.worker_class]


def _written(server: Server, knobs: list[Knob]) -> list[str]:
    found = []
    for knob in knobs:
        value = server.knobs[knob.key]
        if knob.kind == "flag":
            found += [knob.flag] * (value != knob.default)
        elif value != knob.default or (knob.kind != "choice" and value != 0):
            found.append(f"{knob.flag}={value}")
    return found


def factory(entry: str) -> tuple[str, bool]:
    """An entry without its call, and whether it had one: "shop:create_app()" is ("shop:create_app", True)."""
    return entry.removesuffix("()"), entry.endswith("()")
