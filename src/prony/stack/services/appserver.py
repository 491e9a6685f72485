"""The app server: a plan's [server] table in, the command that runs it in the app's own interpreter out."""

from __future__ import annotations

import shlex

from prony.knobs import server as server_knobs
from prony.plan import Plan

ENTRY = "prony_gauge.entry:application"

# Distributions that must be in the app's interpreter, by kind and worker class.
NEEDS = {
    ("gunicorn", "sync"): ("gunicorn",),
    ("gunicorn", "gthread"): ("gunicorn",),
    ("gunicorn", "gevent"): ("gunicorn", "gevent", "packaging"),  # its gevent worker imports packaging, and brings none
    ("waitress", ""): ("waitress",),
}


def needs(plan: Plan) -> tuple[str, ...]:
    """The distributions that the plan's server needs in the app's interpreter."""
    return NEEDS[plan.server.kind, plan.server.worker_class]


def command(plan: Plan, port: int, empty_config: str, entry: str = ENTRY) -> list[str]:
    """The command line that serves the app on a loopback port.

    Args:
        plan: Whose [server] table is turned into options.
        port: Where it shall listen.
        empty_config: An empty file: gunicorn would otherwise read the folder's gunicorn.conf.py over our knobs.
        entry: What the server loads.
    """
    server = plan.server
    argv = [plan.app.python, "-m", server.kind]
    if server.kind == "gunicorn":
        argv += ["--config", empty_config, "--bind", f"127.0.0.1:{port}", "--worker-class", server.worker_class]
        argv += ["--no-control-socket", "--log-level", "info"]
    else:
        argv += [f"--listen=127.0.0.1:{port}"]
    return [*argv, *options(plan), entry]


def options(plan: Plan) -> list[str]:
    """The knobs' values as the server's own options; those at a "flag" that is off are left out."""
    found = []
    for knob in server_knobs.KNOBS[plan.server.kind, plan.server.worker_class]:
        value = plan.server.knobs[knob.key]
        if knob.kind == "flag":
            found += [knob.flag] * bool(value)
        else:
            found.append(f"{knob.flag}={value}")
    return found


def procfile_line(plan: Plan) -> str:
    """The line of a Procfile that runs this configuration in production, without the knobs left at their defaults."""
    server = plan.server
    changed = [
        f"{knob.flag}={server.knobs[knob.key]}"
        for knob in server_knobs.KNOBS[server.kind, server.worker_class]
        if server.knobs[knob.key] != knob.default or knob.key in {"workers", "threads"}
    ]
    if server.kind == "gunicorn":
        parts = [
            "gunicorn",
            shlex.quote(plan.app.entry),
            "--bind=0.0.0.0:$PORT",
            f"--worker-class={server.worker_class}",
            *changed,
        ]
    else:
        factory = plan.app.entry.endswith("()")
        entry = plan.app.entry.removesuffix("()")
        parts = ["waitress-serve", "--listen=*:$PORT", *changed, *["--call"] * factory, shlex.quote(entry)]
    return "web: " + " ".join(parts)
