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

from msgspec import structs

from prony.errors import PlanError
from prony.plan import keys, login, tiers, traffic
from prony.plan.changes import apply
from prony.plan.checks import only_known, shown, table_of, values_of, word
from prony.plan.model import App, Plan
from prony.plan.procfile import read_env
from prony.plan.requests import Limits, Traffic

FILE_BYTES_MAX = 1_000_000
_ENTRY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*(\(.*\))?)?")
_HOST = re.compile(r"(?=.{1,260}$)[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?(:[0-9]{1,5})?")


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
            hint="prony init, which writes one; or name its folder with --project PATH",
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
    new = read_document(plan.document, plan.source, Path(plan.app.home or plan.app.folder), changes)
    return structs.replace(new, traffic=_kept(plan.traffic, new.traffic, set(changes)))


def _kept(before: Traffic, after: Traffic, changes: set[str]) -> Traffic:
    """The traffic after a change: what was filled in since it was read stays, unless the change is about just that."""
    if not any(name.partition(".")[0] == "traffic" for name in changes):
        return before
    if {"traffic", "traffic.request", "traffic.file"} & changes:
        return after
    kept = ("requests", "routes", "declared", "named")
    return structs.replace(after, **{name: getattr(before, name) for name in kept})


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
    found = tiers.read(document, source, folder)
    if not app.scratch and any(store.file for store in found["stores"].values()):
        raise PlanError(
            f"{source}: [stores.database] file: found it with [app] scratch = false, under which the app would write "
            "to the project's own file; allowed: with the folder covered.",
            hint="take scratch = false out of [app]",
        )
    return Plan(
        app=app,
        **found,
        traffic=traffic.read(document, source, folder),
        login=login.read(document, source, folder),
        limits=limits_of(document, source),
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
        folder=_within(values["folder"], folder, source),
        home=str(folder.absolute()),
        python=str(python),
        prepare=values["prepare"],
        env=_from_file(values["env_file"], folder, source) | values["env"],
        env_file=values["env_file"],
        scratch=values["scratch"],
        egress=_egress(values["egress"], source),
        interface=values["interface"],
    )


def _within(name: str, folder: Path, source: str) -> str:
    """The absolute path of [app] folder."""
    place = os.path.normpath(folder.absolute() / name)
    if not name:
        return str(folder.absolute())
    if not Path(place).is_relative_to(os.path.normpath(folder.absolute())):
        raise PlanError(
            f"{source}: [app] folder: found {shown(name)}; allowed: a folder within {folder.absolute()}.",
            hint=f"move {source} there, or name one such as backend",
        )
    if not os.path.isdir(place):  # noqa: PTH112 - Path's own raises on a name too long
        raise PlanError(f"{source}: [app] folder: found {shown(name)}; no such folder is in {folder.absolute()}.")
    return place


def _from_file(name: str, folder: Path, source: str) -> dict[str, str]:
    """The variables of [app] env_file."""
    if not name:
        return {}
    path = folder.absolute() / name
    if not os.path.isfile(path):  # noqa: PTH113 - Path's own raises on a name too long
        raise PlanError(
            f"{source}: [app] env_file: found {shown(name)}; no such file is in {folder.absolute()}.",
            hint=f"write that file, or take env_file out of {source}",
        )
    return read_env(path)


def _egress(hosts: tuple[str, ...], source: str) -> tuple[str, ...]:
    for host in hosts:
        if not _HOST.fullmatch(host) or not 1 <= int(host.partition(":")[2] or 80) <= 65535:
            raise PlanError(
                f'{source}: [app] egress: found {shown(host)}; allowed: hosts such as "api.example.com", or with a '
                'port: "mail.example.com:587" (without one: 80 and 443).'
            )
    return hosts


def limits_of(document: Mapping[str, Any], source: str) -> Limits:
    """The [limits] table of a document; raises PlanError."""
    table = table_of(document, "limits", source)
    only_known(table, (key.name for key in keys.LIMITS), source, "limits")
    values = values_of(table, keys.LIMITS, source, "limits")
    named = [name for name in keys.LATENCIES if name in table]
    chosen = named or ["p99"]
    return Limits(latency_s={name: values[name] for name in chosen}, errors=values["errors"])
