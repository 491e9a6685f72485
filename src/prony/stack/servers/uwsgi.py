"""A launch in, uWSGI's command line out: run from the pyuwsgi wheel, inside the app's own interpreter."""

from __future__ import annotations

from prony.plan import Server
from prony.stack.servers.options import Launch, Program, changed, options

# The wheel is an extension module: it takes over the interpreter that imports it, with its sys.path as it stands.
_RUN = "import pyuwsgi; pyuwsgi.run()"
# Without a master nobody replaces a worker; without die-on-term SIGTERM restarts everything; without need-app an app
# that does not load is answered for with 500s.
_ALWAYS = ("--master", "--die-on-term", "--need-app")
# It closes after each answer, and says nothing of it: a client or proxy that keeps connections would send its next
# request into one that is closing, and get a reset for it.
_CLOSES = "--add-header=Connection: close"


def command(launch: Launch) -> list[str]:
    """The command line. Its workers speak HTTP themselves: --http would put a router process of its own before them."""
    argv = [launch.python, "-c", _RUN, f"--http-socket={launch.address}", *_ALWAYS, "--disable-logging", _CLOSES]
    return [*argv, f"--stats={launch.stats}", *options(launch.server), f"--module={launch.entry}"]


def procfile(server: Server, entry: str, _: str) -> list[str]:
    """The words of a production command."""
    return ["uwsgi", "--http-socket=:$PORT", *_ALWAYS, _CLOSES, *changed(server), f"--module={entry}"]


def needs(server: Server) -> tuple[str, ...]:
    """Itself, and gevent for its greenlets."""
    return ("pyuwsgi", *(["gevent"] if server.worker_class == "gevent" else []))


PROGRAM = Program(command, procfile, needs)
