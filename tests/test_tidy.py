"""The style rules that a reader relies on, as tests: sizes, names, and imports that go one way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
MODULES = sorted(path for path in SOURCE.rglob("*.py") if "workloads" not in path.parts)
OURS = sorted([*MODULES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")])

# DESIGN's layout, top to bottom: a package imports only from those above it.
ORDER = [
    "errors", "samples", "knobs", "plan", "recording", "app", "traffic",
    "load", "probes", "stack", "visit", "trial", "alone",
    "stats", "summary", "doubts", "capacity", "comparison", "verdict", "tune", "model",
    "document", "figures", "replays",
    "campaign", "export", "report", "cli",
]  # fmt: skip
MEASURE = {"load", "stack", "probes", "visit", "trial", "alone"}
THINK = {"stats", "summary", "doubts", "capacity", "comparison", "verdict", "tune", "model"}
FORBIDDEN_NAMES = {"utils", "util", "core", "manager", "base", "helpers", "helper", "common", "misc"}


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def package_of(path: Path) -> str:
    """The unit of the layout a file belongs to: 'load' for src/prony/load/engine.py, 'plan' for src/prony/plan.py."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    if parts[0] != "prony":
        return parts[0]
    return parts[1]


def imported(tree: ast.Module) -> set[str]:
    """The names of prony's own units that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" if node.module == "prony" else node.module for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "prony" and len(parts) > 1:
                found.add(parts[1])
            elif parts[0] == "prony_gauge":
                found.add("prony_gauge")
    return found - {"__version__"}


@pytest.mark.parametrize("path", OURS, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_has_at_most_400_lines_and_a_function_70(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 70, f"{node.name} is longer than 70 lines"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_module_opens_with_one_sentence_and_bears_no_vague_name(path: Path) -> None:
    assert path.stem not in FORBIDDEN_NAMES
    assert path.parent.name not in FORBIDDEN_NAMES
    docstring = ast.get_docstring(parsed(path))
    assert docstring, "a module opens with what it turns into what"
    assert docstring.splitlines()[0].endswith((".", "?", ":")), docstring.splitlines()[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_one_way(path: Path) -> None:
    package = package_of(path)
    imports = imported(parsed(path)) - {package}
    if package == "prony_gauge":
        assert not imports, "the gauge runs in the user's interpreter and imports nothing of prony"
        return
    if package in {"__init__", "__main__"}:
        return
    assert package in ORDER, f"{package} has no place in the layout: give it one in ORDER and in docs/architecture.md"
    below = set(ORDER[ORDER.index(package) :])
    assert not imports & below, f"{package} imports from below itself: {sorted(imports & below)}"
    if package in THINK:
        assert not imports & MEASURE, f"{package} only reads recordings; it imports {sorted(imports & MEASURE)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_only_the_command_line_exits(path: Path) -> None:
    if package_of(path) in {"cli", "__main__"} or path.name in {"guard.py", "worker.py", "null.py"}:
        return  # these are programs of their own
    if path == SOURCE / "prony_gauge" / "needs.py":
        return  # the same
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            assert name not in {"sys.exit", "os._exit", "exit", "quit"}, f"line {node.lineno}: {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("test_*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_test_never_sleeps_to_synchronise(path: Path) -> None:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in {"time.sleep", "sleep"}, f"line {node.lineno} sleeps"


def test_the_gauge_uses_the_standard_library_only() -> None:
    import sys

    for path in (SOURCE / "prony_gauge").rglob("*.py"):
        for node in ast.walk(parsed(path)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                names = [node.module]
            for name in names:
                top = name.split(".")[0]
                assert top in sys.stdlib_module_names or top == "prony_gauge", f"{path.name} imports {name}"
