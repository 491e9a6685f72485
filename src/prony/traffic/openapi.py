"""An OpenAPI document in, its GET operations as routes of a mix whose weights are guessed out."""

from __future__ import annotations

import importlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from prony.errors import PlanError
from prony.traffic.dangers import danger
from prony.traffic.imports import Import, Source
from prony.traffic.mix import LeftOut, Route

FILE_BYTES_MAX = 20_000_000
OPERATIONS_MAX = 1000
VALUES_MAX = 1000
GUESSES = 20  # integers from 1 to 100, where a document says no more
_METHODS = ("get", "head", "post", "put", "patch", "delete", "options", "trace")
_NAMED = re.compile(r"""^\s*\{?\s*["']?(?:openapi|swagger)["']?\s*:""", re.MULTILINE)
_REFS_MAX = 30

REASONS = {
    "method": "with a method that changes things: only GET and HEAD are sent",
    "dangerous": "for paths that log out, delete, pay or mail: name them in prony.toml if you want them sent",
    "unknown": "for what the document gives no example, default or choice for: add one there, or params = { … }",
    "login": "that need a log-in: declare [login] in prony.toml, and import again",
    "unreadable": "that this reads not, such as references to other files",
}


class _UnknownError(Exception):
    """Why an operation cannot be sent: a reason and a word on it."""

    def __init__(self, reason: str, what: str) -> None:
        super().__init__(what)
        self.reason = reason
        self.what = what


def looks_like_one(path: str) -> bool:
    """Whether a file is meant as an OpenAPI document, and no log: by its name, or what it begins with."""
    if path == "-":
        return False
    try:
        with Path(path).open("rb") as file:
            head = file.read(65_536)
    except (OSError, ValueError):
        return False
    named = path.lower().endswith((".json", ".yaml", ".yml")) and not head.lstrip()[:40].startswith(b'{"log"')
    return named or _NAMED.search(head.decode("utf-8", "replace")) is not None


def read(path: str, *, login: bool) -> Import:
    """The mix of a local OpenAPI document of version 3: each of its GET operations with the same weight.

    Args:
        path: JSON; YAML where PyYAML is installed beside prony.
        login: Whether visitors are logged in, so that operations that ask for it can be sent.

    Raises:
        PlanError: it cannot be read, is no such document, or has no operation that can be sent.
    """
    document = _parsed(path)
    version = str(document.get("openapi", document.get("swagger", "")))
    paths = document.get("paths")
    if not version.startswith("3.") or not isinstance(paths, dict):
        what = f"version {version[:20]}" if version else "no version"
        what += "" if isinstance(paths, dict) else " and no paths"
        raise PlanError(
            f"{path}: found {what}; allowed: an OpenAPI document of version 3.0 or 3.1.",
            hint="convert an older one, or: prony import access.log",
        )
    operations = list(itertools.islice(_operations(document, paths), OPERATIONS_MAX + 1))
    routes: list[Route] = []
    out: dict[str, list[str]] = {reason: [] for reason in REASONS}
    for template, method, item, operation in operations[:OPERATIONS_MAX]:
        name = f"{method.upper()} {template}"
        try:
            routes.append(_route(_Resolver(document), template, method, item, operation, login=login))
        except _UnknownError as error:
            out[error.reason].append(f"{name}: {error.what}" if error.what else name)
    left_out = tuple(
        LeftOut(reason=reason, text=REASONS[reason], requests=len(names), routes=tuple((n, 1) for n in names))
        for reason, names in out.items()
        if names
    )
    if not routes:
        most = f": {left_out[0].requests} {left_out[0].text}" if left_out else ""
        raise PlanError(f"{path}: found no operation that can be sent{most}.", hint="prony import access.log")
    notes = ["An OpenAPI document counts nothing: every route has the same weight, which is a guess."]
    if len(operations) > OPERATIONS_MAX:
        notes.append(f"Only the first {OPERATIONS_MAX} operations were read.")
    return Import(
        sources=(Source(name=Path(path).name, format=f"OpenAPI {version[:10]}"),),
        routes=tuple(routes),
        left_out=left_out,
        requests=min(len(operations), OPERATIONS_MAX),
        kept=len(routes),
        guessed=True,
        notes=tuple(notes),
    )


def _parsed(path: str) -> dict[str, Any]:
    try:
        if Path(path).stat().st_size > FILE_BYTES_MAX:
            raise PlanError(f"{path}: an OpenAPI document may have {FILE_BYTES_MAX} bytes.")
        text = Path(path).read_text(encoding="utf-8-sig")
        found = json.loads(text) if text.lstrip().startswith("{") else _yaml(text, path)
    except OSError as error:
        raise PlanError(f"{path}: cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        what = " ".join(str(error)[:200].split())
        raise PlanError(
            f"{path}: is neither JSON nor an access log: {what}.", hint="prony import access.log"
        ) from error
    if not isinstance(found, dict):
        raise PlanError(f"{path}: found no OpenAPI document.", hint="prony import access.log")
    return found


def _yaml(text: str, path: str) -> Any:
    try:
        yaml = importlib.import_module("yaml")
    except ImportError:
        raise PlanError(
            f"{path} is YAML, and PyYAML is not installed beside prony.",
            hint="pip install pyyaml, or export it as JSON",
        ) from None
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        what = " ".join(str(error)[:200].split())
        raise PlanError(f"{path}: is no YAML: {what}.", hint=f"edit {path}") from error


def _operations(document: Mapping[str, Any], paths: Mapping[str, Any]) -> Iterator[tuple[str, str, Any, Any]]:
    prefix = _prefix(document)
    for template, item in paths.items():
        if isinstance(item, dict) and isinstance(template, str) and template.startswith("/"):
            for method in _METHODS:
                if isinstance(item.get(method), dict):
                    yield prefix + template, method, item, item[method]


def _prefix(document: Mapping[str, Any]) -> str:
    """The path of the first of its servers, which stands before every path of the document."""
    servers = document.get("servers")
    url = servers[0].get("url") if isinstance(servers, list) and servers and isinstance(servers[0], dict) else None
    try:
        path = urlsplit(url).path.rstrip("/") if isinstance(url, str) and "{" not in url else ""
    except ValueError:
        return ""
    return path if path.startswith("/") else ""


class _Resolver:
    """Follows `#/…` references within the document, not without end."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._left = _REFS_MAX

    def __call__(self, found: Any) -> dict[str, Any]:
        while isinstance(found, dict) and "$ref" in found:
            self._left -= 1
            ref = found["$ref"]
            if self._left < 0 or not isinstance(ref, str) or not ref.startswith("#/"):
                raise _UnknownError("unreadable", f"reference {str(ref)[:60]}")
            at: Any = self._document
            for step in ref[2:].split("/"):
                if isinstance(at, list) and re.fullmatch(r"[0-9]{1,6}", step):
                    at = at[int(step)] if int(step) < len(at) else None
                else:
                    at = at.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(at, dict) else None
            found = at
        return found if isinstance(found, dict) else {}


def _route(
    resolve: _Resolver,
    template: str,
    method: str,
    item: Mapping[str, Any],
    operation: Mapping[str, Any],
    *,
    login: bool,
) -> Route:
    if method not in {"get", "head"}:
        raise _UnknownError("method", "")
    if word := danger(template):
        raise _UnknownError("dangerous", word)
    security = operation.get("security", resolve._document.get("security"))  # noqa: SLF001 - the document's own
    if security and isinstance(security, list) and {} not in security and not login:
        raise _UnknownError("login", "")
    values: dict[str, list[str]] = {}
    guessed: list[str] = []
    query: list[str] = []
    for each in _parameters(resolve, item, operation):
        where, name = each.get("in"), str(each.get("name", ""))
        if where != "path" and not each.get("required"):
            continue
        if where in {"header", "cookie"}:
            raise _UnknownError("unknown", f"{where} {name[:60]}")
        found, guess = _values(resolve, each)
        if not found:
            raise _UnknownError("unknown", name[:60])
        values[name] = [quote(value, safe="") for value in found[:VALUES_MAX]]
        guessed += [name] if guess else []
        query += [name] if where == "query" else []
    names = re.findall(r"\{([^{}/]+)\}", template)
    if missing := [name for name in names if name not in values]:
        raise _UnknownError("unknown", missing[0][:60])
    full = template + ("?" + "&".join(f"{quote(q, safe='')}={{{q}}}" for q in query) if query else "")
    if any(c <= " " or ord(c) > 126 for c in full):
        raise _UnknownError("unreadable", "a path with characters that a URL must encode")
    used = [*names, *(q for q in query if q not in names)]
    tags = operation.get("tags")
    tag = tags[0] if isinstance(tags, list) and tags and isinstance(tags[0], str) and tags[0].isprintable() else ""
    note = f"{', '.join(sorted(guessed))}: guessed, 1 to 100" if guessed else ""
    paths = _filled(full, used, values)
    return Route(
        template=full,
        method=method.upper(),
        name=f"{tag[:60]}: {full}" if tag else "",
        paths=paths if used else (),
        distinct=len(paths),
        status=_statuses(operation),
        note=re.sub(r"[^\x20-\x7e]", "?", note),
    )


def _parameters(resolve: _Resolver, item: Mapping[str, Any], operation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those of the path and of the operation, which win."""
    found: dict[tuple[Any, str], dict[str, Any]] = {}
    for group in (item, operation):
        given = group.get("parameters")
        for raw in given if isinstance(given, list) else ():
            each = resolve(raw)
            found[str(each.get("in")), str(each.get("name"))] = each
    return list(found.values())


def _filled(full: str, used: list[str], values: Mapping[str, list[str]]) -> tuple[str, ...]:
    combinations = itertools.islice(itertools.product(*(values[name] for name in used)), VALUES_MAX)
    found = []
    for chosen in combinations:
        one = dict(zip(used, chosen, strict=True))
        found.append(re.sub(r"\{([^{}/]+)\}", lambda match, one=one: one[match[1]], full))  # type: ignore[misc]
    return tuple(dict.fromkeys(found))


def _values(resolve: _Resolver, parameter: Mapping[str, Any]) -> tuple[list[str], bool]:
    """What a parameter may be, by what the document says, and whether that was guessed."""
    schema = resolve(parameter.get("schema"))
    if not schema:
        content = parameter.get("content")
        first: Any = next(iter(content.values()), {}) if isinstance(content, dict) else {}
        if first:
            raise _UnknownError("unreadable", str(parameter.get("name", ""))[:60])
    if "anyOf" in schema or "oneOf" in schema or "allOf" in schema:
        for choice in schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf") or ():
            inner = resolve(choice)
            if inner.get("type") != "null":
                schema = {**inner, **schema}
                break
    if schema.get("type") == "array":
        schema = resolve(schema.get("items")) | {k: schema[k] for k in ("default", "example") if k in schema}
    examples = parameter.get("examples")
    several = [resolve(each).get("value") for each in examples.values()] if isinstance(examples, dict) else []
    listed = schema.get("examples")
    for given in (
        [parameter.get("example")],
        several,
        [schema.get("example")],
        listed if isinstance(listed, list) else [],
        schema.get("enum") if isinstance(schema.get("enum"), list) else [],
        [schema.get("const")],
        [schema.get("default")],
    ):
        texts = [text for each in given or () if (text := _text(each))]
        if texts:
            return texts, False
    kind = schema.get("type")
    kind = next((each for each in kind if each != "null"), None) if isinstance(kind, list) else kind
    if kind in {"integer", "number"}:
        return _integers(schema), True
    return (["true", "false"], False) if kind == "boolean" else ([], False)


def _text(value: Any) -> str:
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)[:200] if isinstance(value, str | int | float) else ""


def _integers(schema: Mapping[str, Any]) -> list[str]:
    def bound(name: str, otherwise: int) -> int:
        value = schema.get(name)
        usable = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 10**15
        return int(value) if usable and value is not None else otherwise

    low = bound("minimum", bound("exclusiveMinimum", 0) + 1)
    high = max(low, bound("maximum", max(100, low + 99)))
    step = max(1, (high - low) // GUESSES)
    return [str(each) for each in range(low, high + 1, step)][:100]


def _statuses(operation: Mapping[str, Any]) -> tuple[int, ...]:
    """The statuses of right answers: those of 2xx that the document names, else of 3xx, else 200."""
    given = operation.get("responses")
    names = [str(name) for name in given] if isinstance(given, dict) else []
    exact = sorted(int(name) for name in names if re.fullmatch(r"[23]\d\d", name, re.ASCII))
    return tuple(s for s in exact if s < 300) or (() if "2XX" in [n.upper() for n in names] else tuple(exact)) or (200,)
