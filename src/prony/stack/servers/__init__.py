"""An app server of the plan in, how it is run out: command, needs, signals, and why it may not serve an app."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping

from prony.errors import PlanError
from prony.knobs.server import INTERFACES
from prony.plan import Server
from prony.stack.servers import daphne, granian, gunicorn, hypercorn, runserver, uvicorn, uwsgi, waitress
from prony.stack.servers.options import ENTRY, Launch, Program

PROGRAMS: dict[str, Program] = {
    "gunicorn": gunicorn.PROGRAM,
    "uvicorn": uvicorn.PROGRAM,
    "granian": granian.PROGRAM,
    "uwsgi": uwsgi.PROGRAM,
    "waitress": waitress.PROGRAM,
    "hypercorn": hypercorn.PROGRAM,
    "daphne": daphne.PROGRAM,
    "runserver": runserver.PROGRAM,
}

# What pip is asked for: the versions these commands were tried with. Of what they lean on, any recent version will do.
_PINS = {
    "gunicorn": "==27.0.*",
    "uvicorn": "==0.54.*",
    "uvicorn-worker": "==0.4.*",
    "granian": "==2.8.*",
    "pyuwsgi": "==2.0.30.*",
    "waitress": "==3.0.*",
    "hypercorn": "==0.18.*",
    "daphne": "==4.2.*",
    "gevent": ">=24.2",
    "uvloop": ">=0.19",
    "httptools": ">=0.6",
    "aiohttp": ">=3.9",
    "packaging": "",
    "django": "",
}
_PINS_39 = {"gunicorn": "==23.0.*", "uvicorn": "==0.39.*", "granian": "==2.5.*", "hypercorn": "==0.17.*"}  # the newest
_NAMES = {"wsgi": "a WSGI app", "asgi": "an ASGI app", "aiohttp": "an aiohttp app"}


def command(launch: Launch) -> list[str]:
    """The command line that serves the app; writes what configuration it needs into the launch's scratch folder."""
    return PROGRAMS[launch.server.kind].command(launch)


def needs(server: Server) -> tuple[str, ...]:
    """The distributions that must be importable in the app's interpreter."""
    return PROGRAMS[server.kind].needs(server)


def requirements(
    server: Server, python_version: tuple[int, int], missing: Collection[str] | None = None
) -> tuple[str, ...]:
    """The same as pip's requirement lines, for an interpreter of that version.

    Args:
        server: Its kind, worker class and knobs.
        python_version: Major and minor.
        missing: Only these of them, for what somebody has keeps its version; None for all.

    Raises:
        PlanError: no version of it runs there.
    """
    old = python_version < (3, 10)
    if old and (server.kind, server.worker_class) == ("gunicorn", "asgi"):
        raise PlanError(
            f"[server] worker_class: gunicorn's asgi class needs Python 3.10 or newer, and the app's interpreter is "
            f"{python_version[0]}.{python_version[1]}; allowed: another server.",
            hint="--set server.worker_class=uvicorn",
        )
    pins = _PINS | _PINS_39 if old else _PINS
    return tuple(name + pins[name] for name in needs(server) if missing is None or name in missing)


def stop_signal(server: Server) -> int:
    """What ends it gently, and fast when no request is in it."""
    return PROGRAMS[server.kind].stop_signal(server)


def environment(launch: Launch) -> dict[str, str]:
    """Variables that its process is started with, over the app's own."""
    return PROGRAMS[launch.server.kind].environment(launch)


def tells_at_a_port(server: Server, versions: Mapping[str, str]) -> bool:
    """Whether it has metrics at a port of their own, by the versions in the app's interpreter."""
    since = PROGRAMS[server.kind].metrics_since
    found = re.match(r"(\d+)\.(\d+)", versions.get(server.kind, ""))
    return bool(since and found and tuple(map(int, found.groups())) >= since)


def refusal(server: Server, interface: str, installed: Collection[str] = ("django",)) -> str | None:
    """Why it cannot serve an app of that interface, as one clause; None when it can.

    Args:
        server: Its kind and worker class.
        interface: What the app is: "wsgi", "asgi" or "aiohttp".
        installed: What the app's interpreter has, by normalised name.
    """
    if server.kind == "runserver" and "django" not in installed:
        return "runserver is Django's own, and the app's interpreter has no Django"
    served = INTERFACES[server.kind, server.worker_class]
    if interface in served:
        return None
    name = f"{server.kind} {server.worker_class}".strip()
    if server.kind == "runserver":
        return f"runserver serves a Django project's WSGI app only, and this is {_NAMES[interface]}"
    return f"{name} can call {' or '.join(_NAMES[each] for each in served)}, and this is {_NAMES[interface]}"


def procfile_line(server: Server, entry: str, interface: str) -> str:
    """The line of a Procfile that runs this configuration in production, without the knobs left at their defaults.

    A factory is called by servers that can; one that takes arguments needs a module that calls it, with most of them.
    """
    words = PROGRAMS[server.kind].procfile(server, entry, interface)
    return "web: " + " ".join(word if "$PORT" in word else shlex.quote(word) for word in words)


__all__ = [
    "ENTRY",
    "PROGRAMS",
    "Launch",
    "command",
    "environment",
    "needs",
    "procfile_line",
    "refusal",
    "requirements",
    "stop_signal",
    "tells_at_a_port",
]
