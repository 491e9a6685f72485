"""An app's entry and interpreter in, whether it imports there and what is installed out, as one clear paragraph."""

from __future__ import annotations

import json
from typing import Any

from prony.errors import MachineError, PlanError
from prony.plan import Plan

# Runs in the app's interpreter (3.9+), in its folder, contained like the app itself. Prints one JSON line.
CHECK = """
import importlib, importlib.metadata, json, sys, traceback
entry, names = sys.argv[1], sys.argv[2:]
sys.path.insert(0, "")
found = {"python": "%d.%d.%d" % sys.version_info[:3], "versions": {}}
for name in names:
    try:
        found["versions"][name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        found["versions"][name] = None
module, _, attribute = entry.partition(":")
name = attribute.partition("(")[0].strip() or "application"
try:
    target = importlib.import_module(module)
    for part in name.split("."):
        target = getattr(target, part)
    if not callable(target):
        found["error"] = "%s is no callable but a %s" % (name, type(target).__name__)
except BaseException as error:
    import os
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "importlib" not in f.filename][1:]
    own = [f for f in frames if f.filename.startswith(os.getcwd() + os.sep) and "site-packages" not in f.filename]
    if isinstance(error, SyntaxError) and error.filename:
        found["where"] = "%s, line %d" % (error.filename, error.lineno or 0)
    elif own or frames:
        last = (own or frames)[-1]
        found["where"] = "%s, line %d" % (last.filename, last.lineno)
    found["error"] = "%s: %s" % (type(error).__name__, error)
print("\\nprony-check " + json.dumps(found))
"""
SHOWN = ("django", "flask", "fastapi", "psycopg", "psycopg2", "psycopg2-binary")


def check_command(plan: Plan, needs: tuple[str, ...]) -> list[str]:
    """The command that tries the app's entry in its own interpreter."""
    return [plan.app.python, "-c", CHECK, plan.app.entry, *dict.fromkeys([*needs, *SHOWN])]


def verdict(plan: Plan, printed: str, needs: tuple[str, ...]) -> dict[str, Any]:
    """What the check found: {"python": version, "versions": {distribution: version}}.

    Raises:
        PlanError: the app does not import.
        MachineError: its server is not installed in its interpreter.
    """
    line = next((line for line in reversed(printed.splitlines()) if line.startswith("prony-check ")), None)
    if line is None:
        raise PlanError(
            f"{plan.source}: [app] python: {plan.app.python} ended before it had imported {plan.app.entry}.",
            log=tuple(printed.splitlines()[-8:]),
        )
    found: dict[str, Any] = json.loads(line.partition(" ")[2])
    missing = [name for name in needs if found["versions"].get(name) is None]
    if missing:
        raise MachineError(
            f"{plan.server.title} needs {', '.join(missing)}, missing in the app's interpreter {plan.app.python}.",
            hint=f"{plan.app.python} -m pip install {' '.join(missing)}",
        )
    if "error" in found:
        where = f" ({found['where']})" if found.get("where") else ""
        raise PlanError(
            f'{plan.source}: [app] entry: found "{plan.app.entry}", which does not import in {plan.app.folder}: '
            f'{found["error"]}{where}. Allowed: "module:callable" that imports there under {plan.app.python}.',
            hint=f"cd {plan.app.folder} && {plan.app.python} -c 'import {plan.app.entry.partition(':')[0]}'",
        )
    found["versions"] = {name: version for name, version in found["versions"].items() if version}
    return found
