"""A project's Python files in, the servers that its own code starts out, such as `uvicorn.run("shop:app")`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from prony.app.project.files import Files
from prony.app.project.model import Served
from prony.app.project.servers import served
from prony.app.project.shell import Command

STARTS = {("uvicorn", "run"): "uvicorn", ("waitress", "serve"): "waitress-serve", ("hypercorn", "run"): "hypercorn"}
FILES_MAX = 400


def servers(files: Files) -> Iterator[Served]:
    """Every server that a Python file of the project starts, as if its arguments had stood on a command line."""
    for name in files.python()[:FILES_MAX]:
        if not any(module in files.text(name) for module, _ in STARTS):
            continue
        tree = files.tree(name)
        for node in ast.walk(tree) if tree is not None else ():
            program = _program(node.func, _imported(tree)) if tree is not None and isinstance(node, ast.Call) else ""
            if program and isinstance(node, ast.Call):
                found = served(Command((program, *_words(node))), f"{name}, line {node.lineno}")
                if found is not None:
                    yield found


def _imported(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """What `from MODULE import NAME [as OTHER]` binds, by the name that it has in the file."""
    return {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _program(called: ast.expr, imported: dict[str, tuple[str, str]]) -> str:
    if isinstance(called, ast.Name):
        return STARTS.get(imported.get(called.id, ("", "")), "")
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        return STARTS.get((called.value.id, called.attr), "")
    return ""


def _words(call: ast.Call) -> Iterator[str]:
    """The call's constant arguments as a command line's words; what only running the code would tell is left out."""
    for each in call.args[:1]:
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value
    for keyword in call.keywords:
        if keyword.arg is None or not isinstance(keyword.value, ast.Constant):
            continue
        value = keyword.value.value
        if value is False or not isinstance(value, bool | int | float | str):
            continue
        yield "--" + keyword.arg.replace("_", "-") + ("" if value is True else f"={value}")
