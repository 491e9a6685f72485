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


def environment(launch: Launch) -> dict[str, str]:
    """Its metrics, collected each second; in variables, as versions that lack them refuse an option."""
    if not launch.metrics_port:
        return {}
    return {
        "GRANIAN_METRICS_ENABLED": "true",
        "GRANIAN_METRICS_SCRAPE_INTERVAL": "1",
        "GRANIAN_METRICS_ADDRESS": "127.0.0.1",
        "GRANIAN_METRICS_PORT": str(launch.metrics_port),
    }


PROGRAM = Program(command, procfile, needs, environment=environment, metrics_since=(2, 7))
