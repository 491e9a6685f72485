"""Turns the user's entry into its routes: `python -m prony_gauge.routes TASK ANSWER`, both files of JSON.

Run in the user's interpreter, in the app's folder, contained as the app is. What goes wrong is data, too: an "error".
The task is {"entry": …, "values": whether to look for parameters' values in the database}.
Each route is {"template", "methods", "name", "params": {name: {"kind", "choices", "values"}}, "source", "marks",
"query"}. Templates are written in one form: "/products/{id}/". Marks are "admin", "debug", "docs", "static",
"websocket" and "regex". A task with "host" and "paths" asks instead what exception each of these meets under Django,
and gets {"errors": {path: text}}.
"""

import importlib
import json
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ROUTES_MAX = 2000
DEPTH_MAX = 12
KINDS = {  # what frameworks call a converter -> int, number, str, slug, uuid, path, date or choices
    "int": "int",
    "integer": "int",
    "IntegerConverter": "int",
    "float": "number",
    "number": "number",
    "FloatConverter": "number",
    "uuid": "uuid",
    "UUIDConverter": "uuid",
    "slug": "slug",
    "path": "path",
    "PathConverter": "path",
    "any": "choices",
    "AnyConverter": "choices",
}
DOCS = ("openapi", "swagger_ui_html", "swagger_ui_redirect", "redoc_html")
DEBUG_PREFIXES = ("/__debug__", "/_debug_toolbar", "/silk", "/__reload__", "/_profiler", "/debugbar")


def module(name: str) -> "Any":
    """A module of the user's own environment."""
    return importlib.import_module(name)


def route(template: str, source: str, **more: "Any") -> "dict[str, Any]":
    """One route; `more` overrides what is usual."""
    marks = set(more.pop("marks", ()))
    if template.startswith(DEBUG_PREFIXES):
        marks.add("debug")
    found: "dict[str, Any]" = {
        "template": template,
        "methods": ["GET"],
        "name": "",
        "params": {},
        "source": source,
        "query": {},
    }
    return {**found, **more, "marks": sorted(marks)}


def unwrapped(app: "Any") -> "Any":
    """The framework's app under middleware that keeps it in an attribute of the usual names."""
    for _ in range(DEPTH_MAX):
        if is_known(app):
            break
        for name in ("app", "application", "wsgi_app", "asgi_app", "_app", "wrapped", "__wrapped__"):
            inner = getattr(app, name, None)
            if inner is not None and callable(inner) and inner is not app:
                app = inner
                break
        else:
            owner = getattr(app, "__self__", None)  # app.wsgi_app, as a method of the app itself
            if owner is None or not is_known(owner):
                break
            app = owner
    return app


def is_known(app: "Any") -> bool:
    """Whether it is an app of a framework that can be asked for its routes."""
    return hasattr(app, "url_map") or isinstance(getattr(app, "routes", None), (list, tuple)) or is_django(app)


def is_django(app: "Any") -> bool:
    """Whether it is one of Django's handlers."""
    names = {each.__module__.partition(".")[0] for each in type(app).__mro__}
    return "django" in names and hasattr(app, "get_response")


def routes_of(app: "Any", prefix: str = "", depth: int = 0) -> "list[dict[str, Any]]":
    """Every route of an app, and of those it has mounted, below a prefix."""
    if depth > DEPTH_MAX:
        return []
    mounts = getattr(app, "mounts", None)
    if isinstance(mounts, dict) and hasattr(app, "app"):  # werkzeug's DispatcherMiddleware
        found = routes_of(app.app, prefix, depth + 1)
        for at, inner in mounts.items():
            found += routes_of(inner, prefix + at, depth + 1)
        return found
    app = unwrapped(app)
    if hasattr(app, "url_map"):
        return flask_routes(app, prefix)
    if isinstance(getattr(app, "routes", None), (list, tuple)):
        return starlette_routes(app, prefix, depth)
    if is_django(app):
        from prony_gauge import django_routes

        return django_routes.routes(prefix)
    return []


# ---- Flask and Quart


def flask_routes(app: "Any", prefix: str) -> "list[dict[str, Any]]":
    """The rules of a url_map."""
    found = []
    for rule in app.url_map.iter_rules():
        if getattr(rule, "build_only", False) or getattr(rule, "alias", False):
            continue
        template, params = flask_template(rule)
        marks = ["static"] if rule.endpoint.rpartition(".")[2] == "static" else []
        if rule.endpoint.partition(".")[0] in ("admin", "debugtoolbar", "_debug_toolbar"):
            marks.append("admin" if rule.endpoint.startswith("admin") else "debug")
        if getattr(rule, "websocket", False):
            marks.append("websocket")
        methods = sorted(set(rule.methods or ["GET"]) - {"OPTIONS", "HEAD"})
        more = {"methods": methods, "name": rule.endpoint, "params": params, "marks": marks}
        found.append(route(prefix + template, "flask", **more))
    return found


def flask_template(rule: "Any") -> "tuple[str, dict[str, Any]]":
    """A rule's path in our form, and its parameters; defaults that the rule is built with are no parameters."""
    import re

    params: "dict[str, dict[str, Any]]" = {}
    for name, converter in getattr(rule, "_converters", {}).items():
        kind = KINDS.get(type(converter).__name__, "str")
        params[name] = {"kind": kind}
        items = getattr(converter, "items", None)
        if kind == "choices" and items and not callable(items):
            params[name] = {"kind": kind, "choices": sorted(map(str, items))}
    template = re.sub(r"<(?:[^<>:]*:)?([A-Za-z_]\w*)>", r"{\1}", rule.rule)
    return template, {name: params.get(name, {"kind": "str"}) for name in re.findall(r"\{(\w+)\}", template)}


# ---- Starlette and FastAPI


def starlette_routes(app: "Any", prefix: str, depth: int = 0) -> "list[dict[str, Any]]":
    """The routes of a Starlette or FastAPI app, router or mount."""
    documented = openapi_of(app)
    found = []
    for each in app.routes:
        found += starlette_route(each, prefix, "", documented, depth)
    return found


def starlette_route(
    each: "Any", prefix: str, within: str, documented: "dict[str, Any]", depth: int
) -> "list[dict[str, Any]]":
    """One entry of a route table: a route, a mount, or a router that was included and has no path of its own.

    Args:
        each: The entry.
        prefix: Where its app is mounted.
        within: Where, within its app, its router is included.
        documented: The app's own description of itself, by paths within it.
        depth: How many tables this one is in.
    """
    path = getattr(each, "path", None)
    if "WebSocket" in type(each).__name__:
        return [route(prefix + within + str(path or ""), "starlette", marks=["websocket"])]
    if path is None or not hasattr(each, "methods"):
        return included(each, prefix, within, documented, depth + 1)
    template, params = starlette_template(each)
    methods = sorted(set(each.methods or ["GET"]) - {"OPTIONS", "HEAD"})
    operation = documented.get(within + template, {}).get("get", {})
    query = fill_in(operation, params)
    source = "openapi" if operation else "starlette"
    name = getattr(each, "name", "") or ""
    more = {"marks": ["docs"]} if name in DOCS else {}
    return [route(prefix + within + template, source, methods=methods, name=name, params=params, query=query, **more)]


def included(each: "Any", prefix: str, within: str, documented: "dict[str, Any]", depth: int) -> "list[dict[str, Any]]":
    """What stands behind a mount, a host, or an included router."""
    path, inner = getattr(each, "path", None), getattr(each, "app", None)
    names = {cls.__name__ for cls in type(inner).__mro__}
    if path is not None and "StaticFiles" in names:
        at = prefix + within + path.rstrip("/")
        return [route(at + "/{path}", "starlette", params={"path": {"kind": "path"}}, marks=["static"])]
    if depth > DEPTH_MAX:
        return []
    if path is not None or inner is not None:
        return routes_of(inner, prefix + within + (path or "").rstrip("/"), depth)
    router = getattr(each, "original_router", None) or getattr(each, "router", None)
    found = []
    for one in getattr(router, "routes", None) or getattr(each, "routes", None) or ():
        found += starlette_route(one, prefix, within + included_prefix(each), documented, depth)
    return found


def included_prefix(each: "Any") -> str:
    """Where a router without a path of its own was included."""
    for holder in (getattr(each, "include_context", None), each):
        prefix = getattr(holder, "prefix", None)
        if isinstance(prefix, str):
            return prefix
    return ""


def starlette_template(each: "Any") -> "tuple[str, dict[str, Any]]":
    """A route's path without its converters, and its parameters."""
    import re

    path = getattr(each, "path_format", None) or each.path
    params = {}
    for name, converter in re.findall(r"\{([A-Za-z_]\w*)(?::(\w+))?\}", each.path):
        params[name] = {"kind": KINDS.get(converter, "str")}
    return re.sub(r"\{([A-Za-z_]\w*):\w+\}", r"{\1}", path), params


def openapi_of(app: "Any") -> "dict[str, Any]":
    """Each path's operations as the app describes itself; none where it does not, or its description fails."""
    describe = getattr(app, "openapi", None)
    if not callable(describe):
        return {}
    try:
        described = describe()
        paths = described.get("paths", {})
        schemas = described.get("components", {}).get("schemas", {})
    except Exception:
        return {}
    for operations in paths.values():
        operation = operations.get("get")
        for each in (operation or {}).get("parameters", ()):
            reference = each.get("schema", {}).get("$ref", "").rpartition("/")[2]
            if reference in schemas:
                each["schema"] = schemas[reference]
    return dict(paths)


def fill_in(operation: "dict[str, Any]", params: "dict[str, Any]") -> "dict[str, Any]":
    """Adds what an OpenAPI operation says of path parameters; the query parameters that it requires."""
    query = {}
    for each in operation.get("parameters", ()):
        described = described_by(each)
        if each.get("in") == "path" and each.get("name") in params:
            kept = params[each["name"]]
            kind = kept["kind"] if described["kind"] == "str" else described["kind"]
            kept.update(described, kind=kind)
        elif each.get("in") == "query" and each.get("required"):
            query[each["name"]] = described
    return query


def described_by(parameter: "dict[str, Any]") -> "dict[str, Any]":
    """Kind, choices and examples of one OpenAPI parameter."""
    schema = parameter.get("schema", {})
    kind = "uuid" if schema.get("format") == "uuid" else KINDS.get(schema.get("type", ""), "str")
    examples = parameter.get("examples") or {}
    values = [each.get("value") for each in examples.values()] if isinstance(examples, dict) else list(examples)
    values += [parameter.get("example"), schema.get("example"), schema.get("default"), *schema.get("examples", ())]
    found = {"kind": kind, "values": [str(each) for each in values if each is not None]}
    choices = schema.get("enum") or ([schema["const"]] if "const" in schema else None)
    return {**found, "kind": "choices", "choices": [str(each) for each in choices]} if choices else found


# ---- the program


def told(entry: str, *, values: bool) -> "dict[str, Any]":
    """Everything that is to be known: framework, facts, routes; the "error" that was in the way, where one was."""
    found: "dict[str, Any]" = {"framework": "", "facts": {}, "routes": []}
    try:
        from prony_gauge.target import resolve

        app = resolve(entry)
        found["framework"], found["facts"] = kind_of(app)
        routes = routes_of(app)
        if not routes and "django" in sys.modules:
            routes = routes_of_django()
        found["routes"] = routes[:ROUTES_MAX]
        if values and found["framework"] == "django":
            from prony_gauge import django_values

            django_values.add(found["routes"])
    except BaseException as error:
        found["error"] = "%s: %s" % (type(error).__name__, error)
    for each in found["routes"]:
        each.pop("callback", None)
    return found


def routes_of_django() -> "list[dict[str, Any]]":
    """Django's routes, where it stands behind something that nothing is known of."""
    settings = module("django.conf").settings
    if not settings.configured or not getattr(settings, "ROOT_URLCONF", ""):
        return []
    from prony_gauge import django_routes

    return django_routes.routes("")


def kind_of(app: "Any") -> "tuple[str, dict[str, Any]]":
    """The framework's name, and what is worth knowing of its settings."""
    inner = unwrapped(app)
    django = sys.modules.get("django.conf")
    if is_django(inner) or (django is not None and django.settings.configured and not is_known(inner)):
        from prony_gauge import django_routes

        return "django", django_routes.facts()
    if hasattr(inner, "url_map"):
        config = getattr(inner, "config", {})
        debug = bool(config.get("DEBUG", getattr(inner, "debug", False)))
        return "flask", {"debug": debug, "secure_cookies": bool(config.get("SESSION_COOKIE_SECURE"))}
    if hasattr(inner, "openapi"):
        return "fastapi", {"debug": bool(getattr(inner, "debug", False))}
    if isinstance(getattr(inner, "routes", None), (list, tuple)):
        return "starlette", {"debug": bool(getattr(inner, "debug", False))}
    return "", {}


def main() -> None:
    """Reads the task, writes the answer."""
    sys.path.insert(0, "")
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123 - pathlib is not imported before the app does
        task = json.load(file)
    if "paths" in task:
        from prony_gauge import django_errors

        found = {"errors": django_errors.asked(task["entry"], task["host"], task["paths"])}
    else:
        found = told(task["entry"], values=task["values"])
    with open(sys.argv[2], "w", encoding="utf-8") as file:  # noqa: PTH123 - the same
        json.dump(found, file, default=str)


if __name__ == "__main__":
    main()
