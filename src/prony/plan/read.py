"""A TOML document in, a Plan out, or one paragraph that names the file, the key, what was found and what is allowed."""

from __future__ import annotations

import copy
import os
import re
import shlex
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prony.errors import PlanError
from prony.plan import keys, tiers
from prony.plan.changes import apply
from prony.plan.checks import only_known, shown, table_of, values_of, word
from prony.plan.model import App, Expect, Limits, Plan, Request, Traffic

FILE_BYTES_MAX = 1_000_000
DUE_MAX = 50_000_000
_ENTRY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*(\(.*\))?)?")
_HOST = re.compile(r"(?=.{1,260}$)[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?(:[0-9]{1,5})?")
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
            f"--project: {word(str(path))} cannot be looked at: {getattr(error, 'strerror', 'no path')}."
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
            raise PlanError(f"--set {word(item)}: found no NAME=VALUE on one line.", hint="--set server.workers=5")
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
        apply(own, changes)
        return _plan(own, source, folder)
    except (RecursionError, OverflowError, UnicodeError, ValueError) as error:
        # What no single check foresees: numbers past any machine's, texts that are none, tables within tables.
        what = " ".join(str(error)[:80].split())
        raise PlanError(f"{source}: found a value that cannot be used: {what}.", hint=f"edit {source}") from error


def _plan(document: dict[str, Any], source: str, folder: Path) -> Plan:
    only_known(document, keys.TABLES, source, "")
    app = _app(document, source, folder)
    return Plan(
        app=app,
        **tiers.read(document, source, folder),
        traffic=_traffic(document, source),
        limits=_limits(document, source),
        source=source,
        document=document,
    )


def _app(document: Mapping[str, Any], source: str, folder: Path) -> App:
    table = table_of(document, "app", source)
    only_known(table, (key.name for key in keys.APP), source, "app")
    values = values_of(table, keys.APP, source, "app")
    if not _ENTRY.fullmatch(values["entry"]):
        raise PlanError(
            f"{source}: [app] entry: found {shown(values['entry'])}; allowed: "
            f'"module:callable" such as "config.wsgi:application", or a factory "module:create_app()".'
        )
    for line in values["prepare"]:
        try:
            words = shlex.split(line)
        except ValueError:
            words = []
        if not words:
            raise PlanError(f"{source}: [app] prepare: found {shown(line)}; allowed: commands a shell could split.")
    named = "python" in table
    # not resolved: a virtual environment's python is a link, and following it would leave the environment
    python = Path(os.path.expanduser(values["python"]))  # noqa: PTH111 - Path's own raises on an unknown user
    python = python if python.is_absolute() else folder.absolute() / python
    if not os.path.isfile(python):  # noqa: PTH113 - Path's own raises on a name too long
        if named:
            raise PlanError(f"{source}: [app] python: found {shown(values['python'])}; no interpreter is there.")
        python = Path(sys.executable)
    return App(
        entry=values["entry"],
        folder=str(folder.absolute()),
        python=str(python),
        prepare=values["prepare"],
        env=values["env"],
        egress=_egress(values["egress"], source),
        interface=values["interface"],
    )


def _egress(hosts: tuple[str, ...], source: str) -> tuple[str, ...]:
    for host in hosts:
        if not _HOST.fullmatch(host) or not 1 <= int(host.partition(":")[2] or 80) <= 65535:
            raise PlanError(
                f'{source}: [app] egress: found {shown(host)}; allowed: hosts such as "api.example.com", or with a '
                'port: "mail.example.com:587" (without one: 80 and 443).'
            )
    return hosts


def _traffic(document: Mapping[str, Any], source: str) -> Traffic:
    table = dict(table_of(document, "traffic", source))
    only_known(table, [*(key.name for key in keys.TRAFFIC), "request"], source, "traffic")
    requests = table.pop("request", None)
    values = values_of(table, keys.TRAFFIC, source, "traffic")
    if requests is not None and (not isinstance(requests, list) or not all(isinstance(r, dict) for r in requests)):
        raise PlanError(f"{source}: [traffic] request: found {shown(requests)}; allowed: tables [[traffic.request]].")
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
    only_known(raw, [*(key.name for key in keys.REQUEST), "expect"], source, path)
    values = values_of({k: v for k, v in raw.items() if k != "expect"}, keys.REQUEST, source, path)
    if not values["path"].startswith("/") or any(c <= " " or ord(c) > 126 for c in values["path"]):
        raise PlanError(
            f"{source}: [[{path}]] path: found {shown(values['path'])}; allowed: a path that begins with / "
            "and holds no spaces or other characters that a URL must encode."
        )
    expect = raw.get("expect", {})
    if not isinstance(expect, dict):
        raise PlanError(
            f'{source}: [[{path}]] expect: found {shown(expect)}; allowed: {{ status = 200, contains = "…" }}.'
        )
    only_known(expect, keys.EXPECT_NAMES, source, f"{path}.expect")
    status = expect.get("status", 200)
    statuses = status if isinstance(status, list) else [status]
    if not statuses or not all(isinstance(s, int) and not isinstance(s, bool) and 100 <= s <= 599 for s in statuses):
        raise PlanError(
            f"{source}: [[{path}]] expect.status: found {shown(status)}; allowed: a status from 100 to 599, or a list."
        )
    contains = expect.get("contains")
    if contains is not None and (not isinstance(contains, str) or not contains):
        raise PlanError(f"{source}: [[{path}]] expect.contains: found {shown(contains)}; allowed: a text.")
    return Request(
        path=values["path"],
        method=values["method"],
        weight=values["weight"],
        name=values["name"] or values["path"],
        expect=Expect(status=tuple(statuses), contains=contains),
    )


def _limits(document: Mapping[str, Any], source: str) -> Limits:
    table = table_of(document, "limits", source)
    only_known(table, (key.name for key in keys.LIMITS), source, "limits")
    values = values_of(table, keys.LIMITS, source, "limits")
    named = [name for name in keys.LATENCIES if name in table]
    chosen = named or ["p99"]
    return Limits(latency_s={name: values[name] for name in chosen}, errors=values["errors"])
