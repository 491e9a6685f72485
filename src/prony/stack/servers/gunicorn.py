"""A launch in, gunicorn's command line out."""

from __future__ import annotations

import signal

from prony.plan import Server
from prony.stack.servers.options import Launch, Program, changed, options

# A name in its configuration file that an older gunicorn does not know is passed over; an option would end it.
CONFIG = "control_socket_disable = True\n"
_CLASSES = {"uvicorn": "uvicorn_worker.UvicornWorker", "aiohttp": "aiohttp.GunicornWebWorker"}
_NEEDS = {
    "gevent": ("gevent", "packaging"),  # its gevent worker imports packaging, and brings none
    "uvicorn": ("uvicorn", "uvicorn-worker"),
    "aiohttp": ("aiohttp",),
}


def command(launch: Launch) -> list[str]:
    """The command line; it reads a configuration file of ours, or the folder's own would stand over the knobs."""
    config = launch.scratch / "gunicorn.conf.py"
    config.write_text(CONFIG, encoding="utf-8")
    argv = [launch.python, "-m", "gunicorn", f"--config={config}", f"--bind={launch.address}"]
    return [*argv, _worker_class(launch.server), "--log-level=info", *options(launch.server), launch.entry]


def procfile(server: Server, entry: str, _: str) -> list[str]:
    """The words of a production command."""
    return ["gunicorn", entry, "--bind=0.0.0.0:$PORT", _worker_class(server), *changed(server)]


def needs(server: Server) -> tuple[str, ...]:
    """Itself, and what its worker class brings none of."""
    loop = ("uvloop",) if server.knobs.get("asgi_loop") == "uvloop" else ()
    return ("gunicorn", *_NEEDS.get(server.worker_class, ()), *loop)


def _worker_class(server: Server) -> str:
    return f"--worker-class={_CLASSES.get(server.worker_class, server.worker_class)}"


def _stop_signal(server: Server) -> int:
    """SIGQUIT, as SIGTERM waits for requests; but uvicorn's worker passes SIGQUIT over."""
    return signal.SIGTERM if server.worker_class == "uvicorn" else signal.SIGQUIT


# What the variable adds must not stand beside the knobs.
PROGRAM = Program(command, procfile, needs, _stop_signal, lambda _: {"GUNICORN_CMD_ARGS": ""})
