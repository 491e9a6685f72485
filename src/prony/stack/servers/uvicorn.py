"""A launch in, uvicorn's command line out."""

from __future__ import annotations

from prony.plan import Server
from prony.stack.servers.options import Launch, Program, changed, factory, options


def command(launch: Launch) -> list[str]:
    """The command line."""
    argv = [launch.python, "-m", "uvicorn", "--host=127.0.0.1", f"--port={launch.port}", "--no-access-log"]
    return [*argv, *options(launch.server, young=("timeout_worker_healthcheck",)), launch.entry]


def procfile(server: Server, entry: str, _: str) -> list[str]:
    """The words of a production command."""
    name, made = factory(entry)
    return ["uvicorn", "--host=0.0.0.0", "--port=$PORT", *changed(server), *["--factory"] * made, name]


def needs(server: Server) -> tuple[str, ...]:
    """Itself, and the loop and parser that are asked for by name."""
    asked = {server.knobs["loop"], server.knobs["http"]}
    return ("uvicorn", *(name for name in ("uvloop", "httptools") if name in asked))


PROGRAM = Program(command, procfile, needs)
