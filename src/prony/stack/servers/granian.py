"""A launch in, granian's command line out."""

from __future__ import annotations

from prony.plan import Server
from prony.stack.servers.options import Launch, Program, changed, factory, options


def command(launch: Launch) -> list[str]:
    """The command line."""
    argv = [launch.python, "-m", "granian", "--host=127.0.0.1", f"--port={launch.port}", _interface(launch.server)]
    return [*argv, *options(launch.server, young=("blocking_threads_idle_timeout",)), launch.entry]


def procfile(server: Server, entry: str, _: str) -> list[str]:
    """The words of a production command."""
    name, made = factory(entry)
    argv = ["granian", "--host=0.0.0.0", "--port=$PORT", _interface(server), *changed(server)]
    return [*argv, *["--factory"] * made, name]


def needs(server: Server) -> tuple[str, ...]:
    """Itself, and the loop that is asked for by name."""
    return ("granian", *(["uvloop"] if server.knobs.get("loop") == "uvloop" else []))


def _interface(server: Server) -> str:
    return f"--interface={server.worker_class}"


PROGRAM = Program(command, procfile, needs)
