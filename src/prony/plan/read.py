"""A TOML document in, a Plan out, or one paragraph that names the file, the key, what was found and what is allowed."""

from __future__ import annotations

import copy
import difflib
import os
import re
import shlex
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prony.errors import PlanError
from prony.knobs import Knob, database, server
from prony.knobs.values import NotAllowedError
from prony.plan import keys
from prony.plan.keys import Key
from prony.plan.model import App, Database, Expect, Limits, Plan, Request, Server, Traffic

FILE_BYTES_MAX = 1_000_000
DEPTH_MAX = 8
DUE_MAX = 50_000_000
_ENTRY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*(\(.*\))?)?")
REQUESTS_MAX = 1000


def read_file(path: Path, sets: Iterable[str] = ()) -> Plan:
    """The plan of a prony.toml, with `--set NAME=VALUE` changes applied.

    Raises:
        PlanError: one paragraph on the first thing that is wrong.
    """
    try:
        path = path / "prony.toml" if path.is_dir() else path
        there = path.exists()
    except (OSError, ValueError) as error:
        raise PlanError(
            f"--project: {_word(str(path))} cannot be looked at: {getattr(error, 'strerror', 'no path')}."
        ) from error
    if not there:
        raise PlanError(
            f"{path}: there is no such file.",
            hint="name its folder with --project PATH, or write one: docs/tutorial.md shows how",
        )
    if path.stat().st_size > FILE_BYTES_MAX:
        raise PlanError(f"{path} has {path.stat().st_size} bytes; a prony.toml may have {FILE_BYTES_MAX}.")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{path} is not TOML: {str(error)[:200]}.", hint=f"edit {path} there") from error
    except OSError as error:
        raise PlanError(f"{path} cannot be read: {error.strerror}.") from error
    return read_document(document, str(path), path.parent, parse_sets(sets))


def parse_sets(sets: Iterable[str]) -> dict[str, Any]:
    """`["server.workers=5"]` as `{"server.workers": 5}`: a value is TOML, or a text where it is none."""
    found: dict[str, Any] = {}
    for item in sets:
        name, equals, text = item.partition("=")
        if not equals or not name.strip() or "\n" in item or "\r" in item:
            raise PlanError(f"--set {_word(item)}: found no NAME=VALUE on one line.", hint="--set server.workers=5")
        try:
            found[name.strip()] = tomllib.loads(f"value = {text}")["value"]
        except (ValueError, KeyError, RecursionError):
            found[name.strip()] = text
    return found


def changed(plan: Plan, changes: Mapping[str, Any]) -> Plan:
    """The plan with some dotted names changed, validated again: `changed(plan, {"server.workers": 5})`."""
    new = read_document(plan.document, plan.source, Path(plan.app.folder), changes)
    traffic = plan.traffic
    return new if any(name.startswith("traffic") for name in changes) else _with_traffic(new, traffic)


def _with_traffic(plan: Plan, traffic: Traffic) -> Plan:
    return plan.loaded(
        rate_rps=traffic.rate_rps,
        users=traffic.users,
        duration_s=traffic.duration_s,
        seed=traffic.seed,
        drain_s=traffic.drain_s,
    )


def read_document(document: Mapping[str, Any], source: str, folder: Path, changes: Mapping[str, Any] = {}) -> Plan:
    """The plan of a parsed TOML document whose relative paths start at `folder`.

    Raises:
        PlanError: one paragraph on the first thing that is wrong.
    """
    try:
        own: dict[str, Any] = copy.deepcopy(dict(document))
        _apply(own, changes)
        return _plan(own, source, folder)
    except (RecursionError, OverflowError, UnicodeError, ValueError) as error:
        # What no single check foresees: numbers past any machine's, texts that are none, tables within tables.
        what = " ".join(str(error)[:80].split())
        raise PlanError(f"{source}: found a value that cannot be used: {what}.", hint=f"edit {source}") from error


def _plan(document: dict[str, Any], source: str, folder: Path) -> Plan:
    _known(document, keys.TABLES, source, "")
    app = _app(document, source, folder)
    return Plan(
        app=app,
        server=_server(document, source),
        database=_database(document, source),
        traffic=_traffic(document, source),
        limits=_limits(document, source),
        source=source,
        document=document,
    )


def _put(document: dict[str, Any], name: str, value: Any) -> None:
    """Sets a dotted name, making the tables on the way."""
    *tables, last = name.split(".")
    if len(tables) > DEPTH_MAX:
        raise PlanError(f"--set {_word(name)}: found {len(tables)} tables; allowed: at most {DEPTH_MAX}.")
    table: Any = document
    for part in tables:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise PlanError(f"--set {_word(name)}: {part} is no table.", hint="--set server.workers=5")
    table[last] = value


def _apply(document: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Applies changes; where the kind of server changes with them, the former kind's own knobs go."""
    was = _server_of(document)
    for name, value in changes.items():
        _put(document, name, value)
    table = document.get("server")
    if not isinstance(table, dict) or (_server_of(document)[0] == was[0] and _server_of(document) == was):
        return
    kind = _server_of(document)[0]
    if kind != was[0] and "server.worker_class" not in changes:
        table.pop("worker_class", None)
    knobs = {knob.key for knob in server.KNOBS.get(_server_of(document), ())}
    former = {knob.key for knob in server.KNOBS.get(was, ())}
    for key in former - knobs:
        if f"server.{key}" not in changes:
            table.pop(key, None)


def _server_of(document: Mapping[str, Any]) -> tuple[str, str]:
    """The kind and worker class a document names, or those it leaves to their defaults."""
    table = document.get("server", {})
    kind = table.get("kind", server.KINDS[0]) if isinstance(table, dict) else ""
    classes = server.worker_classes(kind) if isinstance(kind, str) else ()
    worker_class = table.get("worker_class", classes[0]) if classes else ""
    return (kind, worker_class) if isinstance(kind, str) and isinstance(worker_class, str) else ("", "")


def _table(parent: Mapping[str, Any], name: str, source: str, path: str = "") -> dict[str, Any]:
    table = parent.get(name, {})
    if not isinstance(table, dict):
        raise PlanError(f"{source}: {path}{name}: found {_shown(table)}; a table [{path}{name}] is allowed.")
    return table


def _known(table: Mapping[str, Any], names: Iterable[str], source: str, path: str) -> None:
    """Every key is known, or the error names the nearest known one."""
    names = list(names)
    for key in table:
        if key not in names:
            near = difflib.get_close_matches(str(key)[:60], names, n=1, cutoff=0.4)
            where = f"[{path}] " if path else ""
            nearest = f" Did you mean {near[0]}?" if near else ""
            raise PlanError(
                f"{source}: {where}{_word(key)}: found an unknown key; allowed: {', '.join(names)}.{nearest}",
                hint=f"edit {source}" if not near else f"write {near[0]} instead of {_word(key)}",
            )


def _values(table: Mapping[str, Any], known: Iterable[Key | Knob], source: str, path: str) -> dict[str, Any]:
    """Each known key's value, checked, or its default."""
    found: dict[str, Any] = {}
    for key in known:
        name = key.key if isinstance(key, Knob) else key.name
        if name not in table:
            if isinstance(key, Key) and key.required:
                raise PlanError(f"{source}: [{path}] {name} is missing; {key.allowed()} is needed: {key.why}")
            found[name] = key.default
            continue
        try:
            found[name] = key.read(table[name])
        except NotAllowedError:
            secret = path == "app" and name == "env"  # never echo what may be a key
            found_text = f"a {type(table[name]).__name__}" if secret else _shown(table[name])
            raise PlanError(
                f"{source}: [{path}] {name}: found {found_text}; allowed: {key.allowed()}.",
                hint=f"edit {source}" if not isinstance(key, Knob) else f"--set {key.name}={_example(key)}",
            ) from None
    return found


def _example(knob: Knob) -> str:
    default = knob.default
    if knob.kind == "duration":
        return f'"{default * 1000:g}ms"' if default < 1 else f'"{default:g}s"'
    return str(default).lower()


def _shown(value: Any) -> str:
    try:
        text = f'"{value}"' if isinstance(value, str) else str(value)
    except ValueError:  # a whole number too long to be written out
        return "a number of thousands of digits"
    text = " ".join(text.lower().split() if isinstance(value, bool) else text.split())
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= 60 else text[:57] + "…"


def _word(name: Any) -> str:
    """A name as messages show it: on one line, not without end."""
    return _shown(str(name)).strip('"')


def _app(document: Mapping[str, Any], source: str, folder: Path) -> App:
    table = _table(document, "app", source)
    _known(table, (key.name for key in keys.APP), source, "app")
    values = _values(table, keys.APP, source, "app")
    if not _ENTRY.fullmatch(values["entry"]):
        raise PlanError(
            f"{source}: [app] entry: found {_shown(values['entry'])}; allowed: "
            f'"module:callable" such as "config.wsgi:application", or a factory "module:create_app()".'
        )
    for line in values["prepare"]:
        try:
            words = shlex.split(line)
        except ValueError:
            words = []
        if not words:
            raise PlanError(f"{source}: [app] prepare: found {_shown(line)}; allowed: commands a shell could split.")
    named = "python" in table
    # not resolved: a virtual environment's python is a link, and following it would leave the environment
    python = Path(os.path.expanduser(values["python"]))  # noqa: PTH111 - Path's own raises on an unknown user
    python = python if python.is_absolute() else folder.absolute() / python
    if not os.path.isfile(python):  # noqa: PTH113 - Path's own raises on a name too long
        if named:
            raise PlanError(f"{source}: [app] python: found {_shown(values['python'])}; no interpreter is there.")
        python = Path(sys.executable)
    return App(
        entry=values["entry"],
        folder=str(folder.absolute()),
        python=str(python),
        prepare=values["prepare"],
        env=values["env"],
        egress=values["egress"],
    )


def _server(document: Mapping[str, Any], source: str) -> Server:
    table = _table(document, "server", source)
    kind_key = Key("kind", "choice", "gunicorn", keys.SERVER_KINDS_WHY, choices=server.KINDS)
    kind = _values(table, (kind_key,), source, "server")["kind"]
    classes = server.worker_classes(kind)
    worker_class = ""
    names = ["kind"]
    if classes:
        class_key = Key("worker_class", "choice", classes[0], "How a worker serves requests.", choices=classes)
        worker_class = _values(table, (class_key,), source, "server")["worker_class"]
        names.append("worker_class")
    knobs = server.KNOBS[kind, worker_class]
    elsewhere = {knob.key for other in server.KNOBS.values() for knob in other}
    for key in table:
        if key in elsewhere and key not in {knob.key for knob in knobs}:
            what = f"{kind} {worker_class}".strip()
            raise PlanError(
                f"{source}: [server] {key}: {what} has no such knob; allowed: {', '.join(knob.key for knob in knobs)}."
            )
    _known(table, [*names, *(knob.key for knob in knobs)], source, "server")
    return Server(kind=kind, worker_class=worker_class, knobs=_values(table, knobs, source, "server"))


def _database(document: Mapping[str, Any], source: str) -> Database | None:
    stores = _table(document, "stores", source)
    _known(stores, ("database",), source, "stores")
    if "database" not in stores:
        return None
    table = _table(stores, "database", source, "stores.")
    known = (*keys.DATABASE, *database.POSTGRES)
    _known(table, (key.key if isinstance(key, Knob) else key.name for key in known), source, "stores.database")
    values = _values(table, known, source, "stores.database")
    values["round_trip_s"] = values.pop("round_trip")
    return Database(**values)


def _traffic(document: Mapping[str, Any], source: str) -> Traffic:
    table = dict(_table(document, "traffic", source))
    _known(table, [*(key.name for key in keys.TRAFFIC), "request"], source, "traffic")
    requests = table.pop("request", None)
    values = _values(table, keys.TRAFFIC, source, "traffic")
    if requests is not None and (not isinstance(requests, list) or not all(isinstance(r, dict) for r in requests)):
        raise PlanError(f"{source}: [traffic] request: found {_shown(requests)}; allowed: tables [[traffic.request]].")
    if requests is not None and not 1 <= len(requests) <= REQUESTS_MAX:
        raise PlanError(f"{source}: [[traffic.request]]: found {len(requests)}; allowed: 1 to {REQUESTS_MAX} of them.")
    if values["rate"] is not None and values["users"] is not None:
        raise PlanError(
            f"{source}: [traffic]: found both rate and users; allowed: rate (open loop) or users (closed loop)."
        )
    if (values["rate"] or 0) * values["duration"] > DUE_MAX:
        raise PlanError(
            f"{source}: [traffic]: found a rate and a duration that make over {DUE_MAX} requests; allowed: fewer.",
            hint="a lower rate, or a shorter duration",
        )
    return Traffic(
        requests=tuple(_request(r, source) for r in requests) if requests else (Request(),),
        arrivals="closed" if values["users"] is not None else values["arrivals"],
        rate_rps=values["rate"],
        users=values["users"],
        duration_s=values["duration"],
        think_s=values["think"],
        timeout_s=values["timeout"],
        drain_s=values["drain"],
        seed=values["seed"],
        declared=requests is not None,
    )


def _request(raw: Mapping[str, Any], source: str) -> Request:
    path = "traffic.request"
    _known(raw, [*(key.name for key in keys.REQUEST), "expect"], source, path)
    values = _values({k: v for k, v in raw.items() if k != "expect"}, keys.REQUEST, source, path)
    if not values["path"].startswith("/") or any(c <= " " or ord(c) > 126 for c in values["path"]):
        raise PlanError(
            f"{source}: [[{path}]] path: found {_shown(values['path'])}; allowed: a path that begins with / "
            "and holds no spaces or other characters that a URL must encode."
        )
    expect = raw.get("expect", {})
    if not isinstance(expect, dict):
        raise PlanError(
            f'{source}: [[{path}]] expect: found {_shown(expect)}; allowed: {{ status = 200, contains = "…" }}.'
        )
    _known(expect, keys.EXPECT_NAMES, source, f"{path}.expect")
    status = expect.get("status", 200)
    statuses = status if isinstance(status, list) else [status]
    if not statuses or not all(isinstance(s, int) and not isinstance(s, bool) and 100 <= s <= 599 for s in statuses):
        raise PlanError(
            f"{source}: [[{path}]] expect.status: found {_shown(status)}; allowed: a status from 100 to 599, or a list."
        )
    contains = expect.get("contains")
    if contains is not None and (not isinstance(contains, str) or not contains):
        raise PlanError(f"{source}: [[{path}]] expect.contains: found {_shown(contains)}; allowed: a text.")
    return Request(
        path=values["path"],
        method=values["method"],
        weight=values["weight"],
        name=values["name"] or values["path"],
        expect=Expect(status=tuple(statuses), contains=contains),
    )


def _limits(document: Mapping[str, Any], source: str) -> Limits:
    table = _table(document, "limits", source)
    _known(table, (key.name for key in keys.LIMITS), source, "limits")
    values = _values(table, keys.LIMITS, source, "limits")
    named = [name for name in keys.LATENCIES if name in table]
    chosen = named or ["p99"]
    return Limits(latency_s={name: values[name] for name in chosen}, errors=values["errors"])
