"""A launch in, the command line of Django's runserver out."""

from __future__ import annotations

from prony.plan import Server
from prony.stack.servers.options import Launch, Program, changed, options


def command(launch: Launch) -> list[str]:
    """The command line. It loads Django's own WSGI application, whatever the entry; it logs every request."""
    return [launch.python, launch.manage, "runserver", launch.address, "--noreload", *options(launch.server)]


def procfile(server: Server, _entry: str, _interface: str) -> list[str]:
    """The words of the command that should not be one of production."""
    return ["python", "manage.py", "runserver", "0.0.0.0:$PORT", "--noreload", *changed(server)]


def needs(_: Server) -> tuple[str, ...]:
    """Django, which the app has or is none for it."""
    return ("django",)


# It does not load our entry: the gauge finds Django's own.
PROGRAM = Program(command, procfile, needs, environment=lambda _: {"PRONY_GAUGE_RUNSERVER": "1"})
