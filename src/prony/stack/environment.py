"""A plan in, the environment that its app, its prepare commands and its workers run in out."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from prony.plan import App
from prony.stack import folders
from prony.stack.tiers import Ground

# The app gets these of prony's own environment and no more: whatever keys a developer's shell holds stay out of reach.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "TMPDIR")
_SHELL = set("|&;<>()$`*?[]#~=%{}!\n")
_BUILTINS = {".", "cd", "eval", "exec", "export", "set", "test", "trap", "ulimit", "umask", "unset"}


def environment(ground: Ground, app: App, stores: Mapping[str, str], overlay: str = "") -> dict[str, str]:
    """What the app and its commands see.

    Args:
        ground: Whose run folder holds the gauge.
        app: Its env and egress.
        stores: Variables that hand stores and services to it.
        overlay: A folder with the server, where the app's interpreter lacks it.
    """
    env = {name: os.environ[name] for name in INHERITED if name in os.environ} | app.env
    env["PATH"] = os.pathsep.join([str(Path(app.python).parent), env.get("PATH", "/usr/bin:/bin")])
    env["PYTHONPYCACHEPREFIX"] = str(folders.own_folder() / "pycache")  # no file of ours in the user's project
    own_path = app.env.get("PYTHONPATH", "")
    env["PYTHONPATH"] = os.pathsep.join([str(ground.run_folder / "gauge"), *filter(None, [own_path])])
    env["PYTHONUNBUFFERED"] = "1"
    env["PRONY_EGRESS"] = "on"
    env["PRONY_EGRESS_HOSTS"] = ",".join([*(host.partition(":")[0] for host in app.egress), *ground.opened])
    env["PRONY_EGRESS_CLOSED"] = ",".join(str(port) for port in sorted(ground.closed))
    env["PRONY_GAUGE_DIR"] = str(refusals_folder(ground))
    if overlay:
        env["PRONY_OVERLAY"] = overlay
    return env | dict(stores)


def refusals_folder(ground: Ground, start: int = 0) -> Path:
    """Where gauges count that serve no requests: those of a start's workers; of prepare commands and tries, for 0."""
    folder = ground.run_folder / f"refusals-{start}"
    folder.mkdir(exist_ok=True)
    return folder


def command_of(line: str, python: str) -> list[str]:
    """A command line as a person wrote it, as arguments; by a shell only where it has what only a shell can read."""
    if _SHELL & set(line) or line.split(maxsplit=1)[0] in _BUILTINS:
        return ["/bin/sh", "-c", line]
    argv = shlex.split(line)
    if argv[0] in {"python", "python3"}:
        argv[0] = python
    return argv
