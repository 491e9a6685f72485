"""A table of a TOML document in, its checked values out, or a paragraph with file, key, found and allowed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from prony.errors import PlanError
from prony.knobs import Knob
from prony.knobs.values import NotAllowedError
from prony.plan.keys import Key

# keys of any table that may hold a secret: what stands there is never echoed
SECRETS = {"env", "url", "at", "headers", "fields", "password", "session"}
_PASSWORD = re.compile(r"://[^\s/@]*:[^\s@]*@")
NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}")


def table_of(parent: Mapping[str, Any], name: str, source: str, path: str = "") -> dict[str, Any]:
    """The table of that name; an empty one where there is none."""
    table = parent.get(name, {})
    if not isinstance(table, dict):
        raise PlanError(f"{source}: {path}{name}: found {shown(table)}; a table [{path}{name}] is allowed.")
    return table


def named_tables(document: Mapping[str, Any], group: str, source: str) -> dict[str, dict[str, Any]]:
    """The tables [group.NAME], by name."""
    found = {}
    for name in table_of(document, group, source):
        if not NAME.fullmatch(name):
            raise PlanError(
                f"{source}: [{group}.{word(name)}]: found this name; allowed: small letters, digits, _ and -, "
                "beginning with a letter."
            )
        found[name] = table_of(document[group], name, source, f"{group}.")
    return found


def only_known(table: Mapping[str, Any], names: Iterable[str], source: str, path: str) -> None:
    """Every key is known, or the error names the nearest known one."""
    names = list(names)
    for key in table:
        if key not in names:
            near = difflib.get_close_matches(str(key)[:60], names, n=1, cutoff=0.4)
            where = f"[{path}] " if path else ""
            nearest = f" Did you mean {near[0]}?" if near else ""
            raise PlanError(
                f"{source}: {where}{word(key)}: found an unknown key; allowed: {', '.join(names)}.{nearest}",
                hint=f"edit {source}" if not near else f"write {near[0]} instead of {word(key)}",
            )


def values_of(
    table: Mapping[str, Any],
    known: Iterable[Key | Knob],
    source: str,
    path: str,
    defaults: Mapping[str, Any] = {},
) -> dict[str, Any]:
    """Each known key's value, checked, or its default (that of `defaults` first)."""
    found: dict[str, Any] = {}
    for key in known:
        name = key.key if isinstance(key, Knob) else key.name
        if name not in table:
            if isinstance(key, Key) and key.required:
                raise PlanError(f"{source}: [{path}] {name} is missing; {key.allowed()} is needed: {key.why}")
            found[name] = defaults.get(name, key.default)
            continue
        try:
            found[name] = key.read(table[name])
        except NotAllowedError:
            found_text = f"a {type(table[name]).__name__}" if name in SECRETS else shown(table[name])
            raise PlanError(
                f"{source}: [{path}] {name}: found {found_text}; allowed: {key.allowed()}.",
                hint=f"edit {source}" if not isinstance(key, Knob) else f"--set {path}.{name}={_example(key)}",
            ) from None
    return found


def _example(knob: Knob) -> str:
    default = knob.default
    if knob.kind == "duration":
        return f'"{default * 1000:g}ms"' if default < 1 else f'"{default:g}s"'
    return str(default).lower()


def shown(value: Any) -> str:
    """A value as messages show it: on one line, not without end, and without what may be secret in it.

    Of a table, and of a list that holds some, only that it is one: env or url may be in it.
    """
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        return "a list of tables" if all(isinstance(each, dict) for each in value) else "a list"
    try:
        text = f'"{value}"' if isinstance(value, str) else str(value)
    except ValueError:  # a whole number too long to be written out
        return "a number of thousands of digits"
    text = " ".join(text.lower().split() if isinstance(value, bool) else text.split())
    text = without_password(text)
    # neither what would command a terminal nor what no text can hold
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:100])
    return text if len(text) <= 60 else text[:57] + "…"


def without_password(text: str) -> str:
    """A text in which no URL says who logs in, and by what."""
    return _PASSWORD.sub("://…@", text)


def is_secret(name: str) -> bool:
    """Whether what a dotted name such as app.env.KEY is set to may be a secret, or holds one."""
    parts = name.split(".")
    return bool(SECRETS & set(parts)) or parts[0] == "login" or len(parts) == 1 or parts[0] == "stores" == parts[-2]


def without_secret(change: str) -> str:
    """A change as it was typed (NAME=VALUE), its value left out where that may be a secret."""
    name, equals, _ = change.partition("=")
    return f"{name}=…" if equals and is_secret(name) else change


def word(name: Any) -> str:
    """A name as messages show it: on one line, not without end."""
    return shown(str(name)).strip('"')
