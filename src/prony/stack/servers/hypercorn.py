"""A launch in, hypercorn's command line out."""

from __future__ import annotations

from prony.plan import Server
from prony.stack.servers.options import Launch, Program, changed, options


def command(launch: Launch) -> list[str]:
    """The command line; the prefix says how the app is called, which hypercorn would guess from its code."""
    argv = [launch.python, "-m", "hypercorn", f"--bind={launch.address}", *options(launch.server)]
    return [*argv, f"{launch.interface}:{launch.entry}"]


def procfile(server: Server, entry: str, interface: str) -> list[str]:
    """The words of a production command."""
    return [
        "hypercorn",
        "--bind=0.0.0.0:$PORT",
        *changed(server),
        entry if interface == "auto" else f"{interface}:{entry}",
    ]


def needs(server: Server) -> tuple[str, ...]:
    """Itself, and the loop that is asked for."""
    return ("hypercorn", *(["uvloop"] if server.knobs["loop"] == "uvloop" else []))


PROGRAM = Program(command, procfile, needs)
