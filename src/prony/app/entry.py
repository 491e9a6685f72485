"""An app's entry and interpreter in, whether it imports there and what is installed out, as one clear paragraph."""

from __future__ import annotations

import json
from typing import Any

from prony.errors import PlanError
from prony.plan import Plan

# Runs in the app's interpreter (3.9+), in its folder, contained like the app itself. Prints one JSON line.
CHECK = """
import importlib, importlib.metadata, json, re, sys, traceback
entry = sys.argv[1]
sys.path.insert(0, "")
found = {"python": "%d.%d.%d" % sys.version_info[:3], "versions": {}}
for each in importlib.metadata.distributions():
    name = each.metadata["Name"]
    if name:
        found["versions"].setdefault(re.sub("[-_.]+", "-", name).lower(), each.version)
module, _, attribute = entry.partition(":")
name = attribute.partition("(")[0].strip() or "application"
try:
    target = importlib.import_module(module)
    for part in name.split("."):
        target = getattr(target, part)
    from prony_gauge.target import interface_of, resolve
    if "(" in attribute:
        target = resolve(entry)
    try:
        found["interface"] = interface_of(target)
    except TypeError:
        found["error"] = "%s is no callable but a %s" % (name, type(target).__name__)
except BaseException as error:
    import os
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "importlib" not in f.filename][1:]
    frames = [f for f in frames if "prony_gauge" not in f.filename]
    own = [f for f in frames if f.filename.startswith(os.getcwd() + os.sep) and "site-packages" not in f.filename]
    if isinstance(error, SyntaxError) and error.filename:
        found["where"] = "%s, line %d" % (error.filename, error.lineno or 0)
    elif own or frames:
        last = (own or frames)[-1]
        found["where"] = "%s, line %d" % (last.filename, last.lineno)
    found["error"] = "%s: %s" % (type(error).__name__, error)
print("\\nprony-check " + json.dumps(found))
"""


def check_command(python: str, entry: str) -> list[str]:
    """The command that tries an entry in the app's own interpreter, and tells what is installed there."""
    return [python, "-c", CHECK, entry]


def found(plan: Plan, entry: str, printed: str) -> dict[str, Any]:
    """What the check found: {"python": version, "versions": {normalised name: version}, "interface": "wsgi" or so}.

    Raises:
        PlanError: the app does not import.
    """
    line = next((line for line in reversed(printed.splitlines()) if line.startswith("prony-check ")), None)
    if line is None:
        raise PlanError(
            f"{plan.source}: [app] python: {plan.app.python} ended before it had imported {entry}.",
            log=tuple(printed.splitlines()[-8:]),
        )
    told: dict[str, Any] = json.loads(line.partition(" ")[2])
    if "error" in told:
        where = f" ({told['where']})" if told.get("where") else ""
        raise PlanError(
            f'{plan.source}: [app] entry: found "{entry}", which does not import in {plan.app.folder}: '
            f'{told["error"]}{where}. Allowed: "module:callable" that imports there under {plan.app.python}.',
            hint=f"cd {plan.app.folder} && {plan.app.python} -c 'import {entry.partition(':')[0]}'",
        )
    return told
