"""Turns Django's URLconf into routes of one form, and its settings into the facts that a check needs."""

import re

from prony_gauge import routes as shape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEPTH_MAX = 12
_GROUP = re.compile(r"\(\?P<(\w+)>")
ADMIN = {"admin", "wagtailadmin", "grappelli", "admin_tools"}
DEBUG = {"djdt", "silk", "debug_toolbar", "django_browser_reload", "hijack"}
DIGITS = ("[0-9]", r"\d")


def facts() -> "dict[str, Any]":
    """The settings that explain what pages answer: no values that anybody would keep secret."""
    settings = shape.module("django.conf").settings
    found = {"version": shape.module("django").get_version()}
    names = {
        "debug": "DEBUG",
        "append_slash": "APPEND_SLASH",
        "ssl_redirect": "SECURE_SSL_REDIRECT",
        "secure_session": "SESSION_COOKIE_SECURE",
        "secure_csrf": "CSRF_COOKIE_SECURE",
        "allowed_hosts": "ALLOWED_HOSTS",
        "static_url": "STATIC_URL",
        "static_root": "STATIC_ROOT",
        "media_url": "MEDIA_URL",
        "login_url": "LOGIN_URL",
        "settings": "SETTINGS_MODULE",
    }
    for name, setting in names.items():
        value = getattr(settings, setting, None)
        found[name] = value if isinstance(value, (bool, list, tuple)) else "" if value is None else str(value)
    header = getattr(settings, "SECURE_PROXY_SSL_HEADER", None)
    if header:
        found["https_header"] = [header[0].replace("HTTP_", "", 1).replace("_", "-").title(), header[1]]
    return found


def routes(prefix: str) -> "list[dict[str, Any]]":
    """Every route that the root URLconf leads to; `callback` is the view, for who looks for its model."""
    found: "list[dict[str, Any]]" = []
    _walk(
        shape.module("django.urls").get_resolver(),
        {"prefix": prefix + "/", "params": {}, "odd": "", "names": ()},
        found,
        0,
    )
    return found


def _walk(resolver: "Any", above: "dict[str, Any]", found: "list[Any]", depth: int) -> None:
    """Adds what is below a resolver: `above` is the prefix, the params, the odd pattern and the namespaces so far."""
    for each in resolver.url_patterns:
        if len(found) >= shape.ROUTES_MAX or depth > DEPTH_MAX:
            return
        template, own, odd = _template(each.pattern)
        here = {
            "prefix": _joined(above["prefix"], template),
            "params": {**above["params"], **own},
            "odd": above["odd"] or odd,
            "names": above["names"],
        }
        if hasattr(each, "url_patterns"):
            spaces = [*above["names"], *filter(None, [each.namespace or each.app_name])]
            spaces += [each.app_name] if each.app_name in ADMIN | DEBUG else []
            _walk(each, {**here, "names": tuple(dict.fromkeys(spaces))}, found, depth + 1)
        else:
            found.append(_route(each, here["prefix"], here["params"], here["odd"], here["names"]))


def _joined(prefix: str, template: str) -> str:
    return prefix + template.lstrip("/") if prefix.endswith("/") else prefix + template


def _route(
    each: "Any", template: str, params: "dict[str, Any]", odd: str, names: "tuple[str, ...]"
) -> "dict[str, Any]":
    view = each.callback
    module = str(getattr(view, "__module__", ""))
    marks = {"regex"} if odd else set()
    if ADMIN & set(names) or module.startswith("django.contrib.admin."):
        marks.add("admin")
    if DEBUG & set(names) or module.startswith(("debug_toolbar", "silk.", "django_browser_reload")):
        marks.add("debug")
    if module in ("django.views.static", "django.contrib.staticfiles.views"):
        marks.add("static")
    name = ":".join([*names, each.name]) if each.name else ""
    route = shape.route(template, "urlconf", methods=_methods(view), name=name, params=params, marks=marks)
    route["callback"] = view
    return route


def _methods(view: "Any") -> "list[str]":
    """What a view takes, where it says so: class-based views by their methods, REST's by their actions."""
    actions = getattr(view, "actions", None)  # of a viewset
    if isinstance(actions, dict) and actions:
        return sorted(name.upper() for name in actions if name != "head")
    made = getattr(view, "view_class", None) or getattr(view, "cls", None)
    if made is None:
        return _decorated(view)
    names = getattr(made, "http_method_names", ["get", "post", "put", "patch", "delete"])
    found = [name.upper() for name in names if name not in ("head", "options", "trace") and hasattr(made, name)]
    return sorted(found) or ["GET"]


def _decorated(view: "Any") -> "list[str]":
    """The methods of @require_http_methods and its kin, which keep them in a closure; GET where nothing tells."""
    seen = 0
    while view is not None and seen < DEPTH_MAX:
        seen += 1
        code, cells = getattr(view, "__code__", None), getattr(view, "__closure__", None) or ()
        for name, cell in zip(code.co_freevars if code else (), cells):  # noqa: B905 - Python 3.9 has no strict
            value = getattr(cell, "cell_contents", None)
            if name == "request_method_list" and isinstance(value, (list, tuple, set)):
                return sorted({str(each).upper() for each in value} - {"HEAD", "OPTIONS"}) or ["GET"]
        view = getattr(view, "__wrapped__", None)
    return ["GET"]


def _template(pattern: "Any") -> "tuple[str, dict[str, Any], str]":
    """A pattern's path in our form, its parameters, and the regular expression that could not be told as one."""
    if hasattr(pattern, "prefix_default_language"):  # i18n_patterns: the active language's
        return str(pattern.language_prefix), {}, ""
    text = str(pattern)
    converters = getattr(pattern, "converters", None) or {}
    if hasattr(pattern, "_route"):
        text = str(pattern._route)
        params = {name: {"kind": _kind(converter)} for name, converter in converters.items()}
        return re.sub(r"<(?:[^<>:]*:)?([A-Za-z_]\w*)>", r"{\1}", text), params, ""
    return from_regex(text)


def _kind(converter: "Any") -> str:
    for cls in type(converter).__mro__:  # a converter of the app's own is most often derived from one of Django's
        name = cls.__name__.replace("Converter", "").lower()
        if name in ("int", "uuid", "slug", "path"):
            return name
    regex = str(getattr(converter, "regex", ""))
    return _kind_of_regex(regex)


def _kind_of_regex(regex: str) -> str:
    if re.fullmatch(r"(\[0-9\]|\\d)(\+|\*|\{[0-9,]+\})?", regex):
        return "int"
    if re.fullmatch(r"\[[-\\\w]*\](\+|\*|\{[0-9,]+\})?", regex):
        return "slug"
    if (
        regex.replace("(", "")
        .replace(")", "")
        .replace("?:", "")
        .replace("|", "")
        .replace("-", "")
        .replace("_", "")
        .isalnum()
        and "|" in regex
    ):
        return "choices"
    return "path" if regex in (".*", ".+") else "str"


def from_regex(text: str) -> "tuple[str, dict[str, Any], str]":
    """A regular expression with named groups as a template; where more is in it than that, it is returned as odd."""
    params, out, odd, at = {}, [], "", 0
    body = text.lstrip("^")
    body = body[:-1] if body.endswith("$") and not body.endswith("\\$") else body
    body = re.sub(r"\\Z$", "", body)
    while at < len(body):
        match = _GROUP.match(body, at)
        if match:
            end = _closing(body, match.end())
            regex = body[match.end() : end]
            params[match[1]] = _param(regex)
            out.append("{%s}" % match[1])
            at = end + 1
        elif body.startswith("/?", at):  # with or without: both are answered
            out.append("/")
            at += 2
        elif body[at] == "\\" and at + 1 < len(body) and not body[at + 1].isalnum():
            out.append(body[at + 1])
            at += 2
        else:
            odd = text if body[at] in "()[]*+?|\\^$" else odd
            out.append(body[at])
            at += 1
    return "".join(out), params, odd


def _param(regex: str) -> "dict[str, Any]":
    kind = _kind_of_regex(regex)
    if kind != "choices":
        return {"kind": kind}
    return {"kind": kind, "choices": [each for each in re.split(r"[|()]|\?:", regex) if each]}


def _closing(text: str, at: int) -> int:
    """Where the group that is open at `at` ends."""
    depth, within = 1, False
    while at < len(text):
        each = text[at]
        if each == "\\":
            at += 1
        elif each == "[":
            within = True
        elif each == "]":
            within = False
        elif not within:
            depth += (each == "(") - (each == ")")
            if depth == 0:
                return at
        at += 1
    return at
