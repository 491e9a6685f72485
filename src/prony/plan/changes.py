"""Dotted names and values in, a TOML document changed by them out: what --set does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prony.errors import PlanError
from prony.knobs import link, outside, server, stores
from prony.knobs.values import NotAllowedError
from prony.plan import keys
from prony.plan.checks import shown, word

DEPTH_MAX = 8


def apply(document: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Changes the document; where the kind of a server or store changes with it, the former kind's own knobs go."""
    before = _kinds(document)
    for name, value in changes.items():
        _put(document, name, value)
    after = _kinds(document)
    for path, was in before.items():
        if path in after and after[path] != was:
            _drop_former(document, path, was, after[path], changes)


def _put(document: dict[str, Any], name: str, value: Any) -> None:
    """Sets a dotted name, making the tables on the way."""
    *tables, last = name.split(".")
    if len(tables) > DEPTH_MAX:
        raise PlanError(f"--set {word(name)}: found {len(tables)} tables; allowed: at most {DEPTH_MAX}.")
    table: Any = document
    for part in tables:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise PlanError(f"--set {word(name)}: {part} is no table.", hint="--set server.workers=5")
    table[last] = value


def _kinds(document: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """(kind, worker class) of each table that has a kind of its own: [server], [servers.X], [stores.X]."""
    found = {"server": _server_kind(document.get("server", {}))}
    for group in ("servers", "stores"):
        tables = document.get(group, {})
        for name, table in tables.items() if isinstance(tables, dict) else ():
            path = f"{group}.{name}"
            found[path] = _server_kind(table) if group == "servers" else (str(_get(table, "kind", "postgres")), "")
    return found


def _server_kind(table: Any) -> tuple[str, str]:
    """The kind and worker class a table names, or those it leaves to their defaults."""
    kind = _get(table, "kind", server.KINDS[0])
    classes = server.worker_classes(kind) if isinstance(kind, str) else ()
    worker_class = _get(table, "worker_class", classes[0]) if classes else ""
    return str(kind), str(worker_class)


def _get(table: Any, key: str, default: str) -> Any:
    return table.get(key, default) if isinstance(table, dict) else ""


def _drop_former(
    document: dict[str, Any], path: str, was: tuple[str, str], now: tuple[str, str], changes: Mapping[str, Any]
) -> None:
    table: Any = document
    for part in path.split("."):
        table = table[part]
    if not isinstance(table, dict):
        return
    of_servers = path.startswith("server")
    if of_servers and now[0] != was[0] and f"{path}.worker_class" not in changes:
        table.pop("worker_class", None)
        now = _server_kind(table)
    former = {knob.key for knob in (server.KNOBS.get(was, ()) if of_servers else stores.STORES.get(was[0], ()))}
    former |= set() if of_servers else {key.name for key in keys.STORE_KEYS.get(was[0], ())}
    knobs = {knob.key for knob in (server.KNOBS.get(now, ()) if of_servers else stores.STORES.get(now[0], ()))}
    knobs |= set() if of_servers else {key.name for key in keys.STORE_KEYS.get(now[0], ())}
    for key in former - knobs:
        if f"{path}.{key}" not in changes:
            table.pop(key, None)


_FIELDS = {"round_trip": "round_trip_s", "bandwidth": "bandwidth_bps"}  # what a link's program calls them


def live_change(name: str, value: Any) -> tuple[str, str, Any]:
    """What can be changed while it runs, checked: ("link.database", "round_trip_s", 0.02).

    Raises:
        PlanError: it is no such name, or no such value.
    """
    group, _, rest = name.partition(".")
    tier, _, key = rest.rpartition(".")
    knobs = {"link": link.LINK, "services": outside.OUTSIDE}.get(group, ())
    knob = next((each for each in knobs if each.key == key), None)
    if knob is None or not tier:
        allowed = [f"link.NAME.{each.key}" for each in link.LINK]
        allowed += [f"services.NAME.{each.key}" for each in outside.OUTSIDE]
        raise PlanError(
            f"{word(name)}: found nothing that can be changed while it runs; allowed: {', '.join(allowed)}."
        )
    try:
        read = knob.read(value)
    except NotAllowedError:
        raise PlanError(f"{word(name)}: found {shown(value)}; allowed: {knob.allowed()}.") from None
    return f"{group}.{tier}", _FIELDS.get(key, key) if group == "link" else key, read
