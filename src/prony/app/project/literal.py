"""A Python file of settings in, its plain values out: read, never run."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Mapping
from typing import Any

DEPTH_MAX = 30
INTEGER_MAX = 10**9


class NotPlainError(ValueError):
    """An expression whose value only running it would tell."""


def assignments(tree: ast.Module, variables: Mapping[str, str]) -> dict[str, tuple[Any, int, str]]:
    """(value, line, source text) of each name that the module's top level gives a plain value."""
    found: dict[str, tuple[Any, int, str]] = {}
    values: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets, expression = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, expression = [node.target], node.value
        else:
            continue
        try:
            value = evaluate(expression, values, variables)
        except (NotPlainError, ArithmeticError, ValueError, TypeError, RecursionError, MemoryError):
            continue
        for target in targets:
            if isinstance(target, ast.Name):
                values[target.id] = value
                found[target.id] = (value, node.lineno, ast.unparse(expression)[:60])
    return found


def evaluate(  # noqa: C901 - one case a kind of expression
    node: ast.expr, names: Mapping[str, Any], variables: Mapping[str, str], depth: int = 0
) -> Any:
    """The value of an expression of literals, earlier names, environment variables, counts of CPUs and sums of these.

    Raises:
        NotPlainError: it holds something else.
    """
    if depth > DEPTH_MAX:
        raise NotPlainError

    def again(each: ast.expr) -> Any:
        return evaluate(each, names, variables, depth + 1)

    found: Any
    match node:
        case ast.Constant(value=str() | int() | float() | bool() | None as found):
            pass
        case ast.List() | ast.Tuple():
            found = [again(each) for each in node.elts]
        case ast.Name(id=name) if name in names:
            found = names[name]
        case ast.BinOp():
            found = _sum(again(node.left), node.op, again(node.right))
        case ast.UnaryOp(op=ast.USub()):
            found = -again(node.operand)
        case ast.BoolOp(op=ast.Or()):
            values = [again(each) for each in node.values]
            found = next(filter(None, values), values[-1])
        case ast.JoinedStr():
            parts = [each.value if isinstance(each, ast.FormattedValue) else each for each in node.values]
            found = "".join(str(again(each)) for each in parts)
        case ast.Subscript(value=ast.Attribute(attr="environ"), slice=ast.Constant(value=str() as name)):
            if name not in variables:
                raise NotPlainError
            found = variables[name]
        case ast.Call():
            found = _call(node, again, variables)
        case _:
            raise NotPlainError
    return found


def _sum(left: Any, op: ast.operator, right: Any) -> Any:
    if isinstance(op, ast.Add) and isinstance(left, str) and isinstance(right, str):
        return (left + right)[:1000]
    if not isinstance(left, int | float) or not isinstance(right, int | float) or abs(left) + abs(right) > INTEGER_MAX:
        raise NotPlainError
    match op:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left / right
        case ast.FloorDiv():
            return left // right
    raise NotPlainError


def _call(node: ast.Call, again: Callable[[ast.expr], Any], variables: Mapping[str, str]) -> Any:
    name = ast.unparse(node.func)
    if node.keywords and name not in {"env", "config"}:
        raise NotPlainError
    if name.endswith(("environ.get", "getenv")) or name in {"env", "config", "env.int", "env.str", "getenv"}:
        default = next((k.value for k in node.keywords if k.arg == "default"), None)
        asked = again(node.args[0]) if node.args else None
        if isinstance(asked, str) and asked in variables:
            return variables[asked]
        if len(node.args) > 1:
            return again(node.args[1])
        if default is not None:
            return again(default)
        return None
    if name.endswith("cpu_count") and not node.args:
        return os.cpu_count() or 1
    known: dict[str, Any] = {
        "int": int,
        "str": str,
        "float": float,
        "bool": bool,
        "max": max,
        "min": min,
        "round": round,
        "abs": abs,
    }
    if name in known:
        return known[name](*[again(each) for each in node.args])
    raise NotPlainError
