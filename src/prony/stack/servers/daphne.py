"""A launch in, daphne's command line out."""

from __future__ import annotations

from prony.plan import Server
from prony.stack.servers.options import Launch, Program, changed, options


def command(launch: Launch) -> list[str]:
    """The command line; verbosity 0 keeps it from writing a line a request."""
    argv = [launch.python, "-m", "daphne", "--verbosity=0", _endpoint(launch.server, str(launch.port), "127.0.0.1")]
    return [*argv, *options(launch.server, without=("backlog",)), launch.entry]


def procfile(server: Server, entry: str, _: str) -> list[str]:
    """The words of a production command."""
    return ["daphne", _endpoint(server, "$PORT", "0.0.0.0"), *changed(server, without=("backlog",)), entry]  # noqa: S104 - in production it shall


def needs(_: Server) -> tuple[str, ...]:
    """Itself."""
    return ("daphne",)


def _endpoint(server: Server, port: str, interface: str) -> str:
    """Where it listens, in Twisted's words: the only place that takes a backlog."""
    return f"--endpoint=tcp:port={port}:interface={interface}:backlog={server.knobs['backlog']}"


PROGRAM = Program(command, procfile, needs)
