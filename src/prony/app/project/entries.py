"""A project's Python files in, what may be its app out: callables and factories, found by reading, never by running."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from prony.app.project.files import Files
from prony.app.project.model import Candidate

FRAMEWORKS = {
    "Flask": ("flask", "wsgi"), "APIFlask": ("flask", "wsgi"), "FastAPI": ("fastapi", "asgi"),
    "Starlette": ("starlette", "asgi"), "Quart": ("quart", "asgi"), "Litestar": ("litestar", "asgi"),
    "Starlite": ("litestar", "asgi"), "Bottle": ("bottle", "wsgi"), "Sanic": ("sanic", "asgi"),
    "get_wsgi_application": ("django", "wsgi"), "get_asgi_application": ("django", "asgi"),
    "ProtocolTypeRouter": ("django", "asgi"), "make_wsgi_app": ("pyramid", "wsgi"), "FlaskApp": ("connexion", "wsgi"),
    "AsyncApp": ("connexion", "asgi"), "OpenAPI": ("flask", "wsgi"), "BlackSheep": ("blacksheep", "asgi"),
    "NinjaAPI": ("", ""),
}  # fmt: skip
QUALIFIED = {
    "web.Application": ("aiohttp", "aiohttp"), "falcon.App": ("falcon", "wsgi"), "falcon.API": ("falcon", "wsgi"),
    "falcon.asgi.App": ("falcon", "asgi"), "socketio.ASGIApp": ("socketio", "asgi"), "socketio.WSGIApp": ("", "wsgi"),
    "connexion.App": ("connexion", "wsgi"), "tornado.wsgi.WSGIContainer": ("", "wsgi"),
}  # fmt: skip
WRAPPERS = {
    "ProxyFix", "WsgiToAsgi", "ASGIMiddleware", "WSGIMiddleware", "DispatcherMiddleware", "WhiteNoise", "Sentry",
    "SentryAsgiMiddleware", "CORSMiddleware", "ASGIApp",
}  # fmt: skip
FACTORY = re.compile(r"(create|make|build|get|init)_?(\w+_)?(app|application|api|server|asgi|wsgi)$|^app_?factory$")
USUAL = ("app", "application", "api", "asgi", "wsgi", "server", "asgi_app", "wsgi_app")
FILES = (
    "wsgi.py",
    "asgi.py",
    "main.py",
    "app.py",
    "application.py",
    "server.py",
    "run.py",
    "web.py",
    "api.py",
    "__init__.py",
)
ROOTS = {"src", "backend", "server", "api", "web", "project", "www", "code", "django", "python"}


def candidates(files: Files) -> list[Candidate]:
    """What may be the app, the likeliest first."""
    found: list[Candidate] = []
    for name in files.python():
        text = files.text(name)
        if not any(word in text for word in ("Flask", "FastAPI", "Starlette", "pplication", "App", "app", "Quart")):
            continue
        tree = files.tree(name)
        if tree is not None:
            found += _in_module(files, name, tree)
    found = [each for each in found if each.rank > 0]
    return sorted(found, key=lambda each: -each.rank)


def chosen(found: list[Candidate]) -> list[Candidate]:
    """The likeliest app alone, or all that are as likely as it: then nobody can tell but its author.

    An ASGI and a WSGI entry of one Django project are one app; so are a factory and what is made with it.
    """
    if not found:
        return []
    best = [each for each in found if each.rank >= found[0].rank - 4]
    first = best[0]
    if first.framework == "django":
        return [first, *(e for e in best[1:] if e.framework != "django" or e.root != first.root)][:1] + [
            each for each in best[1:] if each.framework == "django" and not _alike(each, first)
        ]
    same_made = [each for each in best if "(" not in each.entry]
    if same_made and len(same_made) < len(best):
        best = [each for each in best if each in same_made or not _alike(each, same_made[0])]
    unique: list[Candidate] = []
    for each in best:
        if not any(_package(each) == _package(other) for other in unique):
            unique.append(each)
    return unique


def _package(each: Candidate) -> tuple[str, str]:
    """The folder and top-level package a candidate lies in; one at the top stands for the project as a whole."""
    module = each.entry.partition(":")[0]
    return each.root, module if "." not in module else module.partition(".")[0]


def _alike(one: Candidate, other: Candidate) -> bool:
    return one.root == other.root and _package(one) == _package(other)


def module_of(name: str, has: Files) -> tuple[str, str]:
    """(root, module) by which a file is imported: "backend", "shop.app" for backend/shop/app.py.

    Its packages are those with an __init__.py; a folder without one is a root where it bears a usual name or holds a
    program of its own, else a namespace package.
    """
    parts = name.removesuffix(".py").split("/")
    if parts[-1] == "__init__":
        parts.pop()
    at = len(parts) - 1 if not name.endswith("__init__.py") else len(parts)
    root = 0
    for depth in range(at, 0, -1):
        folder = "/".join(parts[:depth])
        if not has.has(f"{folder}/__init__.py"):
            top = folder.rpartition("/")[2]
            alone = depth == at or not top.isidentifier() or top in ROOTS or has.has(f"{folder}/manage.py")
            usual = top in ROOTS or not top.isidentifier() or not _imported(has, parts, depth)
            root = depth if alone and usual else root
            if root:
                break
    return "/".join(parts[:root]) or ".", ".".join(parts[root:])


def _imported(files: Files, parts: list[str], depth: int) -> bool:
    """Whether the project imports a folder by its own name, as a namespace package: `from app.db import …`."""
    top = parts[depth - 1]
    pattern = re.compile(rf"^\s*(from|import)\s+{re.escape(top)}(\.|\s)", re.MULTILINE)
    near = [name for name in files.python(aside=True) if name.startswith("/".join(parts[:depth]) + "/")]
    top_level = [name for name in files.python() if "/" not in name]
    return any(pattern.search(files.text(name)) for name in [*near[:60], *top_level[:20]])


def _called(node: ast.expr | None) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def _kind(node: ast.expr | None) -> tuple[str, str] | None:
    """(framework, interface) of what an expression makes, looked for through wrappers around it."""
    name = _called(node)
    if not name:
        return None
    last = name.rpartition(".")[2]
    if name in QUALIFIED:
        return QUALIFIED[name]
    if last in FRAMEWORKS and FRAMEWORKS[last] != ("", ""):
        return FRAMEWORKS[last]
    if last in WRAPPERS and isinstance(node, ast.Call):
        for each in node.args:
            inner = _kind(each)
            if inner is not None:
                return inner
    return None


def _in_module(files: Files, name: str, tree: ast.Module) -> Iterator[Candidate]:
    root, module = module_of(name, files)
    if not module or not all(part.isidentifier() for part in module.split(".")):
        return
    mounted = _mounted(tree)
    makers = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    base = 60 - 6 * name.count("/") + _file_rank(name)
    made: list[str] = []
    for node in _top_level(tree.body):
        for target, expression in _assigned(node):
            kind = _kind(expression)
            called = _called(expression).rpartition(".")[2]
            by_factory = kind is None and bool(FACTORY.search(called)) and target in USUAL
            if by_factory:
                kind = _made_by(makers[called]) if called in makers else ("", "")
            if kind is None or target in mounted:
                continue
            made.append(target)
            rank = base + (12 if target in USUAL[:2] else 8 if target in USUAL else 0) + (0 if by_factory else 2)
            yield Candidate(f"{module}:{target}", f"{name}, line {node.lineno}", root, *kind, rank)
    for maker in makers.values():
        kind = _made_by(maker)
        if (kind or FACTORY.search(maker.name)) and not made and _callable_bare(maker):
            if kind is None:
                continue
            rank = base - 4 + (10 if FACTORY.search(maker.name) else -30)
            yield Candidate(f"{module}:{maker.name}()", f"{name}, line {maker.lineno}", root, *kind, rank)


def _file_rank(name: str) -> int:
    base = name.rpartition("/")[2]
    return 10 - FILES.index(base) // 2 if base in FILES else 0


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run on import: in `if`, `try` and `with` too, but not under `if __name__ == "__main__"`."""
    for node in body:
        if isinstance(node, ast.If):
            if "__name__" not in ast.unparse(node.test):
                yield from _top_level([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from _top_level([*node.body, *node.orelse, *node.finalbody])
        elif isinstance(node, ast.With):
            yield from _top_level(node.body)
        else:
            yield node


def _assigned(node: ast.stmt) -> Iterator[tuple[str, ast.expr | None]]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name):
                yield target.id, node.value
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id, node.value


def _mounted(tree: ast.Module) -> set[str]:
    """Names of apps that are part of another: app.mount("/api", api)."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {"mount", "Mount"}:
            found |= {each.id for each in [*node.args, *(k.value for k in node.keywords)] if isinstance(each, ast.Name)}
    return found


def _made_by(maker: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[str, str] | None:
    """What a function makes and returns, told by its annotation or by the app made within it."""
    if maker.returns is not None:
        name = ast.unparse(maker.returns).strip("'\"")
        last = name.rpartition(".")[2]
        if name in QUALIFIED:
            return QUALIFIED[name]
        if last in FRAMEWORKS:
            return FRAMEWORKS[last]
    returned = {ast.unparse(node.value) for node in ast.walk(maker) if isinstance(node, ast.Return) and node.value}
    for node in ast.walk(maker):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            kind = _kind(node.value)
            if kind is not None and any(target in returned for target, _ in _assigned(node)):
                return kind
        if isinstance(node, ast.Return) and (kind := _kind(node.value)) is not None:
            return kind
    return None


def _callable_bare(maker: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it can be called with no argument."""
    given = maker.args
    needed = len(given.posonlyargs) + len(given.args) - len(given.defaults)
    return needed == 0 and all(default is not None for default in given.kw_defaults)
