"""A journey's source in, its mistakes out as they can be seen without running it: each one in a paragraph."""

from __future__ import annotations

import ast
import difflib
import warnings
from collections.abc import Iterable
from pathlib import Path

from prony.errors import PlanError

FILE_BYTES_MAX = 1_000_000
# What a visitor does and has (`prony.load.visitor.Visitor`): steps are awaited, the rest is not.
STEPS = ("get", "post", "follow", "submit", "log_in", "pause", "ask")
SAID = ("see", "check")
HAS = ("page", "user", "number", "random", "cookies")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def check(file: Path, name: str, function: str, start: str) -> None:
    """Whether `function` can be a journey, as its file is written.

    Args:
        file: Where it is.
        name: What the plan calls the file.
        function: Its name there.
        start: How messages begin: the plan's file and key.

    Raises:
        PlanError: no Python, no such function, no `async def`, not one argument, something that no visitor does, or a
            step that nobody awaits.
    """
    tree = _tree(file, start)
    known = {node.name: node for node in tree.body if isinstance(node, _Function)}
    found = known.get(function)
    if found is None:
        if {function, "*"} & _brought(tree):
            return  # it comes from elsewhere: seen when the load begins
        raise _not_there(file, name, function, start, known.values())
    if not isinstance(found, ast.AsyncFunctionDef):
        raise PlanError(
            f"{start}: line {found.lineno}: found `def {function}`; allowed: `async def {function}(visitor)`.",
            hint=f"write async before it in {file}",
        )
    given = [*found.args.posonlyargs, *found.args.args]
    least = len(given) - len(found.args.defaults)
    if least > 1 or (not given and found.args.vararg is None):
        raise PlanError(f"{start}: line {found.lineno}: {function} is to take one argument, the visitor.")
    if given:
        _check_steps(found, given[0].arg, file, start)


def _tree(file: Path, start: str) -> ast.Module:
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            raise PlanError(f"{start} has over {FILE_BYTES_MAX} bytes.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns when it is run
            tree = ast.parse(file.read_bytes(), str(file))
            compile(tree, str(file), "exec", dont_inherit=True)  # which finds an `await` outside of an `async def`
    except SyntaxError as error:
        raise PlanError(f"{start} is no Python: line {error.lineno}: {error.msg}.", hint=f"edit {file}") from error
    except OSError as error:
        raise PlanError(f"{start} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise PlanError(f"{start} is no Python: {str(error)[:100]}.", hint=f"edit {file}") from error
    return tree


def _brought(tree: ast.Module) -> set[str]:
    """Names that may come into the module otherwise than by a `def` of its own; "*" where it imports all of another."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.alias):
            found.add(node.asname or node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, _Function):  # within an `if`, perhaps; those of the module itself are looked at before
            found.add(node.name)
    return found


def _not_there(file: Path, name: str, function: str, start: str, known: Iterable[_Function]) -> PlanError:
    offered = [node.name for node in known if isinstance(node, ast.AsyncFunctionDef)]
    near = difflib.get_close_matches(function, offered, n=1, cutoff=0.4)
    return PlanError(
        f"{start}: found no function {function}; its `async def` functions: {', '.join(offered) or 'none'}.",
        hint=f'run = "{name}:{near[0]}"' if near else f"write `async def {function}(visitor):` in {file}",
    )


def _check_steps(journey: ast.AsyncFunctionDef, visitor: str, file: Path, start: str) -> None:
    """What the journey has its visitor do: a step that is not awaited is never taken, and Python says so to nobody."""
    nodes = list(ast.walk(journey))
    own = {node.attr for node in nodes if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)}
    awaited = {id(node.value) for node in nodes if isinstance(node, ast.Await)}
    for node in nodes:
        if isinstance(node, ast.Attribute) and _is(node.value, visitor) and node.attr not in own:
            _check_known(node, visitor, file, start)
        step = _called(node, visitor)
        if step in SAID and id(node) in awaited:
            raise PlanError(
                f"{start}: line {_line(node)}: found `await {visitor}.{step}(…)`; allowed: without await, for it looks "
                "at the page that is there.",
                hint=f"take the await out in {file}",
            )
        # a step whose outcome is thrown away, or looked into before it is there
        lost = node.value if isinstance(node, ast.Expr | ast.Attribute) else None
        step = _called(lost, visitor)
        if step in STEPS:
            raise PlanError(
                f"{start}: line {_line(node)}: found `{visitor}.{step}(…)` without await, so that nothing is done; "
                f"allowed: `await {visitor}.{step}(…)`.",
                hint=f"write await before it in {file}",
            )


def _check_known(node: ast.Attribute, visitor: str, file: Path, start: str) -> None:
    known = (*STEPS, *SAID, *HAS)
    if node.attr in known or node.attr.startswith("__"):
        return
    near = difflib.get_close_matches(node.attr, known, n=1, cutoff=0.5)
    hint = f"{visitor}.{near[0]} in {file}" if near else "docs/howto/journeys.md, which lists what a visitor does"
    raise PlanError(
        f"{start}: line {node.lineno}: found {visitor}.{node.attr}, which no visitor does or has; allowed: "
        f"{', '.join(known)}.",
        hint=hint,
    )


def _is(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _called(node: ast.AST | None, visitor: str) -> str:
    """What a call has the visitor do; empty where it is no such call."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is(node.func.value, visitor):
        return node.func.attr
    return ""


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))
