"""A server's own configuration file in, its knobs in prony.toml's terms out: gunicorn.conf.py, uwsgi.ini."""

from __future__ import annotations

import ast
import configparser
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from prony.app.project import literal
from prony.app.project.model import Served
from prony.app.project.servers import class_of, take, uwsgi_entry
from prony.knobs import server as server_knobs

_GUNICORN = {"preload_app": "preload"}
UWSGI = {
    "processes": "workers", "workers": "workers", "threads": "threads", "harakiri": "timeout", "listen": "backlog",
    "max-requests": "max_requests", "buffer-size": "buffer_size", "thunder-lock": "thunder_lock",
    "gevent": "worker_connections", "worker-reload-mercy": "graceful_timeout",
    "max-requests-delta": "max_requests_delta",
}  # fmt: skip


def gunicorn_file(tree: ast.Module, file: str, variables: Mapping[str, str]) -> Served:
    """What a gunicorn.conf.py says, as far as reading it can tell."""
    found = literal.assignments(tree, variables)
    remarks: list[str] = []
    plain = {name: value for name, (value, _, _) in found.items()}
    worker_class = class_of(str(plain.get("worker_class") or ""), str(plain.get("threads") or ""), remarks, file)
    knobs: dict[str, Any] = {}
    for knob in server_knobs.KNOBS["gunicorn", worker_class]:
        for name in (knob.key, *(theirs for theirs, ours in _GUNICORN.items() if ours == knob.key)):
            if name in found and found[name][0] is not None:
                take(knob, found[name][0], knobs, remarks)
                if "cpu_count" in found[name][2] and knob.key in knobs:
                    remarks.append(
                        f"{file}, line {found[name][1]}: {name} = {found[name][2]} depends on the machine; on this "
                        f"one it is {knobs[knob.key]}."
                    )
    told = {ast.unparse(node.targets[0]) for node in tree.body if isinstance(node, ast.Assign)}
    remarks += [
        f"{file}: {name} is computed in a way that only running it would tell: left at its default."
        for name in ("workers", "threads", "worker_class", "timeout")
        if name in told and name not in found
    ]
    entry = str(plain.get("wsgi_app") or "")
    entry = f"{entry}:application" if entry and ":" not in entry else entry
    return Served("gunicorn", file, worker_class, knobs, entry, str(plain.get("chdir") or ""), tuple(remarks))


def over(first: Served, file: Served) -> Served:
    """A command line's knobs over those of the configuration file that it reads."""
    given_class = first.worker_class if first.worker_class != "sync" else file.worker_class
    known = {knob.key for knob in server_knobs.KNOBS.get((first.kind, given_class), ())}
    if first.knobs.get("threads", file.knobs.get("threads", 1)) > 1 and given_class == "sync":
        given_class = "gthread"
        known = {knob.key for knob in server_knobs.KNOBS["gunicorn", "gthread"]}
    knobs = {key: value for key, value in {**file.knobs, **first.knobs}.items() if key in known}
    return replace(
        first,
        source=f"{first.source}; {file.source}",
        worker_class=given_class,
        knobs=knobs,
        entry=first.entry or file.entry,
        root=first.root or file.root,
        remarks=(*file.remarks, *first.remarks),
    )


def uwsgi_file(text: str, file: str) -> Served | None:
    """What a uwsgi.ini says; None where it is no ini file with a [uwsgi] section."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, interpolation=None)
    try:
        parser.read_string(text)
        options = {name.replace("_", "-"): value or "" for name, value in parser.items("uwsgi")}
    except (configparser.Error, ValueError):
        return None
    worker_class = "gevent" if options.get("gevent") else "threads"
    knobs: dict[str, Any] = {}
    remarks: list[str] = []
    by_key = {knob.key: knob for knob in server_knobs.KNOBS["uwsgi", worker_class]}
    for name, key in UWSGI.items():
        if name in options and key in by_key:
            take(by_key[key], options[name], knobs, remarks)
    if options.get("lazy-apps", "").lower() in {"1", "true"}:
        knobs["preload"] = False
    root = options.get("chdir", "")
    return Served("uwsgi", file, worker_class, knobs, uwsgi_entry(options), root, tuple(remarks))
