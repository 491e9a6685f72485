"""Turns an app's entry into what it needs, as one line of JSON: variables it reads, stores, settings, commands, errors.

Run in the app's interpreter and folder: python -m prony_gauge.needs '{"entry": "shop:app", "limit_s": 20}'.
The app is imported, a factory called; nothing of it is served. Where that hangs, the line it hangs in is told.
"""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from typing import Any

from prony_gauge import connects, reads
from prony_gauge.imports import watch
from prony_gauge.settings import django_settings, flask_app

MARK = "prony-needs "
TEXT_MAX = 400


def main() -> None:
    """Try the entry named in argv, and print what was found."""
    order = json.loads(sys.argv[1])
    import faulthandler

    faulthandler.dump_traceback_later(float(order.get("limit_s", 20)), exit=True)
    here = os.getcwd()  # noqa: PTH109 - one module less in somebody's interpreter
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    reads.record()
    watch(dict(connects.AFTER_IMPORT))
    found: dict[str, Any] = {"python": "%d.%d.%d" % sys.version_info[:3]}
    target = None
    try:
        target = _target(order["entry"])
        found["interface"] = _interface(target)
    except BaseException as error:  # whatever it is, SystemExit too: it is told
        found["error"] = told(error)
    faulthandler.cancel_dump_traceback_later()
    faulthandler.dump_traceback_later(20, exit=True)  # what follows asks more of their code
    for name, ask in (
        ("django", django_settings),
        ("flask", lambda: flask_app(target)),
        ("celery", _celery),
        ("pydantic", _pydantic),
    ):
        try:
            found[name] = ask()
        except BaseException as error:
            found[name + "_error"] = told(error)
    found["reads"] = sorted(reads.reads.values(), key=lambda each: each["order"])
    found["connects"] = connects.connects
    found["modules"] = sorted({name.partition(".")[0] for name in list(sys.modules)})
    sys.stdout.flush()
    sys.stdout.write("\n" + MARK + json.dumps(found, default=str) + "\n")
    sys.stdout.flush()
    os._exit(0)  # threads of theirs are not waited for


def _target(entry: str) -> Any:
    """What the entry names, a factory called."""
    from prony_gauge.target import resolve

    return resolve(entry)


def _interface(target: Any) -> str:
    from prony_gauge.target import interface_of

    return interface_of(target)


def told(error: BaseException) -> dict[str, Any]:
    """An error as data: type, text, the lines of their own code, and what is missing where that is told."""
    found: dict[str, Any] = {
        "type": type(error).__name__,
        "text": " ".join(str(error).split())[:TEXT_MAX],
        "lines": _own_lines(error),
    }
    if isinstance(error, SyntaxError):
        found["file"], found["line"] = error.filename or "", error.lineno or 0
        found["text"] = error.msg
    if isinstance(error, ImportError):
        found["module"] = error.name or ""
    causes: list[dict[str, str]] = []
    cause = error.__cause__ or error.__context__
    while cause is not None and len(causes) < 8:
        causes.append({"type": type(cause).__name__, "text": " ".join(str(cause).split())[:TEXT_MAX]})
        cause = cause.__cause__ or cause.__context__
    found["causes"] = causes
    found["fields"] = _fields(error)
    return found


def _own_lines(error: BaseException) -> list[str]:
    """The lines of the app's own code in the traceback, "shop/settings.py:12", outermost first."""
    here = os.getcwd().rstrip(os.sep) + os.sep  # noqa: PTH109 - as above
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if each.filename.startswith(here) and "site-packages" not in each.filename]
    return [f"{each.filename[len(here) :]}:{each.lineno}" for each in own[-8:]]


def _fields(error: BaseException) -> list[dict[str, str]]:
    """What a pydantic ValidationError says of each field: its variable's name, and what is wrong with it."""
    errors = getattr(error, "errors", None)
    if not callable(errors):
        return []
    found = []
    try:
        try:
            entries = errors(include_input=False, include_context=False, include_url=False)
        except TypeError:
            entries = errors()
        variables = {(owner, field): name for owner, field, name, _, _ in _settings_fields()}
        title = str(getattr(error, "title", ""))
        for entry in entries:
            place = [str(part) for part in entry.get("loc", ())]
            if place:
                name = variables.get((title, place[0])) or variables.get(("", place[0])) or place[0]
                found.append({"name": name, "type": str(entry.get("type", "")), "text": str(entry.get("msg", ""))})
    except Exception:
        pass
    return found


def _settings_fields() -> list[tuple[str, str, str, bool, str]]:
    """(class, field or alias, variable, whether it must be there, its type) of every settings class of pydantic's."""
    module: Any = sys.modules.get("pydantic_settings") or sys.modules.get("pydantic")
    root = getattr(module, "BaseSettings", None) if module is not None else None
    found: list[tuple[str, str, str, bool, str]] = []
    waiting: list[Any] = list(root.__subclasses__()) if isinstance(root, type) else []
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.partition(".")[0] in {"pydantic_settings", "pydantic"}:
            continue
        config: Any = getattr(kind, "model_config", None) or {}
        prefix = config.get("env_prefix", "") if isinstance(config, dict) else ""
        fields: Any = getattr(kind, "model_fields", None) or getattr(kind, "__fields__", {})
        for name, field in fields.items():
            alias = _alias(field)
            variable = alias or (prefix + name).upper()
            needed = field.is_required() if hasattr(field, "is_required") else bool(getattr(field, "required", False))
            kind_of = str(getattr(field, "annotation", getattr(field, "outer_type_", "")))
            found.append((kind.__name__, name, variable, bool(needed), kind_of))
            if alias:
                found.append((kind.__name__, alias, variable, bool(needed), kind_of))
    return found


def _alias(field: Any) -> str:
    alias = getattr(field, "validation_alias", None)
    choices = getattr(alias, "choices", None)
    if choices:
        alias = choices[0]
    return alias if isinstance(alias, str) else ""


def _pydantic() -> list[dict[str, Any]]:
    return [
        {"name": variable, "needed": needed, "kind": kind, "class": owner}
        for owner, _, variable, needed, kind in _settings_fields()
    ]


def _celery() -> list[dict[str, Any]]:
    """Broker and result store of every Celery app."""
    found = []
    for app in connects.celeries:
        conf = app.conf
        found.append(
            {
                "name": str(app.main or ""),
                "broker": _first(conf.broker_url),
                "results": _first(conf.result_backend),
                "eager": bool(conf.task_always_eager),
            }
        )
    return found


def _first(value: Any) -> str:
    value = value[0] if isinstance(value, (list, tuple)) and value else value
    return re.split("[;]", value)[0] if isinstance(value, str) else ""


if __name__ == "__main__":
    main()
