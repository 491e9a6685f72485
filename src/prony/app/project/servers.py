"""A command that starts an app server in, its program, its knobs and what it serves out, in prony.toml's terms."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from prony.app.project.model import Served
from prony.app.project.shell import UNSET, Command
from prony.knobs import Knob
from prony.knobs import server as server_knobs
from prony.knobs.values import NotAllowedError

PROGRAMS = {
    "gunicorn": "gunicorn", "uvicorn": "uvicorn", "granian": "granian", "uwsgi": "uwsgi", "pyuwsgi": "uwsgi",
    "waitress-serve": "waitress", "waitress": "waitress", "hypercorn": "hypercorn", "daphne": "daphne",
}  # fmt: skip
DEVELOPMENT = {"flask run": "Flask's development server", "runserver": "Django's development server"}
CLASSES = {
    "sync": "sync", "gthread": "gthread", "gevent": "gevent", "gevent_pywsgi": "gevent", "gevent_wsgi": "gevent",
    "asgi": "asgi", "uvicorn.workers.UvicornWorker": "uvicorn", "uvicorn.workers.UvicornH11Worker": "uvicorn",
    "uvicorn_worker.UvicornWorker": "uvicorn", "uvicorn_worker.UvicornH11Worker": "uvicorn",
    "aiohttp.GunicornWebWorker": "aiohttp", "aiohttp.GunicornUVLoopWebWorker": "aiohttp",
    "aiohttp.worker.GunicornWebWorker": "aiohttp", "geventwebsocket.gunicorn.workers.GeventWebSocketWorker": "gevent",
}  # fmt: skip
ALIASES = {
    "gunicorn": {
        "-w": "--workers", "-k": "--worker-class", "-t": "--timeout", "-c": "--config", "--log-file": "",
        "--keep_alive": "--keep-alive",
    },
    "uvicorn": {"--timeout-graceful-shutdown": "--timeout-graceful-shutdown"},
    "uwsgi": {"-p": "--processes", "--workers": "--processes", "-w": "--module", "-t": "--harakiri", "-l": "--listen"},
    "hypercorn": {"-w": "--workers", "-k": "--worker-class"},
    "granian": {"--threads": "--runtime-threads"},
}  # fmt: skip
FOLDERS = {"--chdir", "--pythonpath", "--app-dir", "--python-path", "--pp", "--working-dir"}
SWITCHES = {
    "--preload", "--reload", "--daemon", "-D", "--factory", "--proxy-headers", "--access-log", "--use-colors", "--call",
    "--capture-output", "--reuse-port", "--master", "-M", "--enable-threads", "--die-on-term", "--vacuum", "--debug",
    "--single-interpreter", "--thunder-lock", "--http-keepalive", "--asyncore-use-poll", "--server-header",
    "--date-header", "--enable-stdio-inheritance", "--lazy-apps", "--strict", "--respawn-failed-workers",
    "--log-access", "--no-ws", "--gevent-monkey-patch", "--proxy-protocol", "--log-syslog", "--statsd-tags",
}  # fmt: skip
_ENTRY = re.compile(r"([A-Za-z_][\w.]*:[A-Za-z_][\w.]*)(\(.*\))?$")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")


def served(command: Command, source: str) -> Served | None:
    """The server that a command starts; None where it starts none."""
    words = list(command.words)
    for at, word in enumerate(words):
        name = word.rpartition("/")[2]
        if name in PROGRAMS and (at == 0 or not words[at - 1].startswith("--")):
            return _read(PROGRAMS[name], words[at + 1 :], command, source)
        if name == "fastapi" and words[at + 1 : at + 2] in (["run"], ["dev"]):
            return _fastapi(words[at + 1 :], command, source)
        if name == "flask" and "run" in words[at + 1 :]:
            entry = next((words[n + 1] for n, w in enumerate(words[:-1]) if w in {"--app", "-A"}), "")
            return Served("flask run", source, entry=entry, root=command.folder)
        if name.endswith("manage.py") and {"runserver", "runserver_plus"} & set(words[at + 1 : at + 2]):
            return Served("runserver", source, root=command.folder or word.rpartition("/")[0])
    return None


def _fastapi(words: list[str], command: Command, source: str) -> Served:
    """`fastapi run FILE` is uvicorn."""
    found, _ = _options("uvicorn", words[1:])
    file = next((word for word in words[1:] if word.endswith(".py")), "")
    entry = file.removesuffix(".py").strip("./").replace("/", ".") if file else ""
    names = [words[n + 1] for n, word in enumerate(words[:-1]) if word == "--app"]
    entry = f"{entry}:{names[0] if names else 'app'}" if entry else ""
    knobs, remarks = _knobs("uvicorn", "", [(name, value) for name, value in found if name == "--workers"])
    return Served("uvicorn", source, knobs=knobs, entry=entry, root=command.folder, remarks=tuple(remarks))


def _options(kind: str, words: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """(option, value) pairs, and the words that belong to no option."""
    found: list[tuple[str, str]] = []
    loose: list[str] = []
    aliases = ALIASES.get(kind, {})
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if not word.startswith("-") or word == "-":
            loose.append(word)
            continue
        name, equals, value = word.partition("=")
        if not equals and len(name) > 2 and name[1] != "-":  # -w4
            name, value, equals = name[:2], name[2:], "="
        name = aliases.get(name, name) or name
        switch = name in SWITCHES or name.startswith("--no-")
        if not equals and not switch and at < len(words) and (not words[at].startswith("-") or words[at] == "-"):
            value = words[at]
            at += 1
        found.append((name, value))
    return found, loose


def _read(kind: str, words: list[str], command: Command, source: str) -> Served:
    options, loose = _options(kind, words)
    given = dict(options)
    entry = next((word for word in loose if _ENTRY.match(_stripped(word))), "")
    entry = _stripped(entry) or next((f"{word}:application" for word in loose if _MODULE.match(word)), "")
    if kind == "uwsgi":
        entry = entry or uwsgi_entry({name.lstrip("-"): value for name, value in options})
    if ("--factory" in given or "--call" in given) and entry and "(" not in entry:
        entry += "()"
    remarks: list[str] = []
    worker_class = ""
    if kind == "gunicorn":
        worker_class = class_of(given.get("--worker-class", ""), given.get("--threads", ""), remarks, source)
    elif kind == "granian":
        worker_class = "wsgi" if given.get("--interface") == "wsgi" else "asgi"
    elif kind == "uwsgi":
        worker_class = "gevent" if "--gevent" in given else "threads"
    knobs, more = _knobs(kind, worker_class, options)
    if "--reload" in given:
        remarks.append(f"{source} reloads on changes, for development: left out.")
    root = next((value for name, value in options if name in FOLDERS), "") or command.folder
    return Served(kind, source, worker_class, knobs, entry, root, tuple(remarks + more))


def _stripped(word: str) -> str:
    """An entry without hypercorn's "asgi:" before it."""
    for prefix in ("asgi:", "wsgi:"):
        if word.startswith(prefix) and ":" in word[len(prefix) :]:
            return word[len(prefix) :]
    return word


def config_of(command: Command) -> str:
    """The configuration file that a gunicorn, uWSGI or hypercorn command names; empty where it names none."""
    words = list(command.words)
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in {"-c", "--config", "--ini"}:
            found = value if equals else words[at + 1] if at + 1 < len(words) else ""
            return found.removeprefix("file:")
        if word.endswith(".ini") and any(each.rpartition("/")[2] == "uwsgi" for each in words[:at]):
            return word
    return ""


def class_of(name: str, threads: str, remarks: list[str], source: str) -> str:
    """Gunicorn's worker class in prony's terms; sync with several threads is gthread, as gunicorn itself has it."""
    if name and name != UNSET and name not in CLASSES:
        kept = "gevent" if "eventlet" in name or "gevent" in name else "sync"
        remarks.append(f"{source}: worker class {name} is none of prony's; {kept} stands in for it.")
        name = kept
    found = CLASSES.get(name, "sync")
    return "gthread" if found == "sync" and threads.isdecimal() and int(threads) > 1 else found


def uwsgi_entry(options: dict[str, str]) -> str:
    """What uWSGI's own options name as the app."""
    module = options.get("module") or options.get("wsgi") or ""
    if not module and options.get("wsgi-file"):
        module = options["wsgi-file"].removesuffix(".py").strip("./").replace("/", ".")
    if not module:
        return ""
    if ":" in module:
        return module
    return f"{module}:{options.get('callable', 'application')}"


def _knobs(kind: str, worker_class: str, options: Iterable[tuple[str, str]]) -> tuple[dict[str, Any], list[str]]:
    """Knobs by key, and what was given that the knob does not take."""
    known = {knob.flag: knob for knob in server_knobs.KNOBS[kind, worker_class]}
    found: dict[str, Any] = {}
    remarks: list[str] = []
    for name, text in options:
        knob = known.get(name)
        if knob is None or (kind == "uwsgi" and name == "--gevent" and not text):
            continue
        take(knob, text, found, remarks)
    return found, remarks


def take(knob: Knob, text: Any, found: dict[str, Any], remarks: list[str]) -> None:
    """Puts a knob's value into `found`, or says why not in `remarks`."""
    value: Any = text
    if knob.kind == "flag":
        value = not knob.default if text in ("", True) else str(text).lower() in {"1", "true", "yes", "on"}
    elif knob.kind in {"integer", "number"} and isinstance(text, str | int | float):
        try:
            value = int(float(text))
        except (ValueError, OverflowError):
            value = text
    try:
        knob.read(value)
    except NotAllowedError as error:
        shown = "a value that only a shell knows" if UNSET in str(text) else str(text)[:40]
        remarks.append(f"{knob.key}: found {shown}; prony takes {error}: left at {knob.default}.")
        return
    found[knob.key] = value
