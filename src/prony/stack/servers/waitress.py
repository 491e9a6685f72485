"""A launch in, waitress's command line out."""

from __future__ import annotations

from prony.plan import Server
from prony.stack.servers.options import Launch, Program, changed, factory, options


def command(launch: Launch) -> list[str]:
    """The command line."""
    argv = [launch.python, "-m", "waitress", f"--listen={launch.address}", *options(launch.server)]
    # Otherwise it takes the proxy's X-Forwarded headers away, and the app thinks that https is http.
    return [*argv, *["--no-clear-untrusted-proxy-headers"] * launch.proxied, launch.entry]


def procfile(server: Server, entry: str, _: str) -> list[str]:
    """The words of a production command."""
    name, made = factory(entry)
    return ["waitress-serve", "--listen=*:$PORT", *changed(server), *["--call"] * made, name]


def needs(_: Server) -> tuple[str, ...]:
    """Itself."""
    return ("waitress",)


PROGRAM = Program(command, procfile, needs)
